"""Terms of the loss that drown the reconstruction: on the weights, or in the step."""

import torch

from . import arms, trace
from .nonfinite import rate
from .sample import main_tensor

USUAL = (1e-4, 1e-2)  # learning rates at which Adam is neither too slow nor too fast


def check(case):
    """Report a penalty on the weights without which the same network learns.

    Proven by two arms that differ in nothing but the further terms of the loss.
    """
    found, limits = getattr(case, "arms", {}), case.limits
    recon, own = found.get("recon"), found.get("adam fresh", found.get("adam"))
    if case.program.loss is None or recon is None or own is None:
        return
    if recon.r2 < limits["fit.works"] or own.r2 > limits["fit.fails"]:
        return
    try:
        full, half = _values(case)
    except Exception:  # a loss that differentiates: its penalty has a check of its own
        return
    if not full - half > 0.1 * max(abs(full), 1e-12):
        return
    gap = abs(getattr(case, "loss_mean", full) - getattr(case, "loss_perfect", 0.0))
    size = 2 * (full - half) / max(gap, 1e-12)
    case.find(
        "loss.scale",
        "error",
        {
            "statistic": "what a perfect output costs, of which on the weights",
            "value": [full, 2 * (full - half)],
            "threshold": f"{gap:.3g}, the error of the mean image",
            "where": "loss, the penalty on the weights",
            "R² on 16 images with it, without it": [own.r2, recon.r2],
        },
        "Not the step and not the network: with the reconstruction error alone the "
        f"same weights reach {recon.r2:.2f}.",
        f"multiply the penalty on the weights by {min(0.1, 0.05 / size):.1g}"
        "  # as averaging it over the weights, like the error over pixels, does",
        "At the start the penalty is a small part of the mean image's error.",
    )


def _values(case):
    """Return the loss of a perfect output with the weights as they are, and halved.

    The output is computed before, so that only terms that read the weights change.
    """
    program = case.program
    with program.trial(True), torch.no_grad():
        out = program.forward(case.source)
        goal = program.move(main_tensor(case.pair[1])).reshape(out.x_hat.shape)
        raw = program.replaced(out.raw, x_hat=goal.to(out.x_hat))
        values = [float(program.loss_of(raw, case.pair[1]))]
        for p in program.model.parameters():
            p.mul_(0.5)
        values.append(float(program.loss_of(raw, case.pair[1])))
    return values


def emptied(case, low):
    """Report a step of one's own that empties the code at any usual rate of Adam.

    What the step adds to the error is not seen, but what it does is: the code goes to
    zero within some steps, and the same weights learn from the error alone.
    """
    program, (op, _) = case.program, case.code
    kinds = (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
    if (
        program.step is None
        or op is None
        or not low
        or low.r2 > case.limits["fit.fails"]
    ):
        return False
    if not all(isinstance(o, kinds) for o in program.optimizers):
        return False
    if not USUAL[0] <= rate(case) <= USUAL[1]:
        return False
    with program.trial(True):
        before = _code_sizes(case, op)
        for _ in range(case.arm_steps):
            program.run_step(arms.few(case))
        after = _code_sizes(case, op)
    left = min(a / (b + 1e-12) for a, b in zip(after, before, strict=True))
    if left > case.limits["sparse.emptied"]:
        return False
    case.find(
        "sparse.too-strong",
        "error",
        {
            "statistic": f"size of the code after {case.arm_steps} steps, of the first",
            "value": left,
            "threshold": case.limits["sparse.emptied"],
            "where": f"the step: what it adds to the error, on {op}",
            "R² on 16 images, own step, at a tenth of its rate": [
                case.arms["user"].r2,
                low.r2,
            ],
            "R² with the squared error alone": case.arms["adam"].r2,
        },
        "Not the learning rate, which is usual, and a tenth of it does no better. Not "
        "a dead code: the same weights learn from the error alone.",
        "multiply the sparsity weight by 0.01  # or reduce the penalty as the error is",
        "The code keeps its size over the first hundred steps.",
    )
    return True


def _code_sizes(case, op):
    """Return the rms of the code and of what the decoder makes of it first."""
    with torch.no_grad():
        _, ops = trace.follow(case.program, case.source, case.size)
    behind = [o for o in ops if o.index >= op.index]
    ends = [o.index for o in behind[1:] if o.weighted]
    behind = [o for o in behind if o.index < min(ends, default=op.index + 1)]
    return [o.out.double().square().mean().sqrt().item() for o in behind]
