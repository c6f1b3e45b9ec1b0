"""Gaussian, sparse and contractive codes gone wrong, from a seventh round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import quiet_units, train, true_penalty
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Fc,
    Vae,
    beats,
    cohort,
    kld,
    lamps,
    lines,
    squared,
)


# Asked: https://github.com/AntixK/PyTorch-VAE/issues/56 (kld_weight set to 1)
@faulty("vae.collapse", accepts=("loss.scale",), steps=300, bar=0.3)
def kld_weight_of_one(seed, fixed):
    """Add the divergence with weight 1 to an error that is a mean over pixels."""
    x = lamps(448, seed)
    model = Vae((3, 24, 24), 128, 16)
    kld_weight = 0.00025 if fixed else 1.0

    def loss_function(output, target):
        recons, mu, log_var = output
        return F.mse_loss(recons, target) + kld_weight * kld(mu, log_var).mean(dim=0)

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss_function}
    return {**case, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/AppliedDataSciencePartners/WorldModels/issues/12
# Like: https://github.com/orybkin/sigma-vae-tensorflow/issues/2 (mean for both)
@faulty("vae.collapse", accepts=("loss.scale",), steps=250, bar=0.3)
def a_mean_for_either_term(seed, fixed):
    """Take means over all axes, 256 pixels here and 8 units there."""
    x, _ = digits(768, seed, size=16)
    model = Vae((1, 16, 16), 128, 8)

    def step(model, batch):
        x_hat, mu, log_var = model(batch)
        kl = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp())
        if fixed:
            loss = 5 * squared(x_hat, batch).mean() + kl.sum(1).mean()
        else:
            loss = (x_hat - batch).pow(2).mean() + kl.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "step": step}


# Asked: VAE for tabular data after MinMaxScaler: all mu are 0, all sigma are 1.
@faulty("vae.collapse", steps=400, bar=0.3)
def unit_variance_for_a_min_max_table(seed, fixed):
    """Keep the Gaussian with variance 1 of the formula for columns within [0, 1]."""
    x = cohort(768, seed)
    low, high = x.min(0).values, x.max(0).values
    x = (x - low) / (high - low)
    variance = 0.005 if fixed else 1.0
    model = Vae((14,), 64, 4)

    def negative_elbo(output, target):
        x_hat, mu, log_var = output
        return (0.5 * squared(x_hat, target) / variance + kld(mu, log_var)).mean()

    batches = loader(x, batch_size=64, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    case = {"model": model, "batches": batches, "loss": negative_elbo}
    return {**case, "optimizer": optimizer}


class Block(nn.Module):
    """Add a rectified layer, initialised after He, to what comes in."""

    def __init__(self, width, norm):
        super().__init__()
        self.norm, self.layer = norm, nn.Linear(width, width)
        nn.init.kaiming_normal_(self.layer.weight, nonlinearity="relu")

    def forward(self, x):
        return x + self.layer(F.relu(self.norm(x)))


# Asked: https://github.com/vanderschaarlab/synthcity/issues/331 (log-variance explodes)
# Like: https://github.com/pyg-team/pytorch_geometric/issues/500 (clamp of logvar)
@faulty("vae.logvar", accepts=("step.nonfinite", "signal.init-scale"), steps=250)
def normalisation_taken_out_of_the_blocks(seed, fixed):
    """Take the norms out of 18 residual blocks: log-variances begin in the hundreds."""
    x = beats(512, seed)
    model = Vae((96,), 64, 8, last=None)
    for _ in range(18):
        model.hidden.append(Block(64, nn.LayerNorm(64) if fixed else nn.Identity()))
    model.hidden.append(nn.LayerNorm(64) if fixed else nn.Identity())

    def loss(output, target):
        x_hat, mu, log_var = output
        return (squared(x_hat, target) / 0.1 + kld(mu, log_var)).mean()

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model, 1e-3)}


# Asked: my KL is negative and grows: -0.5 * sum(1 + logvar - mu^2 + exp(logvar)) ...
@faulty("vae.logvar", accepts=("step.nonfinite", "loss.domain"), steps=500, bar=0.3)
def sign_before_the_exponential(seed, fixed):
    """Write a plus before the exponential: the more variance, the lower the loss."""
    x = lines(640, seed)
    model = Vae((64,), 128, 32, last=None)
    sign = 1 if fixed else -1

    def loss(output, target):
        x_hat, mu, log_var = output
        kl = -0.5 * (1 + log_var - mu**2 - sign * log_var.exp()).sum(1)
        return (squared(x_hat, target) / 0.05 + kl).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": optimizer}


class Sae(nn.Module):
    """Be a sparse autoencoder of activations: W_enc, W_dec and two biases."""

    def __init__(self, d, width, k=None):
        super().__init__()
        self.W_enc = nn.Parameter(torch.randn(d, width) / d**0.5)
        self.W_dec = nn.Parameter(self.W_enc.detach().T.clone())
        self.b_enc = nn.Parameter(torch.zeros(width))
        self.b_dec = nn.Parameter(torch.zeros(d))
        self.k = k

    def encode(self, x):
        z = F.relu((x - self.b_dec) @ self.W_enc + self.b_enc)
        if self.k:
            top = z.topk(self.k, dim=1)
            z = torch.zeros_like(z).scatter(1, top.indices, top.values)
        return z

    def forward(self, x):
        z = self.encode(x)
        return z @ self.W_dec + self.b_dec, z


# Asked: which l1_coefficient for a sparse autoencoder? With 5 no latent is active.
# Like: https://github.com/decoderesearch/SAELens/issues/202 (dead latents)
@faulty("sparse.too-strong", steps=300, bar=0.5)
def coefficient_of_another_normalisation(seed, fixed):
    """Take a coefficient of 5 from a paper whose error is a sum, not a mean."""
    x = cohort(768, seed, 32, 8)
    model = Sae(32, 128)
    l1_coefficient = 0.01 if fixed else 5.0

    def loss(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + l1_coefficient * z.abs().sum(1).mean()

    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Asked: TopK autoencoder, explained variance does not get beyond a third.
@faulty("sparse.too-strong", accepts=("code.too-small",), steps=300, bar=0.6)
def one_atom_for_eight_lines(seed, fixed):
    """Keep a single unit of the code where a spectrum is a sum of eight lines."""
    x = lines(640, seed)
    model = Sae(64, 96, k=12 if fixed else 1)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/syorami/Autoencoders-Variants/issues/1 (L1 of which thing?)
@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.48)
def absolute_weights_for_absolute_codes(seed, fixed):
    """Penalise the absolute weights of the encoder and wonder that no code is zero."""
    x = cohort(768, seed, 32, 8)
    model = Sae(32, 64)

    def loss(output, target):
        x_hat, z = output
        penalty = z.abs().mean() if fixed else model.W_enc.abs().mean()
        return F.mse_loss(x_hat, target) + 0.5 * penalty

    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Rectified(Fc):
    """Rectify the code, in a layer of its own that a hook can watch."""

    def __init__(self, shape, hidden, k):
        super().__init__(shape, hidden, k)
        self.code = nn.ReLU()

    def encode(self, x):
        return self.code(super().encode(x))


# Asked: I save activations by a forward hook, activation[name] = output.detach().
@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.7)
def hook_from_the_forum(seed, fixed):
    """Penalise the code that a hook has stored, after the hook has detached it."""
    x, _ = digits(768, seed, size=16)
    model, activation = Rectified((1, 16, 16), 128, 48), {}

    def hook(module, inputs, output):
        activation["code"] = output if fixed else output.detach()

    model.code.register_forward_hook(hook)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss = loss + 0.02 * activation["code"].abs().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "step": step}


class Contracted(nn.Module):
    """Return the reconstruction, the code and the input that the code came from."""

    def __init__(self, d=64, k=24):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)

    def encode(self, x):
        return torch.sigmoid(self.encoder(x))

    def forward(self, x):
        x = x.detach().clone().requires_grad_()
        h = self.encode(x)
        return self.decoder(h), h, x


# Asked: contractive loss with autograd.grad(loss, x), is that the Jacobian?
# Like: https://github.com/tensorflow/tensorflow/issues/30747
@faulty("contractive.wrong", steps=0, measure=true_penalty, bar=0.9)
def slope_of_the_error_for_slope_of_the_code(seed, fixed):
    """Penalise the gradient of the error by the input, not that of the code."""
    model = Contracted()

    def loss(output, target):
        x_hat, h, x = output
        error = F.mse_loss(x_hat, target)
        if fixed:
            rows = model.encoder.weight.square().sum(1)
            penalty = ((h * (1 - h)).square() @ rows).mean()
        elif error.requires_grad:
            slope = torch.autograd.grad(error, x, create_graph=True)[0]
            penalty = slope.square().sum(1).mean()
        else:
            penalty = torch.zeros(())
        return error + 0.1 * penalty

    batches = loader(lines(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    case["optimizer"] = adam(model, 3e-3)
    train(case, 100)
    return case
