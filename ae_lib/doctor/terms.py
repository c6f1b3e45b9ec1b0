"""The further terms of a loss: what a perfect output costs with the code changed."""

import torch

from . import sample as samples
from . import trace


def goal(case):
    """Return the perfect output, in logits where the loss takes them."""
    x = case.target.detach().reshape(case.out.x_hat.shape).to(case.out.x_hat)
    if isinstance(case.program.link, tuple):
        return x.clamp(min=1e-4).log()
    if case.program.link == "logit":
        return torch.logit(x.clamp(1e-4, 1 - 1e-4))
    if case.bounds[0] == "Sigmoid":
        return x.clamp(1e-4, 1 - 1e-4)
    return x


def value(case, x_hat, op, change, times=1):
    """Return the loss of `x_hat` with the code changed, the batch given `times`."""
    program, pair = case.program, case.pair
    if times > 1:
        pair = program.pair(samples.repeat(case.batch, times))
        x_hat = torch.cat([x_hat] * times)
    change = {op.index: change}
    out, _ = trace.follow(program, pair[0], times * case.size, change)
    return program.loss_of(program.replaced(out.raw, x_hat=x_hat), pair[1])


def growth(case, op):
    """Return by how much error and penalty grow when the batch is given twice."""
    perfect, rows = goal(case), []
    mean = perfect.mean(0, keepdim=True).expand_as(perfect).contiguous()
    with case.program.trial(True), torch.no_grad():
        for times in (1, 2):
            kept, empty, error = (
                float(value(case, x_hat, op, change, times))
                for x_hat, change in (
                    (perfect, lambda z: z),
                    (perfect, torch.zeros_like),
                    (mean, lambda z: z),
                )
            )
            rows.append((error - kept, kept - empty))
    return [abs(b / a) if a else 1.0 for a, b in zip(*rows, strict=True)]


def pulls(case, op):
    """Return the gradient norms at the code of the penalty and the reconstruction."""
    program, held, found = case.program, {}, {}

    def keep(z):
        held["z"] = z.detach().requires_grad_()
        return held["z"] * 1.0

    for name in ("penalty", "all"):
        with program.trial(True):
            if name == "penalty":
                loss = value(case, goal(case), op, keep)
            else:
                out, _ = trace.follow(program, case.source, case.size, {op.index: keep})
                loss = program.loss_of(out.raw, case.pair[1])
            grad = None
            if loss.requires_grad:
                (grad,) = torch.autograd.grad(loss, held["z"], allow_unused=True)
            found[name] = torch.zeros_like(held["z"]) if grad is None else grad
    rest = (found["all"] - found["penalty"]).double().norm().item()
    return {"penalty": found["penalty"].double().norm().item(), "reconstruction": rest}


def pulls_on_weights(case):
    """Return the gradient norms at the weights of the penalty and the reconstruction.

    Over the weights that the penalty reaches; what an activation before the code takes
    away, as a softmax does from a sum of its values, is missing here.
    """
    program, params = case.program, case.trainable
    with program.trial(True):
        out = program.forward(case.source)
        whole = program.loss_of(out.raw, case.pair[1])
        raw = program.replaced(out.raw, x_hat=goal(case))
        alone = program.loss_of(raw, case.pair[1])
        grads = []
        for loss in (alone, whole):
            found = [None] * len(params)
            if loss.requires_grad:
                found = torch.autograd.grad(
                    loss, params, retain_graph=True, allow_unused=True
                )
            grads.append(found)
    pairs = [(p, w) for p, w in zip(*grads, strict=True) if p is not None]
    own = sum(p.double().square().sum().item() for p, _ in pairs)
    rest = sum(
        ((0 if w is None else w.double()) - p.double()).square().sum().item()
        for p, w in pairs
    )
    return {"penalty": own**0.5, "reconstruction": rest**0.5}
