"""Small synthetic data for the ninth part, a: the same for each seed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import train, x_hat


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def zscore(x: Tensor) -> Tensor:
    """Return x with mean 0 and deviation 1 in each of its last columns."""
    flat = x.reshape(-1, x.shape[-1])
    return (x - flat.mean(0)) / flat.std(0)


def tones(n: int, seed: int, t: int = 128) -> Tensor:
    """Return audio frames (n, t) in [-1, 1]: a plucked tone with three partials."""
    g, time = made(seed), torch.linspace(0, 1, t)
    pitch = 2 + 3 * torch.rand(n, 1, generator=g)
    phase = 0.15 * torch.rand(n, 1, generator=g)
    decay = 0.5 + 3 * torch.rand(n, 1, generator=g)
    mix = torch.rand(n, 3, 1, generator=g) * torch.tensor([1.0, 0.5, 0.3])[:, None]
    order = torch.arange(1, 4)[:, None]
    angle = 2 * torch.pi * (pitch * time + phase)
    wave = (mix * torch.sin(order * angle[:, None])).sum(1) * torch.exp(-decay * time)
    loud = 0.4 + 0.6 * torch.rand(n, 1, generator=g)
    return loud * wave / wave.abs().amax(1, keepdim=True)


def mels(n: int, seed: int, bands: int = 16, frames: int = 16) -> Tensor:
    """Return log-mel patches (n, 1, bands, frames) in [-1, 1]: gliding formants."""
    g = made(seed)
    time = torch.linspace(0, 1, frames)
    band = torch.linspace(0, 1, bands)[:, None]
    image = torch.zeros(n, bands, frames)
    for _ in range(2):
        start, slope, wide, onset, loud = torch.rand(5, n, 1, 1, generator=g)
        centre = 0.15 + 0.7 * start + 0.5 * (slope - 0.5) * time
        ridge = torch.exp(-(((band - centre) / (0.06 + 0.06 * wide)) ** 2))
        image += (0.5 + loud) * ridge * torch.sigmoid(20 * (time - 0.5 * onset))
    return (torch.log(image + 0.05).unsqueeze(1) + 1.4) / 1.8


def turbine(n: int, seed: int, t: int = 32, c: int = 5) -> Tensor:
    """Return windows (n, t, c) of a machine whose channels bend with one load."""
    g, kind = made(seed), made(71)
    time = torch.linspace(0, 1, t)[:, None]
    base, swing, rate, phase = torch.rand(4, n, 1, 1, generator=g)
    load = 2 * base - 1 + (0.3 + swing) * torch.sin(6.28 * (2 * rate * time + phase))
    gain, bias = torch.randn(2, 3, generator=kind)
    hidden = torch.cat([load, torch.tanh(load * (1 + gain) + bias)], -1)
    x = hidden @ torch.randn(4, c, generator=kind)
    return zscore(x + 0.05 * torch.randn(n, t, c, generator=g))


def days(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return hourly loads (n, 24) in kilowatts, above 0, and if it is a weekend."""
    g, hour = made(seed), torch.arange(24.0)
    rest = (torch.rand(n, 1, generator=g) < 2 / 7).float()
    morning = 7.5 + 2.5 * rest + 0.8 * torch.randn(n, 1, generator=g)
    evening = 19 + 0.8 * torch.randn(n, 1, generator=g)
    size = 0.5 + torch.rand(n, 3, generator=g)
    peak = torch.exp(-0.5 * ((hour - morning) / 1.8) ** 2) * size[:, :1]
    late = torch.exp(-0.5 * ((hour - evening) / 2.5) ** 2) * size[:, 1:2]
    x = 0.2 + 0.5 * size[:, 2:] + 2 * peak + 3 * late
    return x * (1 + 0.03 * torch.randn(n, 24, generator=g)), rest[:, 0].long()


def atoms(n: int, seed: int, d: int = 32, words: int = 64, p: float = 0.05) -> Tensor:
    """Return vectors (n, d) that add up a few of `words` directions, mean square 1."""
    g, kind = made(seed), made(83)
    book = F.normalize(torch.randn(words, d, generator=kind), dim=1)
    on = (torch.rand(n, words, generator=g) < p).float()
    x = (on * (0.5 + torch.rand(n, words, generator=g))) @ book
    x = x + 0.01 * torch.randn(n, d, generator=g)
    return x / x.square().mean().sqrt()


def sheet(n: int, seed: int, d: int = 30, rank: int = 3, noise: float = 0.05) -> Tensor:
    """Return rows (n, d), deviation 1: a bent sheet of `rank` dimensions."""
    g, kind = made(seed), made(97)
    z = 2 * torch.rand(n, rank, generator=g) - 1
    wave = torch.sin(2.2 * z @ torch.randn(rank, 12, generator=kind))
    x = torch.cat([z, wave], 1) @ torch.randn(rank + 12, d, generator=kind)
    return zscore(x + noise * 3 * torch.randn(n, d, generator=g))


def customers(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return rows (n, 18), 10 numbers then two one-hot blocks of 4, and a class."""
    g, kind = made(seed), made(101)
    z = torch.randn(n, 3, generator=g)
    numbers = torch.tanh(z @ torch.randn(3, 8, generator=kind))
    numbers = zscore(numbers @ torch.randn(8, 10, generator=kind))
    numbers = numbers + 0.1 * torch.randn(n, 10, generator=g)
    group = (2.5 * z @ torch.randn(3, 4, generator=kind)).argmax(1)
    region = (2.5 * z @ torch.randn(3, 4, generator=kind)).argmax(1)
    hot = torch.cat([F.one_hot(group, 4), F.one_hot(region, 4)], 1).float()
    return torch.cat([numbers, hot], 1), group


def gait(n: int, seed: int, t: int = 48) -> Tensor:
    """Return accelerometer windows (n, 3, t): walking at some pace, deviation 1."""
    g, time = made(seed), torch.linspace(0, 1, t)
    pace = 1.5 + 2 * torch.rand(n, 1, 1, generator=g)
    phase, limp = torch.rand(2, n, 1, 1, generator=g)
    angle = 6.28 * (pace * time + phase)
    up = torch.sin(angle) + (0.3 + 0.5 * limp) * torch.sin(2 * angle + 0.7)
    side = 0.6 * torch.sin(0.5 * angle) * (0.5 + limp)
    x = torch.cat([side, 0.7 * torch.cos(angle), up], 1)
    return (x + 0.05 * torch.randn(n, 3, t, generator=g)) / x.std()


def weather(n: int, seed: int) -> Tensor:
    """Return rows (n, 8) in their units: kelvin, hectopascal, percent, and so on."""
    g, kind = made(seed), made(107)
    z = torch.randn(n, 2, generator=g)
    x = zscore(torch.tanh(z @ torch.randn(2, 6, generator=kind)))
    x = zscore(x @ torch.randn(6, 8, generator=kind))
    x = x + 0.1 * torch.randn(n, 8, generator=g)
    level = torch.tensor([288.0, 1013.0, 60.0, 4.0, 0.5, 280.0, 12.0, 200.0])
    spread = torch.tensor([8.0, 9.0, 12.0, 1.5, 0.2, 7.0, 4.0, 60.0])
    return level + spread * x


def clicks(n: int, seed: int, d: int = 40, tastes: int = 4) -> Tensor:
    """Return counts (n, d) of clicks on articles by readers with mixed tastes."""
    g, kind = made(seed), made(109)
    likes = torch.softmax(2 * torch.randn(tastes, d, generator=kind), 1)
    share = torch.softmax(2 * torch.randn(n, tastes, generator=g), 1)
    busy = 100 + 200 * torch.rand(n, 1, generator=g)
    return torch.poisson(busy * (share @ likes), generator=g)


def blobs(n: int, seed: int, size: int = 16, colours: int = 1) -> Tensor:
    """Return soft ellipses (n, colours, size, size) in [0, 1] on a sloping ground."""
    g = made(seed)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cx, cy, wide, tall, turn, tilt = torch.rand(6, n, 1, 1, generator=g)
    dx, dy = x - (1.2 * cx - 0.6), y - (1.2 * cy - 0.6)
    c, s = torch.cos(3.14 * turn), torch.sin(3.14 * turn)
    u, v = c * dx + s * dy, c * dy - s * dx
    far = (u / (0.25 + 0.35 * wide)) ** 2 + (v / (0.25 + 0.35 * tall)) ** 2
    shape = torch.sigmoid(4 * (1 - far)).unsqueeze(1)
    ink = 0.4 + 0.6 * torch.rand(n, colours, 1, 1, generator=g)
    return (0.2 * (1 + (2 * tilt - 1) * x).unsqueeze(1) * (1 - shape)) + ink * shape


def rounds(case: dict, epochs: int, val: Tensor | None = None) -> dict:
    """Train a case for some epochs; return its history of mean squared errors."""
    history, per_epoch = {"train_loss": []}, len(list(case["batches"]))
    for _ in range(epochs):
        losses = train(case, per_epoch)
        history["train_loss"].append(sum(losses) / len(losses))
        if val is not None:
            case["model"].eval()
            with torch.no_grad():
                error = F.mse_loss(x_hat(case["model"](val)), val).item()
            history.setdefault("val_loss", []).append(error)
    return history
