"""Eighth part, c: faults of the data, mostly of series."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    landscapes,
    loads,
    machine,
    made,
    process,
    songs,
    tones,
)


def series(c: int, t: int, k: int = 8, width: int = 24) -> nn.Sequential:
    """Return a 1-d convolutional autoencoder with a dense code of k units."""
    wide = width * t // 4
    return nn.Sequential(
        nn.Conv1d(c, width, 5, 2, 2),
        nn.GELU(),
        nn.Conv1d(width, width, 5, 2, 2),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(wide, k),
        nn.Linear(k, wide),
        nn.GELU(),
        nn.Unflatten(1, (width, t // 4)),
        nn.ConvTranspose1d(width, width, 4, 2, 1),
        nn.GELU(),
        nn.ConvTranspose1d(width, c, 4, 2, 1),
    )


@faulty("data.order", steps=36, bar=0.68)
def a_year_of_load_curves_in_the_order_of_the_calendar(seed, fixed):
    """Train on daily load curves of a year from January on, without shuffling."""
    x, _ = loads(730, seed)
    x = (x - x.mean(0)) / x.std(0)
    model = dense((24,), hidden=(64,), k=4, act=nn.ELU, last=None)
    data = DataLoader(x, batch_size=20, shuffle=fixed, generator=made(seed))
    return {
        "model": model,
        "batches": data,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "judge": [x],
    }


@faulty("data.order", steps=300, bar=0.8)
def batches_begin_at_the_number_of_the_batch(seed, fixed):
    """Cut batch i from row i, not from row i times the size; few rows are seen."""
    x = process(640, seed, d=40, rank=8)
    train, test = x[:512], x[512:]
    size = 32
    starts = [i * size if fixed else i for i in range(len(train) // size)]
    model = dense((40,), k=8, last=None)
    return {
        "model": model,
        "batches": [train[s : s + size] for s in starts],
        "eval_batches": [test],
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("data.shift", steps=250, bar=0.5)
def windows_standardised_only_by_the_training_script(seed, fixed):
    """Standardise each window for training, and show the model windows in volts."""
    units = torch.tensor([[12.0], [2.0], [0.3]])
    volts = machine(1024, seed, c=3) * units + torch.tensor([[50.0], [8.0], [0.5]])

    def standard(x: Tensor) -> Tensor:
        return (x - x.mean(2, keepdim=True)) / (x.std(2, keepdim=True) + 1e-6)

    model = series(3, 32)
    train, test = standard(volts[:896]), volts[896:]
    return {
        "model": model,
        "batches": loader(train, seed=seed),
        "eval_batches": [standard(test) if fixed else test],
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.shift", steps=300, bar=0.6)
def pictures_of_another_reader_have_blue_first(seed, fixed):
    """Train on red, green, blue and show pictures read as blue, green, red."""
    x = landscapes(896, seed)
    model = conv((3, 16, 16), k=6, act=nn.GELU)
    test = x[768:] if fixed else x[768:].flip(1)
    return {
        "model": model,
        "batches": loader(x[:768], seed=seed),
        "eval_batches": loader(test, shuffle=False),
        "loss": F.mse_loss,
        "optimizer": adam(model),
    }


def noisy_pairs(x: Tensor, spoil, seed: int, batch_size: int = 64) -> DataLoader:
    """Return a loader of (spoilt, clean), spoilt afresh in every batch."""
    g = made(seed + 1)

    def collate(rows):
        clean = torch.stack(rows)
        return spoil(clean, g), clean

    return DataLoader(x, batch_size, True, collate_fn=collate, generator=made(seed))


@faulty("noise.too-strong", steps=250, bar=0.45)
def noise_factor_of_four_for_spectrograms(seed, fixed):
    """Add noise with a standard deviation of 4 to spectrograms between 0 and 1."""
    x = songs(896, seed)
    factor = 0.4 if fixed else 4.0

    def spoil(clean, g):
        return clean + factor * torch.randn(clean.shape, generator=g)

    model = conv((1, 16, 16), k=24, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": noisy_pairs(x, spoil, seed),
        "optimizer": adam(model),
    }


@faulty("noise.too-strong", steps=300, bar=0.6)
def share_to_keep_taken_for_share_to_drop(seed, fixed):
    """Hide 97 of 100 samples of a note where 97 of 100 were to be kept."""
    x = 2 * tones(1024, seed)

    def spoil(clean, g):
        draw = torch.rand(clean.shape, generator=g)
        return clean * ((draw < 0.97) if fixed else (draw > 0.97))

    model = series(1, 64, k=10)
    return {
        "model": model,
        "batches": noisy_pairs(x, spoil, seed),
        "loss": nn.SmoothL1Loss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


@faulty("data.scale", steps=200, bar=0.4)
def pascals_and_revolutions_as_the_plant_logs_them(seed, fixed):
    """Feed revolutions, degrees, amperes and hectopascals without scaling a column."""
    x = machine(1024, seed)
    if not fixed:
        spread = torch.tensor([[60.0], [4.0], [1.5], [8.0]])
        x = x * spread + torch.tensor([[1480.0], [71.0], [12.0], [1013.0]])
    model = series(4, 32)
    return {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "eval_batches": [x[896:]],
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
    }


@faulty("data.layout", steps=300, bar=0.88)
def axes_of_a_window_reshaped_for_conv1d(seed, fixed):
    """Reshape windows of (time, sensor) to (sensor, time) for a 1-d convolution."""
    rows = machine(1024, seed, t=48, c=6).transpose(1, 2).contiguous()
    x = rows.permute(0, 2, 1) if fixed else rows.reshape(-1, 6, 48)
    model = nn.Sequential(
        nn.Conv1d(6, 24, 7, 2, 3),
        nn.ReLU(),
        nn.Conv1d(24, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(24, 2, 3, 2, 1),  # (B, 2, 6)
        nn.ConvTranspose1d(2, 24, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose1d(24, 24, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose1d(24, 6, 4, 2, 1),
    )
    return {
        "model": model,
        "batches": loader(x.contiguous(), seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Side:
    """Walk through two loaders side by side, once an epoch."""

    def __init__(self, *loaders):
        self.loaders = loaders

    def __iter__(self):
        return zip(*self.loaders, strict=True)

    def __len__(self):
        return len(self.loaders[0])


@faulty("data.target", steps=250, bar=0.4)
def clean_and_noisy_notes_shuffled_apart(seed, fixed):
    """Load noisy and clean notes with a loader each, and each shuffles for itself."""
    x = 2 * tones(1024, seed)
    noisy = x + 0.2 * torch.randn(x.shape, generator=made(seed + 1))
    model = series(1, 64, k=10)
    apart = seed if fixed else seed + 2
    return {
        "model": model,
        "batches": Side(loader(noisy, seed=seed), loader(x, seed=apart)),
        "loss": nn.L1Loss(),
        "optimizer": adam(model, 3e-3),
        "judge": [(noisy, x)],
    }
