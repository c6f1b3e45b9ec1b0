"""Healthy programs that look suspicious, after training."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.second_fit import Pairs, epochs


def after(case: dict, steps: int) -> dict:
    """Train a case and return it."""
    train(case, steps)
    return case


@healthy(steps=0)
def validation_a_little_above(seed):
    """Show a history whose validation loss is noisy and a little above, not rising."""
    x, y = digits(1200, seed, size=8)
    x = x.flatten(1)
    model = dense((64,), (96,), 12, act=nn.ELU)
    case = {"model": model, "batches": loader(x[:1000], y[:1000], seed=seed)}
    case |= {"optimizer": adam(model)}
    history = epochs(case, 25, x[1000:])
    return {**case, "history": history, "eval_batches": [x[1000:]]}


@healthy(steps=0)
def half_of_the_units_idle(seed):
    """Fit a table of four causes with a VAE of eight units."""
    x = table(768, seed, d=24, rank=4)
    model = dense_vae((24,), 64, 8, last=None)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": elbo(1.0, 0.05)}
    return after({**case, "optimizer": adam(model, 3e-3)}, 500)


class Quiet(nn.Module):
    """Return the reconstruction and a ReLU code."""

    def __init__(self):
        super().__init__()
        inner = dense((3, 16, 16), (192,), 96)
        self.encoder = inner.encoder.append(nn.ReLU())
        self.decoder = inner.decoder

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


@healthy(steps=0)
def mostly_zeros(seed):
    """Train a sparse code with an L1 penalty that leaves a third of it active."""
    x, _ = scenes(512, seed)
    model = Quiet()

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 1e-3 * z.mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return after({**case, "optimizer": adam(model)}, 250)


@healthy(steps=0)
def dropout_on_the_code(seed):
    """Drop a fifth of the code while training; judge without it."""
    inner = conv((3, 16, 16), 48)
    model = AE(inner.encoder, nn.Sequential(nn.Dropout(0.2), *inner.decoder))
    data = loader(patches(512, seed), seed=seed)
    return after({"model": model, "batches": data, "optimizer": adam(model)}, 200)


@healthy(steps=0)
def resized_by_neighbours(seed):
    """Upsample by nearest neighbours and convolve, on scenes of 32 x 32."""
    x, _ = scenes(256, seed, size=32)
    up = [nn.Linear(32, 1024), nn.ELU(), nn.Unflatten(1, (16, 8, 8))]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(16, 12, 3, 1, 1), nn.ELU()]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(12, 3, 3, 1, 1), nn.Sigmoid()]
    model = AE(conv((3, 32, 32), 32, width=12).encoder, nn.Sequential(*up))
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return after({**case, "optimizer": adam(model, 3e-3)}, 100)


@healthy(steps=0)
def wide_code_with_noise(seed):
    """Denoise rows with a code wider than the rows."""
    x = table(1024, seed, d=24, rank=3)
    model = dense((24,), (96,), 48, act=nn.ELU, last=None)

    def pair(batch):
        return batch + 0.7 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return after({**case, "optimizer": adam(model, 1e-3)}, 500)


@healthy(steps=0, measure=measures.neighbours, bar=0.85)
def small_code_with_labels(seed):
    """Give labels for the features of a convolutional network with six units."""
    x, y = digits(896, seed)
    model = conv((1, 28, 28), 6, act=nn.ELU)
    case = {"model": model, "batches": Pairs(x, y), "labels": y}
    return after({**case, "optimizer": adam(model, 3e-3)}, 200)


@healthy(steps=0)
def sharp_enough(seed):
    """Train digits until strokes are sharp; judge fresh ones."""
    x, y = digits(1400, seed)
    model = dense((1, 28, 28), (256,), 48)
    case = {"model": model, "batches": loader(x[:1200], y[:1200], seed=seed)}
    case |= {"optimizer": adam(model), "eval_batches": loader(x[1200:], y[1200:])}
    return after(case, 400)
