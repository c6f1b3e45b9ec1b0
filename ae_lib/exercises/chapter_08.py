"""The checks of chapter 08: an error in components of PCA, and what a value costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import Wrong, compare, expect, hint, number


@hint("2 for variances of 6, 3, 2 and 1 with 12 pixels, if the error is 0.25")
def check_1(components_for: Callable[[Tensor, float, int], int]) -> str:
    """Hold components_for(variances, error, pixels) to the smallest k that will do."""
    random = torch.Generator().manual_seed(0)
    long = torch.rand(200, generator=random).sort(descending=True).values ** 3
    cases = [(long.double(), 300), (torch.tensor([6.0, 3.0, 2.0, 1.0]), 12)]
    for variances, pixels in cases:
        sums = [variances[k:].sum().item() / pixels for k in range(len(variances) + 1)]
        # Between two of the errors: rounding must not decide. And above all of them.
        errors = [(a + b) / 2 for a, b in zip(sums, sums[1:], strict=False)]
        for error in (errors[len(errors) // 2], errors[0], errors[-1], 2 * sums[0]):
            right = next(k for k, left in enumerate(sums) if left <= error)
            _hold(components_for(variances.clone(), error, pixels), right, variances,
                  error, pixels)  # fmt: skip
    return "now an error of any network has a second unit: components"


def _hold(got: object, right: int, variances: Tensor, error: float, pixels: int):
    got = number(got, "the answer")
    expect(got == int(got), f"expected a whole number, got {got}")
    if got == right:
        return
    tails = [variances[k:].sum().item() for k in range(len(variances) + 1)]
    heads = [variances[:k].sum().item() for k in range(len(variances) + 1)]
    where = f"with {len(variances)} variances, {pixels} pixels and an error of "
    where += f"{error:.3g} you say {int(got)}: "
    expect(got >= 0, where + "a number of components is not negative")
    undivided = next(k for k, left in enumerate(tails) if left <= error)
    if got == undivided and abs(undivided - right) > 1:
        raise Wrong(where + "divide by the pixels; the variances are those of sums")
    kept = next((k for k, s in enumerate(heads) if s / pixels > error), None)
    if got == kept and abs(kept - right) > 1:
        raise Wrong(where + "what is kept is no error; sum up what is left out")
    if got == right + 1:
        raise Wrong(where + "one component less will do")
    if got == right - 1:
        raise Wrong(where + "that leaves a larger error than allowed; one more")
    raise Wrong(where + f"the smallest that will do is {right}")


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
