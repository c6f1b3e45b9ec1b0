"""Further architectures and small data for the fourth part of the clinic."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.parts import AE, VAE


@dataclass
class Output:
    """Hold what a model of this part returns instead of a tuple."""

    x_hat: Tensor
    mu: Tensor
    logvar: Tensor


class Tied(nn.Module):
    """Use one matrix in both directions: x_hat = last(W' act(W x + b) + c)."""

    def __init__(self, d: int, k: int, act=None, last=None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, d) / d**0.5)
        self.bias = nn.Parameter(torch.zeros(k))
        self.back = nn.Parameter(torch.zeros(d))
        self.act = act or nn.Identity()
        self.last = last or nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        return self.act(F.linear(x.flatten(1), self.weight, self.bias))

    def forward(self, x: Tensor) -> Tensor:
        x_hat = F.linear(self.encode(x), self.weight.T, self.back)
        return self.last(x_hat).view_as(x)


class Residual(nn.Module):
    """Add two convolutions to what comes in."""

    def __init__(self, width: int, act=nn.ReLU, norm: bool = True):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [act(), nn.Conv2d(width, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width)] if norm else []
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residual(shape, k=32, width=16, act=nn.ReLU, last=nn.Sigmoid, norm=True) -> AE:
    """Return a residual autoencoder: stride 4, a block, a dense code, and back."""
    c, s = shape[0], shape[-1] // 4
    encoder = nn.Sequential(
        nn.Conv2d(c, width, 4, 4),  # (B, width, S/4, S/4)
        Residual(width, act, norm),
        act(),
        nn.Flatten(),
        nn.Linear(width * s * s, k),
    )
    decoder = nn.Sequential(
        nn.Linear(k, width * s * s),
        nn.Unflatten(1, (width, s, s)),
        Residual(width, act, norm),
        act(),
        nn.ConvTranspose2d(width, c, 4, 4),
        *([last()] if last else []),
    )
    return AE(encoder, decoder)


def pooled(shape, k=32, width=16, act=nn.ReLU, last=nn.Sigmoid) -> AE:
    """Return an autoencoder of max pooling, nearest upsampling and 3x3 kernels."""
    c, s = shape[0], shape[-1] // 4

    def conv(a, b):
        return nn.Conv2d(a, b, 3, padding=1)

    down = [conv(c, width), act(), nn.MaxPool2d(2)]
    down += [conv(width, width), act(), nn.MaxPool2d(2), nn.Flatten()]
    up = [nn.Linear(k, width * s * s), act(), nn.Unflatten(1, (width, s, s))]
    up += [nn.Upsample(scale_factor=2), conv(width, width), act()]
    up += [nn.Upsample(scale_factor=2), conv(width, c), *([last()] if last else [])]
    down.append(nn.Linear(width * s * s, k))
    return AE(nn.Sequential(*down), nn.Sequential(*up))


class UNet(nn.Module):
    """Go down by 4 and up again; with `skips` each level hands its features over."""

    def __init__(self, channels: int, width: int = 12, k: int = 8, skips: bool = True):
        super().__init__()
        self.skips = skips
        self.top = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, 2, 1)
        self.bottleneck = nn.Conv2d(width, k, 3, 2, 1)
        self.up = nn.ConvTranspose2d(k, width, 4, 2, 1)
        self.up_again = nn.ConvTranspose2d(2 * width, width, 4, 2, 1)
        self.out = nn.Conv2d(2 * width, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.top(x))
        b = F.relu(self.down(a))
        h = F.relu(self.up(self.bottleneck(b)))
        h = torch.cat([h, b if self.skips else 0 * b], 1)
        h = F.relu(self.up_again(h))
        return self.out(torch.cat([h, a if self.skips else 0 * a], 1))


class SignalAE(nn.Module):
    """Encode rows (B, d) by convolutions along them; d must divide by 4."""

    def __init__(self, d: int, k: int = 8, width: int = 12, act=nn.ReLU):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Unflatten(1, (1, d)),
            nn.Conv1d(1, width, 7, 2, 3),
            act(),
            nn.Conv1d(width, width, 7, 2, 3),
            act(),
            nn.Flatten(),
            nn.Linear(width * d // 4, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, width * d // 4),
            act(),
            nn.Unflatten(1, (width, d // 4)),
            nn.ConvTranspose1d(width, width, 8, 4, 2),
            act(),
            nn.Conv1d(width, 1, 7, padding=3),
            nn.Flatten(),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


class DictVAE(VAE):
    """Return a dictionary instead of a tuple."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        recon, mu, logvar = super().forward(x)
        return {"recon": recon, "mu": mu, "log_var": logvar}


class RecordVAE(VAE):
    """Return a dataclass instead of a tuple."""

    def forward(self, x: Tensor) -> Output:
        return Output(*super().forward(x))


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 77)


def heartbeats(n: int = 512, seed: int = 0, d: int = 96) -> Tensor:
    """Return pulses (n, d): a small wave and a spike, place and height vary."""
    made, time = _made(seed), torch.linspace(0, 1, d)
    place, height, gap = torch.rand(3, n, 1, generator=made)
    spike = (0.6 + height) * torch.exp(-(((time - 0.25 - place / 4) / 0.03) ** 2))
    wave = 0.4 * torch.exp(-(((time - 0.6 - gap / 4) / 0.08) ** 2))
    return spike + wave - 0.1 + 0.02 * torch.randn(n, d, generator=made)


def spots(n: int = 512, seed: int = 0, size: int = 16) -> Tensor:
    """Return two bright spots on black (n, 1, size, size), mostly zeros, in [0, 1]."""
    made = _made(seed)
    grid = torch.stack(torch.meshgrid(*2 * [torch.arange(size)], indexing="ij"))
    centre = size * (0.15 + 0.7 * torch.rand(n, 2, 2, 1, 1, generator=made))
    square = (grid - centre).square().sum(2)  # (n, 2, size, size)
    return torch.exp(-square / (size / 7) ** 2).amax(1, keepdim=True)


def ratings(n: int = 512, seed: int = 0, d: int = 40) -> Tensor:
    """Return ratings (n, d) from 1 to 5 that follow four tastes."""
    made = _made(seed)
    taste = torch.randn(n, 4, generator=made) @ torch.randn(4, d, generator=made)
    noise = 0.3 * torch.randn(n, d, generator=made)
    return (3 + 0.7 * taste + noise).round().clamp(1, 5)
