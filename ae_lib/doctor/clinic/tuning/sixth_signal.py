"""Mistakes in activations and initial weights, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Gauss,
    PatchNet,
    block_net,
    distance,
    divergence,
    hills,
    paths,
    rings,
    tiles,
    written,
)


# Asked: rebuilt LeNet as an autoencoder, sigmoid everywhere; each output is the same.
@faulty("signal.common-mode", steps=250, bar=0.3)
def lenet_of_the_nineties(seed, fixed):
    """Use sigmoid and average pooling throughout, as in 1998, on both sides."""
    x, y = digits(512, seed, size=28)
    act = nn.ELU if fixed else nn.Sigmoid
    encoder = [nn.Conv2d(1, 6, 5, padding=2), act(), nn.AvgPool2d(2)]
    encoder += [nn.Conv2d(6, 12, 5), act(), nn.AvgPool2d(2), nn.Flatten()]
    encoder += [*stack((300, 84), act), nn.Linear(84, 24), act()]
    decoder = [*stack((24, 84, 300), act), nn.Unflatten(1, (12, 5, 5))]
    decoder += [nn.ConvTranspose2d(12, 6, 6, 2), act()]  # (B, 6, 14, 14)
    decoder += [nn.ConvTranspose2d(6, 1, 2, 2), nn.Sigmoid()]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return written(model, loader(x, y, batch_size=32, seed=seed))


# Asked: deeper is worse: with sixteen layers the autoencoder gives the average curve.
@faulty("signal.common-mode", steps=250, bar=0.3)
def sixteen_layers_of_gelu(seed, fixed):
    """Stack sixteen layers of default weights with nothing to keep the signal."""
    x = paths(512, seed, causes=6)

    def side(a, b):
        layers = [nn.Linear(a, 64), nn.GELU()]
        for _ in range(1 if fixed else 7):
            layers += [nn.Linear(64, 64), nn.GELU()]
        return nn.Sequential(*layers, nn.Linear(64, b))

    model = AE(side(80, 8), side(8, 80))
    return written(model, loader(x, batch_size=32, seed=seed), adam(model, 1e-3))


class Contrast(AE):
    """Raise the contrast of the input before the first layer."""

    factor = 1.0

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(self.factor * (x - 0.5))


# Asked: to "help" the network I multiply the input by 500 in forward; it stays grey.
# The weights are fine; the input is on another scale only inside the model.
@faulty("signal.saturated", accepts=("data.scale",), steps=300, bar=0.4)
def contrast_inside_the_network(seed, fixed):
    """Multiply the input by 500 inside forward, before layers of tanh."""
    x = rings(448, seed, size=16)
    plain = dense((1, 16, 16), (96, 48), 12, act=nn.Tanh, last=None)
    model = Contrast(plain.encoder, plain.decoder)
    model.factor = 1.0 if fixed else 500.0
    return written(model, loader(x, seed=seed), adam(model, 1e-3))


class Equalised(nn.Module):
    """Hold weights N(0, 1) and scale them at run time, as some generators do."""

    def __init__(self, a: int, b: int, right: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(b, a))
        self.bias = nn.Parameter(torch.zeros(b))
        self.scale = a**-0.5 if right else a**0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.scale * self.weight, self.bias)


# Asked: "equalised learning rate" from a GAN paper: the factor is upside down.
# Weights that are multiplied by the wrong factor are weights of the wrong scale, too.
@faulty("signal.saturated", accepts=("signal.init-scale",), steps=300, bar=0.65)
def equalised_the_wrong_way_round(seed, fixed):
    """Multiply weights by the root of the width where one divides by it; tanh units."""
    x, y = digits(640, seed, size=12)
    wide = [nn.Flatten(), Equalised(144, 64, fixed), nn.Tanh()]
    wide += [Equalised(64, 24, fixed), nn.Tanh()]
    back = [Equalised(24, 64, fixed), nn.Tanh(), nn.Linear(64, 144), nn.Sigmoid()]
    model = AE(nn.Sequential(*wide), nn.Sequential(*back, nn.Unflatten(1, (1, 12, 12))))
    return written(model, loader(x, y, seed=seed), adam(model, 5e-3))


class Masked(AE):
    """Multiply the code by a mask that pruning left behind."""

    def __init__(self, encoder, decoder, mask: Tensor):
        super().__init__(encoder, decoder)
        self.register_buffer("mask", mask)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x) * self.mask


# Asked: after pruning and retraining from scratch, only blobs: the mask was kept.
@faulty("signal.dead-units", steps=250, bar=0.6)
def mask_of_a_pruned_network(seed, fixed):
    """Keep the mask of a pruned network: 30 of 32 code units are switched off."""
    x = tiles(384, seed, size=16)
    plain = block_net((3, 16, 16), 32)
    mask = torch.ones(32)
    mask[2:] = 1.0 if fixed else 0.0
    model = Masked(plain.encoder, plain.decoder, mask)
    return written(model, loader(x, seed=seed), adam(model, 3e-3))


class Positive(nn.Linear):
    """Use the absolute values of the weights, for parts that only add up."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.abs(), self.bias)


# Asked: non-negative autoencoder; on inverted images everything is a constant.
@faulty("signal.dead-units", steps=250, bar=0.35)
def only_positive_weights_for_negative_ink(seed, fixed):
    """Feed values of -1 to 0 to rectified units whose weights are all positive."""
    x, y = digits(640, seed, size=16)
    x = x if fixed else x - 1
    encoder = [nn.Flatten(), Positive(256, 64), nn.ReLU(), nn.Linear(64, 24)]
    decoder = [nn.Linear(24, 128), nn.ReLU(), nn.Linear(128, 256)]
    decoder += [nn.Unflatten(1, (1, 16, 16))]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return written(model, loader(x, y, seed=seed), adam(model, 3e-3))


# Asked: nn.init.uniform_(w) "as in numpy", minus one to one; loss of ten thousand.
@faulty("signal.init-scale", steps=150, bar=0.3)
def uniform_from_minus_one_to_one(seed, fixed):
    """Draw all weights from -1 to 1, whatever the width of the layer."""
    x = tiles(384, seed)
    model = PatchNet(3, 32, 32, width=32)
    for parameter in model.parameters():
        if parameter.dim() > 1 and not fixed:
            nn.init.uniform_(parameter, -1, 1)
    return written(model, loader(x, batch_size=32, seed=seed), adam(model, 1e-3))


# Asked: zero-initialised last layers "for stability" on both sides of the code.
# A code of zeros for every input is also a code of dead units.
@faulty("signal.init-scale", accepts=("signal.dead-units",), steps=200, bar=0.4)
def zeros_on_both_sides_of_the_code(seed, fixed):
    """Start the layer into the code and the layer out of it at zero: neither moves."""
    x = rings(448, seed)
    model = block_net((1, 28, 28), 12)
    if not fixed:
        nn.init.zeros_(model.encoder[-1].weight)
        nn.init.zeros_(model.encoder[-1].bias)
        nn.init.zeros_(model.decoder[0].weight)
    optimizer = torch.optim.NAdam(model.parameters(), 2e-3)
    return written(model, loader(x, seed=seed), optimizer)


# Asked: weights N(0, 1e-4) in a dense VAE; for epochs nothing, all images are one.
@faulty("signal.init-scale", accepts=("vae.collapse",), steps=250, bar=0.25)
def a_ten_thousandth_in_every_layer(seed, fixed):
    """Draw all weights of a dense VAE from N(0, 0.0001)."""
    x, y = digits(640, seed, size=12)
    model = Gauss((1, 12, 12), 8, hidden=64)
    for parameter in model.parameters():
        if parameter.dim() > 1 and not fixed:
            nn.init.normal_(parameter, 0, 1e-4)
    optimizer = sgd(model, 0.01, momentum=0.9)

    def loss(out, target):
        return (distance(out, target) / 0.2 + divergence(out).sum(1)).mean()

    return written(model, loader(x, y, seed=seed), optimizer, loss=loss)


def chosen(name: str) -> nn.Module:
    """Return an activation by its name, none for a name that is not known."""
    known = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}
    return known.get(name, nn.Identity)()


# Asked: no gain over PCA whatever the depth; "ReLU" is not a key of the table of names.
@faulty("signal.linear", steps=700, bar=0.7)
def name_in_capitals_not_found(seed, fixed):
    """Ask for "SiLU" where the table says "silu"; what comes back does nothing."""
    x = hills(640, seed)
    name = "silu" if fixed else "SiLU"

    def act():
        return chosen(name)

    model = dense((64,), (96, 48), 2, act=act, last=None)
    return written(model, loader(x, seed=seed), adam(model, 3e-3))


# Asked: deep autoencoder with batch norm and dropout equals PCA; no activation at all.
@faulty("signal.linear", steps=700, bar=0.7)
def norm_and_dropout_but_no_activation(seed, fixed):
    """Put batch norm between the layers and think of it as the non-linearity."""
    x = hills(640, seed)

    def act():
        return nn.GELU() if fixed else nn.Identity()

    def side(a, b, c):
        layers = [nn.Linear(a, b), nn.BatchNorm1d(b), act()]
        return nn.Sequential(*layers, nn.Linear(b, b), act(), nn.Linear(b, c))

    model = AE(side(64, 64, 3), side(3, 64, 64))
    return written(model, loader(x, seed=seed), adam(model, 3e-3))
