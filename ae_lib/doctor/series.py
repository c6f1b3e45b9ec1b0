"""Whether series (N, channels, length) are folded the right way."""

import torch
from torch import nn

from .sample import main_tensor


def along(values, axis):
    """Return the correlation of neighbours along an axis, less each place's mean."""
    v = values.double() - values.double().mean(0)
    n = v.shape[axis]
    a, b = v.narrow(axis, 1, n - 1), v.narrow(axis, 0, n - 1)
    scale = (a.square().mean() * b.square().mean()).sqrt().item()
    return (a * b).mean().item() / (scale + 1e-20)


def rearranged(a, b):
    """Tell whether two tensors hold the same values in other places."""
    same = a.numel() == b.numel()
    return same and torch.equal(a.flatten().sort()[0], b.flatten().sort()[0])


def seams(v):
    """Return how alike the end of each row and the beginning of the next are.

    Two numbers: within recordings, were they T moments of one channel after another,
    and between these. Channels cut into rows go on where the last row ends, but not
    from one channel to the next; one recording in frames goes on everywhere, and the
    channels of a moment nowhere.
    """
    n, rows, columns = v.shape
    cut = torch.stack([v[:, :-1, -1], v[:, 1:, 0]], 2)  # (N, rows - 1, 2)
    between = (torch.arange(1, rows) * columns) % rows == 0
    return [along(cut[:, at], 2) if at.any() else 0.0 for at in (~between, between)]


def over_time(model, v):
    """Tell whether a recurrent network reads v (N, T, F) moment by moment."""
    first = next((m for m in model.modules() if isinstance(m, nn.RNNBase)), None)
    return bool(first and first.batch_first and first.input_size == v.shape[2])


def check(case):
    """Compare what runs along the last axis with other readings of the same numbers.

    Recordings are smooth in time; a reshape where a permute was meant puts the
    channels of one moment side by side. Returns whether that was found.
    """
    first = next((o for o in case.ops if o.weighted and o.entry is not None), None)
    if first is None:
        return False
    seen = first.entry.detach().float().cpu()
    views = [("input", case.x)]
    if first.kind == "conv1d":
        given = main_tensor(case.source).float().cpu()
        views.insert(0, (f"what {first} receives", seen))
        if seen.shape != given.shape and rearranged(seen, given):
            views.pop()  # the model turns it round: what counts is what comes of it
    for where, values in views:
        v = values[:256]
        if v.ndim != 3 or min(v.shape[1:]) < 2 or max(v.shape[1:]) < 8:
            continue
        n, rows, columns = v.shape
        conv = first.kind == "conv1d"
        now = along(v, 2) if conv else max(along(v, 1), along(v, 2))
        readings = {
            f"x = x.reshape(-1, {columns}, {rows}).permute(0, 2, 1)": along(
                v.reshape(n, columns, rows), 1
            ),
            f"x = x.permute(0, 2, 1).reshape(-1, {rows}, {columns})": along(
                v.permute(0, 2, 1).reshape(n, rows, columns), 2
            ),
        }
        if conv and rows > columns >= 2:
            readings["x = x.permute(0, 2, 1)"] = along(v, 1)
        if not conv and over_time(case.program.model, v):
            now, whole = along(v, 1), along(v.reshape(n, columns, rows), 2)
            within, between = seams(v)
            cut = within > 0.75 and between < within - 0.3
            readings = {next(iter(readings)): whole if cut else now}
        remedy, then = max(readings.items(), key=lambda row: row[1])
        if 1 - then > case.limits["layout.gain"] * (1 - now) or then < 0.75:
            continue
        if now > (case.limits["layout.smooth"] if "reshape" in remedy else 0.35):
            continue
        case.find(
            "data.layout",
            "error",
            {
                "statistic": "correlation of neighbours in time",
                "value": round(now, 3),
                "threshold": round(1 - case.limits["layout.gain"] * (1 - now), 3),
                "where": where,
                "refolded": round(then, 3),
            },
            "Not noise: the very same values, folded the other way, are as smooth as "
            "recordings are.",
            remedy,
            "Neighbours in time correlate, and a plot of one channel looks right.",
        )
        return True
    return False
