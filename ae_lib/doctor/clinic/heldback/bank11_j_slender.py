"""Eleventh part, j: sound programs with slender codes and uncommon first weights."""

import math

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_j_material import bars, peaks, strides
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Pacer(nn.Module):
    """Read a series with a GRU into its pace, and write all instants from it."""

    def __init__(self, t=20, c=3, wide=32):
        super().__init__()
        self.shape = (t, c)
        self.read = nn.GRU(c, wide, batch_first=True)
        self.pace = nn.Linear(wide, 1)
        self.write = nn.Sequential(*stack((1, 64, 64), nn.SiLU), nn.Linear(64, t * c))

    def encode(self, x: Tensor) -> Tensor:
        return self.pace(self.read(x)[1][-1])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"reconstruction": self.write(z).unflatten(1, self.shape), "pace": z}


@healthy(steps=400, bar=0.95)
def gait_told_by_its_pace_alone(seed):
    """Give a code of one number to sixty values that one cause moves."""
    net = Pacer()
    return {
        "model": net,
        "batches": loader(strides(1024, seed), batch_size=64, seed=seed),
        "loss": lambda out, x: nn.functional.mse_loss(out["reconstruction"], x),
        "optimizer": adam(net, 3e-3),
    }


class Sine(nn.Module):
    """Bend by a sine of a multiple of the sum, as networks of coordinates do."""

    def __init__(self, a: int, b: int, pitch: float, first: bool = False):
        super().__init__()
        self.pitch, self.mix = pitch, nn.Linear(a, b)
        bound = 1 / a if first else math.sqrt(6 / a) / pitch
        nn.init.uniform_(self.mix.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.pitch * self.mix(x))


class Painter(nn.Module):
    """Encode a picture, and paint it point by point from the code and the place."""

    def __init__(self, size=16, k=6, wide=48):
        super().__init__()
        self.size = size
        line = torch.linspace(-1, 1, size)
        self.register_buffer("places", torch.cartesian_prod(line, line))
        self.encoder = nn.Sequential(
            nn.Flatten(), *stack((size * size, 96), nn.GELU), nn.Linear(96, k)
        )
        self.spot = Sine(2, wide, 8.0, first=True)
        self.tune = nn.Sequential(*stack((k, 64), nn.GELU), nn.Linear(64, wide))
        self.blend = Sine(wide, wide, 8.0)
        self.last = nn.Linear(wide, 1)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        h = self.spot(self.places) * (1 + self.tune(z))[:, None]  # (B, S * S, wide)
        return self.last(self.blend(h)).view(-1, 1, self.size, self.size)


@healthy(steps=400, bar=0.93)
def sines_paint_each_point_of_a_bar(seed):
    """Paint pictures from their coordinates by sines with the weights of SIREN."""
    net = Painter()
    return {
        "model": net,
        "batches": loader(bars(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(net, 2e-3),
    }


@healthy(steps=600, bar=0.97)
def straight_reader_and_bent_writer_of_peaks(seed):
    """Read curves by one matrix into six numbers, and bend in the decoder alone."""
    net = AE(
        nn.Linear(64, 6, bias=False),
        nn.Sequential(*stack((6, 96, 96), nn.LeakyReLU), nn.Linear(96, 64)),
    )
    nn.init.orthogonal_(net.encoder.weight)
    return {
        "model": net,
        "batches": loader(peaks(1024, seed), batch_size=64, seed=seed),
        "loss": nn.SmoothL1Loss(),
        "optimizer": adam(net, 3e-3),
    }
