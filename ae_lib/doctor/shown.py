"""What the step shows the model, and what it compares the answer with."""

import torch
import torch.nn.functional as F

from . import sample as samples
from .corruptions import spoiled, wrong_target


def check(case, seen):
    """Compare what the model saw in the step with what the pair says it should."""
    if seen.inputs:
        _clean(case, seen)
        _corrupted(case, seen)


def _clean(case, seen):
    """Report a corruption that is made while the model gets the clean image."""
    parts = [t.to(seen.inputs[0]) for t in samples.tensors_in(seen.raw)
             if t.is_floating_point()]  # fmt: skip
    given = seen.inputs[0]
    quiet = _draws_nothing(case)
    same = [torch.equal(given, p) for p in parts if p.shape == given.shape]
    with case.program.trial():
        source, goal = case.program.pair(seen.raw)
    source, goal = samples.main_tensor(source), samples.main_tensor(goal)
    intended = source.shape == goal.shape and not torch.equal(source, goal)
    clean = goal.shape == given.shape and torch.equal(goal.to(given), given)
    inner = {tuple(op.out.shape[1:]) for op in case.ops} - {tuple(given.shape[1:])}
    given_too = any(  # the model met something else as well, as the noise itself
        x.shape == given.shape and not any(torch.equal(x, p) for p in parts
                                           if p.shape == x.shape)
        for x in seen.inputs[: seen.first]
    )  # fmt: skip
    drawn = bool(seen.drawn - inner) and quiet and any(same) and not intended
    drawn = drawn and not given_too
    if not ((intended and clean) or drawn):
        return
    case.find(
        "data.target",
        "error",
        {
            "statistic": "difference between the model's input and the clean image",
            "value": 0.0,
            "threshold": "above 0",
            "where": "model(...) inside step",
        },
        "Not a plain autoencoder: a corruption is made, but the model is given the "
        "clean "
        "image.",
        "x_hat = model(noisy)  # not model(x)",
        "The input differs from the target, and the denoising error falls.",
    )


def _draws_nothing(case):
    """Tell whether a forward pass and the loss leave the random numbers alone."""
    with case.program.trial(True), torch.no_grad():
        state = torch.get_rng_state()
        try:
            out = case.program.forward(case.source)
            if case.program.own_loss is None:  # it draws what the step draws
                case.program.loss_of(out.raw, case.pair[1])
        except Exception:
            return False
        return torch.equal(state, torch.get_rng_state())


def _corrupted(case, seen):
    """Report a step that corrupts its batch and asks for the corrupted one back.

    The loss that the step returned is the error against what the model was given, and
    not the error against the batch as it was served.
    """
    given, raw = seen.inputs[0], samples.main_tensor(seen.raw)
    raw = case.program.move(raw)
    with case.program.trial():
        source, goal = (samples.main_tensor(t) for t in case.program.pair(seen.raw))
    paired = source.shape == goal.shape and not torch.equal(source, goal)
    if paired or given.shape != raw.shape or not raw.is_floating_point():
        return
    share = spoiled(raw, given)
    if not share or not _draws_nothing(case):
        return
    with case.program.trial(True), torch.no_grad():
        x_hat = case.program.forward(given).x_hat
    if x_hat.shape != given.shape:
        return
    loss = seen.losses[0]
    if not _matches(loss, x_hat, given) or _matches(loss, x_hat, raw):
        return
    case.did("data.target")
    wrong_target(
        case,
        "share of the values that the step has changed, in input and target alike",
        share,
        0.0,
        "model(...) and the loss inside step",
        "Not a denoiser: the loss of the first step is the error against the corrupted "
        "image, to three digits, and not that against the image as it was served.",
        "corrupt a copy, noisy = x.clone(), and compare with the clean image: "
        "loss = F.mse_loss(model(noisy), x)",
    )


def _matches(loss, x_hat, goal):
    """Tell whether a loss is one of the usual errors against a goal."""
    n, width = len(goal), goal[0].numel()
    errors = [F.mse_loss(x_hat, goal), F.l1_loss(x_hat, goal)]
    if goal.min() >= 0 and goal.max() <= 1:
        errors.append(F.binary_cross_entropy_with_logits(x_hat, goal))
        if x_hat.min() >= 0 and x_hat.max() <= 1:
            errors.append(F.binary_cross_entropy(x_hat, goal))
    every = [float(e) * by for e in errors for by in (1, width, n * width)]
    return any(abs(e - loss) < 2e-3 * abs(loss) for e in every)
