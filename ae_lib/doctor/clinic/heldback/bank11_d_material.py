"""Eleventh part, d: its data, all made from a seed."""

import torch
import torch.nn.functional as F
from torch import Tensor


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1104 + seed)


def tremors(n: int, seed: int, t: int = 24, c: int = 4) -> Tensor:
    """Return standardised records (n, t, c) of very different strength."""
    made = _made(seed)
    strength = (0.7 * torch.randn(n, 1, 1, generator=made)).exp()
    beat = 1 + torch.rand(n, 1, 1, generator=made)
    start = torch.rand(n, 1, 1, generator=made)
    when = torch.linspace(0, 1, t).view(1, t, 1)
    lag = torch.arange(c).view(1, 1, c) / (2 * c)
    x = strength * torch.sin(2 * torch.pi * (beat * when + start + lag))
    x = x + 0.05 * torch.randn(n, t, c, generator=made)
    return x / x.std()


def panel(n: int, seed: int, d: int = 24, rank: int = 4) -> Tensor:
    """Return rows (n, d) of indicators, each scaled to [0, 1]."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    x = torch.tanh(causes @ torch.randn(rank, d, generator=made) / 1.5)
    x = x + 0.05 * torch.randn(n, d, generator=made)
    low, high = x.min(0).values, x.max(0).values
    return (x - low) / (high - low)


def shares(n: int, seed: int, d: int = 12, rank: int = 3) -> Tensor:
    """Return compositions (n, d): parts of a whole that sum to one."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    x = causes @ torch.randn(rank, d, generator=made)
    return (0.7 * x + 0.1 * torch.randn(n, d, generator=made)).softmax(1)


def murals(n: int, seed: int, size: int = 16) -> Tensor:
    """Return a soft coloured disc on a shaded ground, (n, 3, size, size) in [0, 1]."""
    made = _made(seed)
    axis = torch.linspace(-1, 1, size)
    place = 1.2 * torch.rand(n, 2, 1, 1, generator=made) - 0.6
    radius = 0.3 + 0.3 * torch.rand(n, 1, 1, generator=made)
    far = (axis.view(1, size, 1) - place[:, 0]).square()
    far = (far + (axis.view(1, 1, size) - place[:, 1]).square()).sqrt()
    disc = torch.sigmoid(8 * (radius - far))[:, None]  # (n, 1, size, size)
    colour = torch.rand(n, 3, 1, 1, generator=made)
    ground = 0.2 + 0.5 * torch.rand(n, 3, 1, 1, generator=made)
    slope = 0.2 * (2 * torch.rand(n, 1, 1, 1, generator=made) - 1)
    ground = ground + slope * axis.view(1, 1, size, 1)
    x = disc * colour + (1 - disc) * ground
    return (x + 0.02 * torch.randn(x.shape, generator=made)).clamp(0, 1)


def strokes(n: int, seed: int, size: int = 16) -> Tensor:
    """Return one bright stroke on black, (n, 1, size, size) in [0, 1]."""
    made = _made(seed)
    axis = torch.linspace(-1, 1, size)
    angle = torch.pi * torch.rand(n, 1, 1, generator=made)
    mid = torch.rand(n, 2, 1, 1, generator=made) - 0.5
    long = 0.4 + 0.4 * torch.rand(n, 1, 1, generator=made)
    dy, dx = axis.view(1, size, 1) - mid[:, 0], axis.view(1, 1, size) - mid[:, 1]
    along = dx * angle.cos() + dy * angle.sin()
    across = dy * angle.cos() - dx * angle.sin()
    x = torch.sigmoid(12 * (long - along.abs())) * torch.exp(-(across**2) / 0.05)
    return x[:, None].clamp(0, 1)


def firing(n: int, seed: int, d: int = 48, m: int = 64, on: int = 4) -> Tensor:
    """Return rows (n, d), each the sum of a few of `m` fixed directions."""
    made = _made(seed)
    words = F.normalize(torch.randn(m, d, generator=made), dim=1)
    chance = torch.rand(n, m, generator=made)
    which = chance <= chance.kthvalue(on, 1, keepdim=True).values
    size = 1 + torch.rand(n, m, generator=made)
    x = (which * size) @ words
    return (x - x.mean()) / x.std()


def counts(n: int, seed: int, d: int = 40, rank: int = 4) -> Tensor:
    """Return numbers of events (n, d) of a few habits, as floats."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    rate = 1.2 + 0.6 * causes @ torch.randn(rank, d, generator=made)
    return torch.poisson(rate.clamp(max=3.5).exp(), generator=made)


def clips(n: int, seed: int, t: int = 128) -> Tensor:
    """Return fading tones with one overtone, (n, 1, t) within [-1, 1]."""
    made = _made(seed)
    when = torch.linspace(0, 1, t).view(1, 1, t)
    pitch = 4 + 4 * torch.rand(n, 1, 1, generator=made)
    start = torch.rand(n, 1, 1, generator=made)
    over = 0.6 * torch.rand(n, 1, 1, generator=made)
    fade = torch.exp(-2 * torch.rand(n, 1, 1, generator=made) * when)
    turn = 2 * torch.pi * (pitch * when + start)
    x = fade * (turn.sin() + over * (2 * turn).sin())
    return 0.6 * x + 0.01 * torch.randn(n, 1, t, generator=made)


def faint(n: int, seed: int, d: int = 64) -> Tensor:
    """Return absorption curves (n, d) of little contrast, around 0.5."""
    made = _made(seed)
    at = torch.linspace(0, 1, d)
    x = torch.zeros(n, d)
    for _ in range(3):
        mid = 0.1 + 0.8 * torch.rand(n, 1, generator=made)
        deep = 0.05 + 0.1 * torch.rand(n, 1, generator=made)
        x = x - deep * torch.exp(-((at - mid) ** 2) / 0.008)
    slope = 0.1 * torch.randn(n, 1, generator=made)
    return 0.6 + x + slope * (at - 0.5)


def orders(n: int, seed: int, d: int = 60, rank: int = 5) -> Tensor:
    """Return yes-or-no baskets (n, d) of a few tastes."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    lean = 1.6 * causes @ torch.randn(rank, d, generator=made) - 0.8
    return torch.bernoulli(lean.sigmoid(), generator=made)


def headings(n: int, seed: int, d: int = 32, rank: int = 5) -> Tensor:
    """Return vectors (n, d) of length one, as an embedding model gives them."""
    made = _made(seed)
    causes = torch.randn(n, rank, generator=made)
    x = torch.tanh(causes @ torch.randn(rank, d, generator=made))
    return F.normalize(x + 0.1 * torch.randn(n, d, generator=made), dim=1)
