"""Networks for the healthy programs of the fourth held-back part."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.parts import AE


@dataclass
class Output:
    """Hold a reconstruction, its code, and what else a loss needs."""

    reconstruction: Tensor
    code: Tensor
    extra: Tensor | None = None


class Upsampling(nn.Module):
    """Go down by strides and a dense code, and up by enlarging and convolving."""

    def __init__(self, c, size, k, width=12, act=nn.ReLU, last=None, norm=None):
        super().__init__()
        s, wide = size // 4, 2 * width

        def block(a, b, stride=1):
            normed = [norm(b)] if norm else []
            return [nn.Conv2d(a, b, 3, stride, 1), *normed, act()]

        self.encoder = nn.Sequential(*block(c, width, 2), *block(width, wide, 2))
        self.to_code = nn.Linear(wide * s * s, k)
        self.from_code = nn.Sequential(
            nn.Linear(k, wide * s * s), nn.Unflatten(1, (wide, s, s)), act()
        )
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            *block(wide, width),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(width, c, 3, padding=1),
            *([last()] if last else []),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.to_code(self.encoder(x).flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.from_code(z))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class UNet(nn.Module):
    """Restore images with two levels and the usual concatenations."""

    def __init__(self, c_in, c_out, w=12, last=None):
        super().__init__()
        self.down1 = self.double(c_in, w)
        self.down2 = self.double(w, 2 * w)
        self.up = nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.merge = self.double(2 * w, w)
        self.out = nn.Conv2d(w, c_out, 1)
        self.last = last() if last else nn.Identity()

    def double(self, a: int, b: int) -> nn.Sequential:
        one, two = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
        return nn.Sequential(one, nn.ReLU(inplace=True), two, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        coarse = self.down2(F.max_pool2d(fine, 2))
        return self.last(self.out(self.merge(torch.cat([self.up(coarse), fine], 1))))


class DnCnn(nn.Module):
    """Predict the noise and subtract it; there is no bottleneck."""

    def __init__(self, channels=1, width=20, depth=4):
        super().__init__()
        layers = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


class Recurrent(nn.Module):
    """Read a sequence (B, T, C) into the last state and write it from there."""

    def __init__(self, channels, hidden=32, cell=nn.LSTM):
        super().__init__()
        self.encoder = cell(channels, hidden, batch_first=True)
        self.decoder = cell(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, channels)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)[0][:, -1]

    def forward(self, x: Tensor) -> Tensor:
        repeated = self.encode(x)[:, None].expand(-1, x.shape[1], -1)
        return self.out(self.decoder(repeated.contiguous())[0]).flip(1)


class Series(nn.Module):
    """Convolve a series (B, C, T) down to a dense code and back."""

    def __init__(self, channels, d, k, width=12, act=nn.GELU, last=None):
        super().__init__()
        wide, s = 2 * width, d // 4
        self.encoder = nn.Sequential(
            nn.Conv1d(channels, width, 7, 2, 3), act(),
            nn.Conv1d(width, wide, 5, 2, 2), act(),
            nn.Flatten(), nn.Linear(wide * s, k),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(k, wide * s), act(), nn.Unflatten(1, (wide, s)),
            nn.ConvTranspose1d(wide, width, 4, 2, 1), act(),
            nn.ConvTranspose1d(width, channels, 4, 2, 1),
            last() if last else nn.Identity(),
        )  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Next(nn.Module):
    """Be a ConvNeXt block, whose branch starts at a millionth."""

    def __init__(self, width: int):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.wide, self.narrow = (
            nn.Conv2d(width, 3 * width, 1),
            nn.Conv2d(3 * width, width, 1),
        )
        self.gamma = nn.Parameter(1e-6 * torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.narrow(F.gelu(self.wide(self.norm(self.depthwise(x)))))
        return x + self.gamma * h


def next_net(c, size, k, width=16) -> AE:
    """Return an autoencoder of patches, ConvNeXt blocks and a dense code."""
    s = size // 4
    encoder = nn.Sequential(
        nn.Conv2d(c, width, 4, 4), nn.GroupNorm(1, width), Next(width), nn.GELU(),
        nn.Flatten(), nn.Linear(width * s * s, k),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(k, width * s * s), nn.Unflatten(1, (width, s, s)), nn.GELU(),
        Next(width), nn.Conv2d(width, 16 * c, 1), nn.PixelShuffle(4),
    )  # fmt: skip
    return AE(encoder, decoder)


class Broadcast(nn.Module):
    """Decode by writing the code at each pixel beside the pixel's coordinates."""

    def __init__(self, encoder: nn.Module, c, size, k, width=32):
        super().__init__()
        self.encoder = encoder
        axis = torch.linspace(-1, 1, size)
        bands = [
            f(math.pi * m * a)
            for a in torch.meshgrid(axis, axis, indexing="ij")
            for m in (0.5, 1, 2)
            for f in (torch.sin, torch.cos)
        ]
        self.register_buffer("place", torch.stack(bands)[None], persistent=False)
        self.net = nn.Sequential(
            nn.Conv2d(k + 12, width, 1), nn.SiLU(), nn.Conv2d(width, width, 1),
            nn.SiLU(), nn.Conv2d(width, c, 1),
        )  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[..., None, None].expand(-1, -1, *x.shape[-2:])
        return self.net(torch.cat([z, self.place.expand(len(x), -1, -1, -1)], 1))


class Quantised(nn.Module):
    """Replace a map of codes by the nearest entries of a book that averages keep."""

    def __init__(self, encoder, decoder, d=8, entries=64, decay=0.95):
        super().__init__()
        self.encoder, self.decoder, self.decay = encoder, decoder, decay
        self.register_buffer("book", torch.randn(entries, d))
        self.register_buffer("used", torch.ones(entries))
        self.register_buffer("summed", self.book.clone())

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x).movedim(1, -1)  # (B, h, w, d)
        flat = z.detach().flatten(0, -2)
        nearest = torch.cdist(flat, self.book).argmin(1)
        if self.training:
            chosen = F.one_hot(nearest, len(self.book)).float()
            with torch.no_grad():
                self.used.lerp_(chosen.sum(0), 1 - self.decay)
                self.summed.lerp_(chosen.T @ flat, 1 - self.decay)
                self.book.copy_(self.summed / (self.used[:, None] + 1e-3))
        q = self.book[nearest].view_as(z)
        straight = z + (q - z).detach()
        commit = (z - q.detach()).square().mean()
        return {"recon": self.decoder(straight.movedim(-1, 1)), "commit": commit}
