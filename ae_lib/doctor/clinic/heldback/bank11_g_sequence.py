"""Eleventh part, g: batches in an order, or a choice, that nobody meant."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_g_material import households, walkers
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, sgd, stack
from ae_lib.doctor.clinic.program import faulty


class Residual(nn.Module):
    """Add a convolution's answer to what it was given."""

    def __init__(self, c):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(c, c, 5, padding=2), nn.ReLU(), nn.Conv1d(c, c, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@faulty("data.order", steps=320, bar=0.75)
def one_volunteer_after_the_other(seed, fixed):
    """Concatenate the files of eight volunteers, and read them without shuffling."""
    x, who = walkers(1280, seed)
    rank = who.argsort(stable=True)
    model = AE(
        nn.Sequential(
            nn.Conv1d(3, 24, 4, 2, 1),
            Residual(24),
            nn.Conv1d(24, 24, 4, 2, 1),
            Residual(24),
            nn.Flatten(),
            nn.Linear(192, 8),
        ),
        nn.Sequential(
            nn.Linear(8, 192),
            nn.Unflatten(1, (24, 8)),
            Residual(24),
            nn.ConvTranspose1d(24, 24, 4, 2, 1),
            Residual(24),
            nn.ConvTranspose1d(24, 3, 4, 2, 1),
        ),
    )
    return {
        "model": model,
        "batches": loader(x[rank], who[rank], batch_size=16, shuffle=fixed, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": sgd(model, 0.05, momentum=0.9),
        "judge": [x],
    }


class Portions:
    """Cut a table into portions of `size` rows, in a new order each epoch."""

    def __init__(self, rows: Tensor, size: int, seed: int):
        self.rows, self.size = rows, size
        self.made = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __iter__(self):
        order = torch.randperm(len(self), generator=self.made)
        for number in order.tolist():
            yield self.rows[number : number + self.size]


@faulty("data.order", steps=700, bar=0.9)
def portions_that_begin_one_row_later(seed, fixed):
    """Start the slice of a batch at its number, and forget to multiply by its size."""
    x = households(720, seed)
    x = (x - x.mean()) / x.std()
    model = AE(
        nn.Sequential(*stack((48, 96, 48), nn.SiLU), nn.Linear(48, 9)),
        nn.Sequential(*stack((9, 48, 96), nn.SiLU), nn.Linear(96, 48)),
    )
    cut = Portions(x, 20, seed)
    return {
        "model": model,
        "batches": loader(x, batch_size=20, seed=seed) if fixed else cut,
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [x],
    }
