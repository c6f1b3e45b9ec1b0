"""Small data for the healthy programs of the fourth held-back part.

Every function draws in milliseconds, in random order unless it says otherwise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.parts import adam


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 90_001)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(0, 1, size)
    return axis[:, None], axis


def doodles(n: int = 448, seed: int = 0, size: int = 28) -> Tensor:
    """Return drawings (n, 1, size, size): one dark curve on white paper, in [0, 1]."""
    made = _made(seed)
    a, b, c = 0.15 + 0.7 * torch.rand(3, n, 1, 2, generator=made)
    t = torch.linspace(0, 1, 20)[:, None]
    curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c  # (n, 20, 2)
    y, x = _grid(size)
    away = (y - curve[..., :1, None]) ** 2 + (x - curve[..., 1:, None]) ** 2
    return 1 - torch.exp(-away.min(1).values / 0.07**2)[:, None]


def voices(n: int = 448, seed: int = 0, size: int = 32) -> Tensor:
    """Return spectrograms (n, 1, size, size) in decibels: -40 is silence, 0 is loud."""
    made = _made(seed)
    pitch, slope, begin, length, tilt = torch.rand(5, n, 1, 1, generator=made)
    row, time = _grid(size)
    base = 0.12 + 0.12 * pitch + 0.08 * (slope - 0.5) * time  # (n, 1, size)
    power = sum(
        torch.exp(-k * (0.2 + 0.6 * tilt))
        * torch.exp(-(((row - k * base) / 0.05) ** 2))
        for k in range(1, 5)
    )
    start, end = 0.3 * begin, 0.55 + 0.4 * length
    gate = torch.sigmoid(30 * (time - start)) * torch.sigmoid(30 * (end - time))
    return 10 * torch.log10(power * gate + 1e-4)[:, None]


def organs(n: int = 448, seed: int = 0, size: int = 32) -> Tensor:
    """Return masks (n, 1, size, size) of two ellipses, every value 0 or 1."""
    made = _made(seed)
    y, x = _grid(size)
    mask = torch.zeros(n, size, size)
    for middle in (0.3, 0.7):
        dy, dx, ry, rx = torch.rand(4, n, 1, 1, generator=made)
        v = (y - 0.5 - 0.15 * (dy - 0.5)) / (0.18 + 0.15 * ry)
        u = (x - middle - 0.1 * (dx - 0.5)) / (0.1 + 0.08 * rx)
        mask = torch.maximum(mask, (v**2 + u**2 < 1).float())
    return mask[:, None]


def ground(n: int = 448, seed: int = 0, size: int = 24, bands: int = 4) -> Tensor:
    """Return textures (n, bands, size, size) of power 1 / f^4 about 0, like terrain."""
    made = _made(seed)
    fy, fx = torch.fft.fftfreq(size) * size, torch.fft.rfftfreq(size) * size
    f = (fy[:, None] ** 2 + fx**2).sqrt().clamp(min=0.7)
    noise = torch.randn(n, 2, size, size, generator=made)
    fields = torch.fft.irfft2(torch.fft.rfft2(noise) / f**2, s=(size, size))
    mix = torch.tensor([[1.0, 0.2], [0.8, 0.5], [0.3, 1.0], [-0.4, 0.9]])[:bands]
    x = torch.einsum("bk,nkhw->nbhw", mix, fields / fields.std())
    return x + 0.05 * torch.randn(x.shape, generator=made)


def phantoms(n: int = 448, seed: int = 0, size: int = 32) -> Tensor:
    """Return slices (n, 1, size, size) of nested soft ellipses in [0, 1]."""
    made = _made(seed)
    y, x = _grid(size)
    image = torch.zeros(n, size, size)
    for radius, grey in ((0.42, 0.9), (0.36, 0.35), (0.16, 0.7), (0.12, 0.15)):
        dy, dx, ry, rx, g = torch.rand(5, n, 1, 1, generator=made) - 0.5
        shift = 0.08 if radius > 0.2 else 0.3
        v = (y - 0.5 - shift * dy) / (radius * (1 + 0.3 * ry))
        u = (x - 0.5 - shift * dx) / (radius * (1 + 0.3 * rx))
        inside = torch.sigmoid(12 * (1 - (v**2 + u**2).sqrt()))
        image = image * (1 - inside) + inside * (grey + 0.2 * g)
    return image.clamp(0, 1)[:, None]


def streets(n: int = 448, seed: int = 0, size: int = 24) -> Tensor:
    """Return maps of classes (n, 4, size, size), one-hot: sky, house, tree, ground."""
    made = _made(seed)
    line, tall, wide, place, tree, crown = torch.rand(6, n, 1, 1, generator=made)
    y, x = _grid(size)
    ground_at = 0.6 + 0.25 * line
    kind = torch.zeros(n, size, size, dtype=torch.long)
    house = (y > ground_at - 0.2 - 0.25 * tall) & (
        (x - 0.25 - 0.2 * place).abs() < 0.1 + 0.12 * wide
    )
    round_ = (y - ground_at + 0.1) ** 2 + (x - 0.7 - 0.2 * tree) ** 2
    kind[house] = 1
    kind[round_ < (0.08 + 0.1 * crown) ** 2] = 2
    kind[(y > ground_at).expand_as(kind)] = 3
    return F.one_hot(kind, 4).permute(0, 3, 1, 2).float()


def depths(n: int = 448, seed: int = 0, size: int = 24) -> Tensor:
    """Return distances in metres (n, 1, size, size), 0.8 to 7: a box in a room."""
    made = _made(seed)
    far, tilt, near, py, px, half = torch.rand(6, n, 1, 1, generator=made)
    y, x = _grid(size)
    wall = 3 + 3 * far + 2 * (tilt - 0.5) * (x - 0.5) - 1.5 * (y - 0.5)
    off = torch.maximum((y - 0.3 - 0.4 * py).abs(), (x - 0.3 - 0.4 * px).abs())
    box = torch.sigmoid(50 * (0.12 + 0.12 * half - off))
    return (wall * (1 - box) + box * (0.8 + 1.5 * near))[:, None]


def beats(n: int = 512, seed: int = 0, d: int = 96) -> Tensor:
    """Return heartbeats (n, 1, d) in millivolts, about -0.3 to 1.5."""
    made = _made(seed)
    time = torch.linspace(0, 1, d)
    x = 0.02 * torch.randn(n, d, generator=made)
    for at, width, high in ((0.25, 0.04, 0.2), (0.45, 0.02, 1.2), (0.7, 0.06, 0.35)):
        dt, dw, dh = torch.rand(3, n, 1, generator=made) - 0.5
        place = at + 0.06 * dt
        x += high * (1 + dh) * torch.exp(-(((time - place) / width / (1 + dw)) ** 2))
    return x[:, None]


def machine(n: int = 512, seed: int = 0, d: int = 32, channels: int = 3) -> Tensor:
    """Return consecutive windows (n, channels, d) of one long stationary record."""
    made = _made(seed)
    steps = 0.25 + 0.08 * torch.randn(2, n * d, generator=made).cumsum(1).sin()
    phase = steps.cumsum(1)
    loud = 1 + 0.4 * torch.sin(torch.arange(n * d) * 0.011)
    wave = torch.stack([loud * phase[0].sin(), phase[1].sin(), phase[0].cos()])
    mix = torch.randn(channels, 3, generator=made)
    x = (mix @ wave).view(channels, n, d).transpose(0, 1)
    return (x / x.std()).contiguous()


def outlines(n: int = 512, seed: int = 0, points: int = 40) -> Tensor:
    """Return closed outlines (n, 2, points): coordinates about the centre."""
    made = _made(seed)
    angle = 2 * torch.pi * torch.arange(points) / points
    a, b = 0.25 * torch.randn(2, n, 4, 1, generator=made)
    order = torch.arange(2, 6)[:, None]
    scale = 1 / (order - 0.5)
    waves = a * scale * torch.cos(order * angle) + b * scale * torch.sin(order * angle)
    radius = 1 + waves.sum(1)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def words(n: int = 640, seed: int = 0, letters: int = 16) -> Tensor:
    """Return words of letters (n, 6, letters), one-hot: three of eight syllables."""
    made = _made(seed)
    syllables = torch.randint(letters, (8, 2), generator=_made(7))
    chosen = torch.randint(8, (n, 3), generator=made)
    return F.one_hot(syllables[chosen].flatten(1), letters).float()


def ratings(n: int = 640, seed: int = 0, films: int = 60) -> tuple[Tensor, Tensor]:
    """Return ratings less their mean (n, films), and which of them (half) are known."""
    made = _made(seed)
    taste, film = (
        torch.randn(n, 3, generator=made),
        torch.randn(3, films, generator=_made(3)),
    )
    full = (0.7 * taste @ film).clamp(-2, 2)
    return full, (torch.rand(full.shape, generator=made) < 0.5).float()


def customers(n: int = 640, seed: int = 0) -> Tensor:
    """Return rows (n, 20): eight standardised numbers and three one-hot columns."""
    made = _made(seed)
    cause = torch.randn(n, 4, generator=made)
    number = cause @ torch.randn(4, 8, generator=_made(1))
    number = number + 0.2 * torch.randn(n, 8, generator=made)
    columns = [(number - number.mean(0)) / number.std(0)]
    for k, levels in enumerate((3, 4, 5)):
        score = cause @ torch.randn(4, levels, generator=_made(k + 10))
        columns.append(F.one_hot(score.argmax(1), levels).float())
    return torch.cat(columns, 1)


def activations(n: int = 2048, seed: int = 0, d: int = 32, features: int = 48):
    """Return vectors (n, d), each the sum of about three of the features."""
    made = _made(seed)
    direction = F.normalize(torch.randn(features, d, generator=_made(2)), dim=1)
    on = torch.rand(n, features, generator=made) < 3 / features
    strength = on * (0.7 + 0.6 * torch.rand(n, features, generator=made))
    return strength @ direction + 0.02 * torch.randn(n, d, generator=made)


def sentences(n: int = 640, seed: int = 0, d: int = 96) -> Tensor:
    """Return embeddings (n, d) of length one: values of about a tenth."""
    made = _made(seed)
    topic = torch.randn(n, 10, generator=made)
    x = topic @ torch.randn(10, d, generator=_made(4))
    return F.normalize(x + 0.4 * torch.randn(n, d, generator=made), dim=1)


def peaks(n: int = 512, seed: int = 0, d: int = 100) -> Tensor:
    """Return spectra (n, d) of mixtures of five substances on a sloping base, >= 0."""
    made = _made(seed)
    axis = torch.linspace(0, 1, d)
    place = torch.rand(5, 3, 1, generator=_made(5))
    pure = torch.exp(-(((axis - place) / 0.03) ** 2)).sum(1)
    share = torch.rand(n, 5, generator=made) ** 2
    slope = torch.rand(n, 1, generator=made)
    noise = 0.01 * torch.rand(n, d, generator=made)
    return share @ pure + 0.2 * slope * axis + noise


def tones(n: int = 512, seed: int = 0, d: int = 128) -> Tensor:
    """Return plucked strings (n, 1, d) in [-1, 1], of a few cycles each."""
    made = _made(seed)
    pitch, fade, bright, loud = torch.rand(4, n, 1, generator=made)
    time = torch.linspace(0, 1, d)
    angle = 2 * torch.pi * (4 + 2 * pitch) * time
    x = torch.sin(angle) + 0.4 * bright * torch.sin(2 * angle)
    return ((0.4 + 0.3 * loud) * torch.exp(-3 * fade * time) * x)[:, None]


def genes(n: int = 640, seed: int = 0, d: int = 80) -> tuple[Tensor, Tensor]:
    """Return counts of molecules (n, d), half of them 0, and the types of the cells."""
    made = _made(seed)
    kind = torch.randint(5, (n,), generator=made)
    program = torch.randn(5, d, generator=_made(6))
    state = torch.randn(n, 2, generator=made)
    rate = program[kind] + 0.5 * state @ torch.randn(2, d, generator=_made(8))
    return torch.poisson((rate - 0.2).exp(), generator=made), kind


def flows(n: int = 448, seed: int = 0, size: int = 16) -> Tensor:
    """Return fields of movement (n, 2, size, size) in pixels, about -4 to 4."""
    made = _made(seed)
    v, u, spin, cy, cx = 2 * torch.rand(5, n, 1, 1, generator=made) - 1
    y, x = _grid(size)
    near = torch.exp(-((y - 0.5 - 0.3 * cy) ** 2 + (x - 0.5 - 0.3 * cx) ** 2) / 0.08)
    dy = 2 * v + 12 * spin * near * (x - 0.5 - 0.3 * cx)
    dx = 2 * u - 12 * spin * near * (y - 0.5 - 0.3 * cy)
    return torch.stack([dy, dx], 1)


def case(model, batches, optimizer=None, **more) -> dict:
    """Return a program; without an optimizer it gets Adam at 2e-3."""
    chosen = adam(model) if optimizer is None else optimizer
    return {"model": model, "batches": batches, "optimizer": chosen, **more}
