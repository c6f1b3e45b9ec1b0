"""What the last activation can reach."""

import math

import torch

from . import lines, losses, prices, trace

REACH = {
    "Sigmoid": (0.0, 1.0),
    "Hardsigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Relu": (0.0, math.inf),
    "Softplus": (0.0, math.inf),
    "Elu": (-1.0, math.inf),
    "Gelu": (-0.17, math.inf),
    "Silu": (-0.279, math.inf),
    "LogSigmoid": (-math.inf, 0.0),
    "Exp": (0.0, math.inf),
    "Abs": (0.0, math.inf),
    "Softmax": (0.0, 1.0),
    "LogSoftmax": (-math.inf, 0.0),
    "MkldnnRnnLayer": (-1.0, 1.0),  # the hidden state of an LSTM, on the CPU
}
AFFINE = ("Mul", "Add", "Sub", "Rsub", "Div", "Neg")
SHAPED = ("View", "Reshape", "UnsafeView", "Permute", "Transpose", "Alias", "Clone")
SHAPED += ("ToCopy", "Squeeze", "Unsqueeze", "Slice", "T", "Expand", "Copy")


def kind(node):
    """Return the name of an autograd node without its ending."""
    return type(node).__name__.split("Backward")[0]


def last_activation(x_hat):
    """Return (name, low, high, node) of the function that bounds the output.

    Follows the autograd graph through reshapes and affine maps with constants; the
    bounds are those after the affine map. ("", -inf, inf, None) when unbounded.
    """
    free = ("", -math.inf, math.inf, None)
    node, moved = x_hat.grad_fn, False
    for _ in range(12):
        if node is None:
            return free
        name = kind(node)
        if name in REACH or name in ("Clamp", "Hardtanh", "ClampMin", "ClampMax"):
            break
        nexts = [n for n, _ in node.next_functions if n is not None]
        if name in AFFINE:
            moved = True
        elif name not in SHAPED and not name.startswith(SHAPED):
            return free
        if len(nexts) != 1:
            return free
        node = nexts[0]
    else:
        return free
    low, high = REACH.get(name, (None, None))
    if low is None:
        low, high = _clamp(node, name)
    if moved:
        low, high = _moved(x_hat, node, low, high)
    return name, low, high, node


def _clamp(node, name):
    names = ("_saved_min", "_saved_max")
    if name == "Hardtanh":
        names = ("_saved_min_val", "_saved_max_val")
    low, high = (getattr(node, n, None) for n in names)
    read = [None if v is None else float(v) for v in (low, high)]
    low = -math.inf if read[0] is None else read[0]
    return low, math.inf if read[1] is None else read[1]


def _moved(x_hat, node, low, high):
    """Carry bounds through an affine map by regression on the saved result."""
    saved = getattr(node, "_saved_result", None)
    if saved is None or saved.numel() != x_hat.numel():
        return -math.inf, math.inf
    a, b = saved.detach().double().flatten(), x_hat.detach().double().flatten()
    da, db = a - a.mean(), b - b.mean()
    if da.square().sum() < 1e-14:
        return -math.inf, math.inf
    slope = ((da * db).sum() / da.square().sum()).item()
    shift = (b.mean() - slope * a.mean()).item()
    if (db - slope * da).abs().max() > 1e-3 * (db.abs().max() + 1e-12):
        return -math.inf, math.inf
    ends = sorted((slope * v + shift) if math.isfinite(v) else v for v in (low, high))
    return (ends[0], ends[1]) if slope > 0 else (-math.inf, math.inf)


def attainable(target, low, high, node=None, name=""):
    """Return the best R² over the mean image for outputs within [low, high]."""
    flat = target.flatten(1).double()
    base = flat.var(0, unbiased=False).mean().item()
    if base < 1e-12:
        return 1.0
    best = flat.clamp(low, high)
    if name == "Softmax":
        dim, saved = (
            getattr(node, "_saved_dim", 1),
            getattr(node, "_saved_result", None),
        )
        dim = dim - 2**64 if dim > 2**63 else dim
        shaped = target.double()
        if saved is not None and saved.numel() == shaped.numel():
            shaped = shaped.reshape(saved.shape)
        if -shaped.ndim <= dim < shaped.ndim and shaped.shape[dim] > 1:
            best = simplex(shaped.movedim(dim, -1)).movedim(-1, dim)
            best = best.reshape(flat.shape)
    return 1 - (best - flat).square().mean().item() / base


def simplex(rows):
    """Return the nearest points with entries of at least 0 that add up to 1."""
    ordered = rows.sort(-1, descending=True).values
    count = torch.arange(1, rows.shape[-1] + 1, dtype=rows.dtype, device=rows.device)
    level = (ordered.cumsum(-1) - 1) / count
    last = (ordered > level).sum(-1, keepdim=True) - 1
    return (rows - level.gather(-1, last)).clamp(min=0)


def check(case):
    """Judge the loss, then the range of the output."""
    if case.out is None or case.out.x_hat is None:
        case.skip("the model raised", "output.range", "loss.domain")
        return
    try:
        with case.program.trial(True):
            out = case.program.forward(case.source)
            bounds = last_activation(out.x_hat)
    except Exception:
        with case.program.trial(False):
            out = case.program.forward(case.source)
            bounds = last_activation(out.x_hat)
    case.bounds = bounds[:3]
    case.measured["last activation"] = [bounds[0], *bounds[1:3]]
    if out.x_hat.numel() != case.target.numel():
        return
    losses.domain(case)
    prices.check(case)
    if not isinstance(case.program.link, tuple):  # else the outputs are scores
        reach(case, bounds)
    if not case.has("output.range"):
        length(case)


def length(case):
    """Find an output whose length is fixed, whatever the last layer with weights says.

    As after F.normalize: noise on what that layer returns turns the output and leaves
    its length as it is.
    """
    shape = case.target.flatten(1).shape
    last = [op for op in case.ops if op.weighted][-1:]
    if not last or case.out.x_hat.flatten(1).shape != shape or shape[1] < 2:
        return
    maker = torch.Generator().manual_seed(0)

    def noisy(times):
        def change(z):
            noise = torch.randn(z.shape, generator=maker).to(z)
            return z + times * (z.std() + 1) * noise

        return {last[0].index: change}

    with case.program.trial(False), torch.no_grad():
        found = [
            trace.follow(case.program, case.source, case.size, noisy(times))[0].x_hat
            for times in (1, 3)
        ]
    changed = not torch.allclose(*found, rtol=1e-3)
    lengths = torch.stack([x.flatten(1).double().norm(dim=1) for x in found])
    fixed = lengths.mean().item()
    if not changed or not (lengths / fixed - 1).abs().max().item() < 0.01:
        return
    goal = case.target.detach().float().flatten(1)
    near = goal * (fixed / goal.norm(dim=1, keepdim=True).clamp(min=1e-9))
    base = goal.var(0, unbiased=False).mean().item()
    best = 1 - (near - goal).square().mean().item() / max(base, 1e-12)
    if base < 1e-12 or best >= case.limits["range.r2"]:
        return
    case.find(
        "output.range",
        "error",
        {
            "statistic": "best attainable R² for outputs of this length",
            "value": best,
            "threshold": case.limits["range.r2"],
            "where": "output",
            "length of every output": fixed,
            "length of the targets": goal.norm(dim=1).mean().item(),
        },
        "Not the training: the output is normalised, so its length never changes, "
        "whatever the weights.",
        "return x_hat  # without F.normalize or a norm layer after the last weights",
        "The lengths of the outputs differ, and the best attainable R² becomes 1.",
    )


def reach(case, bounds):
    """Compare the reach of the last activation with the targets."""
    case.did("output.range")
    name, low, high, node = bounds
    if case.program.link == "logit" or not name:
        return
    goal = case.target.detach().reshape(case.out.x_hat.shape).float()
    best = attainable(goal, low, high, node, name)
    case.measured["range.r2"] = best
    if best >= case.limits["range.r2"]:
        return
    t_low, t_high = goal.min().item(), goal.max().item()
    where = next((str(o) for o in reversed(case.ops) if o.bends), name)
    if t_low >= -1e-3 and t_high <= 1.001:
        remedy = f"x_hat = torch.sigmoid(...)  # in place of {where}"
    elif t_low >= -1.001 and t_high <= 1.001 and name != "Tanh":
        remedy = f"x_hat = torch.tanh(...)  # in place of {where}"
    else:
        remedy = f"end on a linear layer: drop {where}"
        if low >= 0 and high <= 1:
            remedy += ", or scale the data to [0, 1]"
    put = "nn.Identity()"
    if remedy.startswith("x_hat"):
        put = "nn.Tanh()" if "tanh" in remedy else "nn.Sigmoid()"
    remedy = lines.ending(case, put, remedy)
    case.find(
        "output.range",
        "error",
        {
            "statistic": "best attainable R² for outputs in this range",
            "value": best,
            "threshold": case.limits["range.r2"],
            "where": where,
            "output range": [low, high],
            "target range": [t_low, t_high],
        },
        "Not the training: even a perfect network stops there, because "
        f"{name.lower()} cannot leave [{low:g}, {high:g}].",
        remedy,
        "The best attainable R² becomes 1 and the loss passes its old plateau.",
    )
