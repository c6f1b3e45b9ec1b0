"""Seventh part, c: healthy programs whose code, penalty or history looks suspicious."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import (
    ecg,
    faces,
    fit,
    made,
    peaks,
    plant,
)


@healthy(steps=400, bar=0.7)
def linear_on_purpose_again(seed):
    """Train a linear autoencoder on windows of a plant to compare it with PCA."""
    x = plant(1024, seed, t=10, c=4).flatten(1)
    model = AE(nn.Linear(40, 8), nn.Linear(8, 40))
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


class ReluCode(nn.Module):
    """Return the reconstruction and a code that is never negative."""

    def __init__(self, d, k):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)
        nn.init.constant_(self.encoder.bias, 0.1)

    def encode(self, x):
        return F.relu(self.encoder(x))

    def forward(self, x):
        z = self.encode(x)
        return self.decoder(z), z


@healthy(steps=0, bar=0.6)
def most_of_the_code_is_zero_again(seed):
    """Train a rectified code under L1 until more than half of its entries are zero."""
    x, _ = digits(1024, seed, size=8)
    x = (x - x.mean(0)).flatten(1)
    model = ReluCode(64, 48)

    def loss(output, target):
        recon, z = output
        size = model.decoder.weight.norm(dim=0)
        return F.mse_loss(recon, target) + 4e-3 * (z * size).sum(1).mean()

    optimizer = adam(model, 3e-3)
    history = fit(model, x, 40, optimizer, loss=loss, seed=seed, cosine=True)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": optimizer,
        "history": history,
    }


class TopK(nn.Module):
    """Keep the eight largest of many more units than inputs."""

    def __init__(self, d=32, k=96, kept=8):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)
        self.decoder.weight.data = F.normalize(self.decoder.weight.data, dim=0)
        self.encoder.weight.data = self.decoder.weight.data.T.clone()
        self.kept = kept

    def encode(self, x):
        h = F.relu(self.encoder(x - self.decoder.bias))
        best = h.topk(self.kept, 1)
        return torch.zeros_like(h).scatter(1, best.indices, best.values)

    def forward(self, x):
        return self.decoder(self.encode(x))


@healthy(steps=500, bar=0.5)
def three_units_for_each_input(seed):
    """Learn a dictionary three times as wide as the activations, eight at a time."""
    g, fixed = made(seed), made(17)
    atoms = F.normalize(torch.randn(64, 32, generator=fixed), dim=1)
    chosen = (torch.rand(2048, 64, generator=g) < 0.06).float()
    x = (chosen * (0.5 + torch.rand(2048, 64, generator=g))) @ atoms
    x = 3 * x + 0.02 * torch.randn(2048, 32, generator=g)
    model = TopK()
    return {
        "model": model,
        "batches": loader(x, batch_size=256, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


def dots(n, seed, size=14):
    """Return images (n, 1, size, size) of a soft dot that may lie anywhere."""
    place = 1.6 * torch.rand(n, 2, 1, generator=made(seed)) - 0.8
    axis = torch.exp(-(((torch.linspace(-1, 1, size) - place) / 0.4) ** 2))
    return (axis[:, 0, :, None] * axis[:, 1, None, :]).unsqueeze(1)


@healthy(steps=0, bar=0.5)
def vae_with_units_to_spare(seed):
    """Train a VAE with seven units on a table of four causes; some units stay idle."""
    x = table(1152, seed, d=32, rank=4)
    model = dense_vae((32,), 96, 7, last=None)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1) / (2 * 0.5**2)
        return (error + kl(mu, logvar).sum(1)).mean()

    optimizer = adam(model, 5e-3)
    train, val = x[:960], x[960:]
    history = fit(
        model, train, 30, optimizer, loss=loss, val=val, seed=seed, cosine=True
    )
    return {
        "model": model,
        "batches": loader(train, seed=seed),
        "eval_batches": [val],
        "loss": loss,
        "optimizer": optimizer,
        "history": history,
    }


@healthy(steps=600, bar=0.6)
def two_numbers_for_a_place(seed):
    """Describe the place of a dot by two numbers, which is all there is to know."""
    x = dots(1024, seed)
    model = dense((1, 14, 14), (128, 64), 2, act=nn.SiLU, last=nn.Sigmoid)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=0, bar=0.5)
def best_weights_brought_back(seed):
    """Lower the rate each epoch and load the weights of the best epoch at the end."""
    x = faces(640, seed, size=14)
    train, val = x[:512], x[512:]
    model = dense((1, 14, 14), (160,), 16, act=nn.ReLU)
    optimizer = adam(model, 5e-3)
    best, kept = float("inf"), None
    history = {"train_loss": [], "val_loss": []}
    for epoch in range(50):
        for key, value in fit(model, train, 1, optimizer, val=val, seed=epoch).items():
            history[key] += value
        if history["val_loss"][-1] < best:
            best, kept = history["val_loss"][-1], copy.deepcopy(model.state_dict())
        optimizer.param_groups[0]["lr"] *= 0.93
    model.load_state_dict(kept)
    return {
        "model": model,
        "batches": loader(train, seed=seed),
        "eval_batches": [val],
        "optimizer": optimizer,
        "history": history,
    }


@healthy(steps=0, bar=0.6)
def validation_below_training_again(seed):
    """Train a table with dropout, so that validation is better than training."""
    x = table(1280, seed, d=32, rank=4)
    train, val = x[:1024], x[1024:]
    model = nn.Sequential(
        nn.Linear(32, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 6),
        nn.Linear(6, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 32),
    )
    optimizer = adam(model, 3e-3)
    history = fit(model, train, 25, optimizer, val=val, seed=seed, cosine=True)
    return {
        "model": model,
        "batches": loader(train, seed=seed),
        "eval_batches": [val],
        "optimizer": optimizer,
        "history": history,
    }


@healthy(steps=500, bar=0.5)
def divergence_warmed_up(seed):
    """Raise the weight of the divergence from zero to one over two hundred steps."""
    x, kind = ecg(1024, seed, t=48)
    model = dense_vae((48,), 96, 6, last=None)
    optimizer = adam(model, 2e-3)
    done = {"steps": 0}

    def step(model, batch):
        beats, _ = batch
        recon, mu, logvar = model(beats)
        weight = min(1.0, (done["steps"] + 1) / 200)
        error = (recon - beats).square().sum(1) / (2 * 0.1**2)
        loss = (error + weight * kl(mu, logvar).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done["steps"] += 1
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, kind, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class OnSphere(nn.Module):
    """Scale every code to length one."""

    def __init__(self, k=10):
        super().__init__()
        self.inner = dense((80,), (96,), k, act=nn.GELU, last=nn.Softplus)

    def encode(self, x):
        return F.normalize(self.inner.encode(x), dim=1)

    def forward(self, x):
        return self.inner.decode(self.encode(x))


@healthy(steps=400, bar=0.6)
def codes_of_length_one(seed):
    """Project the code of spectra onto the unit sphere and keep outputs positive."""
    x, main = peaks(1024, seed)
    model = OnSphere()
    return {
        "model": model,
        "batches": loader(x, main, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Matched(nn.Module):
    """Return the code for a comparison with draws from its prior."""

    def __init__(self, k=8):
        super().__init__()
        self.inner = dense((3, 10, 10), (128,), k, act=nn.ELU)

    def encode(self, x):
        return self.inner.encode(x)

    def forward(self, x):
        z = self.encode(x)
        return self.inner.decode(z), z


@healthy(steps=400, bar=0.5)
def codes_matched_to_a_prior(seed):
    """Match all codes together to a normal prior by a kernel, without a variance."""
    x = patches(768, seed, size=10)
    model = Matched()
    g = made(seed + 4)

    def near(a, b):
        c = 2.0 * a.shape[1]
        return (c / (c + torch.cdist(a, b).square())).mean()

    def loss(output, target):
        recon, z = output
        prior = torch.randn(z.shape, generator=g)
        gap = near(z, z) + near(prior, prior) - 2 * near(z, prior)
        return (recon - target).square().flatten(1).sum(1).mean() + gap

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }
