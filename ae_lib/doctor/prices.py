"""What the loss charges for one kind of error, of what it charges for another."""

import torch

from . import sample as samples
from . import terms


def check(case):
    """Ask whether all parts of the error count, and whether they are reduced alike."""
    found = _prices(case)
    if found is None:
        return
    shift, board = found["shift"], found["board"]
    grown = {
        kind: twice / once if once > 0 else 1.0
        for kind, (once, twice) in {"shift": shift, "board": board}.items()
    }
    case.measured["prices"] = {"shift": shift, "board": board}
    low, high = min(grown.values()), max(grown.values())
    mixed = low > 0.5 and high > case.limits["terms.growth"] * low
    share = board[0] / shift[0] if shift[0] > 0 else 1.0
    limit = case.limits["loss.drowned"]
    if not mixed and share < limit:
        return
    if mixed:
        row = ("growth of prices with the batch given twice", list(grown.values()))
        why = "one term is a sum over the batch and another is a mean"
    else:
        row = ("price of a pattern of single pixels, of that of a shift", share)
        why = "one term is a sum over the image and another is a mean, or its weight "
        why += "is far too large"
    case.find(
        "loss.scale",
        "error",
        {
            "statistic": row[0],
            "value": row[1],
            "threshold": "alike" if mixed else limit,
            "where": "loss(model_output, target): a shift of all pixels, and edges",
        },
        f"Not a slow start: {why}, so that one part of the error drowns the other.",
        "loss = F.mse_loss(x_hat, x)  # and then + weight * term.mean(), reduced over "
        "the same axes as the error",
        "Both prices are of one size, and giving the batch twice leaves them so.",
    )


def _prices(case):
    """Return what a shift and a pattern of single pixels cost, the batch once, twice.

    None where that says nothing: no loss, no picture, or a loss with a fault.
    """
    if "prices" not in case.kept:
        case.kept["prices"] = _measured(case)
    return case.kept["prices"]


def _measured(case):
    shape, program = case.picture_shape, case.program
    if shape is None or program.loss is None or shape[2] in (1, 3, 4):
        return None
    if case.out is None or case.out.x_hat.numel() != case.target.numel():
        return None
    if case.has("loss.domain") or not hasattr(case, "loss_perfect"):
        return None
    rows, columns = torch.arange(shape[1])[:, None], torch.arange(shape[2])
    board = (1.0 - 2.0 * ((rows + columns) % 2)).expand(shape)
    size = 0.2 * case.flat.std().item()
    kinds = {"shift": torch.ones(shape), "board": board}
    try:
        found = {
            name: [_price(case, size * pattern, times) for times in (1, 2)]
            for name, pattern in kinds.items()
        }
    except (RuntimeError, ValueError):  # outside the loss's domain
        return None
    lost_in_rounding = 1e-5 * abs(case.loss_perfect) + 1e-12
    return found if found["shift"][0] > lost_in_rounding else None


def _price(case, pattern, times=1):
    """Return what the loss charges for a perfect output with a pattern added.

    Half of both directions, so that a slope of the loss there does not count.
    """
    program, size = case.program, pattern.abs().max().item()
    with program.trial(True), torch.no_grad():
        source, target = case.pair
        if times > 1:
            source, target = program.pair(samples.repeat(case.batch, times))
        raw = program.forward(source).raw
        base = torch.cat([terms.goal(case)] * times)
        if case.bounds[0] == "Sigmoid" and program.link != "logit":
            base = base.clamp(size, 1 - size)
        pattern = pattern.to(base).reshape(base.shape[1:])
        up, down, as_is = (
            float(program.loss_of(program.replaced(raw, x_hat=x), target))
            for x in (base + pattern, base - pattern, base)
        )
    return (up + down) / 2 - as_is


def blind(case):
    """Ask whether the loss notices the finest detail: a pattern of single pixels.

    It is compared with a shift of the whole image by as much.
    """
    found = _prices(case)
    gap = abs(getattr(case, "loss_mean", 0) - getattr(case, "loss_perfect", 0))
    if found is None or not found["shift"][0] > 1e-4 * gap:
        return False
    share = found["board"][0] / found["shift"][0]
    case.measured["loss of single pixels"] = share
    if not share < case.limits["blur.blind"]:
        return False
    case.find(
        "fit.blurry",
        "error",
        {
            "statistic": "price of a pattern of single pixels, of that of a shift of "
            "the whole image by as much",
            "value": share,
            "threshold": case.limits["blur.blind"],
            "where": "loss(model_output, target)",
        },
        "Not the decoder and not the code: the loss does not see the fine detail, so "
        "nothing asks for it.",
        "loss = F.mse_loss(x_hat, x)  # of the images at their full size",
        "The share rises above a half, and with training the fine detail comes.",
    )
    return True
