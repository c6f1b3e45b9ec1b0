import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader


def by_groups(net, optimizer, x):
    """Compare with the weights that the optimizer holds, then take one step."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    used = [p for layer in (*net.encoder, *net.layers) for p in layer.parameters()]
    if any(id(p) not in held for p in used):
        return "wiring.unoptimised"
    old = torch.cat([p.detach().flatten() for p in used])
    (net(x) - x).square().mean().backward()
    optimizer.step()
    new = torch.cat([p.detach().flatten() for p in used])
    far = (new - old).norm() / old.norm()
    return "step.too-large" if far > 1 else "step.too-small" if far < 1e-3 else "none"


def look(parts="used", close=False, rate_first=False, large=1.0):
    """Return a verdict that looks at some of the weights only."""

    def verdict(net, optimizer, x):
        used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
        weights = list(net.parameters()) if parts == "registered" else used
        before = [p.detach().clone() for p in weights]
        F.mse_loss(net(x), x).backward()
        optimizer.step()
        both = list(zip(weights, before, strict=True))
        limit = 1e-5 if close else 0
        still = any((p - a).abs().max() <= limit for p, a in both)
        moved = torch.stack([(p - a).norm() / a.norm() for p, a in both]).median()
        if rate_first and moved > large:
            return "step.too-large"
        if rate_first and moved < 1e-4:
            return "step.too-small"
        if still:
            return "wiring.unoptimised"
        if moved > large:
            return "step.too-large"
        return "step.too-small" if moved < 1e-4 else "none"

    return verdict


def from_the_loss(net, optimizer, x):
    first = F.mse_loss(net(x), x)
    first.backward()
    optimizer.step()
    return "none" if F.mse_loss(net(x), x) < first else "step.too-large"


def by_permutation(x, size):
    """Mix once for both, and cut."""
    for rows in torch.randperm(len(x)).split(size):
        yield x[rows], x[rows].clone()


def in_order(x, size):
    for batch in x.split(size):
        yield batch, batch


def once_mixed(x, size):
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    for rows in order.split(size):
        yield x[rows], x[rows]


def reversed_targets(x, size):
    for batch in DataLoader(x, size, shuffle=True):
        yield batch, batch.flip(0)


def first_batch_only(x, size):
    for _ in range(len(x) // size):
        yield x[:size], x[:size]


def correlation(pairs):
    """Say how much input and target have in common, about the mean image."""
    a, b = (torch.cat([pair[i] for pair in pairs]) for i in (0, 1))
    a, b = (t - t.mean(0) for t in (a, b))
    return (a * b).sum() / (a.norm() * b.norm())


def are_equal(pairs):
    return float(all(torch.equal(a, b) for a, b in pairs))


def batches(pairs):
    return len(pairs)


def answer(cause="data.target", measure=correlation, repair=by_permutation):
    """Return a Diagnosis with these parts."""

    class Diagnosis:
        def cause(self):
            return cause

        def measure(self, pairs):
            return measure(pairs)

        def repair(self, x, size):
            return repair(x, size)

    return Diagnosis


RIGHT = {"13.1": [by_groups, look()], "13.2": [answer()]}
WRONG = {
    "13.1": [
        (look("registered"), "program 3 of 8: not none"),
        (look(close=True), "program 2 of 8: not wiring.unoptimised. Here every"),
        (look(rate_first=True), "the optimizer does not have them"),
        (look(large=100.0), "throws away what was drawn"),
        (look(large=1e-3), "program 1 of 8: not step.too-large"),
        (from_the_loss, "program 2 of 8: not none"),
        (lambda net, optimizer, x: "rate", "answer with one of"),
        (lambda net, optimizer, x: None, "answer with one of"),
    ],
    "13.2": [
        (answer("step.too-small"), "at 4 times the rate R² is"),
        (answer("step.too-large"), "at 0.25 times the rate R² is"),
        (answer("loss.domain"), "Ask what it is compared with"),
        (answer("code.too-small"), "PCA with as many numbers"),
        (answer("data.order"), "stands beside each image"),
        (answer("wiring.unoptimised"), "100% of the weights in use move"),
        (answer("fit.undertrained"), "What would a perfect copy score"),
        (answer("fit.mean-image"), "the symptom"),
        (answer("targets"), "none of the doctor's words"),
        (answer(measure=are_equal), "for a denoiser"),
        (answer(measure=batches), "for a healthy epoch"),
        (answer(repair=in_order), "no longer a new one"),
        (answer(repair=once_mixed), "no longer a new one"),
        (answer(repair=reversed_targets), "beside another image"),
        (answer(repair=first_batch_only), "some images never come"),
        (answer(repair=lambda x, size: [x]), "a batch should be 2 things"),
        (answer(repair=lambda x, size: []), "no batches"),
    ],
}
