"""Ninth part, b: codes that are quantised, random or priced by the bit, and right."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    cells,
    clouds,
    glyphs,
    terrain,
)


class MovingBook(nn.Module):
    """Quantise vectors with a codebook that follows them without a gradient."""

    def __init__(self, entries=48, dim=4, decay=0.95):
        super().__init__()
        self.decay = decay
        self.register_buffer("book", torch.randn(entries, dim))
        self.register_buffer("count", torch.ones(entries))
        self.register_buffer("total", self.book.clone())

    def forward(self, z):
        flat = z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        index = torch.cdist(flat, self.book).argmin(1)
        if self.training:
            hot = F.one_hot(index, len(self.book)).float()
            self.count.lerp_(hot.sum(0), 1 - self.decay)
            self.total.lerp_(hot.t() @ flat, 1 - self.decay)
            self.book.copy_(self.total / self.count.clamp_min(1e-3)[:, None])
        rows = self.book[index].view(len(z), *z.shape[2:], -1)
        return rows.permute(0, 3, 1, 2)


class MovingVQ(nn.Module):
    """Put the moving codebook between two small stacks of convolutions."""

    def __init__(self, dim=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, 4),
            nn.ReLU(),
            nn.Conv2d(16, dim, 1),
            nn.BatchNorm2d(dim, affine=False),
        )
        self.quantiser = MovingBook(dim=dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 32, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 4)
        )

    def forward(self, x):
        z = self.encoder(x)
        q = self.quantiser(z)
        recon = self.decoder(z + (q - z).detach())
        return {"recon": recon, "vq_loss": 0.25 * F.mse_loss(z, q)}


@healthy(steps=250, bar=0.5)
def codebook_kept_by_moving_averages(seed):
    """Train a VQ-VAE whose codebook is a buffer, moved in the forward pass."""
    x, kind = glyphs(768, seed)
    model = MovingVQ()
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": lambda out, to: F.mse_loss(out["recon"], to) + out["vq_loss"],
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


class Finite(nn.Module):
    """Round a bounded code of four channels to a few levels, straight through."""

    def __init__(self, levels=(7, 5, 5, 5)):
        super().__init__()
        half = torch.tensor(levels).view(1, -1, 1, 1) // 2
        self.register_buffer("reach", half.float())
        k = len(levels)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 24, 4, 4), nn.GELU(), nn.Conv2d(24, k, 1)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(k, 32, 3, 1, 1), nn.GELU(), nn.ConvTranspose2d(32, 3, 4, 4)
        )

    def encode(self, x):
        z = torch.tanh(self.encoder(x)) * self.reach
        return (z + (z.round() - z).detach()) / self.reach

    def forward(self, x):
        return self.decoder(self.encode(x)).sigmoid()


@healthy(steps=200, bar=0.6)
def code_rounded_to_a_few_levels(seed):
    """Compress clouds to sixteen words of finite scalar quantisation."""
    model = Finite()
    data = loader(clouds(640, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


def calibrated(out, target):
    """Return the negative ELBO with the best noise variance for the batch."""
    x_hat, mu, logvar = out
    error = F.mse_loss(x_hat, target)
    nll = 0.5 * target[0].numel() * error.log()
    return nll + kl(mu, logvar).sum(1).mean()


@healthy(steps=300, bar=0.5)
def noise_variance_fitted_by_the_batch(seed):
    """Train a VAE whose variance is the batch's own error; its loss is negative."""
    model = dense_vae((1, 16, 16), 128, k=12, last=None)
    return {
        "model": model,
        "batches": loader(0.5 * terrain(1024, seed), seed=seed),
        "loss": calibrated,
        "optimizer": adam(model, 2e-3),
    }


class Deterministic(nn.Module):
    """Return the code with the reconstruction."""

    def __init__(self, plain):
        super().__init__()
        self.encoder, self.decoder = plain.encoder, plain.decoder

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


def multiquadratic(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean kernel between rows of a and of b."""
    return (16 / (16 + torch.cdist(a, b).square())).mean()


def wasserstein(out, target):
    """Return the squared error per image plus the distance of codes from N(0, 1)."""
    x_hat, z = out
    prior = torch.randn_like(z)
    gap = multiquadratic(z, z) + multiquadratic(prior, prior)
    gap = gap - 2 * multiquadratic(z, prior)
    return (x_hat - target).square().flatten(1).sum(1).mean() + 10 * gap


@healthy(steps=250, bar=0.5)
def codes_pulled_to_a_normal_by_mmd(seed):
    """Train a Wasserstein autoencoder on cells with a kernel on the codes."""
    model = Deterministic(dense((3, 12, 12), (128,), 8, nn.ELU))
    return {
        "model": model,
        "batches": loader(cells(768, seed, size=12), seed=seed),
        "loss": wasserstein,
        "optimizer": adam(model, 2e-3),
    }


class Conditional(nn.Module):
    """Tell the encoder and the decoder of a VAE which digit it is."""

    def __init__(self, d=64, classes=10, hidden=96, k=6):
        super().__init__()
        self.d = d
        self.encoder = nn.Sequential(nn.Linear(d + classes, hidden), nn.ReLU())
        self.fc_mu, self.fc_logvar = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k + classes, hidden), nn.ReLU(), nn.Linear(hidden, d)
        )

    def forward(self, both):
        h, kind = self.encoder(both), both[:, self.d :]
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.decoder(torch.cat([z, kind], 1)), mu, logvar


@healthy(steps=350, bar=0.4)
def conditional_vae_told_the_digit(seed):
    """Feed pixels and one-hot labels, and reconstruct the pixels as logits."""
    x, y = digits(1280, seed, size=8)
    x = x.flatten(1)
    model = Conditional()

    def loss(out, target):
        logits, mu, logvar = out
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return (bce + 0.3 * kl(mu, logvar).sum()) / len(target)

    return {
        "model": model,
        "batches": loader(torch.cat([x, F.one_hot(y, 10)], 1), x, seed=seed),
        "pair": lambda batch: (batch[0], batch[1]),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }


@dataclass
class Coded:
    """Hold a reconstruction and the bits per image that it costs."""

    x_hat: Tensor
    bits: Tensor


class Compressor(nn.Module):
    """Add uniform noise in place of rounding, and price the code by logistic priors."""

    def __init__(self, k=6):
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv2d(3, 24, 4, 4), nn.LeakyReLU(0.2), nn.Conv2d(24, k, 1)
        )
        self.synthesis = nn.Sequential(
            nn.Conv2d(k, 32, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 3, 4, 4),
        )
        self.place = nn.Parameter(torch.zeros(1, k, 1, 1))
        self.spread = nn.Parameter(torch.zeros(1, k, 1, 1))

    def forward(self, x):
        y = 8 * self.analysis(x)
        y = y + torch.rand_like(y) - 0.5 if self.training else y.round()
        scale = F.softplus(self.spread) + 0.1
        upper = torch.sigmoid((y - self.place + 0.5) / scale)
        lower = torch.sigmoid((y - self.place - 0.5) / scale)
        bits = -(upper - lower).clamp_min(1e-6).log2().flatten(1).sum(1)
        return Coded(self.synthesis(y / 8), bits)


@healthy(steps=250, bar=0.6)
def bits_weighed_against_the_error(seed):
    """Train learned compression: bits per image plus a multiple of the error."""
    x = 2 * clouds(640, seed) - 1
    model = Compressor()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda out, to: out.bits.mean() + 10000 * F.mse_loss(out.x_hat, to),
        "optimizer": adam(model, 4e-3),
    }
