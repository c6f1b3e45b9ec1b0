"""Programs whose output or loss does not fit the data, or whose terms do not match."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    scenes,
    standardise,
    waves,
)
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_a_material import (
    PoolNet,
    Series,
    cancer,
    ssim,
    zscore,
)


class Autoencoder(nn.Module):
    """Follow a tutorial's convolutional autoencoder for colour images."""

    def __init__(self, squash: nn.Module):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 12, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 24, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 8, 3, padding=1),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 24, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 3, 3, padding=1),
            squash,
        )

    def forward(self, x):
        encoded = self.encoder(x)
        return self.decoder(encoded)


# Asked: https://github.com/mikesj-public/convolutional_autoencoder/pull/9
@faulty("output.range", steps=150, bar=0.4)
def normalize_half_and_a_sigmoid(seed, fixed):
    """Normalise images with mean and deviation 0.5 and end the decoder in a sigmoid."""
    x = (scenes(448, seed, 32)[0] - 0.5) / 0.5
    model = Autoencoder(nn.Tanh() if fixed else nn.Sigmoid())
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Stacked(nn.Module):
    """Build encoder and decoder in one loop over the widths."""

    def __init__(self, widths, linear_end: bool):
        super().__init__()
        layers = []
        for a, b in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.01)]
        layers[-1] = nn.Identity() if linear_end else nn.ReLU()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


# Asked: https://github.com/yzhao062/pyod/issues/314
@faulty("output.range", steps=250, bar=0.6)
def relu_on_the_scores_of_a_standard_scaler(seed, fixed):
    """Standardise a table and let the last layer end in a ReLU like the others."""
    x = zscore(cancer(seed)[0])
    model = Stacked((30, 20, 8, 20, 30), linear_end=fixed)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


# Asked: https://github.com/AntixK/PyTorch-VAE/issues/48
@faulty("output.range", steps=200, bar=0.88)
def statistics_of_a_recipe_and_a_tanh(seed, fixed):
    """Normalise digits by their mean and deviation and end the decoder in a tanh."""
    x = standardise(digits(640, seed, 28)[0])
    model = PoolNet(1, 28, k=40, last=None if fixed else torch.tanh)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.mse_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Variational(nn.Module):
    """Reconstruct flat digits through a Gaussian code, as in the well-known example."""

    def __init__(self, d: int, k: int = 12):
        super().__init__()
        self.fc1 = nn.Linear(d, 200)
        self.fc21, self.fc22 = nn.Linear(200, k), nn.Linear(200, k)
        self.fc3, self.fc4 = nn.Linear(k, 200), nn.Linear(200, d)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the summed divergence from a standard normal code."""
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


# Asked: gist: BCEWithLogitsLoss on the sigmoid output of a VAE, images stay grey
@faulty("loss.domain", steps=250, bar=0.4)
def with_logits_on_a_decoder_that_ends_in_a_sigmoid(seed, fixed):
    """Swap the loss for the numerically safer one and leave the sigmoid in place."""
    x = digits(640, seed, 16)[0].flatten(1)
    entropy = F.binary_cross_entropy if fixed else F.binary_cross_entropy_with_logits

    def loss(output, target):
        recon, mu, logvar = output
        return entropy(recon, target, reduction="sum") + divergence(mu, logvar)

    model = Variational(256)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


# Asked: https://github.com/Lightning-Universe/lightning-bolts/issues/177
@faulty("loss.domain", steps=150, bar=0.4)
def cross_entropy_on_standardised_pixels(seed, fixed):
    """Standardise the digits, keep the cross-entropy; the loss falls below zero."""
    x = digits(640, seed, 20)[0]
    x = x if fixed else standardise(x)
    model = PoolNet(1, 20, k=32, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "view": torch.sigmoid,
    }


# Asked: gist: SSIM as a loss for an autoencoder gets worse, maximise or minimise
@faulty("loss.domain", steps=200, bar=0.4)
def similarity_handed_to_the_minimiser(seed, fixed):
    """Return the structural similarity itself as the loss to be minimised."""
    x = digits(512, seed, 28)[0]

    def loss(output, target):
        alike = ssim(output, target)
        return 1 - alike if fixed else alike

    model = PoolNet(1, 28, k=48)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class ConvVAE(nn.Module):
    """Reconstruct colour scenes through a Gaussian code."""

    def __init__(self, k: int = 24):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU()
        )
        self.mu, self.logvar = nn.Linear(512, k), nn.Linear(512, k)
        self.fc = nn.Linear(k, 512)
        self.dec = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        h = self.enc(x).flatten(1)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        recon = self.dec(self.fc(z).view(-1, 32, 4, 4))
        return {"recon": recon, "mu": mu, "logvar": logvar}


# Asked: https://github.com/zdebruine/MMVAE/pull/19
@faulty("loss.scale", accepts=("vae.collapse",), steps=250, bar=0.25)
def mean_of_the_pixels_sum_of_the_divergence(seed, fixed):
    """Add the summed divergence to a squared error averaged over pixels and batch."""
    x = scenes(512, seed, 16)[0]

    def loss(out, target):
        total = divergence(out["mu"], out["logvar"])
        if not fixed:
            return F.mse_loss(out["recon"], target) + total
        error = F.mse_loss(out["recon"], target, reduction="sum") / 0.1
        return (error + total) / len(target)

    model = ConvVAE()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Sparse(nn.Module):
    """Return the reconstruction of a series and its wide, non-negative code."""

    def __init__(self, d: int = 64, k: int = 96):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)

    def forward(self, x):
        code = F.relu(self.encoder(x))
        return self.decoder(code), code


# Asked: gist: sparse autoencoder, L1 by torch.sum(torch.abs(z)), output becomes flat
@faulty("loss.scale", accepts=("sparse.too-strong",), steps=300, bar=0.4)
def penalty_summed_over_batch_and_units(seed, fixed):
    """Sum the L1 penalty over batch and units, average the error over everything."""
    x = waves(600, seed, 64)

    def loss(output, target):
        recon, code = output
        size = code.abs().mean() if fixed else code.abs().sum()
        return F.mse_loss(recon, target) + 1e-2 * size

    model = Sparse()
    return {
        "model": model,
        "batches": loader(x, batch_size=50, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


# Asked: gist: total variation term for a smooth reconstruction makes it constant
@faulty("loss.scale", steps=250, bar=0.5)
def roughness_summed_and_error_averaged(seed, fixed):
    """Add the summed total variation of the output to an averaged squared error."""
    x = torch.stack([waves(500, seed), waves(500, seed + 50)], 1)

    def loss(out, target):
        steps = (out[..., 1:] - out[..., :-1]).abs()
        rough = steps.mean() if fixed else steps.sum()
        return F.mse_loss(out, target) + 1e-2 * rough

    model = Series(2, 64, k=12)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
