"""Seventh part, a: drowned loss terms, forgotten parameters and cut gradients."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, patches, waves
from ae_lib.doctor.clinic.parts import adam, conv, conv_vae, dense, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_a_material import (
    beats,
    rings,
    rolls,
    sensors,
    stripes,
)


@faulty("loss.scale", accepts=("vae.collapse",), steps=300, bar=0.4)
def mean_entropy_and_summed_divergence(seed, fixed):
    """Average the cross-entropy of rings over the pixels and sum the divergence."""
    x = rings(640, seed)
    model = conv_vae((1, 16, 16), 8)

    def loss(output, target):
        recon, mu, logvar = output
        reconstruction = F.binary_cross_entropy(recon, target)
        if fixed:
            reconstruction = reconstruction * target[0].numel()
        return reconstruction + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


def _roughness(picture, mean):
    down = (picture[:, :, 1:] - picture[:, :, :-1]).abs()
    right = (picture[:, :, :, 1:] - picture[:, :, :, :-1]).abs()
    if mean:
        return down.mean() + right.mean()
    return down.sum() + right.sum()


@faulty("loss.scale", steps=250, bar=0.5)
def total_variation_of_the_whole_batch(seed, fixed):
    """Add a total variation that is a sum beside an error that is a mean."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 32, act=nn.ELU)

    def loss(output, target):
        return F.mse_loss(output, target) + 0.01 * _roughness(output, mean=fixed)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class SequenceVAE(nn.Module):
    """Read a window with a GRU, draw a code and write the window at once."""

    def __init__(self, t, c, hidden=48, k=6):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.mu = nn.Linear(hidden, k)
        self.log_var = nn.Linear(hidden, k)
        self.writer = nn.Sequential(
            nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, t * c), nn.Unflatten(1, (t, c))
        )

    def forward(self, x):
        h = self.reader(x)[1][-1]
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + (0.5 * log_var).exp() * torch.randn_like(mu)
        return {"recon": self.writer(z), "mu": mu, "log_var": log_var}


@faulty("loss.scale", accepts=("vae.collapse",), steps=400, bar=0.3)
def divergence_not_divided_by_the_batch(seed, fixed):
    """Sum the divergence over batch and units beside nn.MSELoss()."""
    x = sensors(512, seed, t=16, c=3)
    model, mse = SequenceVAE(16, 3), nn.MSELoss()

    def loss(out, target):
        divergence = kl(out["mu"], out["log_var"]).sum()
        if fixed:
            divergence = divergence / target.numel()
        return mse(out["recon"], target) + 0.3 * divergence

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 4e-3)}


class Ladder(nn.Module):
    """Stack as many convolutions over time as there are widths."""

    def __init__(self, widths, registered):
        super().__init__()
        keep = nn.ModuleList if registered else list
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = keep([nn.Conv1d(a, b, 4, 2, 1) for a, b in pairs])
        self.up = keep([nn.ConvTranspose1d(b, a, 4, 2, 1) for a, b in pairs[::-1]])
        self.squeeze = nn.Linear(widths[-1] * 8, 10)
        self.expand = nn.Linear(10, widths[-1] * 8)

    def forward(self, x):
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.1)
        x = self.expand(self.squeeze(x.flatten(1))).view_as(x)
        for layer in self.up:
            x = layer(F.leaky_relu(x, 0.1))
        return x


@faulty("wiring.unoptimised", steps=300, bar=0.85)
def convolutions_in_a_list(seed, fixed):
    """Collect the convolutions of both halves in Python lists."""
    x = waves(512, seed).unsqueeze(1)
    model = Ladder((1, 12, 24, 32), registered=fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Halves(nn.Module):
    """Hold an encoder and a decoder that were written as two classes."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * torch.exp(logvar / 2)
        return self.decoder(z), mu, logvar


@faulty("wiring.unoptimised", steps=300, bar=0.5)
def only_the_encoder_is_optimised(seed, fixed):
    """Give the optimizer of a VAE the parameters of the encoder."""
    x = beats(512, seed)
    encoder = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 16))
    decoder = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 48))
    model = Halves(encoder, decoder)
    parameters = model.parameters() if fixed else encoder.parameters()
    optimizer = torch.optim.AdamW(parameters, 4e-3)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().sum(1).mean() / 0.04
        return error + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer}


@faulty("wiring.unoptimised", steps=250, bar=0.5)
def resumed_from_a_deep_copy(seed, fixed):
    """Go on with a deep copy of the best model and the optimizer of the first."""
    x = stripes(512, seed, size=12)
    model = conv((3, 12, 12), 24, act=nn.Tanh)
    optimizer = adam(model)
    best = deepcopy(model)
    model = best
    if fixed:
        optimizer = adam(model)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


class Summary(nn.Module):
    """Summarise a window in the state of a GRU and rebuild it step by step."""

    def __init__(self, c, cut, hidden=32):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.to_code = nn.Linear(hidden, 8)
        self.to_state = nn.Linear(8, hidden)
        self.cell = nn.GRUCell(c, hidden)
        self.head = nn.Linear(hidden, c)
        self.cut = cut

    def forward(self, x):
        _, h = self.encoder(x)
        if self.cut:
            h = h.detach()
        h = torch.tanh(self.to_state(self.to_code(h[-1])))
        y, rows = torch.zeros_like(x[:, 0]), []
        for _ in range(x.shape[1]):
            h = self.cell(y, h)
            y = self.head(h)
            rows.append(y)
        return torch.stack(rows, 1)


@faulty("wiring.no-gradient", steps=350, bar=0.6)
def state_detached_as_in_a_language_model(seed, fixed):
    """Detach the encoder's state before decoding, as one does between text chunks."""
    x = sensors(384, seed, t=10, c=4)
    model = Summary(4, cut=not fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 6e-3)}


class Compressed(nn.Module):
    """Round the code to whole levels, as a file would store it."""

    def __init__(self, inner, straight_through):
        super().__init__()
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.straight_through = straight_through

    def forward(self, x):
        z = 4 * torch.tanh(self.encoder(x))
        levels = torch.round(z)
        if self.straight_through:
            levels = z + (levels - z).detach()
        return self.decoder(levels / 4)


@faulty("wiring.no-gradient", steps=900, bar=0.75)
def code_rounded_to_levels(seed, fixed):
    """Round the code of a compressor of piano rolls with torch.round."""
    x = rolls(640, seed)
    inner = dense((1, 12, 16), (192,), 16, act=nn.LeakyReLU)
    model = Compressed(inner, straight_through=fixed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": nn.BCELoss()}
    return {**case, "optimizer": adam(model, 3e-3)}
