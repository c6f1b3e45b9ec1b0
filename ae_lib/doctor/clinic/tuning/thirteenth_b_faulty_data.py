"""Ninth part, b: data, targets, losses and noise that are wrong."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import adam, conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    Corrupted,
    clouds,
    currents,
    glyphs,
    made,
    stations,
    weave,
)


def genes(n, seed, d=40, programs=5):
    """Return counts (n, d) of genes, many of them zero."""
    g, kind = made(seed), made(3)
    load = torch.randn(programs, d, generator=kind)
    rate = (0.8 * torch.randn(n, programs, generator=g) @ load + 0.5).clamp(max=4.5)
    return torch.poisson(rate.exp(), generator=g)


@faulty("data.nonfinite", steps=200, bar=0.4)
def logarithm_of_counts_that_are_often_zero(seed, fixed):
    """Take the plain logarithm of gene counts, in which many genes are silent."""
    counts = genes(800, seed)
    x = counts.log1p() if fixed else counts.log()
    model = dense((40,), (64,), 8, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.nonfinite", steps=200, bar=0.4)
def each_cut_out_divided_by_its_own_contrast(seed, fixed):
    """Standardise every image by itself although three of the scans are blank."""
    x = patches(600, seed, size=12)
    x[[57, 211, 430]] = 0.0
    mean, std = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
    x = (x - mean) / (std + 1e-3 if fixed else std)
    model = dense((3, 12, 12), (128,), 24, nn.GELU, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }


@faulty("data.target", steps=250, bar=0.35)
def clean_files_listed_in_another_order(seed, fixed):
    """Pair scans with clean versions by position, though the lists differ in order."""
    g = made(seed + 4)
    clean, _ = digits(1024, seed, size=8)
    noisy = (clean + 0.25 * torch.randn(clean.shape, generator=g)).clamp(0, 1)
    listed = clean if fixed else clean[torch.randperm(len(clean), generator=g)]
    model = dense((1, 8, 8), (96,), 16)
    return {
        "model": model,
        "batches": loader(noisy, listed, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 2e-3),
        "judge": [(noisy, clean)],
    }


class Turned:
    """Yield (input, target) batches with random flips in both directions."""

    def __init__(self, batches, alike, seed):
        self.batches, self.alike, self.g = batches, alike, made(seed)

    def __len__(self):
        return len(self.batches)

    def flip(self, x, coins):
        x = torch.where(coins[0], x.flip(-1), x)
        return torch.where(coins[1], x.flip(-2), x)

    def coins(self, n):
        return torch.rand(2, n, 1, 1, 1, generator=self.g) < 0.5

    def __iter__(self):
        for x in self.batches:
            coins = self.coins(len(x))
            other = coins if self.alike else self.coins(len(x))
            yield self.flip(x, coins), self.flip(x, other)


@faulty("data.target", steps=250, bar=0.45)
def flips_drawn_once_more_for_the_target(seed, fixed):
    """Call the random augmentation separately for the input and for the target."""
    x = clouds(768, seed, size=12)
    model = dense((3, 12, 12), (128,), 24, last=None)
    return {
        "model": model,
        "batches": Turned(loader(x, batch_size=32, seed=seed), fixed, seed),
        "optimizer": adam(model, 2e-3),
        "judge": [x],
    }


@faulty("loss.domain", steps=200, bar=0.4)
def poisson_loss_told_logarithms_but_given_rates(seed, fixed):
    """Leave the Poisson loss at its default, with rates from a softplus."""
    x = currents(800, seed, t=40)
    model = dense((40,), (64,), 8, last=nn.Softplus)
    return {
        "model": model,
        "batches": loader(x / x.mean(), batch_size=32, seed=seed),
        "loss": nn.PoissonNLLLoss(log_input=not fixed),
        "optimizer": adam(model, 3e-3),
    }


def similarity(a, b):
    """Return the mean structural similarity over windows of 5 x 5."""

    def mean(images):
        return F.avg_pool2d(images, 5, 1)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma**2, mean(b * b) - mb**2
    both = mean(a * b) - ma * mb
    light = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
    return (light * (2 * both + 9e-4) / (va + vb + 9e-4)).mean()


@faulty("loss.domain", steps=200, bar=0.3)
def similarity_minimised_with_the_error(seed, fixed):
    """Add structural similarity to the error as if it were a distance."""
    x, kind = glyphs(640, seed, size=12)
    model = dense((1, 12, 12), (128,), 16)

    def loss(x_hat, target):
        alike = similarity(x_hat, target)
        return F.mse_loss(x_hat, target) + 0.5 * ((1 - alike) if fixed else alike)

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


@faulty("loss.scale", accepts=("vae.collapse",), steps=250, bar=0.25)
def average_pixel_error_against_a_summed_divergence(seed, fixed):
    """Average the cross-entropy over all pixels and sum the divergence of the batch."""
    x, kind = digits(1024, seed, size=12)
    model = dense_vae((1, 12, 12), 128, k=8)

    def vae_loss(out, target):
        x_hat, mu, logvar = out
        way = "sum" if fixed else "mean"
        bce = F.binary_cross_entropy(x_hat, target, reduction=way)
        return bce + 0.5 * kl(mu, logvar).sum()

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": vae_loss,
        "optimizer": adam(model, 2e-3),
    }


def variation(x):
    """Return the total variation of images, summed over everything."""
    return x.diff(dim=-1).abs().sum() + x.diff(dim=-2).abs().sum()


@faulty("loss.scale", steps=200, bar=0.3)
def roughness_summed_beside_a_mean_error(seed, fixed):
    """Add some total variation, summed over the whole batch, to a mean error."""
    x = clouds(640, seed, size=12)
    model = dense((3, 12, 12), (128,), 24, nn.GELU)

    def loss(x_hat, target):
        rough = variation(x_hat) / (x_hat.numel() if fixed else 1)
        return F.mse_loss(x_hat, target) + 3e-4 * rough

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


@faulty("noise.too-strong", steps=250, bar=0.4)
def share_kept_mistaken_for_share_dropped(seed, fixed):
    """Mask the input with the share that should be dropped as the share to keep."""
    x = stations(1024, seed, d=32)
    g, share = made(seed + 1), 0.05

    def mask(clean):
        drawn = torch.rand(clean.shape, generator=g)
        return clean * ((drawn >= share) if fixed else (drawn < share))

    model = dense((32,), (96,), 10, last=None)
    return {
        "model": model,
        "batches": Corrupted(loader(x[:896], batch_size=32, seed=seed), mask),
        "eval_batches": [(mask(x[896:]), x[896:])],
        "optimizer": adam(model, 3e-3),
    }


@faulty("noise.too-strong", steps=200, bar=0.4)
def corrupted_as_in_the_last_step_of_diffusion(seed, fixed):
    """Mix the images with noise by the end of a diffusion schedule, not its start."""
    x = 2 * weave(704, seed, size=12) - 1
    kept = torch.linspace(1 - 1e-4, 0.9, 100).cumprod(0)[10 if fixed else 90]
    g = made(seed + 2)
    x = x / x.std()

    def diffuse(clean):
        noise = torch.randn(clean.shape, generator=g)
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    model = conv((1, 12, 12), 16, width=8, last=None)
    return {
        "model": model,
        "batches": Corrupted(loader(x[:640], batch_size=32, seed=seed), diffuse),
        "eval_batches": [(diffuse(x[640:]), x[640:])],
        "optimizer": adam(model, 3e-3),
    }
