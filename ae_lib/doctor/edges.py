"""Losses that are not finite, or have no finite slope, for outputs in reach."""

import math

import torch


def outputs(case, value, goal):
    """Find a loss that is not finite for outputs the network can produce."""
    name, low, high = case.bounds
    width = (goal.max() - goal.min()).item() + 1e-3
    cut = name in ("Relu", "Clamp", "ClampMin", "Hardtanh")
    points = [goal - 3 * width if low == -math.inf else None]
    points += [goal + 3 * width if high == math.inf else None]
    points += [torch.full_like(goal, low) if cut and math.isfinite(low) else None]
    for x_hat in [p for p in points if p is not None]:
        try:
            with torch.no_grad():
                number = float(value(x_hat))
        except (RuntimeError, ValueError):
            return False  # reported where the present output raises
        if math.isnan(number) or (cut and math.isinf(number)):
            not_finite(case, goal, number, x_hat)
            return True
    return False


def slopes(case, value, goal):
    """Find a loss whose gradient is not finite where some values are exactly right."""
    name, low, _ = case.bounds
    meets = name in ("Relu", "Clamp", "ClampMin", "Hardtanh") and bool(
        (goal <= low).double().mean() > 0.01
    )
    if not meets:
        return False
    maker = torch.Generator().manual_seed(0)
    some = torch.rand(goal.shape, generator=maker).to(goal) < 0.5
    x = torch.where(some, goal, goal + 0.1).requires_grad_()
    number = value(x)
    if not number.requires_grad or not torch.isfinite(number):
        return False
    (grad,) = torch.autograd.grad(number, x, allow_unused=True)
    if grad is None or torch.isfinite(grad).all():
        return False
    case.find(
        "step.nonfinite",
        "error",
        {
            "statistic": "gradients that are not finite where the error is exactly 0",
            "value": int((~torch.isfinite(grad)).sum()),
            "threshold": 0,
            "where": "backward, the loss",
            "exactly right": int(some.sum()),
        },
        f"Not a large step: {name.lower()} can meet a target exactly, and there the "
        "loss has an infinite slope, as a root or a logarithm has at 0.",
        "add a floor inside the root: torch.sqrt(squared + 1e-8)",
        "The gradient is finite for an output that equals the target in places.",
    )
    return True


def not_finite(case, goal, now, x_hat):
    """Report a loss that makes NaN or infinity of finite outputs."""
    low, high = x_hat.min().item(), x_hat.max().item()
    case.find(
        "loss.domain",
        "error",
        {
            "statistic": "loss of finite outputs",
            "value": now,
            "threshold": "finite",
            "where": "loss(model_output, target)",
            "output range": [low, high],
            "target range": [goal.min().item(), goal.max().item()],
        },
        "Not the network: its outputs are finite, the loss makes NaN or Inf of them.",
        "loss = F.binary_cross_entropy(torch.sigmoid(x_hat), x)  # no log of a "
        "negative or of 0"
        if low < 0 or high > 1
        else "add a floor inside the logarithm: torch.log(x_hat.clamp(min=1e-7))",
        "The loss of the first batch is finite.",
    )
