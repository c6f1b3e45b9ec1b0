"""The checks of chapter 14: features on one scale, and the vote of the neighbours."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.exercises.judge import (
    Wrong,
    compare,
    expect,
    hint,
    same,
    sequence,
    show,
    tensor,
)

DEAD = 3  # the unit that is 0 on all training images


def _codes() -> tuple[Tensor, Tensor]:
    """Return codes (60, 5) and (40, 5) ; one unit is dead in the first."""
    random = torch.Generator().manual_seed(0)
    size = torch.tensor([0.01, 1.0, 3.0, 1.0, 100.0])
    f = size * (torch.randn(60, 5, generator=random) + 2)
    f_test = size * (1.5 * torch.randn(40, 5, generator=random) + 2.5)
    f[:, DEAD], f_test[:, DEAD] = 0, 0
    f_test[7, DEAD] = 0.5
    return f, f_test


@hint("a test value of 3 to become 1.41 (or 2) where training images have 0 and 2")
def check_1(standardised: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> str:
    """Hold standardised(f, f_test) to the means and deviations of f alone."""
    f, f_test = _codes()
    given = f.clone(), f_test.clone()
    parts = sequence(standardised(*given), 2, "the answer")
    expect(
        torch.equal(given[0], f) and torch.equal(given[1], f_test),
        "the codes that you were given have changed; return new ones",
    )
    for part, what in zip(parts, ("training", "test"), strict=True):
        if isinstance(part, Tensor) and not part.isfinite().all():
            raise Wrong(
                f"the {what} codes now hold NaN or infinity: one unit never moves in "
                "training, and is divided by its deviation, which is 0"
            )
    a = tensor(parts[0], f.shape, "what the training codes become")
    b = tensor(parts[1], f_test.shape, "what the test codes become")
    live = [i for i in range(f.shape[1]) if i != DEAD]
    x, y, everything = f[:, live], f_test[:, live], torch.cat([f, f_test])[:, live]
    by_n = (x - x.mean(0)) / x.std(0, correction=0)  # as scikit-learn has it
    correction = int(not same(a[:, live], by_n))
    mean, std = x.mean(0), x.std(0, correction=correction)
    of_each = (f - f.mean(1, keepdim=True)) / f.std(1, keepdim=True)
    mistakes = {
        "mean and deviation are those of training and test images together. The test "
        "images are not to be looked at, not even for that": _scaled(x, everything),
        "one mean and one deviation for all units: they keep their unlike sizes. Each "
        "unit has its own, along dim=0": (x - f.mean()) / f.std(),
        "each image has been scaled by its own numbers, dim=1. The units are to be "
        "scaled, dim=0": of_each[:, live],
        "the mean is taken off, and the deviation is still what it was": x - mean,
        "the deviation is 1, and the mean is not 0": x / std,
        "you divide by the variance; the deviation is its root": (x - mean) / std**2,
        "that is a scaling by the least and largest value. One outlier decides it; "
        "take mean and deviation": (x - x.amin(0)) / (x.amax(0) - x.amin(0)),
    }
    text = "on training images a unit should have mean 0 and deviation 1"
    compare(a[:, live], (x - mean) / std, mistakes, text)
    mistakes = {
        "the test codes are scaled by their own mean and deviation. The reader has "
        "learned on the training scale, and there a shift of the test images would "
        "show": _scaled(y, y, correction),
        "the test codes are scaled by all images together; use the numbers of the "
        "training images": _scaled(y, everything, correction),
        "the test codes have not been scaled at all": y,
    }
    text = "the test codes should be scaled by mean and deviation of the training codes"
    compare(b[:, live], (y - mean) / std, mistakes, text)
    largest = max(a[:, DEAD].abs().max().item(), b[:, DEAD].abs().max().item())
    expect(
        largest < 1e-3,
        f"a unit that never moves in training comes to {show(largest)} on another "
        "image. No reader could learn from it; make it 0 in both",
    )
    return "whatever reads these codes has met nothing of the test images"


def _scaled(x: Tensor, by: Tensor, correction: int = 1) -> Tensor:
    return (x - by.mean(0)) / by.std(0, correction=correction)


CLASSES = 4


def _classes() -> tuple[Tensor, Tensor, Tensor]:
    """Return codes (150, 3), their labels, and codes (60, 3) to be named."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (210,), generator=random)
    centres = 2 * torch.randn(CLASSES, 3, generator=random) + 3
    f = centres[labels] + 1.2 * torch.randn(210, 3, generator=random)
    return f[:150], labels[:150], f[150:]


def _counts(places: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([(labels[places] == c).sum(1) for c in range(CLASSES)], 1)


@hint("class 2 where the three nearest are of the classes 2, 0 and 2, and not 1.33")
def check_2(
    ask_neighbours: Callable[[Tensor, Tensor, Tensor, int], Tensor],
) -> str:
    """Hold ask_neighbours(f, labels, f_test, k) to the majority of the k nearest."""
    f, labels, f_test = _classes()
    before = None
    for k in (5, 15):
        order = torch.cdist(f_test, f).argsort(1)
        top = _counts(order[:, :k], labels).topk(2).values
        clear = top[:, 0] > top[:, 1]  # no two classes share the first place
        asked, order = f_test[clear], order[clear]
        right = _counts(order[:, :k], labels).argmax(1)
        got = ask_neighbours(f.clone(), labels.clone(), asked.clone(), k)
        got = tensor(got, (len(asked),), "the list of classes").double()
        where = f"with {k} neighbours, "
        expect(
            same(got, got.round()),
            where + "a class came out as a fraction: the mean of class 0 and class 2 "
            "is not class 1. Count the votes",
        )
        strange = got[(got < 0) | (got >= CLASSES)]
        if len(strange):
            raise Wrong(
                f"{where}{int(strange[0])} is no class: those are the places of "
                "neighbours in the list. Look up their labels, labels[places]"
            )
        mean = labels[order[:, :k]].double().mean(1).round()
        far = _counts(order[:, -k:], labels).argmax(1)
        angle = F.normalize(asked) @ F.normalize(f).T
        product = (asked @ f.T).topk(k).indices
        mistakes = {
            where + "those are the farthest: topk takes the largest unless told "
            "largest=False": far,
            where + "you round the mean of the labels. Class 0 and class 2 do not make "
            "a class 1; count the votes": mean,
            where + "only the nearest one was asked": labels[order[:, 0]],
            where + "you skip the nearest as if it were the image itself; a test image "
            "is not among those that have labels": (
                _counts(order[:, 1 : k + 1], labels).argmax(1)
            ),
            where + "you take the largest products; a long code has large products "
            "with all. The nearest have the smallest distance": (
                _counts(product, labels).argmax(1)
            ),
            where + "you compare directions; codes of one direction and unlike length "
            "are not near": _counts(angle.topk(k).indices, labels).argmax(1),
            where + "the commonest class of all was the answer to every image": (
                labels.mode().values.expand(len(asked))
            ),
        }
        if before is not None:
            fixed = _counts(order[:, :before], labels).argmax(1)
            mistakes[where + f"still {before} are asked"] = fixed
        wrong = int((got != right).sum())
        text = f"{where}{wrong} of {len(asked)} images get another class than most of "
        compare(got, right, mistakes, text + "their nearest have")
        before = k
    return "a vote needs no training, only a scale on which near means alike"
