"""Eleventh part, h: data made up for its programs, the same for each seed."""

import math

import torch
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1100 + seed)


def lanterns(n: int, seed: int, size: int = 16) -> Tensor:
    """Return evening pictures (n, 3, size, size): one orange light on a blue sky."""
    made = _made(seed)
    a = torch.rand(7, n, 1, 1, generator=made)
    line = torch.linspace(0, 1, size)
    y, x = line[:, None], line[None, :]
    far = (x - 0.2 - 0.6 * a[0]).square() + (y - 0.2 - 0.6 * a[1]).square()
    light = (0.5 + 0.5 * a[2]) * torch.exp(-far / (0.01 + 0.05 * a[3]))
    sky = (0.15 + 0.5 * a[4]) * (1 - (0.2 + 0.7 * a[5]) * y) + 0 * x
    red = 0.1 * sky + 0.85 * light
    green = 0.4 * sky + (0.25 + 0.25 * a[6]) * light
    return torch.stack([red, green, sky * (1 - light)], 1).clamp(0, 1)


def films(n: int, seed: int, t: int = 8, size: int = 12) -> Tensor:
    """Return films (n, t, size, size, 3) of a coloured ball that crosses the frame."""
    made = _made(seed)
    a = torch.rand(7, n, 1, 1, 1, generator=made)
    time = torch.linspace(-1, 1, t)[:, None, None]
    line = torch.linspace(-1, 1, size)
    y, x = line[:, None], line[None, :]
    across = 2 * math.pi * a[0]
    cx = 0.4 * (a[1] - 0.5) + 0.6 * time * across.cos()
    cy = 0.4 * (a[2] - 0.5) + 0.6 * time * across.sin()
    ball = torch.exp(-((x - cx).square() + (y - cy).square()) / 0.12)
    ground = 0.1 + 0.2 * a[3] + 0.1 * y
    colour = 0.3 + 0.6 * a[4:].movedim(0, -1)
    return (ground[..., None] * (1 - ball[..., None]) + ball[..., None] * colour).clamp(
        0, 1
    )


def calls(n: int, seed: int, bands: int = 24, t: int = 16) -> Tensor:
    """Return powers (n, bands, t) of a bird's call: a sweep and its overtone."""
    made = _made(seed)
    a = torch.rand(6, n, 1, 1, generator=made)
    time = torch.linspace(-1, 1, t)
    band = torch.linspace(0, 1, bands)[:, None]
    tone = 0.2 + 0.3 * a[0] + 0.25 * (a[1] - 0.5) * time
    loud = torch.exp(-(time - 1.2 * (a[2] - 0.5)).square() / (0.1 + 0.5 * a[3]))
    near = torch.exp(-(band - tone).square() / 0.006)
    over = torch.exp(-(band - 1.8 * tone).square() / 0.006)
    return 0.01 + (1 + 8 * a[4]) * loud * (near + a[5] * over)


def strides(n: int, seed: int, t: int = 32) -> Tensor:
    """Return walks (n, t, 4): four joints that swing in turn, about -1.5 to 1.5."""
    made = _made(seed)
    a = torch.rand(5, n, 1, 1, generator=made)
    time = torch.linspace(0, 1, t)[:, None]
    lag = torch.tensor([0.0, 0.25, 0.5, 0.75])
    swing = 2 * math.pi * ((1 + a[0]) * time + a[1] + lag)
    size = torch.tensor([1.0, 0.7, 1.0, 0.7]) * (0.5 + 0.7 * a[2])
    bent = swing.sin() + 0.4 * a[3] * (2 * swing).cos()
    x = size * bent + (a[4] - 0.5)
    return x + 0.03 * torch.randn(n, t, 4, generator=made)


def assays(n: int, seed: int, d: int = 24, causes: int = 4) -> Tensor:
    """Return standardised rows (n, d): bent mixtures of a few causes, little noise."""
    made = _made(seed)
    z = torch.randn(n, causes, generator=made)
    x = z @ torch.randn(causes, d, generator=made) / causes**0.5
    bend = z @ torch.randn(causes, d, generator=made) / causes**0.5
    x = x + 0.5 * torch.tanh(bend) + 0.1 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)
