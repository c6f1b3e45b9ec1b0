"""Tenth part, e: Gaussian codes that carry nothing, and log-variances that run away."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv_vae, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_e_material import beats, rings, sensors


@faulty("vae.collapse", accepts=("loss.scale",), steps=250, bar=0.4)
def weight_of_the_divergence_from_a_paper_on_faces(seed, fixed):
    """Take the weight 250 of a paper with large images for cut-outs of 16 by 16."""
    x = patches(768, seed, size=16)
    model = conv_vae((3, 16, 16), k=12)
    beta = 1.0 if fixed else 250.0

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="none").flatten(1).sum(1)
        return (5 * error + beta * kl(mu, logvar).sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


class RhythmVAE(nn.Module):
    """Read a series with a GRU into a Gaussian code and write it with dense layers."""

    def __init__(self, t=32, channels=2, hidden=48, k=8):
        super().__init__()
        self.reader = nn.GRU(channels, hidden, batch_first=True)
        self.to_mu = nn.Linear(hidden, k)
        self.to_logvar = nn.Linear(hidden, k)
        self.writer = nn.Sequential(
            *stack((k, 96, 96)),
            nn.Linear(96, t * channels),
            nn.Unflatten(1, (t, channels)),
        )

    def encode(self, x: Tensor) -> Tensor:
        _, h = self.reader(x)
        return self.to_mu(h[-1])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        _, h = self.reader(x)
        mu, logvar = self.to_mu(h[-1]), self.to_logvar(h[-1])
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return {"recon": self.writer(z), "mu": mu, "logvar": logvar}


@faulty("vae.collapse", accepts=("loss.scale",), steps=100, bar=0.4)
def warm_up_of_the_divergence_without_an_end(seed, fixed):
    """Raise the weight of the divergence by a half each batch and never stop at one."""
    x = beats(896, seed, t=24)
    model = RhythmVAE(t=24)
    optimizer = adam(model, 4e-3)
    done = 0

    def loss(output, target):
        weight = 0.5 * done
        weight = min(weight / 20, 1.0) if fixed else weight
        error = (output["recon"] - target).square().sum((1, 2)).mean()
        spread = kl(output["mu"], output["logvar"]).sum(1).mean()
        return error / 0.4 + weight * spread

    def step(model, batch):
        nonlocal done
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 50.0)
        optimizer.step()
        done += 1
        return value.item()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    case |= {"optimizer": optimizer, "step": step}
    train(case, 150)
    return case


class Outline(nn.Module):
    """Pool the features of the points of an outline and code it as a Gaussian."""

    def __init__(self, pool, points=96, k=6):
        super().__init__()
        self.pool = pool
        self.each = nn.Sequential(*stack((2, 64, 128)))
        for layer in self.each[::2]:
            nn.init.kaiming_normal_(layer.weight)
        self.mu, self.log_var = nn.Linear(128, k), nn.Linear(128, k)
        self.decoder = nn.Sequential(
            *stack((k, 128, 128)),
            nn.Linear(128, 2 * points),
            nn.Unflatten(1, (points, 2)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.pool(self.each(x), 1)  # (B, 128), over the points
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + (0.5 * log_var).exp() * torch.randn_like(mu)
        return self.decoder(z), mu, log_var


@faulty(
    "vae.logvar",
    accepts=("step.nonfinite", "signal.init-scale"),
    steps=300,
    bar=0.4,
)
def spread_read_off_a_sum_over_all_points(seed, fixed):
    """Read the log-variance off a sum over all points, where exp overflows."""
    x = rings(1024, seed)
    model = Outline(torch.mean if fixed else torch.sum)

    def loss(output, target):
        recon, mu, log_var = output
        error = (recon - target).square().sum((1, 2)).mean()
        return error / 0.2 + kl(mu, log_var).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Variance(nn.Module):
    """Read the variance of a code off a layer that starts near one."""

    def __init__(self, d=24, k=4, hidden=96, positive=False):
        super().__init__()
        self.positive = positive
        self.body = nn.Sequential(*stack((d, hidden, hidden), nn.Tanh))
        self.centre, self.variance = nn.Linear(hidden, k), nn.Linear(hidden, k)
        nn.init.ones_(self.variance.bias)
        self.decoder = nn.Sequential(*stack((k, hidden), nn.Tanh), nn.Linear(hidden, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.centre(self.body(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        mu, variance = self.centre(h), self.variance(h)
        if self.positive:
            variance = F.softplus(variance) + 1e-4
        log_var = variance.log()
        z = mu + (0.5 * log_var).exp() * torch.randn_like(mu)
        return {"x_hat": self.decoder(z), "mu": mu, "log_var": log_var}


@faulty("vae.logvar", accepts=("step.nonfinite", "loss.domain"), steps=400, bar=0.5)
def logarithm_of_a_variance_that_may_turn_negative(seed, fixed):
    """Take the logarithm of a variance that a linear layer lets fall below zero."""
    x, _ = sensors(1152, seed)
    model = Variance(positive=fixed)

    def loss(output, target):
        error = (output["x_hat"] - target).square().sum(1).mean()
        return error / 0.3 + kl(output["mu"], output["log_var"]).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=96, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
