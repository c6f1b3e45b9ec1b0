"""Eleventh part, g: data for programs about scale, order and missing values."""

import torch
import torch.nn.functional as F
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(4100 + seed)


def fields(n: int, seed: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return red and near-infrared reflectance (n, 1, size, size), positive."""
    made = _made(seed)
    coarse = torch.rand(n, 1, 4, 4, generator=made)
    green = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    green = green.clamp(0, 1)
    light = 0.6 + 0.4 * torch.rand(n, 1, 1, 1, generator=made)
    speckle = 0.01 * torch.randn(n, 2, size, size, generator=made)
    red = light * (0.3 - 0.22 * green) + speckle[:, :1]
    infrared = light * (0.2 + 0.35 * green) + speckle[:, 1:]
    return red.clamp_min(0.01), infrared.clamp_min(0.01)


def callers(n: int, seed: int, t: int = 24) -> Tensor:
    """Return calls an hour (n, t, 2) at two desks, counts with many zeros."""
    made = _made(seed)
    hour = torch.arange(t)[None, :, None]
    peak = 6 + 12 * torch.rand(n, 1, 2, generator=made)
    wide = 1.5 + 2.5 * torch.rand(n, 1, 2, generator=made)
    busy = 10 + 40 * torch.rand(n, 1, 2, generator=made)
    rate = busy * torch.exp(-0.5 * ((hour - peak) / wide) ** 2)
    return torch.poisson(rate, generator=made)


def households(n: int, seed: int, t: int = 48) -> Tensor:
    """Return half-hourly use (n, t) in kilowatts, from 0.1 to about 4."""
    made = _made(seed)
    time = torch.linspace(0, 24, t)
    use = 0.1 + 0.4 * torch.rand(n, 1, generator=made)
    for low, high in ((5, 9), (11, 14), (17, 22)):
        at = low + (high - low) * torch.rand(n, 1, generator=made)
        tall = 2.5 * torch.rand(n, 1, generator=made)
        wide = 0.8 + 1.2 * torch.rand(n, 1, generator=made)
        use = use + tall * torch.exp(-0.5 * ((time - at) / wide) ** 2)
    return use * (1 + 0.04 * torch.randn(n, t, generator=made))


def potentials(n: int, seed: int, t: int = 64, c: int = 4) -> Tensor:
    """Return epochs (n, c, t) of four electrodes in units near one."""
    made = _made(seed)
    time = torch.linspace(0, 1, t)[None, None]
    mix = torch.randn(c, 3, generator=made)
    pulses = 6 + 4 * torch.rand(n, 1, 1, generator=made)
    phase = 2 * torch.pi * torch.rand(n, 1, 1, generator=made)
    at = 0.25 + 0.3 * torch.rand(n, 1, 1, generator=made)
    late = torch.exp(-0.5 * ((time - at) / 0.06) ** 2)
    slow = torch.randn(n, 1, 1, generator=made) * (time - 0.5)
    rhythm = torch.sin(2 * torch.pi * pulses * time / 2 + phase)
    tall = 1 + 0.5 * torch.randn(n, 1, 1, generator=made)
    causes = torch.cat((rhythm, 2 * tall * late, 1.5 * slow), 1)  # (n, 3, t)
    x = mix @ causes + 0.1 * torch.randn(n, c, t, generator=made)
    return x / x.std()


def walkers(n: int, seed: int, people: int = 8, t: int = 32) -> tuple[Tensor, Tensor]:
    """Return steps (n, 3, t) of an accelerometer, and whose they are, at random."""
    made = _made(seed)
    who = torch.randint(people, (n,), generator=made)
    shape = torch.randn(people, 3, 4, generator=made)[who]  # cosines and sines
    offset = 0.8 * torch.randn(people, 3, 1, generator=made)[who]
    shape = shape * (1 + 0.25 * torch.randn(n, 3, 4, generator=made))
    time = 2 * torch.pi * torch.linspace(0, 1, t)
    phase = time + 0.5 * torch.randn(n, 1, generator=made)
    waves = torch.stack(
        (phase.cos(), phase.sin(), (2 * phase).cos(), (2 * phase).sin()), 1
    )
    x = offset + shape @ waves + 0.08 * torch.randn(n, 3, t, generator=made)
    return x / x.std(), who
