"""Eleventh part, i: codes that hardly differ from one input to the next."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_i_material import gaits, utterances
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty


@faulty("signal.common-mode", steps=120, bar=0.85)
def six_logistic_storeys_over_a_walking_record(seed, fixed):
    """Put a sigmoid after each of six narrow convolutions and layers of a series."""
    act = nn.ReLU if fixed else nn.Sigmoid
    storeys = [
        *(nn.Conv1d(2, 16, 5, 2, 2), act()),  # (B, 16, 16)
        *(nn.Conv1d(16, 24, 5, 2, 2), act()),  # (B, 24, 8)
        *(nn.Conv1d(24, 24, 3, 1, 1), act(), nn.Flatten()),
        *(nn.Linear(192, 64), act()),
        *(nn.Linear(64, 48), act()),
        *(nn.Linear(48, 32), act()),
        nn.Linear(32, 8),
    ]
    back = [
        *(nn.Linear(8, 96), nn.SiLU()),
        nn.Linear(96, 64),
        nn.Unflatten(1, (2, 32)),
    ]
    model = AE(nn.Sequential(*storeys), nn.Sequential(*back))
    for layer in model.encoder:
        if hasattr(layer, "weight"):
            start = nn.init.kaiming_normal_ if fixed else nn.init.xavier_normal_
            start(layer.weight)
            nn.init.zeros_(layer.bias)
    return {
        "model": model,
        "batches": loader(gaits(768, seed), batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Listener(nn.Module):
    """Hear a padded track with a GRU, and write its first sixteen moments back."""

    def __init__(self, hidden=48, k=6, at_the_end=True):
        super().__init__()
        self.at_the_end = at_the_end
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.squeeze = nn.Linear(hidden, k)
        self.write = nn.Sequential(
            nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, 32), nn.Unflatten(1, (16, 2))
        )

    def encode(self, x: Tensor) -> Tensor:
        heard, _ = self.gru(x)
        if self.at_the_end:
            return self.squeeze(heard[:, -1])
        last = (x.abs().sum(2) > 0).sum(1) - 1
        return self.squeeze(heard[torch.arange(len(x)), last])

    def forward(self, x: Tensor) -> Tensor:
        told = F.pad(self.write(self.encode(x)), (0, 0, 0, x.shape[1] - 16))
        return told * (x.abs().sum(2, keepdim=True) > 0)


@faulty("signal.common-mode", steps=200, bar=0.6)
def last_state_read_far_behind_the_padding(seed, fixed):
    """Take a GRU's state at the end of a padded track, long after the last sample."""
    x, length = utterances(768, seed)
    model = Listener(at_the_end=not fixed)

    def loss(output, target):
        alive = (target.abs().sum(2, keepdim=True) > 0).float()
        return ((output - target).square() * alive).sum() / alive.sum() / 2

    return {
        "model": model,
        "batches": loader(x, length, batch_size=32, seed=seed),
        "pair": lambda batch: (batch[0], batch[0]),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
