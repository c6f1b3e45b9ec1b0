"""Where the loss has its minimum, and whether it is finite."""

import math

import torch

from . import edges, lines, scores
from . import sample as samples
from .program import places


def domain(case):
    """Check that the loss is finite, and smallest at a perfect reconstruction."""
    if not torch.isfinite(case.target).all():  # gaps, or a fault of their own
        case.skip("the targets hold values that are not finite", "loss.domain")
        return
    case.did("loss.domain")
    program = case.program
    try:
        with program.trial(True):
            out = program.forward(case.source)
            goal = case.target.detach().reshape(out.x_hat.shape).to(out.x_hat)
            _domain(case, out, goal)
    except Exception as problem:
        case.loss_trouble = problem
        _raised(case, problem)


def _raised(case, problem):
    low, high = case.target.min().item(), case.target.max().item()
    x_hat = case.out.x_hat
    out_low, out_high = x_hat.min().item(), x_hat.max().item()
    text = str(problem).splitlines()[0] if str(problem) else ""
    outside = out_low < 0 or out_high > 1
    remedy = "loss = F.binary_cross_entropy_with_logits(x_hat, x)  # x_hat before "
    remedy += "sigmoid; show torch.sigmoid(x_hat)"
    if low < 0 or high > 1:
        remedy = f"scale the targets to [0, 1]: they span [{low:.3g}, {high:.3g}]"
    elif not outside:
        remedy = f"mend the call that raised: {text[:60]}"
    case.find(
        "loss.domain",
        "error",
        {
            "statistic": "the loss raised",
            "value": f"{type(problem).__name__}: {text[:160]}",
            "threshold": "no error",
            "where": "loss(model_output, target)",
            "output range": [out_low, out_high],
            "target range": [low, high],
        },
        "Not the model: it runs; its output is not what this loss accepts.",
        remedy,
        "The loss returns a finite scalar for the first batch.",
    )


def _domain(case, out, goal):
    program, target = case.program, case.pair[1]

    def value(x_hat):
        torch.manual_seed(0)  # a loss that draws, as to match a prior, draws the same
        return program.loss_of(program.replaced(out.raw, x_hat=x_hat), target)

    if program.loss is None or "x_hat" not in places(out.raw):
        return
    name, low, high = case.bounds
    case.loss_now = now = float(value(out.x_hat))
    wild = case.is_vae and out.logvar.abs().max() > case.limits["vae.logvar"]
    if wild:
        return  # exp(logvar) overflows; that check names it
    if not math.isfinite(now) and torch.isfinite(out.x_hat).all():
        edges.not_finite(case, goal, now, out.x_hat)
        return
    if scores.logarithms(case, goal, out.x_hat):
        return
    inside = goal
    within = 0 <= goal.min() <= goal.max() <= 1
    if low == 0 and high == 1 and name in ("Sigmoid", "Softmax") and within:
        inside = goal.clamp(1e-4, 1 - 1e-4)
    mean = inside.mean(0, keepdim=True).expand_as(goal).contiguous()
    try:
        perfect, average = float(value(inside)), float(value(mean))
    except RuntimeError as problem:
        if "grad" not in str(problem):
            raise
        case.notes.append("the loss asks for the path to the input: no other outputs")
        return
    start = out.x_hat.detach().float()
    best, at = _descend(value, [inside, mean, start], goal, program.clock)
    case.loss_perfect, case.loss_mean = perfect, average
    if not math.isfinite(best) and math.isfinite(perfect):
        return  # the loss asks for more than an output, as its path to the input
    if edges.outputs(case, value, goal) or edges.slopes(case, value, goal):
        return
    scale = max(abs(average - best), 1e-12)
    gap = (perfect - best) / scale
    case.measured["loss"] = {"perfect": perfect, "mean": average, "lowest": best}
    flat = abs(average - perfect) <= 1e-7 * (abs(average) + 1e-6)
    varies = goal.var(0).mean() > 1e-9
    limit = case.limits["domain.gain"]
    if math.isfinite(perfect) and gap <= limit and not (flat and varies):
        return
    if flat and _elsewhere(case, out):
        case.notes.append("the loss reads another output of the decoder than x_hat")
        return
    with torch.no_grad():
        squashed = torch.sigmoid(at)
        logit = (
            0 <= goal.min()
            and goal.max() <= 1
            and (
                (squashed - goal).square().mean() < 0.25 * (mean - goal).square().mean()
            )
        )
    if not logit and not flat and _mixed(case, value, inside):
        return
    if not logit and (
        scores.taken(case, goal, at) or scores.rates(case, value, goal, best)
    ):
        return
    if logit:
        program.link = "logit"
        if not math.isfinite(low) and not math.isfinite(high):
            _check_logit_mean(case, value, goal)
            return
        why = f"The loss applies a sigmoid itself; {name.lower()} before it is one too "
        why += "many: no slow start, the lowest loss in reach is far above the floor."
        remedy = f"drop the final {name.lower()}: the loss takes logits"
        remedy = lines.ending(case, "nn.Identity()", remedy)
    elif program.own_loss is not None:
        _not_known(case)
        return
    elif goal.min() < -1e-6 or goal.max() > 1 + 1e-6:
        why = "Not the optimizer: a wrong image has a lower loss than a perfect one, "
        why += "as cross-entropy has for targets outside [0, 1]."
        free = low <= goal.min().item() and goal.max().item() <= high
        remedy = "loss = F.mse_loss(x_hat, x)  # " if free else ""
        remedy += "scale the targets to [0, 1], or use F.mse_loss"
    else:
        why = "Not the optimizer: it may work well, but towards a wrong image."
        remedy = "loss = F.mse_loss(x_hat, x)  # smallest where x_hat equals x"
        if flat:
            why = "Not a slow start: the loss does not change with the reconstruction."
    case.find(
        "loss.domain",
        "error",
        {
            "statistic": "how far the loss falls below that of a perfect output, "
            "over its gap to the mean image",
            "value": gap if not flat else 0.0,
            "threshold": limit,
            "where": "loss(model_output, target)",
            "loss of a perfect output": perfect,
            "lowest loss found": best,
            "loss of the mean image": average,
            "target range": [goal.min().item(), goal.max().item()],
        },
        why,
        remedy,
        "The loss of a perfect output is below that of every other output.",
    )


def _not_known(case):
    """Forget a step's loss that asks for another image than the target of the pair.

    What it asks for, the step alone knows: the next frame, or a part of the image.
    """
    case.program.loss = case.program.own_loss = None
    del case.loss_perfect, case.loss_mean
    case.notes.append("the step's loss asks for something else than the target")


def _elsewhere(case, out):
    """Tell whether the loss trains all that makes x_hat, though it reads another part.

    As where it takes logits and x_hat holds their softmax.
    """
    program = case.program
    params = [p for p in program.model.parameters() if p.requires_grad]
    with torch.enable_grad():
        values = (out.x_hat.sum(), program.loss_of(out.raw, case.pair[1]).sum())
        if not params or not all(v.requires_grad for v in values):
            return False
        own, learnt = (
            torch.autograd.grad(v, params, retain_graph=True, allow_unused=True)
            for v in values
        )
    pairs = [(b is not None and bool(b.any())) for a, b in zip(own, learnt, strict=True)
             if a is not None]  # fmt: skip
    return bool(pairs) and all(pairs)


def _mixed(case, value, perfect):
    """Report terms of which one grows with the batch and another does not.

    The batch is given twice: a mean stays, a sum doubles.
    """
    program, rows = case.program, []
    other = perfect.roll(1, 0)  # as rough, and wrong: the error alone differs
    try:
        with torch.no_grad():
            source, target = program.pair(samples.repeat(case.batch, 2))
            twice = program.forward(source).raw
            for x_hat in (perfect, other):
                raw = program.replaced(twice, x_hat=torch.cat([x_hat, x_hat]))
                rows.append((float(program.loss_of(raw, target)), float(value(x_hat))))
        (rest, rest_once), (wrong, wrong_once) = rows
        growth = [rest / rest_once, (wrong - rest) / (wrong_once - rest_once)]
    except (RuntimeError, ValueError, ZeroDivisionError):
        return False
    low, high = min(growth), max(growth)
    limit = case.limits["terms.growth"]
    if not (high > limit and low > 0.2 and high > limit * low):
        return False
    case.find(
        "loss.scale",
        "error",
        {
            "statistic": "growth of the loss when the batch is given twice",
            "value": [round(g, 3) for g in growth],
            "threshold": "the same for all terms",
            "where": "what a perfect output costs, and what an error adds",
        },
        "Not a wrong minimum alone: a mean stays and a sum doubles, so one term is "
        "summed over the batch and drowns the other, which is averaged.",
        "loss = F.mse_loss(x_hat, x)  # and then penalty = weight * term.mean(), "
        "reduced over the same axes as the error",
        "Giving the batch twice leaves the loss as it is.",
    )
    return True


def _check_logit_mean(case, value, goal):
    """Take the loss baselines in the logits' terms."""
    near = goal.clamp(1e-4, 1 - 1e-4)
    mean = near.mean(0, keepdim=True).expand_as(goal).contiguous()
    case.loss_perfect = float(value(torch.logit(near)))
    case.loss_mean = float(value(torch.logit(mean)))


def _descend(value, starts, goal, clock, steps=60):
    """Return (lowest loss found, where) by descending on the output itself."""
    best, at = math.inf, starts[0]
    rate = 0.2 * max(goal.std().item(), 0.5)
    stop = clock.spent + 1 + 0.1 * clock.seconds
    kind = torch.promote_types(goal.dtype, torch.float32)

    def tried(x):
        try:
            return value(x)
        except (RuntimeError, ValueError):  # outside the loss's domain
            return None

    for start in starts:
        x = start.detach().clone().to(kind).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=rate)
        for step in range(steps):
            loss = tried(x)
            if loss is None:
                x.data.clamp_(1e-6, 1 - 1e-6)
                loss = tried(x)
            number = math.nan if loss is None else float(loss.detach())
            if not math.isfinite(number):
                break
            if number < best:
                best, at = number, x.detach().clone()
            if clock.spent > stop:
                break
            grad = None
            if loss.requires_grad:
                (grad,) = torch.autograd.grad(loss, x, allow_unused=True)
            if grad is None:
                break
            x.grad = torch.nan_to_num(grad, 0.0, 1e3, -1e3)  # as at log(0)
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            optimizer.step()
    return best, at
