"""Eighth part, a: scrambled axes, a code that is rounded, and two wrong losses."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, standardise
from ae_lib.doctor.clinic.measures import quiet_units
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_a_material import boxes, strokes


@faulty("data.layout", steps=300, bar=0.79)
def colours_last_viewed_as_colours_first(seed, fixed):
    """Read arrays with the colours last and reshape them to colours first."""
    arrays = boxes(768, seed).permute(0, 2, 3, 1).contiguous()  # as a file has them
    x = arrays.permute(0, 3, 1, 2) if fixed else arrays.view(-1, 3, 16, 16)
    model = conv((3, 16, 16), 32, norm=True)
    return {
        "model": model,
        "batches": loader(x.contiguous(), batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Rounded(nn.Module):
    """Round the code of a sign to three levels, to store it in few bits."""

    def __init__(self, through, k=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 96),
            nn.SiLU(),
            nn.Linear(96, k),
            nn.BatchNorm1d(k),
            nn.Tanh(),
        )
        self.decoder = nn.Sequential(nn.Linear(k, 96), nn.SiLU(), nn.Linear(96, 256))
        self.through = through

    def forward(self, x):
        z = self.encoder(x)
        q = torch.round(z)
        q = z + (q - z).detach() if self.through else q
        return self.decoder(q).view_as(x)


@faulty("wiring.no-gradient", steps=350, bar=0.51)
def code_rounded_on_the_way(seed, fixed):
    """Round the code to a few levels, through which no gradient comes back."""
    x, _ = strokes(1024, seed)
    model = Rounded(through=fixed)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.NAdam(model.parameters(), lr=3e-3),
    }


@faulty("loss.domain", steps=250, bar=0.4)
def cross_entropy_of_standard_scores(seed, fixed):
    """Use the cross-entropy with logits for signs that were standardised."""
    signs, kind = strokes(896, seed)
    model = dense((1, 16, 16), hidden=(128,), k=24, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(standardise(signs), kind, batch_size=64, seed=seed),
        "loss": nn.MSELoss() if fixed else nn.BCEWithLogitsLoss(),
        "optimizer": adam(model),
    }


class Overcomplete(nn.Module):
    """Encode signs by more units than needed, which shall be silent mostly."""

    def __init__(self, d=144, k=96):
        super().__init__()
        self.inner, self.outer = nn.Linear(d, k), nn.Linear(k, d)

    def encode(self, x):
        return F.relu(self.inner(x.flatten(1)))

    def forward(self, x):
        z = self.encode(x)
        return self.outer(z).view_as(x), z


def activity(z):
    """Return the mean absolute activity of a code."""
    return z.abs().mean()


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=300,
    measure=quiet_units,
    bar=0.45,
)
def activity_borrowed_from_the_plots(seed, fixed):
    """Penalise the activity by a helper made for plots, which keeps no gradient."""
    x, kind = strokes(1024, seed, size=12)
    model = Overcomplete()
    measured = activity if fixed else torch.no_grad()(activity)

    def loss(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + 0.1 * measured(z)

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
