"""Healthy programs: denoisers whose noise is strong, and right so."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import beats


class DenoisingAE(nn.Module):
    """Two strides down and two up."""

    def __init__(self, c=1, w=16):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(c, w, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.up = nn.Sequential(
            nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(w, c, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.up(self.down(x))


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def digits_under_half_a_range_of_noise(seed):
    """Denoise digits from Gaussian noise of half their range, as in the tutorials."""
    x, _ = digits(768, seed, 28)
    noisy = x + 0.5 * torch.randn_like(x)
    model = DenoisingAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "pair": lambda b: ((b + 0.5 * torch.randn_like(b)).clamp(0, 1), b),
        "judge": [(noisy.clamp(0, 1), x)],
    }


class DropsItsInput(nn.Module):
    """A dense model that drops pixels on entry."""

    def __init__(self, d=784):
        super().__init__()
        self.corrupt = nn.Dropout(0.5)
        self.encoder = nn.Sequential(nn.Linear(d, 200), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(200, d), nn.Sigmoid())

    def forward(self, x):
        h = self.corrupt(x.flatten(1))
        return self.decoder(self.encoder(h)).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.6)
def half_of_the_pixels_dropped_on_entry(seed):
    """Drop half of the input pixels in training and rebuild the whole digit."""
    x, _ = digits(1024, seed, 28)
    model = DropsItsInput()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": optimizer,
    }


def hide_cells(x, share=0.5, cell=4):
    """Return the images with a share of their cells at zero."""
    n, _, h, w = x.shape
    keep = (torch.rand(n, 1, h // cell, w // cell) > share).float()
    return x * F.interpolate(keep, scale_factor=cell)


# Asked: after the list in doctor.md
@healthy(steps=220, bar=0.45)
def half_of_the_cells_hidden(seed):
    """Hide half of the 4 x 4 cells of every scene and ask for the whole scene."""
    x, _ = scenes(640, seed, 24)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(24, 48, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(48, 48, 3, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(48, 24, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(24, 3, 4, 2, 1),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "pair": lambda b: (hide_cells(b), b),
        "judge": [(hide_cells(x), x)],
    }


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def waves_as_loud_as_their_noise(seed):
    """Denoise sine waves whose noise is as strong as the wave, with wide filters."""
    x = waves(768, seed, 64)[:, None]
    model = nn.Sequential(
        nn.Conv1d(1, 24, 9, padding=4),
        nn.LeakyReLU(0.1),
        nn.Conv1d(24, 24, 9, padding=4, stride=2),
        nn.LeakyReLU(0.1),
        nn.Conv1d(24, 24, 9, padding=4),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose1d(24, 1, 8, stride=2, padding=3),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def pair(batch):
        return batch + 0.7 * torch.randn_like(batch), batch

    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "optimizer": optimizer,
        "pair": pair,
        "judge": [pair(x)],
    }


class Residual(nn.Module):
    """A network that predicts the noise."""

    def __init__(self, c=3, w=16):
        super().__init__()
        layers = [nn.Conv2d(c, w, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(w, c, 3, padding=1))

    def forward(self, noisy):
        return noisy - self.body(noisy)


# Asked: after the list in doctor.md
@healthy(steps=160, bar=0.5)
def noise_predicted_and_taken_away(seed):
    """Ask a network to predict strong noise of photographs and subtract it."""
    x = patches(448, seed, 16)

    def pair(batch):
        return batch + 0.25 * torch.randn_like(batch), batch

    model = Residual()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "pair": pair,
        "judge": [pair(x)],
    }


# Asked: after the list in doctor.md
@healthy(steps=220, bar=0.6)
def heart_beats_with_stored_noise(seed):
    """Load pairs of noisy and clean heart beats that were saved to disk."""
    clean = beats(640, seed)
    noisy = clean + 0.3 * torch.randn_like(clean)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(96, 64),
        nn.ELU(),
        nn.Linear(64, 12),
        nn.ELU(),
        nn.Linear(12, 64),
        nn.ELU(),
        nn.Linear(64, 96),
        nn.Unflatten(1, (1, 96)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(noisy, clean, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}
