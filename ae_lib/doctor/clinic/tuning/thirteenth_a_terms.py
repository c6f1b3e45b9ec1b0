"""Ninth part, a: faults in the step, in the log-variance and in sparsity terms."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, conv, dense, kl, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    atoms,
    gait,
    mels,
    sheet,
    turbine,
)


@faulty("step.too-large", steps=200, bar=0.5)
def rate_of_sgd_kept_for_adam_on_windows(seed, fixed):
    """Change the optimizer from SGD to Adam and keep its rate of 0.2."""
    x = turbine(1024, seed, t=16).flatten(1)
    model = dense((80,), (128, 64), 10, last=None)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3 if fixed else 0.2),
    }


@faulty("step.too-large", accepts=("step.nonfinite",), steps=300, bar=0.5)
def old_rate_for_a_summed_error(seed, fixed):
    """Sum the error over a window as a paper does, and keep the rate of the mean."""
    x = gait(896, seed, t=32)
    model = dense((3, 32), (96,), 12, act=nn.Tanh, last=None)
    model.decoder[-1] = nn.Unflatten(1, (3, 32))

    def loss(output, target):
        return (output - target).square().sum((1, 2)).mean()

    rate = 0.2 / 96 if fixed else 0.2
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9),
    }


class Gauss(nn.Module):
    """Map a vector to the mean and the spread of a code, and a draw of it back."""

    def __init__(self, d, k=8, hidden=128):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), *stack((d, hidden, hidden)))
        self.mu, self.log_var = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.decoder = nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, d))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.body(x)
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decoder(z).view_as(x), mu, log_var


def _bound(output, target):
    recon, mu, log_var = output
    error = (recon - target).square().flatten(1).sum(1).mean() / 0.2
    return error + kl(mu, log_var).sum(1).mean()


@faulty(
    "vae.logvar",
    accepts=("signal.init-scale", "step.nonfinite"),
    steps=300,
    bar=0.4,
)
def wide_start_of_the_spread_of_the_code(seed, fixed):
    """Start the layer of the log-variance from N(0, 1), the default of the call."""
    x = mels(896, seed)
    model = Gauss(256)
    if not fixed:
        nn.init.normal_(model.log_var.weight)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": _bound,
        "optimizer": sgd(model, 1e-3, momentum=0.9),
    }


@faulty(
    "vae.logvar",
    accepts=("loss.domain", "step.nonfinite"),
    steps=300,
    bar=0.5,
)
def plus_before_the_variance_in_the_kl(seed, fixed):
    """Write + before exp(log_var) in the KL term, which rewards ever more variance."""
    x = sheet(1152, seed)
    model = Gauss(30)
    sign = -1 if fixed else 1

    def loss(output, target):
        recon, mu, log_var = output
        error = (recon - target).square().sum(1).mean() / 0.2
        terms = 1 + log_var - mu.pow(2) + sign * log_var.exp()
        return error - 0.5 * terms.sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=96, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Dictionary(nn.Module):
    """Code a vector with non-negative features of a wide dictionary."""

    def __init__(self, d=32, words=96):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, words), nn.ReLU())
        self.decoder = nn.Linear(words, d)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": self.decoder(z), "code": z}


@faulty("sparse.too-strong", steps=400, bar=0.4)
def dictionary_of_activations_all_silent(seed, fixed):
    """Weight the mean absolute feature by 60, so that no feature answers any more."""
    x = atoms(1280, seed)
    model = Dictionary()
    weight = 2.0 if fixed else 60.0

    def loss(output, target):
        error = F.mse_loss(output["recon"], target)
        return error + weight * output["code"].abs().mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=250, bar=0.4)
def penalty_summed_over_every_position_of_a_map(seed, fixed):
    """Add the sum of all activations of the code to a mean of squared errors."""
    x = mels(896, seed)
    plain = conv((1, 16, 16), 48, last=None)
    model = nn.Sequential(plain.encoder, nn.ReLU(), plain.decoder)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        z = model[1](model[0](batch))
        penalty = z.abs().mean() if fixed else z.abs().sum()
        loss = F.mse_loss(model[2](z), batch) + 3e-2 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}
