"""Tenth part, g: two programs stopped long before they had learnt."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_g_material import discs, epochs, spectra


@faulty("fit.undertrained", accepts=("fit.blurry",), steps=0, bar=0.75)
def eleven_epochs_copied_from_a_larger_set(seed, fixed):
    """Train eleven epochs, as for a set a hundred times the size, on a few hundred."""
    x = discs(640, seed)
    train_x, val = x[:512], x[512:]
    model = conv((1, 16, 16), 10, 8)
    case = {
        "model": model,
        "batches": loader(train_x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "eval_batches": loader(val, shuffle=False),
    }
    case["history"] = epochs(case, 60 if fixed else 11, val)
    return case


@faulty("fit.undertrained", steps=0, bar=0.85)
def early_stopping_with_a_coarse_min_delta(seed, fixed):
    """Stop when an epoch improves the validation loss by less than 0.1."""
    x = spectra(1280, seed)
    train_x, val = x[:1024], x[1024:]
    model = dense((96,), (64,), 8, act=nn.GELU, last=None)
    case = {
        "model": model,
        "batches": loader(train_x, seed=seed),
        "loss": F.mse_loss,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=1e-3),
        "eval_batches": loader(val, shuffle=False),
    }
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    best, waited = float("inf"), 0
    min_delta = 1e-4 if fixed else 0.1
    for _ in range(60):
        for name, values in epochs(case, 1, val).items():
            history[name] += values
        waited += 1
        if history["val_loss"][-1] < best - min_delta:
            best, waited = history["val_loss"][-1], 0
        if waited == 2:
            break
    case["history"] = history
    return case
