"""Eleventh part, i: small made-up data of several kinds, the same for each seed."""

import torch
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(7100 + seed)


def gaits(n: int, seed: int, t: int = 32) -> Tensor:
    """Return steps of a walk (n, 2, t): two joints, cadence, phase and amplitude."""
    g = _made(seed)
    pace = 1 + torch.rand(n, 1, generator=g)
    phase = 2 * torch.pi * torch.rand(n, 1, generator=g)
    lift = 0.4 + 0.6 * torch.rand(n, 1, generator=g)
    angle = 2 * torch.pi * pace * torch.linspace(0, 1, t) + phase
    knee = lift * torch.sin(angle) + 0.3 * lift * torch.sin(2 * angle)
    hip = 0.7 * lift * torch.cos(angle)
    x = torch.stack([knee, hip], 1)
    x = x + 0.03 * torch.randn(x.shape, generator=g)
    return x / x.std()


def utterances(n: int, seed: int, t: int = 60) -> tuple[Tensor, Tensor]:
    """Return zero-padded tracks (n, t, 2) and their lengths of 8 to 16."""
    g = _made(seed)
    length = torch.randint(8, 17, (n,), generator=g)
    slope = torch.randn(n, 1, generator=g)
    level = torch.randn(n, 1, generator=g)
    bend = torch.randn(n, 1, generator=g)
    time = torch.linspace(0, 1, 16)
    first = level + slope * (time - 0.5)
    second = bend * torch.cos(torch.pi * time) - 0.5 * level
    x = torch.zeros(n, t, 2)
    x[:, :16] = torch.stack([first, second], 2)
    x[:, :16] += 0.05 * torch.randn(n, 16, 2, generator=g)
    alive = torch.arange(t) < length[:, None]
    return x * alive[..., None], length


def clouds(n: int, seed: int, points: int = 64) -> Tensor:
    """Return point sets (n, points, 2): ellipses by centre, axes and tilt, sorted."""
    g = _made(seed)
    turn = torch.linspace(0, 2 * torch.pi, points + 1)[:-1]
    axes = 0.4 + torch.rand(n, 2, 1, generator=g)
    ring = torch.stack([turn.cos(), turn.sin()]) * axes  # (n, 2, points)
    tilt = 0.5 * (torch.rand(n, generator=g) - 0.5)
    c, s = tilt.cos(), tilt.sin()
    spin = torch.stack([c, -s, s, c], 1).view(n, 2, 2)
    x = spin @ ring + 0.8 * torch.randn(n, 2, 1, generator=g)
    x = x + 0.03 * torch.randn(x.shape, generator=g)
    return x.transpose(1, 2).contiguous()


def answers(n: int, seed: int, items: int = 40, traits: int = 6) -> Tensor:
    """Return yes-or-no answers (n, items) that follow from a few binary traits."""
    g = _made(seed)
    trait = (torch.rand(n, traits, generator=g) < 0.5).float()
    load = 3 * torch.randn(traits, items, generator=g)
    odds = (trait - 0.5) @ load * 2
    return (torch.rand(n, items, generator=g) < odds.sigmoid()).float()


def blots(n: int, seed: int, size: int = 16, number: int = 2) -> Tensor:
    """Return grey images (n, 1, size, size) in [0, 1] of a few soft spots."""
    g = _made(seed)
    at = 0.15 + 0.7 * torch.rand(n, number, 2, 1, generator=g)
    wide = 0.08 + 0.1 * torch.rand(n, number, 1, 1, generator=g)
    axis = torch.linspace(0, 1, size)
    bell = torch.exp(-((axis - at) ** 2) / (2 * wide**2))  # (n, number, 2, size)
    spots = bell[:, :, 0, :, None] * bell[:, :, 1, None, :]
    return spots.amax(1)[:, None].contiguous()


def chromatograms(n: int, seed: int, d: int = 80, kinds: int = 5) -> Tensor:
    """Return traces (n, d) of a few compounds in random amounts, maximum about 1."""
    g = _made(seed)
    axis = torch.linspace(0, 1, d)
    centre = torch.rand(kinds, 3, 1, generator=g)
    wide = 0.02 + 0.04 * torch.rand(kinds, 3, 1, generator=g)
    pure = torch.exp(-((axis - centre) ** 2) / (2 * wide**2)).sum(1)
    amount = torch.rand(n, kinds, generator=g) ** 2
    x = amount @ pure + 0.01 * torch.randn(n, d, generator=g)
    return x / x.max()
