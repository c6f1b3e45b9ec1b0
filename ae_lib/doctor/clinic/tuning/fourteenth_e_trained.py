"""Tenth part, e: programs that have been trained, soundly and long enough."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_e_material import beats, blobs, sensors


@torch.no_grad()
def judged(case: dict, x: Tensor) -> float:
    """Return the loss of the case on x, in eval mode."""
    case["model"].eval()
    value = case["loss"](case["model"](x), x).item()
    case["model"].train()
    return value


def follow(case: dict, x: Tensor, held: Tensor, epochs: int, top: float = 0.0) -> None:
    """Train with a history; from a top rate, anneal it to 1 %."""
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for epoch in range(epochs):
        if top:
            share = epoch / (epochs - 1)
            rate = top * max(0.01, 0.5 + 0.5 * math.cos(math.pi * share))
            case["optimizer"].param_groups[0]["lr"] = rate
        train(case, len(case["batches"]))
        history["train_loss"].append(judged(case, x))
        history["val_loss"].append(judged(case, held))
    case["history"] = history


@healthy(steps=0, bar=0.75)
def three_causes_found_behind_two_dozen_sensors(seed):
    """Train a bent code of three on sensor rows until the validation loss is flat."""
    x, state = sensors(2400, seed)
    seen, held = x[:2000], x[2000:]
    model = AE(
        nn.Sequential(*stack((24, 128, 64), nn.GELU), nn.Linear(64, 3)),
        nn.Sequential(*stack((3, 64, 128), nn.GELU), nn.Linear(128, 24)),
    )
    case = {"model": model, "batches": loader(seen, state[:2000], seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 3e-3)}
    follow(case, seen, held, 40, top=3e-3)
    case["eval_batches"] = loader(held, state[2000:], batch_size=100, shuffle=False)
    return case


class Residual(nn.Module):
    """Add to a map what two convolutions make of it."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


@healthy(steps=0, bar=0.7)
def masks_with_a_rate_annealed_to_a_hundredth(seed):
    """Anneal the rate by a cosine over the whole training of a small residual net."""
    x = blobs(1700, seed)
    seen, held = x[:1500], x[1500:]
    model = AE(
        nn.Sequential(
            nn.Conv2d(1, 16, 4, 4),
            Residual(16),
            nn.Flatten(),
            nn.Linear(256, 8),
        ),
        nn.Sequential(
            *stack((8, 128, 256)),
            nn.Unflatten(1, (16, 4, 4)),
            Residual(16),
            nn.ConvTranspose2d(16, 1, 4, 4),
            nn.Sigmoid(),
        ),
    )
    case = {"model": model, "batches": loader(seen, batch_size=50, seed=seed)}
    case |= {"loss": nn.BCELoss(), "optimizer": adam(model, 4e-3)}
    follow(case, seen, held, 18, top=4e-3)
    case["eval_batches"] = [held]
    return case


class SeriesVAE(nn.Module):
    """Code a flattened series as a Gaussian of ten units, more than it needs."""

    def __init__(self, d=48, hidden=128, k=10):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), *stack((d, hidden, hidden), nn.SiLU))
        self.mu, self.logvar = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            *stack((k, hidden, hidden), nn.SiLU),
            nn.Linear(hidden, d),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.mu(self.body(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h).clamp(-12, 6)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return {"recon": self.decoder(z).view_as(x), "mu": mu, "logvar": logvar}


@healthy(steps=0, bar=0.7)
def rhythms_in_a_gaussian_code_with_units_to_spare(seed):
    """Train a VAE with a warmed-up divergence that leaves some of ten units idle."""
    x = beats(1600, seed, t=24)
    model, weight = SeriesVAE(), 0.0

    def loss(output, target):
        error = (output["recon"] - target).square().sum((1, 2)).mean()
        spread = kl(output["mu"], output["logvar"]).sum(1).mean()
        return error / 0.1 + weight * spread

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    case["optimizer"] = adam(model, 2e-3)
    for epoch in range(40):
        weight = min(1.0, (epoch + 1) / 10)
        train(case, len(case["batches"]))
    return case


@healthy(steps=0, bar=0.6)
def digits_judged_with_averaged_weights(seed):
    """Train on digits, average the weights of the late epochs and keep the average."""
    x, y = digits(1797, seed, 8)
    seen, held = x[:1500], x[1500:]
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((64, 192)), nn.Linear(192, 10)),
        nn.Sequential(
            *stack((10, 192)),
            nn.Linear(192, 64),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 8, 8)),
        ),
    )
    case = {"model": model, "batches": loader(seen, y[:1500], seed=seed)}
    case |= {"loss": F.mse_loss, "optimizer": adam(model, 3e-3)}
    train(case, 40 * len(case["batches"]))
    mean = copy.deepcopy(model.state_dict())
    for epoch in range(1, 11):
        train(case, len(case["batches"]))
        for name, value in model.state_dict().items():
            mean[name] += (value - mean[name]) / (epoch + 1)
    model.load_state_dict(mean)
    case["eval_batches"] = [(held, y[1500:])]
    return case
