"""Faults of mode and of the way around the code: wiring.mode, wiring.bypass."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty


@faulty("wiring.mode", steps=100, bar=0.4)
def statistics_that_never_move(seed, fixed):
    """Set momentum=0 in batch norm, meaning to switch it off."""
    model = conv((3, 16, 16), 32, norm=True)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1 if fixed else 0.0
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 60)
    return case


class AlwaysDropping(AE):
    """Drop code units with the functional form, which does not know eval()."""

    aware = False

    def decode(self, z):
        return self.decoder(F.dropout(z, 0.5, self.training if self.aware else True))


@faulty("wiring.mode", bar=0.3)
def functional_dropout(seed, fixed):
    """Use F.dropout without training=self.training."""
    x, _ = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 24)
    model = AlwaysDropping(inner.encoder, inner.decoder)
    model.aware = fixed
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("wiring.mode", steps=0, bar=0.4)
def statistics_spoilt_by_bytes(seed, fixed):
    """Push raw pixels through the trained model in train mode, "just to look"."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24, norm=True)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 80)
    with torch.no_grad():
        for _ in range(20):
            model(x[:64] * (1 if fixed else 255))
    return case


class Skip(nn.Module):
    """Join encoder and decoder at full resolution, as in a U-Net."""

    def __init__(self, skip):
        super().__init__()
        self.skip = skip
        self.first = nn.Sequential(nn.Conv2d(3, 12, 3, 1, 1), nn.ReLU())
        inner = conv((12, 16, 16), 8, last=nn.ReLU)
        self.down, self.bottleneck = inner.encoder[:-1], inner.encoder[-1]
        self.up = inner.decoder
        self.last = nn.Conv2d(24 if skip else 12, 3, 3, 1, 1)

    def forward(self, x):
        h = self.first(x)
        u = self.up(self.bottleneck(self.down(h)))
        return torch.sigmoid(self.last(torch.cat([h, u], 1) if self.skip else u))


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def unet_skip(seed, fixed):
    """Carry the first feature map around the bottleneck."""
    model = Skip(not fixed)
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 150)
    return case


class Residual(nn.Module):
    """Add the input to the output."""

    def __init__(self, skip):
        super().__init__()
        inner = dense((1, 28, 28), (128,), 16, last=None)
        self.encoder, self.bottleneck = inner.encoder[:-1], inner.encoder[-1]
        self.decoder, self.skip = inner.decoder, skip

    def encode(self, x):
        return self.bottleneck(self.encoder(x))

    def forward(self, x):
        out = self.decoder(self.encode(x))
        return out + x if self.skip else out


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def global_residual(seed, fixed):
    """Learn only the residual, as super-resolution networks do."""
    x, _ = digits(512, seed)
    model = Residual(not fixed)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    train(case, 150)
    return case
