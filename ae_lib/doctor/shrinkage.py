"""A term of the loss that reads the weights, and drowns the reconstruction."""

import torch

from .sample import main_tensor


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
