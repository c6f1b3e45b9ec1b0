"""Tenth part, a: wrong targets, scrambled axes, and judged on other data."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    beats,
    clients,
    columns,
    landscapes,
    made,
    sensors,
)


@faulty("data.target", steps=250, bar=0.4)
def noise_added_before_the_target_is_taken(seed, fixed):
    """Take the target of a denoiser from the variable that already has the noise."""
    clean = beats(768, seed)[:, None]
    drawn = made(seed + 1)
    model = nn.Sequential(
        nn.Conv1d(1, 24, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(24, 24, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(24, 1, 9, padding=4),
    )

    def noisy(batch):
        x = batch + 0.15 * torch.randn(batch.shape, generator=drawn)
        return x, batch if fixed else x

    held_back = beats(128, seed + 100)[:, None]
    noise = 0.15 * torch.randn(held_back.shape, generator=drawn)
    return {
        "model": model,
        "batches": loader(clean, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "pair": noisy,
        "judge": [(held_back + noise, held_back)],
    }


class Zipped:
    """Draw the inputs and the targets from a loader each."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __len__(self):
        return len(self.first)

    def __iter__(self):
        return iter(zip(self.first, self.second, strict=True))


@faulty("data.target", steps=250, bar=0.4)
def two_loaders_that_both_shuffle(seed, fixed):
    """Draw inputs and targets from two loaders, which both shuffle."""
    bright = landscapes(512, seed)
    noise = torch.randn(bright.shape, generator=made(seed + 1))
    dark = (0.3 * bright + 0.03 * noise).clamp(0, 1)
    model = conv((3, 16, 16), 32, 12)
    if fixed:
        batches = loader(dark, bright, batch_size=32, seed=seed)
    else:
        first = loader(dark, batch_size=32, seed=seed)
        batches = Zipped(first, loader(bright, batch_size=32, seed=seed + 1))
    return {
        "model": model,
        "batches": batches,
        "loss": nn.L1Loss(),
        "optimizer": adam(model, 3e-3),
        "judge": [(dark, bright)],
    }


def _local(c, code=4):
    """Return a convolutional autoencoder whose code is a small map."""
    return AE(
        nn.Sequential(
            nn.Conv2d(c, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, code, 1),
        ),
        nn.Sequential(
            nn.Conv2d(code, 32, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(16, c, 3, padding=1),
            nn.Sigmoid(),
        ),
    )


@faulty("data.layout", steps=250, bar=0.75)
def channels_last_array_reshaped_to_first(seed, fixed):
    """Reshape pictures (N, H, W, 3) to (N, 3, H, W) instead of permuting the axes."""
    stored = landscapes(384, seed, 16, 20).permute(0, 2, 3, 1).contiguous()
    if fixed:
        x = stored.permute(0, 3, 1, 2).contiguous()
    else:
        x = stored.reshape(-1, 3, 16, 20)
    model = _local(3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@faulty("data.layout", steps=250, bar=0.8)
def time_and_channels_swapped_by_view(seed, fixed):
    """Turn windows (N, T, C) into (N, C, T) by view instead of transpose."""
    x = sensors(640, seed, t=48, c=6)
    x = x.transpose(1, 2).contiguous() if fixed else x.view(-1, 6, 48)
    model = AE(
        nn.Sequential(
            nn.Conv1d(6, 24, 5, 2, 2),
            nn.GELU(),
            nn.Conv1d(24, 24, 5, 2, 2),
            nn.GELU(),
            nn.Conv1d(24, 4, 1),
        ),
        nn.Sequential(
            nn.Conv1d(4, 24, 3, padding=1),
            nn.GELU(),
            nn.Upsample(scale_factor=2, mode="linear"),
            nn.Conv1d(24, 24, 5, padding=2),
            nn.GELU(),
            nn.Upsample(scale_factor=2, mode="linear"),
            nn.Conv1d(24, 6, 5, padding=2),
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 5e-3),
    }


@faulty("data.shift", steps=200, bar=0.5)
def blue_first_when_it_is_shown(seed, fixed):
    """Train on pictures in RGB and show it on pictures read in BGR."""
    x, shown = landscapes(640, seed), landscapes(128, seed + 100)
    model = dense((3, 16, 16), (128,), 12)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(shown if fixed else shown.flip(1), shuffle=False),
    }


@faulty("data.shift", steps=300, bar=0.5)
def test_rows_scaled_by_another_scaler(seed, fixed):
    """Standardise the training rows, and scale the test rows to [0, 1]."""
    rows = clients(1280, seed)
    train, test = rows[:1024], rows[1024:]
    low, high = test.amin(0), test.amax(0)
    scaled = (test - low) / (high - low)
    if fixed:
        scaled = (test - train.mean(0)) / train.std(0)
    encoder = nn.Sequential(*stack((12, 64), nn.SiLU), nn.Linear(64, 4))
    decoder = nn.Sequential(*stack((4, 64), nn.SiLU), nn.Linear(64, 12))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(columns(train), batch_size=64, seed=seed),
        "loss": F.smooth_l1_loss,
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(scaled, shuffle=False),
    }
