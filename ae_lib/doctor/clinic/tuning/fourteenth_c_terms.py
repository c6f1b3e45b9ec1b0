"""Tenth part, c: sparsity terms too strong or idle, and contractive terms."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import jacrev, vmap

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.measures import quiet_units, true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    beats,
    blobs,
    curved,
    features,
    outlines,
    spectra,
)


class Coded(nn.Module):
    """Return the reconstruction and the code of one hidden layer."""

    def __init__(self, d: int, hidden: int, act, last=None):
        super().__init__()
        self.encoder = nn.Linear(d, hidden)
        self.decoder = nn.Linear(hidden, d)
        self.act, self.last = act, last

    def encode(self, x: Tensor) -> Tensor:
        return self.act(self.encoder(x.flatten(1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        recon = self.decoder(z)
        recon = self.last(recon) if self.last else recon
        return recon.view_as(x), z


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=300, bar=0.4)
def activity_summed_over_the_batch(seed, fixed):
    """Sum the absolute activities over the batch and add them to a mean of pixels."""
    x = blobs(640, seed)
    model = Coded(256, 64, torch.relu, torch.sigmoid)

    def loss(output, target):
        recon, z = output
        activity = z.abs().sum() / (len(z) * 64 if fixed else 1)
        return F.binary_cross_entropy(recon, target) + 1e-2 * activity

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


def _divergence(mean: Tensor, rho: float) -> Tensor:
    """Return the divergence of Bernoulli means from rho, one per unit."""
    mean = mean.clamp(1e-6, 1 - 1e-6)
    return rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=500, bar=0.45)
def weight_of_three_beside_a_mean_of_squares(seed, fixed):
    """Take the weight 3 of a course for the divergence, with a mean squared error."""
    x = patches(768, seed, size=8).mean(1).flatten(1)
    model = Coded(64, 48, torch.sigmoid)

    def loss(output, target):
        recon, z = output
        off = _divergence(z.mean(0), 0.01).sum()
        return F.mse_loss(recon, target) / 2 + (5e-5 if fixed else 3.0) * off

    return {
        "model": model,
        "batches": loader(x, batch_size=96, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 5e-3),
    }


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=600,
    measure=quiet_units,
    bar=0.5,
)
def activations_recorded_without_their_graph(seed, fixed):
    """Record the activations in a hook that detaches them, and penalise the record."""
    x = features(1024, seed)
    encoder = nn.Sequential(nn.Linear(32, 96), nn.ReLU())
    model = AE(encoder, nn.Linear(96, 32))
    seen: dict[str, Tensor] = {}

    def record(module, args, output):
        seen["code"] = output if fixed else output.detach()

    encoder[1].register_forward_hook(record)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        error = F.mse_loss(model(batch), batch)
        loss = error + 1.0 * seen["code"].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@faulty("sparse.inert", steps=600, measure=quiet_units, bar=0.35)
def absolute_value_taken_after_the_mean(seed, fixed):
    """Penalise the absolute mean of a signed code, where plus and minus cancel."""
    x = spectra(768, seed)
    model = Coded(80, 48, lambda h: h)

    def loss(output, target):
        recon, z = output
        term = z.abs().mean() if fixed else z.mean().abs()
        return F.mse_loss(recon, target) + 0.3 * term

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("contractive.wrong", steps=150, measure=true_penalty, bar=0.97)
def weights_summed_before_they_are_squared(seed, fixed):
    """Square the sum of a unit's weights where their squares are summed."""
    x = beats(768, seed)
    x = (x - x.mean(0)) / x.std()
    model = Coded(96, 24, torch.sigmoid)

    def loss(output, target):
        recon, z = output
        w = model.encoder.weight  # (24, 96)
        size = w.square().sum(1) if fixed else w.sum(1).square()
        slope = (z * (1 - z)).square()
        return (recon - target).square().sum(1).mean() + 0.1 * (slope @ size).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("contractive.wrong", steps=150, measure=true_penalty, bar=0.9)
def slope_of_a_sigmoid_for_relu_units(seed, fixed):
    """Copy the closed form of a sigmoid layer for an encoder of ReLU units."""
    x = curved(1024, seed)
    model = Coded(24, 40, torch.relu)

    def loss(output, target):
        recon, z = output
        slope = (z > 0).float() if fixed else (z * (1 - z)).square()
        size = model.encoder.weight.square().sum(1)
        return F.mse_loss(recon, target) + 1e-3 * (slope @ size).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Deep(nn.Module):
    """Code an outline with two smooth layers, and draw it with two more."""

    def __init__(self, d: int = 64, hidden: int = 48, k: int = 12):
        super().__init__()
        self.down = nn.Sequential(*stack((d, hidden), nn.Tanh), nn.Linear(hidden, k))
        self.up = nn.Sequential(*stack((k, hidden), nn.Tanh), nn.Linear(hidden, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x.flatten(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.encode(x)
        return self.up(z).view_as(x), z, x.flatten(1)


@faulty("contractive.wrong", steps=150, measure=true_penalty, bar=0.97)
def slope_of_the_drawing_half_of_an_outline_net(seed, fixed):
    """Take the Jacobian of the decoder at the code, where the encoder's was meant."""
    x = outlines(768, seed)
    model = Deep()

    def loss(output, target):
        recon, z, rows = output
        half, at = (model.down, rows) if fixed else (model.up, z)
        size = vmap(jacrev(half))(at).square().sum((1, 2))
        return F.mse_loss(recon, target) + 1e-3 * size.mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
