"""Whether the network is an affine map: layers without effective activations."""

import torch

from . import lines, trace
from .arms import fresh_start
from .sample import main_tensor


def affinity(function, a, b):
    """Return the departure of a function from an affine map, over its variation."""
    mid = function((a + b) / 2).double()
    fa, fb = function(a).double(), function(b).double()
    scale = (fa - fb).square().mean().sqrt().item()
    if scale < 1e-12:
        return float("nan")
    return ((fa + fb) / 2 - mid).square().mean().sqrt().item() / scale


def linear(case):
    """Test whether encoder and decoder are affine maps of more than one layer."""
    case.did("signal.linear")
    op, everything = case.code
    source = main_tensor(case.source)
    heavy = [o for o in case.ops if o.weighted]
    if op is None or not torch.is_tensor(case.source) or len(heavy) < 2:
        return
    if not source.is_floating_point() or case.is_vae:
        return
    ends = [o for o in case.ops if o.bends and o.index > heavy[-1].index]
    stop = heavy[-1].index

    try:
        whole = affinity(_until(case, stop), source, source.roll(1, 0))
    except Exception:
        return
    if not whole < case.limits["linear.error"]:
        return
    bends = [o for o in case.ops if o.bends and o not in ends]
    if bends and case.trained and not _affine_anew(case, stop):
        return  # what training made of it, not how it is built
    if bends and not case.trained and not _affine_nearby(case, stop):
        return  # as where residual branches begin at zero
    plain = not bends and len(heavy) <= 2
    severity = "info" if plain else "warning"
    case.find(
        "signal.linear",
        severity,
        {
            "statistic": "departure from an affine map, over the output's variation",
            "value": whole,
            "threshold": case.limits["linear.error"],
            "where": f"{heavy[0]} to {heavy[-1]}",
            "layers with weights": len(heavy),
            "activations between them": len(bends),
        },
        "Not the training: stacked affine layers are one affine layer, and PCA is the "
        "best of those"
        + ("; one layer each way is what a linear autoencoder is." if plain else "."),
        _bent(case, op, heavy),
        "The departure rises above 0.05, and the error falls below PCA's.",
    )


def _bent(case, code, heavy):
    """Return the line that puts an activation behind all layers but code and output."""
    inner = [o for o in heavy[:-1] if not (o.where == code.where or o is code)]
    line = lines.followed(case, inner, "nn.ReLU()")
    words = f"put nn.ReLU() after {heavy[0].where or heavy[0]} and between all further "
    return f"{line}  # an activation between the layers" if line else words + "layers"


def _until(case, index, fresh=False):
    """Return the model up to an op as a function of its input, in evaluation mode."""

    def run(x):
        with case.program.trial(False), torch.no_grad():
            if fresh:
                fresh_start(case.program.model)
            _, ops = trace.follow(case.program, x, len(x))
        return next(o.out for o in ops if o.index == index).flatten(1)

    return run


def _affine_nearby(case, index):
    """Tell whether the model stays affine when its weights move by a tenth."""
    source = main_tensor(case.source)

    def jolted(x):
        with case.program.trial(False), torch.no_grad():
            maker = torch.Generator().manual_seed(0)
            for p in case.program.model.parameters():
                noise = 0.1 * torch.randn(p.shape, generator=maker).to(p)
                p.add_(noise / p[0].numel() ** 0.5 if p.ndim > 1 else noise)
            _, ops = trace.follow(case.program, x, len(x))
        return next(o.out for o in ops if o.index == index).flatten(1)

    return affinity(jolted, source, source.roll(1, 0)) < case.limits["linear.error"]


def _affine_anew(case, index):
    """Tell whether the model is affine from new first weights as well."""
    source = main_tensor(case.source)
    again = affinity(_until(case, index, True), source, source.roll(1, 0))
    return again < case.limits["linear.error"]
