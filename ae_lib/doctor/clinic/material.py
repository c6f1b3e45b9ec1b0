"""Small data for the clinic, made or loaded in milliseconds, the same for each seed.

All images are float32 in [0, 1], shape (N, C, S, S), in random order.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ae_lib.data import load


def _shuffle(seed: int, *columns: Tensor) -> tuple[Tensor, ...]:
    order = torch.randperm(len(columns[0]), generator=_made(seed))
    return tuple(column[order] for column in columns)


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    return images, torch.tensor(labels)


@cache
def _photos() -> list[Tensor]:
    from sklearn.datasets import load_sample_images

    rows = [torch.tensor(a).permute(2, 0, 1) / 255 for a in load_sample_images().images]
    return [F.avg_pool2d(row[None], 4)[0] for row in rows]  # (3, 106, 160)


def digits(n: int = 512, seed: int = 0, size: int = 28) -> tuple[Tensor, Tensor]:
    """Return handwritten digits (n, 1, size, size) and labels; at most 1797."""
    images, labels = (column[:n] for column in _shuffle(seed, *_digits()))
    if size != 8:
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    return images, labels


def patches(n: int = 512, seed: int = 0, size: int = 16) -> Tensor:
    """Return colour cut-outs (n, 3, size, size) of two photographs."""
    made, rows = _made(seed), []
    for i in range(n):
        photo = _photos()[i % 2]
        _, height, width = photo.shape
        top = int(torch.randint(height - size, (), generator=made))
        left = int(torch.randint(width - size, (), generator=made))
        rows.append(photo[:, top : top + size, left : left + size])
    return _shuffle(seed, torch.stack(rows))[0].contiguous()


@cache
def scenes(n: int = 512, seed: int = 0, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return drawn colour scenes (n, 3, size, size) and the class of their figure."""
    images = load("shapes", limit=n, size=size, seed=seed)
    return images.unit(), images.labels


def waves(n: int = 512, seed: int = 0, d: int = 64) -> Tensor:
    """Return sine waves (n, d) in [-1, 1] of random frequency and phase."""
    made = _made(seed)
    frequency = 1 + 2 * torch.rand(n, 1, generator=made)
    phase = torch.rand(n, 1, generator=made)
    time = torch.linspace(0, 1, d)
    return torch.sin(2 * torch.pi * (frequency * time + phase))


def table(n: int = 512, seed: int = 0, d: int = 20, rank: int = 5) -> Tensor:
    """Return rows (n, d) of `rank` causes and a little noise, columns N(0, 1)."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    x = causes @ torch.randn(rank, d, generator=made)
    x = x + 0.1 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def loader(
    x: Tensor,
    y: Tensor | None = None,
    *,
    batch_size: int = 64,
    shuffle: bool = True,
    seed: int = 0,
) -> DataLoader:
    """Return a loader of x, or of (x, y); shuffled, of a fresh order each time."""
    rows = x if y is None else TensorDataset(x, y)
    return DataLoader(rows, batch_size, shuffle=shuffle, generator=_made(seed))


def standardise(x: Tensor) -> Tensor:
    """Return x with mean 0 and standard deviation 1 over all its values."""
    return (x - x.mean()) / x.std()
