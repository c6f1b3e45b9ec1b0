"""Parts of the residual network: patches as channels, and blocks that correct them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int, int]


class MatrixConv(nn.Module):
    """Convolve 3×3, with the filters kept as a matrix (out, 9·in).

    The arithmetic is that of nn.Conv2d; as a matrix the filters are something that
    Muon can make orthogonal.
    """

    def __init__(self, channels: int):
        super().__init__()
        start = nn.Conv2d(channels, channels, 3)
        self.weight = nn.Parameter(start.weight.detach().flatten(1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        filters = self.weight.unflatten(1, (-1, 3, 3))  # (out, in, 3, 3)
        return F.conv2d(x, filters, self.bias, padding=1)


class Block(nn.Module):
    """Add a correction to what comes in: x + conv(gelu(conv(norm(x)))).

    The second convolution starts at zero, and with it the correction. `norm` brings
    the channels of each place to mean 0 and variance 1, alike in training and
    evaluation.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.first, self.second = MatrixConv(channels), MatrixConv(channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, H, W)
        return x + self.second(F.gelu(self.first(h)))


def fold(x: Tensor) -> Tensor:
    """Put each 4×4 patch into channels: (B, C, H, W) -> (B, 16·C, H/4, W/4)."""
    patches = x.unflatten(3, (-1, 4)).unflatten(2, (-1, 4))  # (B, C, H/4, 4, W/4, 4)
    return patches.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def unfold(h: Tensor) -> Tensor:
    """Undo `fold`: (B, 16·C, H/4, W/4) -> (B, C, H, W)."""
    patches = h.unflatten(1, (-1, 4, 4)).permute(0, 1, 4, 2, 5, 3)
    return patches.flatten(4, 5).flatten(2, 3)


class PatchEncoder(nn.Module):
    """Fold 4×4 patches into channels, add computed channels, correct: -> 128×8×8."""

    def __init__(self, image_shape: Shape, width: int, blocks: int):
        super().__init__()
        own = 16 * image_shape[0]  # channels that hold the pixels of a patch
        self.stem = nn.Conv2d(own, width - own, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        patches = fold(x)  # (B, 48, 8, 8)
        h = torch.cat([patches, self.stem(patches)], dim=1)  # (B, 128, 8, 8)
        return self.blocks(h).flatten(1)  # (B, 8192)


class PatchDecoder(nn.Module):
    """Unfold a code: -> 128×8×8, correct, and lay the patches out: -> 3×32×32."""

    def __init__(self, latent_dim: int, image_shape: Shape, width: int, blocks: int):
        super().__init__()
        channels, height, width_of_image = image_shape
        self.grid = (width, height // 4, width_of_image // 4)
        self.own = 16 * channels
        self.up = nn.Linear(latent_dim, width * self.grid[1] * self.grid[2])
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.Conv2d(width, self.own, 3, padding=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        h = self.up(z).unflatten(1, self.grid)  # (B, 128, 8, 8)
        h = self.blocks(h.contiguous(memory_format=torch.channels_last))
        patches = h[:, : self.own].float() + self.head(h)  # (B, 48, 8, 8)
        return unfold(patches)  # (B, 3, 32, 32)
