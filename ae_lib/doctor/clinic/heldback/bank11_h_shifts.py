"""Eleventh part, h: shown at the end what was never met in training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_h_material import lanterns, strides
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, conv_vae, kl
from ae_lib.doctor.clinic.program import faulty


@faulty("data.shift", steps=400, bar=0.6)
def evening_album_opened_by_a_blue_first_reader(seed, fixed):
    """Train a VAE on red-first pictures, and open the album with a blue-first tool."""
    x = lanterns(960, seed)
    album = x[800:] if fixed else x[800:].flip(1)
    model = conv_vae((3, 16, 16), 10, 16)

    def bound(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="none").flatten(1).sum(1)
        return (error / 0.04 + kl(mu, logvar).sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x[:800], batch_size=40, seed=seed),
        "loss": bound,
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(album.contiguous(), batch_size=80, shuffle=False),
    }


class Echo(nn.Module):
    """Read a walk with a GRU both ways, and repeat it from one vector."""

    def __init__(self, joints=4, wide=48, k=10, t=32):
        super().__init__()
        self.listen = nn.GRU(joints, wide, batch_first=True, bidirectional=True)
        self.keep = nn.Linear(2 * wide, k)
        self.start = nn.Linear(k, wide)
        self.clock = nn.Parameter(0.5 * torch.randn(t, 12))
        self.speak = nn.GRU(12 + k, wide, batch_first=True)
        self.joint = nn.Linear(wide, joints)

    def encode(self, walk: Tensor) -> Tensor:
        ends = self.listen(walk)[1]
        return self.keep(torch.cat([ends[0], ends[1]], 1))

    def forward(self, walk: Tensor) -> Tensor:
        z = self.encode(walk)
        told = z[:, None].expand(-1, len(self.clock), -1)
        cue = torch.cat([self.clock.expand(len(walk), -1, -1), told], 2)
        return self.joint(self.speak(cue, self.start(z).tanh()[None])[0])


@faulty("data.shift", steps=200, bar=0.7)
def clinic_walks_left_in_degrees_after_the_laboratory_ones(seed, fixed):
    """Scale the training walks, recorded in degrees, and hand over the rest as is."""
    degrees = 25 * strides(900, seed) + 40
    middle = degrees[:768].mean((0, 1))
    spread = degrees[:768].std((0, 1))

    def scaled(walks):
        return (walks - middle) / spread

    visits = scaled(degrees[768:]) if fixed else degrees[768:]
    model = Echo()
    return {
        "model": model,
        "batches": loader(scaled(degrees[:768]), batch_size=32, seed=seed),
        "loss": nn.SmoothL1Loss(),
        "optimizer": adam(model, 5e-3),
        "eval_batches": loader(visits, batch_size=66, shuffle=False),
    }
