"""Data of the eleventh part, f: readings, chirps, veils, gratings, weaves and words."""

import torch
import torch.nn.functional as F
from torch import Tensor

TURN = 2 * torch.pi


def _made(seed: int, salt: int) -> torch.Generator:
    return torch.Generator().manual_seed(7919 * salt + seed)


def readings(n: int = 768, seed: int = 0, d: int = 24, noise: float = 0.05) -> Tensor:
    """Return standardised readings (n, d) of a machine that has four free settings."""
    made = _made(seed, 1)
    setting = torch.rand(n, 4, generator=made) * 2 - 1
    inner = torch.tanh(1.2 * setting @ torch.randn(4, 12, generator=made))
    x = inner @ torch.randn(12, d, generator=made)
    x = x / x.std() + noise * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def strides(n: int = 640, seed: int = 0, t: int = 16) -> Tensor:
    """Return gaits (n, t, 3): three joint angles of one rhythm, about N(0, 1)."""
    made = _made(seed, 2)
    pace = 1 + torch.rand(n, 1, 1, generator=made)
    start = torch.rand(n, 1, 1, generator=made)
    reach = 0.6 + 0.8 * torch.rand(n, 1, 1, generator=made)
    lag = torch.tensor([0.0, 0.15, 0.4])
    clock = torch.linspace(0, 1, t)[:, None]
    x = reach * torch.sin(TURN * (pace * clock + start + lag))
    x = x + 0.03 * torch.randn(n, t, 3, generator=made)
    return x / x.std()


def chirps(n: int = 640, seed: int = 0, t: int = 128) -> Tensor:
    """Return clean tones (n, 1, t) in [-1, 1] that rise or fall and fade."""
    made = _made(seed, 3)
    clock = torch.linspace(0, 1, t)
    low = 2 + 3 * torch.rand(n, 1, generator=made)
    bend = 4 * torch.rand(n, 1, generator=made) - 2
    phase = torch.rand(n, 1, generator=made)
    middle = torch.rand(n, 1, generator=made)
    fade = torch.exp(-((clock - middle) ** 2) / 0.1)
    wave = torch.sin(TURN * (low * clock + bend * clock**2 + phase))
    return (fade * wave)[:, None]


def veils(n: int = 640, seed: int = 0, size: int = 16, channels: int = 1) -> Tensor:
    """Return smooth cloud-like images (n, channels, size, size) in [0, 1]."""
    made = _made(seed, 4)
    knots = torch.randn(n, channels, 4, 4, generator=made)
    x = F.interpolate(knots, size=size, mode="bicubic", align_corners=True)
    return torch.sigmoid(1.3 * x)


def swells(n: int = 640, seed: int = 0, size: int = 16, channels: int = 1) -> Tensor:
    """Return very smooth fields (n, channels, size, size) without seams, in [0, 1]."""
    made = _made(seed, 12)
    grid = torch.arange(size) / size
    x = torch.zeros(n, 2, size, size)
    for a, b in ((0, 1), (1, 0), (1, 1), (1, -1)):
        angle = TURN * (a * grid[:, None] + b * grid)
        weight = torch.randn(n, 2, 2, 1, 1, generator=made)
        x = x + weight[:, :, 0] * angle.sin() + weight[:, :, 1] * angle.cos()
    mix = torch.tensor([[1.0, 0.0], [0.7, 0.7], [0.0, 1.0]])[:channels]
    x = torch.sigmoid(0.7 * torch.einsum("ck,nkij->ncij", mix, x))
    grain = torch.randn(n, channels, size, size, generator=made)
    return (x + 0.01 * grain).clamp(0, 1)


def medals(n: int = 640, seed: int = 0, size: int = 20) -> Tensor:
    """Return bright bars and rings (n, 1, size, size) on dark ground, in [0, 1]."""
    made = _made(seed, 5)
    grid = torch.arange(size) - (size - 1) / 2
    y, x = grid[:, None], grid[None, :]
    at = 5 * torch.rand(n, 2, 1, 1, generator=made) - 2.5
    tilt = torch.pi * torch.rand(n, 1, 1, generator=made)
    radius = 2.5 + 3 * torch.rand(n, 1, 1, generator=made)
    dy, dx = y - at[:, :1, 0, :], x - at[:, 1:, 0, :]
    ring = torch.exp(-(((dy**2 + dx**2).sqrt() - radius) ** 2) / 1.5)
    across = torch.cos(tilt) * dy + torch.sin(tilt) * dx
    along = torch.cos(tilt) * dx - torch.sin(tilt) * dy
    bar = torch.exp(-(across**2) / 1.5) * torch.sigmoid(2 * (radius - along.abs()))
    choose = torch.rand(n, 1, 1, generator=made) < 0.5
    return torch.where(choose, ring, bar)[:, None]


def gratings(n: int = 768, seed: int = 0, size: int = 16, wave=3.2) -> Tensor:
    """Return images of soft shade with a faint fine ripple, (n, 1, size, size)."""
    made = _made(seed, 6)
    grid = torch.arange(size, dtype=torch.float32)
    slope = torch.randn(n, 3, 1, 1, generator=made)
    y, x = grid[:, None] / size - 0.5, grid[None, :] / size - 0.5
    shade = 0.5 + 0.2 * slope[:, 0] + 0.3 * (slope[:, 1] * y + slope[:, 2] * x)
    phase = torch.rand(n, 1, 1, generator=made)
    strong = 0.1 + 0.06 * torch.rand(n, 1, 1, generator=made)
    lying = torch.rand(n, 1, 1, generator=made) < 0.5
    place = torch.where(lying, grid[:, None], grid[None, :].expand(size, size))
    ripple = strong * torch.sin(TURN * (place / wave + phase))
    return (shade + ripple).clamp(0, 1)[:, None]


def weaves(n: int = 768, seed: int = 0, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return woven cloth (n, 1, size, size), threads two pixels apart, and the kind."""
    made = _made(seed, 7)
    grid = torch.arange(size)
    kind = torch.randint(3, (n,), generator=made)
    checks = ((grid[:, None] + grid) % 2).float()
    rows = (grid % 2).float()[:, None].expand(size, size)
    twill = ((grid[:, None] + grid) % 4 < 2).float()
    cloth = torch.stack([checks, rows, twill])[kind]
    flip = torch.rand(n, 1, 1, generator=made) < 0.5
    cloth = torch.where(flip, 1 - cloth, cloth)
    depth = 0.2 + 0.5 * torch.rand(n, 1, 1, generator=made)
    light = veils(n, seed + 11, size)[:, 0]
    return (0.25 + 0.5 * light + depth * (cloth - 0.5)).clamp(0, 1)[:, None], kind


def blinks(n: int = 768, seed: int = 0, size: int = 12) -> Tensor:
    """Return dark images (n, 1, size, size) with two small lights, in [0, 1]."""
    made = _made(seed, 8)
    grid = torch.arange(size, dtype=torch.float32)
    at = 1 + (size - 3) * torch.rand(n, 2, 2, 1, generator=made)
    column = torch.exp(-((grid - at[:, :, 0]) ** 2) / 1.2)
    row = torch.exp(-((grid - at[:, :, 1]) ** 2) / 1.2)
    return torch.einsum("nki,nkj->nij", column, row).clamp(0, 1)[:, None]


def prints(n: int = 900, seed: int = 0, d: int = 48, noise: float = 0.6):
    """Return noisy profiles (n, d) of six curved families, N(0, 1), and the family."""
    made, law = _made(seed, 9), _made(3, 13)
    centre = 1.3 * torch.randn(6, 4, generator=law)
    first, second = torch.randn(4, 24, generator=law), torch.randn(24, d, generator=law)
    family = torch.randint(6, (n,), generator=made)
    inner = centre[family] + 0.35 * torch.randn(n, 4, generator=made)
    x = torch.tanh(inner @ first) @ second / 24**0.5
    x = x / x.std() + noise * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0), family


def tones(n: int = 1200, seed: int = 0, d: int = 64, noise: float = 0.1):
    """Return tones (n, d) that begin alike, with noise, and the band of their pitch."""
    made = _made(seed, 14)
    pitch = torch.rand(n, 1, generator=made)
    loud = 0.6 + 0.8 * torch.rand(n, 1, generator=made)
    wave = torch.sin(TURN * (1 + 5 * pitch) * torch.linspace(0, 1, d))
    x = loud * wave + noise * torch.randn(n, d, generator=made)
    return x, (8 * pitch[:, 0]).long()


def baskets(n: int = 900, seed: int = 0, d: int = 50) -> tuple[Tensor, Tensor]:
    """Return purchases (n, d), counts of goods, and the kind of household."""
    made = _made(seed, 10)
    taste = 1.5 * torch.randn(5, d, generator=made)
    kind = torch.randint(5, (n,), generator=made)
    mix = 0.3 * torch.randn(n, 3, generator=made) @ torch.randn(3, d, generator=made)
    rate = torch.exp(taste[kind] + mix - 0.5).clamp(max=12)
    return torch.poisson(rate, generator=made), kind


def clips(n: int = 512, seed: int = 0, t: int = 6, size: int = 10) -> Tensor:
    """Return clips (n, 1, t, size, size) of a soft ball that rolls straight on."""
    made = _made(seed, 15)
    at = 2 + (size - 5) * torch.rand(n, 2, 1, 1, generator=made)
    speed = 0.8 * torch.rand(n, 2, 1, 1, generator=made) - 0.4
    clock = torch.arange(t)[:, None]
    grid = torch.arange(size, dtype=torch.float32)
    row, column = (
        torch.exp(-((grid - at[:, i] - speed[:, i] * clock) ** 2) / 3) for i in (0, 1)
    )
    return torch.einsum("nti,ntj->ntij", row, column)[:, None]


def river(n: int = 900, seed: int = 0, nodes: int = 18) -> tuple[Tensor, Tensor]:
    """Return levels and flows (n, nodes, 2) of a forked river, and its neighbours."""
    made = _made(seed, 16)
    near = torch.eye(nodes)
    for i in range(1, nodes):
        down = i - 1 if i != 12 else 5  # from node 12 on, a branch that joins node 5
        near[i, down] = near[down, i] = 1
    near = near / near.sum(1, keepdim=True)
    rain = torch.zeros(n, nodes, 2)
    rain[:, [2, 8, 11, 15]] = 3 * torch.randn(n, 4, 2, generator=made)
    for _ in range(4):
        rain = near @ rain
    x = rain + 0.02 * torch.randn(rain.shape, generator=made)
    return x / x.std((0, 1)), near
