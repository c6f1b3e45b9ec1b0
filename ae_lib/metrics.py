"""How far a reconstruction is from its image, in numbers.

All errors are measured on pixels in [0, 1]. The mean squared error (MSE) is the mean
over images, channels and pixels, and the PSNR of a data set is the PSNR of that one
number, not the mean of the PSNRs of its images. Reconstructions are measured as they
are: what leaves [0, 1] is not clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor

from ae_lib.data import Images, to_unit


def mse(x: Images | Tensor, x_hat: Tensor) -> float:
    """Average the squared error over images, channels and pixels.

    `x` is Images, uint8 or float in [0, 1], of shape (N, C, H, W); `x_hat` is a
    reconstruction of the same shape. A tensor that holds NaN raises ValueError.

    >>> mse(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.5))
    0.25
    """
    return mse_per_image(x, x_hat).double().mean().item()


def mse_per_image(x: Images | Tensor, x_hat: Tensor) -> Tensor:
    """Average the squared error over the channels and pixels of each image: (N,)."""
    x, x_hat = _pair(x, x_hat)
    return (x - x_hat).square().flatten(1).mean(dim=1)


@overload
def psnr(mse: float) -> float: ...


@overload
def psnr(mse: Tensor) -> Tensor: ...


def psnr(mse: float | Tensor) -> float | Tensor:
    """Turn a mean squared error on [0, 1] into decibels: -10 log10(MSE).

    A number gives a number, a tensor a tensor. Each 10 dB is a factor of ten in the
    MSE, 3 dB a factor of two. An error of zero gives infinity.

    >>> psnr(0.01)
    20.0
    """
    if isinstance(mse, Tensor):
        if (mse < 0).any():
            raise ValueError(f"an MSE is at least 0, got {mse.min().item():.3g}")
        return -10 * torch.log10(mse)
    if mse < 0:
        raise ValueError(f"an MSE is at least 0, got {mse:.3g}")
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim(x: Images | Tensor, x_hat: Tensor, batch_size: int = 50) -> float:
    """Compare local structure; 1 means equal (Wang et al. 2004, 11 x 11 Gaussian).

    Takes what `mse` takes; images smaller than 6 x 6 raise ValueError. The mean over
    images is returned.
    """
    try:
        from torchmetrics.functional.image import (
            structural_similarity_index_measure as similarity,
        )
    except ImportError as error:
        raise ImportError(
            "ssim needs torchmetrics, which is not installed; "
            "run: python -m pip install torchmetrics"
        ) from error
    x, x_hat = _pair(x, x_hat)
    if min(x.shape[-2:]) < 6:  # the reflected border is 5 pixels wide
        raise ValueError(f"ssim needs images of 6 x 6 or more, got {tuple(x.shape)}")
    total = 0.0
    for a, b in zip(x.split(batch_size), x_hat.split(batch_size), strict=True):
        # Every colour of every image is a channel of one image: the same windows, and
        # on a CPU three times as fast.
        before, after = (p.flatten(0, 1).unsqueeze(0) for p in (a, b))  # (1, B·C, H, W)
        value: Any = similarity(after, before, data_range=1.0)
        total += value.item() * len(a)
    return total / len(x)


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return x_hat of what a model returned: x_hat itself, or (x_hat, mu, logvar)."""
    return output[0] if isinstance(output, tuple) else output


def reconstruct(
    model: Callable[[Tensor], Tensor], images: Images | Tensor, batch_size: int = 500
) -> Tensor:
    """Reconstruct images in batches, without gradients, in evaluation mode.

    `model` is an autoencoder or a baseline; of a tuple, as a variational autoencoder
    returns it, the first is taken. The result is float32 on the CPU, of the
    shape (N, C, H, W) of the images. Each part of the model returns to the mode
    (training or evaluation) in which it came.
    """
    pixels = _pixels(images)
    modes: list[tuple[torch.nn.Module, bool]] = []
    device: str | torch.device = "cpu"
    if isinstance(model, torch.nn.Module):
        modes = [(part, part.training) for part in model.modules()]
        device = next((p.device for p in model.parameters()), "cpu")
        model.eval()
    try:
        with torch.no_grad():
            parts = [
                first(model(to_unit(part).to(device))).float().cpu()
                for part in pixels.split(batch_size)
            ]
    finally:
        for part, training in modes:
            part.training = training
    return torch.cat(parts)


def evaluate(
    model: Callable[[Tensor], Tensor], images: Images | Tensor
) -> dict[str, float]:
    """Measure a model or baseline on images: MSE, PSNR in dB, and SSIM.

    Returns {"mse": ..., "psnr": ..., "ssim": ...}; the PSNR is that of the MSE.
    """
    x_hat = reconstruct(model, images)
    error = mse(images, x_hat)
    return {"mse": error, "psnr": psnr(error), "ssim": ssim(images, x_hat)}


def r_squared(mse: float, mse_of_mean_image: float) -> float:
    """Give the fraction of the variance that a reconstruction explains.

    1 is a perfect copy, 0 is no better than the mean image, less than 0 is worse.

    >>> r_squared(0.003, mse_of_mean_image=0.06)
    0.95
    """
    if not mse_of_mean_image > 0:
        raise ValueError(
            "the MSE of the mean image must be above 0, got "
            f"{mse_of_mean_image:.3g}; a data set of equal images has no variance"
        )
    return 1 - mse / mse_of_mean_image


def effective_rank(codes: Tensor) -> float:
    """Count the directions that codes really use, on a continuous scale.

    `codes` is (N, latent_dim). The effective rank is exp(H), where H is the entropy of
    the singular values of the centred codes, scaled to sum to one (Roy and Vetterli
    2007, "The effective rank"). It lies between 1 and latent_dim. Codes that are the
    same for every image give 0: the model has collapsed.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(
            f"codes must be (N, latent_dim) with N >= 2, got {tuple(codes.shape)}"
        )
    codes = codes.detach().double().cpu()
    if not codes.isfinite().all():
        raise ValueError("codes must be finite, got NaN or infinity")
    values = torch.linalg.svdvals(codes - codes.mean(dim=0))
    # What float32 codes leave when a constant is subtracted is not a direction.
    rounding = torch.finfo(torch.float32).eps * codes.norm()
    values = values[values > rounding]
    if len(values) == 0:
        return 0.0
    p = values / values.sum()
    return torch.exp(-(p * p.log()).sum()).item()


def _pixels(images: Images | Tensor) -> Tensor:
    """Return the (N, C, H, W) tensor of Images or of a tensor."""
    pixels = getattr(images, "pixels", images)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) == 0:
        got = tuple(pixels.shape) if isinstance(pixels, Tensor) else type(pixels)
        raise ValueError(
            f"expected Images or a non-empty tensor (N, C, H, W), got {got}; "
            "for one image use image[None]"
        )
    return pixels


def _pair(x: Images | Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as float32 on the CPU after checking that they belong together."""
    x, x_hat = to_unit(_pixels(x)).float(), _pixels(x_hat)
    if x.shape != x_hat.shape:
        raise ValueError(
            "images and reconstructions must have the same shape, got "
            f"{tuple(x.shape)} and {tuple(x_hat.shape)}"
        )
    # Reconstructions may leave [0, 1], those of PCA do, so only uint8 is converted.
    x_hat = to_unit(x_hat) if x_hat.dtype == torch.uint8 else x_hat.detach().float()
    if x_hat.isnan().any():
        raise ValueError("the reconstructions hold NaN: did the training diverge?")
    return x.detach().cpu(), x_hat.cpu()
