"""Signals that fade, saturate or die, from a seventh round of questions."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train, used_units
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    Wave,
    beats,
    cohort,
    lamps,
)


def _bce(output, target):
    return F.binary_cross_entropy(output, target)


def _deep(widths, act, k):
    encoder = [nn.Flatten(), *stack(widths, act), nn.Linear(widths[-1], k), act()]
    back = widths[::-1]
    decoder = [*stack((k, *back[:-1]), act), nn.Linear(back[-2], back[-1])]
    side = round(widths[0] ** 0.5)
    decoder += [nn.Sigmoid(), nn.Unflatten(1, (1, side, side))]
    return AE(nn.Sequential(*encoder), nn.Sequential(*decoder))


# Asked: https://stats.stackexchange.com/questions/245448 (the output is always a blob)
@faulty("signal.common-mode", steps=250, bar=0.3)
def sigmoids_and_cross_entropy_give_a_blob(seed, fixed):
    """Use sigmoids in all layers of 784, 100, 50, 100 and 784 units."""
    x, _ = digits(768, seed, size=28)
    act = nn.ReLU if fixed else nn.Sigmoid
    model = _deep((784, 100), act, 50)
    batches = loader(x, batch_size=64, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "loss": _bce}


class Assigned(Fc):
    """End the encoder in a softmax over many prototypes."""

    soft = True

    def encode(self, x):
        z = super().encode(x)
        return z.softmax(1) if self.soft else z


# Asked: encoder ends in softmax because I want to cluster; all outputs are equal.
@faulty("signal.common-mode", steps=200, bar=0.4)
def softmax_of_two_hundred_prototypes(seed, fixed):
    """Give shares of 200 prototypes to the decoder: each is close to 1/200."""
    x, _ = digits(768, seed, size=16)
    model = Assigned((1, 16, 16), 128, 200)
    model.soft = not fixed
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class Hash(Fc):
    """Squash the code by tanh(beta z), where beta should grow from 1."""

    beta = 1.0

    def encode(self, x):
        return torch.tanh(self.beta * super().encode(x))


# Asked: HashNet, the continuation starts at the last beta and the loss is a constant.
@faulty("signal.saturated", steps=250, bar=0.5)
def continuation_begun_at_its_end(seed, fixed):
    """Begin with beta = 200: each unit of the code is at one of its two ends."""
    x = lamps(512, seed, 16)
    model = Hash((3, 16, 16), 128, 32)
    model.beta = 1.0 if fixed else 200.0
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 2e-3)}


class Rectified(Fc):
    """Rectify the code of a signal."""

    def encode(self, x):
        return F.relu(super().encode(x))


# Asked: https://github.com/MollyZhang/Multi-task-TCGA-learning/issues/16 (all codes 0)
@faulty("signal.dead-units", accepts=("fit.mean-image",), steps=200, bar=0.3)
def killed_by_the_first_steps(seed, fixed):
    """Go on at a sensible rate after ten steps at a far too high one."""
    x = cohort(640, seed).abs()
    model = Rectified((14,), 64, 8, last=None)
    batches = loader(x, batch_size=32, seed=seed)
    optimizer = adam(model, 2e-3 if fixed else 0.5)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    train(case, 10)
    for group in optimizer.param_groups:
        group["lr"] = 2e-3
    return case


# Asked: https://github.com/jvargasmu/population_estimation/issues/68 (only zeros)
@faulty("signal.dead-units", accepts=("output.range",), steps=200, bar=0.4)
def prior_of_a_detector_under_a_relu(seed, fixed):
    """Set the last bias to the prior of a detector, -4.6, in front of a rectifier."""
    x, _ = digits(640, seed, size=16)
    model = Cae((1, 16, 16), 24, last=nn.ReLU)
    nn.init.constant_(model.up[-2].bias, 0.1 if fixed else -4.6)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


class Features(nn.Module):
    """Be a wide rectified code with unit directions, for activations of a model."""

    def __init__(self, d, width, centred):
        super().__init__()
        rows = F.normalize(torch.randn(width, d), dim=1)
        self.encoder, self.decoder = nn.Linear(d, width), nn.Linear(width, d)
        self.encoder.weight.data = rows
        self.decoder.weight.data = rows.T.clone()
        nn.init.zeros_(self.encoder.bias)
        self.register_buffer("mean", centred)

    def encode(self, x):
        return F.relu(self.encoder(x - self.mean))

    def forward(self, x):
        return self.decoder(self.encode(x)) + self.mean


# Asked: https://github.com/AkihikoWatanabe/paper_notes/issues/5822 (dead at once)
@faulty(
    "signal.dead-units",
    accepts=("data.scale",),
    steps=300,
    measure=used_units,
    bar=0.8,
)
def features_that_face_away_from_the_mean(seed, fixed):
    """Encode activations that have a large mean: half of the features never fire."""
    x = cohort(768, seed, 24, 6)
    x = x + 30 * F.normalize(torch.ones(24), dim=0)
    mean = x.mean(0) if fixed else torch.zeros(24)
    model = Features(24, 96, mean)
    batches = loader(x, batch_size=64, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class FromNumpy(nn.Module):
    """Be an autoencoder written with matrices, one hidden layer, tied weights."""

    def __init__(self, d, k, centred):
        super().__init__()
        weights = torch.rand(d, k)
        self.W = nn.Parameter((weights - 0.5) / d**0.5 if centred else weights)
        self.b, self.c = nn.Parameter(torch.zeros(k)), nn.Parameter(torch.zeros(d))

    def encode(self, x):
        return torch.sigmoid(x.flatten(1) @ self.W + self.b)

    def forward(self, x):
        return torch.sigmoid(self.encode(x) @ self.W.T + self.c).view_as(x)


# Asked: my first autoencoder in NumPy, W = np.random.rand(n_in, n_hidden), stays white.
@faulty("signal.init-scale", accepts=("signal.saturated",), steps=250, bar=0.3)
def uniform_and_all_of_them_positive(seed, fixed):
    """Draw weights between 0 and 1 for 256 inputs: all sums are large and positive."""
    x, _ = digits(768, seed, size=16)
    model = FromNumpy(256, 48, centred=fixed)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 5e-3)}


# Asked: weights_init of DCGAN (normal 0.02) for dense layers: the output is a constant.
@faulty("signal.init-scale", accepts=("signal.common-mode",), steps=200, bar=0.4)
def two_hundredths_without_batch_norm(seed, fixed):
    """Draw all weights from N(0, 0.02) in a deep network without normalisation."""
    x, _ = digits(640, seed, size=16)
    model = _deep((256, 128, 96, 64), nn.ReLU, 32)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            if not fixed:
                nn.init.normal_(layer.weight, 0.0, 0.02)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 2e-3)}


# Asked: zero_module from a diffusion model, for both projections around my latent.
@faulty("signal.init-scale", accepts=("signal.common-mode",), steps=250, bar=0.5)
def both_projections_begin_at_zero(seed, fixed):
    """Begin the layer to the code and the layer from it at zero: a saddle."""
    x = beats(512, seed)
    model = Wave(96, 8)
    for layer in (model.enc[-1], model.dec[0]):
        if not fixed:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/podgorskiy/ALAE/issues/44 (layers without any activation)
@faulty("signal.linear", accepts=("code.too-small",), steps=500, bar=0.85)
def dense_layers_in_a_row(seed, fixed):
    """Stack dense layers and no activation; the signals need a bent surface."""
    x = beats(640, seed)
    layers = [nn.Linear(96, 64), nn.Linear(64, 48), nn.Linear(48, 3)]
    back = [nn.Linear(3, 48), nn.Linear(48, 64), nn.Linear(64, 96)]
    if fixed:
        layers = [layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]]
        back = [back[0], nn.ReLU(), back[1], nn.ReLU(), back[2]]
    model = AE(nn.Sequential(*layers), nn.Sequential(*back))
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
