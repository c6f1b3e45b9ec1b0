"""The check of chapter 08: an error in components of PCA."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import Wrong, expect, hint, number


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
