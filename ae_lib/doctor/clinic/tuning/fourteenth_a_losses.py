"""Tenth part, a: outputs that cannot reach, and losses that ask for something else."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    counts,
    landscapes,
    sensors,
    spectra,
    spots,
)


class Cells(nn.Module):
    """Encode a window with an LSTM, decode its last state step by step."""

    def __init__(self, c, hidden, t, last):
        super().__init__()
        self.t = t
        self.down = nn.LSTM(c, hidden, batch_first=True)
        self.up = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Sequential(nn.Linear(hidden, c), last)

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x)[1][0][-1]

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        return self.out(self.up(z[:, None].expand(-1, self.t, -1))[0])


@faulty("output.range", steps=300, bar=0.65)
def rectified_end_of_a_standardised_window(seed, fixed):
    """End an LSTM autoencoder of standardised channels in a ReLU, as asked online."""
    x = sensors(640, seed, t=16, c=3)
    model = Cells(3, 40, 16, nn.Identity() if fixed else nn.ReLU())
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@faulty("output.range", steps=400, bar=0.5)
def sigmoid_above_logarithms_of_counts(seed, fixed):
    """End a network for log counts, which go up to four, in a copied sigmoid."""
    x, topic = counts(1024, seed)
    encoder = [nn.Linear(60, 96), nn.LayerNorm(96), nn.SiLU(), nn.Linear(96, 10)]
    decoder = [nn.Linear(10, 96), nn.SiLU(), nn.Linear(96, 60)]
    last = nn.Softplus() if fixed else nn.Sigmoid()
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder, last))
    return {
        "model": model,
        "batches": loader(torch.log1p(x), topic, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("loss.domain", accepts=("output.range",), steps=250, bar=0.4)
def cross_entropy_of_standardised_spectra(seed, fixed):
    """Standardise, keep the cross-entropy on logits, and see negative losses."""
    x, main = spectra(768, seed)
    if not fixed:
        x = (x - x.mean()) / x.std()
    model = AE(
        nn.Sequential(*stack((96, 64), nn.Tanh), nn.Linear(64, 6)),
        nn.Sequential(*stack((6, 64), nn.Tanh), nn.Linear(64, 96)),
    )
    return {
        "model": model,
        "batches": loader(x, main, batch_size=32, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }


@faulty("loss.domain", steps=400, bar=0.4)
def rates_taken_for_their_logarithms(seed, fixed):
    """End in a softplus and keep the Poisson loss for logarithms of rates."""
    x, topic = counts(1024, seed)
    encoder = nn.Sequential(nn.BatchNorm1d(60), *stack((60, 64)), nn.Linear(64, 8))
    decoder = nn.Sequential(*stack((8, 64)), nn.Linear(64, 60), nn.Softplus())
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, topic, batch_size=64, seed=seed),
        "loss": nn.PoissonNLLLoss(log_input=not fixed),
        "optimizer": adam(model, 5e-3),
    }


@faulty("loss.scale", accepts=("vae.collapse",), steps=400, bar=0.3)
def divergence_of_all_pictures_on_a_mean_error(seed, fixed):
    """Average the error over all, and sum the divergence, before a merged fix."""
    x = landscapes(640, seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        *stack((10, 128)), nn.Linear(128, 768), nn.Unflatten(1, (3, 16, 16))
    )
    model = VAE(encoder, decoder, 512, 10)

    def loss(output, target):
        recon, mu, logvar = output
        if fixed:
            error = (recon - target).square().flatten(1).sum(1).mean()
            return error + 0.05 * kl(mu, logvar).sum(1).mean()
        return F.mse_loss(recon, target) + 0.05 * kl(mu, logvar).sum()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Quantised(nn.Module):
    """Replace each vector of the code's map by the nearest of a book."""

    def __init__(self, words=64, width=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 24, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(24, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, width, 1),
        )
        self.book = nn.Parameter(0.5 * torch.randn(words, width))
        self.decoder = nn.Sequential(
            nn.Conv2d(width, 32, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 24, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(24, 1, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.encoder(x).movedim(1, -1)  # (B, 4, 4, width)
        near = torch.cdist(z.flatten(0, 2), self.book).argmin(1)
        q = self.book[near].view_as(z)
        passed = z + (q - z).detach()
        return self.decoder(passed.movedim(-1, 1)), z, q


@faulty("loss.scale", steps=300, bar=0.45)
def commitment_summed_over_the_whole_map(seed, fixed):
    """Average the error, and sum both code book terms over batch and places."""
    x = spots(640, seed, number=3)
    model = Quantised()
    with torch.no_grad():  # begin with words that occur
        z = model.encoder(x[:64]).movedim(1, -1).flatten(0, 2)
        model.book.copy_(z[torch.randperm(len(z))[:64]])
    optimizer = adam(model)
    how = "mean" if fixed else "sum"

    def step(model, batch):
        recon, z, q = model(batch)
        book = F.mse_loss(q, z.detach(), reduction=how)
        commit = F.mse_loss(z, q.detach(), reduction=how)
        loss = F.mse_loss(recon, batch) + book + 0.25 * commit
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
