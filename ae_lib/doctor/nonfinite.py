"""Where the first NaN or infinity comes from."""

import math

import torch

from . import arms, trace
from . import sample as samples


def rate(case):
    """Return the largest learning rate in use, or None."""
    rates = [float(g["lr"]) for o in case.program.optimizers for g in o.param_groups]
    return max(rates, default=None)


def one_pass(program, batch):
    """Return (output, loss) of a pass forward and back, for within a trial.

    The loss is NaN where a gradient is not finite. Raises what the program raises.
    """
    source, goal = program.pair(batch)
    out = program.forward(source)
    loss = program.loss_of(out.raw, goal)
    if loss.requires_grad:
        loss.backward()
    grads = [p.grad for p in program.model.parameters() if p.grad is not None]
    finite = all(torch.isfinite(g).all() for g in grads)
    return out, float(loss) if finite else float("nan")


def smallest(case):
    """Report a batch that is too small for the model or the loss."""
    program, batch = case.program, case.sample.smallest
    size = len(samples.main_tensor(batch))
    if size >= min(4, case.size) or len(case.sample.sizes) < 2:
        return
    value, text = float("nan"), ""
    try:
        with program.trial(True):
            _, value = one_pass(program, batch)
    except Exception as problem:
        text = f"{type(problem).__name__}: {problem}"
    if math.isfinite(value):
        return
    case.find(
        "step.nonfinite",
        "error",
        {
            "statistic": "loss and gradients of the smallest batch",
            "value": text[:160] or value,
            "threshold": "finite",
            "where": f"a batch of {size}, forward in training mode",
        },
        "Not the data and not the step size: larger batches of the same data are "
        "finite; a statistic over the batch does not exist for so few samples.",
        "loader = DataLoader(data, batch_size=..., shuffle=True, drop_last=True)"
        "  # or add 1e-5 to the variance, and use unbiased=False",
        "The loss is finite for the last, smallest batch.",
    )


def each_batch(case):
    """Report a batch that gives NaN or infinity while the weights are as they came.

    A few samples, all zero or all alike, can do that where a model divides by what it
    measures in each of them.
    """
    program, bad, tried = case.program, [], 0
    if case.has("step.nonfinite") or case.loss_trouble is not None:
        return
    stop = program.clock.spent + 0.1 * program.clock.left
    for batch in case.sample.raw:
        with program.trial(True):
            try:
                _, value = one_pass(program, batch)
            except Exception:
                return  # what raises is told elsewhere
        tried += 1
        if not math.isfinite(value):
            bad.append(batch)
        if program.clock.spent > stop:
            break
    if not bad or len(bad) == tried:
        return
    case.find(
        "step.nonfinite",
        "error",
        {
            "statistic": "batches with a loss or gradients that are not finite",
            "value": f"{len(bad)} of {tried}",
            "threshold": 0,
            **_where(case, bad[0]),
        },
        "Not the step size: no step was taken. Not the data: they are finite, and with "
        "the same weights other batches are fine.",
        "keep the value finite there: a floor in a division, a logarithm or a root, "
        "as in x / (x.std() + 1e-5)",
        "Loss and gradients are finite for every batch of an epoch.",
    )


def _where(case, batch):
    """Return which op fails first in a batch, and for which of its samples."""
    program = case.program
    with program.trial(True), torch.no_grad():
        source, _ = program.pair(batch)
        size = len(samples.main_tensor(source))
        _, ops = trace.follow(program, source, size)
    op = next((o for o in ops if not torch.isfinite(o.out).all()), None)
    if op is None:
        return {"where": "the loss, or backward"}
    found = {"where": f"forward, {op}"}
    if len(op.out) == size:
        rows = ~torch.isfinite(op.out).flatten(1).all(1)
        found["samples"] = rows.nonzero().flatten().tolist()[:5]
    return found


def nonfinite(case, arm, severe):
    """Report the step at which an arm's loss stopped being finite."""
    at = len(arm.losses)
    case.find(
        "step.nonfinite",
        "error",
        {
            "statistic": "step at which the loss stops being finite",
            "value": at,
            "threshold": "none",
            "where": first_nonfinite(case, at),
            "last losses": [float(f"{v:.4g}") for v in arm.losses[-4:]],
        },
        "Not the data: they are finite."
        + (
            " A smaller step does not help." if severe else " A smaller step avoids it."
        ),
        "torch.autograd.set_detect_anomaly(True)  # then mend the named operation"
        if severe
        else f"lower the learning rate from {rate(case):g}; clip with "
        "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        "Loss and gradients stay finite for a whole epoch.",
    )


def first_nonfinite(case, steps):
    """Name the layer and the direction in which NaN or Inf first appears."""
    program, batch = case.program, arms.few(case)
    with program.trial(True):
        for _ in range(max(0, steps - 1)):
            try:
                program.run_step(batch)
            except Exception:
                break
        for name, p in program.model.named_parameters():
            if p.grad is not None and not torch.isfinite(p.grad).all():
                return f"backward, {name}"
        source, _ = program.pair(batch)
        try:
            _, ops = trace.follow(program, source, arms.COUNT)
        except Exception:
            return "forward"
        for op in ops:
            if not torch.isfinite(op.out).all():
                return f"forward, {op}"
    return "the loss"


def broken_now(case):
    """Report a forward pass that is already NaN or Inf on finite data."""
    case.did("step.nonfinite")
    if case.has("data.nonfinite"):
        return True
    broken = [n for n, p in case.program.model.named_parameters()
              if not torch.isfinite(p).all()]  # fmt: skip
    bad = next((o for o in case.ops if not torch.isfinite(o.out).all()), None)
    if not broken and bad is None:
        return False
    losses = next((v for k, v in case.history.items() if "loss" in k), [])
    first = next((i for i, v in enumerate(losses) if not math.isfinite(v)), None)
    case.find(
        "step.nonfinite",
        "error",
        {
            "statistic": "parameters with NaN or Inf",
            "value": len(broken),
            "threshold": 0,
            "where": f"forward, {bad}" if bad else broken[0],
            "first epoch": "not recorded" if first is None else first + 1,
        },
        "Not the data: they are finite."
        + (
            " The weights themselves are broken."
            if broken
            else " The weights are, too."
        ),
        "start again from new weights with a tenth of the learning rate "
        "and nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
        if broken
        else f"keep the values finite in {bad}: a floor in a division or logarithm, a "
        "ceiling before exp",
        "Every parameter and the loss stay finite for a whole epoch.",
    )
    return True
