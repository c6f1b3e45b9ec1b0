"""Faults between output and loss: codes output.range, loss.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, standardise, waves
from ae_lib.doctor.clinic.measures import codes
from ae_lib.doctor.clinic.parts import VAE, adam, conv, conv_vae, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty


@faulty("output.range")
def sigmoid_on_symmetric_data(seed, fixed):
    """Normalise to [-1, 1] and keep the sigmoid."""
    x = patches(512, seed) * 2 - 1
    model = conv((3, 16, 16), last=nn.Tanh if fixed else nn.Sigmoid)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("output.range")
def sigmoid_on_standardised(seed, fixed):
    """Standardise digits and end in a sigmoid."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24, last=None if fixed else nn.Sigmoid)
    data = loader(standardise(x), y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("output.range")
def relu_on_waves(seed, fixed):
    """End in a ReLU although half of the values are negative."""
    x = waves(512, seed)
    model = dense((64,), (128,), 8, last=None if fixed else nn.ReLU)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class FunctionalTanh(nn.Module):
    """Squash the output in forward, where no list of modules shows it."""

    def __init__(self, squash):
        super().__init__()
        inner = conv((1, 28, 28), 32, last=None)
        self.down, self.up, self.squash = inner.encoder, inner.decoder, squash

    def forward(self, x):
        out = self.up(self.down(x))
        return torch.tanh(out) if self.squash else out


@faulty("output.range", bar=0.5)
def tanh_in_forward(seed, fixed):
    """Standardise the digits (values up to 3) and squash with tanh in forward."""
    x, _ = digits(512, seed)
    model = FunctionalTanh(not fixed)
    data = loader(standardise(x), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("loss.domain")
def sigmoid_twice(seed, fixed):
    """Use BCE with logits on an output that is a sigmoid already."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), last=None if fixed else nn.Sigmoid)

    def loss(output, target):
        return F.binary_cross_entropy_with_logits(output, target)

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model, 3e-3)}
    return case | ({"view": torch.sigmoid} if fixed else {})


@faulty("loss.domain")
def logits_on_standardised(seed, fixed):
    """Use BCE with logits on targets outside [0, 1]."""
    x = patches(512, seed)
    x = x if fixed else standardise(x)
    model = conv((3, 16, 16), last=None)

    def loss(output, target):
        return nn.BCEWithLogitsLoss()(output, target)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model), "view": torch.sigmoid}


@faulty("loss.domain")
def bce_without_sigmoid(seed, fixed):
    """Use BCELoss on a linear output."""
    x, _ = digits(512, seed, size=8)
    model = dense((64,), (64,), 16, last=nn.Sigmoid if fixed else None)
    data = loader(x.flatten(1), seed=seed)
    case = {"model": model, "batches": data, "loss": nn.BCELoss()}
    return {**case, "optimizer": adam(model)}


@faulty("loss.domain")
def log_of_negative(seed, fixed):
    """Use the squared log error on data around zero."""
    x = waves(512, seed)
    model = dense((64,), (64,), 8, last=None)

    def loss(output, target):
        if fixed:
            return F.mse_loss(output, target)
        return (torch.log(output + 1) - torch.log(target + 1)).square().mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", bar=0.3)
def kl_summed_over_the_batch(seed, fixed):
    """Average the pixel error over everything and sum the KL over everything."""
    x, y = digits(512, seed)
    model = conv_vae((1, 28, 28))

    def loss(output, target):
        recon, mu, logvar = output
        error, divergence = F.mse_loss(recon, target), kl(mu, logvar).sum()
        if fixed:
            error = F.mse_loss(recon, target, reduction="sum") / len(target) / 0.1
            divergence = divergence / len(target)
        return error + divergence

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", accepts=("vae.collapse",), bar=0.3)
def kl_per_sample_error_per_pixel(seed, fixed):
    """Average the error over pixels and the KL over samples only."""
    x, _ = digits(512, seed)
    model = dense_vae((1, 28, 28))

    def loss(output, target):
        recon, mu, logvar = output
        if fixed:
            error = (recon - target).square().flatten(1).sum(1).mean() / 0.1
        else:
            error = F.mse_loss(recon, target)  # accepts: as good as beta = 784
        return error + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class WithCode(nn.Module):
    """Return the reconstruction and the code, for a penalty on it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def encode(self, x):
        return self.inner.encode(x)

    def forward(self, x):
        z = self.inner.encode(x)
        return self.inner.decode(z), z


@faulty("loss.scale", accepts=("sparse.too-strong",), bar=0.4)
def l1_summed(seed, fixed):
    """Sum the L1 penalty over batch and units, next to an averaged error."""
    # accepts: a sum over 64 x 64 entries is also a weight that is 4096 times too large
    x = patches(512, seed)
    model = WithCode(conv((3, 16, 16), 64))

    def loss(output, target):
        recon, z = output
        penalty = z.abs().mean() if fixed else z.abs().sum()
        return F.mse_loss(recon, target) + 1e-3 * penalty

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


def near_the_prior(case: dict) -> float:
    """Return minus the distance of the codes' spread from that of the prior."""
    return -(codes(case).std(0) - 1).abs().mean().item()


@faulty("loss.scale", steps=250, measure=near_the_prior, bar=-0.6)
def error_summed_kl_averaged(seed, fixed):
    """Sum the error over batch and pixels and average the KL: a VAE in name only."""
    x, _ = digits(512, seed)
    plain = dense((1, 28, 28), (128,), 8)
    model = VAE(plain.encoder[:-1], plain.decoder, 128, 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum")
        if fixed:
            return error / len(target) / 0.1 + kl(mu, logvar).sum(1).mean()
        return error / 0.1 + kl(mu, logvar).mean() / len(target)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}
