import math

import torch
import torch.nn.functional as F


def from_behind(n, layers):
    """Count the field from the last layer back to the image."""
    for k, s, p in layers:
        n = math.floor((n - k + 2 * p + s) / s)
    field = 1
    for k, s, _ in reversed(layers):
        field = (field - 1) * s + k
    return [n, field]


def trace(n, layers, places=None, early=False, start=1, wide=0):
    field, step = start, 1
    for k, s, p in layers:
        n = places(n, k, s, p) if places else (n + 2 * p - k) // s + 1
        if early:
            field, step = field + (k - 1) * step * s, step * s
        else:
            field, step = field + (k - 1 + wide) * step, step * s
    return n, field


def unfolded(x, w, stride, padding):
    """Lay all patches side by side and multiply once."""
    k = w.shape[-1]
    x = F.pad(x, (padding, padding, padding, padding))
    patches = x.unfold(1, k, stride).unfold(2, k, stride)  # (C, rows, columns, k, k)
    return torch.einsum("cijuv,cuv->ij", patches, w)


def wrong_places(x, w, stride, padding):
    right = unfolded(x, w, stride, padding)
    return unfolded(x, w, 1, padding)[: right.shape[0], : right.shape[1]]


def one_sided(x, w, stride, padding):
    return unfolded(F.pad(x, (padding, 0, padding, 0)), w, stride, 0)


def replicated(x, w, s, p):
    return unfolded(F.pad(x, (p, p, p, p), "replicate"), w, s, 0)


RIGHT = {"01.1": [from_behind], "01.2": [unfolded]}
WRONG = {
    "01.1": [
        (lambda n, layers: trace(n, layers)[::-1], "swapped"),
        (lambda n, layers: trace(n, layers, early=True), "stride counts too early"),
        (
            lambda n, layers: (
                trace(n, layers)[0],
                1 + sum(k - 1 for k, _, _ in layers),
            ),
            "ignores the strides",
        ),
        (
            lambda n, layers: (
                trace(n, layers)[0],
                1 + sum((k - 1) * s for k, s, _ in layers),
            ),
            "its own stride",
        ),
        (lambda n, layers: trace(n, layers, start=0), "starts at 0"),
        (lambda n, layers: trace(n, layers, wide=1), "it is k - 1"),
        (
            lambda n, layers: trace(n, layers, lambda n, k, s, p: (n + p - k) // s + 1),
            "on each side",
        ),
        (
            lambda n, layers: trace(n, layers, lambda n, k, s, p: (n + 2 * p - k) // s),
            "+ 1 is missing",
        ),
        (
            lambda n, layers: trace(
                n, layers, lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1
            ),
            "round down",
        ),
        (
            lambda n, layers: trace(
                n, layers, lambda n, k, s, p: (n + 2 * p - k) / s + 1
            ),
            "no whole number",
        ),
        (lambda n, layers: trace(n, layers)[0], "should be 2 things"),
    ],
    "01.2": [
        (lambda x, w, s, p: unfolded(x, w.flip(1, 2), s, p), "180°"),
        (lambda x, w, s, p: unfolded(x, w, 1, p), "stride is ignored"),
        (lambda x, w, s, p: unfolded(x, w, s, 0), "padding is ignored"),
        (one_sided, "one side only"),
        (lambda x, w, s, p: unfolded(x[:1], w[:1], s, p), "first channel"),
        (lambda x, w, s, p: unfolded(x, w, s, p) / w.numel(), "mean of the products"),
        (wrong_places, "i·stride"),
        (replicated, "padding is with zeros"),
        (lambda x, w, s, p: unfolded(x, w, s, p).T, "rows and columns are swapped"),
        (lambda x, w, s, p: unfolded(x, w, s, p)[None], "has shape 1×3×5"),
    ],
}
