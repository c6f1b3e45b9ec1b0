"""Eleventh part, b: behaviour that differs by mode, and ways around the code."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    clients,
    gratings,
    masks,
    sensors,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty


def _mask_net(momentum):
    def norm(channels):
        return nn.BatchNorm2d(channels, momentum=momentum)

    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, 1, bias=False),
        norm(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1, bias=False),
        norm(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 8),
    )
    decoder = nn.Sequential(
        nn.Linear(8, 384),
        nn.Unflatten(1, (24, 4, 4)),
        norm(24),
        nn.ReLU(),
        nn.ConvTranspose2d(24, 12, 4, 2, 1, bias=False),
        norm(12),
        nn.ReLU(),
        nn.ConvTranspose2d(12, 1, 4, 2, 1),
    )
    return AE(encoder, decoder)


@faulty("wiring.mode", steps=0, bar=0.5)
def momentum_of_another_library_in_the_batch_norm(seed, fixed):
    """Copy the momentum 0.999 of a Keras model as 0.001, so statistics hardly move."""
    x = masks(640, seed)
    model = _mask_net(0.1 if fixed else 0.001)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": F.binary_cross_entropy_with_logits,
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }
    train(case, 260)
    return case


class KeepSome(nn.Module):
    """Drop activations at random while training, written by hand."""

    def __init__(self, keep=0.5, scaled=False):
        super().__init__()
        self.keep, self.scaled = keep, scaled

    def forward(self, h: Tensor) -> Tensor:
        if not self.training:
            return h
        kept = h * (torch.rand_like(h) < self.keep)
        return kept / self.keep if self.scaled else kept


@faulty("wiring.mode", steps=0, bar=0.55)
def dropout_by_hand_without_the_scale(seed, fixed):
    """Write dropout by hand and forget to divide by the share that is kept."""
    x = clients(1024, seed)
    model = nn.Sequential(
        nn.Linear(24, 160),
        nn.ReLU(),
        KeepSome(0.5, fixed),
        nn.Linear(160, 8),
        nn.Linear(8, 160),
        nn.ReLU(),
        KeepSome(0.5, fixed),
        nn.Linear(160, 24),
    )
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 400)
    return case


class SkipNet(nn.Module):
    """Squeeze a texture to a short code; hand the finer maps to the decoder or not."""

    def __init__(self, skips, k=12):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.third = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.bottleneck = nn.Sequential(nn.Flatten(), nn.Linear(256, k))
        self.spread = nn.Sequential(
            nn.Linear(k, 256), nn.ReLU(), nn.Unflatten(1, (16, 4, 4))
        )
        more = (16, 8) if skips else (0, 0)
        self.up = nn.Upsample(scale_factor=2)
        self.join = nn.Sequential(nn.Conv2d(16 + more[0], 16, 3, padding=1), nn.ReLU())
        self.last = nn.Sequential(
            nn.Conv2d(16 + more[1], 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=1),
            nn.Sigmoid(),
        )
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        fine = self.first(x)
        coarse = self.second(fine)
        h = self.up(self.spread(self.bottleneck(self.third(coarse))))
        h = self.up(self.join(torch.cat((h, coarse), 1) if self.skips else h))
        return self.last(torch.cat((h, fine), 1) if self.skips else h)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.4)
def u_net_as_judge_of_scratched_textures(seed, fixed):
    """Use a U-Net to find scratches, which its skips let through untouched."""
    x = gratings(640, seed)
    model = SkipNet(skips=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
    train(case, 220)
    return case


class Retelling(nn.Module):
    """Code a series with a GRU and tell it again with another, step by step."""

    def __init__(self, prompted, c=4, hidden=40, k=10):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.bottleneck = nn.Linear(hidden, k)
        self.start = nn.Linear(k, hidden)
        self.writer = nn.GRU(c, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.prompted = prompted

    def forward(self, x: Tensor) -> Tensor:
        z = self.bottleneck(self.reader(x)[1][-1])
        before = F.pad(x[:, :-1], (0, 0, 1, 0))  # the true values, one step late
        if not self.prompted:
            before = torch.zeros_like(before)
        told, _ = self.writer(before, self.start(z)[None].contiguous())
        return self.out(told)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.6)
def series_retold_from_its_own_last_values(seed, fixed):
    """Feed the decoder the true last value at every step, in use as in training."""
    x = sensors(640, seed, t=20)
    model = Retelling(prompted=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 1e-2),
    }
    train(case, 180)
    return case
