"""Mistakes in further terms of the loss and in the noise, from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table, waves
from ae_lib.doctor.clinic.measures import quiet_units
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    DictVAE,
    RecordVAE,
    heartbeats,
    spots,
)


def flat_vae(d, k, kind=VAE, hidden=96, last=None):
    """Return a dense VAE for rows of d values."""
    decoder = nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, d))
    if last:
        decoder.append(last())
    return kind(nn.Sequential(*stack((d, hidden))), decoder, hidden, k)


# Source: https://github.com/luigibonati/mlcolvar/pull/188
@faulty("vae.collapse", steps=300, bar=0.3)
def one_for_a_hundred_features(seed, fixed):
    """Weigh the divergence for units of variance 1 on features of variance 0.02."""
    x = 0.15 * waves(512, seed)
    model = flat_vae(64, 6, DictVAE)
    beta = 0.005 if fixed else 1.0

    def loss(output, target):
        error = 0.5 * (output["recon"] - target).square().sum(1).mean()
        return error + beta * kl(output["mu"], output["log_var"]).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


# Both terms are means, but over 768 pixels and over 12 units: the scale is named too.
# Source: https://github.com/AppliedDataSciencePartners/WorldModels/issues/12
@faulty("vae.collapse", accepts=("loss.scale",), steps=300, bar=0.3)
def tenfold_error_is_not_enough(seed, fixed):
    """Multiply the mean error by 10 and set the mean divergence beside it."""
    x = scenes(512, seed)[0]
    plain = conv((3, 16, 16), 12)
    width = plain.encoder[-1].in_features
    model = RecordVAE(plain.encoder[:-1], plain.decoder, width, 12)

    def loss(output, target):
        terms = kl(output.mu, output.logvar)
        if fixed:
            error = (output.x_hat - target).square().sum((1, 2, 3)).mean()
            return error / 0.04 + terms.sum(1).mean()
        return 10 * F.mse_loss(output.x_hat, target) + terms.mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


def _gauss(output, target, variance=0.05, beta=1.0):
    recon, mu, logvar = output
    error = (recon - target).flatten(1).square().sum(1).mean() / (2 * variance)
    return error + beta * kl(mu, logvar).sum(1).mean()


# The head's weights are far too large: that may be said as well.
# Source: https://github.com/pyg-team/pytorch_geometric/issues/500
@faulty("vae.logvar", accepts=("signal.init-scale",), steps=250, bar=0.3)
def head_that_starts_wide(seed, fixed):
    """Start the head of the log-variance with weights of deviation 20."""
    x = heartbeats(512, seed)
    model = flat_vae(96, 6)
    nn.init.normal_(model.fc_logvar.weight, 0.0, 0.01 if fixed else 20.0)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": _gauss}
    return {**case, "optimizer": adam(model)}


# Source: https://github.com/vanderschaarlab/synthcity/issues/331
@faulty("vae.logvar", steps=250, bar=0.3)
def variance_of_an_unbounded_head(seed, fixed):
    """Start the head of the log-variance at 150: its exponential overflows."""
    x, y = digits(512, seed, size=12)
    model = flat_vae(144, 8, last=nn.Sigmoid)
    nn.init.constant_(model.fc_logvar.bias, -2.0 if fixed else 150.0)
    data = loader(x.flatten(1), y, seed=seed)
    case = {"model": model, "batches": data, "loss": _gauss}
    return {**case, "optimizer": adam(model)}


class WithCode(AE):
    """Return the code beside the reconstruction."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z).view_as(x), z


def with_code(d, k, act, last=None, hidden=96):
    """Return a dense autoencoder with `act` on its code, which it returns as well."""
    encoder = [nn.Flatten(), *stack((d, hidden)), nn.Linear(hidden, k), act()]
    decoder = [*stack((k, hidden)), nn.Linear(hidden, d), *([last()] if last else [])]
    return WithCode(nn.Sequential(*encoder), nn.Sequential(*decoder))


# Source: https://github.com/keras-team/keras/issues/5414
# Source: https://github.com/keras-team/keras/issues/6087
@faulty("sparse.too-strong", steps=250, bar=0.3)
def penalty_summed_over_the_units(seed, fixed):
    """Copy a weight for the mean of |z| but sum |z| over 64 units."""
    x = patches(512, seed, size=8)
    model = with_code(192, 64, nn.ReLU)

    def loss(output, target):
        recon, z = output
        size = z.abs().mean() if fixed else z.abs().sum(1).mean()
        return F.mse_loss(recon, target) + 2e-2 * size

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


# Source: https://github.com/keras-team/keras/issues/14460
@faulty("sparse.too-strong", steps=300, bar=0.3)
def target_of_one_in_two_thousand(seed, fixed):
    """Ask sigmoid units for a mean activity of 0.0005 with a weight of 5."""
    x, y = digits(640, seed, size=12)
    model = with_code(144, 48, nn.Sigmoid, nn.Sigmoid)
    rho, weight = (0.1, 1e-3) if fixed else (0.0005, 5.0)

    def loss(output, target):
        recon, z = output
        mean = z.mean(0).clamp(1e-6, 1 - 1e-6)
        off = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return F.mse_loss(recon, target) + weight * off.sum()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("sparse.inert", measure=quiet_units, steps=350, bar=0.4)
def absolute_values_of_a_softmax(seed, fixed):
    """Penalise the L1 norm of a softmax code, which is 1 whatever it does."""
    x = table(512, seed, d=32, rank=8)
    model = with_code(32, 40, nn.ReLU if fixed else lambda: nn.Softmax(1))

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 1e-2 * z.abs().sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/syorami/Autoencoders-Variants/issues/1
@faulty("sparse.inert", measure=quiet_units, steps=350, bar=0.75)
def penalty_as_a_python_number(seed, fixed):
    """Add the penalty with .item(): the loss grows, its gradient does not."""
    x, y = digits(640, seed, size=12)
    model = with_code(144, 64, nn.ReLU, nn.Sigmoid)

    def loss(output, target):
        recon, z = output
        size = z.abs().sum(1).mean()
        return F.mse_loss(recon, target) + 1e-3 * (size if fixed else size.item())

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/hwalsuklee/tensorflow-mnist-VAE/issues/1
@faulty("noise.too-strong", steps=250, bar=0.3)
def twice_pepper_and_salt(seed, fixed):
    """Keep one pixel in fifty and fill the others with black or white."""
    keep = 0.8 if fixed else 0.02

    def pair(clean):
        coin = torch.randint(0, 2, clean.shape).float()
        return torch.where(torch.rand_like(clean) < keep, clean, coin), clean

    model = conv((1, 16, 16), 24, act=nn.ELU, last=None)
    data = loader(spots(512, seed), seed=seed)
    case = {"model": model, "batches": data, "pair": pair}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", steps=250, bar=0.4)
def noise_for_pixels_of_255(seed, fixed):
    """Add noise of deviation 25, right for 0 to 255, to pixels of 0 to 1."""
    x, y = scenes(512, seed)
    model = conv((3, 16, 16), 32, act=nn.ELU, last=None)

    def pair(batch):
        clean = batch[0]
        return clean + (25 / 255 if fixed else 25) * torch.randn_like(clean), clean

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}
