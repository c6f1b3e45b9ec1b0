"""Corruption that leaves too little to reconstruct, on the input or in the model."""

import torch

from . import trace
from .case import join
from .linear import components, likeness, linear_r2
from .sample import main_tensor


def report(case, x, t, r2, why_not, where="input against target"):
    """Add the finding; `r2` is what a linear denoiser reaches."""
    noise, signal = (x - t).std().item(), (t - t.mean(0)).std().item()
    case.find(
        "noise.too-strong",
        "error",
        {
            "statistic": "R² a linear denoiser can reach",
            "value": r2,
            "threshold": case.limits["noise.r2"],
            "where": where,
            "noise deviation": noise,
            "signal deviation": signal,
        },
        why_not,
        f"weaken the corruption: noise deviation {noise:.3g} -> {signal:.2g}, that of "
        "the images, or drop a share of at most 0.5",
        "A linear denoiser reaches an R² above 0.5, and the network beats it.",
    )
    return True


def drowned(case, x, t, z):
    """Report inputs that resemble nothing: noise, rather than another image."""
    structured, left = share_of_few(t), share_of_few(x)
    maker = torch.Generator().manual_seed(0)
    flat = x.flatten(1)
    order = torch.rand(flat.shape, generator=maker).argsort(0)
    chance = share_of_few(flat.gather(0, order))  # each value drawn on its own
    case.measured["variance in 8 components"] = {"input": left, "target": structured}
    if structured < 2 * chance + 0.1 or left > 1.5 * chance + 0.02:
        return False
    return report(
        case,
        x,
        t,
        linear_r2(x, t),
        f"Not exchanged pairs: inputs resemble no target (z = {z:.1f}) and have no "
        "structure of their own either.",
    )


def share_of_few(values, k=8):
    """Return the share of held-out variance in the first k principal components."""
    half = len(values) // 2
    mean, basis, _ = components(values[:half], k)
    rest = values[half:].flatten(1).double() - mean
    return ((rest @ basis).square().sum() / rest.square().sum().clamp(min=1e-20)).item()


def kept_for_dropped(case):
    """Report dropout of nearly everything: a share to keep, given as one to drop."""
    layers = [
        (name, module)
        for name, module in case.program.model.named_modules()
        if isinstance(module, torch.nn.modules.dropout._DropoutNd)
        and module.p >= case.limits["noise.dropout"]
    ]
    if not layers or (case.trained and case.r2_now > 0.5):
        return
    name, module = layers[0]
    case.did("noise.too-strong")
    case.find(
        "noise.too-strong",
        "warning",
        {
            "statistic": "share of the values that dropout takes away",
            "value": module.p,
            "threshold": case.limits["noise.dropout"],
            "where": name,
        },
        "Not a weak network: hardly anything passes this layer in training. `p` of "
        "PyTorch is the share to drop; other libraries ask for the share to keep.",
        f"model.get_submodule({name!r}).p = {1 - module.p:.2g}  # now {module.p:g}",
        "The training loss falls below the mean image's.",
    )


def inside(case):
    """Judge noise that the model itself puts on its input, as nn.Dropout does."""
    ops = [o for o in case.ops if o.weighted and o.entry is not None]
    same = main_tensor(case.source)
    if not ops or same.numel() != ops[0].entry.numel():
        return
    entry = ops[0].entry.detach().float().cpu().reshape(same.shape)
    if abs(likeness(entry, same.float().cpu())) < 0.98:
        return  # the model folds its input first
    batch = join(case.sample.raw, 512)
    with case.program.trial(True), torch.no_grad():
        source, goal = case.program.pair(batch)
        size = len(main_tensor(source))
        _, heard = trace.follow(case.program, source, size)
    first = next((o for o in heard if o.weighted and o.entry is not None), None)
    goal = main_tensor(goal)
    if first is None or first.entry.numel() != goal.numel() or size < 100:
        return
    x = first.entry.detach().float().cpu().reshape(goal.shape)
    if torch.equal(x, main_tensor(source).float().cpu()):
        return
    case.did("noise.too-strong")
    r2 = linear_r2(x, goal.float().cpu())
    case.measured["noise.r2 inside"] = r2
    if r2 < case.limits["noise.r2"]:
        report(
            case,
            x,
            goal.float().cpu(),
            r2,
            "Not a weak network: what its first layer receives in training tells next "
            "to nothing of the target.",
            f"what {first} receives in training",
        )
