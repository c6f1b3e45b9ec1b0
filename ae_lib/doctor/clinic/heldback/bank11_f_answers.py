"""Eleventh part, f: one answer for all inputs, and features without a gain."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import (
    blinks,
    prints,
    strides,
    tones,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import neighbours, train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty(
    "fit.mean-image",
    accepts=("loss.domain", "loss.scale", "signal.dead-units"),
    steps=0,
    bar=0.5,
)
def two_lights_in_the_dark_by_absolute_error(seed, fixed):
    """Ask for the median of pictures that are dark nearly everywhere, and get night."""
    x = blinks(1088, seed)
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((144, 128), nn.ELU), nn.Linear(128, 12)),
        nn.Sequential(
            *stack((12, 128), nn.ELU),
            nn.Linear(128, 144),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 12, 12)),
        ),
    )
    case = {
        "model": model,
        "batches": loader(x[:1024], batch_size=32, seed=seed),
        "loss": nn.BCELoss() if fixed else nn.L1Loss(),
        "optimizer": adam(model),
        "eval_batches": loader(x[1024:], shuffle=False),
    }
    train(case, 700)
    return case


class Walk(nn.Module):
    """Read joint angles by a strided convolution; write them from a short code."""

    def __init__(self, k: int = 6):
        super().__init__()
        self.read = nn.Sequential(
            nn.Conv1d(3, 24, 5, 2, 2),
            nn.SiLU(),
            nn.Conv1d(24, 32, 5, 2, 2),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(128, k),
        )
        self.write = nn.Sequential(*stack((k, 96), nn.SiLU), nn.Linear(96, 48))

    def encode(self, x: Tensor) -> Tensor:
        return self.read(x.transpose(1, 2))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": self.write(z).view_as(x), "z": z}


@faulty(
    "fit.mean-image",
    accepts=("signal.dead-units", "signal.common-mode", "signal.init-scale"),
    steps=0,
    bar=0.6,
)
def decay_of_the_weights_as_strong_as_a_drop_out(seed, fixed):
    """Pass 0.3 to Adam as the decay of the weights, and see them all melt away."""
    x = strides(1088, seed)
    model = Walk()
    case = {
        "model": model,
        "batches": loader(x[:1024], batch_size=32, seed=seed),
        "loss": lambda out, target: F.mse_loss(out["recon"], target),
        "optimizer": torch.optim.Adam(
            model.parameters(), 3e-3, weight_decay=1e-6 if fixed else 0.3
        ),
        "eval_batches": loader(x[1024:], shuffle=False),
    }
    train(case, 500)
    return case


class Levelled(nn.Module):
    """Take the level out of a profile, encode the rest, and append the level."""

    def __init__(self, d: int, k: int, *, total: bool, spread: float):
        super().__init__()
        self.d, self.total, self.spread = d, total, spread
        self.down = nn.Sequential(*stack((d, 96), nn.ELU), nn.Linear(96, k))
        self.up = nn.Sequential(*stack((k, 96), nn.ELU), nn.Linear(96, d))

    def encode(self, x: Tensor) -> Tensor:
        level = x.mean(1, keepdim=True)
        own = level * self.d if self.total else level / self.spread
        return torch.cat([self.down(x - level), own], 1)

    def decode(self, z: Tensor) -> Tensor:
        own = z[:, -1:]
        level = own / self.d if self.total else own * self.spread
        return self.up(z[:, :-1]) + level

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.75)
def neighbours_in_a_code_with_one_huge_unit(seed, fixed):
    """Append the total of a profile to its code, a hundred times the other units."""
    x, family = prints(1000, seed, noise=0.4)
    made = torch.Generator().manual_seed(seed + 31)
    x = x + 1.5 * torch.randn(len(x), 1, generator=made)
    model = Levelled(48, 5, total=not fixed, spread=1.5)
    case = {
        "model": model,
        "batches": loader(x, batch_size=50, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "labels": family,
    }
    train(case, 800)
    case["batches"] = list(x.split(50))  # in the order of the labels
    return case


@faulty(
    "features.no-gain",
    accepts=("code.identity",),
    steps=0,
    measure=neighbours,
    bar=0.73,
)
def features_that_keep_the_hiss_with_the_tone(seed, fixed):
    """Take features of noisy tones from a code as wide as they, which keeps it all."""
    x, band = tones(1600, seed, noise=1.4)
    k = 3 if fixed else 64
    model = AE(
        nn.Sequential(*stack((64, 96, 64), nn.ELU), nn.Linear(64, k)),
        nn.Sequential(*stack((k, 64, 96), nn.ELU), nn.Linear(96, 64)),
    )
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        shown = batch + torch.randn_like(batch) if fixed else batch
        loss = F.mse_loss(model(shown), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {
        "model": model,
        "batches": loader(x, batch_size=50, seed=seed),
        "step": step,
        "optimizer": optimizer,
        "labels": band,
    }
    train(case, 800)
    case["batches"] = list(x.split(50))  # in the order of the labels
    return case
