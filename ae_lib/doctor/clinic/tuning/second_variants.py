"""Faults of the variants: codes vae.*, sparse.*, noise.*, contractive.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import quiet_units, train, true_penalty
from ae_lib.doctor.clinic.parts import (
    AE,
    VAE,
    adam,
    conv,
    conv_vae,
    dense,
    dense_vae,
    elbo,
)
from ae_lib.doctor.clinic.program import faulty


@faulty("vae.collapse", bar=0.4)
def annealed_too_far(seed, fixed):
    """Anneal beta upwards and forget the upper bound: it stands at 2000."""
    x, _ = scenes(512, seed)
    model = dense_vae((3, 16, 16), 128, 10)
    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "loss": elbo(1.0 if fixed else 2000.0), "optimizer": adam(model)}


@faulty("vae.collapse", steps=0, bar=0.4)
def table_without_signal(seed, fixed):
    """Assume a decoder variance of 50 for columns of variance 1."""
    x = table(512, seed, d=32)
    model = dense_vae((32,), 64, 6, last=None)
    loss = elbo(1.0, 0.1 if fixed else 50.0)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model)}
    train(case, 300)
    return case


class SoftVariance(VAE):
    """Take the logarithm of a ReLU for the log-variance."""

    eps = 0.0

    def forward(self, x):
        h = self.encoder(x)
        mu = self.fc_mu(h)
        logvar = (F.relu(self.fc_logvar(h)) + self.eps).log()
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


def finite_loss(case: dict) -> float:
    """Return 1 if the loss of the first batch is a number, else 0."""
    batch = next(iter(case["batches"]))
    return float(case["loss"](case["model"](batch), batch).isfinite())


@faulty("vae.logvar", accepts=("step.nonfinite",), measure=finite_loss, bar=0.5)
def log_of_a_relu(seed, fixed):
    """Make the variance positive by a ReLU and take its log: minus infinity."""
    # accepts: the first infinity is exactly this log, in a forward pass
    plain = conv((3, 16, 16), 8)
    model = SoftVariance(plain.encoder[:-1], plain.decoder, 512, 8)
    model.eps = 1e-2 if fixed else 0.0
    data = loader(patches(512, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.05)}
    return {**case, "optimizer": adam(model)}


@faulty("vae.logvar", bar=0.3)
def logvar_head_at_a_high_gain(seed, fixed):
    """Multiply the weights of the log-variance head by 5000, for variety."""
    x, _ = scenes(512, seed)
    model = conv_vae((3, 16, 16), 8)
    if not fixed:
        with torch.no_grad():
            model.fc_logvar.weight.mul_(5000.0)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": elbo(1.0, 0.05)}
    return {**case, "optimizer": adam(model)}


class Shrunk(AE):
    """Shrink the code towards zero by a threshold."""

    threshold = 0.0

    def encode(self, x):
        return F.softshrink(self.encoder(x), self.threshold)


@faulty("sparse.too-strong", accepts=("signal.dead-units",), bar=0.4)
def soft_threshold_of_five(seed, fixed):
    """Shrink the code by 5, far more than any entry has."""
    # accepts: after the shrinkage every code unit is zero for every image
    inner = conv((3, 16, 16), 32)
    model = Shrunk(inner.encoder, inner.decoder)
    model.threshold = 0.02 if fixed else 5.0
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Code(nn.Module):
    """Return the reconstruction and the code by name."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def encode(self, x):
        return self.inner.encode(x)

    def forward(self, x):
        z = self.encode(x)
        return {"recon": self.inner.decode(z), "z": z}


@faulty("sparse.too-strong", bar=0.4)
def l1_on_waves_of_a_table(seed, fixed):
    """Weigh the L1 norm of each code with 5."""
    x = table(512, seed, d=32)
    model = Code(dense((32,), (64,), 24, last=None))

    def loss(output, target):
        norm = output["z"].abs().sum(1).mean()
        return F.mse_loss(output["recon"], target) + (2e-3 if fixed else 5.0) * norm

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("sparse.inert", steps=300, measure=quiet_units, bar=0.6)
def penalty_in_no_grad(seed, fixed):
    """Compute the L1 norm of the code under no_grad, in a logging helper."""
    x, _ = scenes(512, seed)
    inner = conv((3, 16, 16), 64)
    inner.encoder.append(nn.ReLU())
    model = Code(inner)

    def sparsity(z):
        with torch.set_grad_enabled(fixed):
            return z.abs().mean()

    def loss(output, target):
        return F.mse_loss(output["recon"], target) + 5e-4 * sparsity(output["z"])

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def input_dropout_of_most(seed, fixed):
    """Put nn.Dropout(0.998) before the encoder."""
    inner = dense((3, 16, 16), (128,), 24)
    drop = nn.Dropout(0.3 if fixed else 0.998)
    model = AE(nn.Sequential(drop, *inner.encoder), inner.decoder)
    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def salt_and_pepper_everywhere(seed, fixed):
    """Replace 99 % of the pixels by zeros and ones."""
    x, y = digits(512, seed)
    share = 0.1 if fixed else 0.99
    model = dense((1, 28, 28), (256,), 32)

    def pair(batch):
        clean, _ = batch
        noise = torch.randint_like(clean, 2)
        return torch.where(torch.rand_like(clean) < share, noise, clean), clean

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


@faulty("contractive.wrong", measure=true_penalty, bar=0.98)
def slopes_summed_before_squaring(seed, fixed):
    """Sum the weights of each unit and square the sum."""
    x = table(512, seed)
    linear = nn.Linear(20, 16)

    class Plain(AE):
        def forward(self, x):
            h = self.encode(x)
            return self.decode(h), h

    model = Plain(nn.Sequential(linear, nn.Sigmoid()), nn.Linear(16, 20))

    def contractive_loss(output, target):
        recon, h = output
        rows = linear.weight.square().sum(1) if fixed else linear.weight.sum(1).square()
        jacobian = ((h * (1 - h)).square() @ rows).mean()
        return F.mse_loss(recon, target) + 5e-2 * jacobian

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 5e-3)}
