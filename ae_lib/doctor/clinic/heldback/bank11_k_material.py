"""Eleventh part, k: drawn pictures and series, made from a seed in milliseconds."""

import math

import torch
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(7000 + seed)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    line = torch.linspace(-1, 1, size)
    return torch.meshgrid(line, line, indexing="ij")


def lagoons(n: int, seed: int, size: int = 16, c: int = 3) -> Tensor:
    """Return coloured maps (n, c, size, size) in [0, 1], two hills on a slope."""
    made = _made(seed)
    row, column = _grid(size)
    spot = 1.4 * torch.rand(n, 2, 2, 1, 1, generator=made) - 0.7
    wide = 0.3 + 0.3 * torch.rand(n, 2, 1, 1, generator=made)
    far = (row - spot[:, :, 0]).square() + (column - spot[:, :, 1]).square()
    hills = torch.exp(-far / wide.square())  # (n, 2, size, size)
    lean = torch.randn(n, 2, 1, 1, generator=made) * 0.3
    slope = (lean[:, :1] * row + lean[:, 1:] * column)[:, 0]
    hues = torch.randn(n, c, 2, 1, 1, generator=made)
    field = (hues * hills[:, None]).sum(2) + slope[:, None]
    return torch.sigmoid(1.5 * field)


def gauges(n: int, seed: int, t: int = 32, c: int = 2) -> Tensor:
    """Return windows (n, t, c) of tides and their drift, mean 0 and deviation 1."""
    made = _made(seed)
    time = torch.linspace(0, 1, t)[:, None]
    pace = 1 + torch.rand(n, 1, 1, generator=made)
    phase = torch.rand(n, 1, c, generator=made)
    swing = 0.5 + torch.rand(n, 1, c, generator=made)
    drift = torch.randn(n, 1, c, generator=made)
    x = swing * torch.sin(2 * math.pi * (pace * time + phase)) + drift * (time - 0.5)
    return (x - x.mean()) / x.std()


def lanterns(n: int, seed: int, size: int = 16) -> Tensor:
    """Return soft lights (n, 1, size, size) of a random place, width and strength."""
    made = _made(seed)
    row, column = _grid(size)
    spot = 1.2 * torch.rand(n, 2, 1, 1, generator=made) - 0.6
    wide = 0.25 + 0.25 * torch.rand(n, 1, 1, generator=made)
    glow = 0.5 + 0.5 * torch.rand(n, 1, 1, generator=made)
    far = (row - spot[:, 0]).square() + (column - spot[:, 1]).square()
    return (glow * torch.exp(-far / wide.square()))[:, None]


def ledgers(n: int, seed: int, d: int = 30, rank: int = 6) -> Tensor:
    """Return rows (n, d) bent out of `rank` causes, columns of deviation 1."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    mixed = causes @ torch.randn(rank, d, generator=made) / math.sqrt(rank)
    x = mixed + 0.4 * torch.tanh(2 * mixed.roll(3, 1))
    x = x + 0.05 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def plaids(n: int, seed: int, size: int = 16) -> Tensor:
    """Return woven stripes (n, 1, size, size), two pixels wide, in [0, 1]."""
    made = _made(seed)
    tone = torch.rand(n, 2, generator=made)
    warp = (torch.rand(n, size // 2, generator=made) < 0.5).float()
    stripes = warp.repeat_interleave(2, 1)
    ground = tone.min(1).values[:, None] * 0.5
    x = ground + stripes * (0.2 + 0.3 * tone.max(1).values[:, None])
    return x[:, None, None, :].expand(n, 1, size, size).contiguous()
