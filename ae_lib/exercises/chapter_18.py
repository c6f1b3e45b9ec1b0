"""The checks of chapter 18: a code of k numbers, and another slope."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, number, tensor


@hint("0, 3, 0, 2 for the code -5, 3, 1, 2 and k = 2")
def check_1(k_sparse: Callable[[Tensor, int], Tensor]) -> str:
    """Hold k_sparse(z, k) to the k largest numbers of each code, and to a gradient."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(6, 9, generator=random, dtype=torch.double)
    for k in (3, 1, 9):
        got = tensor(k_sparse(z.clone(), k), (6, 9), "the answer")
        wanted = _kept(z, k)
        kept = (got != 0).sum(dim=1)
        mistakes = {
            "a code is a row, and you choose among the images of the batch": _kept(
                z.T, min(k, 6)
            ).T,
            "those are the smallest numbers; keep the largest": -_kept(-z, k),
            "large negative numbers are not among the largest: leave the sign": (
                z * _mask(z.abs(), k)
            ),
            "a negative number is kept where it is among the k largest; do not cut at "
            "zero": _kept(z, k).relu(),
            "you return which numbers are kept; return the numbers": _mask(
                z, k
            ).double(),
        }
        text = (
            f"with k = {k} a code keeps {int(kept.min())} to {int(kept.max())} numbers"
        )
        if kept.eq(k).all():
            text = f"with k = {k} the numbers that are kept are not as they were"
        compare(got, wanted, mistakes, text)
    leaf = z.clone().requires_grad_()
    answer = k_sparse(leaf * 1, 3)
    expect(
        answer.requires_grad,
        "the numbers are right, and no gradient comes through: an encoder before it "
        "would never learn",
    )
    answer.sum().backward()
    text = "the gradient of a kept number is not 1, or that of another not 0"
    compare(leaf.grad, _mask(z, 3).double(), {}, text)
    return "k numbers a code, and nothing to weigh: no size can cheat it"


def _mask(z: Tensor, k: int) -> Tensor:
    """Tell which are the k largest of each row."""
    return z.argsort(dim=1, descending=True).argsort(dim=1) < k


def _kept(z: Tensor, k: int) -> Tensor:
    return z * _mask(z, k)


@hint("9 for the weight 3, 0 and a code of 0, and 2.94 for a code of 0.6549")
def check_2(contractive_tanh: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Hold contractive_tanh(h, weight) to the squared norm of autograd's Jacobian."""
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 7, generator=random, dtype=torch.double)
    x = 0.3 * torch.randn(5, 7, generator=random, dtype=torch.double)

    def one(image: Tensor) -> Tensor:
        return torch.tanh(weight @ image)

    rows = torch.func.vmap(torch.func.jacrev(one))(x).square().sum(2)  # (5, 4)
    right = rows.sum(1).mean()
    h = torch.tanh(x @ weight.T)  # (5, 4)
    slope, length = 1 - h.square(), weight.square().sum(1)
    mistakes = {
        "that slope, h (1 - h), is a sigmoid's; the derivative of tanh is another": (
            (h * (1 - h)).square() @ length
        ).mean(),
        "the slope belongs into the square, too": (slope @ length).mean(),
        "without the slope that is weight decay, the same for all images": length.sum(),
        "sum over the units, and take the mean over the images; you sum both": (
            rows.sum()
        ),
        "sum over the units, and take the mean over the images; you average both": (
            rows.mean()
        ),
        "that is the norm; the square of it is asked": rows.sum(1).sqrt().mean(),
        "the length of a row of W enters as a square": (
            slope.square() @ length.sqrt()
        ).mean(),
    }
    got = number(contractive_tanh(h.clone(), weight.clone()), "the answer")
    text = "this is not the squared norm of the Jacobian that autograd finds"
    compare(torch.tensor(got), right, mistakes, text)
    leaf = weight.clone().requires_grad_()
    answer = contractive_tanh(torch.tanh(x @ leaf.T), leaf)
    expect(
        isinstance(answer, Tensor) and answer.requires_grad,
        "the number is right, but return a tensor, or no weight can learn of it",
    )
    return "autograd agrees, at one product where it needs four backward passes"
