"""How training went: baselines, modes, the mean image, too short and too long."""

import math

from . import ahead, modes, probes, scores
from . import sample as samples
from .case import PROBE, join
from .linear import pca_r2


def baselines(case):
    """Fill in the table that every other number is read against."""
    t = case.t.flatten(1)
    mean, median = t.mean(0), t.median(0).values
    base = (t - mean).square().mean().item()

    def row(error):
        return {
            "error": error,
            "r2": 1 - error / base if base > 1e-12 else float("nan"),
        }

    table = {
        "zero image (MSE)": row(t.square().mean().item()),
        "mean image (MSE)": row(base),
        "median image (L1)": {"error": (t - median).abs().mean().item(), "r2": None},
    }
    if t.min() >= 0 and t.max() <= 1 and base > 0:
        p, q = t.clamp(1e-7, 1 - 1e-7), mean.clamp(1e-7, 1 - 1e-7)
        floor = -(t * p.log() + (1 - t) * (1 - p).log()).mean().item()
        flat = -(t * q.log() + (1 - t) * (1 - q).log()).mean().item()
        table["mean image (BCE)"] = {"error": flat, "r2": None}
        table["entropy floor (BCE)"] = {"error": floor, "r2": None}
    if case.out is not None and case.code[0] is not None and base > 1e-12:
        k = case.codes.shape[1]
        best = pca_r2(case.t, k)
        if best is not None:
            table[f"PCA-{k}, held out (MSE)"] = {"error": (1 - best) * base, "r2": best}
    if math.isfinite(case.r2_now):
        table["this model (MSE)"] = {
            "error": (1 - case.r2_now) * base,
            "r2": case.r2_now,
        }
    return table


def check(case):
    """Read the modes, the outputs, the history and the features."""
    modes.check(case)
    mean_image(case)
    lengths(case)
    if not case.has("fit.undertrained", "fit.overfit"):
        short(case)
    probes.check(case)


def mean_image(case):
    """Tell whether a trained model returns one image for all inputs."""
    begun = 0 < case.steps_taken < 50 and case.epochs < 3
    if not case.trained or begun:
        case.skip("the model is untrained", "fit.mean-image")
        return
    if scores.any_order(case):
        case.skip("the loss takes rows in any order", "fit.mean-image")
        return
    x_hat = case.reconstruct(case.source)
    if x_hat is None or x_hat.shape != case.flat.shape:
        return
    case.did("fit.mean-image")
    own = x_hat.var(0).mean().sqrt().item()
    data = case.flat.var(0).mean().sqrt().item()
    variation = own / max(data, 1e-12)
    r2, limits = case.r2_now, case.limits
    case.measured["mean.variation"] = variation
    if not (r2 < limits["mean.r2"] and variation < limits["mean.variation"]):
        return
    if data < 1e-5:
        return
    case.find(
        "fit.mean-image",
        "error",
        {
            "statistic": "deviation of outputs across inputs, of the data's",
            "value": variation,
            "threshold": limits["mean.variation"],
            "where": "output",
            "R²": r2,
        },
        "Not a blurry fit: the output hardly depends on the input, whatever the loss "
        "says.",
        _cure(case),
        "R² over the mean image rises above 0.3.",
    )


def _cure(case):
    """Name the change that lets 16 images be fitted, if an arm has found one."""
    arms, works = getattr(case, "arms", {}), case.limits["fit.works"]
    for name in ("weight_decay=0", "nn.Dropout(p=0)"):
        if name in arms and arms[name].r2 >= works:
            return f"{name}  # with it the same network fits 16 images"
    if getattr(case, "touched", False):
        return (
            "drop what changes the weights after optimizer.step(), as clamp_: with "
            "the step alone the same network can learn"
        )
    user, adam = arms.get("user"), arms.get("adam fresh", arms.get("adam"))
    if user and adam and user.r2 < works <= adam.r2:
        line = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"
        return f"{line}  # with it the same network fits 16 images"
    recon = arms.get("recon")
    if recon is not None and recon.r2 >= works:
        return "loss = F.mse_loss(x_hat, x)  # without the further terms it learns"
    return (
        "mend the cause named above; if none is named, fit 16 images until R² passes "
        "0.9 before training on all"
    )


def lengths(case):
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


def short(case):
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
