"""Losses that compare scores, logarithms or sets, no images of their targets."""

import math

import torch


def taken(case, goal, at):
    """Tell whether the lowest loss lies at scores from which the target can be read.

    `at` is the output of the lowest loss found. A softmax over an axis on which the
    targets sum to 1 becomes the program's link; scores beside other values have none.
    """
    _, low, high = case.bounds
    if math.isfinite(low) or math.isfinite(high):
        return False  # an activation before the loss is one too many
    at = at.detach().float()
    base = (goal - goal.mean(0)).square().mean()
    for axis in range(1, goal.ndim):
        if not _shares(goal, axis):
            continue
        if (torch.softmax(at, axis) - goal).square().mean() < 0.25 * base:
            case.program.link = ("softmax", axis)
            case.loss_perfect, case.loss_mean = 0.0, case.loss_now
            return True
    return _beside_others(goal.flatten(1), at.flatten(1))


def logarithms(case, goal, x_hat):
    """Tell whether outputs are logarithms of shares, as log_softmax gives them.

    The softmax of these is the shares themselves, and becomes the program's link.
    """
    x_hat = x_hat.detach().float()
    for axis in range(1, goal.ndim if goal.shape == x_hat.shape else 0):
        total = torch.logsumexp(x_hat, axis)
        if _shares(goal, axis) and total.abs().max() < 1e-3:
            case.program.link = ("softmax", axis)
            case.loss_perfect, case.loss_mean = 0.0, case.loss_now
            return True
    return False


def rates(case, value, goal, best):
    """Tell whether the loss takes logarithms of rates, as that of Poisson counts does.

    The logarithm of the target must then be as good as the best output found; the
    exponential becomes the program's link.
    """
    _, low, high = case.bounds
    if math.isfinite(low) or math.isfinite(high) or goal.min() < 0 or goal.max() <= 1:
        return False
    perfect, mean = (
        float(value(t.clamp(min=1e-3).log()))
        for t in (goal, goal.mean(0, keepdim=True).expand_as(goal))
    )
    if not perfect < best + 0.1 * (mean - perfect):
        return False
    case.program.link = ("exp", None)
    case.loss_perfect, case.loss_mean = perfect, mean
    return True


def _shares(goal, axis):
    """Tell whether targets are shares of 1 along an axis, as one-hot classes are."""
    if goal.shape[axis] < 2 or goal.min() < 0:
        return False
    return bool((goal.sum(axis) - 1).abs().max() < 1e-3)


def _beside_others(goal, at):
    """Tell whether all that is off are scores of columns of zeros and ones."""
    off = (at - goal).square().mean(0) > 0.25 * goal.var() + 1e-9
    if not off.any() or off.all():
        return False
    classes, scores = goal[:, off], at[:, off]
    if not ((classes == 0) | (classes == 1)).all():
        return False
    ones = (scores * classes).sum(0) / classes.sum(0).clamp(min=1)
    rest = (scores * (1 - classes)).sum(0) / (1 - classes).sum(0).clamp(min=1)
    return bool((ones > rest).all())


def any_order(case):
    """Tell whether the loss takes the rows of a target in any order, as of points.

    R² compares row by row then, and means little.
    """
    if "any order" not in case.kept:
        case.kept["any order"] = _any_order(case)
    return case.kept["any order"]


def _any_order(case):
    goal, program = case.target, case.program
    shape = getattr(case.out and case.out.x_hat, "shape", None)
    if program.loss is None or goal.ndim != 3 or goal.shape != shape:
        return False
    with program.trial(), torch.no_grad():
        try:
            perfect, turned, flat = (
                float(program.loss_of(program.replaced(case.out.raw, x_hat=v), goal))
                for v in (goal, goal.flip(1), goal.mean((0, 1)).expand_as(goal))
            )
        except Exception:  # another check says what the loss raises
            return False
    return abs(turned - perfect) < 1e-3 * abs(flat - perfect)
