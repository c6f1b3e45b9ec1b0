"""Eleventh part, c: data of three kinds, made in milliseconds, all of them seeded."""

import torch
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1100 + seed)


def glows(n: int, seed: int, size: int = 16) -> Tensor:
    """Return coloured glows (n, 3, size, size) in [0, 1]; place, width, colour vary."""
    made = _made(seed)
    at = 0.2 + 0.6 * torch.rand(n, 2, 1, 1, 1, generator=made)
    wide = 0.12 + 0.1 * torch.rand(n, 1, 1, 1, generator=made)
    colour = 0.2 + 0.8 * torch.rand(n, 3, 1, 1, generator=made)
    line = torch.linspace(0, 1, size)
    far = (line[:, None] - at[:, 0]).square() + (line - at[:, 1]).square()
    return colour * torch.exp(-far / (2 * wide.square()))


def plant(n: int, seed: int, d: int = 16, rank: int = 4) -> Tensor:
    """Return readings (n, d) of a plant: `rank` hidden states and a little noise."""
    made = _made(seed)
    states = torch.randn(n, rank, generator=made)
    x = torch.tanh(states @ torch.randn(rank, d, generator=made) / 2)
    x = x + 0.05 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def pulses(n: int, seed: int, t: int = 48) -> Tensor:
    """Return series (n, t) with one pulse each, in random order."""
    made = _made(seed)
    centre = 0.2 + 0.6 * torch.rand(n, 1, generator=made)
    height = 0.5 + torch.rand(n, 1, generator=made)
    wide = 0.06 + 0.06 * torch.rand(n, 1, generator=made)
    time = torch.linspace(0, 1, t)
    return height * torch.exp(-((time - centre) / wide).square() / 2)
