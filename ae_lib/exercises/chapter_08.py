"""The checks of chapter 08: what theory asks for a code, and what a value costs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, number, same, sequence


@hint("(0.375, 0.5) for variances of 16, 4 and 0.5, a level of 1, and 5 values")
def check_1(under_water: Callable[[Tensor, float, int], tuple]) -> str:
    """Hold under_water(variances, level, values) to the bytes and MSE of theory."""
    random = torch.Generator().manual_seed(0)
    v = 9 * torch.rand(40, generator=random, dtype=torch.double).sort().values.flip(0)
    v, level, values = v**2, 12.0, 70
    above, below = v[v > level], v[v <= level]
    bits, error = (above / level).log2().sum() / 2, v.clamp(max=level).sum()
    size, mse = _pair(under_water(v.clone(), level, values))
    mistakes = {
        "bytes come first, then the MSE; you have it the other way round": error
        / values,
        "these are bits; a byte has 8": bits,
        "the logarithm is halved: a variance is a square": bits / 4,
        "a logarithm is halved, and a byte has 8 bits": bits * 2,
        "bits have the logarithm to base 2, log2": bits / 8 * math.log(2),
        "a number below the level costs nothing, and pays nothing back": (v / level)
        .log2()
        .sum()
        / 16,
        "the variance is divided by the level, not the level by it": -bits / 8,
        "add the numbers up; an image has all of them": bits / 8 / len(v),
        "of theory, and without 1 +: a number at the level costs nothing": (
            1 + v / level
        )
        .log2()
        .sum()
        / 16,
    }
    compare(size, bits / 8, mistakes, "the bytes of an image are off")
    mistakes = {
        "a number below the level errs by its variance, not by the level": level
        * len(v),
        "a number above the level errs, too: by the level": below.sum(),
        "a number below the level errs, too: by its variance": level * len(above),
        "a number errs by what is under water; that is what stands out of it": (
            v.sum() - error
        ),
        "a number above the level is kept, and errs by the level": v.sum(),
    }
    mistakes = {text: wrong / values for text, wrong in mistakes.items()}
    mistakes["the MSE is a mean: divide by the values of an image"] = error
    mistakes["divide by the values of an image, not by its numbers"] = error / len(v)
    compare(mse, error / values, mistakes, "the MSE is off")
    few = torch.tensor([4.0, 1.0, 0.0])
    for level, right in ((1.0, (0.125, 0.2)), (9.0, (0.0, 0.5))):
        got = _pair(under_water(few.clone(), level, 10))
        text = f"for variances of 4, 1 and 0 and a level of {level:g} expected "
        expect(same(got, right), f"{text}{right}, got ({got[0]:.4g}, {got[1]:.4g})")
    return "lower the water and more numbers stand out of it; their length sets nothing"


def _pair(answer: object) -> tuple[float, float]:
    size, mse = sequence(answer, 2, "the answer")
    return number(size, "the bytes"), number(mse, "the MSE")


@hint("1.5 for shares of 1/2, 1/4 and 1/4, and 1.585 if the tables say 1/3 each")
def check_2(bits_per_value: Callable[[Tensor, Tensor], float]) -> str:
    """Hold bits_per_value(p, q) to the cross-entropy in bits, with zeros in p and q."""
    random = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, 9, generator=random, dtype=torch.double) ** 2 + 0.01
    p, q = p / p.sum(), q / q.sum()
    got = number(bits_per_value(p.clone(), q.clone()), "the cost")
    mistakes = {
        "the shares that occur weigh, and the tables are in the logarithm; you have "
        "it the other way round": -(q * p.log2()).sum(),
        "that is the least that p allows; wrong tables cost more": -(
            p * p.log2()
        ).sum(),
        "that is only what the wrong tables cost on top; all of it is asked": (
            p * (p / q).log2()
        ).sum(),
        "bits have the logarithm to base 2, log2": -(p * q.log()).sum(),
        "a cost is positive: the logarithm of a share is not": (p * q.log2()).sum(),
        "you average over the values; each counts by its share, so sum up": -(
            p * q.log2()
        ).mean(),
        "that is what the tables expect to pay; what occurs are the shares p": -(
            q * q.log2()
        ).sum(),
    }
    right = -(p * q.log2()).sum()
    text = "for shares p and tables q this is not the mean number of bits"
    compare(torch.tensor(got), right, mistakes, text)
    never = torch.tensor([0.5, 0.5, 0.0])
    for table in (torch.tensor([0.25, 0.5, 0.25]), torch.tensor([0.25, 0.75, 0.0])):
        got = number(
            bits_per_value(never.clone(), table), "with a share of 0, the cost"
        )
        right = -(never[:2] * table[:2].log2()).sum().item()
        expect(
            abs(got - right) < 1e-3,
            f"a value that never occurs costs nothing: for p = 0.5, 0.5, 0 expected "
            f"{right:.3f}, got {got:.3f}",
        )
    return "whoever writes by the tables of other images pays the difference"
