"""Eleventh part, j: small synthetic data, made in milliseconds."""

import torch
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 + seed)


def peaks(n: int, seed: int, d: int = 64) -> Tensor:
    """Return curves (n, d) in [0, 1]: one peak of random place, width and height."""
    place, width, height = torch.rand(3, n, 1, generator=_made(seed))
    t = torch.linspace(0, 1, d)
    bell = torch.exp(-0.5 * ((t - 0.1 - 0.8 * place) / (0.06 + 0.06 * width)) ** 2)
    return (0.6 + 0.4 * height) * bell


def bars(n: int, seed: int, size: int = 16) -> Tensor:
    """Return images (n, 1, size, size) in [0, 1]: a soft bar, tilted and shifted."""
    angle, shift, glow = torch.rand(3, n, 1, 1, generator=_made(seed))
    angle = torch.pi * angle
    line = torch.linspace(-1, 1, size)
    row, column = line.view(1, -1, 1), line.view(1, 1, -1)
    away = row * angle.cos() + column * angle.sin() - 0.8 * (shift - 0.5)
    return ((0.7 + 0.3 * glow) * torch.exp(-0.5 * (away / 0.2) ** 2))[:, None]


def panel(n: int, seed: int, d: int = 30, rank: int = 10) -> Tensor:
    """Return a standardised table (n, d) of `rank` causes of about equal strength."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    weights = torch.linalg.qr(torch.randn(d, rank, generator=made))[0]
    x = causes @ weights.T + 0.03 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def chords(n: int, seed: int, t: int = 48, notes: int = 8) -> Tensor:
    """Return audio-like frames (n, t): eight tones of independent loudness."""
    made = _made(seed)
    loud = torch.randn(n, notes, generator=made)
    time = torch.linspace(0, 1, t)
    tones = torch.sin(torch.pi * torch.arange(1, notes + 1)[:, None] * time)
    x = loud @ tones + 0.05 * torch.randn(n, t, generator=made)
    return x / x.std()


def clouds(n: int, seed: int, size: int = 16, blobs: int = 3) -> Tensor:
    """Return images (n, 1, size, size) in [0, 1]: a few overlapping soft blobs."""
    made = _made(seed)
    place = 1.4 * torch.rand(n, blobs, 2, generator=made) - 0.7
    glow = 0.5 + 0.5 * torch.rand(n, blobs, 1, 1, generator=made)
    line = torch.linspace(-1, 1, size)
    row, column = place.unbind(-1)
    away = (line.view(1, 1, -1, 1) - row[..., None, None]) ** 2
    away = away + (line - column[..., None, None]) ** 2
    return (glow * torch.exp(-away / 0.15)).sum(1, keepdim=True).clamp(0, 1)


def strides(n: int, seed: int, t: int = 20) -> Tensor:
    """Return series (n, t, 3) in about [-1, 1] that differ by their pace alone."""
    made = _made(seed)
    pace = 0.5 + 1.0 * torch.rand(n, 1, generator=made)
    time = 3 * torch.linspace(0, 1, t) * pace
    x = torch.stack([torch.sin(time), torch.cos(time), torch.tanh(time - 1)], -1)
    return x + 0.03 * torch.randn(n, t, 3, generator=made)
