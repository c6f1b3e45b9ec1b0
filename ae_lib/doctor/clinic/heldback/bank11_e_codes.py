"""Eleventh part, e: right codes that are narrow, sparse, binary, positive or linear."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_e_material import (
    clouds,
    mixtures,
    needles,
    panels,
    pulses,
    words,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Tied(nn.Module):
    """Project on directions and back by the same matrix, with no bend at all."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.directions = nn.Parameter(nn.init.orthogonal_(torch.empty(k, d)))
        self.centre = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        return F.linear(x - self.centre, self.directions)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.directions + self.centre


@healthy(steps=400, bar=0.9)
def principal_plane_by_gradient_descent(seed):
    """Learn the principal subspace of a table by tied linear maps, on purpose."""
    model = Tied(40, 12)
    return {
        "model": model,
        "batches": loader(panels(1024, seed), batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Dictionary(nn.Module):
    """Keep the few largest of many rectified answers of an overcomplete dictionary."""

    def __init__(self, d: int = 60, atoms: int = 36, keep: int = 5):
        super().__init__()
        self.keep = keep
        self.centre = nn.Parameter(torch.zeros(d))
        self.atoms = nn.Parameter(F.normalize(torch.randn(atoms, d), dim=1))
        self.reader = nn.Linear(d, atoms)
        with torch.no_grad():
            self.reader.weight.copy_(self.atoms)
            self.reader.bias.zero_()

    def encode(self, x: Tensor) -> Tensor:
        answer = torch.relu(self.reader(x - self.centre))
        top, where = answer.topk(self.keep, dim=1)
        return torch.zeros_like(answer).scatter(1, where, top)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": z @ self.atoms + self.centre, "code": z}


@healthy(steps=400, bar=0.9)
def five_of_thirty_six_atoms_at_a_time(seed):
    """Train a top-k sparse autoencoder, whose code is zero at most places."""
    model = Dictionary()
    return {
        "model": model,
        "batches": loader(mixtures(1024, seed, 60, 24, 0.12), batch_size=64, seed=seed),
        "optimizer": adam(model),
    }


class Switches(nn.Module):
    """Code a digit by signs, and let gradients pass straight through them."""

    def __init__(self, k: int = 48):
        super().__init__()
        self.reader = nn.Sequential(*stack((64, 128)), nn.Linear(128, k))
        self.writer = nn.Sequential(*stack((k, 128)), nn.Linear(128, 64), nn.Sigmoid())

    def encode(self, x: Tensor) -> Tensor:
        soft = torch.tanh(self.reader(x.flatten(1)))
        return soft + (torch.where(soft >= 0, 1.0, -1.0) - soft).detach()

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view_as(x)


@healthy(steps=500, bar=0.7)
def fingerprints_of_forty_eight_signs(seed):
    """Learn binary fingerprints of digits, for a search by Hamming distance."""
    x, y = digits(1024, seed, size=8)
    model = Switches()
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model),
    }


@healthy(steps=500, bar=0.95)
def pulses_known_by_place_and_width_alone(seed):
    """Code forty-eight values by two, as only place and width vary."""
    model = AE(
        nn.Sequential(*stack((48, 128, 64), nn.SiLU), nn.Linear(64, 2)),
        nn.Sequential(*stack((2, 64, 128), nn.SiLU), nn.Linear(128, 48)),
    )
    return {
        "model": model,
        "batches": loader(pulses(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Hand(nn.Module):
    """Code a clock hand by a point of the circle and a length."""

    def __init__(self):
        super().__init__()
        self.reader = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(512, 3),
        )
        self.writer = nn.Sequential(*stack((3, 128, 128), nn.SiLU), nn.Linear(128, 256))

    def encode(self, x: Tensor) -> Tensor:
        h = self.reader(x)
        return torch.cat([F.normalize(h[:, :2], dim=1), h[:, 2:]], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view_as(x)


@healthy(steps=600, bar=0.88)
def clock_hand_as_a_point_of_the_circle(seed):
    """Put the angle of a hand on the unit circle, and its length beside it."""
    model = Hand()
    return {
        "model": model,
        "batches": loader(needles(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Positive(nn.Module):
    """Factor rows into amounts and bands, neither ever negative."""

    def __init__(self, d: int = 60, k: int = 10):
        super().__init__()
        self.amounts = nn.Sequential(
            *stack((d, 64), nn.SiLU), nn.Linear(64, k), nn.Softplus()
        )
        self.bands = nn.Parameter(0.06 * torch.rand(k, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.amounts(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.bands


@healthy(steps=600, bar=0.95)
def bands_and_amounts_that_are_never_negative(seed):
    """Factor spectra into non-negative bands by a code that is positive."""
    model = Positive()
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.bands.clamp_(min=0)  # back to what is allowed
        return loss.item()

    return {
        "model": model,
        "batches": loader(mixtures(1024, seed), batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=900, bar=0.5)
def topics_as_shares_of_a_short_text(seed):
    """Code texts, whose counts are mostly zero, by shares out of a softmax."""
    encoder = nn.Sequential(
        *stack((80, 64)), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Softmax(1)
    )
    decoder = nn.Sequential(nn.Linear(8, 80), nn.Softplus())
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(words(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@healthy(steps=400, bar=0.9)
def clouds_through_a_wide_code_with_a_penalty(seed):
    """Put an absolute penalty on a rectified code wider than the data has values."""
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 64)))
    decoder = nn.Sequential(nn.Linear(64, 256), nn.Unflatten(1, (1, 16, 16)))
    model = AE(encoder, decoder)
    optimizer = adam(model)

    def step(model, batch):
        z = model.encode(batch)
        loss = F.mse_loss(model.decode(z), batch) + 3e-4 * z.abs().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(clouds(768, seed) - 0.5, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
