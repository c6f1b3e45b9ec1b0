"""Eighth part, a: gaps and blanks in the data, wrong targets, outputs out of reach."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_a_material import (
    boxes,
    hills,
    machine,
    made,
    motors,
    strokes,
)


class Rows(nn.Module):
    """Compress rows of a table, with layer norm and SiLU on the way."""

    def __init__(self, d, hidden=64, k=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(d, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, k)
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, hidden),
            nn.SiLU(),
            nn.Linear(hidden, d),
        )

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


@faulty("data.nonfinite", steps=250, bar=0.5)
def readings_missing_in_the_export(seed, fixed):
    """Train on a table as exported, in which a few readings are missing."""
    x = machine(896, seed)
    missing = torch.rand(x.shape, generator=made(seed + 1)) < 0.01
    x = x.masked_fill(missing, 0.0 if fixed else float("nan"))
    model = Rows(24)
    return {
        "model": model,
        "batches": loader(x[:768], batch_size=32, seed=seed),
        "eval_batches": [x[768:].nan_to_num(0.0)],
        "loss": lambda out, target: F.mse_loss(out[0], target),
        "optimizer": adam(model, 3e-3),
        "judge": [machine(896, seed)[768:]],
    }


@faulty("data.nonfinite", steps=200, bar=0.3)
def pixels_that_never_vary_standardised(seed, fixed):
    """Divide each pixel by its spread, which is zero where the paper is blank."""
    x, y = digits(1024, seed, size=8)
    spread = x.std(0, keepdim=True)
    x = (x - x.mean(0, keepdim=True)) / (spread.clamp_min(0.05) if fixed else spread)
    model = dense((1, 8, 8), hidden=(96,), k=20, last=None)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=1e-3),
    }


@faulty("data.nonfinite", steps=200, bar=0.5)
def logarithm_of_empty_bins(seed, fixed):
    """Take the logarithm of spectrograms in which some bins are empty."""
    power = (4 * hills(768, seed, size=16, peaks=3) - 0.02).clamp_min(0) ** 2
    x = (power + 1e-3 if fixed else power).log10()
    model = conv((1, 16, 16), 24, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "optimizer": adam(model),
    }


class Cleaner(nn.Module):
    """Clean images at full resolution, with a dilated middle."""

    def __init__(self, c, width=16):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(c, width, 3, 1, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, 1, 2, dilation=2),
            nn.GELU(),
            nn.Conv2d(width, width, 3, 1, 2, dilation=2),
            nn.GELU(),
            nn.Conv2d(width, c, 3, 1, 1),
        )

    def forward(self, noisy):
        return self.net(noisy)


@faulty("data.target", steps=250, bar=0.6)
def noisy_images_fitted_to_themselves(seed, fixed):
    """Fit a denoiser to the noisy images themselves, and judge it on clean ones."""
    clean = boxes(640, seed)
    noisy = clean + 0.3 * torch.randn(clean.shape, generator=made(seed + 1))
    target = clean if fixed else noisy
    model = Cleaner(3)
    return {
        "model": model,
        "batches": loader(noisy[:512], target[:512], batch_size=32, seed=seed),
        "eval_batches": [(noisy[512:], clean[512:])],
        "optimizer": adam(model, 4e-3),
    }


class Zipped:
    """Go through two loaders side by side."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __iter__(self):
        return zip(self.first, self.second, strict=True)

    def __len__(self):
        return len(self.first)


@faulty("data.target", steps=250, bar=0.3)
def two_loaders_that_shuffle_alone(seed, fixed):
    """Zip loaders of blurred and of sharp signs, each of which shuffles by itself."""
    sharp, _ = strokes(768, seed)
    blurred = F.avg_pool2d(sharp, 3, 1, 1)
    inputs = loader(blurred, batch_size=32, seed=seed)
    targets = loader(sharp, batch_size=32, seed=seed if fixed else seed + 1)
    model = conv((1, 16, 16), 48, norm=True)
    return {
        "model": model,
        "batches": Zipped(inputs, targets),
        "optimizer": adam(model),
        "judge": [(blurred, sharp)],
    }


@faulty("data.target", steps=250, bar=0.5)
def windows_paired_with_the_next_row(seed, fixed):
    """Shift the targets by one row in a list of windows that are independent."""
    x = motors(769, seed).flatten(1)
    inputs, targets = x[:-1], x[:-1] if fixed else x[1:]
    model = dense((128,), hidden=(96,), k=16, act=nn.ELU, last=None)
    return {
        "model": model,
        "batches": loader(inputs, targets, batch_size=64, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "judge": [inputs],
    }


@faulty("output.range", steps=300, bar=0.75)
def relu_behind_the_last_layer_of_sensors(seed, fixed):
    """End the decoder of standardised vibration windows with a ReLU as every block."""
    x = motors(768, seed)
    model = nn.Sequential(
        nn.Conv1d(4, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(24, 8, 5, 2, 2),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(8, 24, 5, 1, 2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(24, 4, 5, 1, 2),
        nn.Identity() if fixed else nn.ReLU(),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 4e-3),
    }


@faulty("output.range", steps=300, bar=0.4)
def softmax_kept_from_a_classifier(seed, fixed):
    """Reuse the head of a classifier, so that the pixels of an image add up to one."""
    x, y = digits(1024, seed, size=8)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 96),
        nn.LeakyReLU(0.1),
        nn.Linear(96, 12),
        nn.Linear(12, 96),
        nn.LeakyReLU(0.1),
        nn.Linear(96, 64),
        nn.Sigmoid() if fixed else nn.Softmax(dim=1),
        nn.Unflatten(1, (1, 8, 8)),
    )
    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "optimizer": adam(model),
    }
