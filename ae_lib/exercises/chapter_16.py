"""The checks of chapter 16: a threshold and its promise, and the AUROC from ranks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ae_lib.exercises.judge import (
    Wrong,
    compare,
    expect,
    hint,
    number,
    sequence,
    show,
)

Detector = Callable[[Tensor, Tensor, Tensor, float], tuple[float, float, float]]


def _errors() -> tuple[Tensor, Tensor, Tensor]:
    """Return errors of 400 validation, 300 test and 200 odd images, all skewed.

    The test images are a little harder than those of the validation.
    """
    random = torch.Generator().manual_seed(0)
    validation, test, odd = (
        (0.5 * torch.randn(n, generator=random) + shift).exp() / 100
        for n, shift in ((400, 0.0), (300, 0.4), (200, 1.2))
    )
    return validation, test, odd


@hint("a threshold of about 95 for validation errors 1 to 100 and a promise of 0.05")
def check_1(detect: Detector) -> str:
    """Hold detect(validation, test, odd, promise) to a threshold set beforehand."""
    validation, test, odd = _errors()
    kept = 0.0
    for promise in (0.05, 0.2):
        answer = detect(validation.clone(), test.clone(), odd.clone(), promise)
        parts = sequence(answer, 3, "the answer")
        limit, alarms, found = (number(v, w) for v, w in zip(parts, WHAT, strict=True))
        _hold_limit(limit, validation, test, odd, promise)
        above = {
            k: (v > limit).double().mean()
            for k, v in (("validation", validation), ("test", test), ("odd", odd))
        }
        true = (odd > limit).sum() / ((odd > limit).sum() + (test > limit).sum())
        mistakes = {
            "the false alarms are counted on the validation images, where the "
            "threshold makes them what was promised. Test images tell whether the "
            "promise is kept": above["validation"],
            "you count the normal images that raise no alarm": 1 - above["test"],
            "a share between 0 and 1 is asked, not per cent": 100 * above["test"],
            "a share is asked, not a number of images": (test > limit).sum(),
            "that is the share of odd images that raise the alarm; it comes "
            "third": above["odd"],
            "that is the share of alarms that are false; the share of normal images "
            "that raise one is asked": 1 - true,
        }
        text = "the share of test images above your threshold is off"
        compare(alarms, above["test"], mistakes, text)
        mistakes = {
            "you count the odd images that are missed": 1 - above["odd"],
            "a share between 0 and 1 is asked for the odd images too, not per cent": 100
            * above["odd"],
            "a share of the odd images is asked, not a number": (odd > limit).sum(),
            "that is the share of alarms that are true. It depends on how many odd "
            "images there are; the share of odd images that are found does not": true,
        }
        text = "the share of odd images above your threshold is off"
        compare(found, above["odd"], mistakes, text)
        if promise == 0.05:
            kept = above["test"].item()
    return (
        f"5% were promised, and these harder test images raise {kept:.0%}. Only images "
        "that had no part in the threshold can tell"
    )


WHAT = ("the threshold", "the share of false alarms", "the share of odd images found")


def _hold_limit(
    limit: float, validation: Tensor, test: Tensor, odd: Tensor, promise: float
) -> None:
    """Raise Wrong unless validation images alone explain a threshold.

    One image less than promised is as good: quantiles differ in that.
    """

    def over(scores: Tensor) -> float:
        return (scores > limit).double().mean().item()

    def by(scores: Tensor, share: float) -> bool:
        return -1e-6 < share - over(scores) < 1.01 / len(scores) + 1e-6

    if by(validation, promise):
        return
    said = f"{over(validation):.1%} of the validation images lie above it, where "
    said += f"{promise:.0%} were promised"
    if by(test, promise):
        raise Wrong(
            f"your threshold was chosen on the test images: exactly {over(test):.1%} "
            f"of them lie above it. Then their false alarms test nothing, and {said}"
        )
    both = torch.cat([validation, test])
    expect(
        not by(both, promise),
        "your threshold was chosen on validation and test images together; the test "
        f"images are for the verdict alone, and {said}",
    )
    expect(
        not by(validation, 1 - promise),
        f"nearly every normal image raises the alarm: {said}. The quantile is 1 minus "
        "the promise",
    )
    expect(
        not (by(odd, promise) or by(odd, 1 - promise)),
        f"your threshold was chosen on the odd images; {said}. Nobody has them when "
        "it is set",
    )
    expect(
        over(validation) > 0,
        "no validation image lies above your threshold. Their largest error promises "
        f"nothing, and {promise:.0%} may be above",
    )
    for factor in (2.0, _gauss(promise)):
        rule = validation.mean() + factor * validation.std()
        expect(
            abs(limit / rule.item() - 1) > 0.005,
            f"mean plus {show(factor)} deviations holds for Gaussian scores, and "
            f"errors are skewed: {said}. Take a quantile",
        )
    splits = [over(odd) - over(test), *_splits(test, odd)]
    expect(
        splits[0] < max(splits[1:]) - 1e-6,
        "no other threshold parts these test images so well from these odd ones: "
        f"{said}. It was chosen on the images of the verdict",
    )
    raise Wrong(f"with a threshold of {show(limit)}, {said}")


def _splits(test: Tensor, odd: Tensor) -> list[float]:
    """Return found less false alarms, with each error as the threshold."""
    limits = torch.cat([test, odd])[:, None]
    found, alarms = ((v > limits).double().mean(1) for v in (odd, test))
    return (found - alarms).tolist()


def _gauss(promise: float) -> float:
    return torch.special.ndtri(torch.tensor(1 - promise)).item()


class _Largest(TorchFunctionMode):
    """Note the number of elements of the largest tensor that anything returns."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, Tensor):
                self.numel = max(self.numel, part.shape.numel())
        return result


@hint("0.75 for normal scores 1, 2 and odd ones 3, 1.5, and 0.5 if all are equal")
def check_2(auroc_by_rank: Callable[[Tensor, Tensor], float]) -> str:
    """Hold auroc_by_rank(normal, odd) to the share of pairs, without them."""
    random = torch.Generator().manual_seed(0)
    normal = torch.randn(300, generator=random)
    odd = torch.randn(200, generator=random) + 0.7
    with _Largest() as largest:
        got = auroc_by_rank(normal.clone(), odd.clone())
    n, m = len(normal), len(odd)
    right = _pairs(normal, odd, 0.5)
    mistakes = {
        "upside down: that is the chance that a normal image scores above an odd one": 1
        - right,
        f"odd images outrank odd images too, m (m + 1) / 2 = {m * (m + 1) // 2:,} "
        "times in the sum of their ranks. Take that off": right + (m + 1) / (2 * n),
        "ranks begin at 1 in this formula, and with 0 in yours": right - 1 / n,
        "that is the number of pairs; divide by the number of all": right * n * m,
        "that is 2 · AUROC - 1, which is 0 for a coin": 2 * right - 1,
        "that is the share of normal images below the mean of the odd ones": (
            (normal < odd.mean()).double().mean().item()
        ),
    }
    text = "for 300 normal and 200 odd scores the AUROC is off"
    compare(number(got, "the AUROC"), right, mistakes, text)
    few, many = (10 * normal).round() / 10, (2 * odd).round() / 2
    for a, b in ((few, many), (torch.ones(7), torch.ones(3))):
        got = number(auroc_by_rank(a.clone(), b.clone()), "with ties the AUROC")
        mistakes = {
            "a tie counts half, and yours count nothing": _pairs(a, b, 0.0),
            "a tie counts half, and yours count as won": _pairs(a, b, 1.0),
        }
        text = "where scores are equal the AUROC is off"
        if len(a) == 7:
            text = "a score that is the same for all images tells nothing"
        compare(got, _pairs(a, b, 0.5), mistakes, text)
    expect(
        largest.numel < n * m,
        f"right, and there is still a table of all pairs, {n}×{m}. With 100,000 of "
        "each it would hold ten thousand million entries; sort the scores instead",
    )
    return (
        f"no tensor has more than {largest.numel} elements, where pairs are {n * m:,}"
    )


def _pairs(normal: Tensor, odd: Tensor, tie: float) -> float:
    """Return the AUROC by the table of all pairs, with this worth of a tie."""
    above = (odd[:, None] > normal).double()
    return (above + tie * (odd[:, None] == normal)).mean().item()
