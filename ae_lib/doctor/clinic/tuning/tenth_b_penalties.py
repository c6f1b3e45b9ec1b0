"""Tenth bank, b: codes noise.*, contractive.*, features.* and vae.collapse."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import (
    neighbours,
    train,
    true_penalty,
    used_units,
)
from ae_lib.doctor.clinic.parts import VAE, adam, conv, conv_vae, dense, elbo, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import (
    conv1d,
    made,
    tones,
    weather,
)
from ae_lib.doctor.clinic.tuning.tenth_b_nets import Contractive


@faulty("noise.too-strong", bar=0.5)
def sigma_of_twenty_five(seed, fixed):
    """Add noise of sigma 25, a number for 0..255, to images in [0, 1]."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 32)
    sigma = 25 / 255 if fixed else 25

    def pair(clean):
        return clean + sigma * torch.randn_like(clean), clean

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "judge": [x], "optimizer": adam(model)}


@faulty("noise.too-strong", accepts=("wiring.mode",), steps=250, bar=0.77)
def keep_probability_given_as_p(seed, fixed):
    """Port nn.dropout(x, keep_prob=0.95) to nn.Dropout(0.95) at the input."""
    x = tones(512, seed)[:, None]
    model = nn.Sequential(nn.Dropout(0.05 if fixed else 0.95), *conv1d(1, 64, 8))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.8)
def swap_noise_of_ninety_percent(seed, fixed):
    """Replace 90 % of each row by entries of other rows instead of 15 %."""
    x = table(1024, seed, d=30, rank=5)
    model = dense((30,), (96, 96), 16, last=None)
    share = 0.15 if fixed else 0.9

    def pair(rows):
        other = torch.randint(len(rows), rows.shape)
        swapped = rows.gather(0, other)
        return torch.where(torch.rand(rows.shape) < share, swapped, rows), rows

    case = {"model": model, "batches": loader(x, batch_size=128, seed=seed)}
    return {**case, "pair": pair, "judge": [x], "optimizer": adam(model, 3e-3)}


# Asked: https://discuss.pytorch.org/t/deep-contractive-autoencoder/12124
@faulty("contractive.wrong", steps=200, measure=true_penalty, bar=0.3)
def gradient_of_the_summed_code(seed, fixed):
    """Penalise the gradient of the sum of the code instead of each entry's."""
    x = weather(512, seed, t=12, c=2).flatten(1)
    encoder = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 12))
    model = Contractive(encoder, dense((24,), (32,), 12, last=None).decoder)

    def loss(output, target):
        recon, h, x = output
        parts = [h[:, j] for j in range(12)] if fixed else [h]
        penalty = 0
        for part in parts:
            (slope,) = torch.autograd.grad(part.sum(), x, create_graph=True)
            penalty = penalty + slope.square().sum(1)
        return F.mse_loss(recon, target) + 0.01 * penalty.mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("contractive.wrong", steps=60, measure=true_penalty, bar=0.5)
def derivative_of_the_wrong_activation(seed, fixed):
    """Keep the formula h(1 - h) of the sigmoid after changing the code to tanh."""
    x, _ = digits(512, seed, size=8)
    encoder = nn.Sequential(nn.Linear(64, 32), nn.Tanh())
    model = Contractive(encoder, nn.Sequential(nn.Linear(32, 64), nn.Sigmoid()))
    weight = encoder[0].weight

    def contractive_loss(output, target):
        recon, h, _ = output
        dh = 1 - h**2 if fixed else h * (1 - h)
        contraction = (dh**2 @ weight.square().sum(1, keepdim=True)).mean()
        return F.mse_loss(recon, target) + 0.01 * contraction

    case = {"model": model, "batches": loader(x.flatten(1), seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 3e-3)}


@faulty("contractive.wrong", steps=250, measure=true_penalty, bar=0.91)
def last_layer_taken_for_the_encoder(seed, fixed):
    """Add a layer to the encoder and penalise the last layer's weights alone."""
    x = table(512, seed, d=20)
    first, second = nn.Linear(20, 32), nn.Linear(32, 10)
    encoder = nn.Sequential(first, nn.Sigmoid(), second, nn.Sigmoid())
    model = Contractive(encoder, nn.Linear(10, 20))

    def loss(output, target):
        recon, h, x = output
        slope = (h * (1 - h))[:, :, None] * second.weight  # (B, 10, 32)
        if fixed:
            a = torch.sigmoid(first(x))
            slope = (slope * (a * (1 - a))[:, None]) @ first.weight  # (B, 10, 20)
        return F.mse_loss(recon, target) + 0.05 * slope.square().sum((1, 2)).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


class SampledFeatures(VAE):
    """Hand out a code for the classifier."""

    sample = True

    def encode(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        if self.sample:
            return mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return mu


@faulty(
    "features.no-gain",
    accepts=("wiring.mode",),
    steps=20,
    measure=neighbours,
    bar=0.5,
)
def noisy_sample_as_features(seed, fixed):
    """Take a random sample of the posterior as the features of an image."""
    x, y = digits(640, seed, size=8)
    plain = dense((1, 8, 8), (96,), 8)
    model = SampledFeatures(plain.encoder[:-1], plain.decoder, 96, 8)
    model.sample = not fixed
    case = {"model": model, "batches": loader(x, y, shuffle=False), "labels": y}
    case |= {"loss": elbo(2.0, 0.2), "optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case


@faulty("features.no-gain", steps=20, measure=neighbours, bar=0.6)
def lighting_fills_the_code(seed, fixed):
    """Learn features for sorting digits from photographs under uneven light."""
    x, y = digits(640, seed, size=8)
    light = torch.randn(640, 3, generator=made(seed))
    ramp = torch.linspace(-1, 1, 8)
    plane = light[:, 0, None, None] + light[:, 1, None, None] * ramp
    plane = plane + light[:, 2, None, None] * ramp[:, None]
    photographs = x + 1.5 * plane[:, None]
    if fixed:
        photographs = photographs - 1.5 * plane[:, None]
    model = dense((1, 8, 8), (96,), 10, last=None)
    case = {"model": model, "batches": loader(photographs, y, shuffle=False)}
    case |= {"labels": y, "optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case


# Asked: https://github.com/keras-team/keras/pull/3383
@faulty("vae.collapse", accepts=("loss.scale",), steps=200, measure=used_units, bar=0.5)
def cross_entropy_without_the_pixels(seed, fixed):
    """Leave out the number of pixels before the mean cross-entropy of a VAE."""
    x, _ = scenes(512, seed)
    model = conv_vae((3, 16, 16), 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target)
        if fixed:
            error = error * target[0].numel()
        return error + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("vae.collapse", accepts=("data.scale",), steps=250, bar=0.3)
def unit_variance_on_faint_spectra(seed, fixed):
    """Model spectra of a few hundredths by a Gaussian of variance one."""
    place = torch.linspace(0, 1, 60)
    height = torch.rand(512, 5, 1, generator=made(seed))
    peaks = torch.exp(-((place - torch.linspace(0.1, 0.9, 5)[:, None]) ** 2) / 0.004)
    x = 0.08 * (height * peaks).sum(1)
    if fixed:
        x = (x - x.mean()) / x.std()
    encoder = nn.Sequential(nn.Linear(60, 64), nn.ELU())
    decoder = nn.Sequential(nn.Linear(6, 64), nn.ELU(), nn.Linear(64, 60))
    model = VAE(encoder, decoder, 64, 6)

    def loss(output, target):
        recon, mu, logvar = output
        seen = torch.distributions.Normal(recon, 1.0)
        likelihood = seen.log_prob(target).sum(1).mean()
        return kl(mu, logvar).sum(1).mean() - likelihood

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}
