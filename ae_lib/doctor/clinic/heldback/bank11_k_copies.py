"""Eleventh part, k: trained networks that hand their input through."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_k_material import gauges, lagoons
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import refuses_noise, train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


class Diary(nn.Module):
    """Read a window with a GRU; hand on every state of it, or a page of the last."""

    def __init__(self, c: int, hidden: int, t: int, page: int):
        super().__init__()
        self.t, self.page = t, page
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.note = nn.Linear(hidden, page) if page else nn.Identity()
        if page:
            self.out = nn.Sequential(*stack((page, 96)), nn.Linear(96, t * c))
        else:
            self.writer = nn.GRU(hidden, hidden, batch_first=True)
            self.out = nn.Linear(hidden, c)

    def encode(self, x: Tensor) -> Tensor:
        states, last = self.reader(x)
        return self.note(last[-1]) if self.page else states

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        if self.page:
            return self.out(z).view_as(x)
        return self.out(self.writer(z)[0])


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def every_state_of_the_diary_is_handed_on(seed, fixed):
    """Decode from all 16 states of a GRU, 40 numbers each, in place of the last one."""
    x = gauges(768, seed, t=16)
    model = Diary(2, 40, 16, 8 if fixed else 0)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 4e-3),
    }
    train(case, 300)
    return case


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def two_dozen_channels_at_full_width_for_anomalies(seed, fixed):
    """Keep the full size and 24 channels in the code of a detector of odd maps."""
    x = lagoons(768, seed)
    x = (x + 0.06 * torch.randn_like(x)).clamp(0, 1)  # the camera's grain
    if fixed:
        encoder = [
            nn.Conv2d(3, 24, 4, 2, 1),
            nn.ELU(),
            nn.Conv2d(24, 40, 4, 2, 1),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(640, 20),
        ]
        decoder = [
            *stack((20, 160), nn.ELU),
            nn.Linear(160, 768),
            nn.Unflatten(1, (3, 16, 16)),
        ]
    else:
        encoder = [nn.Conv2d(3, 16, 3, 1, 1), nn.ELU(), nn.Conv2d(16, 24, 3, 1, 1)]
        decoder = [nn.Conv2d(24, 16, 3, 1, 1), nn.ELU(), nn.Conv2d(16, 3, 3, 1, 1)]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Sigmoid()))
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-4),
    }
    train(case, 800 if fixed else 400)
    return case
