"""Small synthetic data for the eighth part, a: the same for each seed."""

import torch
from torch import Tensor


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def _plane(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(-1, 1, size)
    return torch.meshgrid(axis, axis, indexing="ij")


def hills(n: int, seed: int, size: int = 16, peaks: int = 2, c: int = 1) -> Tensor:
    """Return smooth landscapes (n, c, size, size) in [0, 1]: a few round hills."""
    g, (y, x) = made(seed), _plane(size)
    cy, cx = (1.4 * torch.rand(2, n, peaks, 1, 1, generator=g) - 0.7).unbind(0)
    wide = 0.25 + 0.25 * torch.rand(n, peaks, 1, 1, generator=g)
    bump = torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * wide**2))
    tint = 0.3 + 0.7 * torch.rand(n, peaks, c, generator=g)
    return torch.einsum("npyx,npc->ncyx", bump, tint).clamp(0, 1)


def boxes(n: int, seed: int, size: int = 16) -> Tensor:
    """Return colour images (n, 3, size, size) in [0, 1]: a box and a disc on ground."""
    g, (y, x) = made(seed), _plane(size)
    cy, cx = (1.2 * torch.rand(2, 2, n, 1, 1, generator=g) - 0.6).unbind(0)
    half = 0.2 + 0.35 * torch.rand(2, n, 1, 1, generator=g)
    square = torch.maximum((y - cy[0]).abs(), (x - cx[0]).abs()) - half[0]
    disc = ((y - cy[1]) ** 2 + (x - cx[1]) ** 2).sqrt() - half[1]
    ground, ink, paint = torch.rand(3, n, 3, 1, 1, generator=g)
    image = ground.expand(n, 3, size, size)
    for shape, colour in ((square, ink), (disc, paint)):
        cover = torch.sigmoid(-shape * 2 * size).unsqueeze(1)
        image = image * (1 - cover) + colour * cover
    return image.contiguous()


def strokes(n: int, seed: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return drawn signs (n, 1, size, size) in [0, 1] of ten kinds, and the kind."""
    g, kind = made(seed), made(77)
    ends = 1.4 * torch.rand(10, 3, 2, 2, generator=kind) - 0.7  # (sign, line, end, yx)
    label = torch.randint(10, (n,), generator=g)
    place = ends[label] + 0.09 * torch.randn(n, 3, 2, 2, generator=g)
    place = place + 0.15 * torch.randn(n, 1, 1, 2, generator=g)
    grid = torch.stack(_plane(size), -1).view(1, 1, -1, 2)
    a, b = place[:, :, 0].unsqueeze(2), place[:, :, 1].unsqueeze(2)
    along = ((grid - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1).clamp_min(1e-3)
    away = grid - a - along.clamp(0, 1).unsqueeze(-1) * (b - a)
    ink = torch.exp(-away.square().sum(-1) / (2 * 0.09**2)).amax(1)
    ink = torch.where(ink < 0.05, torch.zeros(()), ink)
    return ink.view(n, 1, size, size), label


def cloth(n: int, seed: int, size: int = 16, fine: float = 0.15) -> Tensor:
    """Return weaves (n, 1, size, size): soft shades and a fine thread of any course."""
    g, (y, x) = made(seed), _plane(size)
    slope = torch.randn(n, 2, 1, 1, generator=g)
    shade = torch.tanh(slope[:, 0] * y + slope[:, 1] * x)
    angle, phase = 3.14 * torch.rand(2, n, 1, 1, generator=g)
    thread = torch.sin(0.8 * size * (y * angle.cos() + x * angle.sin()) + 2 * phase)
    return (0.5 + 0.3 * shade + fine * thread).clamp(0, 1).unsqueeze(1)


def dial(n: int, seed: int, d: int = 40) -> Tensor:
    """Return series (n, d) with one bump whose place runs around a ring."""
    g, t = made(seed), torch.linspace(0, 1, d + 1)[:-1]
    away = (t - torch.rand(n, 1, generator=g) + 0.5) % 1 - 0.5
    height = 0.7 + 0.6 * torch.rand(n, 1, generator=g)
    return height * torch.exp(-((away / 0.08) ** 2))


def motors(n: int, seed: int, t: int = 32, c: int = 4) -> Tensor:
    """Return windows (n, c, t) of c vibration sensors, mean 0 and spread 1."""
    g, mix = made(seed), torch.randn(3, c, generator=made(5))
    time, rate = torch.linspace(0, 1, t), 1 + torch.rand(n, 3, 1, generator=g)
    rate = rate * torch.tensor([1.0, 1.5, 2.0])[:, None]
    phase, size = torch.rand(2, n, 3, 1, generator=g)
    parts = (0.4 + size) * torch.sin(6.28 * (rate * time + phase))
    x = torch.einsum("npt,pc->nct", parts, mix)
    x = x + 0.05 * torch.randn(x.shape, generator=g)
    mean, spread = x.mean((0, 2), keepdim=True), x.std((0, 2), keepdim=True)
    return (x - mean) / spread


def machine(n: int, seed: int, d: int = 24, rank: int = 4) -> Tensor:
    """Return standardised rows (n, d) that bend with a few hidden settings."""
    g, kind = made(seed), made(13)
    h = torch.randn(n, rank, generator=g) @ torch.randn(rank, 3 * rank, generator=kind)
    x = torch.sin(h / 2) @ torch.randn(3 * rank, d, generator=kind)
    x = x + 0.1 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


def features(n: int, seed: int, d: int = 32, atoms: int = 64, on: int = 3) -> Tensor:
    """Return activations (n, d), each the sum of a few of many unit directions."""
    g, kind = made(seed), made(19)
    book = torch.randn(atoms, d, generator=kind)
    book = book / book.norm(dim=1, keepdim=True)
    which = torch.rand(n, atoms, generator=g).topk(on, 1).indices
    much = 1 + torch.rand(n, on, 1, generator=g)
    return (book[which] * much).sum(1)
