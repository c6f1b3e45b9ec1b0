"""Eleventh part, d: losses and ends that look odd and fit their data."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import (
    clips,
    counts,
    headings,
    panel,
    tremors,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, VAE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import healthy


class Forecast(nn.Module):
    """Give a mean and a variance for every value of a flattened record."""

    def __init__(self, d, hidden=96, k=6):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, hidden), nn.SiLU), nn.Linear(hidden, k))
        self.trunk = nn.Sequential(*stack((k, hidden), nn.SiLU))
        self.mean = nn.Linear(hidden, d)
        self.variance = nn.Sequential(nn.Linear(hidden, d), nn.Softplus())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.trunk(self.encoder(x))
        return {"x_hat": self.mean(h), "spread": self.variance(h) + 1e-3}


@healthy(steps=500, bar=0.9)
def likelihood_with_a_learned_variance_below_zero(seed):
    """Train a mean and a variance by their likelihood, which falls below zero."""
    model = Forecast(96)
    likelihood = nn.GaussianNLLLoss()

    def loss(output, target):
        return likelihood(output["x_hat"], target, output["spread"])

    return {
        "model": model,
        "batches": loader(tremors(1024, seed).flatten(1), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Logs(nn.Module):
    """Take the logarithm of counts before an ordinary network."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log1p(x)


@healthy(steps=500, bar=0.75)
def logarithms_of_rates_and_the_poisson_loss(seed):
    """Return logarithms of rates for raw counts, as the Poisson loss wants them."""
    model = AE(
        nn.Sequential(Logs(), *stack((40, 64)), nn.Linear(64, 6)),
        nn.Sequential(*stack((6, 64)), nn.Linear(64, 40)),
    )
    return {
        "model": model,
        "batches": loader(counts(1536, seed), seed=seed),
        "loss": nn.PoissonNLLLoss(log_input=True),
        "optimizer": adam(model, 2e-3),
        "view": torch.exp,
    }


class Length(nn.Module):
    """Scale every row to length one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)


@healthy(steps=400, bar=0.8)
def cosine_between_vectors_of_length_one(seed):
    """Compress embeddings of length one, and compare only their directions."""
    model = dense((32,), (64,), 6, act=nn.GELU, last=Length)
    return {
        "model": model,
        "batches": loader(headings(1024, seed), seed=seed),
        "loss": lambda output, target: 1 - F.cosine_similarity(output, target).mean(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=600, bar=0.85)
def everything_summed_and_a_rate_to_match(seed):
    """Sum error and divergence over all of a batch, with SGD at a tiny rate."""
    encoder = nn.Sequential(*stack((24, 64), nn.SiLU))
    decoder = nn.Sequential(*stack((6, 64), nn.SiLU), nn.Linear(64, 24))
    model = VAE(encoder, decoder, 64, 6)

    def loss(output, target):
        made, mu, logvar = output
        divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
        return F.mse_loss(made, target, reduction="sum") + 0.02 * divergence

    return {
        "model": model,
        "batches": loader(panel(1024, seed), batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": sgd(model, 5e-4, momentum=0.9),
    }


class Levels(nn.Module):
    """Give a chance for each of nine grey levels of every pixel, and their mean."""

    def __init__(self, levels=9):
        super().__init__()
        self.levels = levels
        self.encoder = nn.Sequential(nn.Flatten(), *stack((64, 96)), nn.Linear(96, 16))
        self.decoder = nn.Sequential(*stack((16, 96)), nn.Linear(96, 64 * levels))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.decoder(self.encoder(x)).view(len(x), self.levels, 8, 8)
        grey = torch.linspace(0, 1, self.levels).view(1, -1, 1, 1)
        return {"x_hat": (logits.softmax(1) * grey).sum(1, keepdim=True), "l": logits}


@healthy(steps=500, bar=0.68)
def pixels_classified_into_nine_greys(seed):
    """Classify each pixel of a digit into nine greys, as PixelCNN does with 256."""
    model = Levels()
    x, y = digits(1600, seed, size=8)

    def loss(output, target):
        kind = (target[:, 0] * 8).round().long()
        return F.cross_entropy(output["l"], kind)

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


def magnitudes(x: Tensor, size: int) -> Tensor:
    """Return the magnitudes of a short-time Fourier transform."""
    window = torch.hann_window(size)
    made = torch.stft(x[:, 0], size, size // 4, window=window, return_complex=True)
    return (made.real.square() + made.imag.square() + 1e-7).sqrt()


@healthy(steps=500, bar=0.8)
def three_resolutions_of_a_spectrogram(seed):
    """Compare clips by spectrograms of three resolutions and a little by samples."""
    encoder = nn.Sequential(
        nn.Conv1d(1, 16, 9, 2, 4),
        nn.ELU(),
        nn.Conv1d(16, 24, 9, 4, 4),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(384, 8),
    )
    decoder = nn.Sequential(
        *stack((8, 128, 128), nn.ELU), nn.Linear(128, 128), nn.Unflatten(1, (1, 128))
    )
    model = AE(encoder, decoder)

    def loss(output, target):
        total = 2 * F.l1_loss(output, target)
        for size in (16, 32, 64):
            a, b = magnitudes(output, size), magnitudes(target, size)
            total = total + 0.1 * ((a - b).norm() / b.norm() + F.l1_loss(a, b))
        return total

    return {
        "model": model,
        "batches": loader(clips(1024, seed), batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


def reader(seed: int) -> nn.Sequential:
    """Train a small classifier of digits and freeze its first layers."""
    x, y = digits(1024, seed + 50, size=8)
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    net.extend([nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Flatten()])
    net.append(nn.Linear(384, 10))
    optimizer = adam(net, 3e-3)
    for _ in range(4):
        for images, kinds in loader(x, y, seed=seed):
            optimizer.zero_grad()
            F.cross_entropy(net(images), kinds).backward()
            optimizer.step()
    return net[:5].eval().requires_grad_(False)


@healthy(steps=400, bar=0.7)
def features_of_a_frozen_reader_as_the_loss(seed):
    """Compare digits mostly by the features of a frozen classifier of digits."""
    look = reader(seed)
    model = dense((1, 8, 8), (96,), 16, act=nn.LeakyReLU)
    x, y = digits(1280, seed, size=8)

    def loss(output, target):
        near = F.mse_loss(output, target)
        return near + 0.1 * F.mse_loss(look(output), look(target))

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Ceiling(nn.Module):
    """Bound values softly to plus and minus eight."""

    def forward(self, x: Tensor) -> Tensor:
        return 8 * torch.tanh(x / 8)


@healthy(steps=400, bar=0.9)
def wide_tanh_and_the_logarithm_of_cosh(seed):
    """End in eight times a tanh, for records with rare large values, with log-cosh."""
    encoder = [nn.Flatten(), *stack((96, 96), nn.SELU), nn.Linear(96, 6)]
    decoder = [*stack((6, 96), nn.SELU), nn.Linear(96, 96), Ceiling()]
    model = AE(
        nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Unflatten(1, (24, 4)))
    )

    def loss(output, target):
        off = (output - target).abs()
        return (off + F.softplus(-2 * off) - 0.6931472).mean()

    return {
        "model": model,
        "batches": loader(tremors(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }
