"""The checks of chapter 06: between two images, and near one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, size, tensor

SHAPE = (3, 4, 4)


def _maps() -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return an encoder and a decoder, both bent, that are nearly each other's inverse.

    Both insist on batches, as a network does.
    """
    random = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(48, 48, generator=random))

    def encode(x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"encode wants images (B, 3, 4, 4), got {size(x)}")
        return torch.logit(x.flatten(1), 1e-4) @ turn

    def decode(z: Tensor) -> Tensor:
        if z.ndim != 2:
            raise ValueError(f"decode wants codes (B, 48), got {size(z)}")
        return torch.sigmoid(0.8 * z @ turn.T).view(-1, *SHAPE)

    return encode, decode


@hint("5 images for n = 5, the two reconstructions at its ends")
def check_1(walk_between: Callable[..., Tensor]) -> str:
    """Hold walk_between(encode, decode, x_a, x_b, n) to the straight way of codes."""
    encode, decode = _maps()
    random = torch.Generator().manual_seed(1)
    for n in (5, 2, 9):
        x_a, x_b = torch.rand(2, *SHAPE, generator=random)
        a, b = encode(x_a[None]), encode(x_b[None])
        got = walk_between(encode, decode, x_a.clone(), x_b.clone(), n)
        for spare in (-1, 1, 2):
            counted = isinstance(got, Tensor) and len(got) == n + spare
            expect(not counted, f"you give {n + spare} images for n = {n}")
        got = tensor(got, (n, *SHAPE), f"the way of n = {n} images")
        t = torch.linspace(0, 1, n).view(-1, 1)
        inside = torch.linspace(0, 1, n + 2)[1:-1].view(-1, 1)
        early = (torch.arange(n) / n).view(-1, 1)
        wide = t.view(-1, 1, 1, 1)
        ends = decode(a), decode(b)
        mistakes = {
            "you blend the two images; walk from code to code, and decode each": (
                (1 - wide) * x_a + wide * x_b
            ),
            "you blend the two reconstructions; walk from code to code, and decode "
            "each": (1 - wide) * ends[0] + wide * ends[1],
            "the blends of the images are encoded; walk between the two codes": decode(
                encode((1 - wide) * x_a + wide * x_b)
            ),
            "the way runs from b to a": decode(t * a + (1 - t) * b),
            "both ends are missing: the first image is a's reconstruction, the last "
            "one b's": decode((1 - inside) * a + inside * b),
            "the way stops one step before b: linspace includes the end, arange does "
            "not": decode((1 - early) * a + early * b),
        }
        compare(
            got,
            decode((1 - t) * a + t * b),
            mistakes,
            f"for n = {n} these are not the decoded codes at equal steps from a to b",
        )
    return "for PCA this would be a blend of pixels; whoever bends leaves that line"


@hint("the rows 1, 0 and 1 for the codes 0, 1 and 3, if k is 1")
def check_2(neighbours: Callable[[Tensor, int], Tensor]) -> str:
    """Hold neighbours(z, k) to the nearest other rows, by Euclidean distance."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(30, 5, generator=random) * torch.linspace(0.5, 3, 30)[:, None] + 1
    for twins in (False, True):
        for k in (1, 4):
            if twins:  # three images with one code: none of them is its own neighbour
                z[7] = z[3]
                z[21] = z[3]
            got = tensor(
                neighbours(z.clone(), k), (len(z), k), f"the answer for k = {k}"
            )
            expect(
                not got.is_floating_point(),
                "these are distances; the rows are the .indices of topk",
            )
            _hold_rows(got, z, k, twins)
    return "k others, and a twin counts as one"


def _hold_rows(got: Tensor, z: Tensor, k: int, twins: bool) -> None:
    apart = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    expect(got.min() >= 0 and got.max() < len(z), "these are no rows of z")
    own = (got == torch.arange(len(z))[:, None]).any(1)
    if own.any():
        i = int(own.nonzero()[0])
        text = "each code is at distance 0 from itself; leave it out"
        if twins and not own.all():
            text = (
                "another code is equal to it, so the nearest row need not be the code "
                "itself. Exclude the row by its number, not by its place"
            )
        expect(False, f"row {i} names itself as its neighbour: {text}")
    expect(
        all(len(set(row)) == k for row in got.tolist()),
        "some row is named twice",
    )
    away = apart.clone().fill_diagonal_(torch.inf)
    right = away.topk(k, largest=False).values
    far = apart.clone().fill_diagonal_(-1).topk(k).values
    unit = z / z.norm(dim=1, keepdim=True)
    angle = (unit @ unit.T).fill_diagonal_(-2).topk(k).indices
    dot = (z @ z.T).fill_diagonal_(-torch.inf).topk(k).indices
    skipped = away.topk(k + 1, largest=False).values[:, 1:]
    mistakes = {
        "these are the farthest, not the nearest: largest=False": far,
        "these are the nearest by angle; distances depend on length, too": apart.gather(
            1, angle
        ),
        "a large product is no small distance; use torch.cdist": apart.gather(1, dot),
        "the nearest row is left out: if the code itself is excluded already, nothing "
        "else has to go": skipped,
        "they are in the wrong order: the nearest first": right.flip(1),
    }
    distances = apart.gather(1, got)
    compare(distances, right, mistakes, "some of them are not the nearest")
