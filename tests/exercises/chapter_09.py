import statistics

import torch


def one_by_one(usual, new):
    """Keep a list, and leave the arithmetic to the standard library."""
    d = [error - usual[seed] for seed, error in new.items() if seed in usual]
    return statistics.mean(d), statistics.stdev(d) / len(d) ** 0.5


def pairs(mean=None, error=None):
    """Return an answer with these two parts, functions of (a, b), sorted by seed."""
    mean = mean or (lambda a, b: (b - a).mean())
    error = error or (lambda a, b: (b - a).std() / len(a) ** 0.5)

    def paired_difference(usual, new):
        seeds = sorted(usual.keys() & new.keys())
        a, b = (torch.tensor([arm[s] for s in seeds]) for arm in (usual, new))
        return mean(a, b), error(a, b)

    return paired_difference


def by_place(usual, new):
    d = [b - a for a, b in zip(usual.values(), new.values(), strict=False)]
    return statistics.mean(d), statistics.stdev(d) / len(d) ** 0.5


def of_all(usual, new):
    mean = statistics.mean(new.values()) - statistics.mean(usual.values())
    return mean, 0.0


def own_order(usual, new):
    a = [usual[s] for s in usual if s in new]
    d = [y - x for x, y in zip(a, [new[s] for s in new if s in usual], strict=True)]
    return statistics.mean(d), statistics.stdev(d) / len(d) ** 0.5


def by_hand(search, fresh):
    """Sort the trials that have an error."""
    trials = [(e, i) for i, e in enumerate(search.tolist()) if e == e]
    runs = fresh[min(trials)[1]].tolist()
    return statistics.mean(runs), statistics.stdev(runs) / len(runs) ** 0.5


def winner(best=None, mean=None, error=None):
    """Return an answer that chooses and reports like this."""
    best = best or (lambda search, fresh: search.nan_to_num(torch.inf).argmin())
    mean = mean or (lambda runs, own: runs.mean())
    error = error or (lambda runs: runs.std() / len(runs) ** 0.5)

    def winner_report(search, fresh):
        i = best(search, fresh)
        return mean(fresh[i], search[i]), error(fresh[i])

    return winner_report


RIGHT = {"09.1": [one_by_one, pairs()], "09.2": [by_hand, winner()]}
WRONG = {
    "09.1": [
        (by_place, "you pair by place"),
        (of_all, "a seed that only one arm has".capitalize()),
        (pairs(lambda a, b: (a - b).mean()), "new minus usual"),
        (pairs(lambda a, b: (b - a).mean() / a.mean()), "not a share"),
        (pairs(lambda a, b: (b - a).abs().mean()), "lost its sign"),
        (pairs(lambda a, b: (b - a).median()), "difference over the seeds"),
        (
            pairs(error=lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()),
            "two groups that know nothing of each other",
        ),
        (pairs(error=lambda a, b: (b - a).std()), "how far one pair lies"),
        (pairs(error=lambda a, b: (b - a).std() / len(a)), "not with n"),
        (pairs(error=lambda a, b: (b - a).var() / len(a)), "a variance"),
        (pairs(error=lambda a, b: 2 * (b - a).std() / len(a) ** 0.5), "not two"),
        (own_order, "each arm is in its own order"),
        (
            pairs(error=lambda a, b: (b - a).std(correction=0) / len(a) ** 0.5),
            "by n - 1",
        ),
        (pairs(error=lambda a, b: (b - a).std() / 8**0.5), "counts the pairs, 6"),
        (pairs(error=lambda a, b: (b - a).abs().max()), "standard error is off"),
        (pairs(error=lambda a, b: b - a), "should be one number"),
        (lambda usual, new: 0.1, "should be 2 things"),
        (lambda usual, new: None, "`return`"),
    ],
    "09.2": [
        (winner(mean=lambda runs, own: own), "made it the winner"),
        (
            winner(lambda search, fresh: fresh.mean(1).nan_to_num(9).argmin()),
            "chosen again",
        ),
        (
            winner(mean=lambda runs, own: (runs.sum() + own) / (len(runs) + 1)),
            "among those you average",
        ),
        (winner(lambda search, fresh: search.argmax()), "the lowest wins"),
        (winner(lambda search, fresh: search.argmin()), "argmin takes NaN"),
        (
            winner(lambda search, fresh: search[~search.isnan()].argmin()),
            "counts the rows of the other",
        ),
        (lambda search, fresh: (fresh.mean(), 0.0), "over all trials"),
        (winner(mean=lambda runs, own: runs.min()), "you report the best one"),
        (lambda search, fresh: (fresh.min(), 0.0), "chosen twice over"),
        (winner(mean=lambda runs, own: runs.median()), "fresh runs is off"),
        (winner(mean=lambda runs, own: torch.nan), "no trial of this search"),
        (winner(error=lambda runs: runs.std()), "the deviation says"),
        (
            winner(error=lambda runs: runs.std(correction=0) / len(runs) ** 0.5),
            "by n - 1",
        ),
        (winner(error=lambda runs: runs.std() / len(runs)), "not with n"),
        (
            lambda search, fresh: (
                winner()(search, fresh)[0],
                search.std() / fresh.shape[1] ** 0.5,
            ),
            "among the trials",
        ),
        (winner(error=lambda runs: runs.var()), "standard error is off"),
        (lambda search, fresh: fresh[0], "should be 2 things"),
        (lambda search, fresh: None, "`return`"),
    ],
}
