"""Tenth part, c: small made-up records, the same for each seed."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import train, x_hat


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def drawn(low: float, high: float, shape, g: torch.Generator) -> Tensor:
    """Return numbers drawn evenly between two bounds."""
    return low + (high - low) * torch.rand(shape, generator=g)


def _centred(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return x / x.std()


@cache
def beats(n: int = 768, seed: int = 0, d: int = 96) -> Tensor:
    """Return heartbeats (n, d) in [0, 1]: five bumps of varied place and height."""
    g, t = made(seed), torch.linspace(0, 1, d)
    place = torch.tensor([0.2, 0.36, 0.42, 0.48, 0.7])
    width = torch.tensor([0.03, 0.012, 0.016, 0.014, 0.05])
    height = torch.tensor([0.25, -0.2, 1.0, -0.3, 0.4])
    at = place + drawn(-0.06, 0.06, (n, 1), g) + drawn(-0.02, 0.02, (n, 5), g)
    wide = width * drawn(1.0, 2.2, (n, 5), g)
    high = height * drawn(0.4, 1.4, (n, 5), g)
    bumps = torch.exp(-0.5 * ((t - at[..., None]) / wide[..., None]).square())
    x = (high[..., None] * bumps).sum(1) + 0.01 * torch.randn(n, d, generator=g)
    return ((x + 0.5) / 2).clamp(0, 1)


@cache
def spectra(n: int = 768, seed: int = 0, d: int = 80, parts: int = 9) -> Tensor:
    """Return mixtures (n, d), about N(0, 1), of substances with bands of their own."""
    g, t = made(seed + 50), torch.linspace(0, 1, d)
    at = drawn(0, 1, (parts, 3, 1), g)
    wide = drawn(0.015, 0.05, (parts, 3, 1), g)
    pure = torch.exp(-0.5 * ((t - at) / wide).square()).sum(1)  # (parts, d)
    x = drawn(0, 1, (n, parts), g) @ pure + 0.02 * torch.randn(n, d, generator=g)
    return _centred(x)


@cache
def curved(n: int = 1024, seed: int = 0, d: int = 24, causes: int = 2) -> Tensor:
    """Return rows (n, d), columns N(0, 1), of waves over a plane of few causes."""
    g = made(seed + 100)
    u = drawn(-1, 1, (n, causes), g)
    waves = 2.2 * torch.randn(causes, d, generator=g)
    x = torch.sin(u @ waves + drawn(0, 6.28, (d,), g))
    x = x + 0.05 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


@cache
def plant(n: int = 768, seed: int = 0, t: int = 12, c: int = 6) -> Tensor:
    """Return windows (n, t, c), about N(0, 1), of sensors that share slow causes."""
    g, time = made(seed + 150), torch.linspace(0, 1, t)
    speed = drawn(0.4, 1.6, (n, 3, 1), g)
    phase = drawn(0, 1, (n, 3, 1), g)
    size = drawn(0.3, 1.5, (n, 3, 1), g)
    slow = size * torch.sin(2 * torch.pi * (speed * time + phase))  # (n, 3, t)
    x = slow.mT @ torch.randn(3, c, generator=g)
    x = x + 0.05 * torch.randn(n, t, c, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


@cache
def counts(n: int = 768, seed: int = 0, words: int = 120) -> tuple[Tensor, Tensor]:
    """Return texts as log(1 + count) (n, words), and the topic of each text."""
    g, topics = made(seed + 200), 8
    use = torch.rand(topics, words, generator=g).log().neg().pow(2.5)
    use = use / use.sum(1, keepdim=True)
    topic = torch.randint(topics, (n,), generator=g)
    share = 0.3 * torch.rand(n, topics, generator=g)
    share[torch.arange(n), topic] += 1.5
    share = share / share.sum(1, keepdim=True)
    length = drawn(120, 240, (n, 1), g)
    x = torch.poisson(length * (share @ use), generator=g)
    return torch.log1p(x), topic


@cache
def blobs(n: int = 640, seed: int = 0, size: int = 16) -> Tensor:
    """Return binary masks (n, 1, size, size) of one turned ellipse each."""
    g = made(seed + 250)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cx, cy = (drawn(-0.4, 0.4, (n, 1, 1), g) for _ in range(2))
    a, b = (drawn(0.25, 0.6, (n, 1, 1), g) for _ in range(2))
    turn = drawn(0, 3.14, (n, 1, 1), g)
    u = (x - cx) * turn.cos() + (y - cy) * turn.sin()
    v = (y - cy) * turn.cos() - (x - cx) * turn.sin()
    return ((u / a).square() + (v / b).square() < 1).float()[:, None]


@cache
def outlines(n: int = 768, seed: int = 0, points: int = 32) -> Tensor:
    """Return closed outlines (n, 2, points), about N(0, 1), of twelve free numbers."""
    g = made(seed + 300)
    angle = torch.arange(points) * 2 * torch.pi / points
    k = torch.arange(2, 8)[:, None]
    size = torch.randn(n, 2, 6, generator=g) * 0.28
    radius = 1 + size[:, 0] @ torch.cos(k * angle) + size[:, 1] @ torch.sin(k * angle)
    x = torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
    x = x + 0.02 * torch.randn(x.shape, generator=g)
    return _centred(x)


@cache
def features(n: int = 1024, seed: int = 0, d: int = 32, words: int = 48) -> Tensor:
    """Return vectors (n, d), about N(0, 1), each a sum of few of many directions."""
    g = made(seed + 350)
    atoms = F.normalize(torch.randn(words, d, generator=g), dim=1)
    on = (torch.rand(n, words, generator=g) < 0.08).float()
    x = (on * drawn(0.6, 1.6, (n, words), g)) @ atoms
    x = x + 0.02 * torch.randn(n, d, generator=g)
    return _centred(x)


@cache
def cloth(n: int = 640, seed: int = 0, size: int = 16) -> Tensor:
    """Return grey cloth (n, 1, size, size) in [0, 1]: a soft shade and fine threads."""
    g = made(seed + 400)
    axis = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    slope = drawn(-1, 1, (n, 3, 1, 1), g)
    shade = (
        slope[:, 0] + slope[:, 1] * (x / size - 0.5) + slope[:, 2] * (y / size - 0.5)
    )
    fine = torch.zeros(n, size, size)
    for step in (1.6, 2.1):
        for along in (x, y):
            wave = torch.randn(n, 2, 1, 1, generator=g)
            fine += (
                wave[:, 0] * (step * along).sin() + wave[:, 1] * (step * along).cos()
            )
    return (0.5 + 0.22 * shade + 0.05 * fine).clamp(0, 1)[:, None]


def epochs(case: dict, held: Tensor, n: int, each=None) -> dict:
    """Train for n epochs, and note the mean losses of each; `each` runs after one.

    The losses are those of the program where it has a loss of its own.
    """
    model, kept = case["model"], case.get("loss")
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for _ in range(n):
        losses = train(case, len(case["batches"]))
        model.eval()
        with torch.no_grad():
            out = model(held)
            error = kept(out, held) if kept else F.mse_loss(x_hat(out), held)
        history["val_loss"].append(float(error))
        history["train_loss"].append(sum(losses) / len(losses))
        model.train()
        if each:
            each(history)
    return {**case, "history": history}
