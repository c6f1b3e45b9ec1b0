"""The grain of the output: periodic artefacts and missing detail."""

import math

import torch

from . import ahead, arms, lines, prices, strides
from .sample import main_tensor


def checkerboard(case):
    """Look for power at the period of a strided transposed convolution."""
    layers = [
        (n, m)
        for n, m in case.program.model.named_modules()
        if isinstance(m, torch.nn.ConvTranspose2d) and max(m.stride) > 1
    ]
    shape = case.picture_shape
    if not layers or shape is None or shape[2] in (1, 3, 4):
        return
    case.did("decoder.checkerboard")
    uneven = [(n, m) for n, m in layers if any(
        k % s for k, s in zip(m.kernel_size, m.stride, strict=True))]  # fmt: skip
    if strides.gaps(case, uneven):
        return
    x_hat = case.reconstruct(case.source)
    if x_hat is None or x_hat.shape[1] != torch.Size(shape).numel():
        return
    steps = 0
    if uneven and not case.trained and case.program.clock.left > 5:
        later = ahead.look(case)  # training may smooth what the first weights show
        if later is not None and later.r2[-1] > case.limits["mean.r2"]:
            x_hat, steps = later.x_hat, later.steps
    rows = _grids(case, x_hat, periods(layers, uneven))
    if not rows:
        if layers[-1] in uneven:
            strides.may_leave_a_grid(case, *layers[-1], uneven)
        return
    _, energy, peak, own, common, period = max(rows)
    name, m = uneven[-1]
    k, s = m.kernel_size[0], m.stride[0]
    case.find(
        "decoder.checkerboard",
        "warning" if case.trained or steps else "info",
        {
            "statistic": "power at the period of the grid over that nearby",
            "value": peak,
            "threshold": max(case.limits["checker.peak"], 2 * common),
            "where": name + (f", after {steps} steps on a copy" if steps else ""),
            "period, pixels": period,
            "share of the output's power": energy,
            "kernel": k,
            "stride": s,
            "share in the targets": own,
        },
        "Not texture: the targets have no peak there, and a kernel of "
        f"{k} with stride {s} covers the pixels unevenly.",
        (lines.resized(uneven) or f"nn.Upsample and a convolution from {name} on")
        + f"  # or kernels of {2 * s} with stride {s}",
        "The alternating share falls to that of the targets.",
    )


def _grids(case, x_hat, found):
    """Return the rows of the periods that the output shows and the targets do not."""
    rows, shape, limits = [], case.picture_shape, case.limits
    for period in found:
        energy, peak = grid(x_hat.reshape(-1, *shape), period)
        own, common = grid(case.flat.reshape(-1, *shape), period)
        rows.append((peak / max(common, 0.5), energy, peak, own, common, period))
        case.measured[f"grid of {period}"] = {
            "output": [energy, peak],
            "target": [own, common],
        }
    clear = limits["checker.clear"]
    return [
        row
        for row in rows
        if row[1] >= limits["checker.energy"]
        and (row[5] > 2 or row[1] >= (0.5 if row[0] > clear else 1.5) * row[3])
        and row[2] >= max(limits["checker.peak"], 2 * row[4])
    ]


def periods(layers, uneven):
    """Return the periods in output pixels at which uneven layers may leave a grid."""
    found, size, names = set(), 1, {n for n, _ in uneven}
    for name, m in reversed(layers):
        size *= max(m.stride)
        if name in names:
            found |= {q for q in range(2, size + 1) if size % q == 0}
    return sorted(q for q in found if q <= 4)


def grid(images, period=2):
    """Return (share, peak) of the power at a period of some pixels.

    The share is of the whole variance; the peak is over the mean power at frequencies
    a little lower, and for longer periods also higher. The stronger axis counts.
    """
    v = images.double()
    h, w = (n // period * period for n in v.shape[-2:])
    v = v[..., :h, :w] - v[..., :h, :w].mean((-2, -1), keepdim=True)
    down = torch.hann_window(h, periodic=True, dtype=torch.double, device=v.device)
    across = torch.hann_window(w, periodic=True, dtype=torch.double, device=v.device)
    power = torch.fft.fft2(v * down[:, None] * across).abs().square()
    power = power.flatten(0, -3).mean(0)

    def line(p):
        low = p[:, : max(2, p.shape[1] // 8)].sum(1)
        n, at = len(low), len(low) // period
        if period == 2:
            band = low[int(0.3 * n) : max(int(0.45 * n), int(0.3 * n) + 1)].mean()
        else:  # power falls with frequency, so the geometric mean of both sides
            band = (low[at - 2].clamp(min=1e-30) * low[at + 2]).sqrt()
        top = low[at]
        return (top / low.sum().clamp(min=1e-30)).item(), (top / (band + 1e-30)).item()

    return max(line(power), line(power.T))


def enlarged(case):
    """Report a decoder that ends by enlarging: what is finer cannot come out."""
    heavy = [op.index for op in case.ops if op.weighted]
    shape = case.picture_shape
    ends = [op for op in case.ops if heavy and op.index > heavy[-1]]
    ends = [op for op in ends if op.kind == "interpolate" and op.entry is not None]
    if not ends or shape is None or ends[-1].out.shape[1:] != shape:
        return
    case.did("fit.blurry")
    op, goal = ends[-1], case.flat.reshape(-1, *shape).float()
    small = torch.nn.functional.adaptive_avg_pool2d(goal, op.entry.shape[2:])
    back = torch.nn.functional.interpolate(
        small, shape[1:], mode="bilinear", align_corners=False
    )
    best, limits = r2(fine(back), fine(goal)), case.limits
    visible = fine(goal).square().mean().item() / max(case.variance, 1e-12)
    case.measured["enlarged"] = {"r2 of detail": best, "of the variance": visible}
    if not best < limits["blur.ceiling"] or visible < 2 * limits["blur.visible"]:
        return
    case.find(
        "fit.blurry",
        "warning",
        {
            "statistic": "R² of the targets' fine detail, made as small and enlarged",
            "value": best,
            "threshold": limits["blur.ceiling"],
            "where": f"{op}, from {tuple(op.entry.shape[2:])}, after the last weights",
        },
        "Not the training and not the code: whatever the layers before it write, the "
        "last one smooths it.",
        "end with weights: enlarge first, then nn.Conv2d(channels, channels, 3, "
        "padding=1)",
        "The share of fine detail rises above a half.",
    )


def fine(images):
    """Return images less their 3 x 3 blur: the finest detail."""
    v = images.double()
    padded = torch.nn.functional.pad(v, (1, 1, 1, 1), mode="replicate")
    return v - torch.nn.functional.avg_pool2d(padded, 3, 1)


def blurry(case):
    """Ask whether the finest detail is missing, and whether it is what is missing."""
    shape = case.picture_shape
    if prices.blind(case):
        return
    if not case.trained or shape is None or not math.isfinite(case.r2_now):
        case.skip("the model is untrained", "fit.blurry")
        enlarged(case)
        return
    case.did("fit.blurry")
    x_hat = case.reconstruct(case.source)
    if x_hat is None or x_hat.shape != case.flat.shape or shape[2] in (1, 3, 4):
        return
    ours, theirs = x_hat.reshape(-1, *shape), case.flat.reshape(-1, *shape)
    detail = fine(theirs)
    power = detail.square().mean().item()
    share = fine(ours).square().mean().item() / max(power, 1e-15)
    missing = (fine(ours) - detail).square().mean().item()
    total = (ours - theirs).double().square().mean().item()
    visible = power / max(case.variance, 1e-12)
    case.measured["detail"] = {
        "survives": share,
        "of the error": missing / max(total, 1e-15),
        "of the variance": visible,
    }
    limits = case.limits
    agrees = 1 - missing / max(power, 1e-15)  # power alone may be of something else
    if case.r2_now < 0.6 * limits["blur.r2"] or share > 3 * limits["blur.detail"]:
        return
    if min(share, agrees) > limits["blur.detail"]:
        return
    if missing < limits["blur.error"] * total or visible < limits["blur.visible"]:
        return
    if "detail" not in case.kept:
        case.kept["detail"] = _memorised_detail(case, shape)
    able = case.kept["detail"]
    case.measured["detail"]["16 images fitted"] = able
    unable = able is not None and able[0] < limits["blur.able"] * (
        2 if able[1] > 0.95 else 1  # all but the detail was learned: so much the surer
    )
    unable = unable and visible > 3 * limits["blur.visible"]
    unable = unable and able[1] > max(0.7, able[0] + 0.6)
    mostly = missing > limits["blur.most"] * total and visible > 0.1
    mostly = mostly and able is not None and able[0] < min(0.9, able[1] - 0.1)
    if case.r2_now < limits["blur.r2"] and not unable:
        return
    if share > limits["blur.detail"] and not (unable and able[1] > 0.9):
        return
    case.find(
        "fit.blurry",
        "warning" if unable or mostly else "info",
        {
            "statistic": "share of the finest detail that survives"
            if share <= limits["blur.detail"]
            else "R² of the finest detail",
            "value": min(share, agrees) if share > limits["blur.detail"] else share,
            "threshold": limits["blur.detail"],
            "where": "output",
            "share of the error": missing / total,
            "after fitting 16 images alone": "not tried" if able is None else able,
            "R²": case.r2_now,
        },
        f"Not a failed fit: R² is {case.r2_now:.2f}; what is missing is the fine "
        f"detail, "
        "for which squared error hardly charges.",
        "no blur, pooling or wide upsampling in the last layers of the decoder"
        if unable
        else _longer(case),
        "The share of fine detail rises above a half.",
    )


def _longer(case):
    """Name the two changes that bring detail back: a longer code, longer training."""
    op, _ = case.code
    code = "a longer code" if op is None else f"latent_dim = {2 * op.width}"
    return f"{code} and twice as many epochs  # L1 instead of MSE does not help"


def _memorised_detail(case, shape):
    """Return the R² of fine detail and of the rest after fitting 16 images.

    A decoder that could draw the detail draws it once nothing else is asked; None
    without the time for it.
    """
    program, batch = case.program, arms.few(case)
    if program.clock.left < 4 or not getattr(case, "trainable", None):
        return None
    stop = program.clock.spent + 3
    with program.trial(True):
        step = arms.adam_step(case, True)
        for _ in range(300):
            step(batch)
            if program.clock.spent > stop:
                return None  # too few steps to judge by
        program.model.eval()
        source, goal = program.pair(batch)
        with torch.no_grad():
            ours = program.image(program.forward(source).x_hat).float()
        theirs = program.move(main_tensor(goal)).float()
    ours, theirs = (v.reshape(-1, *shape).double() for v in (ours, theirs))
    fine_r2 = r2(fine(ours), fine(theirs))
    return fine_r2, r2(ours - fine(ours), theirs - fine(theirs))


def r2(ours, theirs):
    """Return R² over the mean of the images."""
    base = (theirs - theirs.mean(0)).square().mean().item()
    return 1 - (ours - theirs).square().mean().item() / max(base, 1e-15)
