"""Eighth part, b: variational and regularised codes that do what they should."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import VAE, conv_vae, elbo, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    bends,
    cells,
    shafts,
    skies,
)


def _rows(d: int, hidden: int, k: int, act=nn.SiLU) -> VAE:
    encoder = nn.Sequential(*stack((d, hidden, hidden), act))
    decoder = nn.Sequential(*stack((k, hidden, hidden), act), nn.Linear(hidden, d))
    return VAE(encoder, decoder, hidden, k)


@healthy(steps=0, bar=0.6)
def eight_units_offered_where_three_suffice(seed):
    """Offer a beta-VAE eight units for three causes; it leaves the others idle."""
    x = bends(1024, seed, d=20, rank=3)
    model = _rows(20, 64, 8)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": elbo(beta=2.0, variance=0.1),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 500)
    return case


class Conditional(nn.Module):
    """Give encoder and decoder the one-hot class that stands behind the pixels."""

    def __init__(self, k=8):
        super().__init__()
        self.encoder = nn.Sequential(*stack((74, 128)))
        self.fc_mu, self.fc_logvar = nn.Linear(128, k), nn.Linear(128, k)
        self.decoder = nn.Sequential(*stack((k + 10, 128)), nn.Linear(128, 64))

    def forward(self, both):
        kind, h = both[:, 64:], self.encoder(both)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        picture = torch.sigmoid(self.decoder(torch.cat([z, kind], 1)))
        return {"x_hat": picture, "mu": mu, "logvar": logvar}


@healthy(steps=400, bar=0.5)
def digits_given_their_class(seed):
    """Train a conditional VAE on digits; its input is longer than its output."""
    x, y = digits(1024, seed, size=8)
    model = Conditional()

    def with_class(batch):
        pixels, kind = batch[0].flatten(1), F.one_hot(batch[1], 10).float()
        return torch.cat([pixels, kind], 1), pixels

    def loss(out, target):
        error = (out["x_hat"] - target).square().sum(1) / (2 * 0.04)
        return (error + kl(out["mu"], out["logvar"]).sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "pair": with_class,
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@dataclass
class Out:
    """Hold what a Wasserstein autoencoder returns."""

    reconstruction: Tensor
    code: Tensor


class Wasserstein(nn.Module):
    """Map rows to a code without noise and back."""

    def __init__(self, d=30, k=6):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96, 96), nn.GELU), nn.Linear(96, k))
        self.decoder = nn.Sequential(*stack((k, 96, 96), nn.GELU), nn.Linear(96, d))

    def forward(self, x):
        z = self.encoder(x)
        return Out(self.decoder(z), z)


def _discrepancy(a: Tensor, b: Tensor) -> Tensor:
    def alike(u, v):
        size = 2.0 * u.shape[1]
        return (size / (size + torch.cdist(u, v).square())).mean()

    return alike(a, a) + alike(b, b) - 2 * alike(a, b)


@healthy(steps=400, bar=0.7)
def code_matched_to_the_prior_as_a_whole(seed):
    """Pull the codes of a batch to a normal sample by their mean discrepancy."""
    x = bends(1280, seed, d=30, rank=5)
    model = Wasserstein()

    def loss(out, target):
        error = F.mse_loss(out.reconstruction, target)
        return error + 2.0 * _discrepancy(out.code, torch.randn_like(out.code))

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


class Precise(VAE):
    """Learn the spread of the residuals along with everything else."""

    def __init__(self, rows: VAE, k: int):
        super().__init__(rows.encoder, rows.decoder, 96, k)
        self.log_spread = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        picture, mu, log_var = super().forward(x)
        spread = self.log_spread.expand(len(x))
        return {"x_hat": picture, "mu": mu, "log_var": log_var, "log_spread": spread}


@healthy(steps=450, bar=0.7)
def likelihood_with_a_learned_spread(seed):
    """Learn the decoder's spread, so that the loss falls far below zero."""
    x = shafts(1024, seed, t=20, c=2).flatten(1)
    x = (x - x.mean(0)) / x.std(0)
    model = Precise(_rows(40, 96, 7), 7)

    def loss(out, target):
        log_spread = out["log_spread"].mean()
        gap = (out["x_hat"] - target) * torch.exp(-log_spread)
        error = (0.5 * gap.square() + log_spread).sum(1)
        return (error + kl(out["mu"], out["log_var"]).sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@healthy(steps=250, bar=0.5)
def free_bits_and_a_slow_start(seed):
    """Warm the divergence up in the loop and leave each unit a tenth of a nat free."""
    x = cells(640, seed)
    model, seen = conv_vae((1, 16, 16), k=10, width=12), [0]

    def loss(output, target, weight=1.0):
        picture, mu, logvar = output
        error = (picture - target).square().flatten(1).sum(1).mean() / (2 * 0.02)
        return error + weight * kl(mu, logvar).mean(0).clamp_min(0.1).sum()

    def step(model, batch):
        seen[0] += 1
        value = loss(model(batch), batch, min(1.0, seen[0] / 150))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    return {**case, "step": step, "loss": loss}


class Half(nn.Module):
    """Compute the convolutions in bfloat16 and return an ordinary float image."""

    def __init__(self):
        super().__init__()
        self.net = conv_vae((3, 16, 16), k=12, width=12, last=nn.Tanh)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = self.net(x)
        return tuple(part.float() for part in out)


@healthy(steps=300, bar=0.5)
def variational_in_half_precision(seed):
    """Train a VAE under bfloat16 autocast on images in [-1, 1] that end on tanh."""
    x = 2 * skies(640, seed) - 1
    model = Half()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": elbo(beta=1.0, variance=0.05),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Coder(nn.Module):
    """Round a code in use, blur it in training, and count the bits it would take."""

    def __init__(self, d=36, k=8):
        super().__init__()
        self.analysis = nn.Sequential(*stack((d, 96), nn.GELU), nn.Linear(96, k))
        self.synthesis = nn.Sequential(*stack((k, 96), nn.GELU), nn.Linear(96, d))
        self.centre = nn.Parameter(torch.zeros(k))
        self.log_scale = nn.Parameter(torch.zeros(k))

    def forward(self, x):
        y = 4 * self.analysis(x)
        y = y + torch.rand_like(y) - 0.5 if self.training else y.round()
        size = self.log_scale.exp()
        above = torch.sigmoid((y + 0.5 - self.centre) / size)
        below = torch.sigmoid((y - 0.5 - self.centre) / size)
        bits = -(above - below).clamp_min(1e-9).log2().sum(1)
        return {"x_hat": self.synthesis(y / 4), "bits": bits}


@healthy(steps=450, bar=0.7)
def bits_traded_for_distortion(seed):
    """Trade the squared error against the bits of a rounded code."""
    x = bends(1280, seed, d=36, rank=5)
    model = Coder()

    def loss(out, target):
        return F.mse_loss(out["x_hat"], target) + 0.004 * out["bits"].mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
