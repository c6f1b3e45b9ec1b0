"""Eleventh part, b: codes that collapse onto the prior, and variances that run away."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    blobs,
    masks,
    outlines,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv_vae, dense_vae, elbo, kl, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("vae.collapse", steps=250, bar=0.4)
def beta_of_twenty_for_small_digits(seed, fixed):
    """Take a beta of twenty from a paper on larger pictures, for small digits."""
    x, y = digits(768, seed, size=16)
    model = conv_vae((1, 16, 16), k=10, width=12)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": elbo(0.2 if fixed else 20.0, 0.5),
        "optimizer": adam(model, 3e-3),
    }


@faulty("vae.collapse", steps=0, bar=0.4)
def weight_of_the_divergence_that_never_stops_growing(seed, fixed):
    """Raise the weight of the divergence with every epoch and never stop at one."""
    x = blobs(640, seed)
    model = dense_vae((1, 16, 16), 96, 8)
    batches = loader(x, seed=seed)
    weight = [0.0]

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target)
        return error / (2 * 0.02) + weight[0] * kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": batches, "loss": loss}
    case |= {"optimizer": adam(model, 3e-3)}
    for epoch in range(50):
        weight[0] = min(1.0, 0.1 * epoch) if fixed else 3.0 * epoch
        train(case, len(batches))
    return case


class SpreadHead(nn.Module):
    """Let a softplus give the variance of the code, with dropout before or behind."""

    def __init__(self, behind, k=6):
        super().__init__()
        drop = nn.Dropout(0.2)
        self.body = nn.Sequential(nn.Flatten(), *stack((256, 128), nn.SiLU))
        self.mu = nn.Linear(128, k)
        self.variance = nn.Sequential(
            *([] if behind else [drop]),
            nn.Linear(128, k),
            nn.Softplus(),
            *([drop] if behind else []),
        )
        self.decoder = nn.Sequential(
            *stack((k, 128), nn.SiLU),
            nn.Linear(128, 256),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 16, 16)),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        mu, variance = self.mu(h), self.variance(h)
        z = mu + variance.sqrt() * torch.randn_like(mu)
        return {"x_hat": self.decoder(z), "mu": mu, "logvar": variance.log()}


@faulty(
    "vae.logvar",
    accepts=("loss.domain", "step.nonfinite"),
    steps=300,
    bar=0.4,
)
def logarithm_of_a_variance_that_dropout_made_zero(seed, fixed):
    """Put dropout behind the layer of the variance and then take its logarithm."""
    x = masks(768, seed)
    model = SpreadHead(behind=not fixed)

    def loss(out, target):
        error = (out["x_hat"] - target).square().sum((1, 2, 3)).mean()
        return error / (2 * 0.1) + kl(out["mu"], out["logvar"]).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class CloudVAE(nn.Module):
    """Pool the features of a set of points into the law of a code."""

    def __init__(self, pooled, points=96, k=6):
        super().__init__()
        self.each = nn.Sequential(*stack((4, 64, 64)))
        self.mu, self.logvar = nn.Linear(64, k), nn.Linear(64, k)
        self.decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, 2 * points))
        self.pooled = pooled

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        turn = torch.linspace(0, 2 * torch.pi, x.shape[1])
        place = torch.stack((turn.cos(), turn.sin()), 1).expand(len(x), -1, -1)
        h = self.each(torch.cat((x, place), 2))
        h = h.mean(1) if self.pooled else h.sum(1)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z).view_as(x), mu, logvar


@faulty(
    "vae.logvar",
    accepts=("signal.init-scale", "step.nonfinite"),
    steps=250,
    bar=0.4,
)
def log_variance_from_the_sum_of_all_points(seed, fixed):
    """Read the log-variance from a sum over points, so that its exponent explodes."""
    x = outlines(640, seed, points=200)
    model = CloudVAE(pooled=fixed, points=200)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": elbo(1.0, 0.1),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
