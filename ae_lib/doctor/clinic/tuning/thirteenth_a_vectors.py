"""Ninth part, a: vectors by sparse, linear and variational codes that work."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.parts import stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    atoms,
    made,
    sheet,
)


class Components(nn.Module):
    """Project on a few directions and back with the same matrix, nothing else."""

    def __init__(self, mean, k=6):
        super().__init__()
        self.register_buffer("mean", mean)
        self.basis = nn.Parameter(torch.empty(k, len(mean)))
        nn.init.orthogonal_(self.basis)

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.basis.T

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.basis + self.mean


@healthy(steps=200, bar=0.7)
def principal_subspace_by_steep_descent(seed):
    """Learn a principal subspace with tied weights and plain SGD at rate 0.5."""
    x = table(1024, seed, d=24, rank=6)
    model = Components(x.mean(0))
    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.5),
    }


class Winners(nn.Module):
    """Keep the strongest four of 128 features of a vector."""

    def __init__(self, d=32, words=128, keep=4):
        super().__init__()
        book = F.normalize(torch.randn(d, words), dim=0)
        self.decoder = nn.Parameter(book)
        self.encoder = nn.Parameter(book.T.clone())
        self.bias, self.centre = (nn.Parameter(torch.zeros(m)) for m in (words, d))
        self.keep = keep

    def encode(self, x: Tensor) -> Tensor:
        h = (x - self.centre) @ self.encoder.T + self.bias
        top = h.topk(self.keep, dim=1)
        return torch.zeros_like(h).scatter(1, top.indices, top.values.relu())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return z @ self.decoder.T + self.centre, z


@healthy(steps=400, bar=0.6)
def four_winners_of_a_wide_dictionary(seed):
    """Keep four of 128 features, and set each direction back to length 1."""
    x = atoms(1500, seed)
    model = Winners()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(model, batch):
        optimizer.zero_grad()
        recon, _ = model(batch)
        loss = F.mse_loss(recon, batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.decoder.div_(model.decoder.norm(dim=0, keepdim=True))
        return loss.item()

    data = loader(x, batch_size=128, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}


class Unrolled(nn.Module):
    """Code with four steps of soft thresholding, decode with one dictionary."""

    def __init__(self, d=32, words=64):
        super().__init__()
        self.book = nn.Linear(words, d, bias=False)
        nn.init.orthogonal_(self.book.weight)
        self.read = nn.Linear(d, words, bias=False)
        self.read.weight.data = self.book.weight.data.T.clone()
        self.threshold = nn.Parameter(torch.full((words,), 0.4))

    def encode(self, x: Tensor) -> Tensor:
        z = F.relu(0.5 * self.read(x) - self.threshold)
        for _ in range(3):
            rest = x - self.book(z)
            z = F.relu(z + 0.5 * self.read(rest) - self.threshold)
        return z

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.book(z), z


@healthy(steps=350, bar=0.6)
def unrolled_thresholding_with_l1(seed):
    """Code non-negatively with unrolled iterations and a mild L1 term."""
    x = atoms(1280, seed, p=0.06)
    model = Unrolled()

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 4e-2 * z.sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Correct(nn.Module):
    """Estimate the noise of a vector and take it away from the vector."""

    def __init__(self, d=30, hidden=128):
        super().__init__()
        self.noise = nn.Sequential(*stack((d, hidden, hidden)), nn.Linear(hidden, d))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


@healthy(steps=400, bar=0.55)
def noise_as_large_as_the_signal_subtracted(seed):
    """Estimate noise as strong as the signal; it is drawn anew for every batch."""
    x = sheet(1280, seed, rank=2)
    model, g = Correct(), made(seed + 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(model, clean):
        noisy = clean + torch.randn(clean.shape, generator=g)
        loss = F.mse_loss(model(noisy), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    held = x[1152:]
    noisy = held + torch.randn(held.shape, generator=made(seed + 4))
    return {
        "model": model,
        "batches": loader(x[:1152], seed=seed),
        "step": step,
        "pair": lambda b: b if isinstance(b, tuple) else (b + torch.randn_like(b), b),
        "optimizer": optimizer,
        "eval_batches": [(noisy, held)],
        "judge": [(noisy, held)],
    }


@healthy(steps=350, bar=0.6)
def two_noisy_readings_of_each_sample(seed):
    """Predict the second noisy reading of a sample from the first, never the truth."""
    x, g = sheet(1400, seed, rank=2), made(seed + 9)
    one, two = (x + 0.5 * torch.randn(x.shape, generator=g) for _ in range(2))
    model = nn.Sequential(
        *stack((30, 96), nn.SiLU),
        nn.Linear(96, 6),
        *stack((6, 96), nn.SiLU),
        nn.Linear(96, 30),
    )
    return {
        "model": model,
        "batches": loader(one, two, batch_size=100, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "judge": [(one, x)],
    }


class Calibrated(nn.Module):
    """Give a Gaussian code; the variance of the decoder is worked out per batch."""

    def __init__(self, d=30, k=8):
        super().__init__()
        self.body = nn.Sequential(*stack((d, 96, 96), nn.ELU))
        self.mu, self.log_var = nn.Linear(96, k), nn.Linear(96, k)
        self.decoder = nn.Sequential(*stack((k, 96, 96), nn.ELU), nn.Linear(96, d))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + (log_var / 2).exp() * torch.randn_like(mu)
        return {"x_hat": self.decoder(z), "mu": mu, "log_var": log_var}


@healthy(steps=400, bar=0.6)
def vae_with_the_best_variance_of_each_batch(seed):
    """Use the likelihood with the variance that fits best: d/2 log of the MSE."""
    x = sheet(1280, seed)
    model = Calibrated()

    def loss(out, target):
        error = F.mse_loss(out["x_hat"], target)
        mu, log_var = out["mu"], out["log_var"]
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1).mean()
        return 0.5 * target.shape[1] * (error.log() + math.log(2 * math.pi) + 1) + kl

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
