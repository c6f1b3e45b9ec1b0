"""Mistakes in the last activation and in the loss, rebuilt from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.parts import adam, conv, dense, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    DictVAE,
    RecordVAE,
    SignalAE,
    heartbeats,
    pooled,
    ratings,
    residual,
    spots,
)


# Source: https://github.com/NVIDIA/DeepRecommender/pull/4
@faulty("output.range", steps=600, bar=0.3)
def stars_through_a_sigmoid(seed, fixed):
    """Apply the hidden activation to the last layer as well: ratings of 1 to 5."""
    x = ratings(512, seed)
    model = dense((40,), (32,), 6, act=nn.Tanh, last=None if fixed else nn.Sigmoid)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


# Source: https://github.com/AliJalalifar/Character_Animation/issues/3
@faulty("output.range", steps=250, bar=0.7)
def motion_without_its_negative_half(seed, fixed):
    """Rectify the last layer of a network for curves of mean zero."""
    x = waves(512, seed)
    model = SignalAE(64, 12, act=nn.LeakyReLU)
    if not fixed:
        model.decoder.append(nn.ReLU())
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/by256/bpartis/pull/2
@faulty("loss.domain", steps=250, bar=0.3)
def similarity_made_small(seed, fixed):
    """Add a similarity to the loss where one minus the similarity was meant."""
    x, y = scenes(512, seed)
    model = conv((3, 16, 16), 32, act=nn.SiLU)

    def loss(x_hat, target):
        a, b = x_hat.flatten(1), target.flatten(1)
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        alike = F.cosine_similarity(a, b).mean()
        return F.l1_loss(x_hat, target) + (1 - alike if fixed else alike)

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


# Source: https://github.com/keras-team/keras/issues/2841
# Source: https://github.com/keras-team/keras/issues/1917
@faulty("loss.domain", steps=200, bar=0.5)
def entropy_of_centred_pixels(seed, fixed):
    """Move pixels to [-1, 1] and keep the binary cross-entropy: it falls below 0."""
    x = patches(512, seed, size=16)
    x = x if fixed else 2 * x - 1
    model = residual((3, 16, 16), 32, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model)}
    return {**case, "view": torch.sigmoid if fixed else lambda h: 2 * h.sigmoid() - 1}


@faulty("loss.domain", steps=250, bar=0.6)
def counts_without_the_logarithm(seed, fixed):
    """Hand rates to a Poisson loss that expects logarithms of rates."""
    x = torch.poisson(20 * spots(512, seed, size=12)) / 5
    model = pooled((1, 12, 12), 16, last=nn.Softplus)
    loss = nn.PoissonNLLLoss(log_input=not fixed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


def _wide(d, k, kind):
    """Return a dense VAE for flat rows."""
    decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, d), nn.Sigmoid())
    return kind(nn.Sequential(*stack((d, 96))), decoder, 96, k)


# Source: https://github.com/keras-team/keras/pull/3383
# Drowned by the divergence, the code collapses: that may be named as well.
@faulty("loss.scale", accepts=("vae.collapse",), steps=300, bar=0.3)
def entropy_not_times_the_pixels(seed, fixed):
    """Take the mean cross-entropy over pixels beside a KL summed over units."""
    x, y = digits(768, seed, size=12)
    model = _wide(144, 8, DictVAE)

    def loss(output, target):
        bce = F.binary_cross_entropy(output["recon"], target)
        bce = 144 * bce if fixed else bce
        return bce + kl(output["mu"], output["log_var"]).sum(1).mean()

    data = loader(x.flatten(1), y, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


# Source: https://github.com/GlassyWing/nvae/issues/3
# As above, the code collapses under the heavier term.
@faulty("loss.scale", accepts=("vae.collapse",), steps=300, bar=0.3)
def a_sum_that_lost_its_axis(seed, fixed):
    """Sum the divergence over the whole batch, the error over pixels only."""
    x = patches(512, seed, size=8)
    model = _wide(192, 10, RecordVAE)

    def loss(output, target):
        error = (output.x_hat - target).square().sum(1).mean() / 0.2
        terms = kl(output.mu, output.logvar)
        return error + (terms.sum(1).mean() if fixed else terms.sum().mean())

    data = loader(x.flatten(1), batch_size=128, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", steps=250, bar=0.5)
def smoothness_summed_over_everything(seed, fixed):
    """Add a total variation that is summed to an error that is a mean."""
    x = scenes(512, seed)[0]
    model = pooled((3, 16, 16), 32, act=nn.ELU)
    reduce = torch.mean if fixed else torch.sum

    def loss(x_hat, target):
        rows = (x_hat[:, :, 1:] - x_hat[:, :, :-1]).abs()
        columns = (x_hat[..., 1:] - x_hat[..., :-1]).abs()
        smooth = reduce(rows) + reduce(columns)
        return F.mse_loss(x_hat, target) + 1e-3 * smooth

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


def spectra(seed):
    """Return the spectra of heartbeats, each scaled to a largest value of 1."""
    power = torch.fft.rfft(heartbeats(512, seed, d=128)).abs()[:, 1:]
    return power / power.amax(1, keepdim=True)


@faulty("output.range", steps=250, bar=0.3)
def log_softmax_for_a_spectrum(seed, fixed):
    """End in a log-softmax, as in a classifier: no output is above zero."""
    x = spectra(seed)
    last = nn.Sigmoid if fixed else lambda: nn.LogSoftmax(1)
    model = dense((64,), (64,), 10, act=nn.ELU, last=last)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
