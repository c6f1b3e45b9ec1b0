"""Eleventh part, j: sound programs with small, empty or unbent layers."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_j_material import clouds, panel, peaks
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import healthy


def hush(part: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02) and norms around one, as for a DCGAN."""
    if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(part.weight, 0.0, 0.02)
    elif isinstance(part, nn.BatchNorm2d):
        nn.init.normal_(part.weight, 1.0, 0.02)
        nn.init.zeros_(part.bias)


@healthy(steps=400, bar=0.93)
def hushed_kernels_under_batch_norms_of_clouds(seed):
    """Start all kernels at a width of 0.02, as batch norms restore the scale."""
    down = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(512, 16),
    )
    up = nn.Sequential(
        nn.Unflatten(1, (16, 1, 1)),
        nn.ConvTranspose2d(16, 32, 4, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
    )
    net = AE(down, up)
    net.apply(hush)
    return {
        "model": net,
        "batches": loader(clouds(1024, seed), batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(net, 3e-3),
    }


class Detour(nn.Module):
    """Add a detour to a straight road; the detour's last layer starts at zero."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.out, self.back = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.back.weight)
        nn.init.zeros_(self.back.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.back(nn.functional.gelu(self.out(self.norm(x))))


@healthy(steps=500, bar=0.95)
def detours_that_begin_at_nought(seed):
    """Zero the last layer of each residual branch, so that the net begins affine."""
    down = nn.Sequential(
        nn.Linear(64, 48), Detour(48), Detour(48), nn.LayerNorm(48), nn.Linear(48, 4)
    )
    up = nn.Sequential(
        nn.Linear(4, 48), Detour(48), Detour(48), nn.LayerNorm(48), nn.Linear(48, 64)
    )
    net = AE(down, up)
    return {
        "model": net,
        "batches": loader(peaks(1024, seed), batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(net.parameters(), lr=3e-3),
    }


class Loadings(nn.Module):
    """Project a table on a few orthogonal loadings and back, by one matrix."""

    def __init__(self, d=30, k=10):
        super().__init__()
        self.loadings = nn.Parameter(torch.empty(k, d))
        self.centre = nn.Parameter(torch.zeros(d))
        nn.init.orthogonal_(self.loadings)

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.centre) @ self.loadings.T

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.loadings + self.centre


@healthy(steps=400, bar=0.96)
def loadings_shared_both_ways_with_no_bend(seed):
    """Fit ten factors to a table of ten linear causes with one tied matrix."""
    net = Loadings()
    return {
        "model": net,
        "batches": loader(panel(1024, seed), batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(net, 5e-3),
    }
