import torch


def share(scores, limit):
    return (scores > limit).double().mean()


def sorted_errors(validation, test, odd, promise):
    """Sort, and count down from the largest."""
    k = round(promise * len(validation))
    limit = validation.sort(descending=True).values[k].item()
    return limit, (test > limit).sum().item() / len(test), share(odd, limit).item()


def by_library(validation, test, odd, promise):
    from ae_lib.anomaly import threshold_at

    limit = threshold_at(validation, promise)
    return [limit, share(test, limit), share(odd, limit)]


def at(limit=None, alarms=None, found=None):
    """Return an answer with these parts."""

    def detect(validation, test, odd, promise):
        t = validation.quantile(1 - promise)
        t = limit(validation, test, odd, promise) if limit else t
        seen = share(test, t) if alarms is None else alarms(validation, test, odd, t)
        hit = share(odd, t) if found is None else found(validation, test, odd, t)
        return t, seen, hit

    return detect


def quantile_of(*which, low=False):
    def limit(validation, test, odd, promise):
        sets = {"validation": validation, "test": test, "odd": odd}
        scores = torch.cat([sets[name] for name in which])
        return scores.quantile(promise if low else 1 - promise)

    return at(limit)


def true_alarms(validation, test, odd, limit):
    hits = (odd > limit).sum()
    return hits / (hits + (test > limit).sum())


def best_split(validation, test, odd, promise):
    limits = test.sort().values
    return max(limits, key=lambda t: share(odd, t) - share(test, t))


def sigmas(k):
    return at(lambda v, t, o, p: v.mean() + k * v.std())


def by_search(normal, odd):
    """Look each odd score up among the sorted normal ones."""
    order = normal.sort().values
    below = torch.searchsorted(order, odd)
    upto = torch.searchsorted(order, odd, right=True)
    return ((below + upto).sum() / 2 / len(normal) / len(odd)).item()


def by_scipy(normal, odd):
    from scipy.stats import mannwhitneyu

    return mannwhitneyu(odd, normal).statistic / (len(odd) * len(normal))


def by_sorting(ties, off=True, first=1, mirrored=False, over=True):
    """Return an answer from the ranks of a sort, with ties in this order."""

    def auroc(normal, odd):
        n, m = len(normal), len(odd)
        parts = [normal, odd] if ties == "won" else [odd, normal]
        ranks = torch.cat(parts).argsort(stable=True).argsort().double() + first
        mine = ranks[n:] if ties == "won" else ranks[:m]
        total = mine.sum() - (m * (m + 1) / 2 if off else 0)
        area = total / (n * m if over else 1)
        return 1 - area if mirrored else area

    return auroc


def by_table(normal, odd):
    above = (odd[:, None] > normal).double()
    return (above + 0.5 * (odd[:, None] == normal)).mean()


def by_expanding(normal, odd):
    x = normal.expand(len(odd), -1)
    return ((odd.view(-1, 1) - x).sign() + 1).mean() / 2


RIGHT = {
    "16.1": [sorted_errors, by_library, at()],
    "16.2": [by_search, by_scipy],
}
WRONG = {
    "16.1": [
        (quantile_of("test"), "your threshold was chosen on the test images"),
        (quantile_of("validation", "test"), "test images together"),
        (quantile_of("odd"), "on the odd images"),
        (quantile_of("odd", low=True), "on the odd images"),
        (quantile_of("validation", low=True), "nearly every normal image"),
        (at(lambda v, t, o, p: v.max()), "no validation image"),
        (sigmas(2), "mean plus 2 deviations"),
        (sigmas(1.6449), "mean plus 1.645 deviations"),
        (sigmas(1), "with a threshold of"),
        (at(best_split), "on the images of the verdict"),
        (at(lambda v, t, o, p: v.quantile(0.95)), "where 20% were promised"),
        (at(alarms=lambda v, t, o, x: share(v, x)), "on the validation images"),
        (at(alarms=lambda v, t, o, x: 1 - share(t, x)), "raise no alarm"),
        (at(alarms=lambda v, t, o, x: 100 * share(t, x)), "not per cent"),
        (at(alarms=lambda v, t, o, x: (t > x).sum()), "not a number of images"),
        (at(alarms=lambda v, t, o, x: share(o, x)), "it comes third"),
        (at(alarms=lambda *a: 1 - true_alarms(*a)), "alarms that are false"),
        (at(alarms=lambda v, t, o, x: 0.5), "test images above your threshold"),
        (at(found=lambda v, t, o, x: 1 - share(o, x)), "odd images that are missed"),
        (at(found=lambda v, t, o, x: 100 * share(o, x)), "too, not per cent"),
        (at(found=lambda v, t, o, x: (o > x).sum()), "a share of the odd images"),
        (at(found=true_alarms), "alarms that are true"),
        (at(found=lambda v, t, o, x: 0.99), "odd images above your threshold"),
        (lambda v, t, o, p: v.quantile(1 - p), "should be 3 things"),
        (lambda v, t, o, p: None, "`return`"),
    ],
    "16.2": [
        (by_sorting("lost"), "yours count nothing"),
        (by_sorting("won"), "yours count as won"),
        (by_sorting("won", mirrored=True), "upside down"),
        (by_sorting("won", off=False), "odd images outrank odd images too"),
        (by_sorting("won", first=0), "ranks begin at 1"),
        (by_sorting("won", over=False), "the number of pairs"),
        (lambda a, b: 2 * by_search(a, b) - 1, "0 for a coin"),
        (lambda a, b: (a < b.mean()).double().mean(), "below the mean"),
        (lambda a, b: by_search(a, b) ** 2, "the AUROC is off"),
        (
            lambda a, b: by_search(a, b) if len(a.unique()) > 1 else 1.0,
            "yours count as won",
        ),
        (
            lambda a, b: by_search(a, b) if len(a.unique()) > 1 else 0.7,
            "tells nothing",
        ),
        (by_table, "a table of all pairs"),
        (by_expanding, "a table of all pairs"),
        (lambda a, b: a, "one number"),
        (lambda a, b: None, "`return`"),
    ],
}
