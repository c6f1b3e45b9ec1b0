"""Tenth part, g: five programs that work, plain, unusual and already trained."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_g_material import (
    discs,
    epochs,
    footprints,
    score,
    spectra,
    tides,
)


@healthy(steps=300, bar=0.7)
def spectra_squeezed_by_two_gelu_layers(seed):
    """Train 96-64-8-64-96 with GELU and a linear output on standardised spectra."""
    model = dense((96,), (64,), 8, act=nn.GELU, last=None)
    return {
        "model": model,
        "batches": loader(spectra(1024, seed), seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=300, bar=0.5)
def building_outlines_with_logits(seed):
    """Train a convolutional model on binary masks with the loss on logits."""
    model = conv((1, 16, 16), 12, 12, last=None)
    return {
        "model": model,
        "batches": loader(footprints(768, seed), batch_size=48, seed=seed),
        "loss": F.binary_cross_entropy_with_logits,
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }


class Readers(nn.Module):
    """Read a series with two learned queries, and write it back from their answers."""

    def __init__(self, t=24, d=2, wide=32, k=2):
        super().__init__()
        self.embed = nn.Linear(d, wide)
        self.place = nn.Parameter(0.3 * torch.randn(t, wide))
        self.queries = nn.Parameter(torch.randn(2, wide))
        self.attend = nn.MultiheadAttention(wide, 4, batch_first=True)
        self.code = nn.Linear(wide, k)
        self.writer = nn.Sequential(*stack((2 * k, 96)), nn.Linear(96, t * d))

    def encode(self, x: Tensor) -> Tensor:
        h = F.gelu(self.embed(x) + self.place)
        asked = self.queries.expand(len(x), -1, -1)
        read, _ = self.attend(asked, h, h, need_weights=False)
        return self.code(read).flatten(1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.writer(z).view_as(x), "code": z}


@healthy(steps=400, bar=0.6)
def two_learned_queries_with_a_warm_up(seed):
    """Pool a series by attention, and train with a warm-up and clipped gradients."""
    model = Readers()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-4)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.2, total_iters=20)

    def step(model, batch):
        model.train()
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(batch)["x_hat"], batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(tides(1024, seed), seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=0, bar=0.8)
def shaded_discs_with_norms_and_dropout(seed):
    """Train with batch norm and a little dropout, and judge on held-out images."""
    x = discs(1024, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 4, 2, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.05),
        nn.Linear(384, 12),
    )
    decoder = nn.Sequential(
        *stack((12, 128)),
        nn.Linear(128, 256),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 16, 16)),
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(x[896:], shuffle=False),
    }
    case["history"] = epochs(case, 30, x[896:])
    for group in case["optimizer"].param_groups:
        group["lr"] = 5e-4
    for name, values in epochs(case, 10, x[896:]).items():
        case["history"][name] += values
    return case


@healthy(steps=0, bar=0.8)
def outlines_through_warm_restarts(seed):
    """Train with a cosine rate that restarts twice, to a flat end."""
    x = footprints(1152, seed)
    train_x, val = x[:1024].flatten(1), x[1024:].flatten(1)
    model = dense((256,), (96,), 12, act=nn.SiLU)
    optimizer = adam(model, 4e-3)
    case = {
        "model": model,
        "batches": loader(train_x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
        "eval_batches": loader(val, shuffle=False),
    }
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for epoch in range(60):
        optimizer.param_groups[0]["lr"] = 1e-5 + 2e-3 * (
            1 + math.cos(math.pi * (epoch % 20) / 20)
        )
        losses = train(case, 32)
        history["train_loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(score(case, val))
    case["history"] = history
    return case
