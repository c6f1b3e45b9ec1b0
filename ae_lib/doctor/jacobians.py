"""Whether a contractive penalty is the squared norm of the encoder's Jacobian."""

import torch

from . import lines, terms, trace
from .penalties import codes
from .sample import _map, cut, main_tensor

COUNT = 12


def squared_norms(case, source, index):
    """Return the squared Frobenius norm of the code's Jacobian, one per sample."""
    program = case.program
    x = main_tensor(source).detach().float().requires_grad_()
    _, ops = trace.follow(program, x, len(x))
    z = next(o.out for o in ops if o.index == index).flatten(1)
    (reached,) = torch.autograd.grad(z.sum(), x, retain_graph=True, allow_unused=True)
    if reached is None:  # the model differentiates by its own copy of the input
        x = next(o.entry for o in ops if o.weighted and o.entry is not None)
    total = torch.zeros(len(x), dtype=torch.double)
    for unit in range(z.shape[1]):
        (grad,) = torch.autograd.grad(z[:, unit].sum(), x, retain_graph=True)
        total += grad.double().flatten(1).square().sum(1).cpu()
    return total


def check(case):
    """Compare a penalty on encoder weights with the Jacobian, sample by sample."""
    program = case.program
    if program.loss is None or not hasattr(case, "loss_perfect"):
        return
    op = case.code[0] or next(iter(codes(case)), None)  # none where it is wide
    if op is None:
        return
    if case.is_vae or op.width > 256 or not torch.is_tensor(case.source):
        return
    heavy = [o for o in case.ops if o.weighted and o.weight.requires_grad]
    before = [o for o in heavy if o.index <= op.index]
    after = [o for o in heavy if o.index > op.index]
    if not before or not after:
        return
    weights = (None, before[-1].weight, after[-1].weight)
    try:
        try:
            base, moved, other = (_penalty(case, op, w) for w in weights)
        except RuntimeError:  # the loss differentiates what was held constant
            base, moved, other = (_penalty(case, op, w, freeze=False) for w in weights)
    except Exception:
        return
    scale = abs(base) + 1e-12
    if abs(moved - base) < 1e-6 * scale or abs(moved - base) < 1e-12:
        _slopes_alone(case, op)  # the penalty does not look at the encoder's weights
        return
    tied = before[-1].weight.data_ptr() == after[-1].weight.data_ptr()
    if tied and not _reads_the_code(case, op, base):
        return  # weight decay, not a Jacobian
    if abs(other - base) > 1e-6 * scale and not tied:
        return
    if _drawn_at_random(case, op):
        return  # right on average, perhaps, and different in each draw
    case.did("contractive.wrong")
    try:
        rows = _compare(case, op, before[-1].weight)
    except Exception as problem:
        case.skip(f"the penalty raised {type(problem).__name__}", "contractive.wrong")
        return
    errors = {}
    for name, power in (("squared norm", 1.0), ("norm", 0.5)):
        ratio = torch.tensor([p / max(j, 1e-20) ** power for p, j in rows])
        errors[name] = (ratio.std() / ratio.mean().abs().clamp(min=1e-20)).item()
    spread = min(errors.values())
    case.measured["contractive"] = errors
    if not spread >= case.limits["contractive.error"]:  # NaN says nothing
        return
    kinds = [o.kind for o in case.ops if o.bends and o.index <= op.index]
    last = kinds[-1] if kinds else "no activation"
    slope = {
        "sigmoid": "h * (1 - h)",
        "tanh": "1 - h.square()",
        "relu": "(h > 0).float()",
    }.get(last, "the activation's derivative")
    where = before[-1].where or "encoder"
    remedy = (
        f"penalty = (({slope}).square() @ {lines.spot(where)}.weight.square().sum(1))"
    )
    case.find(
        "contractive.wrong",
        "error",
        {
            "statistic": "relative spread of penalty over squared Jacobian norm",
            "value": spread,
            "threshold": case.limits["contractive.error"],
            "where": f"loss, {before[-1]}, activation {last}",
        },
        "Not a matter of weight: a right penalty is proportional to the Jacobian's "
        "norm "
        "for every image and every size of the weights, this one is not.",
        remedy + ".mean()"
        if len(before) == 1
        else "J = torch.func.jacrev(model.encode)  # and penalise J.square().sum()",
        "Penalty over squared Jacobian norm is the same for every image.",
    )


def _reads_the_code(case, op, base):
    """Tell whether the penalty changes with the code, as the slopes at it do."""
    with case.program.trial(True), torch.no_grad():
        value = float(terms.value(case, terms.goal(case), op, torch.zeros_like))
    return abs(value - base) > 1e-3 * abs(base)


def _drawn_at_random(case, op):
    """Tell whether the penalty alone is another one with other random numbers."""
    codes, values = [], []
    for seed in (1, 2):
        with case.program.trial(True, seed):
            source, _ = case.program.pair(case.batch)
            _, ops = trace.follow(case.program, source, case.size)
            codes.append(next(o.out.detach() for o in ops if o.index == op.index))
        values.append(_penalty(case, op, freeze=False, seed=seed))
    alike = abs(values[0] - values[1]) <= 1e-5 * (abs(values[0]) + 1e-12)
    return torch.equal(*codes) and not alike


def _slopes_alone(case, op):
    """Report a penalty of squared slopes of the code's activation, without weights.

    The squared slope of a sigmoid or tanh falls to (3/4)² when the unit is half way
    to its plateau, on either side; what pushes codes to 0 and 1 as such falls to 3/4.
    """
    last = [o for o in case.ops if o.bends and o.index <= op.index]
    if not last or last[-1].kind not in ("sigmoid", "tanh"):
        return
    low = 0.0 if last[-1].kind == "sigmoid" else -1.0
    perfect, costs = terms.goal(case), {}
    with case.program.trial(True), torch.no_grad():
        for at in (0.0, 0.25, 0.5, 0.75, 1.0):

            def constant(z, level=low + at * (1 - low)):
                return torch.full_like(z, level)

            costs[at] = float(terms.value(case, perfect, op, constant))
    top, ends = costs[0.5] - costs[0.0], abs(costs[1.0] - costs[0.0])
    if not top > 1e-12 or ends > 1e-3 * top:
        return
    sides = [(costs[at] - costs[0.0]) / top for at in (0.25, 0.75)]
    if any(abs(side - 0.75**2) > 0.02 for side in sides):
        return
    case.did("contractive.wrong")
    case.find(
        "contractive.wrong",
        "warning",
        {
            "statistic": "change of the penalty when the weights grow by half",
            "value": 0.0,
            "threshold": "above 0",
            "where": f"loss, the penalty on {op}",
            "share left half way to the plateaus": sides,
        },
        "Not a penalty on the code as such: it is the squared slope of its "
        f"{last[-1].kind}, one factor of the Jacobian, and the weights are missing.",
        "J = torch.func.jacrev(model.encode)  # and penalise J.square().sum()",
        "Penalty over squared Jacobian norm is the same for every image.",
    )


def _drawn(weight):
    """Multiply a weight, value by value, by random numbers of deviation 3."""
    maker = torch.Generator().manual_seed(0)
    weight.data.mul_(3 * torch.randn(weight.shape, generator=maker).to(weight))


def _larger(weight):
    weight.data.mul_(1.5)


def _penalty(case, op, weight=None, batch=None, alter=_larger, freeze=True, seed=None):
    """Return the loss of a perfect output, with one weight altered.

    `freeze` holds every activation up to the code, so that only a loss that reads
    the weight itself can change.
    """
    program = case.program
    batch = case.batch if batch is None else batch
    with program.trial(True, seed):
        source, target = program.pair(batch)
        size = len(main_tensor(source))
        _, ops = trace.follow(program, source, size)
        held = [o for o in ops if o.index <= op.index]
        if weight is not None:
            alter(weight)
        change = {o.index: _constant(o.out.detach()) for o in held} if freeze else None
        out, _ = trace.follow(program, source, size, change)
        goal = program.move(main_tensor(target)).reshape(out.x_hat.shape)
        raw = program.replaced(out.raw, x_hat=goal.to(out.x_hat))
        return float(program.loss_of(raw, target))


def _constant(value):
    return lambda z: value


def _compare(case, op, weight):
    """Return (penalty, squared Jacobian norm) for single images and scaled weights."""
    program, rows = case.program, []
    with program.trial(True):
        source, _ = program.pair(cut(case.batch, COUNT))
    for alter in (lambda w: None, lambda w: w.data.mul_(8), _drawn):
        with program.trial(True):
            alter(weight)
            norms = squared_norms(case, source, op.index).tolist()
        for at in range(0, len(norms), 3 if rows else 1):
            single = _one(case.batch, at)
            value = _penalty(case, op, weight, single, alter, freeze=False)
            rows.append((value, norms[at]))
    return rows


def _one(batch, at):
    size = len(main_tensor(batch))
    return _map(batch, lambda t: t[at : at + 1] if t.ndim and len(t) == size else t)
