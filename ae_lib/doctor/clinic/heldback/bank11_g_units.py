"""Eleventh part, g: units nobody thought of."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_g_material import households, potentials
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("data.scale", steps=400, bar=0.8)
def meter_readings_left_in_watts(seed, fixed):
    """Feed a household's day in watts, up to thousands, to a network with tanh."""
    watts = 1000 * households(1024, seed)
    if fixed:
        watts = (watts - watts.mean()) / watts.std()
    model = AE(
        nn.Sequential(*stack((48, 64, 32), nn.Tanh), nn.Linear(32, 8)),
        nn.Sequential(*stack((8, 32, 64), nn.Tanh), nn.Linear(64, 48)),
    )
    return {
        "model": model,
        "batches": loader(watts, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Electrodes(nn.Module):
    """Halve an epoch of the electroencephalogram thrice, and widen it again."""

    def __init__(self, c=4, t=64, k=8):
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv1d(c, 16, 5, 2, 2),
            nn.ELU(),
            nn.Conv1d(16, 24, 5, 2, 2),
            nn.ELU(),
            nn.Conv1d(24, 32, 5, 2, 2),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(4 * t, k),
        )
        self.synthesis = nn.Sequential(
            nn.Linear(k, 4 * t),
            nn.ELU(),
            nn.Unflatten(1, (32, t // 8)),
            nn.ConvTranspose1d(32, 24, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(24, 16, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(16, c, 4, 2, 1),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.analysis(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"reconstruction": self.synthesis(z), "z": z}


@faulty("data.scale", steps=250, bar=0.75)
def brain_waves_in_plain_volts(seed, fixed):
    """Train on epochs in volts, as the file has them: a few hundred-thousandths."""
    volts = 2e-5 * potentials(768, seed)
    epochs = volts / volts.std() if fixed else volts
    model = Electrodes()
    return {
        "model": model,
        "batches": loader(epochs, batch_size=32, seed=seed),
        "loss": lambda out, x: torch.mean((out["reconstruction"] - x) ** 2),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }
