"""Small data and networks for the sixth part of the clinic."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.parts import AE, adam


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 4242)


def rings(n: int = 448, seed: int = 0, size: int = 28) -> Tensor:
    """Return grey pictures (n, 1, size, size) of a bright ring on black, in [0, 1]."""
    made, axis = _made(seed), torch.linspace(-1, 1, size)
    u, v, r = torch.rand(3, n, 1, 1, generator=made)
    away = ((axis[:, None] - u + 0.5) ** 2 + (axis - v + 0.5) ** 2).sqrt()
    ring = torch.exp(-(((away - 0.25 - 0.3 * r) / 0.12) ** 2))
    return ring[:, None].contiguous()


def tiles(n: int = 384, seed: int = 0, size: int = 32) -> Tensor:
    """Return colour pictures (n, 3, size, size): a gradient and a disc, in [0, 1]."""
    made, axis = _made(seed), torch.linspace(0, 1, size)
    one, two, disc = torch.rand(3, n, 3, 1, 1, generator=made)
    turn, x, y, r = torch.rand(4, n, 1, 1, 1, generator=made)
    way = turn * axis[:, None] + (1 - turn) * axis
    away = ((axis[:, None] - 0.2 - 0.6 * x) ** 2 + (axis - 0.2 - 0.6 * y) ** 2).sqrt()
    inside = torch.sigmoid((0.12 + 0.15 * r - away) * 2 * size)
    return (1 - inside) * ((1 - way) * one + way * two) + inside * disc


def paths(n: int = 512, seed: int = 0, d: int = 80, causes: int = 10) -> Tensor:
    """Return smooth curves (n, d) of `causes` cosines of random height."""
    made, time = _made(seed), torch.linspace(0, 1, d)
    waves = torch.cos(torch.pi * torch.arange(1, causes + 1)[:, None] * time)
    height = torch.randn(n, causes, generator=made)
    return height @ waves * (2 / causes) ** 0.5


def hills(n: int = 640, seed: int = 0, d: int = 64) -> Tensor:
    """Return one hill (n, d) on a circle: its place is all that varies."""
    place = torch.rand(n, 1, generator=_made(seed))
    away = (torch.arange(d) / d - place + 0.5) % 1 - 0.5
    return torch.exp(-((away / 0.08) ** 2))


def baskets(n: int = 512, seed: int = 0, d: int = 48, tastes: int = 4) -> Tensor:
    """Return how often each of d goods was bought (n, d): whole numbers from 0."""
    made = _made(seed)
    liking = torch.rand(tastes, d, generator=made).pow(6)
    share = torch.rand(n, tastes, generator=made).pow(3)
    return torch.poisson(5 * share @ liking, generator=made)


class PoolNet(nn.Module):
    """Pool twice, go up by transposed convolutions of kernel 2; no dense layer."""

    def __init__(self, channels=1, code=4, width=12, act=F.relu, last=torch.sigmoid):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, code, 3, padding=1)
        self.t_conv1 = nn.ConvTranspose2d(code, width, 2, 2)
        self.t_conv2 = nn.ConvTranspose2d(width, channels, 2, 2)
        self.act, self.last = act, last

    def encode(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.act(self.conv1(x)), 2)
        return F.max_pool2d(self.act(self.conv2(x)), 2)

    def decode(self, z: Tensor) -> Tensor:
        x_hat = self.t_conv2(self.act(self.t_conv1(z)))
        return self.last(x_hat) if self.last else x_hat

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class PatchNet(nn.Module):
    """Embed patches, mix them all in one dense code and paint patches again."""

    def __init__(self, channels, size, k, patch=4, width=24, act=nn.GELU, last=None):
        super().__init__()
        self.side, d = size // patch, channels * patch**2
        self.embed = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(d, width, 1))
        self.squeeze = nn.Linear(width * self.side**2, k)
        self.widen = nn.Linear(k, width * self.side**2)
        self.paint = nn.Sequential(nn.Conv2d(width, d, 1), nn.PixelShuffle(patch))
        self.act, self.last = act(), last() if last else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        return self.squeeze(self.act(self.embed(x)).flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        h = self.act(self.widen(z)).unflatten(1, (-1, self.side, self.side))
        return self.last(self.paint(h))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Block(nn.Module):
    """Normalise groups of channels, convolve, and add what came in."""

    def __init__(self, width: int, act, norm: bool = True):
        super().__init__()
        self.norm = nn.GroupNorm(4, width) if norm else nn.Identity()
        self.act, self.conv = act(), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.act(self.norm(x)))


def block_net(shape, k, width=16, act=nn.SiLU, last=nn.Sigmoid, norm=True) -> AE:
    """Return strides of 4, residual blocks, a dense code, and steps up by 2 twice."""
    c, s = shape[0], shape[-1] // 4
    encoder = nn.Sequential(
        nn.Conv2d(c, width, 4, 4),  # (B, width, S/4, S/4)
        Block(width, act, norm),
        act(),
        nn.Flatten(),
        nn.Linear(width * s * s, k),  # (B, k)
    )
    decoder = nn.Sequential(
        nn.Linear(k, width * s * s),
        nn.Unflatten(1, (width, s, s)),
        Block(width, act, norm),
        nn.Upsample(scale_factor=2),
        act(),
        nn.Conv2d(width, 4 * c, 3, padding=1),
        nn.PixelShuffle(2),  # (B, c, S, S)
        *([last()] if last else []),
    )
    return AE(encoder, decoder)


class Dcgan(nn.Module):
    """Go from 32 x 32 to k numbers and back as the generators of the time did."""

    def __init__(self, channels=3, k=32, w=8, last=nn.Tanh, norm=nn.BatchNorm2d):
        super().__init__()
        leak = nn.LeakyReLU(0.2)
        down = [nn.Conv2d(channels, w, 4, 2, 1), leak]  # (B, w, 16, 16)
        down += [nn.Conv2d(w, 2 * w, 4, 2, 1), norm(2 * w), leak]
        down += [nn.Conv2d(2 * w, 4 * w, 4, 2, 1), norm(4 * w), leak]
        self.main = nn.Sequential(*down, nn.Conv2d(4 * w, k, 4))  # (B, k, 1, 1)
        up = [nn.ConvTranspose2d(k, 4 * w, 4), norm(4 * w), nn.ReLU()]
        up += [nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1), norm(2 * w), nn.ReLU()]
        up += [nn.ConvTranspose2d(2 * w, w, 4, 2, 1), nn.ReLU()]
        up += [nn.ConvTranspose2d(w, channels, 4, 2, 1), *([last()] if last else [])]
        self.back = nn.Sequential(*up)

    def encode(self, x: Tensor) -> Tensor:
        return self.main(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.main(x))


class Gauss(nn.Module):
    """Be a dense variational autoencoder with one head, cut in two."""

    def __init__(self, shape, k=8, hidden=96, last=nn.Sigmoid, act=nn.ReLU):
        super().__init__()
        d = torch.Size(shape).numel()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(d, hidden), act())
        self.head = nn.Linear(hidden, 2 * k)
        up = [nn.Linear(k, hidden), act(), nn.Linear(hidden, d)]
        self.paint = nn.Sequential(*up, *([last()] if last else []))

    def encode(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x)).chunk(2, 1)[0]

    def spread(self, raw: Tensor) -> Tensor:
        return raw

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mu, raw = self.head(self.trunk(x)).chunk(2, 1)
        logvar = self.spread(raw)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return {"x_hat": self.paint(z).view_as(x), "mu": mu, "logvar": logvar}


def divergence(out) -> Tensor:
    """Return the divergence from N(0, 1), (batch, units)."""
    mu, logvar = out["mu"], out["logvar"]
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def distance(out, x: Tensor) -> Tensor:
    """Return the squared error of each sample, summed over its pixels."""
    return (out["x_hat"] - x).square().flatten(1).sum(1)


def written(model, batches, optimizer=None, **more) -> dict:
    """Return a program; without an optimizer it gets Adam at 2e-3."""
    chosen = adam(model) if optimizer is None else optimizer
    return {"model": model, "batches": batches, "optimizer": chosen, **more}
