"""The checks of chapter 00: a share of the variance, and decibels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, number


def _images() -> tuple[Tensor, Tensor, Tensor]:
    """Return images (6, 3, 4, 4), unequal reconstructions of them, another mean."""
    random = torch.Generator().manual_seed(0)
    x = torch.rand(6, 3, 4, 4, generator=random)
    size = torch.linspace(0.02, 0.3, 6).view(-1, 1, 1, 1)  # some are much worse
    x_hat = x + size * torch.randn(x.shape, generator=random)
    mean = 0.4 + 0.2 * torch.rand(3, 4, 4, generator=random)  # of other images
    return x, x_hat, mean


@hint("0 for the mean image, 1 for a copy, 0.75 where a quarter of its error is left")
def check_1(r_squared: Callable[[Tensor, Tensor, Tensor], float]) -> str:
    """Hold r_squared(x, x_hat, mean) to 1 - MSE / MSE of the mean image."""
    x, x_hat, mean = _images()
    off, base = (x - x_hat).square(), (x - mean).square()
    error, most = off.mean(), base.mean()
    each = off.mean((1, 2, 3)) / base.mean((1, 2, 3))
    own = (x - x.mean(0)).square().mean()
    grey = (x - mean.mean()).square().mean()
    mistakes = {
        "the fraction is upside down; the mean image's error belongs below": 1
        - most / error,
        "that is the share of the error that is left; R² is 1 minus it": error / most,
        "that is 1 - MSE; divide the MSE by the mean image's first": 1 - error,
        "you compare with the mean of the images under test; `mean` is that of the "
        "training images": 1 - error / own,
        "you compare with one grey for all pixels; the mean image has its own value "
        "for each": 1 - error / grey,
        "you compare with one grey, and of the images under test; `mean` has its own "
        "value for each pixel": 1 - error / (x - x.mean()).square().mean(),
        "you took absolute errors; R² compares squared ones": 1
        - (x - x_hat).abs().mean() / (x - mean).abs().mean(),
        "you averaged the R² of single images; divide the two errors of all images, "
        "once": 1 - each.mean(),
        "you took the square root of the errors; R² compares squared ones": 1
        - (error / most).sqrt(),
    }
    value = number(r_squared(x.clone(), x_hat.clone(), mean.clone()), "R²")
    compare(value, 1 - error / most, mistakes, "R² is off")
    for y, right, name in (
        (x, 1.0, "a perfect copy"),
        (mean.expand_as(x), 0.0, "the mean image"),
    ):
        value = number(r_squared(x.clone(), y.clone(), mean.clone()), "R²")
        close = abs(value - right) < 1e-3
        expect(close, f"{name} should get {right:.0f}, and gets {value:.3g}")
    return "the mean image gets 0, a copy 1, on any data set"


@hint("20 dB for an MSE of 0.01; the mean over all images first, the logarithm last")
def check_2(psnr: Callable[[Tensor, Tensor], float]) -> str:
    """Hold psnr(x, x_hat) to -10 log10 of the MSE of all images."""
    x, x_hat, _ = _images()
    off = (x - x_hat).square()
    error = off.mean()
    right = -10 * error.log10()
    each = -10 * off.mean((1, 2, 3)).log10()
    mistakes = {
        "you averaged the PSNR of single images, which flatters; average the squared "
        "errors, and take the logarithm once": each.mean(),
        "the sign is turned around; a small error means many decibels": -right,
        "that is the natural logarithm; decibels want log10": -10 * error.log(),
        "the MSE is a squared error already; 20 log10 would square it again": 2 * right,
        "you took the root of the MSE, but the factor for a root is 20": right / 2,
        "you measured on a scale up to 255; these pixels are in [0, 1]": right
        + 20 * torch.tensor(255.0).log10(),
        "you summed the squared errors; take their mean": -10 * off.sum().log10(),
        "decibels are tenths; multiply by 10": right / 10,
        "you took absolute errors; the MSE has squared ones": -10
        * (x - x_hat).abs().mean().log10(),
    }
    value = number(psnr(x.clone(), x_hat.clone()), "the PSNR")
    compare(value, right, mistakes, "the PSNR is off")
    value = number(psnr(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.1)), "it")
    compare(value, 20.0, {}, "an error of 0.1 everywhere has 20 dB")
    return "each 10 dB are a factor of ten in the MSE"
