"""Eleventh part, i: more programs that work: pruned, faint and binary on purpose."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_i_material import answers, blots, gaits
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Gate(nn.Module):
    """Multiply units by a fixed mask of zeros and ones."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("mask", torch.ones(width))

    def keep(self, activity: Tensor, share: float) -> None:
        """Keep the given share of units, those of the largest spread."""
        spread = activity.std(0)
        self.mask.copy_((spread >= spread.quantile(1 - share)).float())

    def forward(self, h: Tensor) -> Tensor:
        return h * self.mask


@healthy(steps=100, bar=0.95)
def a_quarter_of_the_units_pruned_and_the_rest_tuned(seed):
    """Train on walks, silence the least lively quarter of units, and tune on."""
    x = gaits(896, seed).flatten(1)
    first, second = Gate(128), Gate(128)
    model = AE(
        nn.Sequential(*stack((64, 128)), first, nn.Linear(128, 8)),
        nn.Sequential(*stack((8, 128)), second, nn.Linear(128, 64)),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }
    train(case, 400)
    with torch.no_grad():
        first.keep(model.encoder[:2](x), 0.75)
        second.keep(model.decoder[:2](model.encode(x)), 0.75)
    case["optimizer"] = adam(model, 1e-3)
    return case


@healthy(steps=400, bar=0.85)
def faint_spots_on_a_bright_wall_behind_a_first_norm(seed):
    """Photograph faint spots on one bright wall, and let batch norm take it away."""
    x = 0.55 + 0.25 * blots(896, seed)
    wall = 0.15 * torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed))
    x = x + wall
    model = AE(
        nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(256),
            *stack((256, 128)),
            nn.Linear(128, 12),
        ),
        nn.Sequential(
            *stack((12, 128)), nn.Linear(128, 256), nn.Unflatten(1, (1, 16, 16))
        ),
    )
    nn.init.constant_(model.decoder[-2].bias, x.mean().item())
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Bits(nn.Module):
    """Round a logistic to bits, and pass the gradient of the logistic on."""

    def forward(self, h: Tensor) -> Tensor:
        soft = torch.sigmoid(h)
        return soft + (soft.round() - soft).detach()


@healthy(steps=600, bar=0.72)
def respondents_as_sixteen_bits_with_a_passed_gradient(seed):
    """Code answers in sixteen hard bits, with the logistic's gradient behind them."""
    x = answers(1024, seed)
    model = AE(
        nn.Sequential(*stack((40, 96)), nn.Linear(96, 16), Bits()),
        nn.Sequential(*stack((16, 96)), nn.Linear(96, 40)),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }
