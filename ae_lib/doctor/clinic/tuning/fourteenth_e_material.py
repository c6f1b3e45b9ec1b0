"""Tenth part, e: small made-up data, the same for each seed."""

import torch
from torch import Tensor


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for the seed."""
    return torch.Generator().manual_seed(9173 + seed)


def peaks(n: int = 1024, seed: int = 0, d: int = 80) -> Tensor:
    """Return spectra (n, d) in [0, 1]: five fixed lines of varied height and width."""
    g = made(seed)
    axis = torch.linspace(0, 1, d)
    centre = torch.tensor([0.12, 0.3, 0.47, 0.66, 0.86])
    height = torch.rand(n, 5, 1, generator=g)
    width = 0.03 + 0.04 * torch.rand(n, 5, 1, generator=g)
    x = (height * torch.exp(-(((axis - centre[:, None]) / width) ** 2))).sum(1)
    x = x + 0.02 * torch.randn(n, d, generator=g)
    return x.clamp(0, 1)


def beats(n: int = 1024, seed: int = 0, t: int = 32) -> Tensor:
    """Return series (n, t, 2), about N(0, 1): two channels of one drifting rhythm."""
    g = made(seed)
    time = torch.linspace(0, 1, t)
    rate = 1 + torch.rand(n, 1, generator=g)
    phase = 0.5 * torch.rand(n, 1, generator=g)
    size = 0.6 + 0.8 * torch.rand(n, 1, generator=g)
    angle = 2 * torch.pi * (rate * time + phase)
    drift = torch.randn(n, 1, generator=g) * (time - 0.5)
    first = size * torch.sin(angle) + drift
    second = size * torch.cos(angle) - 0.5 * drift
    x = torch.stack([first, second], 2)
    x = x + 0.05 * torch.randn(n, t, 2, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def tracks(n: int = 1024, seed: int = 0, t: int = 24) -> tuple[Tensor, Tensor]:
    """Return walks (n, t, 2), zero after their end, and masks (n, t) of real points."""
    g = made(seed)
    time = torch.linspace(0, 1, t)[None, :, None]
    start, speed, bend = torch.randn(3, n, 1, 2, generator=g)
    x = start + 1.5 * speed * time + 1.5 * bend * time.square()
    x = x + 0.03 * torch.randn(n, t, 2, generator=g)
    length = torch.randint(t // 2, t + 1, (n, 1), generator=g)
    mask = (torch.arange(t) < length).float()
    return x * mask[..., None], mask


def rings(n: int = 768, seed: int = 0, points: int = 96) -> Tensor:
    """Return outlines (n, points, 2): ellipses of varied place, axes and tilt."""
    g = made(seed)
    angle = 2 * torch.pi * torch.arange(points) / points
    axes = 0.3 + 0.4 * torch.rand(n, 1, 2, generator=g)
    axes = axes + torch.tensor([0.5, 0.0])  # the first is the longer one
    tilt = 0.5 * torch.pi * torch.rand(n, 1, generator=g)
    place = 0.7 * torch.randn(n, 1, 2, generator=g)
    u = axes[..., 0] * angle.cos()
    v = axes[..., 1] * angle.sin()
    x = u * tilt.cos() - v * tilt.sin()
    y = u * tilt.sin() + v * tilt.cos()
    return torch.stack([x, y], 2) + place


def blobs(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return binary masks (n, 1, size, size) of one disc or box each."""
    g = made(seed)
    axis = torch.linspace(-1, 1, size)
    place = 0.9 * torch.rand(n, 2, generator=g) - 0.45
    radius = 0.25 + 0.35 * torch.rand(n, 1, 1, generator=g)
    x = (axis[None, None, :] - place[:, :1, None]).abs()
    y = (axis[None, :, None] - place[:, 1:, None]).abs()
    disc = (x.square() + y.square()).sqrt() < radius
    box = torch.maximum(x, y) < radius
    round_ = torch.rand(n, 1, 1, generator=g) < 0.5
    return torch.where(round_, disc, box).float()[:, None]


def counts(n: int = 1024, seed: int = 0, words: int = 60) -> tuple[Tensor, Tensor]:
    """Return word counts (n, words) of texts on six topics, and their main topics."""
    g = made(seed)
    topic = torch.rand(6, words, generator=g).pow(6) + 1e-3
    topic = topic / topic.sum(1, keepdim=True)
    share = torch.rand(n, 6, generator=g).pow(5) + 1e-3
    share = share / share.sum(1, keepdim=True)
    drawn = torch.multinomial(share @ topic, 120, replacement=True, generator=g)
    return torch.nn.functional.one_hot(drawn, words).sum(1).float(), share.argmax(1)


def sensors(
    n: int = 1024, seed: int = 0, d: int = 24, noise: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Return rows (n, d) bent from three causes, columns N(0, 1), and five states."""
    g = made(seed)
    state = torch.randint(5, (n,), generator=g)
    middle = 1.2 * torch.randn(5, 3, generator=g)
    cause = middle[state] + 0.5 * torch.randn(n, 3, generator=g)
    mix, shift = torch.randn(3, d, generator=g), torch.randn(d, generator=g)
    x = torch.sin(0.8 * cause @ mix + shift) + 0.3 * cause @ mix.flip(1)
    x = x + noise * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0), state
