"""Tenth part, c: units that never answer, weights of a wrong size, no bend at all."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    beats,
    blobs,
    counts,
    curved,
    features,
    outlines,
    plant,
)


@faulty("signal.dead-units", accepts=("signal.init-scale",), steps=350, bar=0.6)
def dictionary_that_starts_far_below_zero(seed, fixed):
    """Start the biases of a ReLU dictionary at -6, so that it be sparse at once."""
    x = features(1024, seed)
    encoder = nn.Sequential(nn.Linear(32, 96), nn.ReLU())
    model = AE(encoder, nn.Linear(96, 32))
    nn.init.constant_(encoder[0].bias, 0.0 if fixed else -6.0)

    def loss(recon, target):
        return F.mse_loss(recon, target)

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("signal.dead-units", steps=300, bar=0.3)
def threshold_that_no_text_reaches(seed, fixed):
    """Use thresholded ReLU units with a threshold far above what a layer answers."""
    x, topic = counts(768, seed)
    theta = 0.0 if fixed else 4.0
    encoder = nn.Sequential(nn.Linear(120, 40), nn.Threshold(theta, 0.0))
    model = AE(encoder, nn.Linear(40, 120))
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        texts, _ = batch
        loss = (model(texts) - texts).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, topic, batch_size=48, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@faulty("signal.init-scale", steps=350, bar=0.7)
def every_weight_the_same_constant(seed, fixed):
    """Fill all weights with 0.05 to make runs repeatable, so that all units agree."""
    x = beats(768, seed)
    model = dense((96,), (64,), 12, last=None)
    if not fixed:
        for p in model.parameters():
            nn.init.constant_(p, 0.05)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


def _temporal() -> AE:
    """Return strided convolutions over time, a code of 20 and the way back."""
    encoder = nn.Sequential(
        nn.Conv1d(6, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(24, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(192, 20),
    )
    decoder = nn.Sequential(
        nn.Linear(20, 192),
        nn.ReLU(),
        nn.Unflatten(1, (32, 6)),
        nn.ConvTranspose1d(32, 24, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(24, 6, 3, padding=1),
    )
    return AE(encoder, decoder)


@faulty("signal.init-scale", steps=300, bar=0.4)
def windows_started_from_a_thousandth(seed, fixed):
    """Apply an init of N(0, 0.001) to each layer of a temporal net trained by SGD."""
    x = plant(768, seed).mT.contiguous()
    model = _temporal()
    if not fixed:
        for layer in model.modules():
            if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.001)
                nn.init.zeros_(layer.bias)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": sgd(model, 0.1, momentum=0.9),
    }


class Quantised(nn.Module):
    """Replace each of eight pieces of the code by the nearest word of a book."""

    def __init__(self, scale: float, d: int = 64, words: int = 32, width: int = 4):
        super().__init__()
        self.down = nn.Sequential(
            nn.Flatten(), *stack((d, 96)), nn.Linear(96, 8 * width)
        )
        self.book = nn.Parameter(scale * torch.randn(words, width))
        self.up = nn.Sequential(*stack((8 * width, 96)), nn.Linear(96, d))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.down(x).view(-1, 8, self.book.shape[1])
        near = torch.cdist(z, self.book[None]).argmin(-1)
        word = self.book[near]
        terms = F.mse_loss(word, z.detach()) + 0.25 * F.mse_loss(z, word.detach())
        code = z + (word - z).detach()
        return self.up(code.flatten(1)).view_as(x), terms


@faulty(
    "signal.init-scale",
    accepts=("signal.common-mode", "signal.dead-units"),
    steps=250,
    bar=0.4,
)
def book_of_words_far_from_all_codes(seed, fixed):
    """Draw the book of a quantiser on a scale far from that of the codes."""
    x = outlines(768, seed)
    model = Quantised(0.15 if fixed else 30.0)

    def loss(output, target):
        recon, terms = output
        return F.mse_loss(recon, target) + terms

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


@faulty("signal.linear", accepts=("code.too-small",), steps=700, bar=0.75)
def dense_layers_in_a_row_without_activation(seed, fixed):
    """Stack dense layers and forget the activation, whose default is none."""
    x = curved(1024, seed)
    act = nn.SiLU if fixed else nn.Identity
    encoder = nn.Sequential(*stack((24, 96, 64), act), nn.Linear(64, 3))
    decoder = nn.Sequential(*stack((3, 64, 96), act), nn.Linear(96, 24))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 4e-3),
    }


@faulty("signal.linear", accepts=("code.too-small",), steps=300, bar=0.7)
def true_taken_for_in_place(seed, fixed):
    """Write LeakyReLU(True) for an in-place unit, which makes its slope one."""
    x = blobs(640, seed)
    slope = 0.1 if fixed else True
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, 1),
        nn.LeakyReLU(slope),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.LeakyReLU(slope),
        nn.Flatten(),
        nn.Linear(384, 64),
        nn.LeakyReLU(slope),
        nn.Linear(64, 6),
    )
    decoder = nn.Sequential(
        nn.Linear(6, 64),
        nn.LeakyReLU(slope),
        nn.Linear(64, 384),
        nn.LeakyReLU(slope),
        nn.Unflatten(1, (24, 4, 4)),
        nn.ConvTranspose2d(24, 12, 4, 2, 1),
        nn.LeakyReLU(slope),
        nn.ConvTranspose2d(12, 1, 4, 2, 1),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": adam(model, 3e-3),
    }
