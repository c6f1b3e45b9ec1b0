"""Healthy programs whose codes, penalties and histories look odd."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.parts import AE, adam, dense, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.tenth_c_material import (
    bumps,
    fit,
    spectra,
)


@healthy(steps=0, bar=0.7)
def two_numbers_for_two_causes(seed):
    """Code the place of a light by two numbers, which is all that varies."""
    x = bumps(768, seed, 12)
    model = dense((1, 12, 12), (96, 64), 2, act=nn.SiLU, last=None)
    optimizer = adam(model, 3e-3)
    history = fit(model, x, 60, optimizer, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    return {**case, "history": history}


@healthy(steps=200, bar=0.4)
def wide_code_that_must_clean(seed):
    """Use a code wider than the image, which has to remove masking noise."""
    x, y = digits(512, seed, size=8)
    model = dense((1, 8, 8), (), 128, last=nn.Sigmoid)
    model.encoder.append(nn.ReLU())

    def pair(batch):
        images, _ = batch
        return images * (torch.rand_like(images) > 0.4), images

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model, 5e-3)}


@healthy(steps=240, bar=0.5)
def kernel_four_and_a_last_layer(seed):
    """Grow by transposed convolutions of kernel 4 and finish with a plain one."""
    x, _ = scenes(512, seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(384, 32),
    )
    decoder = nn.Sequential(
        nn.Linear(32, 384),
        nn.Unflatten(1, (24, 4, 4)),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(24, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(16, 12, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(12, 3, 3, padding=1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Shaken(AE):
    """Add noise and dropout while training."""

    def encode(self, x):
        if self.training:
            x = F.dropout(x + 0.2 * torch.randn_like(x), 0.2)
        return self.encoder(x)


@healthy(steps=0, bar=0.5)
def noisy_training_calm_validation(seed):
    """Validate without the noise of training, which gives the lower loss."""
    x = table(1024, seed, d=24)
    inner = dense((24,), (64,), 8, last=None)
    model = Shaken(inner.encoder, inner.decoder)
    optimizer = adam(model, 3e-3)
    train, val = x[:768], x[768:]
    history = fit(model, train, 40, optimizer, val=val, seed=seed)
    case = {"model": model, "batches": loader(train, seed=seed), "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [val]}


@healthy(steps=0, bar=0.6)
def rate_lowered_on_a_plateau(seed):
    """Lower the rate whenever the validation loss rests, until nothing moves."""
    x = spectra(1024, seed)
    train, val = x[:768], x[768:]
    model = dense((48,), (64,), 8, act=nn.GELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    history = {"train_loss": [], "val_loss": []}
    for epoch in range(50):
        for key, values in fit(model, train, 1, optimizer, val=val, seed=epoch).items():
            history[key] += values
        plateau.step(history["val_loss"][-1])
    case = {"model": model, "batches": loader(train, seed=seed), "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [val]}


@healthy(steps=0, bar=0.5)
def sky_without_detail(seed):
    """Compress patches of an out-of-focus photograph, which have no detail."""
    x = F.avg_pool2d(patches(512, seed, 16), 5, 1)  # (N, 3, 12, 12)
    model = dense((3, 12, 12), (128,), 24)
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class SoftplusVAE(nn.Module):
    """Take the deviation of the code from a softplus, and never below 0.001."""

    def __init__(self, d, k):
        super().__init__()
        self.trunk = nn.Sequential(*stack((d, 96), nn.SiLU))
        self.mean, self.raw = nn.Linear(96, k), nn.Linear(96, k)
        self.decoder = nn.Sequential(*stack((k, 96), nn.SiLU), nn.Linear(96, d))

    def forward(self, x):
        h = self.trunk(x)
        mu, std = self.mean(h), F.softplus(self.raw(h)) + 1e-3
        z = mu + std * torch.randn_like(std)
        return {"recon": self.decoder(z), "mu": mu, "logvar": 2 * std.log()}


@healthy(steps=300, bar=0.5)
def deviation_from_a_softplus(seed):
    """Train a VAE on a table with the deviation from a softplus."""
    model = SoftplusVAE(20, 8)

    def loss(output, target):
        error = F.mse_loss(output["recon"], target, reduction="sum") / len(target)
        divergence = kl(output["mu"], output["logvar"].clamp(-20, 10)).sum(1).mean()
        return error / (2 * 0.05) + divergence

    case = {"model": model, "batches": loader(table(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}


class Coded(AE):
    """Return the code with the reconstruction."""

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z


@healthy(steps=400, bar=0.5)
def mean_activation_with_a_weight(seed):
    """Weigh the mean of 96 activations by 0.01, which leaves most of them zero."""
    inner = dense((48,), (), 96)
    inner.encoder.append(nn.ReLU())
    model = Coded(inner.encoder, inner.decoder)

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 0.01 * z.mean()

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 5e-3)}


@healthy(steps=400, bar=0.4)
def kl_of_a_tenth_with_a_small_weight(seed):
    """Hold the mean activation near one tenth by a KL term of small weight."""
    x, _ = digits(512, seed, size=8)
    inner = dense((1, 8, 8), (), 64)
    inner.encoder.append(nn.Sigmoid())
    model = Coded(inner.encoder, inner.decoder)
    nn.init.constant_(inner.encoder[-2].bias, -2.0)

    def loss(output, target):
        recon, z = output
        mean = z.mean(0)
        rest = 0.9 * torch.log(0.9 / (1 - mean))
        term = 0.1 * torch.log(0.1 / mean) + rest
        return (
            F.mse_loss(recon, target, reduction="sum") / len(target) + 0.05 * term.sum()
        )

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}
