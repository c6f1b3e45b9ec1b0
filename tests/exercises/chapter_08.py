import math

import torch


def number_by_number(variances, level, values):
    """Go through the numbers, and pay for those that stand out of the water."""
    bits = error = 0.0
    for v in variances.tolist():
        bits += 0.5 * math.log2(v / level) if v > level else 0.0
        error += min(v, level)
    return bits / 8, error / values


def all_at_once(v, level, values):
    return [
        (v / level).log2().clamp(min=0).sum() / 16,
        v.clamp(max=level).sum() / values,
    ]


def size(change):
    """Answer with other bytes."""
    return lambda v, d, n: (change(v, d), all_at_once(v, d, n)[1])


def error(change):
    """Answer with another error."""
    return lambda v, d, n: (all_at_once(v, d, n)[0], change(v, d, n))


def bits(v, level):
    return (v / level).log2().clamp(min=0).sum() / 2


def one_by_one(p, q):
    """Leave out what never occurs."""
    pairs = zip(p.tolist(), q.tolist(), strict=True)
    return sum(-a * math.log2(b) for a, b in pairs if a > 0)


def by_library(p, q):
    return -torch.special.xlogy(p, q).sum() / math.log(2)


def on_top(p, q):
    return torch.special.xlogy(p, p / q).sum() / math.log(2)


RIGHT = {
    "08.1": [number_by_number, all_at_once],
    "08.2": [one_by_one, by_library],
}
WRONG = {
    "08.1": [
        (lambda v, d, n: number_by_number(v, d, n)[::-1], "the other way round"),
        (size(bits), "a byte has 8"),
        (size(lambda v, d: bits(v, d) / 4), "the logarithm is halved: a variance"),
        (size(lambda v, d: bits(v, d) * 2), "is halved, and a byte"),
        (size(lambda v, d: bits(v, d) / 8 * math.log(2)), "base 2"),
        (size(lambda v, d: (v / d).log2().sum() / 16), "pays nothing back"),
        (size(lambda v, d: -bits(v, d) / 8), "divided by the level"),
        (size(lambda v, d: bits(v, d) / 8 / len(v)), "add the numbers up"),
        (size(lambda v, d: (1 + v / d).log2().sum() / 16), "without 1 +"),
        (size(lambda v, d: bits(v, d) / 8 + 1), "bytes of an image are off"),
        (size(lambda v, d: ((v / d).log2() * (v > d)).sum() / 16), "the bytes is NaN"),
        (error(lambda v, d, n: d * len(v) / n), "not by the level"),
        (error(lambda v, d, n: v[v <= d].sum() / n), "errs, too: by the level"),
        (error(lambda v, d, n: d * (v > d).sum() / n), "too: by its variance"),
        (error(lambda v, d, n: (v - d).clamp(min=0).sum() / n), "stands out of it"),
        (error(lambda v, d, n: v.sum() / n), "is kept, and errs by"),
        (error(lambda v, d, n: v.clamp(max=d).sum()), "a mean"),
        (error(lambda v, d, n: v.clamp(max=d).mean()), "not by its numbers"),
        (error(lambda v, d, n: 0.0), "the MSE is off"),
        (lambda v, d, n: bits(v, d) / 8, "2 things"),
        (lambda v, d, n: None, "`return`"),
    ],
    "08.2": [
        (lambda p, q: by_library(q, p), "the other way round"),
        (lambda p, q: by_library(p, p), "the least that p allows"),
        (on_top, "on top"),
        (lambda p, q: -torch.special.xlogy(p, q).sum(), "base 2"),
        (lambda p, q: -by_library(p, q), "a cost is positive"),
        (lambda p, q: by_library(p, q) / len(p), "average over the values"),
        (lambda p, q: by_library(q, q), "expect to pay"),
        (lambda p, q: by_library(p, q) + 1, "not the mean number of bits"),
        (lambda p, q: -(p * q.log2()).sum(), "NaN"),
        (lambda p, q: -(p * (q + 0.01).log2()).sum(), "not the mean"),
        (lambda p, q: -p * q.log2(), "one number"),
        (lambda p, q: None, "`return`"),
    ],
}
