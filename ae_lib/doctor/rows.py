"""How the rows of a picture relate to each other: as in images, or not."""

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


def interlaced(case, images, where):
    """Report rows that resemble the next but one more than the next.

    Likeness falls with distance in an image; where it comes back, the rows of several
    pieces lie between each other, because the memory was cut at another width. A
    weave comes back along both axes.
    """
    pixels = images.double() - images.double().mean(0, keepdim=True)
    axes, alike = {2: "down", 3: "across"}, case.limits["layout.alike"]
    lags = {
        axis: [_lag(pixels, axis, k) for k in (1, 2, 3, 4)]
        for axis in axes
        if pixels.shape[axis] >= 12
    }
    if len(lags) == 2 and all(max(lag[1:]) > lag[0] + 0.1 for lag in lags.values()):
        return False
    for axis, (near, *far) in lags.items():
        name = axes[axis]
        step = max(range(3), key=lambda i: far[i])
        if not (far[step] >= alike and far[step] >= near + 0.1):
            continue
        if near > alike:  # neighbours are alike, too: a texture that comes back
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


def scattered(case, images, where):
    """Report structured data without local structure that is fed to convolutions."""
    if not _convolves(case) or len(images) < 48 or min(images.shape[2:]) < 8:
        return False
    now = local(images)
    case.measured["layout.local"] = list(now)
    limit = case.limits["layout.local"]
    if not max(abs(v) for v in now) < limit:  # a weave has neighbours that oppose
        return False
    flat = images.flatten(1).double()
    half = len(flat) // 2
    mean, basis, _ = components(flat[:half], 8)
    rest = flat[half:] - mean
    share = (rest @ basis).square().sum().item() / rest.square().sum().item()
    if share < case.limits["layout.share"]:
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


def _convolves(case):
    return any(o.weighted and o.kind.startswith("conv") for o in case.ops)


def sheared(case, images, where):
    """Report rows that resemble the next row once it is shifted.

    Where an array is cut at a width that is not its own, each row begins some pixels
    later in the picture than the one above.
    """
    if images.shape[1] != 1 or min(images.shape[2:]) < 12:
        return False
    pixels = images.double() - images.double().mean(0, keepdim=True)
    width = pixels.shape[3]
    flat = pixels.flatten(2)  # rows follow each other in memory
    n = flat.shape[2]

    def likeness(distance):
        a, b = flat[..., distance:], flat[..., : n - distance]
        scale = (a.square().mean() * b.square().mean()).sqrt().item()
        return (a * b).mean().item() / (scale + 1e-20)

    near = likeness(width)
    far = {w: likeness(w) for w in range(width - width // 3, width + width // 3 + 1)}
    best = max(far, key=lambda w: far[w])
    if abs(best - width) < 2 or far[best] < 0.6 or far[best] < near + 0.3:
        return False
    case.find(
        "data.layout",
        "error",
        {
            "statistic": f"correlation of pixels {width} and {best} apart in memory",
            "value": [round(near, 3), round(far[best], 3)],
            "threshold": "largest at the width of the picture",
            "where": where,
        },
        f"Not texture: each row repeats the one before, {abs(best - width)} pixels "
        "further, in every image.",
        f"a row has {best} values, not {width}: x = x.reshape(-1, 1, height, {best}), "
        "and cut off the padding afterwards",
        "Neighbours correlate alike along both axes, and the picture looks right.",
    )
    return True


def unrelated(case, images, where):
    """Report rows that are smooth and have nothing to do with the row below."""
    if not _convolves(case) or images.shape[1] > 4 or min(images.shape[2:]) < 12:
        return False
    down, across = local(images)
    low, high = sorted((down, across))
    limits = case.limits["layout.unrelated"], 0.7
    if not (low < limits[0] and limits[1] < high < 0.99):
        return False
    case.find(
        "data.layout",
        "error",
        {
            "statistic": "correlation of neighbouring pixels, down and across",
            "value": [round(down, 3), round(across, 3)],
            "threshold": limits[0],
            "where": where,
        },
        "Not noise: along one axis the picture is smooth. Along the other, neighbours "
        "come from elsewhere, as when several pictures are cut from one array.",
        "join with torch.stack, cut with x.unfold(...) or x.permute(...); reshape only "
        "cuts the memory anew",
        "Neighbours correlate alike along both axes, and the picture looks right.",
    )
    return True
