"""Tenth part, g: spectra, tides, discs, tiles and footprints, drawn from a seed."""

import torch
from torch import Tensor

from ae_lib.doctor.clinic.measures import train


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for the seed."""
    return torch.Generator().manual_seed(7100 + seed)


def spectra(n: int = 1024, seed: int = 0, d: int = 96) -> Tensor:
    """Return rows (n, d) of six lines of changing height on a slope, standardised."""
    drawn = made(seed)
    grid = torch.linspace(0, 1, d)
    centres = torch.tensor([0.12, 0.27, 0.4, 0.58, 0.74, 0.9])
    heights = torch.rand(n, 6, 1, generator=drawn)
    moved = 0.03 * (torch.rand(n, 1, 1, generator=drawn) - 0.5)
    lines = heights * torch.exp(-((grid - centres[:, None] - moved) ** 2) / 0.0012)
    slope = torch.rand(n, 1, generator=drawn) * grid
    x = lines.sum(1) + slope + 0.01 * torch.randn(n, d, generator=drawn)
    return (x - x.mean(0)) / x.std()


def tides(n: int = 1024, seed: int = 0, t: int = 24) -> Tensor:
    """Return series (n, t, 2) of two coupled swings with a trend, about N(0, 1)."""
    drawn = made(seed)
    time = torch.linspace(0, 1, t)
    rate, phase, lift, size = torch.rand(4, n, 1, generator=drawn)
    angle = 2 * torch.pi * ((0.6 + rate) * time + phase)
    level = 2 * (lift - 0.5) * time
    first = (0.6 + size) * torch.sin(angle) + level
    second = (0.6 + size) * torch.cos(angle) - level
    x = torch.stack([first, second], 2)
    x = x + 0.03 * torch.randn(x.shape, generator=drawn)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def discs(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return grey images (n, 1, size, size) of a soft ellipse on a shaded ground."""
    drawn = made(seed)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    cx, cy, a, b, dark = torch.rand(5, n, 1, 1, generator=drawn)
    far = ((x - cx + 0.5) / (0.35 + 0.4 * a)) ** 2
    far = far + ((y - cy + 0.5) / (0.35 + 0.4 * b)) ** 2
    ground = 0.15 + 0.15 * dark * (1 + x)
    image = ground + 0.6 * torch.sigmoid(5 * (1 - far))
    image = image + 0.01 * torch.randn(image.shape, generator=drawn)
    return image.clamp(0, 1)[:, None]


def tiles(n: int = 768, seed: int = 0, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return colour images (n, 3, size, size) of four lit corners, and the brightest.

    Each corner has a colour of its own and the light between them is blended.
    """
    drawn = made(seed)
    corners = torch.rand(n, 3, 2, 2, generator=drawn)
    x = torch.nn.functional.interpolate(
        corners, size=size, mode="bilinear", align_corners=True
    )
    x = x + 0.02 * torch.randn(x.shape, generator=drawn)
    return x.clamp(0, 1), corners.mean(1).flatten(1).argmax(1)


def footprints(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return binary masks (n, 1, size, size) of one box with a wing to its right."""
    drawn = made(seed)
    y, x = torch.meshgrid(*[torch.linspace(0, 1, size)] * 2, indexing="ij")
    left, top, wide, high, wing = torch.rand(5, n, 1, 1, generator=drawn)
    left, top = 0.05 + 0.25 * left, 0.05 + 0.3 * top
    right, low = left + 0.25 + 0.2 * wide, top + 0.35 + 0.25 * high
    body = (x > left) & (x < right) & (y > top) & (y < low)
    arm = (x >= right) & (x < right + 0.1 + 0.2 * wing) & (y > low - 0.25) & (y < low)
    return (body | arm).float()[:, None]


def epochs(case: dict, count: int, val: Tensor | None = None) -> dict:
    """Train whole epochs; return the mean training loss and validation loss of each."""
    history: dict[str, list[float]] = {"train_loss": []}
    for _ in range(count):
        losses = train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        if val is not None:
            history.setdefault("val_loss", []).append(score(case, val))
    return history


def score(case: dict, val: Tensor) -> float:
    """Return the program's loss on held-out rows, in eval mode."""
    model = case["model"]
    model.eval()
    with torch.no_grad():
        loss = case["loss"](model(val), val).item()
    model.train()
    return loss
