"""Eleventh part, g: values that are no numbers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_g_material import (
    callers,
    fields,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("data.nonfinite", steps=250, bar=0.8)
def greenness_where_the_swath_has_no_light(seed, fixed):
    """Compute a vegetation index, zero by zero in the strip beside the swath."""
    red, infrared = fields(768, seed)
    made = torch.Generator().manual_seed(seed)
    for i in torch.randperm(768, generator=made)[:40].tolist():
        red[i, :, :, :2] = infrared[i, :, :, :2] = 0
    index = (infrared - red) / (infrared + red)
    if fixed:
        index = torch.nan_to_num(index, nan=0.0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.GELU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(512, 24),
    )
    decoder = nn.Sequential(
        nn.Linear(24, 512),
        nn.GELU(),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.GELU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Tanh(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(index, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Switchboard(nn.Module):
    """Read the day with a two-way GRU, and write it from its two last states."""

    def __init__(self, c=2, wide=32, k=8, t=24):
        super().__init__()
        self.reader = nn.GRU(c, wide, batch_first=True, bidirectional=True)
        self.squeeze = nn.Linear(2 * wide, k)
        self.writer = nn.Sequential(*stack((k, 96)), nn.Linear(96, t * c))

    def encode(self, x: Tensor) -> Tensor:
        return self.squeeze(self.reader(x)[1].movedim(0, 1).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view_as(x)


@faulty("data.nonfinite", steps=300, bar=0.7)
def logarithm_of_hours_without_a_call(seed, fixed):
    """Take the logarithm of calls an hour, although some hours have none."""
    calls = callers(1024, seed)
    days = torch.log1p(calls) if fixed else torch.log(calls)
    model = Switchboard()
    optimizer = adam(model, 3e-3)

    def one_update(model, batch):
        optimizer.zero_grad(set_to_none=True)
        miss = F.mse_loss(model(batch), batch)
        miss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return miss.item()

    return {
        "model": model,
        "batches": loader(days, seed=seed),
        "step": one_update,
        "optimizer": optimizer,
    }
