"""Data, networks and measures shared by the programs of the files tenth_b_*."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.measures import outputs
from ae_lib.doctor.clinic.parts import kl


def made(seed: int) -> torch.Generator:
    """Return a generator for data."""
    return torch.Generator().manual_seed(seed)


def weather(n: int, seed: int, t: int = 16, c: int = 3) -> Tensor:
    """Return smooth series (n, t, c) of five causes, each channel standardised."""
    g, time = made(seed), torch.linspace(0, 2 * torch.pi, t)
    shapes = [torch.ones(t), time - torch.pi, time.sin(), time.cos(), (2 * time).sin()]
    causes = torch.randn(n, 5, generator=g)
    mix = torch.randn(5, c, generator=made(99))  # the same station for every seed
    x = torch.einsum("nk,kt,kc->ntc", causes, torch.stack(shapes), mix)
    x = x + 0.1 * torch.randn(x.shape, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def heartbeats(n: int, seed: int, t: int = 32) -> Tensor:
    """Return series (n, t) with one or two narrow beats, mean 0 and deviation 1."""
    g, time = made(seed), torch.arange(t).float()
    first = 3 + (t / 2 - 3) * torch.rand(n, 1, generator=g)
    height = 0.3 + torch.rand(n, 2, generator=g)
    beats = height[:, :1] * torch.exp(-((time - first) ** 2) / 2)
    beats = beats + height[:, 1:] * torch.exp(-((time - first - t / 3) ** 2) / 2)
    return (beats - beats.mean()) / beats.std()


def tones(n: int, seed: int, rate: int = 250, t: int = 64) -> Tensor:
    """Return pure tones (n, t) recorded at `rate` samples a second."""
    g = made(seed)
    hertz, phase = 4 + 6 * torch.rand(n, 1, generator=g), torch.rand(n, 1, generator=g)
    return torch.sin(2 * torch.pi * (hertz * torch.arange(t) / rate + phase))


def walks(n: int, seed: int, t: int = 16) -> Tensor:
    """Return smoothed random walks (n, t, 1), mean 0 and deviation 1."""
    steps = torch.randn(n, t, 1, generator=made(seed))
    x = F.avg_pool1d(steps.cumsum(1).transpose(1, 2), 3, 1, 1).transpose(1, 2)
    return (x - x.mean()) / x.std()


def counts(n: int, seed: int, d: int = 30) -> Tensor:
    """Return counts (n, d) with low-rank log rates; their mean is about 20."""
    g = made(seed)
    log_rate = torch.randn(n, 4, generator=g) @ torch.randn(4, d, generator=g) / 2.5
    return torch.poisson((3 + 0.7 * log_rate).exp().clamp(max=400), generator=g)


def shares(n: int, seed: int, d: int = 24) -> Tensor:
    """Return rows (n, d) of shares that sum to one."""
    g = made(seed)
    score = torch.randn(n, 4, generator=g) @ torch.randn(4, d, generator=g)
    return (0.8 * score).softmax(1)


class Recurrent(nn.Module):
    """Read a series (B, T, C) with a GRU and write it again from one code."""

    def __init__(self, channels: int, width: int, k: int):
        super().__init__()
        self.reader = nn.GRU(channels, width, batch_first=True)
        self.to_code = nn.Linear(width, k)
        self.writer = nn.GRU(k, width, batch_first=True)
        self.head = nn.Linear(width, channels)

    def encode(self, x: Tensor) -> Tensor:
        _, h = self.reader(x)
        return self.to_code(h[-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        h, _ = self.writer(z[:, None].repeat(1, x.shape[1], 1))
        return self.head(h)


def conv1d(channels: int, t: int, k: int, width: int = 16) -> nn.Sequential:
    """Return a convolutional autoencoder of series (B, channels, t)."""
    return nn.Sequential(
        nn.Conv1d(channels, width, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (t // 4), k),
        nn.Linear(k, 2 * width * (t // 4)),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, t // 4)),
        nn.ConvTranspose1d(2 * width, width, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose1d(width, channels, 4, 2, 1),
    )


def column_r2(case: dict) -> float:
    """Return the median over columns of 1 - MSE / variance."""
    _, target, picture = outputs(case)
    error = (picture - target).square().mean(0) / target.var(0)
    return (1 - error).median().item()


def prior_fit(case: dict) -> float:
    """Return minus the mean KL divergence of the first batch."""
    rows = next(iter(case["batches"]))
    _, mu, logvar = case["model"](rows)
    return -kl(mu, logvar).sum(1).mean().item()
