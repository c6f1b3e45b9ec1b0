"""The checks of chapter 17: the price of a code under another hat, and its draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from ae_lib.exercises.judge import Wrong, compare, expect, hint, show, size, tensor


@hint("0.5 for mu = 1, logvar = 0 and s = 1, and 0 for mu = 0, logvar = 2 log(s)")
def check_1(kl_to_hat: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Hold kl_to_hat(mu, logvar, s) to the KL of torch.distributions, in nats."""
    random = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(2, 50, 7, generator=random, dtype=torch.double)
    for s in (1.0, 0.6, 3.0):
        where = f"for a hat of deviation {s:g}, "
        kl = _kl(mu, (logvar / 2).exp(), s)  # (50, 7)
        got = kl_to_hat(mu.clone(), logvar.clone(), s)
        if isinstance(got, Tensor) and got.shape == kl.shape:
            raise Wrong("one number for each image is asked; add up its units, dim=1")
        if isinstance(got, Tensor) and got.ndim == 0:
            raise Wrong(
                "one number for all: the mean over the images comes later. Add up the "
                "units, dim=1, and keep the images apart"
            )
        got = tensor(got, (len(mu),), "the price")
        other = kl_divergence(
            Normal(torch.zeros_like(mu), s), Normal(mu, (logvar / 2).exp())
        )
        square, log_s = mu.square(), math.log(s)
        bare = ((square + logvar) / s**2 - 1 - logvar + 2 * log_s) / 2
        mistakes = {
            where + "that is the KL of the hat from the code. The code comes first: "
            "it is what is drawn from": other,
            where + "you take logvar for the logarithm of the deviation; it is that "
            "of the variance": _kl(mu, logvar.exp(), s),
            where + "logvar is a logarithm: the variance is its exp": bare,
            where + "you average over the units. Nats add up, and a mean makes the "
            "code cheaper by the number of units": kl / kl.shape[1],
            where + "a KL is positive, and yours has the other sign": -kl,
            where + "you have forgotten the half": 2 * kl,
            where + "those are bits; nats have the natural logarithm": (
                kl / math.log(2)
            ),
            where + "a half for each unit is missing: where code and hat agree, the "
            "price is 0": kl + 0.5,
            where + "the squared means do not enter: a code far from the middle of "
            "the hat costs more": _kl(0 * mu, (logvar / 2).exp(), s),
        }
        if s != 1:
            mistakes |= {
                where + "that is still the price for a hat of deviation 1": (
                    _kl(mu, (logvar / 2).exp(), 1.0)
                ),
                where + "you take s for the variance; it is the deviation": (
                    _kl(mu, (logvar / 2).exp(), s**0.5)
                ),
                where + "log(s) is missing: a wider hat makes each code say more": kl
                - log_s,
            }
        values = {k: v.sum(1) if v.ndim == 2 else v for k, v in mistakes.items()}
        text = where + "this is not the KL of N(mu, exp(logvar)) from N(0, s²)"
        _hold_price(got, kl.sum(1), values, text)
    return "torch.distributions says the same, for each image and three hats"


def _hold_price(got: Tensor, right: Tensor, mistakes: dict, text: str) -> None:
    text += f", {show(right[0].item())} nats for the first image and not "
    compare(got, right, mistakes, text + show(got[0].item()))


def _kl(mu: Tensor, deviation: Tensor, s: float) -> Tensor:
    return kl_divergence(Normal(mu, deviation), Normal(torch.zeros_like(mu), s))


B, K, DRAWS = 500, 3, 8
Draw = Callable[[Tensor, Tensor, int, Generator], Tensor]


@hint("a mean of 3, a deviation of 2 and dz/dmu = 1 for mu = 3 and logvar = log(4)")
def check_2(draw_codes: Draw) -> str:
    """Hold draw_codes(mu, logvar, n, generator) to its distribution, with gradient."""
    random = torch.Generator().manual_seed(0)
    mu = 3 * torch.randn(B, K, generator=random)
    logvar = torch.tensor([-2.0, 0.7, 1.5]).expand(B, K).clone()
    mu.requires_grad_(), logvar.requires_grad_()
    first = torch.Generator().manual_seed(1)
    z = draw_codes(mu, logvar, DRAWS, first)
    _hold_shape(z)
    noise = (z - mu).detach()
    expect(bool(noise.abs().max() > 0), "z is mu itself: nothing is drawn")
    again = draw_codes(mu, logvar, DRAWS, torch.Generator().manual_seed(1))
    expect(
        torch.equal(z, again),
        "the same seed gives another z. The random numbers should come from the "
        "generator that you are given",
    )
    expect(
        not torch.equal(z, draw_codes(mu, logvar, DRAWS, first)),
        "the second call draws what the first one drew: a generator that is made anew "
        "in the function begins at the same place. Take the one that you are given",
    )
    _hold_noise(noise, logvar.detach())
    _hold_slopes(z, noise, mu, logvar)
    return "the randomness comes from outside, so the gradient finds its way to both"


def _hold_shape(z: object) -> None:
    if isinstance(z, Tensor) and z.shape == (B, K):
        raise Wrong(f"one code for each image, {size(z)}; n = {DRAWS} are asked for")
    if isinstance(z, Tensor) and z.shape == (B, DRAWS, K):
        raise Wrong("the draws come first in the shape: (n, B, K), not (B, n, K)")
    tensor(z, (DRAWS, B, K), "z")


def _hold_noise(noise: Tensor, logvar: Tensor) -> None:
    """Raise Wrong unless the noise is independent, with the deviation ordered."""
    eps = noise / noise.std((0, 1))  # (n, B, K)
    shared = {
        f"the {DRAWS} draws of an image are the same code {DRAWS} times": 0,
        "all images of a batch get the same noise": 1,
    }
    for text, dim in shared.items():
        expect(bool(eps.std(dim).max() > 1e-3), text + ". Draw (n, B, K) numbers")
    correlation = torch.corrcoef(eps.flatten(0, 1).T)
    expect(
        bool((correlation - torch.eye(K)).abs().max() < 0.2),
        "the units of a code get the same noise. Draw (n, B, K) numbers",
    )
    got, right = noise.std((0, 1)), (logvar[0] / 2).exp()
    middle = noise.mean((0, 1)) / got
    expect(
        bool(middle.abs().max() < 0.1),
        f"z lies off mu on average, by {show(middle.abs().max().item())} deviations: "
        "the noise needs a mean of 0, as randn has it and rand has not",
    )
    wrong = {
        "exp(logvar) is the variance; the deviation is its root, exp(logvar / 2)": (
            right**2
        ),
        "the deviation is always 1: logvar does not enter": torch.ones(K),
        "logvar itself is no deviation; take exp(logvar / 2)": logvar[0].abs(),
        "the root of logvar's exp is taken twice: exp(logvar / 4)": right**0.5,
        "where the variance is small yours is large: it is exp(-logvar / 2)": 1 / right,
        "that is rand, which is spread evenly, with 0.29 of the deviation": (
            right / 12**0.5
        ),
    }
    for text, deviation in wrong.items():
        expect(bool((got / deviation - 1).abs().max() > 0.06), text)
    off = (got / right - 1).abs()
    i = int(off.argmax())
    expect(
        bool(off.max() < 0.06),
        f"where logvar is {show(logvar[0, i].item())}, z scatters by "
        f"{show(got[i].item())} and should by {show(right[i].item())}",
    )


def _hold_slopes(z: Tensor, noise: Tensor, mu: Tensor, logvar: Tensor) -> None:
    cut = "sample() and torch.normal cut it. Draw from N(0, 1), and shift and stretch"
    expect(z.requires_grad, f"z has no gradient: {cut}")
    slopes = torch.autograd.grad(z.sum(), [mu, logvar], allow_unused=True)
    for name, slope, right in zip(
        ("mu", "logvar"), slopes, (torch.ones_like(z), noise / 2), strict=True
    ):
        gone = slope is None or not bool(slope.abs().max() > 0)
        expect(not gone, f"no gradient reaches {name}: {cut}")
        text = f"the gradient by {name} is not that of mu + exp(logvar / 2) · eps"
        compare(slope, right.sum(0), {}, text)
