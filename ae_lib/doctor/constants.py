"""Terms of a loss that no parameter can change, as their tensor has no gradient."""

import torch

from . import terms
from .program import fields, places, rebuild
from .sample import main_tensor


def check(case, gap):
    """Report a further term of the loss that has no gradient at all.

    `gap` is what the loss charges for the mean image.
    """
    return _returned(case, gap) or _recorded(case, gap)


def _returned(case, gap):
    """Report a further term that reads a returned tensor and has no gradient at all."""
    program = case.program
    with program.trial(True):
        out = program.forward(case.source)
        shown = places(out.raw)["x_hat"]
        raw = program.replaced(out.raw, x_hat=terms.goal(case))
        try:
            value = program.loss_of(raw, case.pair[1])
            others = {k: v for k, v in fields(raw).items() if k != shown}
            moved = {
                k: abs(
                    program.loss_of(rebuild(raw, {k: 0.5 * v}), case.pair[1]) - value
                )
                for k, v in others.items()
                if v.is_floating_point() and not v.requires_grad
            }
        except Exception:  # as where the loss differentiates that tensor
            return False
    where = next((k for k, v in moved.items() if v > 1e-6 * gap), None)
    if value.requires_grad or where is None:
        return False
    same = torch.equal(others[where].flatten(), main_tensor(case.source).flatten())
    case.did("sparse.inert")
    case.find(
        "sparse.inert",
        "error",
        {
            "statistic": "parameters that the further term of the loss depends on",
            "value": 0,
            "threshold": "above 0",
            "where": f"output {where!r}" + (", which is the input" if same else ""),
            "change of the loss when it is halved": float(moved[where]),
        },
        "Not a sparse code already: the term is a constant for every parameter, "
        + ("a penalty of the input" if same else "its tensor has lost its gradient")
        + ".",
        "return x_hat, code  # the code itself, not the input and not code.detach()",
        "With a larger weight the share of inactive units grows.",
    )
    return True


def _recorded(case, gap):
    """Report a term of the step that changes with the weights and has no gradient.

    As where a hook records an activation and detaches it. The output is the perfect
    one throughout; only the forward pass before it, and what it leaves, is made anew.
    """
    program = case.program
    if program.own_loss is None:
        return False
    values = []
    with program.trial(True):
        for factor in (1.0, 1.5):
            with torch.no_grad():
                for p in program.model.parameters():
                    p.mul_(factor)
            state = torch.get_rng_state()
            raw = program.replaced(
                program.forward(case.source).raw, x_hat=terms.goal(case).detach()
            )
            values.append(program.loss_of(raw, case.pair[1]))
            torch.set_rng_state(state)
    change = abs(float(values[1]) - float(values[0]))
    limit = case.limits["terms.constant"] * gap
    if values[0].requires_grad or not change > limit:
        return False
    case.did("sparse.inert")
    case.find(
        "sparse.inert",
        "error",
        {
            "statistic": "change of the loss of a perfect output, all weights half "
            "as large again, while that loss has no gradient",
            "value": change,
            "threshold": limit,
            "where": "the loss inside step, beside the reconstruction",
        },
        "Not a weak penalty: the step adds a term that depends on the weights, and "
        "its tensor has lost its gradient, so training cannot lower it.",
        "keep the graph of what the step penalises: no .detach(), .item() or .data "
        "between the layer and the loss",
        "The loss of a perfect output requires a gradient.",
    )
    return True
