"""How training went: the baselines, the modes, and the mean image."""

import math

from . import lengths, modes, probes, scores
from .linear import pca_r2


def baselines(case):
    """Fill in the table that every other number is read against."""
    t = case.t.flatten(1)
    mean, median = t.mean(0), t.median(0).values
    base = (t - mean).square().mean().item()

    def row(error):
        return {
            "error": error,
            "r2": 1 - error / base if base > 1e-12 else float("nan"),
        }

    table = {
        "zero image (MSE)": row(t.square().mean().item()),
        "mean image (MSE)": row(base),
        "median image (L1)": {"error": (t - median).abs().mean().item(), "r2": None},
    }
    if t.min() >= 0 and t.max() <= 1 and base > 0:
        p, q = t.clamp(1e-7, 1 - 1e-7), mean.clamp(1e-7, 1 - 1e-7)
        floor = -(t * p.log() + (1 - t) * (1 - p).log()).mean().item()
        flat = -(t * q.log() + (1 - t) * (1 - q).log()).mean().item()
        table["mean image (BCE)"] = {"error": flat, "r2": None}
        table["entropy floor (BCE)"] = {"error": floor, "r2": None}
    if case.out is not None and case.code[0] is not None and base > 1e-12:
        k = case.codes.shape[1]
        best = pca_r2(case.t, k)
        if best is not None:
            table[f"PCA-{k}, held out (MSE)"] = {"error": (1 - best) * base, "r2": best}
    if math.isfinite(case.r2_now):
        table["this model (MSE)"] = {
            "error": (1 - case.r2_now) * base,
            "r2": case.r2_now,
        }
    return table


def check(case):
    """Read the modes, the outputs, the history and the features."""
    modes.check(case)
    mean_image(case)
    lengths.check(case)
    probes.check(case)


def mean_image(case):
    """Tell whether a trained model returns one image for all inputs."""
    begun = 0 < case.steps_taken < 50 and case.epochs < 3
    if not case.trained or begun:
        case.skip("the model is untrained", "fit.mean-image")
        return
    if scores.any_order(case):
        case.skip("the loss takes rows in any order", "fit.mean-image")
        return
    x_hat = case.reconstruct(case.source)
    if x_hat is None or x_hat.shape != case.flat.shape:
        return
    case.did("fit.mean-image")
    own = x_hat.var(0).mean().sqrt().item()
    data = case.flat.var(0).mean().sqrt().item()
    variation = own / max(data, 1e-12)
    r2, limits = case.r2_now, case.limits
    case.measured["mean.variation"] = variation
    if not (r2 < limits["mean.r2"] and variation < limits["mean.variation"]):
        return
    if data < 1e-5:
        return
    case.find(
        "fit.mean-image",
        "error",
        {
            "statistic": "deviation of outputs across inputs, of the data's",
            "value": variation,
            "threshold": limits["mean.variation"],
            "where": "output",
            "R²": r2,
        },
        "Not a blurry fit: the output hardly depends on the input, whatever the loss "
        "says.",
        _cure(case),
        "R² over the mean image rises above 0.3.",
    )


def _cure(case):
    """Name the change that lets 16 images be fitted, if an arm has found one."""
    arms, works = getattr(case, "arms", {}), case.limits["fit.works"]
    for name in ("weight_decay=0", "nn.Dropout(p=0)"):
        if name in arms and arms[name].r2 >= works:
            return f"{name}  # with it the same network fits 16 images"
    if getattr(case, "touched", False):
        return (
            "drop what changes the weights after optimizer.step(), as clamp_: with "
            "the step alone the same network can learn"
        )
    user, adam = arms.get("user"), arms.get("adam fresh", arms.get("adam"))
    if user and adam and user.r2 < works <= adam.r2:
        line = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"
        return f"{line}  # with it the same network fits 16 images"
    recon = arms.get("recon")
    if recon is not None and recon.r2 >= works:
        return "loss = F.mse_loss(x_hat, x)  # without the further terms it learns"
    return (
        "mend the cause named above; if none is named, fit 16 images until R² passes "
        "0.9 before training on all"
    )
