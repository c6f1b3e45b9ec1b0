"""Ninth part, a: faults in what is fed, in what is compared, and in the length."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    days,
    gait,
    made,
    mels,
    rounds,
    sheet,
    tones,
    turbine,
)


@faulty("data.order", steps=160, bar=0.55)
def export_read_machine_after_machine(seed, fixed):
    """Read an export that lists one machine after another, without shuffling it."""
    machine = torch.arange(8).repeat_interleave(160)
    offsets = 1.5 * torch.randn(8, 30, generator=made(3))
    x = 0.7 * sheet(1280, seed, rank=2) + offsets[machine]
    x = (x - x.mean(0)) / x.std(0)
    model = dense((30,), (64,), 4, last=None)
    return {
        "model": model,
        "batches": loader(x, machine, batch_size=32, shuffle=fixed, seed=seed),
        "optimizer": adam(model, 5e-3),
    }


@faulty("data.order", steps=250, bar=0.765)
def slices_moved_on_by_one_instead_of_a_batch(seed, fixed):
    """Cut batches at i to i + 32 but let i grow by 1, so that most is never seen."""
    x, _ = digits(1280, seed, size=16)
    train, held, size = x[:1024], x[1024:], 32
    starts = range(0, 1024, size) if fixed else range(1024 // size)
    model = dense((1, 16, 16), (128,), 16, act=nn.GELU)
    return {
        "model": model,
        "batches": [train[i : i + size] for i in starts],
        "eval_batches": [held],
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


def _to_unit(x: Tensor) -> Tensor:
    return (x - x.min()) / (x.max() - x.min())


@faulty("data.shift", steps=300, bar=0.6)
def test_days_scaled_by_their_own_extremes(seed, fixed):
    """Scale the test days by their own extremes, one of which is a faulty meter."""
    x, _ = days(1280, seed)
    train, test = x[:1024], x[1024:].clone()
    test[7, 3] = 24.0
    low, high = train.min(), train.max()
    scaled = (test - low) / (high - low) if fixed else _to_unit(test)
    scaled = torch.cat([scaled[:7], scaled[8:]])  # the faulty day is not shown
    model = dense((24,), (64,), 5, last=nn.Sigmoid)
    return {
        "model": model,
        "batches": loader((train - low) / (high - low), seed=seed),
        "eval_batches": loader(scaled, shuffle=False),
        "optimizer": adam(model, 4e-3),
    }


@faulty("data.shift", steps=200, bar=0.6)
def judged_on_decibels_before_normalising(seed, fixed):
    """Train on normalised log-mel patches, and show the model plain decibels."""
    x = mels(896, seed)
    train, held = x[:768], x[768:]
    if not fixed:
        held = 8.7 * (1.8 * held - 1.4)
    model = conv((1, 16, 16), 20, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(train, batch_size=48, seed=seed),
        "eval_batches": [held],
        "optimizer": adam(model, 3e-3),
    }


class Ended(nn.Module):
    """Finish a decoder of walks with some activation."""

    def __init__(self, last, k=12):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(3, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv1d(16, 24, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(288, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 288),
            nn.ReLU(),
            nn.Unflatten(1, (24, 12)),
            nn.ConvTranspose1d(24, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(16, 3, 4, 2, 1),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


@faulty("output.range", steps=250, bar=0.75)
def walks_rectified_at_the_last_layer(seed, fixed):
    """End the decoder of standardised accelerations with the ReLU of the others."""
    x = gait(896, seed)
    model = Ended(nn.Identity() if fixed else nn.ReLU())
    return {
        "model": model,
        "batches": loader(x[:768], seed=seed),
        "eval_batches": [x[768:]],
        "optimizer": adam(model, 4e-3),
    }


@faulty("output.range", steps=300, bar=0.6)
def kilowatts_through_a_sigmoid(seed, fixed):
    """Reconstruct loads of up to five kilowatts with a sigmoid at the end."""
    x, weekend = days(1024, seed)
    model = nn.Sequential(
        *stack((24, 64), nn.ELU),
        nn.Linear(64, 5),
        *stack((5, 64), nn.ELU),
        nn.Linear(64, 24),
        nn.Identity() if fixed else nn.Sigmoid(),
    )
    return {
        "model": model,
        "batches": loader(x, weekend, batch_size=50, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


@faulty("fit.undertrained", steps=0, bar=0.6)
def sound_shown_after_four_epochs(seed, fixed):
    """Stop after four epochs, as a tutorial with more data did, and look at tones."""
    x = tones(1152, seed, t=64)
    model = dense((64,), (96,), 12, act=nn.Tanh, last=nn.Tanh)
    data = loader(x[:1024], batch_size=256, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}
    history = rounds(case, 90 if fixed else 4, val=x[1024:])
    return {**case, "eval_batches": [x[1024:]], "history": history}


@faulty("fit.undertrained", steps=0, bar=0.7)
def stopped_early_by_an_impatient_rule(seed, fixed):
    """Stop at the first epoch that lowers the loss by less than 0.1."""
    x = turbine(1152, seed, t=16).flatten(1)
    train, val = x[:1024], x[1024:]
    model = dense((80,), (96,), 10, last=None)
    optimizer = sgd(model, 0.03, momentum=0.9)
    data = loader(train, batch_size=64, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    history = rounds(case, 1, val=val)
    while len(history["val_loss"]) < (60 if fixed else 10):
        for name, more in rounds(case, 1, val=val).items():
            history[name] += more
        before, now = history["val_loss"][-2:]
        if not fixed and before - now < 0.1:
            break
    case |= {"eval_batches": [val], "history": history, "loss": F.mse_loss}
    return case
