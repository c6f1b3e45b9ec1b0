import math

import torch


def by_sums(x, x_hat, mean):
    left = ((x_hat - x) ** 2).sum()
    return 1 - (left / ((x - mean[None]) ** 2).sum()).item()


def by_library(x, x_hat):
    return 10 * math.log10(1 / torch.nn.functional.mse_loss(x_hat, x).item())


def mean_of_images(x, x_hat, mean):
    each = (x - x_hat).square().mean((1, 2, 3)) / (x - mean).square().mean((1, 2, 3))
    return (1 - each).mean()


def per_image(x, x_hat):
    return (-10 * (x - x_hat).square().mean((1, 2, 3)).log10()).mean()


def mse(a, b):
    return (a - b).square().mean()


RIGHT = {"00.1": [by_sums], "00.2": [by_library]}
WRONG = {
    "00.1": [
        (lambda x, y, m: 1 - mse(x, m) / mse(x, y), "upside down"),
        (lambda x, y, m: mse(x, y) / mse(x, m), "the share of the error that is left"),
        (lambda x, y, m: 1 - mse(x, y), "divide the MSE by the mean image's"),
        (lambda x, y, m: 1 - mse(x, y) / mse(x, x.mean(0)), "images under test"),
        (lambda x, y, m: 1 - mse(x, y) / mse(x, m.mean()), "one grey for all"),
        (lambda x, y, m: 1 - mse(x, y) / mse(x, x.mean()), "one grey, and of"),
        (lambda x, y, m: 1 - (x - y).abs().mean() / (x - m).abs().mean(), "absolute"),
        (lambda x, y, m: 1 - (mse(x, y) / mse(x, m)).sqrt(), "square root"),
        (mean_of_images, "R² of single images"),
        (lambda x, y, m: 1 - (x - y).square() / mse(x, m), "6×3×4×4"),
        (lambda x, y, m: 1 - mse(x, y) / x.var(), "R² is off: expected"),
        (lambda x, y, m: None, "`return`"),
    ],
    "00.2": [
        (per_image, "PSNR of single images"),
        (lambda x, y: 10 * mse(x, y).log10(), "sign"),
        (lambda x, y: -10 * mse(x, y).log(), "natural logarithm"),
        (lambda x, y: -20 * mse(x, y).log10(), "20 log10"),
        (lambda x, y: -10 * mse(x, y).sqrt().log10(), "factor for a root is 20"),
        (lambda x, y: 10 * (255**2 / mse(x, y)).log10(), "up to 255"),
        (lambda x, y: -10 * (x - y).square().sum().log10(), "take their mean"),
        (lambda x, y: -mse(x, y).log10(), "multiply by 10"),
        (lambda x, y: -10 * (x - y).abs().mean().log10(), "absolute"),
    ],
}
