"""Eleventh part, g: gaps, counts and raw pixels that are taken care of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_g_material import (
    callers,
    fields,
    households,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, conv, stack
from ae_lib.doctor.clinic.program import healthy


class Gappy(nn.Module):
    """Encode what was measured, and which of it was measured; write all of it."""

    def __init__(self, d=48, k=9):
        super().__init__()
        self.encoder = nn.Sequential(*stack((2 * d, 128, 64)), nn.Linear(64, k))
        self.decoder = nn.Sequential(*stack((k, 64, 128)), nn.Linear(128, d))

    def encode(self, x: Tensor) -> Tensor:
        known = x.isfinite()
        filled = torch.where(known, x, torch.zeros_like(x))
        return self.encoder(torch.cat((filled, known.float()), 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


def measured_only(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error over the entries of the target that exist."""
    known = target.isfinite()
    return F.mse_loss(output[known], target[known])


@healthy(steps=600, bar=0.85)
def outages_of_a_meter_left_out_of_the_error(seed):
    """Keep a meter's outages as NaN; the model masks them, and so does the loss."""
    full = households(1024, seed)
    full = (full - full.mean()) / full.std()
    made = torch.Generator().manual_seed(seed)
    start = torch.randint(0, 44, (1024, 1), generator=made)
    place = torch.arange(48)
    gone = (place >= start) & (place < start + 4)
    gone &= torch.rand(1024, 1, generator=made) < 0.6
    x = full.masked_fill(gone, float("nan"))
    model = Gappy()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": measured_only,
        "optimizer": adam(model),
        "judge": [(x, full)],
    }


class Calls(nn.Module):
    """Encode the logarithm of one more than the counts; decode logarithms of rates."""

    def __init__(self, t=24, c=2, k=6):
        super().__init__()
        self.shape = (t, c)
        self.encoder = nn.Sequential(*stack((t * c, 96), nn.SiLU), nn.Linear(96, k))
        self.decoder = nn.Sequential(*stack((k, 96), nn.SiLU), nn.Linear(96, t * c))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(torch.log1p(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x)).unflatten(1, self.shape)


@healthy(steps=600, bar=0.82)
def raw_calls_below_a_poisson_likelihood(seed):
    """Feed raw counts up to sixty; the model takes logarithms, the loss is Poisson."""
    model = Calls()
    return {
        "model": model,
        "batches": loader(callers(1024, seed), seed=seed),
        "loss": nn.PoissonNLLLoss(log_input=True),
        "optimizer": adam(model, 3e-3),
        "view": torch.exp,
    }


class Eightbit(AE):
    """Divide by 255 on the way in, and multiply by it on the way out."""

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x / 127.5 - 1)

    def decode(self, z: Tensor) -> Tensor:
        return 255 * self.decoder(z)


@healthy(steps=300, bar=0.8)
def grey_levels_divided_inside_the_network(seed):
    """Hand over grey levels up to 255, and divide them in the model and in the loss."""
    _, infrared = fields(768, seed)
    grey = (255 * infrared).round().clamp(0, 255)
    plain = conv((1, 16, 16), 20, 16, act=nn.ELU)
    model = Eightbit(plain.encoder, plain.decoder)
    return {
        "model": model,
        "batches": loader(grey, batch_size=32, seed=seed),
        "loss": lambda out, x: F.mse_loss(out / 255, x / 255),
        "optimizer": adam(model),
    }
