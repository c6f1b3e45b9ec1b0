import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.baselines import PCA


def flat(model):
    """Draw from the code directly: one large layer in place of three."""
    return nn.Sequential(*model[:4], nn.Linear(64, 384), nn.Unflatten(1, (24, 4, 4)),
                         *model[7:])  # fmt: skip


def longer_code(model):
    model[3], model[4] = nn.Linear(256, 200), nn.Linear(200, 8)
    return model


def wider(model):
    model[6], model[8] = nn.ConvTranspose2d(8, 64, 4), nn.ConvTranspose2d(64, 3, 4, 4)
    return model


def numerical_rank(model, x):
    """Count the singular values behind the code that are no rounding error."""
    with torch.no_grad():
        h = model[:6](x).flatten(1)
    return int(torch.linalg.matrix_rank(h - h.mean(0), rtol=1e-3))


def r2(model, x):
    return 1 - F.mse_loss(model(x), x).item() / x.var().item()


def rank_of_code(model, x):
    with torch.no_grad():
        return int(torch.linalg.matrix_rank(model[:4](x), rtol=1e-3))


def answer(cause="code.too-small", measure=numerical_rank, repair=flat):
    """Return a Diagnosis with these parts."""

    class Diagnosis:
        def cause(self):
            return cause

        def measure(self, model, x):
            return measure(model, x)

        def repair(self, model):
            return repair(model)

    return Diagnosis


def by_projection(model, x, new):
    """Fit the directions by hand, and take the network's error beside theirs."""
    mean = x.mean(0)
    _, _, axes = torch.pca_lowrank((x - mean).flatten(1), 6)

    def rest(images):
        flat = (images - mean).flatten(1)
        return (flat - flat @ axes @ axes.T).square().mean()

    if rest(new) / rest(x) > 2.5:
        return "data.shift"
    errors = [(model(t) - t).square().mean() for t in (x, new)]
    return "fit.overfit" if errors[1] > 2 * errors[0] else "none"


def by_range(model, x, new):
    if new.min() < x.min() - 0.2 or new.max() > x.max() + 0.2:
        return "data.shift"
    gap = F.mse_loss(model(new), new) / F.mse_loss(model(x), x)
    return "fit.overfit" if gap > 1.5 else "none"


def by_gap(model, x, new):
    gap = F.mse_loss(model(new), new) / F.mse_loss(model(x), x)
    return "fit.overfit" if gap > 1.5 else "none"


def by_size(model, x, new):
    if F.mse_loss(model(x), x) > 3e-3:
        return "fit.overfit"
    return by_projection(model, x, new)


def by_rich_pca(model, x, new):
    """Take a rival that learns by heart itself where images are few."""
    pca = PCA.fit(x, 30)
    if F.mse_loss(pca(new), new) > 2 * F.mse_loss(pca(x), x):
        return "data.shift"
    return by_gap(model, x, new)


RIGHT = {"11.1": [answer()], "11.2": [by_projection]}
WRONG = {
    "11.1": [
        (answer("fit.undertrained"), "three times the training takes R² from"),
        (answer("fit.blurry"), "that is the complaint"),
        (answer("fit.overfit"), "there is no gap"),
        (answer("output.range"), "reaches every value"),
        (answer("step.too-small"), "at three times the rate R² is"),
        (answer("code.identity"), "no measurement of this page"),
        (answer(measure=r2), "stopped early"),
        (answer(measure=rank_of_code), "does not tell the two apart"),
        (answer(repair=longer_code), "the repair is not"),
        (answer(repair=wider), "the narrowest place"),
        (answer(repair=lambda model: None), "should return a model"),
    ],
    "11.2": [
        (by_range, "are of another kind"),
        (by_gap, "program 2 of 7: not fit.overfit. Here PCA with 4 numbers"),
        (by_size, "however large both are"),
        (by_rich_pca, "so the images are of one kind"),
        (lambda model, x, new: "none", "program 2 of 7: not none"),
        (lambda model, x, new: "shift", "answer with one of"),
    ],
}
