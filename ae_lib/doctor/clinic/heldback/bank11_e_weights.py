"""Eleventh part, e: weights of a wrong size, lost bends and codes too narrow."""

import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_e_material import (
    clouds,
    mixtures,
    needles,
    panels,
    pulses,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("signal.dead-units", accepts=("signal.init-scale",), steps=300, bar=0.6)
def checkpoint_after_a_night_at_a_wild_rate(seed, fixed):
    """Go on, at a sane rate, from a checkpoint whose rate had killed its units."""
    x = mixtures(1024, seed)
    encoder = nn.Sequential(*stack((60, 64)), nn.Linear(64, 10))
    decoder = nn.Sequential(*stack((10, 64)), nn.Linear(64, 60))
    model = AE(encoder, decoder)
    batches = loader(x, batch_size=32, seed=seed)
    rate = 1e-3 if fixed else 0.2
    train({"model": model, "batches": batches, "optimizer": adam(model, rate)}, 30)
    return {
        "model": model,
        "batches": batches,
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("signal.init-scale", steps=400, bar=0.85)
def standard_normal_weights_for_a_series_network(seed, fixed):
    """Draw all weights from N(0, 1) in a loop over the parameters."""
    x = pulses(1024, seed)[:, None]
    encoder = nn.Sequential(
        nn.Conv1d(1, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(16, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 6),
    )
    decoder = nn.Sequential(
        *stack((6, 64, 128)), nn.Linear(128, 48), nn.Unflatten(1, (1, 48))
    )
    model = AE(encoder, decoder)
    if not fixed:
        for p in model.parameters():
            nn.init.normal_(p)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("signal.init-scale", steps=400, bar=0.6)
def every_weight_the_same_two_hundredths(seed, fixed):
    """Set all weights to 0.02, so that a run can be repeated without a seed."""
    x = needles(768, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 128), nn.GELU))
    encoder.append(nn.Linear(128, 8))
    decoder = nn.Sequential(*stack((8, 128), nn.GELU), nn.Linear(128, 256))
    decoder.append(nn.Unflatten(1, (1, 16, 16)))
    model = AE(encoder, decoder)
    if not fixed:
        for part in model.modules():
            if isinstance(part, nn.Linear):
                nn.init.constant_(part.weight, 0.02)
                nn.init.zeros_(part.bias)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


BENDS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


@faulty("signal.linear", accepts=("code.too-small",), steps=500, bar=0.9)
def bend_looked_up_under_a_name_that_is_not_there(seed, fixed):
    """Look "ReLU" up in a table of lower-case names that falls back on nothing."""
    settings = {"act": "relu" if fixed else "ReLU", "code": 3}
    act = BENDS.get(settings["act"], nn.Identity)
    x = pulses(1024, seed)
    model = AE(
        nn.Sequential(*stack((48, 96, 64), act), nn.Linear(64, settings["code"])),
        nn.Sequential(*stack((settings["code"], 64, 96), act), nn.Linear(96, 48)),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Clock(nn.Module):
    """Read a clock hand by convolutions, and draw it again."""

    def __init__(self, forgetful: bool):
        super().__init__()
        self.forgetful = forgetful
        self.c1, self.c2 = nn.Conv2d(1, 16, 4, 2, 1), nn.Conv2d(16, 32, 4, 2, 1)
        self.neck = nn.Linear(512, 4)
        self.f1, self.f2 = nn.Linear(4, 512), nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.f3 = nn.ConvTranspose2d(16, 1, 4, 2, 1)

    def bend(self, h: Tensor) -> Tensor:
        bent = F.leaky_relu(h, 0.1)
        return h if self.forgetful else bent

    def encode(self, x: Tensor) -> Tensor:
        h = self.bend(self.c1(x))
        h = self.bend(self.c2(h))
        return self.neck(h.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.bend(self.f1(self.encode(x))).view(-1, 32, 4, 4)
        return self.f3(self.bend(self.f2(h)))


@faulty("signal.linear", accepts=("code.too-small",), steps=600, bar=0.85)
def result_of_the_bend_thrown_away(seed, fixed):
    """Call the activation function and go on with what was put into it."""
    model = Clock(forgetful=not fixed)
    return {
        "model": model,
        "batches": loader(needles(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("code.too-small", steps=500, bar=0.7)
def two_numbers_for_a_plot_of_twelve_causes(seed, fixed):
    """Code forty columns by two numbers because two can be plotted."""
    x = panels(1024, seed)
    k = 14 if fixed else 2
    model = AE(
        nn.Sequential(*stack((40, 64), nn.SiLU), nn.Linear(64, k)),
        nn.Sequential(*stack((k, 64), nn.SiLU), nn.Linear(64, 40)),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("code.too-small", steps=500, bar=0.7)
def strides_down_to_one_place_of_three_channels(seed, fixed):
    """Stride four times down to a single place, and keep three channels there."""
    x = clouds(768, seed, rough=5)
    k = 32 if fixed else 3
    act = nn.LeakyReLU
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        act(0.1),
        nn.Conv2d(16, 32, 4, 2, 1),
        act(0.1),
        nn.Conv2d(32, 64, 4, 2, 1),
        act(0.1),
        nn.Conv2d(64, k, 2),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(k, 64, 4),
        act(0.1),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
        act(0.1),
        nn.ConvTranspose2d(32, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_normal_(part.weight, 1.4)
            nn.init.zeros_(part.bias)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }
