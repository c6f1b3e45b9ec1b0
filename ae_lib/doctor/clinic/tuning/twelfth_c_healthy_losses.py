"""Eighth part, c: unusual losses and likelihoods that are right, and a sparse code."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, conv, dense, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_c_data import noisy_pairs
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    genes,
    landscapes,
    made,
    process,
    songs,
    tones,
)


@healthy(steps=300, bar=0.4)
def huber_for_a_table_with_spikes(seed):
    """Use the Huber loss on rows in which one value of a hundred is a spike."""
    x = process(1024, seed)
    g = made(seed + 1)
    spikes = 4 * torch.randn(x.shape, generator=g)
    rows = torch.where(torch.rand(x.shape, generator=g) < 0.01, x + spikes, x)
    model = dense((20,), (96,), 5, nn.ELU, last=None)
    return {
        "model": model,
        "batches": loader(rows, seed=seed),
        "loss": nn.HuberLoss(delta=0.5),
        "optimizer": adam(model, 3e-3),
    }


def likeness(a, b, size=5):
    """Return how alike the structure of pictures is, from local moments, at most 1."""

    def mean(x):
        return F.avg_pool2d(x, size, 1)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma**2, mean(b * b) - mb**2
    both = mean(a * b) - ma * mb
    light = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
    return (light * (2 * both + 9e-4) / (va + vb + 9e-4)).mean()


@healthy(steps=300, bar=0.6)
def likeness_of_structure_with_a_little_l1(seed):
    """Maximise the structural similarity of landscapes, with an L1 term."""
    x = landscapes(768, seed)
    model = dense((3, 16, 16), (160,), 12, nn.SiLU)

    def loss(output, target):
        return 0.3 * (1 - likeness(output, target)) + F.l1_loss(output, target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Restorer(nn.Module):
    """Restore pictures with a U-Net of two levels; its skips carry the noisy detail."""

    def __init__(self, width=12):
        super().__init__()
        self.top = nn.Conv2d(3, width, 3, 1, 1)
        self.down = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.deep = nn.Conv2d(2 * width, 2 * width, 4, 2, 1)
        self.up = nn.Conv2d(4 * width, 2 * width, 3, 1, 1)
        self.last = nn.Conv2d(3 * width, width, 3, 1, 1)
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        a = F.silu(self.top(x))
        b = F.silu(self.down(a))
        h = F.interpolate(F.silu(self.deep(b)), scale_factor=2)
        h = F.silu(self.up(torch.cat([h, b], 1)))
        h = torch.cat([F.interpolate(h, scale_factor=2), a], 1)
        return self.out(F.silu(self.last(h)))


def charbonnier(output, target):
    """Return the smooth absolute error that restorers of pictures use."""
    return ((output - target).square() + 1e-6).sqrt().mean()


@healthy(steps=180, bar=0.6)
def strong_noise_on_landscapes_for_a_u_net(seed):
    """Remove noise twice as strong as the picture with a U-Net and its skips."""
    x = landscapes(512, seed)

    def spoil(clean, g):
        return clean + 0.5 * torch.randn(clean.shape, generator=g)

    model = Restorer()
    return {
        "model": model,
        "batches": noisy_pairs(x, spoil, seed, batch_size=32),
        "loss": charbonnier,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=300, bar=0.5)
def angle_and_distance_between_embeddings(seed):
    """Compress embeddings of length one, with the angle beside the squared error."""
    x = F.normalize(process(1024, seed, d=32, rank=6), dim=1)
    model = dense((32,), (128,), 8, nn.GELU, last=None)

    def loss(output, target):
        angle = 1 - F.cosine_similarity(output, target, dim=1)
        return (angle + (output - target).square().sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Counts(nn.Module):
    """Read counts through a logarithm and answer with logarithms of rates."""

    def __init__(self, d=40, k=6):
        super().__init__()
        self.net = dense((d,), (96,), k, nn.ReLU, last=None)

    def forward(self, counts):
        return {"recon": self.net(torch.log1p(counts))}


@healthy(steps=300, bar=0.5)
def poisson_rates_of_genes(seed):
    """Model counts of genes with a Poisson likelihood; outputs are log rates."""
    x = genes(1024, seed)
    model, nll = Counts(), nn.PoissonNLLLoss(log_input=True)

    def loss(output, target):
        return nll(output["recon"], target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
        "view": torch.exp,
    }


class Sigma(nn.Module):
    """Learn the one variance of the noise beside a Gaussian code with room to spare."""

    def __init__(self, d=64, k=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(d, 128), nn.SiLU())
        self.heads = nn.Linear(128, 2 * k)
        self.decoder = nn.Sequential(nn.Linear(k, 128), nn.SiLU(), nn.Linear(128, d))
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        mu, log_var = self.heads(self.encoder(x)).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        out = {"x_hat": self.decoder(z).view_as(x), "mu": mu, "log_var": log_var}
        return {**out, "log_sigma": self.log_sigma.clamp(-6, 2)}


@healthy(steps=350, bar=0.6)
def variance_of_the_noise_learnt_with_idle_units(seed):
    """Learn the noise variance of a VAE of notes, whose code has units to spare."""
    x = 2 * tones(1024, seed)
    model = Sigma()

    def loss(out, target):
        log_sigma = out["log_sigma"]
        scaled = (out["x_hat"] - target) * torch.exp(-log_sigma)
        nll = (0.5 * scaled.square() + log_sigma).flatten(1).sum(1)
        return (nll + kl(out["mu"], out["log_var"]).sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Matched(nn.Module):
    """Return the reconstruction and the code, whose distribution is matched."""

    def __init__(self, d=20, k=4):
        super().__init__()
        self.net = dense((d,), (96,), k, nn.LeakyReLU, last=None)

    def forward(self, x):
        z = self.net.encode(x)
        return self.net.decode(z), z


def discrepancy(a, b):
    """Return the squared maximum mean discrepancy with a broad kernel."""

    def kernel(u, v):
        away = torch.cdist(u, v).square() / u.shape[1]
        return sum(s / (s + away) for s in (0.5, 1.0, 2.0))

    return kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean()


@healthy(steps=300, bar=0.6)
def codes_matched_to_a_normal_by_moments(seed):
    """Draw the codes of a table towards a normal distribution with an MMD term."""
    x = process(1024, seed)
    model = Matched()

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + discrepancy(z, torch.randn_like(z))

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.5)
def speckle_on_spectrograms(seed):
    """Remove noise that multiplies, gamma distributed, from spectrograms."""
    x = songs(768, seed)

    def spoil(clean, g):
        u = torch.rand((2, *clean.shape), generator=g).clamp(1e-6)
        return clean * -u.log().mean(0)

    model = conv((1, 16, 16), 24, act=nn.GELU, last=None)
    return {
        "model": model,
        "batches": noisy_pairs(x, spoil, seed),
        "loss": charbonnier,
        "optimizer": adam(model),
    }


class TopK(nn.Module):
    """Keep the eight strongest of 32 signed features of a note, forget the rest."""

    def __init__(self, d=64, features=32, keep=8):
        super().__init__()
        self.encoder, self.keep = nn.Linear(d, features), keep
        self.decoder = nn.Linear(features, d)
        with torch.no_grad():
            self.decoder.weight.copy_(F.normalize(self.encoder.weight.t(), dim=0))

    def encode(self, x):
        h = self.encoder(x.flatten(1) - self.decoder.bias)
        least = h.abs().topk(self.keep, 1).values[:, -1:]
        return h * (h.abs() >= least)

    def forward(self, x):
        z = self.encode(x)
        return self.decoder(z).unsqueeze(1), z


@healthy(steps=400, bar=0.6)
def eight_of_thirty_two_features_of_a_note(seed):
    """Let only the eight strongest of 32 signed features of a note speak."""
    x = 4 * tones(1024, seed)
    model = TopK()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
