"""Eleventh part, i: units that say the same to every input."""

import torch
from torch import nn

from ae_lib.doctor.clinic.heldback.bank11_i_material import blots, chromatograms
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("signal.dead-units", steps=300, bar=0.8)
def threshold_of_the_shrinkage_above_every_coefficient(seed, fixed):
    """Shrink the coefficients of a trace by two, where none of them exceeds one."""
    x = chromatograms(1024, seed)
    x = x - x.mean(0)
    encoder = nn.Sequential(
        *stack((80, 64)), nn.Linear(64, 24), nn.Softshrink(0.01 if fixed else 2.0)
    )
    decoder = nn.Sequential(*stack((24, 64)), nn.Linear(64, 80))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


def expect(layers: nn.Module, share: float) -> None:
    """Set the biases to the log-odds of a share of bright pixels."""
    odds = torch.tensor(share / (1 - share))
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, odds.log().item())


@faulty("signal.dead-units", accepts=("signal.init-scale",), steps=400, bar=0.75)
def prior_of_rare_brightness_in_the_rectified_layers_too(seed, fixed):
    """Set the bias for rare foreground, meant for the last layer, in every layer."""
    x = blots(896, seed)
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((256, 128, 64)), nn.Linear(64, 12)),
        nn.Sequential(
            *stack((12, 96)), nn.Linear(96, 256), nn.Unflatten(1, x[0].shape)
        ),
    )
    expect(model.decoder[-2] if fixed else model, 0.12)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model),
        "view": torch.sigmoid,
    }
