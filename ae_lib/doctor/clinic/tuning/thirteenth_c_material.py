"""Small synthetic data for the ninth part, c: the same for each seed."""

import torch
from torch import Tensor, nn


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(-1, 1, size)
    return torch.meshgrid(axis, axis, indexing="ij")


def blobs(n: int, seed: int, size: int = 16) -> Tensor:
    """Return coloured ellipses (n, 3, size, size) in [0, 1] on a shaded ground."""
    g = made(seed)
    y, x = _grid(size)
    cx, cy = (1.0 * torch.rand(2, n, 1, 1, generator=g) - 0.5).unbind(0)
    a, b = (0.25 + 0.3 * torch.rand(2, n, 1, 1, generator=g)).unbind(0)
    inside = torch.sigmoid(8 * (1 - ((x - cx) / a) ** 2 - ((y - cy) / b) ** 2))
    tint, ground = torch.rand(2, n, 3, 1, 1, generator=g).unbind(0)
    slope = 0.3 * (torch.rand(n, 1, 1, generator=g) - 0.5) * (x + y)
    inside = inside.unsqueeze(1)
    both = inside * tint + (1 - inside) * (ground + slope.unsqueeze(1))
    return both.clamp(0, 1)


def grain(n: int, seed: int, size: int = 16, contrast: float = 0.12) -> Tensor:
    """Return grey cloths (n, 1, size, size): soft shading and a faint fine weave."""
    g = made(seed)
    y, x = _grid(size)
    c = 0.15 * torch.randn(n, 3, 1, 1, generator=g)
    soft = 0.5 + c[:, 0] + c[:, 1] * x + c[:, 2] * y
    phase = 6.28 * torch.rand(n, 1, 1, generator=g)
    way = torch.randint(0, 2, (n, 1, 1), generator=g)
    wave = 0.8 * 3.1416 * (size - 1) / 2 / 1.2  # about two and a half pixels a stripe
    along = torch.where(way == 0, x + 0 * y, y + 0 * x)
    return (soft + contrast * torch.sin(wave * along + phase)).unsqueeze(1)


def days(n: int, seed: int, t: int = 48) -> tuple[Tensor, Tensor]:
    """Return daily load curves (n, t) of about [0, 1] and whether it is a weekend."""
    g, hour = made(seed), torch.linspace(0, 24, t)
    weekend = torch.randint(0, 7, (n,), generator=g) > 4
    late = torch.where(weekend, 2.5, 0.0)[:, None]
    place = torch.tensor([7.5, 13.0, 19.0]) + late[:, :, None].squeeze(2)
    place = place + 0.6 * torch.randn(n, 3, generator=g)
    height = torch.tensor([0.5, 0.25, 0.7]) * (1 + 0.3 * torch.randn(n, 3, generator=g))
    width = 1.2 + 0.6 * torch.rand(n, 3, generator=g)
    bump = torch.exp(-0.5 * ((hour - place[..., None]) / width[..., None]) ** 2)
    base = 0.1 + 0.15 * torch.rand(n, 1, generator=g)
    load = base + (height[..., None] * bump).sum(1)
    return load + 0.015 * torch.randn(n, t, generator=g), weekend.long()


def windows(n: int, seed: int, t: int = 24, c: int = 4) -> Tensor:
    """Return windows (n, t, c) of c gauges that follow two waves, spread 1."""
    g, mix = made(seed), torch.randn(2, c, generator=made(77))
    lag = torch.rand(1, 1, c, 2, generator=made(78))
    time = torch.linspace(0, 1, t)[:, None, None]
    rate = 0.7 + 1.0 * torch.rand(n, 1, 1, 2, generator=g)
    phase = torch.rand(n, 1, 1, 2, generator=g)
    size = 0.5 + torch.rand(n, 1, 1, 2, generator=g)
    wave = size * torch.sin(6.28 * (rate * time + phase + 0.2 * lag))
    x = (wave * mix.t()).sum(-1) + 0.05 * torch.randn(n, t, c, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def accounts(n: int, seed: int, d: int = 24, rank: int = 6) -> Tensor:
    """Return standardised rows (n, d) that bend with hidden habits."""
    g, kind = made(seed), made(79)
    z = torch.randn(n, rank, generator=g)
    x = z @ torch.randn(rank, d, generator=kind)
    x = x + 0.7 * torch.tanh(2 * z @ torch.randn(rank, d, generator=kind))
    x = x + 0.15 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


def sentences(n: int, seed: int, t: int = 6, words: int = 20) -> Tensor:
    """Return one-hot sentences (n, t, words): a topic picks the words of each place."""
    g, kind = made(seed), made(80)
    table = torch.stack([torch.randperm(words, generator=kind) for _ in range(t)])
    topic = torch.randint(0, 5, (n, 1), generator=g)
    shade = torch.randint(0, 4, (n, t), generator=g) * (torch.arange(t) % 2)
    index = table[torch.arange(t), topic * 4 + shade]
    return torch.nn.functional.one_hot(index, words).float()


def bags(n: int, seed: int, d: int = 60, topics: int = 5) -> tuple[Tensor, Tensor]:
    """Return word frequencies (n, d), rows adding to 1, and the main topic."""
    g, kind = made(seed), made(81)
    words = torch.softmax(2.5 * torch.randn(topics, d, generator=kind), 1)
    share = torch.softmax(2.5 * torch.randn(n, topics, generator=g), 1)
    counts = torch.poisson(200 * (share @ words), generator=g)
    return counts / counts.sum(1, keepdim=True), share.argmax(1)


def schedule(model: nn.Module, x: Tensor, epochs: int, step, seed: int = 0):
    """Run a step over shuffled batches of 64 for some epochs; return mean losses."""
    g, means = made(seed), []
    for _ in range(epochs):
        model.train()
        rows = x[torch.randperm(len(x), generator=g)].split(64)
        losses = [step(model, row) for row in rows]
        means.append(sum(losses) / len(losses))
    return means
