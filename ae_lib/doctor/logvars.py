"""Log-variances that overflow or underflow, now and within a few steps."""

import math

import torch

from . import sample as samples


def logvar(case):
    """Look for log-variances that overflow, now and after a few steps."""
    case.did("vae.logvar")
    limit = case.limits["vae.logvar"]
    values = case.out.logvar.detach().double()
    top = values.abs().max().item()
    low = values.min().item()
    after, finite = top, True
    program = case.program
    if (program.step or program.optimizer) and program.clock.left > 2:
        try:
            with program.trial(True):
                for at in range(10):
                    raw = case.sample.raw[at % len(case.sample.raw)]
                    value = program.run_step(samples.cut(raw, 64))
                    now = program.forward(case.source).logvar.detach().double()
                    after = max(after, now.abs().max().item())
                    finite = math.isfinite(value) and bool(torch.isfinite(now).all())
                    if not finite:
                        break
        except Exception:
            after, finite = top, True
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
