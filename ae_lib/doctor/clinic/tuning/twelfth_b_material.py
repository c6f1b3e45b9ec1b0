"""Small synthetic data for the eighth part, b, and two helpers."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import codes, train


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(-1, 1, size)
    return torch.meshgrid(axis, axis, indexing="ij")


def rooms(n: int, seed: int, size: int = 16) -> Tensor:
    """Return depth images (n, 1, size, size) in metres: a slanted wall and a box."""
    g = made(seed)
    y, x = _grid(size)
    far, tilt, roll = torch.rand(3, n, 1, 1, generator=g).unbind(0)
    wall = 2 + 2 * far + (tilt - 0.5) * 1.6 * x + (roll - 0.5) * 1.2 * y
    cx, cy = (1.2 * torch.rand(2, n, 1, 1, generator=g) - 0.6).unbind(0)
    half = 0.3 + 0.25 * torch.rand(n, 1, 1, generator=g)
    inside = torch.sigmoid(12 * (half - torch.maximum((x - cx).abs(), (y - cy).abs())))
    near = 0.7 + 0.8 * torch.rand(n, 1, 1, generator=g)
    return (wall * (1 - inside) + near * inside).unsqueeze(1)


def cells(n: int, seed: int, size: int = 16) -> Tensor:
    """Return micrographs (n, 1, size, size) in [0, 1]: two soft, turned ellipses."""
    g = made(seed)
    y, x = _grid(size)
    image = torch.zeros(n, size, size)
    for _ in range(2):
        cx, cy = (1.2 * torch.rand(2, n, 1, 1, generator=g) - 0.6).unbind(0)
        angle, long, wide = torch.rand(3, n, 1, 1, generator=g).unbind(0)
        angle, long, wide = 3.14 * angle, 0.3 + 0.3 * long, 0.2 + 0.15 * wide
        u = (x - cx) * angle.cos() + (y - cy) * angle.sin()
        v = (y - cy) * angle.cos() - (x - cx) * angle.sin()
        image = torch.maximum(image, torch.exp(-((u / long) ** 2 + (v / wide) ** 2)))
    return image.unsqueeze(1)


def skies(n: int, seed: int, high: int = 16, wide: int = 16) -> Tensor:
    """Return colour images (n, 3, high, wide) in [0, 1]: a sky, a horizon, a sun."""
    g = made(seed)
    y = torch.linspace(-1, 1, high)[:, None]
    x = torch.linspace(-1, 1, wide)[None, :]
    line, slope = (torch.rand(2, n, 1, 1, generator=g) - 0.5).unbind(0)
    ground = torch.sigmoid(8 * (y - line - 0.6 * slope * x)).unsqueeze(1)
    above, below = torch.rand(2, n, 3, 1, 1, generator=g).unbind(0)
    cx, cy = (1.4 * torch.rand(2, n, 1, 1, generator=g) - 0.7).unbind(0)
    sun = torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.08).unsqueeze(1)
    image = 0.2 + 0.5 * (above * (1 - ground) + below * ground)
    return (image + 0.3 * sun * (1 - ground)).clamp(0, 1)


def shafts(n: int, seed: int, t: int = 32, c: int = 4) -> Tensor:
    """Return windows (n, t, c), channels last: a turning shaft, other size per pick-up.

    Each channel sees the same two harmonics with another phase and amplitude.
    """
    g, kind = made(seed), made(71)
    time = torch.linspace(0, 1, t)[:, None]
    gain = 0.5 + torch.rand(2, c, generator=kind)
    lag = 0.3 * torch.rand(2, c, generator=kind)
    level = torch.linspace(-1.5, 1.5, c)
    rate = 1 + 1.2 * torch.rand(n, 1, 1, generator=g)
    phase = torch.rand(2, n, 1, 1, generator=g)
    size = 0.4 + torch.rand(2, n, 1, 1, generator=g)
    one = size[0] * gain[0] * torch.sin(6.28 * (rate * time + phase[0] + lag[0]))
    two = 0.5 * size[1] * gain[1] * torch.sin(12.57 * (rate * time + phase[1] + lag[1]))
    return level + one + two + 0.05 * torch.randn(n, t, c, generator=g)


def bends(n: int, seed: int, d: int = 24, rank: int = 5, bend: float = 1.0) -> Tensor:
    """Return standardised rows (n, d) that bend with `rank` hidden causes."""
    g, kind = made(seed), made(101 + rank)
    z = torch.randn(n, rank, generator=g)
    x = torch.tanh(bend * z @ torch.randn(rank, 3 * rank, generator=kind) / rank**0.5)
    x = x @ torch.randn(3 * rank, d, generator=kind)
    x = (x - x.mean(0)) / x.std(0)
    x = x + 0.1 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


def station(n: int, seed: int) -> Tensor:
    """Return weather records (n, 10) in their own units, moved by three causes.

    Pascal, metres of visibility, watts, degrees, metres per second, shares.
    """
    rows = bends(n, seed, d=10, rank=3)
    size = torch.tensor([900.0, 6000, 220, 8, 8, 6, 3, 2, 0.15, 0.02])
    zero = torch.tensor([101300.0, 15000, 400, 12, 7, 9, 4, 5, 0.6, 0.03])
    return zero + size * rows


def stream(n: int, seed: int, d: int = 32, features: int = 64, active=3) -> Tensor:
    """Return activations (n, d): a few of many directions, each of some strength."""
    g, kind = made(seed), made(131)
    book = F.normalize(torch.randn(features, d, generator=kind), dim=1)
    on = torch.rand(n, features, generator=g).argsort(1) < active
    strength = 0.5 + torch.rand(n, features, generator=g)
    x = (on * strength) @ book + 0.02 * torch.randn(n, d, generator=g)
    return x * (d**0.5 / x.norm(dim=1).mean())


def tissue(n: int, seed: int, d: int = 60, kinds: int = 5) -> tuple[Tensor, Tensor]:
    """Return counts (n, d) of genes and the kind of each cell."""
    g, kind = made(seed), made(151)
    base = torch.randn(1, d, generator=kind)
    rate = base + 1.2 * torch.randn(kinds, d, generator=kind)
    slope = 0.6 * torch.randn(2, d, generator=kind)
    y = torch.randint(kinds, (n,), generator=g)
    lift = 0.3 * torch.randn(n, 1, generator=g)
    rows = rate[y] + torch.randn(n, 2, generator=g) @ slope + lift
    return torch.poisson(rows.clamp(max=3.5).exp(), generator=g), y


def shares(n: int, seed: int, d: int = 24, rank: int = 3) -> Tensor:
    """Return compositions (n, d): non-negative shares that add up to one."""
    g, kind = made(seed), made(171)
    pure = torch.softmax(2.5 * torch.randn(rank + 1, d, generator=kind), 1)
    mix = torch.softmax(1.8 * torch.randn(n, rank + 1, generator=g), 1)
    x = mix @ pure + 0.002 * torch.rand(n, d, generator=g)
    return x / x.sum(1, keepdim=True)


def bars(n: int, seed: int, size: int = 12) -> Tensor:
    """Return binary images (n, 1, size, size): a few thick bars on empty ground."""
    g = made(seed)
    image = torch.zeros(n, size, size, dtype=torch.bool)
    for axis in (1, 2):
        on = (torch.rand(n, size // 3, generator=g) < 0.3).repeat_interleave(3, 1)
        image = image | on.unsqueeze(axis)
    return image.float().unsqueeze(1)


def marks(n: int, seed: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return images (n, 1, size, size) of faint signs on strong slopes, and the sign.

    The light that falls across the image is far stronger than the four signs.
    """
    g = made(seed)
    y, x = _grid(size)
    kind = torch.randint(4, (n,), generator=g)
    thick = (0.18 + 0.05 * torch.rand(n, 1, 1, generator=g)) ** 2
    cx, cy = (0.5 * torch.rand(2, n, 1, 1, generator=g) - 0.25).unbind(0)
    u, v = x - cx, y - cy
    ring = ((u**2 + v**2).sqrt() - 0.5) ** 2
    cross = torch.minimum(u**2, v**2)
    slant = torch.minimum((u - v) ** 2, (u + v) ** 2) / 2
    rails = torch.minimum((v - 0.35) ** 2, (v + 0.35) ** 2)
    sign = torch.stack([ring, cross, slant, rails], 1)[torch.arange(n), kind]
    light = torch.randn(n, 3, 1, 1, generator=g)
    slope = 0.5 + 0.3 * (light[:, 0] + light[:, 1] * x + light[:, 2] * y)
    return (slope + 0.12 * torch.exp(-sign / thick)).unsqueeze(1), kind


def epochs(case: dict, count: int, val: Tensor, loss=F.mse_loss) -> dict:
    """Train a case for some epochs; return the history of both losses."""
    history, model = {"train_loss": [], "val_loss": []}, case["model"]
    for _ in range(count):
        losses = train(case, len(case["batches"]))
        model.eval()
        with torch.no_grad():
            held = loss(model(val), val).item()
        history["train_loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(held)
        model.train()
    return history


def live_units(case: dict) -> float:
    """Return the share of code units that vary on more than 1 % of the samples."""
    z = codes(case).flatten(1)
    moved = (z - z.median(0).values).abs() > 1e-6
    return (moved.float().mean(0) > 0.01).float().mean().item()
