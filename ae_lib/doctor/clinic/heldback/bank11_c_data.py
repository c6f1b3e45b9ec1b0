"""Eleventh part, c: faults of the data, one of each kind, and right oddities."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_c_material import glows, plant, pulses
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty, healthy


@faulty("data.nonfinite", steps=400, bar=0.5)
def lost_plant_readings_left_as_nan(seed, fixed):
    """Leave the readings that a logger lost as NaN in the table."""
    x = plant(1024, seed)
    x[torch.rand_like(x) < 0.01] = float("nan")
    if fixed:
        x = torch.where(x.isnan(), x.nanmean(0), x)
    model = dense((16,), (64,), 6, last=None)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.scale", steps=400, bar=0.5)
def pascals_and_kelvins_straight_from_the_logger(seed, fixed):
    """Feed pressures, temperatures and currents in the units of the logger."""
    x = plant(1024, seed)
    if not fixed:
        spread = torch.tensor([900.0, 12.0, 0.3, 40.0]).repeat(4)
        x = torch.tensor([101325.0, 290.0, 2.0, 1500.0]).repeat(4) + spread * x
    model = dense((16,), (64,), 6, act=nn.ELU, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.order", steps=480, bar=0.7)
def pulses_filed_by_the_time_of_their_peak(seed, fixed):
    """Read files sorted by the time of the peak, and forget to shuffle."""
    x = pulses(1024, seed)
    filed = x[x.argmax(1).argsort()]
    model = dense((48,), (96,), 8, last=None)
    return {
        "model": model,
        "batches": loader(filed, batch_size=32, shuffle=fixed, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "judge": [x],
    }


@faulty("data.target", steps=400, bar=0.5)
def noisy_and_clean_shuffled_apart(seed, fixed):
    """Zip a loader of noisy and one of clean series that shuffle independently."""
    clean = pulses(1024, seed)
    noisy = clean + 0.2 * torch.randn_like(clean)
    other = clean if fixed else clean[torch.randperm(1024)]
    model = dense((48,), (96,), 8, last=None)
    return {
        "model": model,
        "batches": loader(noisy, other, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "judge": [(noisy, clean)],
    }


@faulty("data.layout", steps=300, bar=0.7)
def last_axis_of_colours_viewed_as_the_first(seed, fixed):
    """Get arrays with the channels last, and view them as channels first."""
    stored = glows(768, seed).permute(0, 2, 3, 1).contiguous()
    x = stored.permute(0, 3, 1, 2) if fixed else stored.view(-1, 3, 16, 16)
    model = conv((3, 16, 16), 12, 12, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(x.contiguous(), batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "judge": [stored.permute(0, 3, 1, 2).contiguous()],
    }


@faulty("data.shift", steps=300, bar=0.6)
def demonstrated_without_the_training_transform(seed, fixed):
    """Train on glows in [-1, 1], and demonstrate on new ones left in [0, 1]."""
    x = glows(960, seed)
    new = x[768:] * 2 - 1 if fixed else x[768:]
    model = conv((3, 16, 16), 12, 12, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(x[:768] * 2 - 1, batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(new, shuffle=False),
    }


class Units(nn.Module):
    """Standardise inside the model, and give the outputs back in their units."""

    def __init__(self, core: AE, x: Tensor):
        super().__init__()
        self.core = core
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("std", x.std(0))

    def encode(self, x: Tensor) -> Tensor:
        return self.core.encode((x - self.mean) / self.std)

    def forward(self, x: Tensor) -> Tensor:
        return self.core.decode(self.encode(x)) * self.std + self.mean


@healthy(steps=400, bar=0.9)
def kelvins_standardised_inside_the_model(seed):
    """Feed kelvins; the model standardises, and the loss divides by the spread."""
    x = 290 + 12 * plant(1024, seed)
    model = Units(dense((16,), (64,), 6, last=None), x)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": lambda output, target: F.mse_loss(output, target) / 144,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.9)
def random_recordings_in_a_fixed_order(seed):
    """Leave the order of a table alone that is random already."""
    x = pulses(1024, seed)
    model = dense((48,), (96,), 8, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, shuffle=False),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.9)
def clean_pulses_asked_of_noisy_ones(seed):
    """Store noisy series with the clean ones of the same rows as their targets."""
    clean = pulses(1024, seed)
    noisy = clean + 0.2 * torch.randn_like(clean)
    model = dense((48,), (96,), 8, last=None)
    return {
        "model": model,
        "batches": loader(noisy, clean, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.nonfinite", steps=400, bar=0.5)
def logarithm_of_bins_that_counted_nothing(seed, fixed):
    """Take the logarithm of series in which quiet bins are exactly zero."""
    x = 20 * pulses(1024, seed)
    x = x.round()
    x = torch.log1p(x) if fixed else torch.log(x)
    model = dense((48,), (96,), 8, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.shift", steps=400, bar=0.5)
def new_series_scored_in_millivolts(seed, fixed):
    """Train on series in volts, and score new ones that come in millivolts."""
    x = pulses(1280, seed)
    new = x[1024:] if fixed else 1000 * x[1024:] + 150
    model = dense((48,), (96,), 8, act=nn.Tanh, last=None)
    return {
        "model": model,
        "batches": loader(x[:1024], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(new, shuffle=False),
    }
