"""The checks of chapter 15: the one line of a denoiser, and the median as a filter."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ae_lib.corruptions import gaussian, salt_and_pepper
from ae_lib.exercises.judge import (
    Wrong,
    compare,
    expect,
    hint,
    number,
    same,
    size,
    smooth_images,
    tensor,
)
from ae_lib.metrics import mse, psnr


class _Model(nn.Module):
    """A network of two weights that notes what it is given, and what it answers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.8, 0.05]))
        self.seen, self.said = [], []

    def forward(self, x: Tensor) -> Tensor:
        y = self.weight[0] * x + self.weight[1]
        self.seen.append(x.detach().clone())
        self.said.append(y.detach().clone())
        return y


class _Spoil:
    """Gaussian noise that notes what it has made, and by whose random numbers."""

    def __init__(self):
        self.made, self.by = [], []

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        self.made.append(gaussian(x, 0.1, generator))
        self.by.append(generator)
        return self.made[-1].clone()


def _images(n: int = 6, side: int = 16) -> Tensor:
    return smooth_images(n, side).sigmoid()  # (n, 3, side, side) in [0, 1]


Loss = Callable[[nn.Module, Callable, Tensor, Generator], Tensor]


@hint("0.01 from a network that changes nothing, with grey images and noise of 0.1")
def check_1(denoising_loss: Loss) -> str:
    """Hold denoising_loss(model, spoil, x, generator) to spoilt input, clean target."""
    x, generator = _images(), torch.Generator().manual_seed(1)
    model, spoil, given = _Model(), _Spoil(), x.clone()
    loss = denoising_loss(model, spoil, given, generator)
    expect(
        torch.equal(given, x),
        "the clean images themselves have changed; nothing is left to compare with",
    )
    expect(model.seen, "the model was never called")
    expect(
        spoil.made,
        "spoil was never called: the network sees clean images, and learns to copy",
    )
    seen, said = torch.cat(model.seen), torch.cat(model.said)
    expect(
        not same(seen, x),
        "the network is given the clean images. What spoil returns must go in",
    )
    made = [*spoil.made, torch.cat(spoil.made)]  # at once, or image by image
    expect(
        any(same(seen, part) for part in made),
        f"the network is given {size(seen)} that are not what spoil returned",
    )
    value = number(loss, "the loss")
    error = said - x
    mistakes = {
        "the target is the spoilt image: whoever gives back all of the noise has a "
        "loss of 0. Compare with the clean x": F.mse_loss(said, seen),
        "that is the damage, spoilt against clean; the network's answer is not in "
        "it": F.mse_loss(seen, x),
        "the loss is a sum over pixels; the mean does not depend on the size of "
        "batch and image": error.square().sum(),
        "you add up over the pixels; take the mean over all": (
            error.square().sum() / len(x)
        ),
        "that is the root of the mean squared error": error.square().mean().sqrt(),
        "that is the mean absolute error; the formula squares": error.abs().mean(),
    }
    for other in spoil.made:
        if other.shape == said.shape and not same(other, seen):
            mistakes[
                "the target is spoilt as well, by other noise. That is another "
                "exercise; here the clean x is at hand"
            ] = F.mse_loss(said, other)
    text = "this is not the mean squared error between answer and clean image"
    compare(value, F.mse_loss(said, x), mistakes, text)
    _hold_gradient(loss, model)
    _hold_chance(denoising_loss, x, spoil, generator)
    return "to copy its input is now a bad answer, so the network needs no bottleneck"


def _hold_gradient(loss: object, model: _Model) -> None:
    text = "the loss carries no gradient to the weights: return the tensor as it is, "
    text += "without item(), detach() or no_grad()"
    expect(isinstance(loss, Tensor) and loss.requires_grad, text)
    (slope,) = torch.autograd.grad(loss, [model.weight], allow_unused=True)
    expect(slope is not None and bool(slope.abs().max() > 0), text)


def _hold_chance(
    denoising_loss: Loss, x: Tensor, first: _Spoil, generator: Generator
) -> None:
    """Raise Wrong unless the damage is new in each call, and comes from `generator`."""
    again = _Spoil()
    denoising_loss(_Model(), again, x.clone(), generator)
    expect(
        not torch.equal(again.made[0], first.made[0]),
        "the same damage in each call: a generator that starts anew each time lets "
        "the network learn it by heart. Hand on the one that you are given",
    )
    expect(
        all(one is generator for one in first.by),
        "spoil gets another generator than yours, so that nobody can repeat the "
        "training. Hand on the one that you are given",
    )


@hint("the shape of x, and grey in place of a lone white pixel, with a size of 3")
def check_2(median_filter: Callable[[Tensor, int], Tensor]) -> str:
    """Hold median_filter(x, size) to the median of each square, edges repeated."""
    x = torch.rand(2, 3, 10, 13, generator=torch.Generator().manual_seed(0))
    for side in (3, 5):
        _hold_median(median_filter, x, side)
    clean = _images(8, 32)
    specks = torch.Generator().manual_seed(0)
    noisy = salt_and_pepper(clean, 0.1, specks)
    done = tensor(median_filter(noisy.clone(), 3), clean.shape, "the answer")
    gain = psnr(mse(clean, done)) - psnr(mse(clean, noisy))
    return f"against a tenth of specks on smooth images it gains {gain:.0f} dB"


def _hold_median(median_filter: Callable, x: Tensor, side: int) -> None:
    given, r = x.clone(), side // 2
    got = median_filter(given, side)
    expect(torch.equal(given, x), "the images that you were given have changed")
    where = f"with a size of {side}, "
    if isinstance(got, Tensor) and got.shape == x[..., r:-r, r:-r].shape:
        raise Wrong(
            f"{where}a border of {r} is lost at each side. Continue the image beyond "
            "its edge first, F.pad(..., mode='replicate')"
        )
    got = tensor(got, x.shape, f"{where}the answer")
    squares = _squares(x, side, "replicate")  # (N, C, H, W, side²)
    colours = squares.permute(0, 2, 3, 1, 4).flatten(3).median(-1).values
    rows = x.unfold(3, side, 1).median(-1).values
    inner = (..., slice(r, -r), slice(r, -r))
    fixed = _squares(x, 3, "replicate").median(-1).values
    mistakes = {
        where + "that is the mean of each square. A speck pulls at the mean; the "
        "median does not care how far off it is": squares.mean(-1)[inner],
        where + "the three colours vote together. Each channel has a median of its "
        "own": colours[:, None].expand_as(x)[inner],
        where + "nothing has changed": x[inner],
        where + "that is the largest value of each square": squares.amax(-1)[inner],
        where + "that is the least value of each square": squares.amin(-1)[inner],
        where + "you take the median along rows only; the square has two sides": (
            rows[..., r:-r, :]
        ),
    }
    if side > 3:
        mistakes[where + "you still take squares of 3×3"] = fixed[inner]
    right = squares.median(-1).values
    text = "inside, away from the border, this is not the median of each square"
    compare(got[inner], right[inner], mistakes, where + text)
    black = _squares(x, side, "constant").median(-1).values
    mirror = _squares(x, side, "reflect").median(-1).values
    around = _squares(x, side, "circular").median(-1).values
    kept = x.clone()
    kept[inner] = right[inner]
    mistakes = {
        where + "the border is too dark: beyond it you put black, and black takes part "
        "in the vote. Repeat the edge, F.pad(..., mode='replicate')": black,
        where + "beyond the border you mirror the image; the edge is to be repeated, "
        "mode='replicate'": mirror,
        where + "beyond the border your image begins again at the other side; the edge "
        "is to be repeated, mode='replicate'": around,
        where + "the border is left as it was": kept,
    }
    text = f"{where}the inside is right; at the border, where the edge pixels are "
    compare(got, right, mistakes, text + "to be repeated, it is not")


def _squares(x: Tensor, side: int, mode: str) -> Tensor:
    r = side // 2
    x = F.pad(x, (r, r, r, r), mode=mode)
    return x.unfold(2, side, 1).unfold(3, side, 1).flatten(4)
