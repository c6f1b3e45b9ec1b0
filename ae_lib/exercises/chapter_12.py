"""The checks of chapter 12: a loop that shows all images, and the best one answer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import Wrong, expect, hint, kind, same, show, tensor


@hint("10 batches for 1,000 images by 100, and 11 for 1,003, the last with 3 images")
def check_1(slices: Callable[[int, int], list[tuple[int, int]]]) -> str:
    """Hold slices(n, batch_size) to batches that show each image once."""
    for n, batch_size in ((1000, 100), (1003, 100), (5, 10), (7, 1), (64, 64)):
        where = f"with {n} images in batches of {batch_size},"
        batches = [list(range(n))[a:b] for a, b in _pairs(slices(n, batch_size))]
        seen = [i for batch in batches for i in batch]
        lost = n - len(set(seen))
        empty = sum(not batch for batch in batches)
        if lost and empty:
            raise Wrong(
                f"{where} {empty} of {len(batches)} batches are empty and {lost} "
                "images are never seen: does the start count images, or batches? The "
                "posted loop took the one for the other"
            )
        if lost and lost == n % batch_size and set(seen) == set(range(n - lost)):
            raise Wrong(
                f"{where} the last {lost} are never seen: a smaller batch is due"
            )
        expect(
            not lost,
            f"{where} {lost} images are never seen, the first of them {_gap(seen)}",
        )
        expect(
            not empty,
            f"{where} there is an empty batch. A step on it has a loss of NaN, or none",
        )
        twice = len(seen) - len(set(seen))
        expect(
            not twice,
            f"{where} {twice} images come twice. A slice ends before its second number",
        )
        sizes = [len(batch) for batch in batches]
        expect(
            max(sizes) <= batch_size,
            f"{where} there is a batch of {max(sizes)} images",
        )
        full = all(length == batch_size for length in sizes[:-1])
        expect(full, f"{where} only the last batch may be smaller, got {sizes[:3]} …")
    return "each image once an epoch, and no step on nothing"


def _pairs(answer: object) -> list[tuple[int, int]]:
    expect(answer is not None, "the answer is None: is a `return` missing?")
    try:
        parts = list(answer)
    except TypeError:
        raise Wrong(f"expected a list of pairs, got {kind(answer)}") from None
    parts = [(p.start, p.stop) if isinstance(p, slice) else p for p in parts]
    for part in parts:
        expect(
            isinstance(part, tuple | list) and len(part) == 2,
            f"expected pairs (start, stop), got {kind(part)}",
        )
    return [tuple(part) for part in parts]


def _gap(seen: list[int]) -> int:
    """Return the first image that was not seen."""
    return next(i for i in range(len(seen) + len(set(seen)) + 1) if i not in set(seen))


@hint(
    "another image for each loss: for 1 white pixel in 3 the MSE wants 1/3, L1 wants 0"
)
def check_2(best_constant: Callable[[Tensor, str], Tensor]) -> str:
    """Hold best_constant(x, loss) to the image that is best for all, "mse" or "l1"."""
    random = torch.Generator().manual_seed(0)
    x = torch.rand(31, 1, 5, 6, generator=random) ** 3 * torch.rand(
        5, 6, generator=random
    )
    errors = {"mse": torch.square, "l1": torch.abs}
    for loss, right in (("mse", x.mean(0)), ("l1", x.median(0).values)):
        got = best_constant(x.clone(), loss)
        if isinstance(got, Tensor) and got.shape == x.shape:
            raise Wrong(f"{loss}: that is one answer for each image; find one for all")
        if isinstance(got, Tensor) and got.numel() == 1:
            raise Wrong(
                f"{loss}: that is one grey for all pixels, and each pixel may have its "
                "own value: reduce over the images only, dim=0"
            )
        if isinstance(got, Tensor) and got.shape == x[:1].shape:
            got = got[0]
        got = tensor(got, x.shape[1:], f"{loss}: the answer")
        error = errors[loss](x - got).mean().item()
        least = errors[loss](x - right).mean().item()
        if error <= least * 1.0001:
            continue
        mean, median = x.mean(0), x.median(0).values
        for text, mistaken in {
            "you give the mean image. It has the smallest squared error, but for the "
            "absolute error the median of each pixel is better": mean,
            "you give the median image, which has the smallest absolute error; for the "
            "squared error the mean is better": median,
            "that is one grey for all pixels; each may have its own": 0 * mean
            + x.mean(),
            "that is black": torch.zeros_like(mean),
            "that is the middle between darkest and brightest value; it is best for "
            "the largest error, not for the mean of all": (x.amin(0) + x.amax(0)) / 2,
            "that is one of the images; a mixture of all is better": x[0],
        }.items():
            expect(not same(got, mistaken), f"{loss}: {text}")
        raise Wrong(
            f"{loss}: your image has an error of {show(error)}, and the best one "
            f"{show(least)}"
        )
    return "a network whose code never changes can do no better than this"
