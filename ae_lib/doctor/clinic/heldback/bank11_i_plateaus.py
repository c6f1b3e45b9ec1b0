"""Eleventh part, i: units that have left the slope of their own curve."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_i_material import chromatograms, clouds
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


class Gather(nn.Module):
    """Describe every point, pool over the set, and squash the code of the whole."""

    def __init__(self, wide=64, k=10, average=False):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(2, wide), nn.ReLU(), nn.Linear(wide, wide))
        self.average = average
        self.squash = nn.Tanh()
        self.code = nn.Linear(wide, k)

    def forward(self, points: Tensor) -> Tensor:
        told = self.each(points)
        pooled = told.mean(1) if self.average else told.sum(1)
        return self.squash(self.code(pooled))


@faulty("signal.saturated", steps=400, bar=0.85)
def all_points_of_a_set_added_before_the_squashing(seed, fixed):
    """Pool a point set by a sum, so that large totals reach the code's tanh."""
    x = clouds(768, seed)
    decoder = nn.Sequential(
        *stack((10, 128)), nn.Linear(128, 128), nn.Unflatten(1, (64, 2))
    )
    model = AE(Gather(average=fixed), decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 4e-3),
    }


class Steep(nn.Module):
    """Apply a logistic curve with a chosen slope."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * h)


@faulty("signal.saturated", steps=400, bar=0.85)
def amounts_read_through_a_curve_as_steep_as_a_wall(seed, fixed):
    """Multiply what enters the code's sigmoid by 100, to have crisp codes at once."""
    x = chromatograms(1024, seed)
    encoder = nn.Sequential(
        *stack((80, 64)),
        nn.Linear(64, 8),
        nn.BatchNorm1d(8),
        Steep(1.0 if fixed else 100.0),
    )
    decoder = nn.Sequential(*stack((8, 64)), nn.Linear(64, 80))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
