import math

import torch


class _Round(torch.autograd.Function):
    """Round, and hand the gradient on as it comes."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


def column_by_column(z, levels):
    """One number of the code after the other, with a rounding of its own gradient."""
    codes, token, place = [], torch.zeros(len(z), dtype=torch.long), 1
    for column, level in zip(z.T, levels, strict=True):
        code = _Round.apply(column.tanh() * (level // 2))
        codes.append(code)
        token = token + (code.detach().long() + level // 2) * place
        place *= level
    return torch.stack(codes, dim=1), token


def fsq(z, levels, *, squash=torch.tanh, stretch=True, through=True, way=1, base=None):
    """Return codes and tokens with one of several mistakes."""
    half = (torch.tensor(levels) - 1) / 2
    smooth = half * squash(z) if stretch else squash(z)
    hard = smooth.round()
    codes = smooth + (hard - smooth).detach() if through else hard
    places = [math.prod(levels[:d]) for d in range(len(levels))]
    if way == -1:
        places = [math.prod(levels[d + 1 :]) for d in range(len(levels))]
    return codes, ((hard + half) * torch.tensor(places)).sum(1).long()


def unrounded(z, levels):
    half = (torch.tensor(levels) - 1) / 2
    return half * z.tanh(), fsq(z, levels)[1]


def stretched_late(z, levels):
    half = (torch.tensor(levels) - 1) / 2
    codes = half * z.tanh().round()
    return codes, ((codes + half) * 1).sum(1).long()


def around_tanh(z, levels):
    """Pass the gradient as if nothing had been squashed."""
    codes, tokens = fsq(z, levels)
    return z + (codes - z).detach(), tokens


def detached(z, levels):
    codes, tokens = fsq(z, levels)
    return codes.detach(), tokens


def without_offset(z, levels):
    codes, _ = fsq(z, levels)
    places = [math.prod(levels[:d]) for d in range(len(levels))]
    return codes, (codes.detach() * torch.tensor(places)).sum(1)


def digits_added(z, levels):
    codes, _ = fsq(z, levels)
    return codes, (codes.detach() + (torch.tensor(levels) - 1) / 2).sum(1)


def pair_by_pair(train, test, k):
    """Count with a dictionary, in a loop."""
    count = {}
    for row in train.flatten(0, 1).tolist():
        for a, b in zip(row, row[1:], strict=False):
            count[a, b] = count.get((a, b), 0) + 1
    spent, n = 0.0, 0
    for row in test.flatten(0, 1).tolist():
        for a, b in zip(row, row[1:], strict=False):
            whole = sum(count.get((a, c), 0) + 0.1 for c in range(k))
            spent -= math.log2((count.get((a, b), 0) + 0.1) / whole)
            n += 1
    return spent / n


def table(
    train, test, k, *, turn=False, dim=1, extra=0.1, log=torch.log2, wrap=False, on=None
):
    """Return the bits with one of several mistakes."""

    def pairs(t):
        t = t.mT if turn else t
        t = t.flatten(1)[:, None] if wrap else t
        return (t[:, :, :-1] * k + t[:, :, 1:]).flatten()

    count = pairs(train if on != "test" else test).bincount(minlength=k * k)
    count = count.view(k, k) + extra
    share = count / (count.sum() if dim is None else count.sum(dim, keepdim=True))
    return -log(share).flatten()[pairs(train if on == "train" else test)].mean()


def unigram(train, test, k):
    count = train.flatten().bincount(minlength=k) + 0.1
    return -(count / count.sum()).log2()[test[:, :, 1:]].mean()


def wrong(**mistake):
    return lambda train, test, k: table(train, test, k, **mistake)


RIGHT = {"19.1": [column_by_column, fsq], "19.2": [pair_by_pair, table]}
WRONG = {
    "19.1": [
        (unrounded, "not rounded"),
        (lambda z, n: fsq(z, n, squash=lambda v: v, stretch=False), "not squashed"),
        (lambda z, n: fsq(z, n, stretch=False), "three levels each"),
        (stretched_late, "stretched after rounding"),
        (lambda z, n: fsq(z, n, through=False), "rounding has none of its own"),
        (detached, "no gradient"),
        (around_tanh, "skips tanh"),
        (lambda z, n: fsq(z, n, way=-1), "begin with the first"),
        (without_offset, "add h first"),
        (digits_added, "the same token"),
        (lambda z, n: fsq(z, n)[0], "2 things"),
        (lambda z, n: None, "`return`"),
    ],
    "19.2": [
        (wrong(dim=None), "pay for the pair"),
        (wrong(dim=0), "the left word from the right one"),
        (wrong(log=torch.log), "base 2"),
        (wrong(on="train"), "score the training tokens"),
        (wrong(on="test"), "counted on the test tokens"),
        (wrong(turn=True), "you look up"),
        (wrong(wrap=True), "the end of the row above"),
        (wrong(extra=1.0), "not 0.1"),
        (lambda a, b, k: table(a, b, k) * b[:, :, 1:].numel(), "you add up"),
        (lambda a, b, k: table(a, b, k) * (1 - 1 / b.shape[2]), "over the others"),
        (unigram, "not used"),
        (lambda a, b, k: -table(a, b, k), "bits are positive"),
        (lambda a, b, k: 1 + table(a, b, k), "not the mean"),
        (lambda a, b, k: table(a, b, k, extra=0.0), "expected"),
        (lambda a, b, k: None, "`return`"),
    ],
}
