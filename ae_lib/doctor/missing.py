"""Values in the data that are not finite."""

import math

import torch

from .nonfinite import one_pass
from .sample import tensors_in


def check(case):
    """Look for NaN and Inf in inputs and targets."""
    case.did("data.nonfinite")
    bad = list(case.sample.bad)
    if case.evaluated is not None:
        bad += [{**b, "in": f"eval {b['in']}"} for b in case.evaluated.bad]
    if bad:
        case.find(
            "data.nonfinite",
            "info" if _left_out(case) else "error",
            {
                "statistic": "NaN or Inf values in the data",
                "value": sum(b["values"] for b in bad),
                "threshold": 0,
                "where": f"{bad[0]['in']}, batch {bad[0]['batch']}",
                "batches": len(bad),
            },
            "Not a diverging step: the values are there before the model sees them.",
            _finite(case) + "  # better: drop or repair the samples at the source",
            "torch.isfinite(x).all() is True for every batch, and the loss stays "
            "finite.",
        )


def _left_out(case):
    """Tell whether model and loss leave out what is not finite, as gaps in a series.

    Then output, loss and gradients are finite for the batches that hold it.
    """
    program, tried = case.program, 0
    if case.evaluated is not None and case.evaluated.bad:
        return False
    for batch in case.sample.raw:
        if all(torch.isfinite(t).all() for t in tensors_in(batch)):
            continue
        tried += 1
        with program.trial(True):
            try:
                out, value = one_pass(program, batch)
            except Exception:
                return False
            if not (math.isfinite(value) and torch.isfinite(out.x_hat).all()):
                return False
    return tried > 0


def _finite(case):
    """Return the line that puts finite values in the place of NaN and infinities.

    Within the range of the others: the largest float, torch's choice for an infinity,
    would do as much harm.
    """
    values = torch.cat([case.sample.x.flatten(), case.sample.t.flatten()])
    values = values[torch.isfinite(values)]
    if not len(values):
        return "x = torch.nan_to_num(x, 0.0, 0.0, 0.0)"
    mean, low, high = (v.item() for v in (values.mean(), values.min(), values.max()))
    return f"x = torch.nan_to_num(x, {mean:.4g}, {high:.4g}, {low:.4g})"
