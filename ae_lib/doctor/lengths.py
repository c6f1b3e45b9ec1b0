"""Whether a training was too short or too long, by its history and by its gaps."""

import math

import torch

from . import ahead, scores
from . import sample as samples
from .case import PROBE, join
from .linear import pca_r2
from .nonfinite import rate


def check(case):
    """Read the history, then train a copy further where that may tell more."""
    _history(case)
    if not case.has("fit.undertrained", "fit.overfit"):
        _short(case)


def _history(case):
    """Read undertraining and overfitting from the history."""
    train = _series(case, "train_loss") or _series(case, "loss")
    val = _series(case, "val_loss")
    if not train and not val:
        case.skip("no history was given", "fit.undertrained", "fit.overfit")
        _gap(case)
        return
    case.did("fit.undertrained", "fit.overfit")
    floor = min(getattr(case, "loss_perfect", 0.0), min(train or val))
    if len(train) >= 3:
        _undertrained(case, train, floor, val)
    if len(val) >= 4:
        _overfit(case, train, val, floor)
    if not case.has("fit.overfit"):
        _gap(case)


def _melted(case, later):
    """Report steps that no longer move a poor fit, where larger ones do.

    As after a schedule that was called too often.
    """
    best = None if case.codes is None else pca_r2(case.t, case.codes.shape[1])
    lr, now = rate(case), later.r2[0]
    if (
        best is None
        or lr is None
        or not lr < case.limits["melted.rate"]
        or now > best - 0.2
    ):
        return
    kind = type(case.program.optimizers[0]).__name__
    cure, good, r2 = ahead.best_rate(case, [(kind, 1e-3), ("Adam", 1e-3)])
    if not r2 > now + 0.03:
        return
    case.find(
        "step.too-small",
        "error",
        {
            "statistic": f"R² gained by {later.steps} more steps of its own",
            "value": later.gain,
            "threshold": case.limits["melted.gain"],
            "where": f"{kind}, lr={lr:.2g}",
            f"R² now, and after 150 steps at lr={good:g}": [now, r2],
            "R² of PCA with as many numbers": best,
        },
        "Not the end of what the network can do: larger steps go on from here.",
        "call scheduler.step() once an epoch, not after every batch: the rate is "
        f"{lr:.2g} now; {cure} at {good:g} goes on",
        "R² rises again, towards that of PCA or beyond.",
    )


def _short(case):
    """Ask whether a poor fit was only stopped too soon: train a copy further.

    Where a few hundred steps of the program's own repair what went before, the length
    was the fault. A history that had come to rest says otherwise.
    """
    symptoms = ("fit.mean-image", "fit.blurry", "code.too-small")
    known = [f.code for f in case.findings if f.severity != "info"]
    program = case.program
    if not case.trained or not (program.step or program.optimizer):
        return
    if scores.any_order(case):
        return
    if not case.epochs and case.unused:
        return  # a good start, and not a training that was stopped
    if not (case.epochs or case.stepped or case.steps_taken) and _alike(case):
        return
    if any(code not in symptoms for code in known) or program.clock.left < 6:
        return
    slope = case.measured.get("under.slope", 1.0)
    rest = case.epochs > 5 and slope < 0.2 * case.limits["under.slope"]
    poor = known or case.r2_now < case.limits["under.r2"]
    if not poor or (case.epochs and rest):
        return
    later = ahead.look(case)
    if later is None or later.steps < ahead.EVERY:
        return
    case.did("fit.undertrained")
    case.measured["further training"] = {"steps": later.steps, "r2": later.r2}
    if abs(later.gain) < case.limits["melted.gain"]:
        _melted(case, later)
        return
    if later.gain < case.limits["under.gain"] * (1 - later.r2[0]):
        return
    if case.r2_now > case.limits["under.close"]:
        return
    case.find(
        "fit.undertrained",
        "error",
        {
            "statistic": f"R² gained by {later.steps} more steps, of what was missing",
            "value": later.gain / (1 - later.r2[0]),
            "threshold": case.limits["under.gain"],
            "where": "a copy, trained further by the program's own step",
            "R² before, after": [later.r2[0], later.r2[-1]],
        },
        "Not the network, the data or the step: the very same program gets there when "
        "it goes on.",
        f"epochs = {3 * case.epochs}  # now {case.epochs}"
        if case.epochs
        else "train for several times as many epochs",
        "R² changes by less than 0.01 over the last tenth of the training.",
    )


def _middling(x_hat, goal):
    """Return the error of a middling sample."""
    return (x_hat - goal).square().mean(1).median().item()


def _alike(case):
    """Tell whether the network does as well on inputs whose values are exchanged.

    All in the same way: what was trained knows which values go together, random
    weights do not. Tied ones explain some of any data.
    """
    source = case.source
    if not torch.is_tensor(source) or source.shape != case.target.shape:
        return False
    maker = torch.Generator().manual_seed(0)
    order = torch.randperm(source[0].numel(), generator=maker).to(source.device)

    def exchanged(values):
        return values.flatten(1)[:, order].view_as(values)

    x_hat = case.reconstruct(exchanged(source))
    if x_hat is None or x_hat.shape != case.flat.shape:
        return False
    goal, mean = case.flat[:, order], case.mean_image.to(x_hat.device)[order]
    base = (goal - mean).square().mean().item()
    r2 = 1 - (x_hat - goal).square().mean().item() / max(base, 1e-12)
    return r2 > 0.7 * case.r2_now


def _series(case, name):
    values = case.history.get(name) or []
    return [float(v) for v in values if math.isfinite(float(v))]


def _undertrained(case, train, floor, val):
    n = len(train)
    span = max(1, n // 10)
    last = sum(train[-span:]) / span
    before = sum(train[-2 * span : -span]) / span
    height = max(last - floor, 1e-12)
    slope = (before - last) / height
    total = max(train[0] - floor, 1e-12)
    still = (before - last) / total
    case.measured["under.slope"] = slope
    rising = len(val) >= 4 and val[-1] > 1.02 * min(val)
    tail = train[-4:]
    falling = sum(b < a for a, b in zip(tail, tail[1:], strict=False))
    if slope < case.limits["under.slope"] or rising or falling < min(2, n - 1):
        return
    if still < 0.01 or case.r2_now > case.limits["under.fair"]:
        return
    case.find(
        "fit.undertrained",
        "warning",
        {
            "statistic": "fall of the loss in the last tenth, of what is left",
            "value": slope,
            "threshold": case.limits["under.slope"],
            "where": f"train_loss, {n} epochs",
            "R²": case.r2_now,
        },
        "Not a plateau: the loss is still falling at the end.",
        f"epochs = {3 * n}  # now {n}",
        "The loss changes by less than 1 % over the last tenth of the epochs.",
    )


def _overfit(case, train, val, floor):
    low = min(val)
    at = val.index(low)
    tail = sum(val[-2:]) / 2
    rise = (tail - min(floor, low)) / max(low - min(floor, low), 1e-12)
    rise = max(tail / low if low > 0 else rise, 1.0) if floor <= 0 else rise
    falls = not train or train[-1] < train[min(at, len(train) - 1)]
    case.measured["over.rise"] = rise
    if rise < case.limits["over.rise"] or at >= len(val) - 2 or not falls:
        return
    if tail - low < case.limits["over.jitter"] * _jitter(val):
        return
    case.find(
        "fit.overfit",
        "warning",
        {
            "statistic": "validation loss at the end over its minimum",
            "value": rise,
            "threshold": case.limits["over.rise"],
            "where": f"val_loss, lowest at epoch {at + 1} of {len(val)}",
        },
        "Not noise in the validation loss: training loss fell meanwhile.",
        f"stop at epoch {at + 1}, or add weight_decay=1e-4 or more data",
        "Validation loss ends within 5 % of its minimum.",
    )


def _jitter(values):
    """Return how far a value is from the middle of its neighbours, in the median."""
    triples = zip(values, values[1:], values[2:], strict=False)
    return sorted(abs(b - (a + c) / 2) for a, b, c in triples)[(len(values) - 2) // 2]


def _gap(case):
    """Compare the errors on training and evaluation data of a trained model."""
    if case.evaluated is None or not case.trained or case.has("data.shift"):
        return
    if not case.r2_now > 0.5 or not case.evaluated.raw:
        return
    if case.evaluated.t.shape[1:] != case.t.shape[1:]:
        return  # other sizes have another mean image
    case.did("fit.overfit")
    batch = join(case.evaluated.raw, PROBE)
    with case.program.trial():
        source, goal = case.program.pair(batch)
    goal = case.program.move(samples.main_tensor(goal)).float().flatten(1)
    x_hat = case.reconstruct(source)
    r2 = case.r2(x_hat, goal)
    ratio = (1 - r2) / max(1 - case.r2_now, 1e-9)
    case.measured["gap"] = ratio
    gap = case.r2_now - r2
    limit = case.limits["over.gap"]
    if not ((ratio > limit and gap > 0.05 * limit) or (ratio > 10 and gap > 0.05)):
        return
    if _middling(x_hat, goal) < limit / 2 * _middling(
        case.reconstruct(case.source), case.flat
    ):
        return  # a few odd samples, as a test of anomalies holds
    case.find(
        "fit.overfit",
        "warning",
        {
            "statistic": "error on evaluation data over that on training data",
            "value": ratio,
            "threshold": limit,
            "where": "eval_batches",
            "R² training, evaluation": [case.r2_now, r2],
        },
        "Not another kind of data: mean, deviation and PCA error agree.",
        "train on more images, stop earlier, or add weight_decay=1e-4",
        "Both errors agree within a factor of 1.5.",
    )
