"""Eleventh part, b: small synthetic data, the same for each seed."""

import torch
from torch import Tensor

from ae_lib.doctor.clinic.measures import train


def made(seed: int) -> torch.Generator:
    """Return a generator of its own, started at the seed."""
    return torch.Generator().manual_seed(seed)


def _between(low: float, high: float, shape: tuple, draw: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=draw)


def spectra(n: int = 768, seed: int = 0, d: int = 96, noise: float = 0.01) -> Tensor:
    """Return spectra (n, d) in [0, 1] of three lines that move, widen and grow."""
    draw = made(seed)
    axis = torch.linspace(0, 1, d)
    total = torch.zeros(n, d)
    for centre in (0.2, 0.5, 0.8):
        at = centre + _between(-0.08, 0.08, (n, 1), draw)
        width = _between(0.02, 0.06, (n, 1), draw)
        height = _between(0.3, 0.9, (n, 1), draw)
        total += height * torch.exp(-0.5 * ((axis - at) / width) ** 2)
    total += noise * torch.randn(n, d, generator=draw)
    return total.clamp(0, 1)


def masks(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return binary masks (n, 1, size, size) of turned ellipses."""
    draw = made(seed)
    grid = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    at = _between(-0.4, 0.4, (2, n, 1, 1), draw)
    angle = _between(0, torch.pi, (n, 1, 1), draw)
    long, short = _between(0.35, 0.6, (n, 1, 1), draw), 0.3
    u = (x - at[0]) * angle.cos() + (y - at[1]) * angle.sin()
    v = (y - at[1]) * angle.cos() - (x - at[0]) * angle.sin()
    return ((u / long) ** 2 + (v / short) ** 2 < 1).float().unsqueeze(1)


def blobs(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return grey images (n, 1, size, size) of a soft spot on a slope of light."""
    draw = made(seed)
    grid = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    at = _between(-0.6, 0.6, (2, n, 1, 1), draw)
    width = _between(0.25, 0.5, (n, 1, 1), draw)
    tilt = _between(-0.2, 0.2, (n, 1, 1), draw)
    spot = torch.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * width**2))
    image = 0.25 + tilt * x + 0.5 * spot
    image += 0.01 * torch.randn(image.shape, generator=draw)
    return image.clamp(0, 1).unsqueeze(1)


def counts(n: int = 1024, seed: int = 0, words: int = 60, topics: int = 5) -> Tensor:
    """Return whole word counts (n, words) of texts that mix a few topics."""
    draw = made(seed)
    topic = torch.randn(topics, words, generator=draw).mul(1.5).softmax(1)
    share = torch.randn(n, topics, generator=draw).mul(2).softmax(1)
    length = _between(150, 250, (n, 1), draw)
    return torch.poisson(length * (share @ topic), generator=draw)


def outlines(n: int = 1024, seed: int = 0, points: int = 24) -> Tensor:
    """Return points (n, points, 2) along a closed curve of random shape and place."""
    draw = made(seed)
    turn = torch.linspace(0, 2 * torch.pi, points + 1)[:-1]
    bulge = _between(0, 0.35, (n, 1), draw)
    start = _between(0, 2 * torch.pi, (n, 1), draw)
    radius = 0.9 * (1 + bulge * torch.cos(3 * turn + start))
    stretch = _between(0.6, 1.2, (2, n, 1), draw)
    at = _between(-0.5, 0.5, (2, n, 1), draw)
    lean = _between(-0.9, 0.9, (n, 1), draw)
    u, v = stretch[0] * radius * turn.cos(), stretch[1] * radius * turn.sin()
    x = u * lean.cos() - v * lean.sin() + at[0]
    y = u * lean.sin() + v * lean.cos() + at[1]
    return torch.stack((x, y), 2)


def sensors(n: int = 768, seed: int = 0, t: int = 24, c: int = 4) -> Tensor:
    """Return series (n, t, c) of two swings that every sensor mixes in its own way."""
    draw = made(seed)
    time = torch.linspace(0, 1, t)
    speed = _between(0.8, 1.6, (n, 1, 2), draw)
    phase = _between(0, 0.6, (n, 1, 2), draw)
    height = _between(0.4, 1.2, (n, 1, 2), draw)
    swing = height * torch.sin(2 * torch.pi * (speed * time[:, None] + phase))
    x = swing @ torch.randn(2, c, generator=draw)
    x = x + 0.03 * torch.randn(n, t, c, generator=draw)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def clients(n: int = 1024, seed: int = 0, d: int = 24, noise: float = 0.1) -> Tensor:
    """Return rows (n, d) that bend with four hidden causes, columns N(0, 1)."""
    draw = made(seed)
    causes = torch.randn(n, 4, generator=draw)
    inner = torch.tanh(causes @ torch.randn(4, 12, generator=draw))
    x = inner @ torch.randn(12, d, generator=draw) / 3
    x = x + causes @ torch.randn(4, d, generator=draw) / 2
    x = (x - x.mean(0)) / x.std(0)
    x = x + noise * torch.randn(n, d, generator=draw)
    return (x - x.mean(0)) / x.std(0)


def gratings(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return stripes (n, 1, size, size) in [0, 1] of random turn, width and shift."""
    draw = made(seed)
    grid = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    angle = _between(0, 0.8, (n, 1, 1), draw)
    pitch = _between(0.8, 1.4, (n, 1, 1), draw)
    phase = _between(0, torch.pi, (n, 1, 1), draw)
    depth = _between(0.25, 0.45, (n, 1, 1), draw)
    along = x * angle.cos() + y * angle.sin()
    wave = 0.5 + depth * torch.sin(torch.pi * pitch * along + phase)
    return wave.unsqueeze(1)


def run(case: dict, epochs: int, score, watched=None) -> dict[str, list[float]]:
    """Train a case for some epochs; return the loss of each, and of the watched."""
    per_epoch = len(case["batches"])
    history: dict[str, list[float]] = {"train_loss": []}
    for _ in range(epochs):
        losses = train(case, per_epoch)
        history["train_loss"].append(sum(losses) / len(losses))
        if watched is not None:
            model = case["model"]
            model.eval()
            with torch.no_grad():
                value = score(model(watched), watched).item()
            history.setdefault("val_loss", []).append(value)
            model.train()
    return history
