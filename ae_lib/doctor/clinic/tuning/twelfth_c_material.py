"""Small synthetic data for the eighth part, c: the same for each seed."""

import torch
from torch import Tensor


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def tones(n: int, seed: int, t: int = 64) -> Tensor:
    """Return plucked notes (n, 1, t) in [-1, 1]: a pitch, an overtone and a decay."""
    g, time = made(seed), torch.linspace(0, 1, t)
    pitch, decay, colour, loud = torch.rand(4, n, 1, generator=g).unbind(0)
    phase = 6.28 * (1.5 + 2 * pitch) * time
    wave = torch.sin(phase) + 0.6 * colour * torch.sin(2 * phase)
    note = (0.4 + 0.6 * loud) * torch.exp(-3 * decay * time) * wave / 1.6
    return (note + 0.01 * torch.randn(n, t, generator=g)).clamp(-1, 1).unsqueeze(1)


def loads(n: int, seed: int, t: int = 24) -> tuple[Tensor, Tensor]:
    """Return daily load curves (n, t) of one year in order, and the time of year."""
    g, hour = made(seed), torch.linspace(0, 24, t)
    season = torch.linspace(0, 1, n).unsqueeze(1)
    winter = 0.5 + 0.5 * torch.cos(6.28 * season)

    def bump(at: float, width: float) -> Tensor:
        return torch.exp(-0.5 * ((hour - at) / width) ** 2)

    free = (torch.arange(n) % 7 >= 5).float().unsqueeze(1)
    vary = 1 + 0.25 * torch.randn(n, 3, generator=g)
    x = 0.3 + 0.9 * winter * vary[:, :1] * bump(19, 2.5)
    x = x + 0.7 * (1 - free) * vary[:, 1:2] * bump(8, 1.5)
    x = x + 1.1 * (1 - winter) * vary[:, 2:] * bump(14, 3)
    return x + 0.03 * torch.randn(n, t, generator=g), season.squeeze(1)


def machine(n: int, seed: int, t: int = 32, c: int = 4, noise: float = 0.05) -> Tensor:
    """Return windows (n, c, t) of c sensors of a shaft, each with mean 0, spread 1."""
    g, mix = made(seed), torch.randn(c, 3, generator=made(5))
    time = torch.linspace(0, 1, t)
    rate, phase, load, trend = torch.rand(4, n, 1, generator=g).unbind(0)
    turn = 6.28 * ((1 + 1.5 * rate) * time + phase)
    drift = (2 * load - 1) + 1.5 * (trend - 0.5) * time
    hidden = torch.stack([torch.sin(turn), torch.cos(turn), drift], 1)  # (n, 3, t)
    x = mix @ hidden + noise * torch.randn(n, c, t, generator=g)
    return (x - x.mean((0, 2), keepdim=True)) / x.std((0, 2), keepdim=True)


def songs(n: int, seed: int, size: int = 16) -> Tensor:
    """Return spectrograms (n, 1, size, size) in [0, 1]: a gliding stack of lines."""
    g, axis = made(seed), torch.linspace(0, 1, size)
    base, glide, fade, start = torch.rand(4, n, 1, 1, generator=g).unbind(0)
    centre = 0.12 + 0.2 * base + 0.15 * (glide - 0.5) * axis  # (n, 1, time)
    power = torch.zeros(n, size, size)
    for k in (1, 2, 3):
        line = torch.exp(-0.5 * ((axis[:, None] - k * centre) / 0.06) ** 2)
        power = power + line * torch.exp(-2 * fade * k * axis) / k**0.5
    late = torch.sigmoid((axis - 0.5 * start) / 0.05)
    return (power * late).clamp(0, 1).unsqueeze(1)


def gait(n: int, seed: int, t: int = 32) -> tuple[Tensor, Tensor]:
    """Return accelerations (n, 3, t) of four activities, mixed, and the activity."""
    g, time = made(seed), torch.linspace(0, 1, t)
    kind = torch.randint(4, (n,), generator=g)
    rate = torch.tensor([1.0, 2.0, 1.5, 0.5])[kind]
    size = torch.tensor([0.6, 1.2, 0.8, 0.15])[kind]
    down = torch.tensor(
        [[0.0, 0.0, 1.0], [0.5, 0.0, 0.8], [-0.6, 0.5, 0.6], [0.2, -1.0, 0.1]]
    )[kind]
    phase, weight = torch.rand(n, generator=g), 0.7 + 0.6 * torch.rand(n, generator=g)
    turn = 6.28 * (rate[:, None] * time + phase[:, None])
    axes = torch.stack([turn.sin(), 0.5 * turn.cos(), (2 * turn).sin()], 1)
    x = (size * weight)[:, None, None] * axes + down[:, :, None]
    return x + 0.03 * torch.randn(n, 3, t, generator=g), kind


def landscapes(n: int, seed: int, size: int = 16) -> Tensor:
    """Return colour pictures (n, 3, size, size) in [0, 1]: sky, ground and a sun."""
    g, axis = made(seed), torch.linspace(0, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    level, tilt, light, sun, dry = torch.rand(5, n, 1, 1, generator=g).unbind(0)
    edge = 0.4 + 0.35 * level + 0.4 * (tilt - 0.5) * (x - 0.5)
    ground = torch.sigmoid((y - edge) / 0.04).unsqueeze(1)
    sky = torch.stack([0.25 * light, 0.3 + 0.3 * light, 0.6 + 0.4 * light], 1)
    earth = torch.stack([0.1 + 0.5 * dry, 0.45 + 0.1 * light, 0.1 * dry], 1)
    disc = torch.exp(-(((x - sun) ** 2 + (y - 0.2) ** 2) / 0.02)).unsqueeze(1)
    shine = torch.tensor([0.7, 0.5, 0.0]).view(1, 3, 1, 1)
    return (ground * earth + (1 - ground) * (sky + shine * disc)).clamp(0, 1)


def genes(n: int, seed: int, d: int = 40, kinds: int = 5) -> Tensor:
    """Return counts (n, d) of genes in cells: a mixture of programs and a depth."""
    g, kind = made(seed), made(17)
    program = torch.randn(kinds, d, generator=kind)
    share = torch.softmax(2.5 * torch.randn(n, kinds, generator=g), 1)
    depth = 2 + 4 * torch.rand(n, 1, generator=g)
    return torch.poisson(depth * torch.exp(share @ program), generator=g)


def process(
    n: int, seed: int, d: int = 20, rank: int = 4, noise: float = 0.1
) -> Tensor:
    """Return standardised rows (n, d) of a plant that bend with a few causes."""
    g, kind = made(seed), made(29)
    z = torch.randn(n, rank, generator=g)
    x = torch.tanh(z @ torch.randn(rank, 3 * rank, generator=kind))
    x = x @ torch.randn(3 * rank, d, generator=kind)
    x = (x - x.mean(0)) / x.std(0)
    return x + noise * torch.randn(n, d, generator=g)
