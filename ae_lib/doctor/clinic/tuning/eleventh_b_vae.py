"""Seventh part, b: variational autoencoders, and penalties on the code."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import code_matters, codes, quiet_units, true_penalty
from ae_lib.doctor.clinic.parts import adam, conv_vae, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_b_material import (
    discs,
    made,
    sensors,
    skies,
    survey,
)


def _negative_elbo(beta, variance):
    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1)
        return (error / (2 * variance) + beta * kl(mu, logvar).sum(1)).mean()

    return loss


@faulty("vae.collapse", steps=300, bar=0.4)
def beta_of_a_paper_on_small_images(seed, fixed):
    """Take beta = 150 from a paper on large images for digits of 14 x 14 pixels."""
    x, y = digits(768, seed, size=14)
    model = dense_vae((1, 14, 14), hidden=128, k=8)
    beta = 1.0 if fixed else 150.0

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="sum")
        return (error + beta * kl(mu, logvar).sum()) / len(target)

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("vae.collapse", steps=400, bar=0.3)
def unit_variance_for_pale_images(seed, fixed):
    """Assume a decoder deviation of one for small pale images."""
    x = 0.3 + 0.4 * skies(640, seed, size=8)
    model = conv_vae((3, 8, 8), k=6, width=16)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": _negative_elbo(1.0, 2e-3 if fixed else 1.0)}
    return {**case, "optimizer": adam(model, 3e-3)}


class Next(nn.Module):
    """Write a window step by step, seeing the step before and a latent code."""

    def __init__(self, c=2, hidden=32, k=6, blind=False):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.bottleneck = nn.Linear(hidden, k)
        self.fc_logvar = nn.Linear(hidden, k)
        self.decoder = nn.GRU(c + k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)
        self.blind = blind

    def encode(self, x):
        return self.bottleneck(self.encoder(x)[1][-1])

    def forward(self, x):
        h = self.encoder(x)[1][-1]
        mu, logvar = self.bottleneck(h), self.fc_logvar(h)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        before = F.pad(x[:, :-1], (0, 0, 1, 0))
        if self.blind:
            before = torch.zeros_like(before)
        steps = z[:, None].expand(-1, x.shape[1], -1)
        out = self.head(self.decoder(torch.cat([before, steps], 2))[0])
        return out, mu, logvar


@faulty(
    "vae.collapse",
    accepts=("wiring.bypass",),
    steps=300,
    measure=code_matters,
    bar=0.3,
)
def decoder_that_sees_the_step_before(seed, fixed):
    """Feed a recurrent VAE's decoder the true step before at full strength."""
    x = sensors(512, seed, t=16, c=2)
    model = Next(blind=fixed)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": _negative_elbo(1.0, 0.2)}
    return {**case, "optimizer": adam(model, 5e-3)}


class Summed(nn.Module):
    """Encode a cloud of points by the sum of the features of its points."""

    def __init__(self, points, k, clamp):
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        )
        self.fc_mu, self.fc_logvar = nn.Linear(64, k), nn.Linear(64, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, 2 * points)
        )
        self.clamp = clamp

    def encode(self, x):
        return self.fc_mu(self.each(x).sum(1)) / x.shape[1]

    def forward(self, x):
        h = self.each(x).sum(1)
        mu, logvar = self.fc_mu(h) / x.shape[1], self.fc_logvar(h)
        if self.clamp:
            logvar = logvar.clamp(-8.0, 2.0)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return self.decoder(z).view_as(x), mu, logvar


def rings(n, seed, points=150):
    """Return ellipses as clouds (n, points, 2) in the order of the angle."""
    g = made(seed)
    angle = torch.arange(points) / points * 2 * torch.pi
    axes = 0.3 + 1.4 * torch.rand(n, 1, 2, generator=g)
    round_ = torch.stack([angle.cos(), angle.sin()], 1)
    centre = torch.randn(n, 1, 2, generator=g)
    return round_ * axes + centre + 0.02 * torch.randn(n, points, 2, generator=g)


@faulty("vae.logvar", steps=200, bar=0.5)
def logvar_of_a_summed_cloud(seed, fixed):
    """Read the log-variance from features summed over 150 points."""
    model = Summed(150, 5, clamp=fixed)
    case = {
        "model": model,
        "batches": loader(rings(384, seed), batch_size=32, seed=seed),
    }

    def loss(output, target):
        recon, mu, logvar = output
        return 10 * F.mse_loss(recon, target) + 1e-2 * kl(mu, logvar).sum(1).mean()

    return {**case, "loss": loss, "optimizer": adam(model, 2e-3)}


class Pixelwise(nn.Module):
    """Give every pixel a mean and a log-variance of its own."""

    def __init__(self, d, k, lowest):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(d, 128), nn.ReLU())
        self.fc_mu, self.fc_logvar = nn.Linear(128, k), nn.Linear(128, k)
        self.decoder = nn.Sequential(nn.Linear(k, 128), nn.ReLU())
        self.mean, self.spread = nn.Linear(128, d), nn.Linear(128, d)
        self.lowest = lowest

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        h = self.decoder(z)
        pixel_logvar = self.spread(h)
        if self.lowest is not None:
            pixel_logvar = pixel_logvar.clamp(min=self.lowest)
        return self.mean(h).sigmoid().view_as(x), mu, logvar, pixel_logvar.view_as(x)


@faulty("vae.logvar", steps=500, bar=0.3)
def variance_of_pixels_that_never_change(seed, fixed):
    """Learn a variance for every pixel of digits although their borders are empty."""
    x, y = digits(768, seed, size=12)
    x = F.pad(x, (3, 3, 3, 3))
    model = Pixelwise(324, 8, -4.0 if fixed else None)

    def loss(output, target):
        recon, mu, logvar, spread = output
        error = (recon - target).square() * (-spread).exp() + spread
        return 0.5 * error.flatten(1).sum(1).mean() + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Sparse(nn.Module):
    """Return the reconstruction and the hidden units it was made from."""

    def __init__(self, d, units, act):
        super().__init__()
        self.hidden = nn.Linear(d, units)
        self.out = nn.Linear(units, d)
        self.act = act

    def encode(self, x):
        return self.act(self.hidden(x))

    def forward(self, x):
        h = self.encode(x)
        return self.out(h), h


@faulty("sparse.too-strong", steps=300, bar=0.5)
def l1_of_one_on_the_summed_code(seed, fixed):
    """Add the sum of 80 hidden units with weight one to a mean squared error."""
    model = Sparse(30, 80, F.relu)
    weight = 1e-3 if fixed else 1.0

    def loss(output, target):
        recon, h = output
        return F.mse_loss(recon, target) + weight * h.abs().sum(1).mean()

    case = {"model": model, "batches": loader(survey(640, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 5e-3)}


def rarity(case):
    """Return one minus the mean activation of the code."""
    return 1 - codes(case).mean().item()


def _bernoulli_kl(rho, found):
    found = found.clamp(1e-4, 1 - 1e-4)
    one = rho * (rho / found).log()
    return (one + (1 - rho) * ((1 - rho) / (1 - found)).log()).sum()


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=400,
    measure=rarity,
    bar=0.85,
)
def frequency_counted_by_a_comparison(seed, fixed):
    """Count how often a unit exceeds a half, and compare that with a target of 5 %."""
    x = discs(640, seed, size=12).flatten(1)
    model = Sparse(144, 64, torch.sigmoid)

    def loss(output, target):
        recon, h = output
        often = h.mean(0) if fixed else (h > 0.5).float().mean(0)
        return F.mse_loss(recon, target) + 0.1 * _bernoulli_kl(0.05, often)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.5)
def penalty_averaged_away(seed, fixed):
    """Average the L1 term over batch and units and divide it by the data set's size."""
    x = skies(640, seed, size=8).flatten(1) - 0.5
    model = Sparse(192, 128, F.relu)

    def loss(output, target):
        recon, h = output
        penalty = h.abs().sum(1).mean() if fixed else h.abs().mean() / len(x)
        return F.mse_loss(recon, target) + 1e-3 * penalty

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


class Logistic(nn.Module):
    """Encode a row by one layer of sigmoids, and return the code as well."""

    def __init__(self, d, k):
        super().__init__()
        self.w = nn.Linear(d, k)
        self.v = nn.Linear(k, d)

    def encode(self, x):
        return torch.sigmoid(self.w(x))

    def forward(self, x):
        h = self.encode(x)
        return self.v(h), h


@faulty("contractive.wrong", steps=150, measure=true_penalty, bar=0.95)
def weights_summed_before_the_square(seed, fixed):
    """Sum the weights of a unit first and square the sum, by a misplaced bracket."""
    x = survey(600, seed, d=24, rank=5)
    model = Logistic(24, 16)

    def loss(output, target):
        recon, h = output
        slope = (h * (1 - h)).square()
        w = model.w.weight
        size = w.square().sum(1) if fixed else w.sum(1).square()
        return F.mse_loss(recon, target) + 0.05 * (slope * size).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}
