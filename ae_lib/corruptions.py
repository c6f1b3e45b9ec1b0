"""Spoil images on purpose: Gaussian noise, salt and pepper, and masked squares.

Each function takes float images (N, C, H, W) in [0, 1] and returns such images, on the
same device; the input is left alone. The strength is one number, or a tensor (N,) with
one for each image. All random numbers come from the generator, which may live on
another device: the same seed spoils the same images alike. Chapter 15 writes them out.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def gaussian(x: Tensor, sigma: float | Tensor, generator: Generator) -> Tensor:
    """Add independent Gaussian noise of deviation sigma, and clip to [0, 1].

    It is equally strong everywhere and independent for each number, which the noise of
    a camera is not. Near black and white clipping leaves less than sigma, with a mean
    that is not 0. `sigma` is 0 or more.

    >>> grey = torch.full((2, 3, 32, 32), 0.5)
    >>> noisy = gaussian(grey, 0.1, torch.Generator().manual_seed(0))
    >>> round((noisy - grey).std().item(), 2)
    0.1
    """
    sigma = _strength("sigma", sigma, _checked(x), most=float("inf"))
    noise = torch.randn(x.shape, generator=generator, device=generator.device)
    return (x + sigma * noise.to(x.device)).clamp(0, 1).to(x.dtype)


def salt_and_pepper(x: Tensor, share: float | Tensor, generator: Generator) -> Tensor:
    """Turn a share of the pixels black or white, in all channels; the rest is intact.

    Each pixel is hit with the probability `share`, from 0 to 1, half of them black.

    >>> grey = torch.full((2, 3, 32, 32), 0.5)
    >>> salt_and_pepper(grey, 1, torch.Generator().manual_seed(0)).unique().tolist()
    [0.0, 1.0]
    """
    share = _strength("share", share, _checked(x))
    u = _uniform((len(x), 1, *x.shape[2:]), generator, x)  # (N, 1, H, W)
    x = torch.where(u < share / 2, torch.zeros_like(x), x)
    return torch.where((u >= share / 2) & (u < share), torch.ones_like(x), x)


def mask(
    x: Tensor, share: float | Tensor, generator: Generator, size: int = 1
) -> Tensor:
    """Black out a share of the squares of size × size that tile the image.

    Each square goes with the probability `share`, in all channels. Size 1, the
    default, takes single pixels. `holes` tells which, from a generator of equal seed.

    >>> white = torch.ones(1, 3, 32, 32)
    >>> mask(white, 0.25, torch.Generator().manual_seed(0), size=8).mean().item()
    0.75
    """
    return x.masked_fill(holes(x, share, generator, size), 0)


def holes(
    x: Tensor, share: float | Tensor, generator: Generator, size: int = 1
) -> Tensor:
    """Draw what `mask` blacks out: bool (N, 1, H, W), True where the image is lost.

    `size` must divide height and width, otherwise ValueError.
    """
    share = _strength("share", share, _checked(x))
    height, width = x.shape[2:]
    if size < 1 or height % size or width % size:
        raise ValueError(
            f"squares of {size}×{size} do not tile images of {height}×{width}; size "
            "must divide both"
        )
    tiles = (len(x), 1, height // size, width // size)
    lost = _uniform(tiles, generator, x) < share  # (N, 1, H/size, W/size)
    return lost.repeat_interleave(size, 2).repeat_interleave(size, 3)


def _uniform(shape: tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    """Draw float32 numbers in [0, 1) where the generator lives, for images elsewhere.

    They stay float32 for half-precision images, in which u could round up to a share.
    """
    u = torch.rand(shape, generator=generator, device=generator.device)
    return u.to(like.device)


def _strength(
    name: str, value: float | Tensor, x: Tensor, most: float = 1.0
) -> float | Tensor:
    """Return a strength that spreads over images: a number, or (N, 1, 1, 1)."""
    given = torch.as_tensor(value)
    if given.ndim and given.shape != x.shape[:1]:
        raise ValueError(
            f"{name} must be one number or a tensor ({len(x)},), one for each image, "
            f"got {tuple(given.shape)}"
        )
    # Written so that NaN, which compares as False, is turned away.
    if given.numel() and not ((given >= 0) & (given <= most)).all():
        limit = "0 or more" if most == float("inf") else f"from 0 to {most:g}"
        raise ValueError(f"{name} must be {limit}, got {value}")
    return given.to(x.device).view(-1, 1, 1, 1) if given.ndim else value


def _checked(x: Tensor) -> Tensor:
    """Return x if it holds float images (N, C, H, W) in [0, 1]."""
    if x.ndim != 4 or not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        raise ValueError(
            f"expected float images (N, C, H, W) in [0, 1], got {kind} of shape "
            f"{tuple(x.shape)}; see ae_lib.data.to_unit"
        )
    if x.numel():
        low, high = x.detach().aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"pixels must be in [0, 1], got [{low:.4g}, {high:.4g}]; see "
                "ae_lib.data.to_unit"
            )
    return x
