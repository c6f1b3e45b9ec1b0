"""Say what is wrong with an autoencoder, with the measurement that shows it.

`examine` reads the program once and calls the stages in order, each a module that adds
findings to a `case.Case`; `reasoning` then sets aside what a proven cause explains.

    state, program, sample, trace    run it safely, and follow a batch through the model
    case, starts, linear, thresholds measurements that several checks share,
      limits_first, limits_trained   and the limits they are held to
    data_checks, missing, order,     what the loop consumes
      pairs, corruptions, noise,
      layout, rows, series
    ranges, losses, own_loss,        what output and loss can reach
      scores, prices, edges
    wiring, unoptimised, loop,       gradients, parameters and the user's own step
      watching, shown
    signals, scales, units, affine   the first forward pass
    arms, steps, nonfinite           short fits that differ in one factor
    vae, logvars, penalties, terms,  the further terms of the loss
      constants, jacobians, shrinkage
    capacity, texture, strides,      what a trained model does
      fits, modes, probes
    ahead, hints                     more training on a copy, and what came close
    reasoning, report, figure        from findings to a report
"""

import math

import torch

from . import (
    acquittal,
    capacity,
    data_checks,
    fits,
    hints,
    jacobians,
    loop,
    missing,
    order,
    own_loss,
    pairs,
    ranges,
    shrinkage,
    signals,
    steps,
    vae,
    wiring,
)
from .case import Case
from .program import Clock, Program
from .reasoning import settle
from .report import Finding, Report
from .sample import main_tensor, read
from .thresholds import THRESHOLDS, Threshold, looser, resolve

__all__ = ["THRESHOLDS", "Finding", "Report", "Threshold", "check_quickly", "examine"]

STAGES = (
    data_checks.check,
    ranges.check,
    wiring.check,
    loop.check,
    signals.check,
    steps.check,
    shrinkage.check,
    signals.confirm,
    wiring.confirm,
    vae.check,
    jacobians.check,
    capacity.check,
    fits.check,
    capacity.narrow,
)
LATER = (ranges.check, wiring.check, vae.check, capacity.check, fits.check)


def examine(
    model,
    batches,
    *,
    loss=None,
    optimizer=None,
    step=None,
    pair=None,
    eval_batches=None,
    history=None,
    labels=None,
    thresholds=None,
    budget_seconds=20,
    seed=0,
):
    """Examine an autoencoder, its data and its training step.

    `model` returns x_hat, a tuple (x_hat, mu, logvar) or a dict or dataclass with
    those names. `batches` is what training consumes in one epoch; `loss` maps (model
    output, target) to a scalar; `step` is (model, batch) -> float, and without a `loss`
    that of the step is read out of it; `pair` maps a batch to (input, target).
    Everything is left as it was found. Returns a `Report`.
    Time that is left goes to a second look, which adds what else it could be, as
    information: what came close to a limit, and what more training would show.
    Raises ValueError when there is no autoencoder or there are no batches.

    >>> from torch import nn, rand
    >>> net = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 64))
    >>> examine(net, [255 * rand(32, 64)], budget_seconds=0).codes[0]
    'data.scale'
    """
    clock = Clock(budget_seconds)
    program = Program(
        model,
        batches,
        loss=loss,
        optimizer=optimizer,
        step=step,
        pair=pair,
        seed=seed,
        clock=clock,
    )
    limits = resolve(thresholds)
    try:
        with program.trial():
            sample = read(program.batches, program.pair)
        evaluated = None
        if eval_batches is not None:
            several = [eval_batches] if torch.is_tensor(eval_batches) else eval_batches
            with program.trial():
                evaluated = read(several, program.pair, seconds=1.0)
        if budget_seconds > 0 and sample.trouble is None:
            own_loss.learn(program, sample.raw)
        data = {"evaluated": evaluated, "history": history, "labels": labels}
        case = Case(program, sample, limits, **data)
        report = _report(case)
        readable = sample.raw and sample.trouble is None
        if budget_seconds > 0 and readable and case.traced:

            def again(looser_limits):
                if looser_limits:
                    second = Case(program, sample, looser(thresholds), **data)
                    second.kept = case.kept  # the same trainings, done once
                    return _report(second)
                rest = {**data, "history": None}
                grown = program.again()
                own_loss.learn(grown, sample.raw)
                later = Case(grown, sample, limits, **rest)
                later.arms = getattr(case, "arms", {})
                return _report(later, LATER)

            acquittal.hear(report, case)
            hints.add(report, case, again)
            report.seconds = clock.spent
        return report
    finally:
        program.snapshot.restore()


def check_quickly(model, batches, **options):
    """Run the static and one-batch checks alone, for use during training.

    Takes the arguments of `examine`; costs a few forward passes.
    """
    return examine(model, batches, **{**options, "budget_seconds": 0})


def _report(case, stages=STAGES):
    program = case.program
    if not case.sample.raw or case.sample.trouble is not None:
        missing.check(case)
        order.order(case)
        pairs.check(case)
        kept, aside = settle(case.findings)
        return Report(kept, checked=case.checked, seconds=program.clock.spent)
    _must_be_autoencoder(case)
    _ = case.is_vae, _trained(case)  # now, as a trial within a trial would end both
    for stage in stages:
        try:
            stage(case)
        except Exception as problem:  # one check must not cost the others
            name = stage.__module__.rsplit(".", 1)[-1]
            case.notes.append(
                f"the {name} checks stopped: {type(problem).__name__}: {problem}"
            )
    _raised(case)
    kept, aside = settle(case.findings, _trained(case))
    table = {}
    if case.sample.inputs:
        try:
            table = fits.baselines(case)
        except RuntimeError as problem:
            case.notes.append(f"no baselines: {problem}")
    _pictures(case, table)
    unchecked = {k: v for k, v in case.unchecked.items() if k not in case.checked}
    return Report(
        kept,
        table,
        case.checked,
        unchecked,
        aside,
        case.measured,
        case.notes,
        program.clock.spent,
        case.pictures,
    )


def _trained(case):
    """Tell whether the model has been trained; False where that cannot be seen."""
    try:
        return case.trained
    except Exception:
        return False


def _must_be_autoencoder(case):
    """Raise ValueError when the output cannot be a reconstruction."""
    if case.traced is None:
        return
    x_hat = case.out.x_hat
    if x_hat is None:
        raise ValueError(
            "no autoencoder: the model returned "
            f"{type(case.out.raw).__name__} without x_hat, recon or reconstruction"
        )
    width = main_tensor(case.source)[0].numel()
    if x_hat.ndim < 2 or x_hat[0].numel() < 0.3 * min(width, case.target[0].numel()):
        raise ValueError(
            f"no autoencoder: an output of shape {tuple(x_hat.shape[1:])} cannot "
            f"reconstruct an input of shape {tuple(main_tensor(case.source).shape[1:])}"
        )


def _raised(case):
    """Turn an exception of the model into a finding, unless one explains it."""
    problem = case.forward_trouble
    if problem is None or any(f.severity == "error" for f in case.findings):
        return
    shape = list(main_tensor(case.source).shape[1:])
    text = f"{type(problem).__name__}: {problem}"
    first = next(case.program.model.parameters(), None)
    dtype = main_tensor(case.source).dtype
    if first is not None and first.dtype != dtype and "type" in text:
        code, remedy = "data.scale", f"x = x.to({first.dtype})  # it is {dtype}"
    elif any(word in text for word in ("size", "shape", "channels", "dim")):
        code = "data.layout"
        remedy = f"give the model the shape it expects; a sample has {shape}"
    else:
        code, remedy = "wiring.mode", "mend forward: it must run on a batch as it is"
    case.find(
        code,
        "error",
        {
            "statistic": "the model raised",
            "value": text[:200],
            "threshold": "no error",
            "where": f"model(input), one sample has shape {shape}",
        },
        "Not the training: the forward pass itself does not run on this data.",
        remedy,
        "model(batch) returns an output of the shape of the batch.",
    )


def _pictures(case, table):
    """Keep what the figure draws."""
    pictures = case.pictures
    pictures["history"] = {k: list(v) for k, v in case.history.items()}
    pictures["baselines"] = table
    if case.out is None or case.out.x_hat is None:
        return
    if case.codes is not None:
        pictures["codes"] = case.codes[:, :2000].cpu().numpy()
    x_hat = case.reconstruct(case.source)
    shape = case.picture_shape
    if x_hat is not None and x_hat.shape == case.flat.shape and shape is not None:
        for name, rows in (
            ("target", case.flat[:6]),
            ("output", x_hat[:6]),
            ("mean", case.mean_image[None]),
        ):
            pictures[name] = rows.cpu().reshape(-1, *shape).numpy()
    pictures["r2"] = case.r2_now if math.isfinite(case.r2_now) else None
