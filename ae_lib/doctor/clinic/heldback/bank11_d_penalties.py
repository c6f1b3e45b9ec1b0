"""Eleventh part, d: penalties of sparsity that do too much, or nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import (
    clips,
    firing,
    shares,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import quiet_units
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


class Dictionary(nn.Module):
    """Write a vector as a sparse sum of unit directions, as done with activations."""

    def __init__(self, d=48, m=96):
        super().__init__()
        self.pre_bias = nn.Parameter(torch.zeros(d))
        words = F.normalize(torch.randn(m, d), dim=1)
        self.words = nn.Parameter(words)  # (m, d)
        self.encoder = nn.Linear(d, m)
        with torch.no_grad():
            self.encoder.weight.copy_(words)
            self.encoder.bias.zero_()

    def encode(self, x: Tensor) -> Tensor:
        return torch.relu(self.encoder(x - self.pre_bias))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        acts = self.encode(x)
        words = F.normalize(self.words, dim=1)
        return {"x_hat": acts @ words + self.pre_bias, "acts": acts}


@faulty("sparse.too-strong", steps=300, bar=0.5)
def coefficient_of_another_width_in_a_dictionary(seed, fixed):
    """Copy the L1 coefficient of a model of far larger vectors to small ones."""
    model = Dictionary()
    coefficient = 0.4 if fixed else 12.0

    def loss(output, target):
        error = (output["x_hat"] - target).square().sum(1).mean()
        return error + coefficient * output["acts"].abs().sum(1).mean()

    return {
        "model": model,
        "batches": loader(firing(1536, seed), batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Rates(nn.Module):
    """Code a digit by 64 sigmoid units, and hand the units on with the picture."""

    def __init__(self, hidden=96, k=64):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), *stack((64, hidden)))
        self.units = nn.Linear(hidden, k)
        self.back = nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, 64))

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.units(self.body(x)))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        rates = self.encode(x)
        return {"recon": torch.sigmoid(self.back(rates)).view_as(x), "rates": rates}


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=400, bar=0.5)
def lecture_weight_three_on_an_averaged_error(seed, fixed):
    """Keep the lecture's weight 3 for the divergence of rates, on a mean error."""
    model = Rates()
    x, y = digits(1280, seed, size=8)
    optimizer = adam(model, 3e-3)
    goal, weight = 0.05, 1e-3 if fixed else 3.0

    def spread(rates):
        rho = rates.mean(0).clamp(1e-6, 1 - 1e-6)
        on = goal * (goal / rho).log()
        off = (1 - goal) * ((1 - goal) / (1 - rho)).log()
        return (on + off).sum()

    def loss(out, images):
        return F.mse_loss(out["recon"], images) + weight * spread(out["rates"])

    def step(model, batch):
        images, _ = batch
        cost = loss(model(images), images)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        return cost.item()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "step": step,
        "optimizer": optimizer,
    }


class Mixture(nn.Module):
    """Mix learned prototypes by a softmax over 24 units."""

    def __init__(self, d=12, k=24, hidden=64):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, hidden), nn.GELU))
        self.bottleneck = nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, hidden), nn.GELU(), nn.Linear(hidden, d), nn.Softmax(dim=1)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.bottleneck(self.encoder(x)).softmax(1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        weights = self.encode(x)
        return {"x_hat": self.decoder(weights), "weights": weights}


@faulty("sparse.inert", steps=500, measure=quiet_units, bar=0.55)
def absolute_sum_of_weights_that_sum_to_one(seed, fixed):
    """Ask softmax weights to be few by their absolute sum, which is always one."""
    model = Mixture()

    def loss(output, target):
        weights = output["weights"]
        if fixed:
            few = -(weights * (weights + 1e-8).log()).sum(1).mean()
        else:
            few = weights.abs().sum(1).mean()
        error = F.mse_loss(output["x_hat"], target, reduction="sum") / len(target)
        return 10 * error + 0.01 * few

    return {
        "model": model,
        "batches": loader(shares(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


class Watched:
    """Keep what a layer gave in its last forward pass."""

    def __init__(self, layer: nn.Module, cut: bool):
        self.cut, self.seen = cut, None
        layer.register_forward_hook(self)

    def __call__(self, layer, args, output: Tensor) -> None:
        self.seen = output.detach() if self.cut else output


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=400,
    measure=quiet_units,
    bar=0.55,
)
def penalty_on_what_the_hook_had_detached(seed, fixed):
    """Penalise the feature maps of clips, which a copied hook hands on detached."""
    encoder = nn.Sequential(
        nn.Conv1d(1, 24, 9, 4, 4),
        nn.ReLU(),
        nn.Conv1d(24, 16, 5, 2, 2),
        nn.ReLU(),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose1d(16, 24, 8, 2, 3),
        nn.ReLU(),
        nn.ConvTranspose1d(24, 1, 8, 4, 2),
    )
    model = AE(encoder, decoder)
    watched = Watched(encoder, cut=not fixed)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        optimizer.zero_grad()
        made = model(batch)
        total = F.mse_loss(made, batch) + 0.02 * watched.seen.abs().mean()
        total.backward()
        optimizer.step()
        return total.item()

    return {
        "model": model,
        "batches": loader(clips(1024, seed), batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
