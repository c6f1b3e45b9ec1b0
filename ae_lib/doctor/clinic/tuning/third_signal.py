"""Faults in the signal and the step: codes signal.*, step.*."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    grey,
    loudness,
    spectra,
)


@faulty("signal.common-mode", steps=300, bar=0.4)
def softmax_between_layers(seed, fixed):
    """Use softmax as the activation of hidden layers, as at the end of a classifier.

    After questions whose model summary says "activation='softmax'" on every line.
    """
    act = nn.ReLU if fixed else lambda: nn.Softmax(1)
    model = dense((96,), (128, 96), 10, act=act, last=None)
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


def filters(act):
    """Return five strided convolutions in time down to a code of eight, and back."""
    widths, layers = (1, 12, 16, 24, 32), []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv1d(a, b, 4, 2, 1), act()]
    down = [*layers, nn.Flatten(), nn.Linear(128, 8), act()]
    up = [nn.Linear(8, 128), act(), nn.Unflatten(1, (32, 4))]
    for a, b in zip(widths[:1:-1], widths[-2:0:-1], strict=True):
        up += [nn.ConvTranspose1d(a, b, 4, 2, 1), act()]
    up += [nn.ConvTranspose1d(12, 1, 4, 2, 1)]
    return AE(nn.Sequential(*down), nn.Sequential(*up))


@faulty("signal.common-mode", bar=0.3)
def sigmoids_in_time(seed, fixed):
    """Put a sigmoid after each convolution in time.

    After a question on heart beats whose reconstruction is always the average beat.
    """
    model = filters(nn.ELU if fixed else nn.Sigmoid)
    data = loader(beats(512, seed)[:, None], batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Scaled(nn.BatchNorm1d):
    """Begin with another scale than one."""

    def __init__(self, width, scale):
        super().__init__(width)
        nn.init.constant_(self.weight, scale)


@faulty("signal.saturated", bar=0.4)
def norm_with_a_scale_of_forty(seed, fixed):
    """Fill the scale of batch norm in front of tanh with 40, "for contrast".

    After an issue on a hashing autoencoder whose codes are all plus or minus one.
    """
    scale = 1.0 if fixed else 40.0
    down = [nn.Linear(96, 64), Scaled(64, scale), nn.Tanh()]
    down += [nn.Linear(64, 12), Scaled(12, scale), nn.Tanh()]
    up = [nn.Linear(12, 64), Scaled(64, scale), nn.Tanh(), nn.Linear(64, 96)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    data = loader(spectra(512, seed), batch_size=64, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Inside(AE):
    """Take the negative part of the code, or the positive one."""

    sign = 1.0

    def encode(self, x):
        return F.relu(self.sign * F.relu(self.encoder(x)))


@faulty("signal.dead-units", steps=300, bar=0.4)
def minus_inside_the_relu(seed, fixed):
    """Write relu(-relu(z)), which is zero for every input.

    After a question on a code of zeros after "separating the negative part".
    """
    inner = conv((1, 20, 20), 32, act=nn.ELU, last=None)
    model = Inside(inner.encoder, inner.decoder)
    model.sign = 1.0 if fixed else -1.0
    data = loader(blobs(448, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.dead-units", steps=200, bar=0.6)
def one_colour_never_lights(seed, fixed):
    """End in a ReLU whose blue channel starts far below zero.

    After a question on reconstructions without any blue.
    """
    model = conv((3, 16, 16), 32, act=nn.SiLU, last=nn.ReLU)
    with torch.no_grad():
        model.decoder[-2].bias.copy_(torch.tensor([0.4, 0.4, 0.4 if fixed else -4.0]))
    data = loader(scenes(448, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.init-scale", bar=0.4)
def times_the_root_of_the_width(seed, fixed):
    """Multiply standard normal weights by the root of the width, not divide.

    After a question on a hand-written Xavier initialisation.
    """
    model = dense((64,), (64, 48), 8, act=nn.ELU, last=None)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            root = math.sqrt(layer.in_features)
            spread = 1 / root if fixed else root
            nn.init.normal_(layer.weight, std=spread)
    data = loader(beats(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.linear", steps=500, bar=0.87)
def clipped_for_safety(seed, fixed):
    """Put only hardtanh(-100, 100) between layers, which never clips anything.

    After a question on a deep network that does no better than PCA.
    """
    act = nn.ReLU if fixed else lambda: nn.Hardtanh(-100, 100)
    model = dense((1, 16, 16), (128, 64), 4, act=act, last=None)
    data = loader(blobs(640, seed, 16), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("step.too-large", steps=300, bar=0.4)
def two_hundred_for_a_mean_error(seed, fixed):
    """Raise the rate of SGD to 200, since the mean error has small gradients.

    After a question on reconstructions that turn black within an epoch.
    """
    x, y = digits(512, seed, size=12)
    model = dense((1, 12, 12), (96,), 16, act=nn.Tanh)
    optimizer = sgd(model, 3.0 if fixed else 200.0, momentum=0.9)
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-large", bar=0.4)
def nadam_at_a_third(seed, fixed):
    """Try NAdam with a rate of 0.3 on a table.

    After a question on a loss that jumps between 1 and 40.
    """
    x, y = cells(seed)
    model = dense((30,), (48, 24), 6, last=None)
    optimizer = torch.optim.NAdam(model.parameters(), 3e-3 if fixed else 0.3)
    data = loader(by_column(x), y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-small", bar=0.4)
def rate_of_a_language_model(seed, fixed):
    """Copy lr=1e-6 from a script that fine-tunes a language model.

    After a question on spectrograms: "the loss goes from 1.013 to 1.012".
    """
    x = loudness(320, seed)
    x = (x - x.mean()) / x.std()
    down = [nn.Conv2d(1, 12, 4, 4), nn.GELU(), nn.Flatten(), nn.Linear(576, 24)]
    up = [nn.Linear(24, 576), nn.GELU(), nn.Unflatten(1, (12, 6, 8))]
    up += [nn.ConvTranspose2d(12, 1, 4, 4)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    rate = 3e-3 if fixed else 1e-6
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-small", accepts=("loss.scale",), bar=0.3)
def averaged_once_more(seed, fixed):
    """Divide a mean error by the number of pixels once more, with SGD.

    After a question on a loss of 0.0001 that does not move. The other defensible
    reading is that the reduction of the loss is at fault.
    """
    model = dense((1, 20, 20), (96,), 16, act=nn.ReLU)

    def loss(output, target):
        error = F.mse_loss(output, target)
        return error if fixed else error / target[0].numel()

    data = loader(grey(448, seed), batch_size=32, seed=seed)
    optimizer = sgd(model, 1.0, momentum=0.9)
    return {"model": model, "batches": data, "loss": loss, "optimizer": optimizer}


class Named(AE):
    """Return the reconstruction and the code by name."""

    def forward(self, x):
        z = self.encode(x)
        return {"x_hat": self.decode(z), "z": z}


@faulty("step.nonfinite", bar=0.4)
def distances_with_a_diagonal(seed, fixed):
    """Keep distances between samples; those of a sample to itself are roots of zero.

    After issues on metric and topological autoencoders: nan after the first step.
    """
    x = grey(448, seed)
    plain = dense((1, 20, 20), (96,), 12, act=nn.ELU)
    model = Named(plain.encoder, plain.decoder)

    def distances(rows):
        squares = (rows[:, None] - rows).square().mean(-1)
        return (squares + (1e-6 if fixed else 0)).sqrt()

    def loss(output, target):
        kept = distances(output["z"]) - distances(target.flatten(1))
        return F.mse_loss(output["x_hat"], target) + 0.01 * kept.square().mean()

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("step.nonfinite", bar=0.4)
def spread_without_epsilon(seed, fixed):
    """Ask for a spread of each code unit; a silent one has an infinite gradient.

    After an issue on a variance term that needed an epsilon under the root. Four
    units were added to the code with weights of zero, so as to change nothing.
    """
    x = table(512, seed, d=32)
    encoder = nn.Sequential(*stack((32, 64)), nn.Linear(64, 24))
    with torch.no_grad():
        encoder[-1].weight[-4:], encoder[-1].bias[-4:] = 0, 0
    model = Named(encoder, nn.Sequential(*stack((24, 64)), nn.Linear(64, 32)))

    def loss(output, target):
        spread = (output["z"].var(0) + (1e-4 if fixed else 0)).sqrt()
        hinge = F.relu(1 - spread).mean()
        return F.mse_loss(output["x_hat"], target) + 0.05 * hinge

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}
