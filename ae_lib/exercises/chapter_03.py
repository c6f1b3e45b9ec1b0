"""The checks of chapter 03: PCA by singular values, and the angle of two subspaces."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import (
    Wrong,
    compare,
    expect,
    hint,
    number,
    show,
    size,
    tensor,
)


def _images() -> Tensor:
    """Return images (40, 3, 4, 4) that vary most along a few directions."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(40, 48, generator=random) * 0.7 ** torch.arange(48)
    turn, _ = torch.linalg.qr(torch.randn(48, 48, generator=random))
    pattern = torch.randn(48, generator=random)  # the mean image is no even grey
    return (3 + pattern + z @ turn).view(40, 3, 4, 4)


def _kept(x: Tensor, rows: slice) -> Tensor:
    """Reconstruct (N, D) from some of its singular vectors."""
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    return (u[:, rows] * s[rows]) @ v[rows]


@hint("all images back for k = 39 or more of 40, and the mean image for k = 0")
def check_1(by_svd: Callable[[Tensor, int], Tensor]) -> str:
    """Hold by_svd(x, k) to the reconstruction by PCA with k components."""
    images = _images()
    x = images.flatten(1)
    mean = x.mean(0)
    centred = x - mean
    for k in (3, 10):
        got = by_svd(images.clone(), k)
        flat = isinstance(got, Tensor) and tuple(got.shape) == tuple(x.shape)
        expect(not flat, f"the result is {size(x)}; shape it as the images are")
        got = tensor(got, images.shape, f"the result for k = {k}").flatten(1)
        keep = slice(k)
        u, s, v = torch.linalg.svd(centred)  # v is (48, 48)
        each = centred - centred.mean(1, keepdim=True)
        mistakes = {
            "the mean image was not subtracted; the first direction is spent on it": (
                _kept(x, keep)
            ),
            "the mean image was not added again at the end": _kept(centred, keep),
            "you subtracted one mean grey for all; the mean image has its own value "
            "for each pixel": _kept(x - x.mean(), keep) + x.mean(),
            "you subtracted each image's own mean; the mean image is taken over the "
            "images": _kept(x - x.mean(1, keepdim=True), keep)
            + x.mean(1, keepdim=True),
            "these are the k weakest directions; torch.linalg.svd sorts the largest "
            "first": _kept(centred, slice(-k, None)) + mean,
            "torch.linalg.svd returns V transposed already; its rows are the "
            "directions": (u[:, keep] * s[keep]) @ v[:, keep].T + mean,
            "what you add at the end is not the mean image that you subtracted": (
                _kept(centred, keep) + x.mean()
            ),
            "the singular values are missing between U and V": u[:, keep] @ v[keep]
            + mean,
            "there is one direction too few": _kept(centred, slice(k - 1)) + mean,
            "there is one direction too many": _kept(centred, slice(k + 1)) + mean,
            "the mean was subtracted along the wrong axis": _kept(each, keep) + mean,
        }
        right = _kept(centred, keep) + mean
        error = (got - x).square().mean().item()
        least = (right - x).square().mean().item()
        otherwise = (
            f"with k = {k} the mean squared error is {show(error)}, and PCA's is "
            f"{show(least)}"
        )
        compare(got, right, mistakes, otherwise)
    got = tensor(by_svd(images.clone(), 0), images.shape, "the result for k = 0")
    compare(got.flatten(1), mean.expand_as(x), {}, "k = 0 should give the mean image")
    return "the squared singular values, divided by N, are PCA's variances"


@hint("0° for two bases of one plane, 90° where one direction has nothing in common")
def check_2(largest_angle: Callable[[Tensor, Tensor], float]) -> str:
    """Hold largest_angle(A, B) to the largest principal angle in degrees."""
    random = torch.Generator().manual_seed(0)
    for k, length in (2, 0.5), (4, 3.0):
        a = torch.randn(30, k, generator=random)
        b = a + 0.5 * torch.randn(30, k, generator=random)
        a, b = (length * m / m.norm(dim=0) for m in (a, b))
        angles = _angles(a, b)
        got = number(largest_angle(a.clone(), b.clone()), "the angle")
        raw = torch.linalg.svdvals(a.T @ b)
        half = torch.linalg.svdvals(torch.linalg.qr(a)[0].T @ b)
        mistakes = {
            "that is in radians; torch.rad2deg makes degrees of it": angles[
                -1
            ].deg2rad(),
            "that is the smallest of the angles; the smallest cosine belongs to the "
            "largest angle": angles[0],
            "that is the cosine, not the angle": angles[-1].deg2rad().cos(),
            "that is the mean of the angles": angles.mean(),
            "only one of the bases is orthonormal; both need torch.linalg.qr": _degrees(
                half[-1]
            ),
            "the columns are not orthonormal yet, so the singular values are no "
            "cosines; use torch.linalg.qr": _degrees(raw[-1]),
        }
        compare(got, angles[-1], mistakes, f"for two subspaces of dimension {k}")
    mix = torch.tensor([[2.0, 1, 0], [0, 1, 0], [5, 0, 3]])
    for _ in range(40):  # rounding makes some cosines larger than 1, not all
        a = torch.randn(30, 3, generator=random)
        same = largest_angle(a.clone(), a @ mix)
        if isinstance(same, Tensor | float) and math.isnan(float(same)):
            raise Wrong(
                "one subspace against itself gives NaN: rounding makes a cosine of "
                "1.0000001, so clamp to 1 before acos"
            )
        same = number(same, "the angle")
        expect(
            abs(same) < 0.2,
            f"two bases of one subspace should be 0° apart, got {show(same)}°; are "
            "both made orthonormal first?",
        )
    axes = torch.eye(30)
    right = number(largest_angle(axes[:, :2], axes[:, 1:3]), "the angle")
    expect(abs(right - 90) < 0.2, f"two planes with one line in common: {right:.1f}°")
    return "an angle between subspaces does not depend on their bases"


def _degrees(cosine: Tensor) -> Tensor:
    return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))


def _angles(a: Tensor, b: Tensor) -> Tensor:
    """Return the principal angles in degrees, the smallest first."""
    a, b = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return _degrees(torch.linalg.svdvals(a.T @ b))
