"""Eleventh part, i: programs that work, though some of their units look idle."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_i_material import (
    answers,
    blots,
    chromatograms,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=0, bar=0.82)
def answers_whose_logits_have_long_left_the_middle(seed):
    """Train on yes-or-no answers until most of the predicted odds are extreme."""
    x = answers(1024, seed)
    model = AE(
        nn.Sequential(*stack((40, 96), nn.SiLU), nn.Linear(96, 10)),
        nn.Sequential(*stack((10, 96), nn.SiLU), nn.Linear(96, 40), nn.Sigmoid()),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 600)
    return case


class Ladder(nn.Module):
    """Tell how far along each of several rungs every value is, by fixed hats."""

    def __init__(self, rungs=9, low=0.0, high=1.0):
        super().__init__()
        self.register_buffer("rung", torch.linspace(low, high, rungs))
        self.wide = (high - low) / (rungs - 1)

    def forward(self, x: Tensor) -> Tensor:
        hats = 1 - (x[..., None] - self.rung).abs() / self.wide
        return F.relu(hats).flatten(1)


@healthy(steps=400, bar=0.95)
def tent_features_of_a_trace_most_of_which_are_nought(seed):
    """Feed an encoder piecewise-linear features, of which seven in nine are zero."""
    x = chromatograms(1024, seed)
    model = AE(
        nn.Sequential(Ladder(), *stack((720, 64)), nn.Linear(64, 8)),
        nn.Sequential(*stack((8, 64)), nn.Linear(64, 80)),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=400, bar=0.8)
def spots_inside_a_frame_that_is_always_black(seed):
    """Reconstruct images whose broad margin was masked, so half the pixels are zero."""
    x = F.pad(blots(896, seed, size=14), (4, 4, 4, 4))
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((484, 128)), nn.Linear(128, 12)),
        nn.Sequential(
            *stack((12, 128)),
            nn.Linear(128, 484),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 22, 22)),
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }
