"""Healthy programs that look suspicious: rounded, sparse and contracted codes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.parts import adam, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    activations,
    case,
    customers,
    peaks,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import Quantised


# Asked: the codebook is a buffer and in no optimizer; the commitment loss even rises.
# https://github.com/lucidrains/vector-quantize-pytorch/issues/40
@healthy(steps=250, bar=0.5)
def book_of_codes_kept_by_averages(seed):
    """Quantise codes of photographs by a book that moving averages keep up to date."""
    x = patches(448, seed, 16)
    encoder = nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 32, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 8, 1),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 24, 4, 2, 1),
        nn.ReLU(), nn.ConvTranspose2d(24, 3, 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip
    model = Quantised(encoder, decoder)
    with torch.no_grad():  # entries begin as codes of some first pictures
        z = model.encode(x[:64]).movedim(1, -1).flatten(0, -2)
        model.book.copy_(z[torch.randperm(len(z))[:64]])
        model.summed.copy_(model.book)

    def loss(out, target):
        return F.mse_loss(out["recon"], target) / 0.06 + 0.25 * out["commit"]

    data = loader(x, batch_size=32, seed=seed)
    return case(model, data, adam(model, 2e-3), loss=loss)


class Dictionary(nn.Module):
    """Explain a vector by few of many directions, with one bias for both ends."""

    def __init__(self, d: int, features: int, keep: int | None = None):
        super().__init__()
        self.keep, self.bias = keep, nn.Parameter(torch.zeros(d))
        self.encoder, self.decoder = (
            nn.Linear(d, features),
            nn.Linear(features, d, bias=False),
        )
        with torch.no_grad():
            self.decoder.weight.copy_(F.normalize(self.decoder.weight, dim=0))
            self.encoder.weight.copy_(self.decoder.weight.T)
            self.encoder.bias.zero_()

    def encode(self, x: Tensor) -> Tensor:
        z = F.relu(self.encoder(x - self.bias))
        if self.keep:
            top = z.topk(self.keep, 1)
            z = torch.zeros_like(z).scatter(1, top.indices, top.values)
        return z

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.decoder(z) + self.bias, "features": z}


# Asked: 96 features for 32 numbers, and four of them are on; the rest is dead?
@healthy(steps=400, bar=0.6)
def four_of_ninety_six_features(seed):
    """Explain activations of a language model by four of ninety-six directions."""
    model = Dictionary(32, 96, keep=4)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        loss = (model(batch)["x_hat"] - batch).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            weight = model.decoder.weight
            weight.copy_(F.normalize(weight, dim=0))
        return loss.item()

    data = loader(activations(2048, seed), batch_size=64, seed=seed)
    return case(model, data, optimizer, step=step)


class Contracting(nn.Module):
    """Return the exact norm of a sigmoid layer's Jacobian; the decoder is tied."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, d))
        nn.init.xavier_uniform_(self.weight)
        self.b, self.c = nn.Parameter(torch.zeros(k)), nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.b).sigmoid()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.encode(x)
        slope = (h * (1 - h)).square()
        norm = slope @ self.weight.square().sum(1)
        return {"recon": F.linear(h, self.weight.T, self.c), "norm": norm}


# Asked: a contractive autoencoder with tied weights and one sigmoid layer, as in 2011.
@healthy(steps=400, bar=0.5)
def contraction_of_one_tied_layer(seed):
    """Add the exact norm of the Jacobian of one sigmoid layer with tied weights."""
    model = Contracting(100, 24)

    def loss(out, target):
        error = (out["recon"] - target).square().sum(1).mean()
        return error + 0.02 * out["norm"].mean()

    data = loader(peaks(512, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 5e-3), loss=loss)


class Discrete(nn.Module):
    """Draw eight letters of eight kinds each by the Gumbel trick; decode them."""

    def __init__(self, d: int, tau: float = 0.7):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96)), nn.Linear(96, 64))
        self.decoder = nn.Sequential(*stack((64, 96)), nn.Linear(96, d))
        self.tau = tau

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.encoder(x).unflatten(1, (8, 8))
        if self.training:
            letters = F.gumbel_softmax(scores, self.tau)
        else:
            letters = (scores / self.tau).softmax(-1)
        return self.decoder(letters.flatten(1)), scores


# Asked: softmax in the middle and noise only in training mode.
@healthy(steps=400, bar=0.4)
def letters_drawn_by_gumbel(seed):
    """Code rows of a table by eight soft letters; training draws, testing does not."""
    model = Discrete(20)

    def loss(out, target):
        x_hat, scores = out
        p = scores.softmax(-1)
        divergence = (p * (p.clamp(min=1e-8).log() + math.log(8))).sum((1, 2)).mean()
        return (x_hat - target).square().sum(1).mean() + 0.01 * divergence

    data = loader(customers(768, seed), seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)
