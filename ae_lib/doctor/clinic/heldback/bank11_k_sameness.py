"""Eleventh part, k: networks that answer everything with the average."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_k_material import gauges, ledgers
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty(
    "fit.mean-image",
    accepts=("signal.common-mode", "data.scale"),
    steps=200,
    bar=0.6,
)
def barometers_read_in_bars(seed, fixed):
    """Leave pressures in bars, all of them within a hundredth or two of 1.013."""
    x = 1.013 + 0.008 * gauges(1024, seed, t=16).flatten(1)
    if fixed:
        x = (x - x.mean()) / x.std()
    encoder = nn.Sequential(*stack((32, 96, 48)), nn.Linear(48, 10))
    decoder = nn.Sequential(*stack((10, 48, 96)), nn.Linear(96, 32))
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 300)
    return case


class Clerk(nn.Module):
    """Sum up a row in a few figures that must all be positive, and write it out."""

    def __init__(self, d: int, k: int, shy: bool):
        super().__init__()
        self.read = nn.Sequential(nn.Linear(d, 64), nn.GELU(), nn.Linear(64, k))
        self.squash = nn.ReLU() if shy else nn.Identity()
        self.write = nn.Sequential(nn.Linear(k, 64), nn.GELU(), nn.Linear(64, d))

    def encode(self, row: Tensor) -> Tensor:
        return self.squash(self.read(row))

    def forward(self, row: Tensor) -> tuple[Tensor, Tensor]:
        figures = self.encode(row)
        return self.write(figures), figures


@faulty(
    "fit.mean-image",
    accepts=("sparse.too-strong", "signal.dead-units", "loss.scale"),
    steps=300,
    bar=0.6,
)
def a_clerk_fined_for_every_figure(seed, fixed):
    """Add the sum of all codes to a mean error, until the codes are zero for all."""
    x = ledgers(1024, seed)
    model = Clerk(30, 24, True)
    fine = 1e-3 if fixed else 1.0

    def loss(output, target):
        row, figures = output
        return (row - target).square().mean() + fine * figures.abs().sum(1).mean()

    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.RMSprop(model.parameters(), 1e-3),
    }
    train(case, 300)
    return case
