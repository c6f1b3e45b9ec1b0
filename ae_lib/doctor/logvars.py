"""Log-variances that overflow or underflow, now and within a few steps."""

import math

import torch

from . import sample as samples
from .arms import scale_rate


def logvar(case):
    """Look for log-variances that overflow, now and after a few steps."""
    case.did("vae.logvar")
    limit = case.limits["vae.logvar"]
    values = case.out.logvar.detach().double()
    top = _size(values)
    low = values.min().item()
    program = case.program
    after, finite = _in_ten_steps(case, top)
    if top < limit and (not finite or after >= 4 * limit):
        slow, sound = _in_ten_steps(case, top, 0.03)
        if sound and slow < limit and program.optimizers:
            _too_large(case, top, after, finite)
            return
    case.measured["largest |logvar|"] = [top, after]
    kind = None
    with program.trial(True):
        node = program.forward(case.source).logvar.grad_fn
    if node is not None and type(node).__name__.startswith("Relu"):
        kind = "relu"
    weighted = program.loss is not None and math.isfinite(
        getattr(case, "loss_now", 0.0)
    )
    if top < limit and finite and kind is None and (after < 4 * limit or not weighted):
        return
    case.find(
        "vae.logvar",
        "error",
        {
            "statistic": "largest |logvar|, now and within ten steps",
            "value": [top, after],
            "threshold": limit,
            "where": "logvar" + (" (after a relu)" if kind else ""),
            "smallest": low,
            "finite": finite,
        },
        "Not a large learning rate alone: exp(logvar) is what overflows first."
        if kind is None
        else "Not noise in the data: a relu keeps every variance at 1 or more.",
        "logvar = logvar.clamp(-10, 10)  # and check the scale of the data"
        if kind is None
        else "make logvar the output of a plain nn.Linear, without activation",
        "|logvar| stays below 10 in the first hundred steps.",
    )


def _size(values):
    """Return the largest log-variance; a negative one counts a third.

    A variance of e⁻²¹ is a sharp code, one of e²¹ drowns everything.
    """
    return torch.maximum(values, -values / 3).max().item()


def _in_ten_steps(case, top, factor=1.0):
    """Return (largest |logvar|, whether all stays finite) over ten of the user's steps.

    `factor` scales the learning rate.
    """
    program, after = case.program, top
    if not (program.step or program.optimizer) or program.clock.left < 2:
        return top, True
    try:
        with program.trial(True):
            scale_rate(program, factor)
            for at in range(10):
                raw = case.sample.raw[at % len(case.sample.raw)]
                value = program.run_step(samples.cut(raw, 64))
                now = program.forward(case.source).logvar.detach().double()
                after = max(after, _size(now))
                if not (math.isfinite(value) and bool(torch.isfinite(now).all())):
                    return after, False
    except Exception:
        return top, True
    return after, True


def _too_large(case, top, after, finite):
    """Report a step that throws a sound log-variance out of range."""
    if case.has("step.too-large"):
        return
    lr = max(float(g["lr"]) for o in case.program.optimizers for g in o.param_groups)
    case.find(
        "step.too-large",
        "error",
        {
            "statistic": "largest |logvar|, now and within ten steps",
            "value": [top, after],
            "threshold": case.limits["vae.logvar"],
            "where": f"logvar, lr={lr:g}",
            "finite": finite,
        },
        "Not the encoder's start: with a thirtieth of the learning rate the "
        "log-variance stays where it is.",
        f"optimizer = torch.optim.{type(case.program.optimizers[0]).__name__}"
        f"(model.parameters(), lr={lr / 100:.1g})  # now {lr:g}",
        "|logvar| stays below 10 in the first hundred steps.",
    )
