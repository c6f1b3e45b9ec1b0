"""Tenth part, c: working programs that are trained already."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, VAE, adam, dense, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    beats,
    blobs,
    curved,
    epochs,
    features,
    made,
    spectra,
)


@healthy(steps=0, bar=0.7)
def digits_with_a_history_and_held_back_rows(seed):
    """Train a dense net on most digits with a history of losses on the others."""
    x, y = digits(1797, seed, size=8)
    x, held, labels = x[:1500], x[1500:], y[:1500]
    model = dense((1, 8, 8), (96,), 10)
    optimizer = adam(model, 3e-3)
    case = {
        "model": model,
        "batches": loader(x, labels, batch_size=64, seed=seed),
        "eval_batches": [held],
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }
    halved = torch.optim.lr_scheduler.StepLR(optimizer, 12, 0.5)
    return epochs(case, held, 48, lambda history: halved.step())


@healthy(steps=0, bar=0.8)
def heartbeats_trained_until_the_loss_is_flat(seed):
    """Train on heartbeats with a falling rate until the loss no longer moves."""
    x = beats(2048, seed)
    x = (x - x.mean(0)) / 0.11
    x, held = x[:1664], x[1664:]
    model = dense((96,), (128, 64), 4, act=nn.SiLU, last=None)
    optimizer = adam(model, 3e-3)
    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "eval_batches": loader(held, batch_size=64, shuffle=False),
        "optimizer": optimizer,
    }
    slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.87)
    return epochs(case, held, 36, lambda history: slower.step())


@healthy(steps=0, bar=0.65)
def specks_removed_from_masks(seed):
    """Train a net to remove specks from masks, each pixel flipped one time in 25."""
    x, g = blobs(2560, seed), made(seed)
    x, held = x[:2176], x[2176:]
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 192)), nn.Linear(192, 24))
    decoder = nn.Sequential(
        *stack((24, 192)), nn.Linear(192, 256), nn.Unflatten(1, (1, 16, 16))
    )
    model = AE(encoder, decoder)

    def flip(batch):
        hit = (torch.rand(batch.shape, generator=g) < 0.04).float()
        return (batch - hit).abs(), batch

    optimizer = adam(model, 3e-3)
    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": optimizer,
        "pair": flip,
        "view": torch.sigmoid,
        "judge": [flip(held)],
    }
    train(case, 500)
    optimizer.param_groups[0]["lr"] = 1e-3
    train(case, 500)
    return case


@healthy(steps=0, bar=0.8)
def variational_spectra_with_a_rising_weight(seed):
    """Train a variational net whose divergence rises to its full weight."""
    x = spectra(1536, seed)
    x, held = x[:1280], x[1280:]
    encoder = nn.Sequential(*stack((80, 96)))
    decoder = nn.Sequential(*stack((10, 96)), nn.Linear(96, 80))
    model = VAE(encoder, decoder, 96, 10)
    weight = {"beta": 0.0}

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().sum(1).mean() / (2 * 0.02)
        return error + weight["beta"] * kl(mu, logvar).sum(1).mean()

    optimizer = adam(model, 3e-3)
    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "eval_batches": [held],
        "loss": loss,
        "optimizer": optimizer,
    }
    for epoch in range(30):
        weight["beta"] = min(1.0, epoch / 10)
        if epoch == 20:
            optimizer.param_groups[0]["lr"] = 1e-3
        train(case, len(case["batches"]))
    return case


class Words(nn.Module):
    """Code a vector with the few ReLU features of a dictionary of unit words."""

    def __init__(self, d: int = 32, words: int = 64):
        super().__init__()
        self.encoder = nn.Linear(d, words)
        self.words = nn.Parameter(self.encoder.weight.detach().clone())
        self.base = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        return F.relu(self.encoder(x - self.base))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return z @ F.normalize(self.words, dim=1) + self.base, z


@healthy(steps=0, bar=0.7)
def few_words_for_a_vector_by_an_absolute_penalty(seed):
    """Train a dictionary with unit words and a light penalty on its activities."""
    x = features(2560, seed)
    x, held = x[:2048], x[2048:]
    model = Words()

    def loss(output, target):
        recon, z = output
        error = (recon - target).square().sum(1).mean()
        return error + 0.7 * z.abs().sum(1).mean()

    case = {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "eval_batches": [held],
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }
    return epochs(case, held, 40)


@healthy(steps=0, bar=0.6)
def tones_by_convolution_over_time(seed):
    """Train convolutions over time with a dense code on tones and a little noise."""
    x = waves(1792, seed, 48)[:, None]
    x = x + 0.05 * torch.randn(x.shape, generator=made(seed))
    x, held = x[:1536], x[1536:]
    encoder = nn.Sequential(
        nn.Conv1d(1, 16, 4, stride=2, padding=1),
        nn.GELU(),
        nn.Conv1d(16, 32, 4, stride=2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(384, 4),
    )
    decoder = nn.Sequential(
        nn.Linear(4, 384),
        nn.GELU(),
        nn.Unflatten(1, (32, 12)),
        nn.ConvTranspose1d(32, 16, 4, stride=2, padding=1),
        nn.GELU(),
        nn.ConvTranspose1d(16, 1, 4, stride=2, padding=1),
    )
    model = AE(encoder, decoder)
    optimizer = adam(model, 5e-3)
    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "eval_batches": [held],
        "optimizer": optimizer,
    }
    slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    return epochs(case, held, 22, lambda history: slower.step())


@healthy(steps=0, bar=0.8)
def best_weights_kept_for_a_curved_plane(seed):
    """Train on rows of a curved plane and go back to the weights of the best epoch."""
    x = curved(2048, seed)
    x, held = x[:1664], x[1664:]
    model = dense((24,), (96, 64), 3, act=nn.SiLU, last=None)
    best: dict = {}

    def keep(history):
        if history["val_loss"][-1] == min(history["val_loss"]):
            best.update(copy.deepcopy(model.state_dict()))

    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "eval_batches": [held],
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }
    case = epochs(case, held, 35, keep)
    model.load_state_dict(best)
    return case


class Book(nn.Module):
    """Replace each piece of a heartbeat's code by the nearest word of a book."""

    def __init__(self, d: int = 96, pieces: int = 8, words: int = 64, width: int = 4):
        super().__init__()
        self.down = nn.Sequential(*stack((d, 96)), nn.Linear(96, pieces * width))
        self.book = nn.Parameter(torch.empty(words, width).uniform_(-0.3, 0.3))
        self.up = nn.Sequential(*stack((pieces * width, 96)), nn.Linear(96, d))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.down(x).view(len(x), -1, self.book.shape[1])
        word = self.book[torch.cdist(z, self.book[None]).argmin(-1)]
        terms = F.mse_loss(word, z.detach()) + 0.25 * F.mse_loss(z, word.detach())
        return self.up((z + (word - z).detach()).flatten(1)), terms


@healthy(steps=0, bar=0.7)
def heartbeats_in_words_of_a_book(seed):
    """Train a quantiser of eight words for every heartbeat from a book of 64."""
    x = beats(1536, seed)
    x = (x - x.mean(0)) / 0.11
    model = Book()

    def loss(output, target):
        recon, terms = output
        return F.mse_loss(recon, target) + terms

    case = {
        "model": model,
        "batches": loader(x[:1280], batch_size=64, seed=seed),
        "eval_batches": [x[1280:]],
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }
    train(case, 900)
    return case
