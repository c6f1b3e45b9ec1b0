"""Eleventh part, h: healthy, though target, axes or judged data look wrong."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_h_material import (
    assays,
    calls,
    strides,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=400, bar=0.85)
def two_hearings_of_the_same_call(seed):
    """Learn one noisy recording from another of the same call; no clean one exists."""
    clean = torch.log10(calls(1200, seed)).add(2).div(3)
    made = torch.Generator().manual_seed(seed)
    first, second = (
        clean + 0.12 * torch.randn(clean.shape, generator=made) for _ in range(2)
    )
    model = dense((24, 16), (128,), 12, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(first[:1000], second[:1000], batch_size=50, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [(first[1000:], clean[1000:])],
    }


class Backwards(nn.Module):
    """Read a walk forwards, and tell it from its end to its beginning."""

    def __init__(self, joints=4, wide=64, k=10, t=32):
        super().__init__()
        self.read = nn.LSTM(joints, wide, batch_first=True)
        self.code = nn.Linear(wide, k)
        self.opening = nn.Linear(k, 2 * wide)
        self.tell = nn.LSTM(k, wide, batch_first=True)
        self.joint = nn.Linear(wide, joints)
        self.t = t

    def encode(self, walk: Tensor) -> Tensor:
        return self.code(self.read(walk)[1][0][-1])

    def forward(self, walk: Tensor) -> Tensor:
        z = self.encode(walk)
        h, c = self.opening(z).tanh().chunk(2, 1)
        state = (h[None].contiguous(), c[None].contiguous())
        return self.joint(self.tell(z[:, None].repeat(1, self.t, 1), state)[0])


@healthy(steps=350, bar=0.85)
def walks_told_from_their_end(seed):
    """Ask a recurrent decoder for the series in reverse, the last step first."""
    x = strides(900, seed)
    model = Backwards()
    optimizer = adam(model, 6e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=36, seed=seed),
        "pair": lambda walks: (walks, walks.flip(1)),
        "loss": lambda told, target: F.mse_loss(told, target),
        "optimizer": optimizer,
    }


@healthy(steps=400, bar=0.85)
def wells_of_a_plate_without_neighbours(seed):
    """Keep readings in the shape of a plate (1, 4, 6), filled by a random plan."""
    x = assays(1000, seed)
    made = torch.Generator().manual_seed(seed)
    plates = x[:, torch.randperm(24, generator=made)].view(-1, 1, 4, 6)
    model = dense((1, 4, 6), (64,), 8, act=nn.Tanh, last=None)
    return {
        "model": model,
        "batches": loader(plates, batch_size=25, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.NAdam(model.parameters(), 3e-3),
    }
