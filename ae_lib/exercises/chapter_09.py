"""The checks of chapter 09: a difference by pairs, and what a winner can promise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.exercises.judge import Wrong, compare, expect, hint, number, sequence

Arm = dict[int, float]


def _arms() -> tuple[Arm, Arm]:
    """Return two arms of a sweep: {seed: error} as the runs came in, some missing."""
    random = torch.Generator().manual_seed(0)
    luck = 0.04 + 0.004 * torch.randn(10, generator=random, dtype=torch.double)
    noise = 0.0008 * torch.randn(2, 10, generator=random, dtype=torch.double)
    first, second = (luck + noise[0]).tolist(), (luck + noise[1] - 0.001).tolist()
    usual = {seed: first[seed] for seed in (0, 1, 2, 3, 4, 5, 6, 7)}
    return usual, {seed: second[seed] for seed in (5, 0, 8, 2, 7, 1, 4)}


@hint("-1.33 and 0.33 for {0: 5, 1: 7, 2: 9} and {2: 8, 0: 3, 1: 6, 7: 1}")
def check_1(paired_difference: Callable[[Arm, Arm], tuple[float, float]]) -> str:
    """Hold paired_difference(usual, new) to the seeds that both arms have."""
    usual, new = _arms()
    both = [seed for seed in usual if seed in new]
    a, b = (torch.tensor([arm[s] for s in both]).double() for arm in (usual, new))
    d, n = b - a, len(both)
    answer = sequence(paired_difference(dict(usual), dict(new)), 2, "the answer")
    mean, error = (number(v, w) for v, w in zip(answer, WHAT_1, strict=True))
    old, young = (torch.tensor(list(v.values())).double() for v in (usual, new))
    by_place = young - old[: len(young)]
    mistakes = {
        "you pair by place, and the runs came in another order and not all: there a "
        "run of seed 0 stands beside one of seed 5. Look the seed up": by_place.mean(),
        "you compare the means of all runs. A seed that only one arm has brings its "
        "own luck into the difference; leave it out": young.mean() - old.mean(),
        "new minus usual is asked: below zero if the new arm is better": -d.mean(),
        "a difference in the unit of the error is asked, not a share": (
            d.mean() / a.mean()
        ),
        "the size of each difference has lost its sign: what is won with one seed "
        "and lost with another should cancel": d.abs().mean(),
    }
    text = "the mean difference over the seeds of both arms is off"
    after = torch.tensor([new[s] for s in new if s in usual]).double()
    crossed = (after - a).std() / n**0.5  # each arm in its own order
    compare(mean, d.mean(), mistakes, text)
    root, apart = n**0.5, (a.var() + b.var()) ** 0.5
    mistakes = {
        "that is the error of two groups that know nothing of each other: the luck of "
        "the seeds is still in it. Take the deviation of the differences": apart / root,
        "that says how far one pair lies from the mean; the mean of n pairs is surer, "
        "by the square root of n": d.std(),
        "the deviation falls with the square root of n, not with n": d.std() / n,
        "that is a variance; the error is its square root": d.var() / n,
        "one standard error is asked, not two": 2 * d.std() / root,
        "the seeds are those of both arms, but each arm is in its own order, so that "
        "a run meets one of another seed: look each seed up in both": crossed,
        "the mean comes from the same differences and lies too well among them: "
        "divide the squares by n - 1": d.std(correction=0) / root,
        f"n counts the pairs, {n}, and not the runs of an arm": (
            d.std() / len(usual) ** 0.5
        ),
    }
    compare(error, d.std() / root, mistakes, "the standard error is off")
    gain = (apart / d.std()).item()
    return f"unpaired, the error of these runs would be {gain:.1f} times as large"


WHAT_1 = ("the mean difference", "the standard error")


def _search() -> tuple[Tensor, Tensor]:
    """Return the errors of 12 trials that differ by luck alone, and 4 more of each."""
    random = torch.Generator().manual_seed(1)
    errors = 0.04 + 0.003 * torch.randn(12, 5, generator=random, dtype=torch.double)
    return errors[:, 0], errors[:, 1:]


@hint("3 and 1 for a search (3, 1, 2), if the second trial's fresh runs give 2 and 4")
def check_2(winner_report: Callable[[Tensor, Tensor], tuple[float, float]]) -> str:
    """Hold winner_report(search, fresh) to fresh runs of the winner of the search."""
    search, fresh = _search()
    diverged = search.clone(), fresh.clone()
    for part in diverged:
        part[4] = torch.nan
    _hold_report(winner_report, search, fresh)
    _hold_report(winner_report, *diverged)
    lost = (fresh[search.argmin()].mean() / search.min() - 1).item()
    return f"the winner's own number was {lost:.0%} too good, and these were all equal"


def _hold_report(report: Callable, search: Tensor, fresh: Tensor) -> None:
    best, n = int(search.nan_to_num(torch.inf).argmin()), fresh.shape[1]
    runs = fresh[best]
    answer = sequence(report(search.clone(), fresh.clone()), 2, "the answer")
    for value in answer:
        if isinstance(value, float | Tensor) and torch.as_tensor(value).isnan().any():
            expect(
                not search.isnan().any(),
                "your winner is the trial that diverged: argmin takes NaN for the "
                "least. Leave such trials out",
            )
            raise Wrong("the answer is NaN, and no trial of this search has diverged")
    mean, error = (number(v, w) for v, w in zip(answer, WHAT_2, strict=True))
    means = fresh.mean(1).nan_to_num(torch.inf)
    again = means.argmin()
    shifted = fresh[search[~search.isnan()].argmin()]
    if torch.equal(shifted, runs):
        shifted = torch.full_like(runs, -1.0)  # no answer
    worst = fresh[search.nan_to_num(-torch.inf).argmax()]
    mistakes = {
        "that is the number that made it the winner, and a part of it is luck. Its "
        "fresh runs can tell": search[best],
        "you have chosen again, by the fresh runs. What was used to choose is fresh "
        "no more; the search chooses": means[again],
        "the winner's number in the search is among those you average; it is low "
        "because it was chosen": torch.cat([runs, search[best, None]]).mean(),
        "the search has errors: the lowest wins": worst.mean(),
        "you average over all trials; only the winner is reported": (
            means[means.isfinite()].mean()
        ),
        "of the winner's fresh runs you report the best one": runs.min(),
        "the trials that diverged are left out of the search and not of fresh, so that "
        "a number of one counts the rows of the other": shifted.mean(),
        "the lowest of all fresh runs is chosen twice over": (
            fresh.nan_to_num(torch.inf).min()
        ),
    }
    compare(mean, runs.mean(), mistakes, "the mean of the winner's fresh runs is off")
    mistakes = {
        "the deviation says how far one run lies from the mean; the standard error of "
        "the mean of n runs is smaller, by the square root of n": runs.std(),
        "divide the squares by n - 1, not n": runs.std(correction=0) / n**0.5,
        "the deviation falls with the square root of n, not with n": runs.std() / n,
        "that is the scatter among the trials of the search, not of the winner's "
        "runs": search[~search.isnan()].std() / n**0.5,
    }
    compare(error, runs.std() / n**0.5, mistakes, "the standard error is off")


WHAT_2 = ("the mean of fresh runs", "the standard error")
