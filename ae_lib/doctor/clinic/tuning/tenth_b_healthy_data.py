"""Tenth bank, b: healthy programs whose data or loss looks suspicious."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.tenth_b_kit import (
    conv1d,
    heartbeats,
    made,
    shares,
    tones,
    weather,
)


class Imputer(nn.Module):
    """Fill in the gaps of a row, which are marked by zeros."""

    def __init__(self, d):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2 * d, 96), nn.ReLU(), nn.Linear(96, 8))
        self.decoder = nn.Sequential(nn.Linear(8, 96), nn.ReLU(), nn.Linear(96, d))

    def forward(self, x):
        known = (x != 0).float()
        return self.decoder(self.encoder(torch.cat([x, known], 1)))


@healthy(steps=250, bar=0.5)
def error_on_the_known_readings_only(seed):
    """Fill gaps with zero and count the error of the known readings alone."""
    x = table(768, seed, d=24, rank=4)
    filled = x.masked_fill(torch.rand(x.shape, generator=made(seed)) < 0.2, 0.0)
    model = Imputer(24)

    def loss(recon, target):
        known = (target != 0).float()
        return ((recon - target) ** 2 * known).sum() / known.sum()

    case = {"model": model, "batches": loader(filled, seed=seed), "loss": loss}
    return {**case, "judge": [(filled, x)], "optimizer": adam(model, 4e-3)}


class ScaledInside(nn.Module):
    """Take and return pixels of 0..255 and compute with [0, 1]."""

    def __init__(self):
        super().__init__()
        self.inner = conv((3, 16, 16), 32, act=nn.LeakyReLU)

    def forward(self, pixels):
        return 255 * self.inner(pixels / 255)


@healthy(bar=0.5)
def pixels_scaled_inside_the_model(seed):
    """Divide by 255 in the first line of forward and multiply in the last."""
    x = (255 * patches(512, seed)).round()
    model = ScaledInside()
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=200, bar=0.5)
def unshuffled_but_mixed(seed):
    """Read rows that lie in random order without shuffling them again."""
    x = heartbeats(530, seed)
    model = dense((32,), (96, 48), 8, act=nn.GELU, last=None)
    data = loader(x, batch_size=48, shuffle=False)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(bar=0.5)
def sharp_pictures_from_coarse_ones(seed):
    """Train on enlarged pictures of a quarter of the size as inputs."""
    x, _ = digits(512, seed, size=16)
    coarse = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bilinear")
    rows = torch.utils.data.TensorDataset(coarse, x)
    data = torch.utils.data.DataLoader(rows, 64, shuffle=True, generator=made(seed))
    model = conv((1, 16, 16), 32, act=nn.ELU)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=200, bar=0.5)
def sensors_laid_out_on_a_grid(seed):
    """Arrange 64 sensors as a square picture in which neighbours have no relation."""
    x = table(512, seed, d=64, rank=6).view(-1, 1, 8, 8)
    model = dense((1, 8, 8), (96,), 10, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=200, bar=0.4)
def changed_for_training_and_plain_in_tests(seed):
    """Flip and brighten the training images at random and test on plain ones."""
    x, y = scenes(576, seed)
    model = conv((3, 16, 16), 48)

    def pair(batch):
        images, _ = batch
        images = images.flip(3) if torch.rand(()) < 0.5 else images
        light = 0.9 + 0.2 * torch.rand(len(images), 1, 1, 1)
        images = (images * light).clamp(0, 1)
        return images, images

    case = {"model": model, "batches": loader(x[:512], y[:512], seed=seed)}
    case |= {"pair": pair, "eval_batches": [(x[512:], y[512:])]}
    return {**case, "judge": [x[512:]], "optimizer": adam(model, 3e-3)}


@healthy(steps=250, bar=0.5)
def softmax_for_shares(seed):
    """End in a softmax for rows that sum to one, and compare distributions."""
    x = shares(512, seed)
    model = dense((24,), (64,), 6, act=nn.SiLU, last=None)
    model.decoder.append(nn.LogSoftmax(dim=1))

    def loss(output, target):
        return F.kl_div(output, target, reduction="batchmean")

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "view": torch.exp, "optimizer": adam(model, 5e-3)}


class Uncertain(nn.Module):
    """Return the mean of every reading and the logarithm of its variance."""

    def __init__(self, d, k):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 64), nn.Tanh(), nn.Linear(64, k))
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.Tanh(), nn.Linear(64, 2 * d))

    def forward(self, x):
        return self.decoder(self.encoder(x)).chunk(2, 1)


@healthy(steps=300, bar=0.5)
def likelihood_that_falls_below_zero(seed):
    """Minimise a Gaussian likelihood with learned variances; its value is negative."""
    x = weather(512, seed, t=12, c=2).flatten(1)
    model = Uncertain(24, 6)
    likelihood = nn.GaussianNLLLoss()

    def loss(output, target):
        mean, log_variance = output
        return likelihood(mean, target, log_variance.clamp(-6, 3).exp())

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/pytorch/examples/pull/296
@healthy(steps=250, bar=0.35)
def everything_summed_over_the_batch(seed):
    """Sum cross-entropy and divergence over the batch: the loss reads in thousands."""
    x, _ = digits(512, seed, size=16)
    model = conv_vae((1, 16, 16), 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="sum")
        return error + kl(mu, logvar).sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=200, bar=0.5)
def noise_as_strong_as_the_tone(seed):
    """Clean tones of two degrees of freedom from noise of deviation 0.7."""
    x = tones(512, seed)[:, None]
    inner = conv1d(1, 64, 12)
    model = AE(inner[:6], inner[6:])

    def pair(batch):
        return batch + 0.7 * torch.randn_like(batch), batch

    noisy = x + 0.7 * torch.randn(x.shape, generator=made(seed))
    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "judge": [(noisy, x)], "optimizer": adam(model, 3e-3)}
