"""Eighth part, b: silent Gaussian codes, penalties without effect, and a range."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import quiet_units, train, used_units
from ae_lib.doctor.clinic.parts import VAE, dense, dense_vae, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    bends,
    cells,
    shafts,
    stream,
)


@faulty("vae.collapse", accepts=("loss.scale",), steps=0, measure=used_units, bar=0.4)
def error_averaged_over_pixels_beside_a_summed_divergence(seed, fixed):
    """Average the squared error over the pixels and sum the divergence over units."""
    x = cells(768, seed)
    model = dense_vae((1, 16, 16), hidden=128, k=8)

    def loss(output, target):
        picture, mu, logvar = output
        error = F.mse_loss(picture, target, reduction="none").flatten(1)
        error = error.sum(1) / 0.05 if fixed else error.mean(1)
        return (error + kl(mu, logvar).sum(1)).mean()

    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    train(case, 300)
    return case


@faulty("vae.collapse", steps=0, measure=used_units, bar=0.4)
def beta_of_a_paper_on_disentangling(seed, fixed):
    """Take beta = 60 from a paper on large images for rows of twenty numbers."""
    x = bends(1024, seed, d=20, rank=4)
    encoder = nn.Sequential(*stack((20, 64, 64), nn.ELU))
    decoder = nn.Sequential(*stack((4, 64, 64), nn.ELU), nn.Linear(64, 20))
    model, beta = VAE(encoder, decoder, 64, 4), 1.0 if fixed else 60.0

    def loss(output, target):
        rows, mu, logvar = output
        error = 0.5 * (rows - target).square().sum(1)
        return (error + beta * kl(mu, logvar).sum(1)).mean()

    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    train(case, 400)
    return case


class Teller(nn.Module):
    """Model a window with a GRU and a Gaussian code of the whole of it."""

    def __init__(self, forced, c=3, hidden=32, k=6):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.fc_mu, self.fc_logvar = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.start = nn.Linear(k, hidden)
        self.teller = nn.GRU(c + k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.forced = forced

    def encode(self, x):
        return self.fc_mu(self.reader(x)[1][-1])

    def forward(self, x):
        h = self.reader(x)[1][-1]
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        before = F.pad(x[:, :-1], (0, 0, 1, 0)) * self.forced
        fed = torch.cat([before, z.unsqueeze(1).expand(-1, x.shape[1], -1)], 2)
        h, _ = self.teller(fed, torch.tanh(self.start(z)).unsqueeze(0))
        return self.out(h), mu, logvar


@faulty(
    "vae.collapse",
    accepts=("wiring.bypass",),
    steps=0,
    measure=used_units,
    bar=0.5,
)
def decoder_told_the_last_true_value(seed, fixed):
    """Decode windows value by value from the true past, which needs no code."""
    x = shafts(512, seed, t=12, c=3)
    x = (x - x.mean((0, 1))) / x.std((0, 1))
    model = Teller(forced=not fixed)

    def loss(output, target):
        rows, mu, logvar = output
        error = (rows - target).square().sum((1, 2)) / (2 * 0.4)
        return (error + kl(mu, logvar).sum(1)).mean()

    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=8e-3),
    }
    train(case, 240)
    return case


class Sparse(nn.Module):
    """Code a row by many units and return the code for the penalty."""

    def __init__(self, d, k, act):
        super().__init__()
        self.read, self.act = nn.Linear(d, k), act
        self.write = nn.Linear(k, d)

    def encode(self, x):
        return self.act(self.read(x))

    def forward(self, x):
        z = self.encode(x)
        return self.write(z), z


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=400,
    measure=quiet_units,
    bar=0.6,
)
def active_units_counted_by_a_comparison(seed, fixed):
    """Penalise the frequency of activity, counted by `code > 0`, which has no slope."""
    x = stream(1024, seed)
    model = Sparse(32, 64, nn.ReLU())
    rho = 0.05

    def loss(output, target):
        rows, z = output
        active = (z > 0).float() if not fixed else 1 - torch.exp(-z / 0.5)
        rate = active.mean(0).clamp(1e-4, 1 - 1e-4)
        term = rho * (rho / rate).log() + (1 - rho) * ((1 - rho) / (1 - rate)).log()
        return F.mse_loss(rows, target) + 0.02 * term.sum()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.55)
def penalty_averaged_over_all_the_units(seed, fixed):
    """Average the absolute code over units and samples; the weight meant a sum."""
    x, y = digits(1024, seed, size=8)
    x = x.flatten(1)
    model = Sparse(64, 128, nn.ReLU())

    def loss(output, target):
        rows, z = output
        size = z.abs().sum(1).mean() if fixed else z.abs().mean()
        return F.mse_loss(rows, target) + 2e-3 * size

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@faulty("output.range", steps=300, bar=0.65)
def rectifier_after_standardised_readings(seed, fixed):
    """Standardise the readings and keep the ReLU at the end from the days of counts."""
    x = shafts(896, seed, t=16, c=3).flatten(1)
    x = (x - x.mean(0)) / x.std(0)
    last = None if fixed else nn.ReLU
    model = dense((48,), (96,), k=8, act=nn.SiLU, last=last)
    return {
        "model": model,
        "batches": loader(x[:768], seed=seed),
        "eval_batches": [x[768:]],
        "loss": nn.SmoothL1Loss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
