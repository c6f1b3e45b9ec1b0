"""Whether evaluation differs from training only where it should."""

import torch

from . import sample as samples
from .program import fields, places
from .sample import main_tensor


def check(case):
    """Compare training and evaluation passes on one batch."""
    if case.out is None or case.out.x_hat is None:
        return
    case.did("wiring.mode")
    first, again = (_pass(case, False, s) for s in (0, 1))
    if first is None or again is None or first.shape != case.flat.shape:
        return
    limits = case.limits
    if not torch.isfinite(first).all():
        return
    noise = (first - again).square().mean().item() / 2
    scale = min(case.flat.var(0).mean().item(), first.var(0).mean().item() + 1e-12)
    rounding = (1e-5 * first.abs().max().item()) ** 2
    scale = max(scale, 100 * rounding)
    share = noise / max(scale, 1e-12)
    case.measured["mode.noise"] = share
    if share > limits["mode.noise"] and _declared(case):
        return
    if share > limits["mode.noise"] and not case.is_vae and noise > 1e-9:
        case.find(
            "wiring.mode",
            "error",
            {
                "statistic": "variance between two evaluation passes, of the output's",
                "value": share,
                "threshold": limits["mode.noise"],
                "where": "model.eval()",
            },
            "Not a small code: the same images give different outputs in evaluation "
            "mode, so dropout or noise is still on.",
            "F.dropout(h, p, training=self.training)  # or nn.Dropout, which obeys "
            "eval()",
            "Two evaluation passes agree to the last digit.",
        )
        return
    if not case.is_vae and _needs_neighbours(case, first, scale):
        return
    train = case.reconstruct(case.source, True)
    if not case.trained or train is None or case.few_steps:
        return
    errors = [(v - case.flat).square().mean().item() for v in (train, first)]
    ratio = errors[1] / max(errors[0], 1e-12)
    r2 = [case.r2(v, case.flat) for v in (train, first)]
    case.measured["mode.ratio"] = ratio
    if ratio < limits["mode.ratio"] or r2[0] - r2[1] < 0.1 or not r2[0] >= 0.1:
        return
    norms = [
        (n, m)
        for n, m in case.program.model.named_modules()
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
    ]
    name, norm = norms[0] if norms else ("the model", None)
    momentum = getattr(norm, "momentum", None)
    case.find(
        "wiring.mode",
        "error",
        {
            "statistic": "error in evaluation mode over error in training mode",
            "value": ratio,
            "threshold": limits["mode.ratio"],
            "where": name,
            "R² training, evaluation": r2,
            **({"momentum": momentum} if momentum is not None else {}),
        },
        "Not overfitting: it is the very same batch, only the mode differs.",
        "[setattr(m, 'momentum', 0.1) for m in model.modules() if hasattr(m, "
        "'momentum')]  # and renew the running statistics by some batches in train()"
        if norm is not None
        else "model.train() in the loop, model.eval() to judge",
        "Both modes agree within a factor of 1.5 on one batch.",
    )


def _declared(case):
    """Tell whether the model says in its output what it drew, as a mask it applied."""
    rows = []
    for seed in (0, 1):
        with case.program.trial(False, seed), torch.no_grad():
            raw = case.program.forward(case.source).raw
        rows.append({k: v for k, v in fields(raw).items() if k != places(raw)["x_hat"]})
    drawn = [k for k in rows[0] if not torch.equal(rows[0][k], rows[1][k])]
    with case.program.trial(False):
        raw = case.program.forward(case.source).raw
    return any(not fields(raw)[k].requires_grad for k in drawn)


def _needs_neighbours(case, first, scale):
    """Report an evaluation pass in which an image depends on the rest of its batch."""
    last = samples.cut(case.source, -3)  # the last: a state may run down the batch
    alone = case.reconstruct(last)
    if alone is None or alone.shape[1:] != first.shape[1:]:
        return False
    if first.var(0).mean() < 1e-9 * case.flat.var(0).mean():
        return False  # the same for all inputs, whatever the batch: no matter of mode
    share = (alone - first[-3:]).square().mean().item() / max(scale, 1e-12)
    case.measured["mode.neighbours"] = share
    if not share > case.limits["mode.noise"]:
        return False
    if _reads_the_batch_as_time(case, share):
        return True
    case.find(
        "wiring.mode",
        "info" if case.has("step.nonfinite") else "error",  # then that is its effect
        {
            "statistic": "change of an evaluated image when its batch changes, of the "
            "output's variance",
            "value": share,
            "threshold": case.limits["mode.noise"],
            "where": "model.eval()",
        },
        "Not dropout, which two passes on one batch would show: in evaluation mode the "
        "layers still use the statistics of the batch.",
        "nn.BatchNorm2d(channels)  # made in __init__, with track_running_stats=True",
        "model(x)[:1] and model(x[:1]) agree in evaluation mode.",
    )
    return True


def _reads_the_batch_as_time(case, share):
    """Report a recurrent layer that goes from image to image in place of time."""
    layers = [
        (name, module)
        for name, module in case.program.model.named_modules()
        if isinstance(module, torch.nn.RNNBase) and not module.batch_first
    ]
    if not layers or main_tensor(case.source).ndim != 3:
        return False
    name, module = layers[0]
    given = []
    handle = module.register_forward_pre_hook(
        lambda _, args: given.append(args[0].shape)
    )
    case.reconstruct(case.source)
    handle.remove()
    if not given or given[0][0] != case.size:
        return False  # turned round as it should be: something else looks around
    kind = type(module).__name__
    case.did("data.layout")
    case.find(
        "data.layout",
        "error",
        {
            "statistic": "change of an evaluated series when its batch changes, of the "
            "output's variance",
            "value": share,
            "threshold": case.limits["mode.noise"],
            "where": f"{name} (nn.{kind}, batch_first=False)",
        },
        "Not batch statistics: the layer expects (time, batch, features), is given "
        "(batch, time, features), and carries its state from one series to the next.",
        f"nn.{kind}({module.input_size}, {module.hidden_size}, batch_first=True)",
        "model(x)[:1] and model(x[:1]) agree in evaluation mode.",
    )
    return True


def _pass(case, training, seed):
    try:
        with case.program.trial(training, seed), torch.no_grad():
            out = case.program.forward(case.source)
            return case.program.image(out.x_hat).float().flatten(1)
    except Exception:
        return None


def _moody(model):
    """Return the layers that behave differently in training and evaluation."""
    kinds = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.dropout._DropoutNd)
    return [
        n
        for n, m in model.named_modules()
        if isinstance(m, kinds) and getattr(m, "p", 1) > 0
    ]


def in_steps(case, seen):
    """Report training passes of the user's own steps in evaluation mode."""
    layers = _moody(case.program.model)
    if not layers or not seen.modes or any(seen.modes):
        return
    case.did("wiring.mode")
    case.find(
        "wiring.mode",
        "error",
        {
            "statistic": "training passes in evaluation mode",
            "value": len(seen.modes),
            "threshold": 0,
            "where": ", ".join(layers[:3]),
        },
        "Not a frozen layer: the whole model is switched, inside the step.",
        "model.train()  # at the start of each step; model.eval() to judge it",
        "model.training is True whenever the loss is computed for a step.",
    )
