"""Denoisers of chapter 15: training on spoilt images, a network, and a repair.

The chapter writes them out and says why they are as they are. Images are float
(N, C, H, W) in [0, 1], as `ae_lib.corruptions` spoils them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from skimage import filters
from torch import Generator, Tensor, nn

from ae_lib.blocks import Block


class Spoilt(nn.Module):
    """Let a network see spoilt images while it is trained.

    `spoil` takes images and a generator. `fit` compares the answer with the images as
    they were, so the network learns to clean. In evaluation mode nothing is spoilt.

    >>> from ae_lib.corruptions import mask
    >>> black = Spoilt(nn.Identity(), lambda x, generator: mask(x, 1, generator))
    >>> white = torch.ones(1, 3, 8, 8)
    >>> black(white).mean().item(), black.eval()(white).mean().item()
    (0.0, 1.0)
    """

    def __init__(
        self,
        network: nn.Module,
        spoil: Callable[[Tensor, Generator], Tensor],
        seed: int = 0,
    ):
        super().__init__()
        self.network, self.spoil = network, spoil
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.spoil(x, self.generator) if self.training else x
        return self.network(seen)


class Residual(nn.Module):
    """Estimate the damage of colour images with convolutions, and take it away.

    There is no bottleneck. The last layer starts at zero: an untrained network gives
    back what it sees. Height and width must be even.

    >>> x = torch.rand(2, 3, 32, 32)
    >>> torch.equal(Residual()(x), x)
    True
    """

    def __init__(self, width: int = 32, depth: int = 2):
        super().__init__()
        fold, unfold = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
        first = nn.Conv2d(12, width, 3, padding=1)  # (B, 32, 16, 16)
        last = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None  # for the type checker
        nn.init.zeros_(last.bias)
        blocks = [Block(width) for _ in range(depth)]
        self.damage = nn.Sequential(fold, first, *blocks, last, unfold)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.damage(x)  # (B, 3, H, W)


def suspects(x: Tensor) -> Tensor:
    """Tell which pixels are black in all channels, or white in all: bool (N, 1, H, W).

    >>> suspects(torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)).flatten().tolist()
    [True, False, True]
    """
    low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    return (high == 0) | (low == 1)


def repair(x: Tensor, sigma: float = 0.7) -> Tensor:
    """Put the weighted mean of the other neighbours into suspects; leave the rest.

    The weights are a Gaussian of deviation `sigma`, in pixels. Where everything around
    is suspect, black comes out.
    """
    bad = suspects(x)
    weight = _average((~bad).float(), sigma)  # (N, 1, H, W)
    mean = _average(x * ~bad, sigma) / (weight + 1e-6)
    return torch.where(bad, mean, x)


def _average(x: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(filters.gaussian(x.numpy(), (0, 0, sigma, sigma)))
