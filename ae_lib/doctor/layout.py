"""Whether images are folded the right way: neighbours must be alike."""

import math

import torch

from . import series
from .linear import components


def neighbours(images):
    """Return the correlation of neighbouring pixels along H and along W.

    `images` is (N, C, H, W). Differences from the mean image are correlated, so
    that a fixed background does not count. NaN where nothing varies.
    """
    pixels = images.double() - images.double().mean(0, keepdim=True)
    power = pixels.square().mean().item()
    if power < 1e-14:
        return float("nan"), float("nan")

    def corr(a, b):
        scale = (a.square().mean() * b.square().mean()).sqrt().item()
        return (a * b).mean().item() / (scale + 1e-20)

    down = corr(pixels[:, :, 1:], pixels[:, :, :-1])
    across = corr(pixels[..., 1:], pixels[..., :-1])
    return down, across


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
    for op in case.ops:
        if op.weighted and op.kind == "conv2d" and op.entry is not None:
            views.append((f"what {op} receives", op.entry.detach().float().cpu()))
            break
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
        now = neighbours(images)
        case.measured.setdefault("neighbours", list(now))
        best = _better(images, case, now)
        if best is None:
            if _interlaced(case, images, where):
                return
            if where == "target" and _scattered(case, images, where):
                return
            continue
        remedy, then = best
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


def rough(pair):
    """Return the mean roughness, 1 - correlation, along both axes."""
    return 1 - (pair[0] + pair[1]) / 2


def _better(images, case, now):
    """Return (remedy, correlations) of a clearly smoother folding, or None."""
    shape, here = tuple(images.shape[1:]), rough(now)
    if not math.isfinite(here) or here < 0.08:
        return None
    best, remedy, pair = here, None, None
    for text, fold in foldings(shape):
        try:
            other = neighbours(fold(images.contiguous()))
        except RuntimeError:
            continue
        if math.isfinite(rough(other)) and rough(other) < best - 1e-6:
            best, remedy, pair = rough(other), text, other
    if remedy is None or best > case.limits["layout.gain"] * here:
        return None
    return (remedy, pair) if best < 0.35 else None


def _interlaced(case, images, where):
    """Report rows that resemble the next but one more than the next.

    Likeness falls with distance in an image; where it comes back, the rows of several
    pieces lie between each other, because the memory was cut at another width.
    """
    pixels = images.double() - images.double().mean(0, keepdim=True)
    for axis, name in ((2, "down"), (3, "across")):
        n = pixels.shape[axis]
        if n < 12:
            continue
        near, *far = (_lag(pixels, axis, k) for k in (1, 2, 3, 4))
        step = max(range(3), key=lambda i: far[i])
        if not (far[step] >= 0.5 and far[step] >= near + 0.1):
            continue
        case.find(
            "data.layout",
            "error",
            {
                "statistic": f"correlation of rows {name}, at distance 1 to 4",
                "value": [round(v, 3) for v in (near, *far)],
                "threshold": "falling",
                "where": where,
            },
            f"Not texture: rows at distance {step + 2} are more alike than neighbours, "
            "in every image.",
            "cut or fold with x.unfold(...) or x.permute(...) before x.reshape(...)",
            "The correlation falls with distance, and the picture looks right.",
        )
        return True
    return False


def _lag(pixels, axis, k):
    """Return the correlation of pixels at distance k along an axis.

    Each pixel counts alike, so that a fixed pattern of bright and dark rows does not.
    """
    spread = pixels.square().mean(0).sqrt()
    pixels = pixels / spread.clamp(min=0.03 * spread.max() + 1e-12)
    n = pixels.shape[axis]
    a, b = pixels.narrow(axis, k, n - k), pixels.narrow(axis, 0, n - k)
    scale = (a.square().mean() * b.square().mean()).sqrt().item()
    return (a * b).mean().item() / (scale + 1e-20)


def local(images):
    """Return the neighbour correlation once each image's own mean is taken out."""
    return neighbours(images - images.mean((2, 3), keepdim=True))


def _scattered(case, images, where):
    """Report structured data without local structure that is fed to convolutions."""
    conv = [o for o in case.ops if o.weighted and o.kind.startswith("conv")]
    if not conv or len(images) < 48 or min(images.shape[2:]) < 8:
        return False
    now = local(images)
    case.measured["layout.local"] = list(now)
    limit = case.limits["layout.local"]
    if not max(now) < limit:
        return False
    flat = images.flatten(1).double()
    half = len(flat) // 2
    mean, basis, _ = components(flat[:half], 8)
    rest = flat[half:] - mean
    share = (rest @ basis).square().sum().item() / rest.square().sum().item()
    if share < 0.25:
        return False
    case.find(
        "data.layout",
        "error",
        {
            "statistic": "correlation of neighbouring pixels, down and across",
            "value": [round(v, 3) for v in now],
            "threshold": limit,
            "where": where,
            "variance in 8 principal components": share,
        },
        "Not noise: few components describe the data, but neighbours have nothing in "
        "common, so the axes were mixed when the array was reshaped.",
        "x = x.permute(...)  # move the axes; reshape only cuts the memory anew",
        "Neighbours correlate at 0.5 or more, and the picture looks right.",
    )
    return True


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
