"""Small synthetic data for the seventh part, a: the same for each seed."""

import torch
from torch import Tensor


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def beats(n: int, seed: int, d: int = 48) -> Tensor:
    """Return heartbeats (n, d): three bumps of varying place, height and width."""
    g, t = made(seed), torch.linspace(0, 1, d)
    place = torch.tensor([0.25, 0.5, 0.75]) + 0.05 * torch.randn(n, 3, generator=g)
    height = torch.tensor([0.3, 1.0, 0.5]) * (1 + 0.3 * torch.randn(n, 3, generator=g))
    width = torch.tensor([0.06, 0.04, 0.08]) * (
        0.8 + 0.4 * torch.rand(n, 3, generator=g)
    )
    bump = torch.exp(-0.5 * ((t - place[..., None]) / width[..., None]) ** 2)
    return (height[..., None] * bump).sum(1)


def rings(n: int, seed: int, size: int = 16) -> Tensor:
    """Return bright rings (n, 1, size, size) in [0, 1] on dark ground."""
    g = made(seed)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cx, cy = (0.8 * torch.rand(2, n, 1, 1, generator=g) - 0.4).unbind(0)
    radius = 0.25 + 0.35 * torch.rand(n, 1, 1, generator=g)
    away = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() - radius
    return torch.exp(-((away / 0.15) ** 2)).unsqueeze(1)


def stripes(n: int, seed: int, size: int = 16) -> Tensor:
    """Return coloured gratings (n, 3, size, size) in [0, 1] of any direction."""
    g = made(seed)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle, phase, rate = torch.rand(3, n, 1, 1, generator=g).unbind(0)
    angle, phase, rate = 3.14 * angle, 6.28 * phase, 1.5 + 2 * rate
    wave = torch.sin(rate * (x * angle.cos() + y * angle.sin()) + phase)
    tint, ground = (torch.rand(2, n, 3, 1, 1, generator=g)).unbind(0)
    return (0.25 + 0.5 * ground + 0.25 * tint * wave.unsqueeze(1)).clamp(0, 1)


def sensors(n: int, seed: int, t: int = 24, c: int = 4) -> Tensor:
    """Return windows (n, t, c) of c sensors driven by two slow rhythms, spread 1."""
    g, mix = made(seed), torch.randn(2, c, generator=made(11))
    time = torch.linspace(0, 1, t)[:, None]
    rate = 0.8 + 1.4 * torch.rand(n, 1, 2, generator=g)
    phase, size = (
        torch.rand(n, 1, 2, generator=g),
        0.5 + torch.rand(n, 1, 2, generator=g),
    )
    x = (size * torch.sin(6.28 * (rate * time + phase))) @ mix
    x = x + 0.05 * torch.randn(n, t, c, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def lines(n: int, seed: int, d: int = 60, peaks: int = 5) -> Tensor:
    """Return spectra (n, d), non-negative: fixed peaks of random strength."""
    g, kind = made(seed), made(23)
    grid = torch.linspace(0, 1, d)
    where = 0.1 + 0.8 * torch.rand(peaks, 1, generator=kind)
    width = 0.02 + 0.03 * torch.rand(peaks, 1, generator=kind)
    shape = torch.exp(-0.5 * ((grid - where) / width) ** 2)
    strength = torch.rand(n, peaks, generator=g) ** 1.5
    return strength @ shape + 0.01 * torch.rand(n, d, generator=g)


def counts(n: int, seed: int, d: int = 50, topics: int = 4) -> Tensor:
    """Return word counts (n, d) of short texts about a mixture of topics."""
    g, kind = made(seed), made(31)
    words = torch.softmax(2 * torch.randn(topics, d, generator=kind), 1)
    share = torch.softmax(2 * torch.randn(n, topics, generator=g), 1)
    length = 60 + 60 * torch.rand(n, 1, generator=g)
    return torch.poisson(length * (share @ words), generator=g)


def rolls(n: int, seed: int, keys: int = 12, t: int = 16) -> Tensor:
    """Return piano rolls (n, 1, keys, t) of zeros and ones: a chord and its beat."""
    g = made(seed)
    root, third = (
        torch.randint(keys, (n,), generator=g),
        torch.randint(3, 5, (n,), generator=g),
    )
    notes = torch.zeros(n, keys)
    for step in (torch.zeros(n, dtype=torch.long), third, torch.full((n,), 7)):
        notes[torch.arange(n), (root + step) % keys] = 1.0
    beat = 2 ** torch.randint(1, 4, (n, 1), generator=g)
    late = torch.randint(0, 4, (n, 1), generator=g)
    on = ((torch.arange(t) + late) % beat < beat // 2).float()
    return (notes[:, :, None] * on[:, None, :]).unsqueeze(1)


def causes(n: int, seed: int, d: int = 16, rank: int = 4) -> Tensor:
    """Return standardised rows (n, d) that bend with a few hidden causes."""
    g, kind = made(seed), made(41)
    z = torch.randn(n, rank, generator=g)
    x = torch.tanh(z @ torch.randn(rank, 2 * rank, generator=kind))
    x = x @ torch.randn(2 * rank, d, generator=kind)
    x = x + 0.1 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)
