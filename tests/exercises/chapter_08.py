import math

import torch


def step_by_step(variances, error, pixels):
    """Leave out one component after the other, from the end."""
    k, left = len(variances), 0.0
    while k > 0 and (left + variances[k - 1].item()) / pixels <= error:
        left += variances[k - 1].item()
        k -= 1
    return k


def by_search(variances, error, pixels):
    kept = torch.cat([torch.zeros(1), variances.cumsum(0)])
    return ((kept[-1] - kept) / pixels <= error).int().argmax()


def undivided(variances, error, pixels):
    return step_by_step(variances, error, 1)


def of_the_kept(variances, error, pixels):
    return int((variances.cumsum(0) / pixels <= error).sum()) + 1


def one_by_one(p, q):
    """Leave out what never occurs."""
    pairs = zip(p.tolist(), q.tolist(), strict=True)
    return sum(-a * math.log2(b) for a, b in pairs if a > 0)


def by_library(p, q):
    return -torch.special.xlogy(p, q).sum() / math.log(2)


def on_top(p, q):
    return torch.special.xlogy(p, p / q).sum() / math.log(2)


RIGHT = {"08.1": [step_by_step, by_search], "08.2": [one_by_one, by_library]}
WRONG = {
    "08.1": [
        (undivided, "divide by the pixels"),
        (lambda v, e, p: step_by_step(v, e, p) + 1, "one component less will do"),
        (lambda v, e, p: step_by_step(v, e, p) - 1, "one more"),
        (of_the_kept, "what is kept is no error"),
        (lambda v, e, p: len(v), "smallest that will do"),
        (lambda v, e, p: v, "one number"),
        (lambda v, e, p: None, "`return`"),
        (lambda v, e, p: 1.5, "expected a whole number"),
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
