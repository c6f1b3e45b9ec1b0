"""The recipe of the course: which optimizer moves which weights, and how fast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

Optimizers = Optimizer | Sequence[Optimizer]


def muon_and_adam(model: nn.Module) -> list[Optimizer]:
    """Return Adam for filters, biases and norms, and Muon for the matrices, if any.

    Muon (Jordan et al. 2024) replaces the update of a matrix by the nearest orthogonal
    one. Nearly all weights of a convolutional autoencoder sit in the two matrices
    beside its bottleneck; chapter 05 measures what Muon gains there. A model that
    starts near its goal says so: `rates` names matrices that Adam is to move at a rate
    of their own, and `pace` is a factor on all rates.
    """
    own_rates = getattr(model, "rates", {})  # name -> rate
    pace = getattr(model, "pace", 1.0)
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    named: list[dict] = []
    for name, p in model.named_parameters():
        if p.requires_grad and name in own_rates:
            named.append({"params": [p], "lr": own_rates[name] * pace})
        elif p.requires_grad:
            (matrices if p.ndim == 2 else others).append(p)
    if others:
        named.insert(0, {"params": others})
    optimizers: list[Optimizer] = []
    if named:
        optimizers.append(torch.optim.Adam(named, lr=3e-3 * pace, fused=True))
    if matrices:
        muon = torch.optim.Muon(matrices, lr=0.02 * pace, weight_decay=0.0)
        optimizers.append(muon)
    return optimizers


def one_cycle(progress: float) -> float:
    """Return the learning rate's factor: up over a quarter of the run, then down to 0.

    `progress` runs from 0 to 1. After Smith (2018), with straight lines.

    >>> one_cycle(0.0), one_cycle(0.25), one_cycle(1.0)
    (0.0, 1.0, 0.0)
    """
    return progress / 0.25 if progress < 0.25 else (1 - progress) / 0.75


def constant(progress: float) -> float:
    """Return 1: the learning rate stays as the optimizer was given it."""
    return 1.0
