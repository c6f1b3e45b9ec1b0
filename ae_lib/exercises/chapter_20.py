"""The checks of chapter 20: a split by groups, and pictures turned upright."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import Wrong, expect, hint, kind, sequence, size


@hint("12 or a few more of 60 rows held out, and no group number on both sides")
def check_1(split: Callable[[Tensor, int, int], tuple[Tensor, Tensor]]) -> str:
    """Hold split(groups, n, seed) to two lists of rows that share no group."""
    random = torch.Generator().manual_seed(0)
    groups = torch.randint(20, (60,), generator=random) * 37 + 5
    n, largest = 12, int(groups.unique(return_counts=True)[1].max())
    train, held = _rows(split(groups.clone(), n, 0))
    numbers = set(groups.tolist())
    expect(
        not (set(train + held) == numbers and len(train + held) == len(numbers)),
        "you return the numbers of groups; asked are the rows of the images",
    )
    outside = [row for row in train + held if not 0 <= row < len(groups)]
    expect(not outside, f"rows count from 0 to 59, got {outside[:1]}")
    both = {groups[row].item() for row in train} & {groups[row].item() for row in held}
    expect(
        not both,
        f"{len(both)} of {len(numbers)} groups are on both sides: the network is "
        "judged by copies of what it has learned",
    )
    lost = len(groups) - len({*train, *held})
    expect(lost == 0, f"{lost} of 60 rows are in neither list")
    expect(len(train + held) == 60, "some rows come twice")
    expect(
        not (n <= len(train) < n + largest),
        f"the two are swapped: {n} images or a few more are held out, the others train",
    )
    expect(
        len(held) >= n, f"{n} images or more are to be held out, got {len(held)} images"
    )
    expect(
        len(held) < n + largest,
        f"{len(held)} images are held out where {n} were asked for: stop at the first "
        "group that brings them to n",
    )
    again, other = (set(_rows(split(groups.clone(), n, seed))[1]) for seed in (0, 1))
    expect(
        again == set(held),
        "the same seed gives two different splits: the second run would be judged by "
        "what the first has learned",
    )
    expect(other != set(held), "another seed gives the same split: `seed` is ignored")
    alone = torch.arange(60)
    got = len(_rows(split(alone, n, 0))[1])
    expect(
        got == n, f"where every image is a group of its own, hold out {n}, not {got}"
    )
    return "no copy on the other side, and the same split at each run"


def _rows(answer: object) -> list[list[int]]:
    lists = []
    for part in sequence(answer, 2, "the answer"):
        part = part.tolist() if hasattr(part, "tolist") else part
        if isinstance(part, list | tuple):
            part = [row.item() if hasattr(row, "item") else row for row in part]
            expect(
                not (part and all(isinstance(row, bool) for row in part)),
                "you return a mask of True and False; asked are the rows where it is "
                "True: mask.nonzero().flatten()",
            )
            expect(
                not (part and all(isinstance(row, list) for row in part)),
                "each row comes in a list of its own, as nonzero() returns them: "
                "flatten() makes one list",
            )
        expect(
            isinstance(part, list | tuple | range)
            and all(isinstance(row, int) and not isinstance(row, bool) for row in part),
            f"rows should be whole numbers, in a tensor or a list; got {kind(part)}",
        )
        lists.append(list(part))
    return lists


# What has to be done to a picture that was stored with this EXIF number.
TURNS: dict[int, Callable[[Tensor], Tensor]] = {
    1: lambda x: x,
    2: lambda x: x.flip(2),
    3: lambda x: x.flip(1, 2),
    4: lambda x: x.flip(1),
    5: lambda x: x.mT,
    6: lambda x: x.rot90(-1, (1, 2)),
    7: lambda x: x.mT.flip(1, 2),
    8: lambda x: x.rot90(1, (1, 2)),
}


@hint("the same 72 numbers at other places, 3×6×4 of 3×4×6 for the turns 5 to 8")
def check_2(upright: Callable[[Tensor, int], Tensor]) -> str:
    """Hold upright(pixels, turn) to the eight orientations of EXIF."""
    x = torch.arange(72, dtype=torch.uint8).reshape(3, 4, 6)
    for turn, right in TURNS.items():
        got, wanted = upright(x.clone(), turn), right(x)
        what = f"for EXIF {turn} the answer"
        expect(got is not None, f"{what} is None: is a `return` missing?")
        expect(isinstance(got, Tensor), f"{what} should be a tensor, got {kind(got)}")
        if got.shape == wanted.shape and torch.equal(got.double(), wanted.double()):
            continue
        for k in (-1, 1):
            expect(
                not _equal(got, x.rot90(k)),
                f"{what} has turned colours into rows: rot90 takes the axes 0 and 1 "
                "unless it is told dims=(1, 2)",
            )
        for other, done in TURNS.items():
            if _equal(got, done(x)):
                raise Wrong(
                    f"{what} is the picture as it was stored"
                    if other == 1
                    else f"{what} is what EXIF {other} asks for"
                )
        expect(
            got.shape == wanted.shape,
            f"{what} has shape {size(got)}, expected {size(wanted)}",
        )
        same = torch.equal(got.double().flatten().sort()[0], x.double().flatten())
        expect(same, f"{what} has other values than the file; only places may change")
        raise Wrong(f"{what} has its pixels at other places than an upright picture")
    return "cameras that are held in any way now give the same picture"


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.double(), b.double())
