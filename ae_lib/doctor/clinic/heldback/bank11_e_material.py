"""Eleventh part, e: the data of its programs, drawn or computed in milliseconds."""

import torch
import torch.nn.functional as F
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1100 + seed)


def pulses(n: int = 1024, seed: int = 0, t: int = 48) -> Tensor:
    """Return single pulses (n, t) of random place and width, between 0 and 1."""
    made = _made(seed)
    place = 0.15 + 0.7 * torch.rand(n, 1, generator=made)
    width = 0.04 + 0.06 * torch.rand(n, 1, generator=made)
    time = torch.linspace(0, 1, t)
    return torch.exp(-0.5 * ((time - place) / width) ** 2)


def readings(n: int = 1024, seed: int = 0, d: int = 32, rank: int = 6) -> Tensor:
    """Return rows (n, d), bent mixtures of `rank` causes, columns standardised."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    mixed = causes @ torch.randn(rank, d, generator=made) / rank**0.5
    x = torch.tanh(1.5 * mixed) + 0.05 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def panels(n: int = 1024, seed: int = 0, d: int = 40, rank: int = 12) -> Tensor:
    """Return rows (n, d) of `rank` equally strong causes and noise, standardised."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    basis = torch.linalg.qr(torch.randn(d, rank, generator=made)).Q
    x = causes @ basis.T + 0.05 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def tones(n: int = 1024, seed: int = 0, t: int = 64) -> Tensor:
    """Return sounds (n, t) of a random loudness for each of six fixed partials."""
    made = _made(seed)
    time = torch.arange(t) / t
    partials = torch.stack([torch.sin(2 * torch.pi * k * time) for k in range(1, 7)])
    loud = torch.randn(n, 6, generator=made) / torch.arange(1, 7).sqrt()
    x = loud @ partials + 0.03 * torch.randn(n, t, generator=made)
    return x / x.std()


def decibels(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return spectrograms (n, 1, size, size) of one chirp, in units of -80 dB."""
    made = _made(seed)
    start, end = (0.1 + 0.8 * torch.rand(2, n, 1, 1, generator=made)).unbind()
    loud = 0.3 + 0.7 * torch.rand(n, 1, 1, generator=made)
    time = torch.linspace(0, 1, size).view(1, 1, size)
    pitch = torch.linspace(0, 1, size).view(1, size, 1)
    line = start + (end - start) * time
    power = loud * torch.exp(-0.5 * ((pitch - line) / 0.08) ** 2)
    return (10 * torch.log10(power + 1e-6) / 80)[:, None]


def clouds(n: int = 768, seed: int = 0, size: int = 16, rough: int = 4) -> Tensor:
    """Return smooth random pictures (n, 1, size, size) in [0, 1], of rough² values."""
    small = torch.randn(n, 1, rough, rough, generator=_made(seed))
    x = F.interpolate(small, size=size, mode="bicubic", align_corners=True)
    return torch.sigmoid(1.2 * x)


def needles(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return pictures (n, 1, size, size) of a clock hand of random angle and length."""
    made = _made(seed)
    angle = 2 * torch.pi * torch.rand(n, 1, 1, generator=made)
    length = 0.4 + 0.5 * torch.rand(n, 1, 1, generator=made)
    axis = torch.linspace(-1, 1, size)
    y, x = axis.view(1, size, 1), axis.view(1, 1, size)
    along = x * angle.cos() + y * angle.sin()
    across = x * angle.sin() - y * angle.cos()
    far = (along - length).clamp(min=0) + (-along).clamp(min=0)
    return torch.exp(-((across**2 + far**2) / 0.05))[:, None]


def mixtures(
    n: int = 1024, seed: int = 0, d: int = 60, parts: int = 8, share: float = 0.35
) -> Tensor:
    """Return non-negative rows (n, d): a few of `parts` smooth bands in each."""
    made = _made(seed)
    place = torch.linspace(0.05, 0.95, parts).view(parts, 1)
    bands = torch.exp(-0.5 * ((torch.linspace(0, 1, d) - place) / (0.4 / parts)) ** 2)
    there = (torch.rand(n, parts, generator=made) < share).float()
    much = there * (0.3 + torch.rand(n, parts, generator=made))
    return much @ bands + 0.01 * torch.rand(n, d, generator=made)


def words(n: int = 1024, seed: int = 0, d: int = 80, topics: int = 5) -> Tensor:
    """Return log counts (n, d) of words in short texts, most of them zero."""
    made = _made(seed)
    topic = torch.rand(topics, d, generator=made) ** 12 * 6
    share = torch.rand(n, topics, generator=made) ** 3
    rate = (share / share.sum(1, keepdim=True)) @ topic
    return torch.log1p(torch.poisson(5 * rate, generator=made))


def windows(n: int = 768, seed: int = 0, t: int = 16, c: int = 3) -> Tensor:
    """Return windows (n, t, c) of channels that share a rhythm, standardised."""
    made = _made(seed)
    speed = 0.7 + torch.rand(n, 1, 1, generator=made)
    phase = 2 * torch.pi * torch.rand(n, 1, 1, generator=made)
    loud = 0.6 + torch.rand(n, 1, c, generator=made)
    time = torch.linspace(0, 1, t).view(1, t, 1)
    x = loud * torch.sin(2 * torch.pi * speed * time + phase + torch.arange(c))
    x = x + 0.05 * torch.randn(n, t, c, generator=made)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def growth(n: int = 1024, seed: int = 0, t: int = 40) -> Tensor:
    """Return growth curves (n, t) between 0 and 1 that differ in their delay alone."""
    made = _made(seed)
    delay = 0.15 + 0.7 * torch.rand(n, 1, generator=made)
    curve = torch.sigmoid((torch.linspace(0, 1, t) - delay) / 0.07)
    return curve + 0.02 * torch.randn(n, t, generator=made)
