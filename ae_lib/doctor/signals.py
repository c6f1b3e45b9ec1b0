"""Does the signal survive the forward pass: scale, plateaus, dead units, affinity."""

import math
from dataclasses import replace
from functools import partial

import torch

from . import affine, ahead, arms, lines, trace, units
from .arms import fresh_start
from .sample import main_tensor
from .scales import NORMS, anew, fan_in, init_scale

CODES = ("signal.init-scale", "signal.saturated", "signal.dead-units")
CODES += ("signal.common-mode", "signal.linear")


def check(case):
    """Measure every layer on one batch, in evaluation and in training mode."""
    if case.out is None or case.out.x_hat is None:
        case.skip("the model raised", *CODES)
        return
    ops = training_ops(case)
    layers = [o for o in ops if o.weighted or o.bends]
    rows = [(str(o), trace.spread(o.out)) for o in layers]
    case.pictures["signal"] = rows
    init_scale(case, ops)
    saturated(case, ops)
    units.dead_units(case, ops)
    common_mode(case, ops)
    affine.linear(case)


def training_ops(case):
    """Return the ops as training sees them: batch norm uses the batch's statistics."""
    try:
        with case.program.trial(True), torch.no_grad():
            return trace.follow(case.program, case.source, case.size)[1]
    except Exception:
        return case.ops


def confirm(case):
    """Take back what the interventions have shown to be harmless.

    A weak signal or dead hidden units do no harm where the same first weights fit 16
    images all the same, if need be in three times as many steps.
    """
    tried, names = getattr(case, "arms", {}), ("user", "adam", "recon", "long")
    works, fails = case.limits["fit.works"], case.limits["fit.fails"]
    weak = case.has("signal.common-mode") and tried and not case.trained

    def reached():
        same = [a.r2 for n, a in tried.items() if n in names and a.finite]
        return max(same, default=float("-inf"))

    if weak and fails < reached() < works and case.program.clock.left > 3:
        tried["long"] = arms.run(
            case, "Adam 1e-3, thrice as long", adam=True, recon=True, times=3
        )
    best = reached()
    case.measured["best arm"] = best
    if best < works:
        return
    user = tried["user"].r2 if weak else 1.0
    slow = user < 0.5 and _hurries(case) > user + case.limits["signal.late"]
    for at, finding in enumerate(case.findings):
        dead = finding.code == "signal.dead-units" and not case.trained
        if finding.evidence.get("of the code") and finding.evidence["value"] >= 0.8:
            dead = False  # sixteen images fit through one unit, and more do not
        common = finding.code == "signal.common-mode"
        large = finding.evidence.get("weights") == "too large"
        dead = dead or (finding.code == "signal.init-scale" and large)
        if common and finding.evidence["value"] < 0.02 * finding.evidence["threshold"]:
            common = best > 0.5 + works  # all but constant: more than a slow start
        if common and slow:
            case.findings[at] = _slow(case, finding)
        elif common or dead:
            case.findings[at] = replace(finding, severity="info")


def _hurries(case):
    """Return the R² on 16 images with nn.ReLU in the place of squashing modules."""
    swaps = [lines.place(case, op) for op in _dull(case)]
    if not swaps or not all(path for path, _ in swaps) or case.program.clock.left < 3:
        return float("-inf")
    return arms.run(case, "ReLU", instead=tuple(path for path, _ in swaps)).r2


def _slow(case, finding):
    """Return the finding of a weak signal as what it is: a start that costs steps."""
    evidence = {
        "R² on 16 images, as it is": case.arms["user"].r2,
        "R² with nn.ReLU in as many steps": _hurries(case),
    }
    return replace(finding, severity="warning", evidence=finding.evidence | evidence)


def saturated(case, ops):
    """Find sigmoid and tanh layers on their plateaus."""
    case.did("signal.saturated")
    limits, worst, every = case.limits, None, []
    squash = [o for o in ops if o.kind in trace.SQUASH]
    final = case.out.x_hat
    quiet = {(o.index, o.kind): o.out for o in case.ops}  # noise in training excuses
    fixed = {id(b) for b in case.program.model.buffers()}  # filters, not layers
    heavy = [o for o in ops if o.weighted and id(o.weight) not in fixed]
    for op in squash:
        calm = quiet.get((op.index, op.kind), op.out)
        after = [o for o in heavy if o.index > op.index]
        last = not after and op.out.numel() == final.numel() == case.target.numel()
        shares = [
            _plateau(case, op.kind, out.detach().double(), last)
            for out in (op.out, calm)
        ]
        share = min(shares)
        every.append(share)
        if worst is None or share > worst[0]:
            worst = (share, op)
    if worst is None or worst[0] <= limits["signal.saturated"]:
        return
    count = sum(share > limits["signal.saturated"] for share in every)
    if math.isfinite(case.r2_now) and case.r2_now > 0.5:
        return
    share, op = worst
    before = _feeds(ops, op)
    case.find(
        "signal.saturated",
        "error",
        {
            "statistic": "share of values on a plateau",
            "value": share,
            "threshold": limits["signal.saturated"],
            "where": str(op),
            "|pre-activation| at least": limits["signal.steep"],
        },
        "Not a small learning rate: the slope there is below 0.7 % of the full one, so "
        "no step size repairs it.",
        _calmer(case, ops, op, before, count > 1),
        "Fewer than a tenth of the values lie on a plateau at the start.",
    )


def _plateau(case, kind, out, last):
    """Return the share of values that lie on a plateau of their activation.

    At the output a plateau is right where the target is there too.
    """
    steep = case.limits["signal.steep"]
    if kind.startswith("sig"):
        flat = (out - 0.5).abs() > 0.5 - 1 / (1 + math.exp(steep))
    elif kind.startswith("hard"):
        flat = (out == out.min()) | (out == out.max())
    else:
        flat = out.abs() > math.tanh(steep / 2)
    if not last:
        return flat.double().mean().item()
    if case.trained and not case.r2_now < 0:
        return 0.0
    goal = case.target.double().reshape(out.shape)
    reach = (goal - goal.min()) / (goal.max() - goal.min() + 1e-12)
    level = (out - out.min()) / (out.max() - out.min() + 1e-12)
    return (flat & ((reach - level).abs() > 0.3)).double().mean().item()


def _calmer(case, ops, op, before, several):
    """Return the line that takes a layer off its plateau.

    New first weights if these are large; a normalisation of what it receives if not;
    the factor behind them taken out if that is what is large.
    """
    feed = next((o for o in ops if o.where == before and o.weighted), None)
    if feed is not None and before and feed.entry is not None:
        usual = feed.weight.std().item() * fan_in(feed) ** 0.5 < 2.5
        size, width = feed.entry.square().mean().sqrt().item(), feed.entry.shape[1]
        if usual and size > 3 and feed.kind in ("linear", "conv2d"):
            flat = f"nn.LayerNorm({feed.entry.shape[-1]})"
            norm = flat if feed.kind == "linear" else f"nn.GroupNorm(1, {width})"
            name = lines.spot(before)
            return f"{name} = nn.Sequential({norm}, {name})"
        steep = op.entry.square().mean().sqrt().item() if op.entry is not None else 0.0
        feeds = feed.out.square().mean().sqrt().item()
        if usual and steep > 3 * feeds:
            return (
                f"take out the factor of about {steep / feeds:.2g} that stands between "
                f"{lines.spot(before)} and its activation"
            )
    line = anew(case, before, "weight", several) or "new, smaller first weights"
    return line + "  # and scale what it receives"


def _feeds(ops, op):
    """Return the layer or normalisation whose weights set the scale of an op."""
    heavy = [o for o in ops if (o.weighted or o.kind in NORMS) and o.index < op.index]
    return heavy[-1].where if heavy else ""


def common_mode(case, ops):
    """Measure how much of the code differs between inputs."""
    case.did("signal.common-mode")
    op, everything = case.code
    if op is None:
        case.checked.remove("signal.common-mode")
        case.skip("no bottleneck was found", "signal.common-mode")
        return
    here = next((o for o in ops if o.index == op.index and o.kind == op.kind), op)
    values = here.out.detach().double().flatten(1)
    live = values.var(0) > 1e-16 * values.square().mean()
    if not torch.isfinite(values).all() or not live.any():
        return
    ratio = trace.spread(values[:, live])
    own = trace.spread(main_tensor(case.source).float())
    base = min(1.0, own)
    case.measured["signal.ratio"] = {"code": ratio, "input": own}
    relative = ratio / (base + 1e-12)
    limit = case.limits["signal.ratio"]
    if relative >= limit or own < 1e-4 or case.is_vae:
        return
    if case.trained and (case.r2_now > 0.3 or _starts_well(case, op)):
        return
    squash = [o for o in ops if o.kind in trace.SQUASH and o.index <= op.index]
    names = ", ".join(dict.fromkeys(o.where for o in squash if o.where))
    kind = squash[0].kind.strip("_") if squash else "the activation"
    if not case.trained and not _starts_well(case, op):
        for at, finding in enumerate(case.findings):  # other weights do not help
            large = finding.evidence.get("weights") == "too large"
            if finding.code == "signal.init-scale" and large:
                case.findings[at] = replace(finding, severity="info")
    case.find(
        "signal.common-mode",
        "error" if relative < limit / 2 else "warning",
        {
            "statistic": "signal ratio at the code over that of the input",
            "value": relative,
            "threshold": limit,
            "where": str(op),
            "signal ratio of the code": ratio,
            "signal ratio of the input": own,
        },
        "Not saturation and not identical data: the inputs differ, the units are off "
        "their plateaus, but each layer adds an offset that all inputs share.",
        _livelier(
            case,
            f"put nn.ReLU() in the place of {kind} ({names or 'all layers'})",
        ),
        "The signal ratio at the code rises above 0.3 before training.",
    )


def _livelier(case, words):
    """Return the line that puts nn.ReLU in the place of squashing modules, or words.

    In the decoder too, but not at the output, where a sigmoid has its place.
    """
    dull = _dull(case)
    if not lines.activations(case, dull, "nn.ReLU()"):
        return words
    paths = list(dict.fromkeys(lines.place(case, op)[0] for op in dull))
    starts = [
        (
            lines.activations(case, dull, f"nn.{make.__name__}()"),
            partial(arms.swapped, paths=paths, make=make),
        )
        for make in (torch.nn.ReLU, torch.nn.LeakyReLU, torch.nn.Tanh)
    ]
    return f"{ahead.best_start(case, starts)}  # or nn.BatchNorm before each"


def _dull(case):
    """List the squashing activations before the last layer with weights."""
    last = max((o.index for o in case.ops if o.weighted), default=-1)
    dull = (*trace.SQUASH, "softplus", "logsigmoid")
    return [o for o in case.ops if o.kind in dull and o.index < last]


def _starts_well(case, op):
    """Tell whether new first weights give the inputs different codes."""
    with case.program.trial(True), torch.no_grad():
        fresh_start(case.program.model)
        _, ops = trace.follow(case.program, case.source, case.size)
    values = next(o.out for o in ops if o.index == op.index)
    own = min(1.0, trace.spread(main_tensor(case.source).float()))
    return trace.spread(values) / own >= case.limits["signal.ratio"]
