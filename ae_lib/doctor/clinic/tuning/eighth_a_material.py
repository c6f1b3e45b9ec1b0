"""Tables, series, spectra and networks for the programs named eighth."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.measures import outputs


def drawn(seed: int) -> torch.Generator:
    """Return a generator of its own for a program's random numbers."""
    return torch.Generator().manual_seed(seed)


@cache
def _cancer() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def cancer(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return a medical table (569, 30) in its own units, and 1 for benign."""
    x, y = _cancer()
    order = torch.randperm(len(x), generator=drawn(seed))
    return x[order], y[order]


def zscore(x: Tensor) -> Tensor:
    """Return x with every column standardised."""
    return (x - x.mean(0)) / x.std(0)


def sensors(n: int = 400, seed: int = 0, d: int = 6, length: int = 24) -> Tensor:
    """Return windows (n, length, d) of d sensors that follow two slow causes."""
    made = drawn(seed)
    mixing = torch.randn(2, d, generator=drawn(77))
    phase = 2 * torch.pi * torch.rand(n, 1, 2, generator=made)
    rate = 1 + torch.rand(n, 1, 2, generator=made)
    time = torch.linspace(0, 1, length)[None, :, None]
    causes = torch.sin(2 * torch.pi * rate * time + phase)
    return causes @ mixing + 0.05 * torch.randn(n, length, d, generator=made)


def spectra(n: int = 400, seed: int = 0) -> Tensor:
    """Return power spectra (n, 1, 16, 16) of tones; a third begin in silence."""
    made = drawn(seed)
    time = torch.arange(16 * 16 + 14) / 30
    pitch = 2 + 10 * torch.rand(n, 2, 1, generator=made)
    tone = torch.sin(2 * torch.pi * pitch * time).sum(1)
    begin = torch.randint(0, 8, (n, 1), generator=made) * 16
    begin = begin * (torch.rand(n, 1, generator=made) < 1 / 3)
    tone = tone * (torch.arange(len(time)) >= begin)
    window = torch.hann_window(30)
    frames = torch.stft(tone, 30, 16, window=window, center=False, return_complex=True)
    return frames.abs().square()[:, None]


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity over windows of 7 x 7, at most 1."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, 1)

    m, n = mean(a), mean(b)
    var = mean(a * a) - m * m + mean(b * b) - n * n
    cov = mean(a * b) - m * n
    top = (2 * m * n + 1e-4) * (2 * cov + 9e-4)
    return (top / ((m * m + n * n + 1e-4) * (var + 9e-4))).mean()


def columns(case: dict) -> float:
    """Return the mean of every column's own R², so that units do not matter."""
    _, target, picture = outputs(case)
    error = (picture - target).square().mean(0)
    return (1 - error / target.var(0)).clamp(min=-1).mean().item()


class Tabular(nn.Module):
    """Reconstruct rows of a table through k numbers."""

    def __init__(self, d: int, k: int, hidden: int = 32):
        super().__init__()
        self.down1, self.down2 = nn.Linear(d, hidden), nn.Linear(hidden, k)
        self.up1, self.up2 = nn.Linear(k, hidden), nn.Linear(hidden, d)

    def encode(self, x: Tensor) -> Tensor:
        return self.down2(F.elu(self.down1(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.up2(F.elu(self.up1(self.encode(x))))


class PoolNet(nn.Module):
    """Pool twice on the way down, double the size twice on the way up."""

    def __init__(self, c: int, size: int, k: int = 48, last=torch.sigmoid):
        super().__init__()
        self.side = size // 4
        self.conv1, self.conv2 = nn.Conv2d(c, 16, 3, 1, 1), nn.Conv2d(16, 32, 3, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * self.side**2, k)
        self.fc2 = nn.Linear(k, 32 * self.side**2)
        self.conv3, self.conv4 = nn.Conv2d(32, 16, 3, 1, 1), nn.Conv2d(16, c, 3, 1, 1)
        self.last = last

    def encode(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc1(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        x = F.relu(self.fc2(z)).view(-1, 32, self.side, self.side)
        x = F.relu(self.conv3(F.interpolate(x, scale_factor=2)))
        x = self.conv4(F.interpolate(x, scale_factor=2))
        return self.last(x) if self.last else x

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Strided(nn.Module):
    """Halve and double by strides, with leaky units and batch norm on request."""

    def __init__(self, c: int, size: int, k: int = 32, last=None, norm: bool = False):
        super().__init__()
        side = size // 4

        def block(layer, width):
            norms = [nn.BatchNorm2d(width)] if norm else []
            return [layer, *norms, nn.LeakyReLU(0.2)]

        self.encoder = nn.Sequential(
            *block(nn.Conv2d(c, 24, 4, 2, 1), 24),
            *block(nn.Conv2d(24, 48, 4, 2, 1), 48),
            nn.Flatten(),
            nn.Linear(48 * side * side, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 48 * side * side),
            nn.Unflatten(1, (48, side, side)),
            *block(nn.ConvTranspose2d(48, 24, 4, 2, 1), 24),
            nn.ConvTranspose2d(24, c, 4, 2, 1),
            *([last] if last else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Recurrent(nn.Module):
    """Read a series (B, T, d) with one LSTM and write it with another."""

    def __init__(self, d: int, hidden: int = 48, k: int = 12):
        super().__init__()
        self.reader = nn.LSTM(d, hidden, batch_first=True)
        self.to_code, self.from_code = nn.Linear(hidden, k), nn.Linear(k, hidden)
        self.writer = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, d)

    def encode(self, x: Tensor) -> Tensor:
        _, (h, _) = self.reader(x)
        return self.to_code(h[-1])

    def forward(self, x: Tensor) -> Tensor:
        start = self.from_code(self.encode(x))
        rows, _ = self.writer(start[:, None].repeat(1, x.shape[1], 1))
        return self.out(rows)


class Series(nn.Module):
    """Reconstruct series (B, c, length) with convolutions over time."""

    def __init__(self, c: int, length: int, k: int = 16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(c, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv1d(16, 32, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * length, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 8 * length),
            nn.ReLU(),
            nn.Unflatten(1, (32, length // 4)),
            nn.ConvTranspose1d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(16, c, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
