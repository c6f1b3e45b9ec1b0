"""Faults of the variants: codes vae.*, sparse.*, noise.*, contractive.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import quiet_units, train, true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, dense_vae, elbo
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.loss import WithCode


@faulty("vae.collapse", bar=0.3)
def beta_of_five_hundred(seed, fixed):
    """Copy beta from a paper with another normalisation."""
    x, y = digits(512, seed)
    model = dense_vae((1, 28, 28))
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return {**case, "loss": elbo(1.0 if fixed else 500.0), "optimizer": adam(model)}


@faulty("vae.collapse", steps=100, bar=0.3)
def collapsed_on_photos(seed, fixed):
    """Train a convolutional VAE whose decoder variance is far above the data's."""
    model = conv_vae((3, 16, 16))
    data = loader(patches(512, seed), seed=seed)
    loss = elbo(1.0, 0.05 if fixed else 200.0)
    case = {"model": model, "batches": data, "loss": loss, "optimizer": adam(model)}
    train(case, 80)
    return case


@faulty("vae.logvar", bar=0.2)
def logvar_head_overflows(seed, fixed):
    """Initialise the log-variance head for a ReLU stack: exp() of hundreds."""
    x, y = digits(512, seed)
    model = dense_vae((1, 28, 28))
    if not fixed:
        nn.init.normal_(model.fc_logvar.weight, std=20.0)
    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": elbo()}
    return {**case, "optimizer": adam(model)}


@faulty("vae.logvar", bar=0.2)
def logvar_starts_at_a_hundred(seed, fixed):
    """Fill the bias of the log-variance with 100."""
    x = table(512, seed, d=32)
    model = dense_vae((32,), 64, 6, last=None)
    nn.init.constant_(model.fc_logvar.bias, -2.0 if fixed else 100.0)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": elbo()}
    return {**case, "optimizer": adam(model)}


@faulty("sparse.too-strong", bar=0.4)
def l1_weight_of_ten(seed, fixed):
    """Weigh the mean |z| with 10 against a mean squared error of 0.1."""
    x, _ = digits(512, seed)
    model = WithCode(dense((1, 28, 28), (128,), 64))

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + (1e-3 if fixed else 10.0) * z.abs().mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


def activity(z, rho):
    """Return the KL divergence of the units' mean activity from rho."""
    mean = z.mean(0).clamp(1e-6, 1 - 1e-6)
    off = (1 - rho) * ((1 - rho) / (1 - mean)).log()
    return (rho * (rho / mean).log() + off).sum()


def sigmoid_code(shape, hidden, k):
    """Return a dense autoencoder with a sigmoid code."""
    model = dense(shape, hidden, k)
    model.encoder.append(nn.Sigmoid())
    return WithCode(model)


@faulty("sparse.too-strong", steps=300, bar=0.3)
def activity_penalty_of_a_hundred(seed, fixed):
    """Weigh the KL sparsity with 100 for a target activity of 0.001."""
    x, y = digits(512, seed)
    model = sigmoid_code((1, 28, 28), (128,), 64)

    def loss(output, target):
        recon, z = output
        weight, rho = (1e-4, 0.1) if fixed else (100.0, 0.001)
        return F.mse_loss(recon, target) + weight * activity(z, rho)

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("sparse.inert", steps=250, measure=quiet_units, bar=0.7)
def penalty_on_a_detached_code(seed, fixed):
    """Penalise the features that a hook has stored detached."""
    x, _ = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 64)
    inner.encoder.append(nn.ReLU())
    model = WithCode(inner)

    def loss(output, target):
        recon, z = output
        z = z if fixed else z.detach()
        return F.mse_loss(recon, target) + 2e-2 * z.abs().mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("sparse.inert", steps=250, measure=quiet_units, bar=0.3)
def mean_before_abs(seed, fixed):
    """Take the absolute value of the mean code, not the mean of absolute values."""
    x, y = digits(512, seed)
    model = WithCode(dense((1, 28, 28), (128,), 64))

    def loss(output, target):
        recon, z = output
        penalty = z.abs().mean(0) if fixed else z.mean(0).abs()
        return F.mse_loss(recon, target) + 3e-3 * penalty.sum()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty(
    "sparse.inert", accepts=("loss.scale",), steps=250, measure=quiet_units, bar=0.7
)
def l1_divided_twice(seed, fixed):
    """Average the L1 penalty and divide it by the number of entries once more."""
    # accepts: the penalty is lost because it is reduced twice
    x, _ = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 64)
    inner.encoder.append(nn.ReLU())
    model = WithCode(inner)

    def loss(output, target):
        recon, z = output
        penalty = z.abs().mean() / (1 if fixed else z.numel())
        return F.mse_loss(recon, target) + 2e-2 * penalty

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def gaussian_noise_of_five(seed, fixed):
    """Add noise of standard deviation 5 to pixels in [0, 1]."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)

    def pair(batch):
        return batch + (0.3 if fixed else 5.0) * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def mask_keeps_one_percent(seed, fixed):
    """Confuse the share of pixels to keep with the share to hide."""
    model = conv((3, 16, 16), 32)
    keep = 0.7 if fixed else 0.002

    def pair(batch):
        return batch * (torch.rand_like(batch[:, :1]) < keep), batch

    data = loader(patches(512, seed), seed=seed)
    case = {"model": model, "batches": data, "pair": pair}
    return {**case, "optimizer": adam(model)}


class OneLayer(AE):
    """Return the reconstruction and a sigmoid code of one linear layer."""

    def __init__(self, d, k):
        linear = nn.Linear(d, k)
        super().__init__(nn.Sequential(linear, nn.Sigmoid()), nn.Linear(k, d))

    def forward(self, x):
        h = self.encode(x)
        return self.decode(h), h


@faulty("contractive.wrong", measure=true_penalty, bar=0.98)
def weights_without_the_slope(seed, fixed):
    """Penalise the weights and forget the derivative of the sigmoid."""
    x, _ = digits(512, seed, size=8)
    model = OneLayer(64, 32)

    def contractive_loss(output, target):
        recon, h = output
        weight = model.encoder[0].weight
        slope = (h * (1 - h)).square() if fixed else torch.ones_like(h)
        jacobian = (slope * weight.square().sum(1)).sum(1).mean()
        return F.mse_loss(recon, target) + 1e-3 * jacobian

    case = {"model": model, "batches": loader(x.flatten(1), seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 5e-3)}


@faulty("contractive.wrong", measure=true_penalty, bar=0.98)
def slope_of_another_activation(seed, fixed):
    """Use h (1 - h) although the code is a tanh."""
    x = table(512, seed)
    model = OneLayer(20, 16)
    model.encoder[1] = nn.Tanh()

    def contractive_loss(output, target):
        recon, h = output
        slope = 1 - h.square() if fixed else h * (1 - h)
        weight = model.encoder[0].weight
        jacobian = (slope.square() @ weight.square().sum(1)).mean()
        return F.mse_loss(recon, target) + 1e-2 * jacobian

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 5e-3)}
