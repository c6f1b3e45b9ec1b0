"""Penalties that are not the norm of the encoder's Jacobian, rebuilt from questions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import heartbeats


class Contractive(AE):
    """Return the reconstruction and the code of one layer of `unit`."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


def contractive(d, k, unit):
    """Return a contractive autoencoder with one layer before and two after the code."""
    decoder = nn.Sequential(*stack((k, 64)), nn.Linear(64, d))
    return Contractive(nn.Sequential(nn.Linear(d, k), unit()), decoder)


# Source: https://github.com/tensorflow/tensorflow/issues/30747
@faulty("contractive.wrong", measure=true_penalty, steps=150, bar=0.9)
def derivative_of_another_unit(seed, fixed):
    """Use tanh units and take over the factor z (1 - z) of sigmoid units."""
    x = heartbeats(512, seed)
    model = contractive(96, 12, nn.Tanh)

    def loss(output, target):
        recon, z = output
        slope = 1 - z.square() if fixed else z * (1 - z)
        rows = model.encoder[0].weight.square().sum(1)
        penalty = (slope.square() * rows).sum(1).mean()
        return F.mse_loss(recon, target) + 1e-3 * penalty

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("contractive.wrong", measure=true_penalty, steps=150, bar=0.9)
def slopes_without_their_weights(seed, fixed):
    """Penalise the slopes of sigmoid units and leave the weights out."""
    x, y = digits(640, seed, size=8)
    model = contractive(64, 16, nn.Sigmoid)
    with torch.no_grad():
        model.encoder[0].weight.mul_(torch.linspace(0.3, 6.0, 16)[:, None])

    def loss(output, target):
        recon, z = output
        slope = (z * (1 - z)).square()
        rows = model.encoder[0].weight.square().sum(1)
        penalty = (slope * (rows if fixed else 1.0)).sum(1).mean()
        return F.mse_loss(recon, target) + 1e-3 * penalty

    data = loader(x.flatten(1), y, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}
