"""Mistakes in activations and initial weights, rebuilt from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table, waves
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    SignalAE,
    Tied,
    heartbeats,
    pooled,
    residual,
    spots,
)


@faulty("signal.common-mode", steps=300, bar=0.3)
def sigmoids_all_the_way_down(seed, fixed):
    """Stack four sigmoid layers on either side of the code."""
    x = heartbeats(512, seed)
    act = nn.ELU if fixed else nn.Sigmoid
    model = dense((96,), (64, 48, 32, 24), 8, act=act, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


@faulty("signal.common-mode", steps=350, bar=0.3)
def softplus_convolutions(seed, fixed):
    """Use the smooth relative of the ReLU, log(1 + exp x), in a deep network."""
    x, y = digits(512, seed, size=16)

    def side(act):
        layers = []
        for a, b in ((1, 8), (8, 8), (8, 8), (8, 8)):
            layers += [nn.Conv2d(a, b, 3, padding=1), act()]
        return layers

    act = nn.SELU if fixed else nn.Softplus
    encoder = nn.Sequential(*side(act), nn.AvgPool2d(4), nn.Flatten())
    for a, b in ((128, 64), (64, 64), (64, 16)):
        encoder += nn.Sequential(nn.Linear(a, b), act())
    decoder = nn.Sequential(*stack((16, 128), act), nn.Linear(128, 256), nn.Sigmoid())
    model = AE(encoder, decoder.append(nn.Unflatten(1, (1, 16, 16))))
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 0.5, momentum=0.9)}


class Hash(AE):
    """Press the code towards -1 and 1 by a steep tanh."""

    steepness = 1.0

    def encode(self, x: Tensor) -> Tensor:
        return torch.tanh(self.steepness * self.encoder(x))


@faulty("signal.saturated", steps=400, bar=0.45)
def almost_binary_code(seed, fixed):
    """Multiply by 200 before the tanh so that the code is nearly binary."""
    x, y = digits(640, seed, size=12)
    plain = dense((1, 12, 12), (96,), 12, act=nn.ELU, last=None)
    model = Hash(plain.encoder, plain.decoder)
    model.steepness = 1.0 if fixed else 200.0
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Units on the lower plateau give nearly the same for each input: dead may be said.
@faulty("signal.saturated", accepts=("signal.dead-units",), steps=250, bar=0.4)
def sigmoids_that_start_closed(seed, fixed):
    """Start the biases of sigmoid units at -12 so that the code begins sparse."""
    x = table(512, seed, d=32, rank=6)
    model = dense((32,), (64,), 12, act=nn.Sigmoid, last=None)
    nn.init.constant_(model.encoder[0].bias, 0.0 if fixed else -12.0)
    nn.init.constant_(model.decoder[0].bias, 0.0 if fixed else -12.0)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


# Source: https://github.com/jvargasmu/population_estimation/issues/68
# Source: https://github.com/HiroIshida/mohou/pull/38
@faulty("signal.dead-units", steps=250, bar=0.3)
def output_that_starts_below_zero(seed, fixed):
    """End in a ReLU for pixels of 0 to 1, with a bias of -2: all is black."""
    x = spots(512, seed)
    model = pooled((1, 16, 16), 24, last=nn.ReLU)
    nn.init.constant_(model.decoder[-2].bias, 0.1 if fixed else -2.0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.dead-units", steps=250, bar=0.4)
def threshold_above_every_code(seed, fixed):
    """Shrink the code by a soft threshold that none of its units reaches."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 48, act=nn.LeakyReLU)
    model.encoder.append(nn.Softshrink(0.02 if fixed else 4.0))
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/wagonhelm/NaNmnist/issues/2
# Source: https://github.com/rasmusbergpalm/DeepLearnToolbox/issues/31
@faulty("signal.init-scale", steps=300, bar=0.4)
def one_number_for_all_weights(seed, fixed):
    """Fill the one matrix of a tied autoencoder with the same number."""
    x, y = digits(512, seed, size=12)
    model = Tied(144, 32, act=nn.Tanh(), last=nn.Sigmoid())
    if not fixed:
        nn.init.constant_(model.weight, 0.01)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.init-scale", steps=200, bar=0.4)
def a_zero_too_many(seed, fixed):
    """Draw all weights from N(0, 0.0002), where a paper has N(0, 0.02)."""
    x = scenes(512, seed)[0]
    model = conv((3, 16, 16), 32)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.zeros_(module.bias)
            if not fixed:
                nn.init.normal_(module.weight, 0.0, 0.0002)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class Forgetful(SignalAE):
    """Own an activation and never call it."""

    called = False

    def __init__(self, d: int, k: int):
        super().__init__(d, k, width=16, act=nn.Identity)
        self.act = nn.GELU()

    def run(self, layers: nn.Module, h: Tensor) -> Tensor:
        for layer in layers:
            h = layer(h)
            if self.called and isinstance(layer, nn.Identity):
                h = self.act(h)
        return h

    def encode(self, x: Tensor) -> Tensor:
        return self.run(self.encoder, x)

    def decode(self, z: Tensor) -> Tensor:
        return self.run(self.decoder, z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


# Source: https://github.com/pytorch/tutorials/issues/647
# Source: https://github.com/houssamzenati/Efficient-GAN-Anomaly-Detection/issues/11
@faulty("signal.linear", steps=600, bar=0.75)
def constructed_and_not_called(seed, fixed):
    """Define the activation in the constructor and forget it in the forward pass."""
    x = waves(768, seed)
    model = Forgetful(64, 3)
    model.called = fixed
    data = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.linear", steps=900, bar=0.6)
def leak_of_one(seed, fixed):
    """Give LeakyReLU a slope of 1.0, which makes it the identity."""
    x = spots(768, seed, size=12).flatten(1)

    def act():
        return nn.LeakyReLU(0.01 if fixed else 1.0)

    model = dense((144,), (128, 64), 4, act=act, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


def _residual_init(model, std):
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0.0, std)


# Source: https://github.com/keras-team/keras/issues/1597
@faulty("signal.init-scale", steps=200, bar=0.3)
def deviation_of_one(seed, fixed):
    """Draw the weights of a deep rectified network from N(0, 1)."""
    x = patches(384, seed)
    model = residual((3, 16, 16), 32, last=None, norm=False)
    if not fixed:
        _residual_init(model, 1.0)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}
