"""Ninth part, a: tables and counts that work, though they look unusual."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    clicks,
    customers,
    rounds,
    sheet,
    weather,
)


class Mixed(nn.Module):
    """Give numbers as they are and the two categories as probabilities."""

    def __init__(self, k=4):
        super().__init__()
        self.encoder = nn.Sequential(*stack((18, 64), nn.Mish), nn.Linear(64, k))
        self.decoder = nn.Sequential(*stack((k, 64), nn.Mish), nn.Linear(64, 18))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.decoder(self.encoder(x))
        parts = [y[:, :10], y[:, 10:14].softmax(1), y[:, 14:].softmax(1)]
        return torch.cat(parts, 1), y[:, 10:]


@healthy(steps=350, bar=0.6)
def customers_by_squares_and_cross_entropies(seed):
    """Add squares of the numbers and a cross-entropy for either one-hot block."""
    x, group = customers(1280, seed)
    model = Mixed()

    def loss(output, target):
        x_hat, logits = output
        total = F.mse_loss(x_hat[:, :10], target[:, :10])
        for part in (slice(0, 4), slice(4, 8)):
            total += 0.3 * F.cross_entropy(logits[:, part], target[:, 10:][:, part])
        return total

    return {
        "model": model,
        "batches": loader(x, group, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "labels": group,
    }


class Readings(nn.Module):
    """Standardise raw readings inside of the model, and undo that at the end."""

    def __init__(self, x, k=3):
        super().__init__()
        self.register_buffer("level", x.mean(0))
        self.register_buffer("spread", x.std(0))
        self.encoder = nn.Sequential(*stack((8, 48), nn.Tanh), nn.Linear(48, k))
        self.decoder = nn.Sequential(*stack((k, 48), nn.Tanh), nn.Linear(48, 8))

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder((x - self.level) / self.spread)
        return self.decoder(z) * self.spread + self.level


@healthy(steps=350, bar=0.6)
def kelvin_and_hectopascals_scaled_inside(seed):
    """Feed kelvin, hectopascal and percent; the model and the loss scale them."""
    x = weather(1400, seed)
    model = Readings(x)
    spread = x.std(0)

    def loss(output, target):
        return ((output - target) / spread).square().mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=50, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


class Reader(nn.Module):
    """Explain counts by a mixture of tastes and a total; x_hat is the rate."""

    def __init__(self, d=40, k=6):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 64)), nn.Linear(64, k))
        self.tastes = nn.Linear(k, d)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        total = x.sum(1, keepdim=True)
        z = self.encoder(torch.log1p(x))
        share = self.tastes(z).log_softmax(1)
        return {"x_hat": total * share.exp(), "log_share": share}


@healthy(steps=350, bar=0.6)
def clicks_by_multinomial_likelihood(seed):
    """Model raw counts as draws from a softmax, their own total beside the code."""
    x = clicks(1024, seed)
    model = Reader()

    def loss(output, target):
        return -(target * output["log_share"]).sum() / target.sum()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


@healthy(steps=0, bar=0.6)
def flat_curve_of_a_linear_bottleneck(seed):
    """Train a bent table until nothing moves, and ask whether the flat loss is bad."""
    x = sheet(1152, seed, rank=2)
    model = nn.Sequential(
        *stack((30, 48), nn.ReLU),
        nn.Linear(48, 4),
        *stack((4, 48), nn.ReLU),
        nn.Linear(48, 30),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = loader(x[:1024], batch_size=128, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    history = rounds(case, 40, val=x[1024:])
    optimizer.param_groups[0]["lr"] = 2e-4
    for name, more in rounds(case, 15, val=x[1024:]).items():
        history[name] += more
    return {**case, "eval_batches": [x[1024:]], "history": history}
