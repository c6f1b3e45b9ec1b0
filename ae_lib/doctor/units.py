"""Units that never answer: in the code, in a layer, in the output."""

import math

import torch

from . import lines, trace
from .linear import pca_r2
from .sample import main_tensor
from .scales import ALL_ANEW


def silent_units(out):
    """Return, per unit or channel, how often it is active and if it is constant."""
    values = out.detach().double()
    if values.ndim > 2:
        values = values.transpose(0, 1).flatten(2).permute(1, 2, 0).flatten(0, 1)
        per_sample = out.detach().double().flatten(2).var(0, unbiased=False).mean(1)
    else:
        per_sample = values.var(0, unbiased=False)
    scale = out.detach().double().square().mean().item() + 1e-20
    active = (values.abs() > 1e-8).double().mean(0)
    return active, per_sample <= 1e-10 * scale


def dead_units(case, ops):
    """Find units in the code, a layer or the output that never answer."""
    case.did("signal.dead-units")
    limits, rows = case.limits, []
    code = case.code[0]
    inputs_vary = trace.variation(main_tensor(case.source).float()) > 1e-9
    for op in ops:
        passes = op.bends or op.kind == "where"  # as a threshold is written by hand
        if not inputs_vary or not (passes or (code and op.index == code.index)):
            continue
        if op.kind in ("dropout", "feature_dropout", "square", "pow"):
            continue
        if op.out.shape == case.out.x_hat.shape and op.index >= ops[-1].index - 3:
            continue
        if op.width < 2 or op.kind in ("abs", "sin"):
            continue
        active, constant = silent_units(op.out)
        dead = (active <= limits["dead.active"]) & constant
        share = dead.double().mean().item()
        if op.kind in trace.SQUASH or (op.kind in ("clamp", "clip") and share < 1):
            continue
        alive, needed = len(dead) - int(dead.sum()), code.out.shape[1] if code else 1
        if code and op.index == code.index:
            best = pca_r2(case.t, alive * op.width // len(dead)) if alive else 0.0
            enough = best is None or best >= limits["dead.needed"]
        else:
            enough = alive >= min(needed, len(dead) // 4)
        # the share of samples that no unit answers
        mute = (op.out.detach().flatten(1).abs() <= 1e-8).all(1).double().mean()
        if enough and share < 0.9 and mute < limits["dead.layer"]:
            continue
        rows.append((share, op, int(dead.sum()), len(dead)))
    worst = max(rows, key=lambda row: row[0], default=None)
    if worst and worst[0] >= limits["dead.layer"]:
        share, op, dead, count = worst
        if case.trained and case.r2_now > 0.5:
            return
        case.find(
            "signal.dead-units",
            "error",
            {
                "statistic": "share of units that are zero for every input",
                "value": share,
                "threshold": limits["dead.layer"],
                "where": str(op),
                "dead": dead,
                "units": count,
                **({"of the code": True} if code and op.index == code.index else {}),
            },
            "Not sparsity: a sparse unit is silent for most inputs, these are silent "
            f"for all {case.size} inputs that were tried, so no gradient wakes them.",
            _awake(case, op),
            "Every unit is active for at least 1 % of the samples.",
        )
        return
    _dead_output(case)


def _awake(case, op):
    """Return the line that lets units wake up: a slope below zero and a fresh start."""
    words = f"use nn.LeakyReLU(0.1) at {op.where or op}, a smaller step and a fresh "
    line = lines.activation(case, op, "nn.LeakyReLU(0.1)")
    return f"{line}; {ALL_ANEW}  # and a smaller step" if line else words + "start"


def _dead_output(case):
    """Find output values stuck at one level where the targets vary."""
    name, low, high = getattr(case, "bounds", ("", -math.inf, math.inf))
    if name not in ("Relu", "Clamp", "Hardtanh", "Hardsigmoid", "ClampMin"):
        return
    with case.program.trial(True), torch.no_grad():
        out = case.program.forward(case.source).x_hat.detach().double().flatten(1)
    stuck = ((out - low).abs() < 1e-9) | ((out - high).abs() < 1e-9)
    dead = stuck.all(0)
    variance = case.flat.double().var(0, unbiased=False)
    if variance.sum() < 1e-12 or dead.shape != variance.shape:
        return
    share = (variance[dead].sum() / variance.sum()).item()
    error = (out - case.flat.double()).square().mean(0)
    costly = (error[dead].sum() / error.sum().clamp(min=1e-12)).item()
    poor = case.trained and case.r2_now < 0.5 and costly > case.limits["dead.layer"]
    if share < case.limits["dead.output"] and not poor:
        return
    case.find(
        "signal.dead-units",
        "error",
        {
            "statistic": "share of the targets' variance at outputs that never move",
            "value": share,
            "threshold": case.limits["dead.output"],
            "share of the error": costly,
            "where": f"output ({name.lower()})",
            "dead": int(dead.sum()),
            "units": len(dead),
        },
        "Not dark pixels: the targets vary there, the outputs are cut off for every "
        "input and get no gradient.",
        _moving(case, name),
        "Every output value varies with the input.",
    )


def _moving(case, name):
    """Return the line that ends in an activation without a flat side."""
    inside = case.flat.min() >= 0 and case.flat.max() <= 1
    words = f"replace the final {name.lower()} by nn.Sigmoid(), or by no activation"
    return lines.ending(case, "nn.Sigmoid()" if inside else "nn.Identity()", words)
