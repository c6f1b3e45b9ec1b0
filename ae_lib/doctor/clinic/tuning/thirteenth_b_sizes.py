"""Ninth part, b: codes that are tiny or larger than the data, and right."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    Corrupted,
    atoms,
    made,
    spots,
)


class TopK(nn.Module):
    """Keep the largest few of many units, in a dictionary of unit directions."""

    def __init__(self, d=32, units=64, few=4):
        super().__init__()
        self.dictionary = nn.Parameter(F.normalize(torch.randn(units, d), dim=1))
        self.encoder = nn.Linear(d, units)
        self.encoder.weight.data = self.dictionary.data.clone()
        nn.init.zeros_(self.encoder.bias)
        self.few = few

    def encode(self, x):
        best = F.relu(self.encoder(x)).topk(self.few, 1)
        return torch.zeros(len(x), len(self.dictionary)).scatter(1, *best[::-1])

    def forward(self, x):
        z = self.encode(x)
        return z @ self.dictionary, z


@healthy(steps=300, bar=0.5)
def four_of_sixty_four_units_kept(seed):
    """Train a top-k dictionary, twice overcomplete, on sums of a few directions."""
    model = TopK()
    optimizer = adam(model, 3e-3)

    def step(model, x):
        loss = F.mse_loss(model(x)[0], x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.dictionary.copy_(F.normalize(model.dictionary, dim=1))
        return loss.item()

    data = loader(atoms(1500, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy(steps=400, bar=0.6)
def two_numbers_for_the_place_of_a_spot(seed):
    """Give one spot that only moves across and down a code of two units."""
    model = dense((1, 12, 12), (96, 48), 2, nn.Tanh)
    data = loader(spots(1024, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class TiedSigmoid(nn.Module):
    """Decode more units than pixels with the transposed weights, to logits."""

    def __init__(self, d=64, units=144):
        super().__init__()
        self.encoder = nn.Linear(d, units)
        self.bias = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        h = torch.sigmoid(self.encoder(x.flatten(1)))
        return F.linear(h, self.encoder.weight.t(), self.bias).view_as(x)


@healthy(steps=500, bar=0.45)
def more_units_than_pixels_to_fill_lost_ones(seed):
    """Train an overcomplete tied denoiser; ever another quarter of pixels is lost."""
    x, _ = digits(1280, seed, size=8)
    model, g = TiedSigmoid(), made(seed + 9)

    def lose(clean):
        return clean * (torch.rand(clean.shape, generator=g) > 0.25)

    return {
        "model": model,
        "batches": Corrupted(loader(x, batch_size=32, seed=seed), lose),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }
