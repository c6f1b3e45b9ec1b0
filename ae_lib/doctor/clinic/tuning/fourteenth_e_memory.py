"""Tenth part, e: programs that learn their few examples by heart."""

import copy

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_e_material import blobs, made, sensors


@torch.no_grad()
def error(model: nn.Module, loss: nn.Module, x: Tensor) -> float:
    """Return the loss of the model in eval mode."""
    model.eval()
    return loss(model(x), x).item()


def fit(case: dict, x: Tensor, held: Tensor, epochs: int, best: bool) -> dict:
    """Train for some epochs and note both errors; stop at the best one if asked.

    Stopping waits eight epochs for a better validation error and takes the best back.
    """
    model, history = case["model"], {"train_loss": [], "val_loss": []}
    kept, least, waited = copy.deepcopy(model.state_dict()), float("inf"), 0
    for _ in range(epochs):
        train(case, len(case["batches"]))
        history["train_loss"].append(error(model, case["loss"], x))
        history["val_loss"].append(error(model, case["loss"], held))
        waited += 1
        if history["val_loss"][-1] < least:
            least, waited = history["val_loss"][-1], 0
            kept = copy.deepcopy(model.state_dict())
        if best and waited == 8:
            break
    if best:
        model.load_state_dict(kept)
    model.train()
    return history


@faulty("fit.overfit", steps=0, bar=0.38)
def hundreds_of_passes_over_a_small_table(seed, fixed):
    """Train a deep net on 50 rows of a plant's normal state for hundreds of epochs."""
    x, state = sensors(3000, noise=0.7)
    some = torch.randperm(3000, generator=made(seed))[:650]
    x, state = x[some], state[some]
    seen, held = x[:50], x[50:]
    model = AE(
        nn.Sequential(*stack((24, 256, 128)), nn.Linear(128, 3)),
        nn.Sequential(*stack((3, 128, 256)), nn.Linear(256, 24)),
    )
    case = {"model": model, "batches": loader(seen, batch_size=20, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 2e-3)}
    case["history"] = fit(case, seen, held, 250, best=fixed)
    case["eval_batches"] = loader(held, batch_size=100, shuffle=False)
    case["labels"] = state[:50]
    return case


@faulty("fit.overfit", steps=0, bar=0.75)
def the_subset_of_the_first_trial_left_in(seed, fixed):
    """Leave in the slice of 40 masks with which the loop had been tried out."""
    x = blobs(1600, seed)
    held = x[:100]
    seen = x[100:] if fixed else x[100:140]
    model = AE(
        nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        ),
        nn.Sequential(
            *stack((10, 128, 256)),
            nn.Linear(256, 256),
            nn.Unflatten(1, (1, 16, 16)),
        ),
    )
    size = 50 if fixed else 20
    case = {"model": model, "batches": loader(seen, batch_size=size, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3), "loss": nn.BCEWithLogitsLoss()}
    case["history"] = fit(case, seen, held, 14 if fixed else 240, best=False)
    case |= {"eval_batches": [held], "view": torch.sigmoid}
    return case
