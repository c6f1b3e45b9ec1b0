"""The size of the steps, judged against other sizes on the same images."""

import torch

from . import ahead, arms
from .nonfinite import broken_now, each_batch, nonfinite, rate, smallest
from .program import fields
from .shrinkage import emptied

CODES = ("step.too-large", "step.too-small", "step.nonfinite")


def check(case):
    """Run the arms that are needed to judge the user's step."""
    program = case.program
    case.arms = {}
    if case.out is None or case.out.x_hat is None:
        case.skip("the model raised", *CODES)
        return
    if broken_now(case):
        return
    smallest(case)
    each_batch(case)
    if program.step is None and program.optimizer is None:
        case.skip("neither optimizer nor step was given", *CODES)
    if program.clock.left < 0.1 * program.clock.seconds or not program.clock.seconds:
        case.skip("no time left", *CODES)
        return
    if case.variance < 1e-10:
        case.skip("the data do not vary", *CODES)
        return
    if not getattr(case, "trainable", None):
        case.skip("no parameter gets a gradient", *CODES)
        return
    arms.plan(case)
    if program.step is None and program.optimizer is None:
        _without_optimizer(case)
        return
    user = case.arms["user"] = arms.run(case, "user")
    case.did("step.too-large", "step.too-small", "step.nonfinite")
    works, fails = case.limits["fit.works"], case.limits["fit.fails"]
    if user.finite and user.r2 >= works:
        return
    if case.trained and case.r2_now > works and user.finite and user.r2 > fails:
        return
    fresh = False
    adam = case.arms["adam"] = arms.run(case, "Adam 1e-3", adam=True)
    if case.trained and adam.r2 < works and program.clock.left > 2:
        fresh = True
        adam = arms.run(case, "Adam 1e-3, new weights", adam=True, fresh=True)
        case.arms["adam fresh"] = adam
        user = arms.run(case, "user, new weights", fresh=True)
        case.arms["user fresh"] = user
        if user.finite and user.r2 >= works:
            return
    if adam.r2 < works and program.clock.left > 1.5:
        case.arms["recon"] = arms.run(
            case, "Adam 1e-3, reconstruction alone", adam=True, recon=True, fresh=fresh
        )
    if adam.r2 < works and case.arms.get("recon") and program.clock.left > 1:
        case.arms["reference"] = arms.reference(case)
    _without(case, fresh)
    if not program.optimizers:
        return
    low = case.arms["lr/10"] = arms.run(case, "lr/10", factor=0.1, fresh=fresh)
    high = None
    if low.r2 < works <= adam.r2 and program.clock.left > 1.5:
        arm = case.arms["lr/100"] = arms.run(case, "lr/100", factor=0.01, fresh=fresh)
        low = max(low, arm, key=lambda a: a.r2)
    if user.finite and program.clock.left > 1.5:
        high = case.arms["lr*10"] = arms.run(case, "lr*10", factor=10.0, fresh=fresh)
    _judge(case, user, adam, low, high, fresh)


def _without(case, fresh):
    """Try the user's step without weight decay and without dropout, if it has them."""
    program = case.program
    groups = [g for o in program.optimizers for g in o.param_groups]
    if any(g.get("weight_decay", 0) > 1e-3 for g in groups) and program.clock.left > 2:
        name = "weight_decay=0"
        arm = arms.run(case, name, fresh=fresh, without="decay")
        if case.trained and arm.r2 < case.limits["fit.works"]:
            # What has decayed may not come back: ask new weights as well.
            again = arms.run(case, name, fresh=True, without="decay")
            arm = max(arm, again, key=lambda a: a.r2)
        case.arms[name] = arm
    drops = [m for m in program.model.modules()
             if isinstance(m, torch.nn.modules.dropout._DropoutNd)]  # fmt: skip
    if any(m.p > 0.3 for m in drops) and program.clock.left > 2:
        name = "nn.Dropout(p=0)"
        case.arms[name] = arms.run(case, name, fresh=fresh, without="dropout")


def _without_optimizer(case):
    adam = case.arms["adam"] = arms.run(case, "Adam 1e-3", adam=True)
    if adam.r2 < case.limits["fit.works"] and case.program.clock.left > 1:
        case.arms["recon"] = arms.run(
            case, "Adam 1e-3, reconstruction alone", adam=True, recon=True
        )


def _in_earnest(case):
    """Tell whether the user's steps do well on the user's own batches all the same.

    Sixteen images can be steeper than a larger batch, and a slow start can catch up.
    """
    later = ahead.look(case)
    if later is None or later.steps < ahead.EVERY:
        return False
    start = later.r2[0] if case.trained else 0.0
    return later.r2[-1] >= max(case.limits["step.earnest"], start)


def _terms_at_fault(case, fresh):
    """Tell whether the same step learns at once without the loss's further terms."""
    program = case.program
    if program.loss is None or program.optimizer is None or program.step is not None:
        return False
    free = abs(getattr(case, "loss_perfect", 1.0)) < 1e-9
    if free and len(fields(case.out.raw)) == 1:
        return False  # it has none: a perfect output costs nothing
    name = "user, reconstruction alone"
    arm = case.arms["terms"] = arms.run(case, name, recon=True, fresh=fresh)
    return arm.finite and arm.r2 >= case.limits["fit.works"]


def _judge(case, user, adam, low, high, fresh):
    limits, lr = case.limits, rate(case)
    if _in_earnest(case):
        return
    best = max((a for a in (adam, low, high) if a), key=lambda a: a.r2)
    works, fails = limits["fit.works"], limits["fit.fails"]
    if not user.finite and not user.trouble:
        calmer = low.finite or adam.finite
        if not (calmer and not low.finite):
            nonfinite(case, user, severe=not calmer)
    large = not user.finite and (low.finite or adam.finite)
    large = large or (
        user.r2 < fails and low.r2 >= max(0.5 * works, 2 * user.r2, fails)
    )
    falls = user.drop > 0.02 * abs(user.losses[0]) if user.losses else False
    sizes = [a.r2 for a in (user, low, high) if a and a.finite]
    matters = len(sizes) < 3 or max(sizes) - min(sizes) > 0.01
    large = large or (
        user.update > limits["step.large"]
        and user.r2 < fails
        and adam.r2 >= works
        and matters  # if not, it is something else that the user's step does
        and not (falls and high and high.r2 > user.r2 + 0.1)
    )
    calm = case.arms.get("weight_decay=0")
    large = large and not (calm and calm.r2 >= works)  # the decay, not the step
    large = large and not _terms_at_fault(case, fresh)
    table = {a.name: round(a.r2, 3) for a in (user, low, high, adam) if a}
    kind = type(case.program.optimizers[0]).__name__
    evidence = {
        "where": f"{kind}, lr={lr:g}",
        "R² on 16 images by arm": table,
        "update-to-weight ratio": user.update,
    }
    if large and not user.trouble:
        good = min(1e-3, lr / 100)
        if low.r2 >= works:
            good = lr / 10 if low.name == "lr/10" else lr / 100
        rates = [good, lr / 10, lr / 100, min(1e-3, lr / 100)]
        cures = [(kind, rate) for rate in dict.fromkeys(rates)]
        cure, good, r2 = ahead.best_rate(case, [*cures, ("Adam", 1e-3)])
        later = ahead.look(case)  # the user's own, on the same batches
        if later is not None and max(later.r2[1:3], default=0) > max(r2 - 0.1, works):
            return
        case.find(
            "step.too-large",
            "error",
            {
                "statistic": f"R² after {user.steps} steps on 16 images",
                "value": user.r2,
                "threshold": fails,
                **evidence,
            },
            "Not the network and not the loss: the same weights, data and loss reach "
            f"{best.r2:.2f} with {best.name}.",
            f"optimizer = torch.optim.{cure}(model.parameters(), lr={good:.1g})"
            f"  # now {kind}, lr={lr:g}",
            "The loss falls in most steps, and the updates are below a hundredth of "
            "the "
            "weights.",
        )
        return
    if user.r2 < fails and adam.r2 >= works and emptied(case, low):
        return
    drop = max((a.drop for a in (adam, high) if a and a.finite), default=0.0)
    share = user.drop / drop if drop > 0 else 1.0
    stuck = user.r2 < fails and adam.r2 >= works and matters  # at the mean image
    later = ahead.look(case)  # nor do three hundred steps on its own batches help
    rests = later is not None and later.steps >= ahead.EVERY and later.r2[-1] < fails
    rests = rests and not later.cut_short
    rests = rests or user.least < limits["step.small"]
    stuck = stuck and low.r2 <= max(user.r2, 0) + 0.05 and rests
    if stuck:  # the common mean falls first: count what is learned beyond it
        share = min(share, max(user.r2, 0.0) / adam.r2)
    case.measured["step.progress"] = share
    faster = high is not None and high.finite and high.drop > 3 * max(user.drop, 0)
    rises = bool(user.losses) and user.drop < -0.02 * abs(user.losses[0])
    least = limits["step.progress"]
    if user.update < limits["step.small"] and high and high.r2 > works + user.r2:
        least = max(least, limits["step.confirmed"])  # three measurements agree
    slow = share < least and best.r2 >= fails and not rises
    slow = slow and not (calm and calm.r2 >= works)
    slow = slow and not (case.trained and getattr(case, "touched", False))
    slow = slow and (faster or stuck or user.update < limits["step.small"])
    if slow:
        cures = [("Adam", 1e-3), (kind, 1e-3), (kind, lr * 10), (kind, lr * 100)]
        if high and high.r2 >= works:
            cures.insert(0, cures.pop(2))
        cure, good, _ = ahead.best_rate(case, list(dict.fromkeys(cures)))
        rising = later is not None and later.steps > 0 and later.cut_short
        case.find(
            "step.too-small",
            "info" if rising and user.update > limits["step.small"] else "error",
            {
                "statistic": f"fall of the loss in {user.steps} steps, of the best",
                "value": share,
                "threshold": least,
                **evidence,
            },
            "Not a dead signal: the same weights and data learn at once with "
            f"{best.name} (R² {best.r2:.2f}).",
            _scheduled(user, good)
            or _clipped(case)
            or f"optimizer = torch.optim.{cure}(model.parameters(), lr={good:.1g})"
            f"  # now {kind}, lr={lr:g}",
            "The loss falls visibly within the first hundred steps.",
        )


def _clipped(case):
    """Return what to do about gradients that the step makes far shorter, or ""."""
    if case.shortened is None:
        return ""
    return (
        f"clip at the usual norm of the gradients, max_norm={case.shortened:.1g}: "
        "at present the step makes every gradient far shorter"
    )


def _scheduled(user, good):
    """Return what to do about a rate that a schedule moves from step to step, or ""."""
    first, last = user.rates
    if last < first / 3:
        return (
            "call scheduler.step() once an epoch, not after every batch: within "
            f"{user.steps} steps the rate falls from {first:g} to {last:.2g}"
        )
    if last > 3 * first:
        return (
            f"shorten the warm-up, or begin higher, towards {good:.1g}: after "
            f"{user.steps} steps the rate is {last:.2g}, from {first:g}"
        )
    return ""
