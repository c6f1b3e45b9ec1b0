import copy

import torch


def by_clones(network, start):
    """Keep clones, draw, compare, and put all back."""
    kept = {name: p.detach().clone() for name, p in network.named_parameters()}
    state = copy.deepcopy(network.state_dict())
    start(network)
    names = {n for n, p in network.named_parameters() if torch.equal(p, kept[n])}
    network.load_state_dict(state)
    return names


def drawn(network, start):
    return [n for n, _ in network.named_parameters() if n not in by(network, start)]


def by(network, start):
    """Draw on a copy, and compare."""
    other = copy.deepcopy(network)
    start(other)
    pairs = zip(network.named_parameters(), other.parameters(), strict=True)
    return [name for (name, p), q in pairs if torch.equal(p, q)]


def on_itself(network, start):
    other = copy.deepcopy(network)
    start(network)
    pairs = zip(network.named_parameters(), other.parameters(), strict=True)
    return [name for (name, p), q in pairs if torch.equal(p, q)]


def aliased(network, start):
    other = copy.deepcopy(network)
    before = other.state_dict()
    start(other)
    return [n for n, p in other.named_parameters() if torch.equal(p, before[n])]


def with_buffers(network, start):
    other = copy.deepcopy(network)
    start(other)
    a, b = network.state_dict(), other.state_dict()
    return [name for name in a if torch.equal(a[name], b[name])]


def layers(network, start):
    return {name.rpartition(".")[0] for name in by(network, start)}


def weights_only(network, start):
    return [name for name in by(network, start) if name.endswith("weight")]


def one_less(network, start):
    return by(network, start)[1:]


def by_kind(network, start):
    wrong = by(network, start)
    return [*wrong, "0.weight"]


def from_the_end(error, variances, values):
    """Leave out one component after the other, from the smallest."""
    total, k = 0.0, len(variances)
    while k and (total + variances[k - 1].item()) / values <= error * 1.000001:
        total += variances[k - 1].item()
        k -= 1
    return k


def in_a_loop(error, variances, values):
    for k in range(len(variances) + 1):
        if variances[k:].sum() / values <= error:
            return torch.tensor(k)


def summed(error, variances, values):
    return from_the_end(error, variances, 1)


def as_share(error, variances, values):
    return from_the_end(error, variances / variances.sum(), 1)


def kept(error, variances, values):
    return int((variances.cumsum(0) / values < error).sum()) + 1


def single(error, variances, values):
    return int((variances / values > error).sum())


def never_none(error, variances, values):
    return max(1, from_the_end(error, variances, values))


RIGHT = {"07.1": [by_clones, by], "07.2": [from_the_end, in_a_loop]}
WRONG = {
    "07.1": [
        (drawn, "does draw"),
        (on_itself, "copy.deepcopy"),
        (aliased, "compare with a clone"),
        (with_buffers, "is a buffer"),
        (layers, "these are layers"),
        (weights_only, "biases count"),
        (one_less, "you do not name it"),
        (by_kind, "is drawn anew"),
        (lambda network, start: ["decoder"], "is no parameter"),
        (lambda network, start: len(by(network, start)), "a list of names"),
        (lambda network, start: None, "is a `return` missing?"),
    ],
    "07.2": [
        (lambda e, v, n: from_the_end(e, v, n) + 1, "one too many"),
        (lambda e, v, n: from_the_end(e, v, n) - 1, "one too few"),
        (summed, "the MSE is their mean"),
        (as_share, "a share of the variance"),
        (kept, "what is left out"),
        (single, "all that are left out"),
        (never_none, "no component is needed"),
        (lambda e, v, n: min(3, from_the_end(e, v, n)), "not the smallest"),
        (lambda e, v, n: v.sum() / n, "is whole"),
    ],
}
