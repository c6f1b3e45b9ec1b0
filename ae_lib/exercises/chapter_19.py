"""The checks of chapter 19: a dictionary without a table, and what neighbours save."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import compare, expect, hint, number, sequence, size
from ae_lib.exercises.judge import tensor as a_tensor

LEVELS = ((3, 5), (7, 3, 5), (5, 5, 3, 3))


@hint("codes 3 and -1 and the token 6 for z = (9, -0.9) with levels (7, 3)")
def check_1(fsq: Callable[[Tensor, tuple[int, ...]], tuple[Tensor, Tensor]]) -> str:
    """Hold fsq(z, levels) to rounded codes, their gradient and their tokens."""
    random = torch.Generator().manual_seed(0)
    for levels in LEVELS:
        z = 1.5 * torch.randn(60, len(levels), generator=random)
        z.requires_grad_()
        codes, tokens = sequence(fsq(z, levels), 2, "the answer")
        where = f"with levels {levels} the "
        a_tensor(codes, (60, len(levels)), where + "codes")
        _hold_codes(codes.detach(), z.detach(), levels, where)
        _hold_gradient(codes, z, levels, where)
        a_tensor(tokens, (60,), where + "tokens")
        _hold_tokens(tokens.detach(), z.detach(), levels, where)
    return "every word exists from the start, so none can die"


def _half(levels: tuple[int, ...]) -> Tensor:
    return (torch.tensor(levels) - 1) / 2


def _hold_codes(codes: Tensor, z: Tensor, levels: tuple[int, ...], where: str) -> None:
    half = _half(levels)
    mistakes = {
        where + "codes are squashed and not rounded": half * z.tanh(),
        where + "codes are not squashed: far numbers get levels that do not "
        "exist": z.round(),
        where + "codes have three levels each; stretch tanh to h = (L - 1) / 2 "
        "before you round": z.tanh().round(),
        where + "codes are stretched after rounding, so the levels between are "
        "never used": half * z.tanh().round(),
        where + "codes are rounded down; round to the nearest": (
            half * z.tanh()
        ).floor(),
    }
    compare(codes, (half * z.tanh()).round(), mistakes, where + "codes are off")


def _hold_gradient(
    codes: Tensor, z: Tensor, levels: tuple[int, ...], where: str
) -> None:
    expect(
        codes.requires_grad,
        where + "codes carry no gradient; `detach` only what rounding has added",
    )
    random = torch.Generator().manual_seed(1)
    pull = torch.randn(codes.shape, generator=random)
    (got,) = torch.autograd.grad((codes * pull).sum(), z, allow_unused=True)
    expect(
        got is not None and bool((got != 0).any()),
        where + "gradient is 0: rounding has none of its own, so add what it changed, "
        "detached, to what it was given",
    )
    slope = _half(levels) * (1 - z.detach().tanh() ** 2)
    mistakes = {
        where + "gradient skips tanh; only the rounding is to be passed over": pull,
        where + "gradient lacks the factor h": pull * (1 - z.detach().tanh() ** 2),
    }
    text = where + "gradient is not that of h · tanh(z)"
    compare(got, pull * slope, mistakes, text)


def _hold_tokens(
    tokens: Tensor, z: Tensor, levels: tuple[int, ...], where: str
) -> None:
    half = _half(levels)
    codes = (half * z.tanh()).round()
    place = torch.tensor([1, *levels[:-1]]).cumprod(0)
    other = torch.tensor([1, *levels[:0:-1]]).cumprod(0).flip(0)
    right = ((codes + half) * place).sum(1)
    mistakes = {
        where + "tokens begin with the last number as the lowest digit; begin with "
        "the first": ((codes + half) * other).sum(1),
        where + "tokens are partly negative: digits count from 0, so add h first": (
            codes * place
        ).sum(1),
        where + "digits are added up without their places, so different codes get "
        "the same token": (codes + half).sum(1),
        where + "places are powers of one number; each is the product of the levels "
        "before it": ((codes + half) * max(levels) ** torch.arange(len(levels))).sum(1),
    }
    most = math.prod(levels)
    text = f"{where}tokens are off; they run from 0 to {most - 1}"
    compare(tokens.double(), right.double(), mistakes, text)


@hint("about 1 bit if two words follow each other by chance, and 0 if one repeats")
def check_2(bits_given_left: Callable[[Tensor, Tensor, int], float]) -> str:
    """Hold bits_given_left(train, test, k) to the cross-entropy given the left word."""
    for k, shape, seed in ((6, (6, 4, 6), 0), (3, (9, 4, 5), 3)):
        train, test = (_grids(k, shape, seed + 10 * i) for i in range(2))
        got = number(bits_given_left(train.clone(), test.clone(), k), "the answer")
        where = f"for {size(train)} tokens of {k} words "
        count, seen = _pairs(train, k), _pairs(test, k, extra=0.0)
        right = _bits(count / count.sum(1, keepdim=True), seen)
        text = where + "this is not the mean number of bits"
        mistakes = _mistakes(train, test, k, where)
        compare(torch.tensor(got), torch.tensor(right), mistakes, text)
    return "a table of pairs is the smallest prior that looks around"


def _grids(k: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw tokens of which many repeat what is on their left, plus one."""
    random = torch.Generator().manual_seed(seed)
    drawn = (torch.rand(shape, generator=random) ** 2 * k).long()
    again = torch.rand(shape, generator=random) < 0.6
    for c in range(1, shape[2]):
        left = (drawn[:, :, c - 1] + 1) % k
        drawn[:, :, c] = torch.where(again[:, :, c], left, drawn[:, :, c])
    return drawn


def _pairs(tokens: Tensor, k: int, extra: float = 0.1) -> Tensor:
    """Count how often a word (column) stands right of another (row)."""
    pairs = tokens[:, :, :-1] * k + tokens[:, :, 1:]
    return pairs.flatten().bincount(minlength=k * k).view(k, k).double() + extra


def _bits(share: Tensor, seen: Tensor) -> float:
    return (-(share.log2() * seen).sum() / seen.sum()).item()


def _mistakes(train: Tensor, test: Tensor, k: int, where: str) -> dict[str, Tensor]:
    count, seen = _pairs(train, k), _pairs(test, k, extra=0.0)
    given_left = count / count.sum(1, keepdim=True)
    above = _pairs(train.mT, k)
    flat = [t.flatten(1)[:, None] for t in (train, test)]
    ends = _pairs(flat[0], k)
    plain = train.flatten().bincount(minlength=k).double() + 0.1
    alone = (plain / plain.sum()).expand(k, k)
    found = {
        "you pay for the pair; the left word is known already, so divide each "
        "row of counts by its own sum": _bits(count / count.sum(), seen),
        "you guess the left word from the right one": _bits(count / count.sum(0), seen),
        "you count in nats; bits have the logarithm to base 2": math.log(2)
        * _bits(given_left, seen),
        "you score the training tokens, which the table knows": _bits(
            given_left, _pairs(train, k, extra=0.0)
        ),
        "the table is counted on the test tokens themselves": _bits(
            _pairs(test, k) / _pairs(test, k).sum(1, keepdim=True), seen
        ),
        "you look up, not left": _bits(
            above / above.sum(1, keepdim=True), _pairs(test.mT, k, extra=0.0)
        ),
        "the first word of a row has no left neighbour; you take the end of "
        "the row above": _bits(
            ends / ends.sum(1, keepdim=True), _pairs(flat[1], k, extra=0.0)
        ),
        "the left word is not used": _bits(alone, seen),
        "bits are positive: the logarithm of a share is not": -_bits(given_left, seen),
        "you add up the bits of all words; return their mean": seen.sum().item()
        * _bits(given_left, seen),
        "the first word of a row has no left neighbour; take the mean over the others "
        "only": seen.sum().item() / test.numel() * _bits(given_left, seen),
        "1 is added to each count, not 0.1": _bits(
            (count + 0.9) / (count + 0.9).sum(1, keepdim=True), seen
        ),
    }
    return {where + text: torch.tensor(value) for text, value in found.items()}
