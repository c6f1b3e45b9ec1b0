"""Data and measures of the third part of the clinic; made in milliseconds."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic import measures


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def _grey_photos() -> list[Tensor]:
    from sklearn.datasets import load_sample_images

    rows = [torch.tensor(a).float().mean(2) / 255 for a in load_sample_images().images]
    return [F.avg_pool2d(row[None], 3)[0] for row in rows]  # (142, 213)


def grey(n: int = 448, seed: int = 0, height: int = 20, width: int = 20) -> Tensor:
    """Return grey cut-outs (n, 1, height, width) of two photographs, in [0, 1]."""
    made, cuts = _made(seed), []
    for i in range(n):
        photo = _grey_photos()[i % 2]
        top = int(torch.randint(photo.shape[0] - height, (), generator=made))
        left = int(torch.randint(photo.shape[1] - width, (), generator=made))
        cuts.append(photo[top : top + height, left : left + width])
    order = torch.randperm(n, generator=made)
    return torch.stack(cuts)[order][:, None].contiguous()


def blobs(n: int = 448, seed: int = 0, size: int = 20) -> Tensor:
    """Return pictures (n, 1, size, size) of one bright cell on black, in [0, 1]."""
    made = _made(seed)
    place = size * (0.25 + 0.5 * torch.rand(n, 2, generator=made))
    width = size * (0.08 + 0.08 * torch.rand(n, 1, 1, generator=made))
    light = 0.5 + 0.5 * torch.rand(n, 1, 1, generator=made)
    axis = torch.arange(size) + 0.5
    rows = (axis[None, :, None] - place[:, 0, None, None]).square()
    columns = (axis[None, None, :] - place[:, 1, None, None]).square()
    return (light * torch.exp(-(rows + columns) / (2 * width.square())))[:, None]


def spectra(n: int = 512, seed: int = 0, d: int = 96, peaks: int = 6) -> Tensor:
    """Return spectra (n, d) of lines of changing height on a baseline, in [0, 1]."""
    made, axis = _made(seed), torch.linspace(0, 1, d)
    centre = torch.linspace(0.1, 0.9, peaks)
    width = 0.02 + 0.005 * torch.arange(peaks)
    lines = torch.exp(-(axis - centre[:, None]).square() / (2 * width[:, None] ** 2))
    height = torch.rand(n, peaks, generator=made)
    slope = 0.2 * torch.rand(n, 1, generator=made) * axis
    noise = 0.01 * torch.rand(n, d, generator=made)
    return (height @ lines + slope + noise) / 1.25


def beats(n: int = 512, seed: int = 0, d: int = 64) -> Tensor:
    """Return heart beats (n, d) around zero, from about -0.4 to 1.3."""
    made, axis = _made(seed), torch.linspace(0, 1, d)
    x = torch.zeros(n, d)
    for centre, width, height in (
        (0.2, 0.04, 0.2),
        (0.42, 0.02, -0.3),
        (0.46, 0.025, 1.2),
        (0.75, 0.06, 0.35),
    ):
        at = centre + 0.03 * torch.randn(n, 1, generator=made)
        size = height * (1 + 0.3 * torch.randn(n, 1, generator=made))
        x += size * torch.exp(-(axis - at).square() / (2 * width**2))
    return x + 0.01 * torch.randn(n, d, generator=made)


def counts(n: int = 512, seed: int = 0, d: int = 40, topics: int = 5) -> Tensor:
    """Return word counts (n, d) from a few topics, whole numbers from 0 to about 90."""
    made = _made(seed)
    words = torch.rand(topics, d, generator=made).pow(4)
    share = torch.rand(n, topics, generator=made).pow(2)
    return torch.poisson(20 * share @ words, generator=made)


@cache
def _cells() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def cells(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return 30 measurements of 569 cell nuclei, as measured, and two classes."""
    order = torch.randperm(569, generator=_made(seed))
    return _cells()[0][order], _cells()[1][order]


def by_column(x: Tensor) -> Tensor:
    """Return x with mean 0 and standard deviation 1 in each column."""
    return (x - x.mean(0)) / x.std(0)


def loudness(n: int = 384, seed: int = 0, bands: int = 24, times: int = 32) -> Tensor:
    """Return log power (n, 1, bands, times) of gliding tones, from about -7 to 1."""
    made = _made(seed)
    time, band = torch.linspace(0, 1, times), torch.arange(bands)[:, None]
    pitch = 3 + 5 * torch.rand(n, 1, 1, generator=made)
    glide = 6 * (torch.rand(n, 1, 1, generator=made) - 0.5)
    fade = 1 + 2 * torch.rand(n, 1, 1, generator=made)
    power = torch.zeros(n, bands, times)
    for overtone in (1, 2, 3):
        at = overtone * (pitch + glide * time)
        power += torch.exp(-(band - at).square() / 2 - fade * overtone * time)
    power += 1e-3 * (0.5 + torch.rand(n, bands, times, generator=made))
    return power.log()[:, None]


def regimes(n: int = 1536, seed: int = 0, d: int = 24, modes: int = 6):
    """Return rows (n, d) of a machine in `modes` states, and the state of each."""
    made = _made(seed)
    state = torch.arange(n) % modes
    middle = torch.randn(modes, d, generator=made)
    swing = torch.randn(modes, 2, d, generator=made) / 2
    x = torch.einsum("nk,nkd->nd", torch.randn(n, 2, generator=made), swing[state])
    x = x + middle[state] + 0.05 * torch.randn(n, d, generator=made)
    return (x - x.mean()) / x.std(), state


def sensors(n: int = 448, seed: int = 0, length: int = 48, channels: int = 6) -> Tensor:
    """Return recordings (n, length, channels): slow waves, each with its own level."""
    made, time = _made(seed), torch.linspace(0, 1, length)[:, None]
    speed = 1 + torch.rand(n, 1, channels, generator=made)
    phase = torch.rand(n, 1, channels, generator=made)
    level = torch.linspace(-1, 1, channels) + torch.randn(n, 1, 1, generator=made) / 4
    return level + 0.6 * torch.sin(2 * torch.pi * (speed * time + phase))


def each_column(case: dict) -> float:
    """Return R² of each column, no less than -1, averaged over the columns."""
    _, target, picture = measures.outputs(case)
    error = (picture.reshape(target.shape) - target).square().mean(0)
    return (1 - error / target.var(0)).clamp_min(-1).mean().item()


@torch.no_grad()
def with_finite_loss(case: dict) -> float:
    """Return R², or -1 where the loss that the author sees is not finite."""
    x, target = measures.pair(case, next(iter(case["batches"])))
    loss = case["loss"](case["model"](x), target)
    return measures.r2(case) if loss.isfinite() else -1.0
