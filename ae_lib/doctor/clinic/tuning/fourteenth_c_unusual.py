"""Tenth part, c: working programs of an unusual kind."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    cloth,
    curved,
    features,
    made,
    outlines,
    plant,
    spectra,
)


class Rotation(nn.Module):
    """Project on orthonormal directions, and back by their transpose."""

    def __init__(self, d: int, k: int):
        super().__init__()
        plain = nn.Linear(d, k, bias=False)
        self.encoder = nn.utils.parametrizations.orthogonal(plain)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.encoder.weight


@healthy(steps=300, bar=0.85)
def orthonormal_directions_of_spectra(seed):
    """Train a linear net with tied orthonormal weights, a PCA on purpose."""
    model = Rotation(80, 8)
    return {
        "model": model,
        "batches": loader(spectra(1024, seed), seed=seed),
        "optimizer": adam(model, 5e-3),
    }


class Largest(nn.Module):
    """Keep the six largest activities of a wide dictionary around a learnt centre."""

    def __init__(self, d: int = 32, words: int = 128, keep: int = 6):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(d))
        self.encoder = nn.Linear(d, words)
        self.words = nn.Parameter(self.encoder.weight.detach().clone())
        self.keep = keep

    def encode(self, x: Tensor) -> Tensor:
        h = F.relu(self.encoder(x - self.centre))
        top = h.topk(self.keep, dim=1)
        return torch.zeros_like(h).scatter(1, top.indices, top.values)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return z @ F.normalize(self.words, dim=1) + self.centre, z


@healthy(steps=500, bar=0.65)
def six_largest_of_a_wide_dictionary(seed):
    """Train a dictionary of which six words answer, with words of unit length."""
    model = Largest()
    return {
        "model": model,
        "batches": loader(features(1536, seed), batch_size=128, seed=seed),
        "optimizer": adam(model, 4e-3),
    }


class Cosines(nn.Module):
    """Take the lowest frequencies of every channel of a window, without weights."""

    def __init__(self, t: int, keep: int):
        super().__init__()
        place, k = torch.arange(t) + 0.5, torch.arange(keep)[:, None]
        basis = torch.cos(torch.pi * k * place / t)
        self.register_buffer("basis", F.normalize(basis, dim=1))  # (keep, t)

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.basis.mT).flatten(1)


@healthy(steps=300, bar=0.75)
def fixed_cosines_and_a_learnt_way_back(seed):
    """Code windows by a fixed cosine transform and train the decoder alone."""
    x = plant(1024, seed, 24, 3).mT.contiguous()
    decoder = nn.Sequential(
        *stack((18, 96)), nn.Linear(96, 72), nn.Unflatten(1, (3, 24))
    )
    model = AE(Cosines(24, 6), decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": torch.optim.Adam(decoder.parameters(), 3e-3),
    }


@healthy(steps=600, bar=0.6)
def four_small_batches_to_an_update(seed):
    """Add up the gradients of four batches of twelve before every update."""
    x, y = digits(960, seed, size=16)
    model = dense((1, 16, 16), (128,), 20)
    optimizer = adam(model, 4e-3)
    done = {"n": 0}

    def step(model, batch):
        images, _ = batch
        loss = F.mse_loss(model(images), images)
        (loss / 4).backward()
        done["n"] += 1
        if done["n"] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, y, batch_size=12, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=500, bar=0.5)
def windows_with_hidden_moments(seed):
    """Hide a quarter of the moments of a window and ask for all of them."""
    x, g = plant(1536, seed), made(seed)
    model = dense((12, 6), (128,), 18, act=nn.GELU, last=None)

    def hide(batch):
        kept = torch.rand(len(batch), 12, 1, generator=g) > 0.25
        return batch * kept, batch

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "pair": hide,
        "optimizer": adam(model, 3e-3),
        "judge": [hide(x)],
    }


@healthy(steps=400, bar=0.6)
def rate_of_eight_for_a_mean_over_pixels(seed):
    """Train by SGD at a rate of 8, which suits the mean error over small pixels."""
    x = cloth(768, seed)
    model = dense((1, 16, 16), (96,), 14, act=nn.Tanh, last=None)
    return {
        "model": model,
        "batches": loader(x - x.mean(0), batch_size=32, seed=seed),
        "optimizer": sgd(model, 8.0),
    }


class Bag(nn.Module):
    """Code a set of points by the largest answer over its points."""

    def __init__(self, points: int = 32, k: int = 14):
        super().__init__()
        self.each = nn.Sequential(*stack((2, 64, 128)))
        self.code = nn.Linear(128, k)
        self.decoder = nn.Sequential(*stack((k, 128)), nn.Linear(128, 2 * points))

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.each(x.mT).amax(1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.decoder(z).view_as(x), "z": z}


@healthy(steps=400, bar=0.5)
def outlines_as_bags_of_points(seed):
    """Train an encoder that ignores the order of the points of an outline."""
    g = made(seed)
    x = outlines(1024, seed)
    angle = torch.arange(32) * 2 * torch.pi / 32
    x = x + 2 * torch.stack((angle.cos(), angle.sin()))
    model = Bag()

    def stir(batch):
        return batch[:, :, torch.randperm(32, generator=g)], batch

    return {
        "model": model,
        "batches": loader(x / 2, batch_size=32, seed=seed),
        "pair": stir,
        "optimizer": adam(model, 3e-3),
        "judge": [stir(x / 2)],
    }


@healthy(steps=600, bar=0.75)
def double_precision_with_a_robust_error(seed):
    """Train in double precision with a Huber error on rows of a curved plane."""
    x = curved(1024, seed).double()
    model = dense((24,), (96, 64), 3, act=nn.Mish, last=None).double()
    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": nn.HuberLoss(delta=1.0),
        "optimizer": adam(model, 4e-3),
    }
