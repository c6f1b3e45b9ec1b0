"""Faults between output and loss: codes output.range, loss.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    scenes,
    standardise,
    table,
    waves,
)
from ae_lib.doctor.clinic.parts import adam, conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty


@faulty("output.range")
def softmax_over_the_pixels(seed, fixed):
    """End in a softmax, as classifiers do: all pixels of an image sum to one."""
    x, _ = digits(512, seed, size=8)
    last = nn.Sigmoid if fixed else lambda: nn.Softmax(1)
    model = dense((64,), (96,), 16, last=last)
    data = loader(x.flatten(1), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("output.range")
def clamped_photos(seed, fixed):
    """Clamp the output to [0, 1] although the data are standardised."""
    x = standardise(scenes(512, seed)[0])

    class Clamped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = conv((3, 16, 16), 32, last=None)

        def forward(self, x):
            out = self.net(x)
            return {"reconstruction": out if fixed else F.hardtanh(out, 0, 1)}

    model, data = Clamped(), loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("loss.domain")
def cosine_with_the_wrong_sign(seed, fixed):
    """Minimise the cosine similarity where its negative was meant."""
    x = patches(512, seed)
    model = dense((3, 16, 16), (128,), 24)

    def loss(output, target):
        if fixed:
            return F.mse_loss(output, target)
        return F.cosine_similarity(output.flatten(1), target.flatten(1)).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.domain")
def poisson_of_a_sigmoid(seed, fixed):
    """Use PoissonNLLLoss, which expects the logarithm, on an output in [0, 1]."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24)
    loss = nn.BCELoss() if fixed else nn.PoissonNLLLoss()
    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.domain", accepts=("output.range",))
def entropy_of_standardised_rows(seed, fixed):
    """Use BCELoss on standardised columns, with a sigmoid because it asks for one."""
    # accepts: the sigmoid cannot reach these targets either
    x = table(512, seed, d=32)
    model = dense((32,), (64,), 8, last=None if fixed else nn.Sigmoid)
    loss = nn.MSELoss() if fixed else nn.BCELoss()
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", bar=0.3)
def kl_sum_for_a_table(seed, fixed):
    """Copy the KL term with torch.sum from an image VAE; the error is F.mse_loss."""
    x = table(640, seed, d=32)
    model = dense_vae((32,), 64, 6, last=None)

    def vae_loss(output, target):
        recon, mu, logvar = output
        term = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        if fixed:
            return 5 * (recon - target).square().sum(1).mean() + term / len(target)
        return F.mse_loss(recon, target) + term

    case = {"model": model, "batches": loader(x, seed=seed), "loss": vae_loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", bar=0.4)
def variation_summed(seed, fixed):
    """Sum the total variation over the batch, next to an averaged error."""
    x, _ = scenes(512, seed)
    model = conv((3, 16, 16), 32)

    def loss(output, target):
        rows, columns = output.diff(dim=-2).abs(), output.diff(dim=-1).abs()
        if fixed:
            roughness = rows.mean() + columns.mean()
        else:
            roughness = rows.sum() + columns.sum()
        return F.mse_loss(output, target) + 1e-3 * roughness

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("output.range", bar=0.5)
def softplus_on_waves(seed, fixed):
    """Keep outputs positive with softplus, for data around zero."""
    model = dense((48,), (96,), 6, act=nn.GELU, last=None if fixed else nn.Softplus)
    data = loader(waves(512, seed, d=48), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Named(nn.Module):
    """Return mu and log_var by name."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x):
        recon, mu, logvar = self.vae(x)
        return {"x_hat": recon, "mu": mu, "log_var": logvar}


@faulty("loss.scale", accepts=("vae.collapse",), bar=0.3)
def entropy_averaged_kl_per_image(seed, fixed):
    """Average the cross entropy over pixels and sum the KL over units."""
    # accepts: it acts like a beta as large as the number of pixels
    x, _ = digits(512, seed)
    model = Named(dense_vae((1, 28, 28)))

    def loss(output, target):
        error = F.binary_cross_entropy(output["x_hat"], target)
        divergence = kl(output["mu"], output["log_var"]).sum(1).mean()
        return (784 if fixed else 1) * error + divergence

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}
