"""Eleventh part, d: noise that leaves nothing, and penalties of another matrix."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import (
    faint,
    headings,
    orders,
    panel,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


class GaussianNoise(nn.Module):
    """Add noise in training, as the layer of that name in Keras does."""

    def __init__(self, stddev: float):
        super().__init__()
        self.stddev = stddev

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stddev * torch.randn_like(x) if self.training else x


@faulty("noise.too-strong", steps=400, bar=0.5)
def tutorial_noise_of_one_half_on_faint_curves(seed, fixed):
    """Keep a tutorial's noise factor for curves that vary by a twentieth."""
    model = AE(
        nn.Sequential(
            GaussianNoise(0.02 if fixed else 0.5),
            nn.Unflatten(1, (1, 64)),
            nn.Conv1d(1, 12, 5, 2, 2),
            nn.ReLU(),
            nn.Conv1d(12, 24, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(384, 10),
        ),
        nn.Sequential(*stack((10, 96)), nn.Linear(96, 64), nn.Sigmoid()),
    )
    return {
        "model": model,
        "batches": loader(faint(1024, seed), seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("noise.too-strong", steps=400, bar=0.4)
def nearly_every_second_answer_flipped(seed, fixed):
    """Flip almost every second entry of a basket, and ask for the basket back."""
    x = orders(1536, seed)
    chance = 0.1 if fixed else 0.47

    def flipped(batch):
        flip = (torch.rand_like(batch) < chance).float()
        return (batch - flip).abs(), batch

    model = AE(
        nn.Sequential(*stack((60, 80)), nn.Linear(80, 8)),
        nn.Sequential(*stack((8, 80)), nn.Linear(80, 60)),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=96, seed=seed),
        "pair": flipped,
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
        "judge": [x],
    }


class Seen(nn.Module):
    """Return the reconstruction with the code and the input, for a penalty."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.decoder(z), "z": z, "x": x}


def rows(z: Tensor, x: Tensor) -> Tensor:
    """Return the squared norm of dz / dx of every sample, unit by unit."""
    total = x.new_zeros(len(x))
    for one in z.unbind(1):
        (grad,) = torch.autograd.grad(one.sum(), x, create_graph=True)
        total = total + grad.square().sum(1)
    return total


@faulty("contractive.wrong", steps=200, measure=true_penalty, bar=0.97)
def gradient_of_the_sum_of_all_units(seed, fixed):
    """Square the gradient of the code's sum, as a backward call with ones gives it."""
    encoder = nn.Sequential(*stack((24, 48), nn.Softplus), nn.Linear(48, 6), nn.Tanh())
    decoder = nn.Sequential(*stack((6, 48)), nn.Linear(48, 24))
    model = Seen(encoder, decoder)

    def loss(output, target):
        error = (output["x_hat"] - target).square().sum(1).mean()
        with torch.enable_grad():
            x = output["x"].detach().requires_grad_()
            z = model.encode(x)
            if fixed:
                steep = rows(z, x)
            else:
                ones = torch.ones_like(z)
                (grad,) = torch.autograd.grad(z, x, ones, create_graph=True)
                steep = grad.square().sum(1)
        return error + 0.02 * steep.mean()

    return {
        "model": model,
        "batches": loader(panel(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


class Gate(nn.Module):
    """Code by one layer of tanh units, and write back by the same weights."""

    def __init__(self, d=32, k=12):
        super().__init__()
        self.W = nn.Linear(d, k)
        self.back = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        return torch.tanh(self.W(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.encode(x)
        return {"x_hat": h @ self.W.weight + self.back, "h": h}


@faulty("contractive.wrong", steps=300, measure=true_penalty, bar=0.9)
def sigmoid_slope_for_units_of_tanh(seed, fixed):
    """Exchange the sigmoid for a tanh and leave h(1 - h) in the penalty."""
    model = Gate()

    def loss(output, target):
        h, weight = output["h"], model.W.weight
        slope = 1 - h**2 if fixed else h * (1 - h)
        norm = (slope**2 * weight.square().sum(1)).sum(1)
        return F.mse_loss(output["x_hat"], target) + 1e-3 * norm.mean()

    return {
        "model": model,
        "batches": loader(2 * headings(1024, seed), batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 5e-3),
    }
