"""Eighth part, a: plateaus, missing bends, and the first NaN of a run."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_a_material import (
    boxes,
    dial,
    hills,
    made,
    strokes,
)


class Hashed(nn.Module):
    """Encode signs with a code that is meant to be nearly binary."""

    def __init__(self, slope, k=20):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, k)
        )
        self.norm = nn.BatchNorm1d(k)
        self.decoder = nn.Sequential(nn.Linear(k, 128), nn.Tanh(), nn.Linear(128, 256))
        self.slope = slope

    def forward(self, x):
        z = torch.sigmoid(self.slope * self.norm(self.encoder(x)))
        return self.decoder(z).view_as(x)


@faulty("signal.saturated", steps=400, bar=0.63)
def steep_sigmoid_for_a_binary_code(seed, fixed):
    """Multiply the code by a large slope in front of its sigmoid to make it binary."""
    x, kind = strokes(1024, seed)
    model = Hashed(slope=2.0 if fixed else 100.0)
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=64, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


@faulty("signal.saturated", accepts=("signal.init-scale",), steps=250, bar=0.72)
def standard_normal_weights_under_tanh(seed, fixed):
    """Draw the weights of a tanh network from N(0, 1), as randn gives them."""
    x, y = digits(1024, seed, size=16)
    x = 2 * x - 1
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(256, 128),
        nn.Tanh(),
        nn.Linear(128, 24),
        nn.Tanh(),
        nn.Linear(24, 128),
        nn.Tanh(),
        nn.Linear(128, 256),
        nn.Unflatten(1, (1, 16, 16)),
    )
    with torch.no_grad():
        for layer in (model[1], model[3], model[5]):
            spread = layer.in_features**-0.5 if fixed else 1.0
            layer.weight.copy_(spread * torch.randn_like(layer.weight))
    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "optimizer": adam(model, 1e-3),
    }


class Quiet(nn.Module):
    """Declare an activation beside the layers of a deep autoencoder."""

    def __init__(self, called, d=40, k=2):
        super().__init__()
        self.enc1, self.enc2 = nn.Linear(d, 96), nn.Linear(96, 48)
        self.enc3 = nn.Linear(48, k)
        self.dec1, self.dec2 = nn.Linear(k, 48), nn.Linear(48, 96)
        self.dec3 = nn.Linear(96, d)
        self.relu = nn.ReLU()
        self.called = called

    def bend(self, h):
        return self.relu(h) if self.called else h

    def forward(self, x):
        z = self.enc3(self.bend(self.enc2(self.bend(self.enc1(x)))))
        h = self.bend(self.dec2(self.bend(self.dec1(z))))
        return self.dec3(h)


@faulty("signal.linear", steps=500, bar=0.62)
def relu_declared_but_never_called(seed, fixed):
    """Define the activation in the constructor and leave it out of the forward."""
    x = dial(1280, seed)
    model = Quiet(called=fixed)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": adam(model, 5e-3),
    }


@faulty("signal.linear", steps=300, bar=0.9)
def leaky_relu_that_leaks_everything(seed, fixed):
    """Set the negative slope of the leaky ReLU to one."""
    x = hills(1024, seed, size=16, peaks=1)
    slope = 0.1 if fixed else 1.0

    def act():
        return nn.LeakyReLU(slope)

    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        act(),
        nn.Conv2d(16, 32, 4, 2, 1),
        act(),
        nn.Flatten(),
        nn.Linear(512, 64),
        act(),
        nn.Linear(64, 4),
        nn.Linear(4, 64),
        act(),
        nn.Linear(64, 512),
        act(),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        act(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Map(nn.Module):
    """Draw a map of pictures: six coordinates that keep their distances."""

    def __init__(self, d=144, k=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 96), nn.ELU(), nn.Linear(96, k))
        self.decoder = nn.Sequential(nn.Linear(k, 96), nn.ELU(), nn.Linear(96, d))

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


def far(rows):
    """Return the differences of all pairs of rows, squared and summed."""
    return (rows.unsqueeze(0) - rows.unsqueeze(1)).square().sum(-1)


@faulty("step.nonfinite", steps=300, bar=0.5)
def distances_of_pictures_to_themselves(seed, fixed):
    """Keep distances by a root over all pairs, a picture and itself among them."""
    x = hills(896, seed, size=12, peaks=2).flatten(1)
    model = Map()
    eps = 1e-6 if fixed else 0.0

    def loss(output, target):
        x_hat, z = output
        gap = (far(z) + eps).sqrt() - (far(target) + eps).sqrt()
        return F.mse_loss(x_hat, target) + 1e-3 * gap.square().mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Sphere(nn.Module):
    """Put the code of a picture on the unit sphere and its strength beside it."""

    def __init__(self, eps, k=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, k, bias=False),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k + 1, 128), nn.ReLU(), nn.Linear(128, 768), nn.Sigmoid()
        )
        self.eps = eps

    def forward(self, x):
        h = self.encoder(x)
        size = h.square().sum(1, keepdim=True).add(self.eps).sqrt()
        z = torch.cat([h / size, size], 1)
        return {"recon": self.decoder(z).view_as(x), "z": z}


@faulty("step.nonfinite", steps=300, bar=0.4)
def black_frames_put_on_a_sphere(seed, fixed):
    """Divide codes by their length, which is zero for the black frames of a film."""
    x = boxes(768, seed)
    dark = torch.rand(768, generator=made(seed + 1)) < 0.03
    x[dark] = 0.0
    model = Sphere(eps=1e-6 if fixed else 0.0)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda out, target: F.mse_loss(out["recon"], target),
        "optimizer": adam(model),
    }
