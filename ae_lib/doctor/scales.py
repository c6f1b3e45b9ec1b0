"""The spread of the first weights, and whether it keeps the signal's size."""

from contextlib import contextmanager

import torch

from .ahead import best_start
from .arms import fresh_start
from .lines import spot

NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
ALL_ANEW = (
    "[m.reset_parameters() for m in model.modules() if hasattr(m, 'reset_parameters')]"
)
ALL_HE = "[nn.init.kaiming_normal_(p) for p in model.parameters() if p.ndim > 1]"


def normalised(ops, op):
    """Tell whether a normalisation layer rescales what `op` puts out."""
    return any(
        o.kind in NORMS
        and o.entry is not None
        and o.entry.data_ptr() == op.out.data_ptr()
        for o in ops
    )


def fan_in(op):
    """Return the number of inputs each output value sums over."""
    weight = op.weight
    if op.kind.startswith("conv_transpose"):
        return weight.shape[0] * weight[0, 0].numel()
    if op.kind in ("matmul", "mm"):
        return weight.shape[0]
    return weight[0].numel()


def init_scale(case, ops):
    """Compare the spread of the weights with what keeps the signal's size."""
    case.did("signal.init-scale")
    limits, bad = case.limits, []
    heavy = [o for o in ops if o.weighted]
    heavy = [o for o in heavy if not _is_logvar(case, o)]
    for at, op in enumerate(heavy):
        weight = op.weight.detach().double()
        deviation, top = weight.std().item(), weight.abs().max().item()
        last = at == len(heavy) - 1
        rows = weight.flatten(1)
        if weight.numel() < 4:
            continue
        alike = rows.shape[0] > 1 and (
            (rows - rows[:1]).abs().max().item() <= limits["init.equal"] * (top + 1e-30)
        )
        mean, fan = weight.mean().item(), fan_in(op)
        gain = max((deviation**2 + mean**2) ** 0.5 * fan**0.5, abs(mean) * fan)
        if top == 0 and (last or adds_nothing(ops, op)):
            continue
        if alike and (top == 0 or rows.shape[0] > 2):
            bad.append((0.0, op, "all equal", gain))
        elif (
            gain > limits["init.large"] and not case.trained and not normalised(ops, op)
        ):
            bad.append((gain, op, "too large", gain))
        elif gain < limits["init.small"] and not case.trained and not last:
            if not normalised(ops, op) and rows.shape[0] > 1:
                bad.append((1 / (gain + 1e-9), op, "too small", gain))
    if not bad and not case.trained and len(heavy) > 2:
        before, behind = (_rms(t) for t in (heavy[0].entry, heavy[-1].out))
        if behind < limits["init.through"] * before:
            op = min(heavy, key=lambda o: o.weight.std().item() * fan_in(o) ** 0.5)
            gain = op.weight.std().item() * fan_in(op) ** 0.5
            bad = [(before / (behind + 1e-30), op, "too small, layer by layer", gain)]
    if not bad:
        return
    _, op, what, gain = max(bad, key=lambda row: (row[2] == "all equal", row[0]))
    same = what == "all equal"
    limit = limits["init.large" if what == "too large" else "init.small"]
    case.find(
        "signal.init-scale",
        "error",
        {
            "statistic": "rms of the weights · √fan-in, or |mean| · fan-in",
            "value": gain,
            "threshold": limits["init.equal"] if same else limit,
            "where": str(op),
            "weights": what,
            "layers": len(bad),
        },
        "Not the data: "
        + (
            "units with equal weights get equal gradients and stay equal."
            if same
            else f"a gain between 0.5 and 2.5 keeps the signal; this has {gain:.3g}."
        ),
        anew(case, op.where, "weight", len(bad) > 1 or "layer by" in what)
        or "w = torch.randn(fan_out, fan_in) * (2 / fan_in) ** 0.5",
        "std · √fan-in lies between 0.5 and 2.5 in every layer.",
    )


def adds_nothing(ops, op):
    """Tell whether the zeros of an op are added to what goes past it.

    Residual branches begin so on purpose: the sum still tells one sample from another.
    """
    added = [o for o in ops if o.index > op.index and "add" in o.kind]
    out = added[0].out if added else op.out
    return torch.is_tensor(out) and len(out) > 1 and bool((out != out[:1]).any())


def anew(case, where, name, several):
    """Return the line that draws new first weights, for one layer or for all.

    PyTorch's own, or He's where these train clearly better on the own batches.
    """
    found = dict(case.program.model.named_modules()).get(where)
    if not where or not torch.is_tensor(getattr(found, name, None)):
        return ""
    if several or not hasattr(found, "reset_parameters"):
        starts = [(ALL_ANEW, _fresh), (ALL_HE, _he)]
        return starts[0][0] if case.trained else best_start(case, starts)
    return f"{spot(where)}.reset_parameters()"


@contextmanager
def _fresh(model):
    fresh_start(model)
    yield


@contextmanager
def _he(model):
    for p in model.parameters():
        if p.ndim > 1:
            torch.nn.init.kaiming_normal_(p)
    yield


def _rms(tensor):
    return tensor.detach().double().square().mean().sqrt().item()


def _is_logvar(case, op):
    """Tell whether an op puts out the log-variance, which has a check of its own."""
    if not case.is_vae:
        return False
    want = next((o for o in case.ops if o.out is case.out.logvar), None)
    return want is not None and op.where == want.where
