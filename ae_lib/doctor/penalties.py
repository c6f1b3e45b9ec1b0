"""A penalty on the code: its size, its pull and its path for gradients."""

import math

import torch

from . import constants, terms, trace
from . import sample as samples
from .program import fields
from .sample import main_tensor


def penalty(case):
    """Judge a further term: its size, its pull on the code, its path for gradients."""
    if not hasattr(case, "loss_perfect"):
        return
    gap = abs(case.loss_mean - case.loss_perfect) + 1e-12
    if constants.check(case, gap):
        return
    for op in codes(case):
        changes = _all_changes(case, op)
        if changes is None:
            continue
        base, zeroed = changes["as is"], changes["zero"]
        moved = max(abs(v - base) for v in changes.values()) / gap
        size = (base - min(changes.values())) / gap
        case.measured["penalty"] = {"size": size, "moved by code": moved}
        if moved >= 1e-6:
            break
    else:
        return
    if _compares(case, op, gap):
        return
    case.did("sparse.too-strong", "sparse.inert")
    grads = terms.pulls(case, op)
    share = grads["penalty"] / (grads["reconstruction"] + 1e-30)
    direct = _pull_on_weights(case)  # as of weights and a mask of live units
    lost = share > case.limits["sparse.inert"] > 10 * direct
    share = 0.0 if lost else (direct if share == 0 and direct < math.inf else share)
    case.measured["penalty"]["pull"] = share
    row = abs(changes["rows"] - changes["spread"])
    column = abs(changes["columns"] - changes["spread"])
    wrong_axis = column > 1e-3 * abs(base - zeroed) and row < 1e-3 * column
    inner = min(changes[name] for name in ("tenth", "fifth", "half"))
    wrong_axis = wrong_axis and inner < zeroed  # a target activity, not a norm
    limit = case.limits["sparse.strong"]
    if _proven(case):  # without the further terms the very same step learns
        limit = min(limit, case.limits["sparse.proven"])
    strong = size > limit and (share > 1 or limit < case.limits["sparse.strong"])
    z = op.out.detach()
    both_signs = z.min().item() < -1e-3 * z.abs().max().item()
    centred = abs(changes["centred"] - zeroed) < 0.02 * abs(base - zeroed)
    cancels = both_signs and centred and base > zeroed
    inert = share < case.limits["sparse.inert"] or wrong_axis or cancels
    light = share < 100 * case.limits["sparse.inert"]
    inert = inert or (light and moved < case.limits["sparse.weight"])
    drowns = share > case.limits["sparse.drowns"]
    if not strong and not inert and not drowns:
        return
    if (strong or drowns) and not (wrong_axis or cancels):
        growth = terms.growth(case, op)
        case.measured["penalty"]["growth"] = growth
        if growth[1] > case.limits["terms.growth"] * growth[0]:
            case.find(
                "loss.scale",
                "error",
                {
                    "statistic": "growth of error and penalty with the batch twice",
                    "value": growth,
                    "threshold": "equal",
                    "where": f"loss: reconstruction, and penalty on {op}",
                    "penalty saved by an empty code, of the mean image's error": size,
                    "pull on the code, penalty over reconstruction": share,
                },
                "Not a large weight alone: the penalty is a sum over the batch, the "
                "error is a mean, so the weight grows with the batch size.",
                "penalty = weight * code.abs().mean()  # reduced like the error",
                "Both terms stay the same when the batch is given twice.",
            )
            return
        if not strong:
            return
        case.find(
            "sparse.too-strong",
            "error",
            {
                "statistic": "saving of an empty code, over the mean image's error",
                "value": size,
                "threshold": limit,
                "where": f"code, {op}",
                "pull on the code, penalty over reconstruction": share,
            },
            "Not a dead code: the reconstruction alone would keep it, the penalty pays "
            f"{size:.3g} times its whole gain for emptying it.",
            f"multiply the sparsity weight by {min(0.1, 0.05 / size):.1g}",
            "The code stays active and the error falls below the mean image's.",
        )
        return
    statistic, value = "pull on the code, penalty over reconstruction", share
    limit = case.limits["sparse.inert"]
    why, remedy = "its gradient does not reach the code", "penalty = weight * "
    remedy += "code.abs().mean()  # no .detach(), .item() or .data"
    if lost:
        why = "no weight can change it: the activation of the code holds it constant"
        remedy = "put nn.ReLU() in the place of the activation of the code: the sum of "
        remedy += "a softmax is always 1"
    if wrong_axis:
        statistic = "change of the penalty: codes shuffled across the batch, the units"
        value, limit = [column / gap, row / gap], "first = 0"
        why = "averages over the units of one sample instead of over the batch"
        remedy = "rho_hat = code.mean(dim=0)  # over the batch, one value per unit"
    elif cancels:
        statistic = "penalty left once each unit's mean is taken out, of the penalty"
        value, limit = abs(changes["centred"] - zeroed) / abs(base - zeroed), 0.02
        why = "positive and negative codes cancel before the absolute value"
        remedy = "penalty = weight * code.abs().mean()  # abs first, then the mean"
    elif share > 0:
        why = f"weighs only {size:.1g} of the mean image's error"
        factor = max(10.0, min(1e6, 0.02 / max(size, 1e-9)))
        remedy = f"multiply the sparsity weight by {factor:.1g}"
    case.find(
        "sparse.inert",
        "error",
        {
            "statistic": statistic,
            "value": value,
            "threshold": limit,
            "where": f"code, {op}",
            "what emptying the code saves": size,
        },
        f"Not a sparse code already: the penalty changes with the code, but {why}.",
        remedy,
        "With a larger weight the share of inactive units grows.",
    )


def _proven(case):
    """Tell whether an arm learned without the further terms, and none with them."""
    alone = getattr(case, "arms", {}).get("terms")
    return alone is not None and alone.r2 >= case.limits["fit.works"]


def _compares(case, op, gap):
    """Tell whether a term compares what is made of the code with the target.

    As the loss of a further output does: what emptying the code changes then depends
    on the target. A penalty on the code alone does not ask for it.
    """
    program, (source, goal) = case.program, case.pair
    if program.own_loss is not None and _asks_for_more(case):
        return True
    if not torch.is_tensor(goal) or goal.ndim < 2 or program.link is not None:
        return False
    perfect, effects = terms.goal(case), []
    with program.trial(True), torch.no_grad():
        for part in (1.0, 0.5):
            values = []
            for change in ({}, {op.index: torch.zeros_like}):
                state = torch.get_rng_state()
                out, _ = trace.follow(program, source, case.size, change)
                torch.set_rng_state(state)
                raw = program.replaced(out.raw, x_hat=part * perfect)
                values.append(float(program.loss_of(raw, part * goal)))
            effects.append(values[1] - values[0])
    return abs(effects[1] - effects[0]) > 0.05 * abs(effects[0]) + 1e-6 * gap


def _asks_for_more(case):
    """Tell whether the step's loss reads more of the batch, as labels for a head.

    What is neither input nor target is given to the wrong samples.
    """
    program, pair = case.program, [main_tensor(part) for part in case.pair]

    def moved(t):
        known = any(t.shape == p.shape and torch.equal(t, p) for p in pair)
        return t if known or not t.ndim or len(t) != case.size else t.roll(1, 0)

    with program.trial(True), torch.no_grad():
        raw = program.replaced(program.forward(case.source).raw, x_hat=terms.goal(case))
        values = []
        for batch in (case.batch, samples._map(case.batch, moved)):
            _, target = program.pair(batch)
            torch.manual_seed(0)
            values.append(float(program.loss_of(raw, target)))
    return abs(values[1] - values[0]) > 1e-4 * abs(values[0])


def _pull_on_weights(case):
    """Return the penalty's pull on the weights, of the reconstruction's; inf unknown.

    It may come to nothing although there is a pull on the code, and the reverse.
    """
    if not getattr(case, "trainable", None):
        return math.inf
    try:
        found = terms.pulls_on_weights(case)
    except RuntimeError:  # as where the loss differentiates by itself
        return math.inf
    share = found["penalty"] / (found["reconstruction"] + 1e-30)
    case.measured["penalty's pull on weights"] = share
    return share


def codes(case):
    """Return the ops whose result the loss may look at: returned, kept, or the code."""
    shown = set(map(id, fields(case.out.raw).values()))
    for module in case.program.model.modules():
        shown |= {id(v) for v in vars(module).values() if torch.is_tensor(v)}
    shown -= {id(case.out.x_hat)}
    found = [op for op in case.ops if id(op.out) in shown]
    code, _ = case.code
    found = {op.index: op for op in [*found, code] if op is not None}
    if not found and case.program.own_loss is not None:
        return _felt(case)
    if not found:
        return []
    with case.program.trial(True):
        _, ops = trace.follow(case.program, case.source, case.size)
    there = (_same(op, case.ops, ops) for op in found.values())
    return [op for op in there if op is not None]


def _felt(case):
    """Return the last layer that the step's loss looks at besides the output, if any.

    As where a hook records an activation.
    """
    with case.program.trial(True), torch.no_grad():
        _, ops = trace.follow(case.program, case.source, case.size)
        last = max((op.index for op in ops if op.weighted), default=0)
        base = float(terms.value(case, terms.goal(case), ops[0], lambda z: z))
        for op in reversed([op for op in ops if op.index < last]):
            value = float(terms.value(case, terms.goal(case), op, torch.zeros_like))
            if abs(value - base) > 1e-6 * abs(base):
                return [op]
    return []


def _same(op, ops, others):
    """Find an op of the evaluated model among those of the model in training.

    A model that rounds in use and adds noise while it trains has others before it:
    then the end of the list tells which it is.
    """
    names, there = [list(map(str, those)) for those in (ops, others)]
    at = next(i for i, o in enumerate(ops) if o.index == op.index)
    if names[: at + 1] == there[: at + 1]:
        return op
    after = len(names) - at - 1
    alike = names[at + 1 :] == there[len(there) - after :]
    return others[-after - 1] if alike and len(others) > after else None


def _all_changes(case, op):
    """Return the finite losses of a perfect output for changes of an op's result."""
    maker = torch.Generator().manual_seed(0)
    with case.program.trial(True):
        try:
            changes = _changes(case, op, maker)
        except Exception as problem:
            case.notes.append(f"the code's penalty raised {type(problem).__name__}")
            return None
    base = changes["as is"]
    if not math.isfinite(base):
        return None
    return {k: v if math.isfinite(v) else base for k, v in changes.items()}


def _changes(case, op, maker):
    """Return the loss of a perfect output for several changes of the code."""
    perfect = terms.goal(case)

    state = maker.get_state()

    def spread(z):
        maker.set_state(state)
        flat = z.flatten(1)
        width = max(2 * flat.std().item(), flat.abs().mean().item())
        noise = torch.rand(flat.shape, generator=maker).to(z) - 0.5
        flat = flat + width * noise
        return (flat.clamp(min=0) if z.min() >= 0 else flat).reshape(z.shape)

    def columns(z):
        flat = spread(z).flatten(1)
        order = torch.rand(flat.shape, generator=maker).argsort(0).to(z.device)
        return flat.gather(0, order).reshape(z.shape)

    def rows(z):
        flat = spread(z).flatten(1)
        order = torch.rand(flat.shape, generator=maker).argsort(1).to(z.device)
        return flat.gather(1, order).reshape(z.shape)

    kinds = {
        "as is": lambda z: z,
        "zero": torch.zeros_like,
        "tenth": lambda z: 0.1 * z,
        "fifth": lambda z: 0.2 * z,
        "half": lambda z: 0.5 * z,
        "double": lambda z: 1.5 * z,
        "spread": spread,
        "centred": lambda z: z - z.mean(0),
        "columns": columns,
        "rows": rows,
    }
    with torch.no_grad():
        found = {}
        for name, change in kinds.items():
            state = torch.get_rng_state()
            found[name] = float(terms.value(case, perfect, op, change))
            torch.set_rng_state(state)
    return found
