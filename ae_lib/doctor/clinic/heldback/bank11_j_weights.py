"""Eleventh part, j: first weights drawn by hand, too wide or all alike."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_j_material import panel, peaks
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty


class PeakNet(nn.Module):
    """Squeeze a curve by strided convolutions into four numbers, and unfold it."""

    def __init__(self, k=4):
        super().__init__()
        self.squeeze = nn.Sequential(
            nn.Conv1d(1, 12, 5, 2, 2),
            nn.ELU(),
            nn.Conv1d(12, 24, 5, 2, 2),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(24 * 16, k),
        )
        self.unfold = nn.Sequential(
            nn.Linear(k, 24 * 16),
            nn.ELU(),
            nn.Unflatten(1, (24, 16)),
            nn.ConvTranspose1d(24, 12, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(12, 1, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.unfold(self.squeeze(x[:, None]))[:, 0]


@faulty("signal.init-scale", steps=300, bar=0.6)
def normal_draw_whose_width_nobody_passed(seed, fixed):
    """Call `normal_` on every weight of a 1-d convolutional net, at its default."""
    net = PeakNet()

    def draw(part):
        if hasattr(part, "weight"):
            if fixed:
                nn.init.xavier_normal_(part.weight)
            else:
                nn.init.normal_(part.weight)
            nn.init.zeros_(part.bias)

    net.apply(draw)
    return {
        "model": net,
        "batches": loader(peaks(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(net),
    }


class Columns(nn.Module):
    """Fold a table's columns into a code through one wide layer."""

    def __init__(self, d=30, wide=64, k=12):
        super().__init__()
        self.read, self.fold = nn.Linear(d, wide), nn.Linear(wide, k)
        self.spread, self.write = nn.Linear(k, wide), nn.Linear(wide, d)

    def encode(self, x: Tensor) -> Tensor:
        return self.fold(torch.nn.functional.silu(self.read(x)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.write(torch.nn.functional.silu(self.spread(z))), z


@faulty("signal.init-scale", steps=400, bar=0.5)
def one_twentieth_in_each_cell_for_repeatability(seed, fixed):
    """Fill all matrices with 0.05, so that each run of a report begins alike."""
    net = Columns()
    if not fixed:
        with torch.no_grad():
            for weights in net.parameters():
                weights.fill_(0.05 if weights.ndim == 2 else 0.0)
    return {
        "model": net,
        "batches": loader(panel(1024, seed), batch_size=64, seed=seed),
        "loss": lambda out, target: (out[0] - target).square().mean(),
        "optimizer": adam(net, 3e-3),
    }
