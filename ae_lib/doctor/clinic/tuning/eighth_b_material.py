"""Data, measures and a training log for the eighth round of faulty programs."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import table


@cache
def _clinic_table() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_breast_cancer

    rows, labels = load_breast_cancer(return_X_y=True)
    rows = torch.tensor(rows, dtype=torch.float32)
    return (rows - rows.mean(0)) / rows.std(0), torch.tensor(labels)


def tumours(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the breast cancer table (569, 30), columns standardised, and labels."""
    rows, labels = _clinic_table()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order], labels[order]


def assays(n: int = 512, seed: int = 0) -> Tensor:
    """Return rows (n, 20) of three causes and a good deal of noise, standardised."""
    x = table(n, seed, 20, rank=3)
    x = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return (x - x.mean(0)) / x.std(0)


def logbook(case: dict, epochs: int, held: Tensor) -> dict[str, list[float]]:
    """Train a case for some epochs and write down its losses after each of them."""
    rows = len(case["batches"])
    history = {"train_loss": [], "val_loss": []}
    for _ in range(epochs):
        losses = measures.train(case, rows)
        history["train_loss"].append(sum(losses) / rows)
        history["val_loss"].append(_error(case, held))
    return history


@torch.no_grad()
def _error(case: dict, held: Tensor) -> float:
    model = case["model"].eval()
    loss_of = case.get("loss")
    with torch.random.fork_rng(devices=[]):
        output = model(held)
    model.train()
    if loss_of:
        return loss_of(output, held).item()
    return F.mse_loss(measures.x_hat(output), held).item()


def alive(case: dict) -> float:
    """Return the share of code units that differ between inputs at all."""
    z = measures.codes(case).flatten(1)
    return (z.std(0) > 1e-3 * z.std().clamp(min=1e-6)).float().mean().item()


def accurate_probe(case: dict) -> float:
    """Return the accuracy of a nearest-centroid vote on the code.

    Needs `labels` in the order of the batches; every other sample is a vote.
    """
    z, y = measures.codes(case).flatten(1), torch.as_tensor(case["labels"])
    centres = torch.stack([z[::2][y[::2] == k].mean(0) for k in y.unique()])
    return (torch.cdist(z[1::2], centres).argmin(1) == y[1::2]).float().mean().item()


@torch.no_grad()
def finite_losses(case: dict) -> float:
    """Return the share of batches whose loss is a finite number."""
    model = case["model"].eval()
    losses = torch.stack([case["loss"](model(x), x) for x in case["batches"]])
    model.train()
    return losses.isfinite().float().mean().item()
