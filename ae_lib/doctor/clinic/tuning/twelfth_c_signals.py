"""Eighth part, c: faults of the signal in the network as it is made."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, dense, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_c_data import series
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    landscapes,
    machine,
    process,
    tones,
)


class Padded(nn.Module):
    """Read a recording with a GRU and draw it, with its padding, from the state."""

    def __init__(self, packed, c=2, t=80, hidden=32, k=8):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.draw = nn.Sequential(nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, c * t))
        self.packed = packed

    def forward(self, x):
        states, last = self.reader(x)
        if self.packed:
            ends = (x != 0).any(2).sum(1) - 1
            h = states[torch.arange(len(x)), ends]
        else:
            h = last[-1]
        return self.draw(self.code(h)).view_as(x)


@faulty("signal.common-mode", steps=150, bar=0.4)
def state_taken_after_sixty_steps_of_padding(seed, fixed):
    """Pad recordings to one length and take the state at the end of the padding."""
    x = machine(512, seed, t=20, c=2).transpose(1, 2)
    x = F.pad(x, (0, 0, 0, 60))
    model = Padded(packed=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@faulty("signal.common-mode", steps=300, bar=0.4)
def four_layers_of_logistic_units_on_either_side(seed, fixed):
    """Stack layers of logistic units around the code of a table, as in old books."""
    x = process(1024, seed)
    act = nn.ELU if fixed else nn.Sigmoid
    model = dense((20,), (64, 48, 32, 16), 6, act, last=None)
    return {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "eval_batches": [x[896:]],
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
    }


def deep(c: int = 4, t: int = 32, width: int = 16, k: int = 8) -> nn.Sequential:
    """Return a deep convolutional autoencoder of windows, without any norm."""
    layers = [nn.Conv1d(c, width, 5, 1, 2), nn.ReLU()]
    for stride in (1, 2, 1, 2):
        layers += [nn.Conv1d(width, width, 3, stride, 1), nn.ReLU()]
    wide = width * t // 4
    layers += [nn.Flatten(), nn.Linear(wide, k), nn.Linear(k, wide), nn.ReLU()]
    layers += [nn.Unflatten(1, (width, t // 4))]
    for _ in range(2):
        layers += [nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, 1, 1)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(width, c, 5, 1, 2))


@faulty("signal.init-scale", steps=250, bar=0.5)
def weights_of_a_language_model_in_a_deep_convolution(seed, fixed):
    """Draw all weights with spread 0.02, as transformers do, with no norm to help."""
    x = machine(896, seed)
    model = deep()

    def start(module):
        if isinstance(module, nn.Conv1d | nn.Linear):
            if fixed:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    model.apply(start)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=1e-3),
    }


class ByHand(nn.Module):
    """Multiply matrices of one's own."""

    def __init__(self, widths, draw):
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.weights = nn.ParameterList(draw(a, b) for a, b in pairs)
        self.biases = nn.ParameterList(torch.zeros(b) for _, b in pairs)

    def forward(self, x):
        h = x.flatten(1)
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = h @ w + b
            if i + 1 < len(self.weights):
                h = F.leaky_relu(h, 0.1)
        return h.view_as(x)


@faulty("signal.init-scale", steps=300, bar=0.5)
def matrices_filled_by_torch_rand(seed, fixed):
    """Fill the weights of layers written by hand with uniform numbers from 0 to 1."""
    x = landscapes(896, seed, size=12) - 0.5

    def draw(a, b):
        drawn = torch.rand(a, b)
        return (2 * drawn - 1) * (3 / a) ** 0.5 if fixed else drawn

    model = ByHand((432, 128, 12, 128, 432), draw)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("output.range", steps=250, bar=0.6)
def logistic_output_for_a_microphone(seed, fixed):
    """End the decoder of a signal around zero in a sigmoid, as for pictures."""
    x = 1.2 * tones(1024, seed)
    model = series(1, 64, k=10)
    if not fixed:
        model.append(nn.Sigmoid())
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model),
    }


class Summed(nn.Module):
    """Sum features over time before the two heads of a Gaussian code."""

    def __init__(self, clamped, c=2, t=128, width=32, k=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(c, width, 7, 1, 3),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, 1, 2),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.mu, self.logvar = nn.Linear(width, k), nn.Linear(width, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, c * t)
        )
        self.clamped = clamped

    def forward(self, x):
        h = self.features(x).sum(2)
        mu, logvar = self.mu(h), self.logvar(h)
        if self.clamped:
            logvar = logvar.clamp(-8, 2)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z).view_as(x), mu, logvar


def negative_elbo(variance: float):
    """Return a loss for (x_hat, mu, logvar), summed over what a sample holds."""

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1) / (2 * variance)
        return (error + kl(mu, logvar).sum(1)).mean()

    return loss


@faulty("vae.logvar", accepts=("step.nonfinite",), steps=250, bar=0.4)
def log_variance_from_features_summed_over_time(seed, fixed):
    """Sum features over 128 steps for the heads of a VAE, and bound nothing."""
    x = machine(640, seed, t=128, c=2)
    model = Summed(clamped=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": negative_elbo(0.05),
        "optimizer": adam(model),
    }


class Added(nn.Module):
    """Average the means of the steps of a note, and add or average log-variances."""

    def __init__(self, averaged, t=128, width=24, k=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, width, 9, 1, 4), nn.GELU(), nn.Conv1d(width, width, 9, 1, 4)
        )
        self.mu, self.logvar = nn.Linear(width * t, k), nn.Linear(width, k)
        self.decoder = nn.Sequential(nn.Linear(k, 128), nn.GELU(), nn.Linear(128, t))
        self.averaged = averaged

    def forward(self, x):
        h = F.gelu(self.features(x))  # (B, width, t)
        each = self.logvar(h.transpose(1, 2))
        logvar = each.mean(1) if self.averaged else each.sum(1)
        mu = self.mu(h.flatten(1))
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return {"x_hat": self.decoder(z).unsqueeze(1), "mu": mu, "logvar": logvar}


@faulty("vae.logvar", accepts=("step.nonfinite",), steps=250, bar=0.7)
def log_variances_of_all_steps_added_up(seed, fixed):
    """Add up the log-variances of 128 steps, as variances add, instead of averaging."""
    x = 2 * tones(640, seed, t=128)
    model = Added(averaged=fixed)
    elbo = negative_elbo(0.02)

    def loss(out, target):
        return elbo((out["x_hat"], out["mu"], out["logvar"]), target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
