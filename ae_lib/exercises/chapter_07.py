"""The checks of chapter 07: weights that were forgotten, and PCA from variances."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ae_lib.exercises.judge import Wrong, compare, expect, hint, kind, number


def _network() -> nn.Module:
    """Return a small autoencoder with a way up, a norm, and a nested part."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.Conv2d(4, 2, 1), nn.ConvTranspose2d(2, 4, 1)),
        nn.ConvTranspose2d(4, 3, 3, padding=1),
    )


def _starts() -> list[tuple[Callable[[nn.Module], None], set[str]]]:
    """Return ways to draw first weights, and the parameters that each leaves."""

    def draw(network: nn.Module, kinds: tuple, names: tuple[str, ...]) -> None:
        for layer in network.modules():
            if isinstance(layer, kinds):
                for name in names:
                    nn.init.normal_(getattr(layer, name))

    every = {name for name, _ in _network().named_parameters()}
    convolutions = {"0.weight", "0.bias", "2.0.weight", "2.0.bias"}
    weights = {name for name in every - {"1.weight"} if name.endswith("weight")}
    both = (nn.Conv2d, nn.ConvTranspose2d)
    return [
        (lambda n: draw(n, nn.Conv2d, ("weight", "bias")), every - convolutions),
        (lambda n: draw(n, both, ("weight",)), every - weights),
        (lambda n: None, every),
    ]


@hint("the names of 6 of 10 parameters, if only the two convolutions are drawn")
def check_1(untouched: Callable[..., list[str]]) -> str:
    """Hold untouched(network, start) to the parameters that start leaves alone."""
    every = {name for name, _ in _network().named_parameters()}
    for start, right in _starts():
        network = _network()
        before = copy.deepcopy(network.state_dict())
        names = _names(untouched(network, start))
        now = network.state_dict()
        expect(
            all(torch.equal(now[name], before[name]) for name in before),
            "the network itself has other weights now; try `start` on a copy.deepcopy "
            "of it",
        )
        buffers = sorted(names & (before.keys() - every))
        expect(
            not buffers,
            f"{buffers[:1]} is a buffer and no parameter: ask named_parameters()",
        )
        layers = {name for name, _ in network.named_modules()}
        expect(
            not names or not names <= layers,
            "these are layers; name the parameters, '0.weight' and '0.bias'",
        )
        strange = sorted(names - every)
        expect(not strange, f"{strange[:1]} is no parameter of the network")
        if names == every - right and names != right:
            raise Wrong("these are the ones that `start` does draw")
        expect(
            names != every or names == right,
            "you name all of them. A parameter changes in place: compare with a clone, "
            "or a copy of the network, made before `start`",
        )
        lost = sorted(right - names)
        if lost and all(name.endswith("bias") for name in lost):
            raise Wrong(f"{lost[0]} is left as it was, too: biases count")
        expect(not lost, f"{lost[:1]} is left as it was, and you do not name it")
        more = sorted(names - right)
        expect(not more, f"{more[:1]} is drawn anew, and you name it")
    return "run it on the article's program: the whole way up is in the list"


def _names(answer: object) -> set[str]:
    expect(answer is not None, "the answer is None: is a `return` missing?")
    expect(
        isinstance(answer, list | tuple | set),
        f"expected a list of names, got {kind(answer)}",
    )
    for name in answer:
        expect(isinstance(name, str), f"expected names, got {kind(name)}")
    return set(answer)


@hint("2 for the variances 4, 2, 1, 1 of images of 8 values, and an error of 0.25")
def check_2(components_for: Callable[[float, Tensor, int], int]) -> str:
    """Hold components_for(error, variances, values) to PCA's error on its images."""
    random = torch.Generator().manual_seed(0)
    long = torch.rand(20, generator=random).sort(descending=True).values + 0.1
    cases = [(share * long.sum().item() / 48, long, 48) for share in (0.61, 0.23)]
    cases += [(0.25, torch.tensor([4.0, 2.0, 1.0, 1.0]), 8)]
    for error, variances, values in cases:
        left = _left(variances)  # of 0, 1, ... components
        right = _first(left / values <= error * 1.000001)
        share = left / left[0]
        kept = variances.cumsum(0)
        mistakes = {
            "one too many: that many are not needed": right + 1,
            "one too few: with these its error is still above": right - 1,
            "the variances left out are a sum over the values of an image; the MSE is "
            "their mean": _first(left <= error),
            "you compare a share of the variance with an error: divide by the number "
            "of values, not by the sum": _first(share <= error),
            "you add up the variances that are kept; PCA's error is what is left out": (
                _first(kept / values >= error) + 1
            ),
            "you look for one variance below the error; all that are left out "
            "count": _first(variances / values <= error),
        }
        got = number(components_for(error, variances.clone(), values), "the number")
        expect(got == int(got), f"a number of components is whole, got {got}")
        compare(got, right, mistakes, "not the smallest number with that error")
    for error, right, text in (
        (1.0, 0, "with an error above the mean image's no component is needed: 0"),
        (0.0, 4, "for an error of 0 all 4 are needed"),
    ):
        got = number(components_for(error, cases[-1][1].clone(), 8), "the number")
        expect(got == right, f"{text}; got {got}")
    return "so any error can be told in components, and they cost a reader nothing"


def _left(variances: Tensor) -> Tensor:
    """Return the variance that 0, 1, ..., all components leave out."""
    total = variances.double().sum()
    left = total - torch.cat([total.new_zeros(1), variances.double().cumsum(0)])
    left[-1] = 0.0
    return left


def _first(holds: Tensor) -> int:
    """Return the first place where it holds, or the length where it never does."""
    return int(holds.int().argmax()) if holds.any() else len(holds)
