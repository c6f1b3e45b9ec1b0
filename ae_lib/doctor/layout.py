"""Whether images are folded the right way: neighbours must be alike."""

import math

import torch

from . import rows, series
from .linear import likeness
from .sample import main_tensor


def foldings(shape):
    """Yield (how to mend it, function) for other readings of (C, H, W) images."""
    c, h, w = shape
    yield (
        f"x = x.reshape(-1, {h}, {w}, {c}).permute(0, 3, 1, 2)",
        lambda v: v.reshape(-1, h, w, c).permute(0, 3, 1, 2),
    )
    yield (
        f"x = x.permute(0, 2, 3, 1).reshape(-1, {c}, {h}, {w})",
        lambda v: v.permute(0, 2, 3, 1).reshape(-1, c, h, w),
    )
    yield (
        f"x = x.reshape(-1, {h}, {c}, {w}).permute(0, 2, 1, 3)",
        lambda v: v.reshape(-1, h, c, w).permute(0, 2, 1, 3),
    )
    yield (
        "x = x.permute(0, 3, 1, 2)  # the last axis holds the channels",
        lambda v: v.permute(0, 3, 1, 2),
    )
    yield (
        f"x = x.permute(0, 2, 1, 3).reshape(-1, {c}, {h}, {w})",
        lambda v: v.permute(0, 2, 1, 3).reshape(-1, c, h, w),
    )
    yield (
        f"x = x.reshape(-1, {h}, {w}, {c}).permute(0, 3, 2, 1)",
        lambda v: v.reshape(-1, h, w, c).permute(0, 3, 2, 1),
    )
    for other in range(max(6, h // 2), 2 * h):
        if other != h and (h * w) % other == 0 and c == 1:
            yield (
                f"x = x.reshape(-1, 1, {other}, {h * w // other})",
                lambda v, o=other: v.reshape(len(v), 1, o, -1),
            )
    # samples on the last axis: (H, W, N) reshaped to (N, H, W)
    yield (
        "x = x.permute(-1, ...)  # samples are on the last axis; move it to the front",
        lambda v: v.reshape(h, w, c, len(v)).permute(3, 2, 0, 1),
    )
    yield (
        "x = np.moveaxis(x, -1, 0)  # samples are on the last axis, not the first",
        lambda v: v.reshape(c, h, w, len(v)).permute(3, 0, 1, 2),
    )


def folded(values):
    """Return `values` as (N, C, H, W) in its present reading, or None."""
    if values.ndim == 4 and min(values.shape[2:]) >= 6:
        return values
    if values.ndim == 4 and values.shape[3] in (1, 3, 4) and values.shape[1] >= 6:
        return values
    if values.ndim == 3 and min(values.shape[1:]) >= 6:
        return values[:, None]
    return None


def check(case):
    """Test input, target and what the first convolution receives."""
    case.did("data.layout")
    if case.traced is None and _channels_last(case):
        return
    if series.check(case):
        return
    views = [("input", case.x), ("target", case.t)]
    views += _rearranged(case)
    for where, values in views:
        images = folded(values[:256])
        if images is None:
            continue
        if images.shape[1] == 3 and torch.equal(images[:, 0], images[:, 1]):
            images = images[:, :1]  # grey, repeated
        if images.shape[3] in (1, 3, 4) and images.shape[1] > 4:
            if case.traced is None or where != "input":
                continue
            images = images.permute(0, 3, 1, 2)
        now = rows.neighbours(images)
        case.measured.setdefault("neighbours", list(now))
        best = _better(images, case, now)
        if where == "target" and case.has("data.target"):
            continue  # a corruption was found there, and roughness is its mark
        if where == "input" and _corrupted(case):  # holes and noise are no layout
            if best is None or not _closer(best[2], images, case):
                continue
        if best is None:
            if rows.interlaced(case, images, where):
                return
            if where == "target" and any(
                found(case, images, where)
                for found in (rows.sheared, rows.scattered, rows.unrelated)
            ):
                return
            continue
        remedy, then, _ = best
        case.find(
            "data.layout",
            "error",
            {
                "statistic": "correlation of neighbouring pixels, down and across",
                "value": [round(v, 3) for v in now],
                "threshold": round(1 - case.limits["layout.gain"] * rough(now), 3),
                "where": where,
                "refolded": [round(v, 3) for v in then],
            },
            "Not noise: the very same values, folded the other way, are as smooth as "
            "images are.",
            remedy,
            "Neighbours correlate alike along both axes, and the picture looks right.",
        )
        return


def _rearranged(case):
    """Return what the first convolution receives, if it is the input's own values.

    A model that folds its input itself may do it wrongly; pixels that it moves into
    channels on purpose, as space-to-depth does, are no picture any more.
    """
    for op in case.ops:
        if not (op.weighted and op.kind == "conv2d" and op.entry is not None):
            continue
        entry = op.entry.detach().float().cpu()
        source = main_tensor(case.source).float().cpu()
        if entry.shape[1] > 4 or entry.numel() != source.numel():
            return []
        if torch.equal(entry.flatten(), source.flatten()):
            return []  # the input, which is judged as such
        same = series.rearranged(entry, source)
        return [(f"what {op} receives", entry)] if same else []
    return []


def _corrupted(case):
    """Tell whether the input is another version of the target, of the same shape."""
    return case.x.shape == case.t.shape and not torch.equal(case.x, case.t)


def _closer(fold, images, case):
    """Tell whether an input refolded is more like its own target than as it is."""
    goal = folded(case.t[:256])
    if goal is None or goal.numel() != images.numel():
        return False
    now = likeness(images, goal)
    return likeness(fold(images.contiguous()), goal) > now


def rough(pair):
    """Return the mean roughness, 1 - correlation, along both axes."""
    return 1 - (pair[0] + pair[1]) / 2


def _better(images, case, now):
    """Return (remedy, correlations, folding) of a clearly smoother one, or None."""
    shape, here = tuple(images.shape[1:]), rough(now)
    if not math.isfinite(here) or here < 0.08:
        return None
    best, remedy, pair, chosen = here, None, None, None
    own = images - images.mean(0)  # neighbours in a batch share the mean image
    for text, fold in foldings(shape):
        values = own if "samples" in text else images
        try:
            other = rows.neighbours(fold(values.contiguous()))
        except RuntimeError:
            continue
        price = 1.5 if "samples" in text else 1.0  # likeness by chance is cheap there
        if price * rough(other) < best - 1e-6:
            best, remedy, pair, chosen = price * rough(other), text, other, fold
    if remedy is None or best > case.limits["layout.gain"] * here:
        return None
    return (remedy, pair, chosen) if best < 0.35 else None


def _channels_last(case):
    """Report channel-last images that a convolution refused."""
    shape = tuple(case.x.shape[1:])
    spatial = any(
        isinstance(m, torch.nn.modules.conv._ConvNd)
        for m in case.program.model.modules()
    )
    if not spatial or len(shape) != 3 or shape[2] not in (1, 3, 4) or shape[0] <= 4:
        return False
    case.find(
        "data.layout",
        "error",
        {
            "statistic": "axes of one sample",
            "value": list(shape),
            "threshold": [shape[2], *shape[:2]],
            "where": f"input; the model raised {case.forward_trouble}",
        },
        "Not the architecture: the channels stand last, convolutions want them first.",
        "x = x.permute(0, 3, 1, 2)",
        f"x.shape[1:] is {(shape[2], *shape[:2])} and the model runs.",
    )
    return True
