"""Static checks of what the training loop consumes."""

import torch

from . import layout, missing, order, pairs
from .sample import main_tensor
from .scales import NORMS
from .signals import training_ops


def check(case):
    """Run every check that needs the data alone."""
    missing.check(case)
    order.order(case)
    scale(case)
    pairs.check(case)
    layout.check(case)
    shift(case)


def scale(case):
    """Look at the range of what the first layer with weights receives."""
    case.did("data.scale")
    seen = _first_entry(case)
    if seen is None:
        return
    where, values = seen
    top = values.abs().max().item()
    center = values.mean().item()
    deviation = values.std().item()
    limits = case.limits
    integers = not case.sample.dtype.is_floating_point
    case.measured["input range"] = [case.sample.low, case.sample.high]
    raises = integers and case.traced is None
    goal = case.t.abs().max().item()
    large = top > limits["scale.large"] and max(deviation, abs(center)) > 3
    if case.x.shape == case.t.shape and not torch.equal(case.x, case.t):
        large = large and goal > limits["scale.large"]  # wide noise is not the scale
    levels = deviation > 2 and _levels(case)  # and not counts, most of them small
    large = large or (levels and top >= limits["scale.levels"])
    raw_goal = goal > limits["scale.large"] and case.t.std().item() > 3
    raw_goal = raw_goal and not _answers_so(case, goal) and not _counts(case)
    tiny = deviation < limits["scale.small"] and top < 5 * limits["scale.small"]
    tiny = tiny and deviation > 1e-7
    signal = _deviation_across(values)
    drowned = 1e-7 < signal < limits["scale.small"] * abs(center)
    if not (large or raises or tiny or drowned or (raw_goal and _loss_sees(case))):
        return
    low, high = values.min().item(), values.max().item()
    remedy = _rescaled(case, low, high, integers)
    if tiny:
        remedy = f"x = x * {1 / max(top, 1e-9):.4g}  # was it divided by 255 twice?"
    row = "largest |value| the first layer receives", top
    small = tiny or (drowned and not large)
    if drowned and not (large or tiny):
        remedy = f"x = (x - ({center:.4g})) / {values.std().item():.4g}"
        remedy += "  # or normalise once, and by the numbers for this range"
        row = "deviation across samples, of the mean value", signal / abs(center)
    case.find(
        "data.scale",
        "error",
        {
            "statistic": row[0],
            "value": row[1],
            "threshold": limits["scale.small" if small else "scale.large"],
            "where": where,
            "range": [low, high],
            "deviation": deviation,
            "dtype": str(case.sample.dtype),
        },
        "Not the learning rate: the scale is wrong before the first step"
        + ("." if not tiny else ", and every gradient of the first layer shrinks."),
        remedy,
        "The input's deviation lies between 0.1 and 1, and the first losses fall.",
    )


def _rescaled(case, low, high, integers):
    """Return the line that brings values into the range of the last activation."""
    if (100 < high <= 255 and low >= 0) or integers:
        return "x = x.float() / 255"
    last = [op for op in case.ops if op.bends][-1:]
    if last and last[0].kind == "sigmoid":
        span = f"{max(high - low, 1e-9):.4g}"
        return f"x = (x - ({low:.4g})) / {span}" if low else f"x = x / {span}"
    flat_picture = case.x.ndim == 2 and case.picture_shape is not None
    axes = None if flat_picture else _columns(case.x)
    if axes is None:
        return "x = (x - x.mean()) / x.std()"
    each = f"{axes}, keepdim=True"
    return f"x = (x - x.mean({each})) / x.std({each}).clamp(min=1e-6)  # per column"


def _columns(x):
    """Return the axes to average over where columns have scales of their own, or None.

    As in a table, (N, columns), and in series, (N, time, columns) or the reverse.
    """
    for axis in range(x.ndim - 1, 0, -1) if x.ndim < 4 else ():
        others = tuple(d for d in range(x.ndim) if d != axis)
        values = x.double()
        if values.mean(others).var(correction=0) > 0.6 * values.var(correction=0):
            return others
    return None


def _deviation_across(values):
    """Return the deviation of samples from their mean, over all values."""
    return (values - values.mean(0)).std().item() if len(values) > 1 else 0.0


def _answers_so(case, goal):
    """Tell whether the output is as large as the target: the model does the scaling."""
    if case.out is None or case.out.x_hat is None:
        return False
    return case.out.x_hat.detach().abs().max().item() > 0.2 * goal


def _levels(case):
    """Tell whether the data are whole numbers, as pixels are before scaling.

    Of pixels some share is white; of counts hardly one is as large as the largest.
    """
    whole = torch.equal(case.x, case.x.round()) and torch.equal(case.t, case.t.round())
    return whole and _near_the_largest(case.x) > case.limits["scale.most"]


def _counts(case):
    """Tell whether the targets are whole numbers of which hardly one is the largest."""
    t, most = case.t, case.limits["scale.most"]
    whole = torch.equal(t, t.round()) and t.min() >= 0
    return bool(whole) and _near_the_largest(t) <= most


def _near_the_largest(values):
    return (values > 0.9 * values.max()).double().mean().item()


def _first_entry(case):
    """Return (where, values) of the input to the first layer with weights.

    A recurrent layer is none of the ops; what comes first is the input itself.
    """
    if any(isinstance(m, torch.nn.RNNBase) for m in case.program.model.modules()):
        return "input", case.x
    ops = case.ops
    heavy = next((o.index for o in ops if o.weighted and o.kind not in NORMS), 0)
    if any(o.kind in NORMS and o.index < heavy for o in ops):
        ops = training_ops(case)  # the statistics of the batch, as in training
    for op in ops:
        if op.weighted and op.entry is not None and op.entry.is_floating_point():
            return str(op), op.entry.detach().float()
    try:
        return "input", case.x
    except RuntimeError:
        return None


def _loss_sees(case):
    """Tell whether the loss compares the output with the raw targets as they are."""
    if case.out is None or case.out.x_hat is None:
        return True
    program = case.program
    try:
        with program.trial(), torch.no_grad():
            goal = case.target.reshape(case.out.x_hat.shape).to(case.out.x_hat.dtype)
            raw = case.out.raw
            values = [
                float(program.loss_of(program.replaced(raw, x_hat=g), case.pair[1]))
                for g in (goal, goal / 255)
            ]
    except Exception:
        return True
    return not values[1] < values[0]


def shift(case):
    """Compare the evaluation data with the training data."""
    if case.evaluated is None or not case.evaluated.inputs:
        case.skip("no eval_batches were given", "data.shift")
        return
    case.did("data.shift")
    limits, sides = case.limits, []
    for name, a, b in (
        ("input", case.x, case.evaluated.x),
        ("target", case.t, case.evaluated.t),
    ):
        b = torch.nan_to_num(b, 0.0, 0.0, 0.0)
        if a.shape[1:] != b.shape[1:]:
            if a.ndim == b.ndim and _runs_on(case, case.evaluated.raw[0]):
                return  # other sizes, for a network that takes any
            case.find(
                "data.shift",
                "error",
                {
                    "statistic": f"shape of one {name}",
                    "value": list(b.shape[1:]),
                    "threshold": list(a.shape[1:]),
                    "where": "eval_batches",
                },
                "Not the model: the two data sets differ before it sees them.",
                "give eval_batches the same transform as batches",
                "Both loaders yield samples of the same shape.",
            )
            return
        spread = a.std().item() + 1e-12
        moved = abs(b.mean().item() - a.mean().item()) / spread
        ratio = (b.std().item() + 1e-12) / spread
        sides.append((name, moved, max(ratio, 1 / ratio), a, b))
    denoises = main_tensor(case.pair[0]).shape == case.target.shape and not torch.equal(
        main_tensor(case.pair[0]).to(case.target.device), case.target
    )
    name, moved, ratio, a, b = max(sides, key=lambda s: max(s[1], s[2] / 2))
    if denoises:
        name, moved, ratio, a, b = sides[1]
    error = subspace_ratio(sides[1][3], sides[1][4])
    case.measured["shift"] = {"mean": moved, "scale": ratio, "subspace": error}
    if moved > limits["shift.mean"]:
        row = ("shift of the mean, in deviations", moved, limits["shift.mean"])
    elif ratio > limits["shift.scale"]:
        row = ("ratio of the deviations", ratio, limits["shift.scale"])
    elif error > limits["shift.subspace"]:
        row = ("PCA error, evaluation over training", error, limits["shift.subspace"])
    elif _somewhat(limits, moved, ratio, error):
        row = ("mean, deviation and PCA error together", [moved, ratio, error], "alike")
    else:
        return
    ranges = [[v.min().item(), v.max().item()] for v in (a, b)]
    case.find(
        "data.shift",
        "error",
        {
            "statistic": row[0],
            "value": row[1],
            "threshold": row[2],
            "where": f"{name} of eval_batches",
            "training range": ranges[0],
            "evaluation range": ranges[1],
        },
        "Not overfitting: a PCA of the training data, which cannot overfit this way, "
        f"is off by a factor of {error:.2g} there too.",
        f"apply the training transform to eval_batches: range "
        f"[{ranges[0][0]:.3g}, {ranges[0][1]:.3g}], not "
        f"[{ranges[1][0]:.3g}, {ranges[1][1]:.3g}]",
        "Mean and deviation of both sets agree, and so do the two losses.",
    )


def _runs_on(case, batch):
    """Tell whether the model answers a batch with outputs of its targets' shape."""
    try:
        with case.program.trial(False), torch.no_grad():
            source, goal = case.program.pair(batch)
            shape = case.program.forward(source).x_hat.shape
            return shape == main_tensor(goal).shape
    except Exception:
        return False


def _somewhat(limits, moved, ratio, error):
    """Tell whether all three measures come near their limits: no accident."""
    near = {name: 0.6 * limits[f"shift.{name}"] for name in ("mean", "subspace")}
    return (
        moved > near["mean"]
        and error > near["subspace"]
        and ratio > 1 + 0.5 * (limits["shift.scale"] - 1)
    )


def subspace_ratio(a, b, k=16):
    """Return the PCA error on `b` over that on held-out rows of `a`.

    That of a middling row: a few odd ones are what a test of anomalies holds.
    """
    a, b = a.flatten(1).double()[:768], b.flatten(1).double()[:256]
    if len(a) < 3 * k or len(b) < 8 or a.shape[1] < 2 * k:
        return 1.0
    fit, rest = a[: 2 * len(a) // 3], a[2 * len(a) // 3 :]
    mean = fit.mean(0)
    gram = (fit - mean) @ (fit - mean).T
    values, vectors = torch.linalg.eigh(gram)
    top = vectors[:, -k:] / values[-k:].clamp(min=1e-12).sqrt()
    basis = (fit - mean).T @ top

    def left(rows):
        rows = rows - mean
        return (rows - rows @ basis @ basis.T).square().mean(1).median().item()

    return left(b) / max(left(rest), 1e-9)
