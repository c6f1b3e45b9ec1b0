"""The checks of chapter 01: the size and the sight of a stack, and a convolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, number, sequence, size, tensor

Layers = Sequence[tuple[int, int, int]]  # kernel, stride, padding


def _trace(n: int, layers: Layers) -> tuple[int, int]:
    field, step = 1, 1
    for k, s, p in layers:
        n = (n + 2 * p - k) // s + 1
        field, step = field + (k - 1) * step, step * s
    return n, field


def _size(n: int, layers: Layers, places: Callable) -> float:
    for k, s, p in layers:
        n = places(n, k, s, p)
    return n


def _late(layers: Layers) -> int:
    """Give the field if each stride counted for its own layer already."""
    field, step = 1, 1
    for k, s, _ in layers:
        step *= s
        field += (k - 1) * step
    return field


@hint("(8, 10) for 32 pixels and two layers with k = 4, s = 2, p = 1")
def check_1(size_and_field: Callable[[int, list], tuple[int, int]]) -> str:
    """Hold size_and_field(n, layers) to the two formulas of the chapter."""
    stacks = [
        (10, [(3, 1, 0)]),
        (31, [(3, 2, 1), (5, 2, 0), (3, 1, 1)]),
        (32, [(4, 2, 1), (4, 2, 1)]),
        (224, [(7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 2, 1)]),
    ]
    for n, layers in stacks:
        answer = sequence(size_and_field(n, list(layers)), 2, "the answer")
        got = number(answer[0], "the size"), number(answer[1], "the field")
        where = f"for {n} pixels and the layers {layers},"
        right = _trace(n, layers)
        turned = got == right[::-1] and right[0] != right[1]
        expect(not turned, "the size comes first, then the field; yours are swapped")
        sizes = {
            f"{where} one padding counts once; there are p zeros on each side": _size(
                n, layers, lambda n, k, s, p: (n + p - k) // s + 1
            ),
            f"{where} the + 1 is missing; a filter as wide as the image has one place "
            "for itself": _size(n, layers, lambda n, k, s, p: (n + 2 * p - k) // s),
            f"{where} you round up; a filter that does not fit any more has no place, "
            "so round down": _size(
                n, layers, lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1
            ),
            f"{where} the size is no whole number; use // to round down": _size(
                n, layers, lambda n, k, s, p: (n + 2 * p - k) / s + 1
            ),
        }
        otherwise = f"{where} the size is off"
        compare(got[0], right[0], sizes, otherwise)
        fields = {
            f"{where} the stride counts too early; a layer's own stride only moves the "
            "layers behind it": _late(layers),
            f"{where} a layer is multiplied by its own stride; what counts is the "
            "product of the strides before it": 1
            + sum((k - 1) * s for k, s, _ in layers),
            f"{where} the field ignores the strides; behind a stride of 2 each step is "
            "2 pixels of the image": 1 + sum(k - 1 for k, _, _ in layers),
            f"{where} the field starts at 0; a single pixel sees itself, so start "
            "at 1": right[1] - 1,
            f"{where} the field grows by k in each layer; one place of the filter "
            "overlaps, so it is k - 1": _wide(layers),
        }
        compare(got[1], right[1], fields, f"{where} the field is off")
    empty = size_and_field(32, [])
    expect(
        list(empty) == [32, 1],
        f"without any layer the size is 32 and the field 1, got {empty}",
    )
    return "strides multiply; that is why deep networks see far"


def _wide(layers: Layers) -> int:
    field, step = 1, 1
    for k, s, _ in layers:
        field, step = field + k * step, step * s
    return field


@hint("3×4 outputs for an image of 5×7, k = 3, stride 2, padding 1, as F.conv2d has")
def check_2(slide: Callable[[Tensor, Tensor, int, int], Tensor]) -> str:
    """Hold slide(x, w, stride, padding) to F.conv2d."""
    random = torch.Generator().manual_seed(0)
    for c, h, width, k, s, p in (
        (1, 5, 7, 3, 1, 0),
        (3, 6, 6, 3, 1, 0),
        (1, 7, 7, 3, 2, 0),
        (1, 5, 7, 3, 1, 1),
        (3, 5, 7, 3, 2, 1),
        (2, 9, 8, 2, 3, 2),
    ):
        x = torch.randn(c, h, width, generator=random)
        w = torch.randn(c, k, k, generator=random)
        where = f"for an image of {c}×{h}×{width}, k = {k}, stride {s}, padding {p},"
        right = _convolved(x, w, s, p)
        got = slide(x.clone(), w.clone(), s, p)
        if isinstance(got, Tensor) and got.shape != right.shape:
            _explain_size(got, x, w, s, p, where)
        got = tensor(got, right.shape, f"{where} the output")
        mistakes = {
            f"{where} the filter is turned by 180°; lay it on the patch as it is": (
                _convolved(x, w.flip(1, 2), s, p)
            ),
            f"{where} only the first channel counts; add up all of them": (
                _convolved(x[:1], w[:1], s, p)
            ),
            f"{where} you take the mean of the products; a convolution adds them up": (
                right / w.numel()
            ),
            f"{where} the patches lie too close; output (i, j) begins at "
            "(i·stride, j·stride)": _convolved(x, w, 1, p)[
                : right.shape[0], : right.shape[1]
            ],
            f"{where} the border repeats pixels; padding is with zeros": _convolved(
                F.pad(x, (p, p, p, p), "replicate"), w, s, 0
            ),
        }
        compare(got, right, mistakes, f"{where} the size is right and the numbers not")
    return "that is all of nn.Conv2d, for one filter"


def _convolved(x: Tensor, w: Tensor, s: int, p: int) -> Tensor:
    return F.conv2d(x[None], w[None], stride=s, padding=p)[0, 0]


def _explain_size(
    got: Tensor, x: Tensor, w: Tensor, s: int, p: int, where: str
) -> None:
    """Raise Wrong with the mistake that gives this size, if it is a known one."""
    k, (h, width) = w.shape[-1], x.shape[1:]
    for text, sides, stride in (
        ("the padding is ignored", 0, s),
        ("the stride is ignored", 2 * p, 1),
        ("there are zeros at one side only; both sides get p of them", p, s),
    ):
        wrong = tuple((n + sides - k) // stride + 1 for n in (h, width))
        expect(
            tuple(got.shape) != wrong,
            f"{where} the output is {size(got)}: {text}",
        )
    right = _convolved(x, w, s, p).T.shape
    expect(got.shape != right, f"{where} rows and columns are swapped")
