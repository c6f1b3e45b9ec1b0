"""Tenth part, c: codes that hardly vary at the start, and units on plateaus."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, scenes
from ae_lib.doctor.clinic.parts import AE, adam, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import beats, counts, spectra


@faulty("signal.common-mode", steps=400, bar=0.4)
def heartbeats_squashed_by_six_sigmoids(seed, fixed):
    """Put a sigmoid after every layer, as for a shallow net, and get one blob out."""
    x = beats(768, seed)
    act = nn.ReLU if fixed else nn.Sigmoid
    encoder = nn.Sequential(*stack((96, 72, 48), act), nn.Linear(48, 10))
    if not fixed:
        encoder.append(nn.Sigmoid())
    decoder = nn.Sequential(*stack((10, 48, 72), act), nn.Linear(72, 96), nn.Sigmoid())
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


class Tokens(nn.Module):
    """Code a picture by attention over its patches; one vector stands for all."""

    def __init__(self, place: float, width: int = 48, k: int = 24):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.place = nn.Parameter(place * torch.randn(1, 16, width))
        self.attend = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(*stack((width, 96), nn.GELU), nn.Linear(96, width))
        self.code = nn.Linear(16 * width, k)
        self.decoder = nn.Sequential(
            *stack((k, 192)), nn.Linear(192, 768), nn.Sigmoid()
        )

    def encode(self, x: Tensor) -> Tensor:
        h = self.patch(x).flatten(2).mT + self.place  # (B, 16, width)
        h = self.norm1(h)
        h = h + self.attend(h, h, h, need_weights=False)[0]
        h = h + self.feed(self.norm2(h))
        return self.code(h.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x)).view_as(x)


@faulty(
    "signal.common-mode",
    accepts=("signal.init-scale",),
    steps=200,
    bar=0.68,
)
def places_that_drown_the_patches(seed, fixed):
    """Draw the table of positions from N(0, 1) times 100 before a layer norm."""
    x, y = scenes(512, seed)
    model = Tokens(0.02 if fixed else 100.0)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "optimizer": adam(model, 2e-3),
    }


class ByHand(nn.Module):
    """Hold the weights of a two-layer encoder and a linear decoder bare."""

    def __init__(self, sizes: tuple[int, int, int], fixed: bool):
        super().__init__()
        d, hidden, k = sizes
        self.w1 = nn.Parameter(torch.randn(d, hidden) * (d**-0.5 if fixed else 1))
        self.w2 = nn.Parameter(torch.randn(hidden, k) * (hidden**-0.5 if fixed else 1))
        self.w3 = nn.Parameter(k**-0.5 * torch.randn(k, d))
        self.b1, self.b2, self.b3 = (
            nn.Parameter(torch.zeros(n)) for n in (hidden, k, d)
        )

    def encode(self, x: Tensor) -> Tensor:
        h = torch.tanh(x @ self.w1 + self.b1)
        return torch.tanh(h @ self.w2 + self.b2)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) @ self.w3 + self.b3


@faulty(
    "signal.saturated",
    accepts=("signal.init-scale",),
    steps=300,
    bar=0.8,
)
def bare_randn_in_front_of_a_tanh(seed, fixed):
    """Write the layers by hand with torch.randn and no scale, before a tanh."""
    x = spectra(768, seed)
    model = ByHand((80, 60, 9), fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": F.mse_loss,
        "optimizer": sgd(model, 0.3, momentum=0.9),
    }


class Hash(nn.Module):
    """Code a text with nearly binary units of a steep sigmoid."""

    def __init__(self, slope: float, words: int = 120, bits: int = 24):
        super().__init__()
        self.body = nn.Sequential(*stack((words, 96)), nn.Linear(96, bits))
        self.out = nn.Sequential(*stack((bits, 96)), nn.Linear(96, words))
        self.slope = slope

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * self.body(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": self.out(z), "code": z}


@faulty("signal.saturated", steps=300, bar=0.4)
def steep_sigmoid_for_bits_of_a_text(seed, fixed):
    """Multiply by 300 before the sigmoid of a hash code to have bits at once."""
    x, topic = counts(768, seed)
    model = Hash(2.0 if fixed else 300.0)

    def loss(output, target):
        return F.mse_loss(output["recon"], target)

    return {
        "model": model,
        "batches": loader(x, topic, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
