"""Healthy programs that look suspicious, before training."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    scenes,
    standardise,
    table,
    waves,
)
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, kl, sgd
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=300)
def linear_blocks(seed):
    """Transform blocks of 4 x 4 pixels linearly, as JPEG does."""
    model = AE(nn.Conv2d(3, 8, 4, 4), nn.ConvTranspose2d(8, 3, 4, 4))
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


@healthy(steps=250)
def linear_for_digits(seed):
    """Find ten principal components of digits, without a bias in the encoder."""
    x, y = digits(512, seed, size=8)
    x = x.flatten(1)
    model = nn.Sequential(nn.Linear(64, 10, bias=False), nn.Linear(10, 64))
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


@healthy()
def heavy_noise_on_scenes(seed):
    """Remove noise of standard deviation 0.7 from scenes."""
    x, _ = scenes(512, seed)
    model = dense((3, 16, 16), (256,), 24)

    def pair(batch):
        return batch + 0.7 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model, 1e-3)}


@healthy()
def fixed_noise_from_the_loader(seed):
    """Load (noisy, clean) pairs with salt-and-pepper noise on a fifth of the pixels."""
    x, _ = digits(512, seed)
    hit = torch.rand_like(x) < 0.2
    noisy = torch.where(hit, torch.randint_like(x, 2), x)
    model = conv((1, 28, 28), 32, act=nn.LeakyReLU)
    data = loader(noisy, x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=120)
def frozen_first_layer(seed):
    """Continue a trained network with its encoder frozen and left out."""
    x, _ = scenes(512, seed)
    model = dense((3, 16, 16), (128,), 24)
    case = {"model": model, "batches": loader(x, seed=seed)}
    train({**case, "optimizer": adam(model)}, 150)
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.decoder.parameters(), 1e-3)
    return {**case, "optimizer": optimizer}


@healthy()
def two_optimizers(seed):
    """Train encoder and decoder with one optimizer each, inside step."""
    model = conv((3, 16, 16), 24)
    first = torch.optim.Adam(model.encoder.parameters(), 1e-3)
    second = torch.optim.Adam(model.decoder.parameters(), 3e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        first.zero_grad()
        second.zero_grad()
        loss.backward()
        first.step()
        second.step()
        return loss.item()

    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "step": step}


@healthy()
def clipped_gradients(seed):
    """Clip the gradient norm to 1 before each step; clear before the next."""
    x = standardise(scenes(512, seed)[0])
    model = conv((3, 16, 16), 32, last=None, norm=True, act=nn.SiLU)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)

    def step(model, batch):
        loss = F.smooth_l1_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy(steps=100)
def sgd_with_batch_norm(seed):
    """Use SGD with lr=2, which batch norm tolerates."""
    model = conv((3, 16, 16), 32, norm=True)
    data = loader(patches(512, seed), seed=seed)
    optimizer = sgd(model, 2.0, momentum=0.9)
    return {"model": model, "batches": data, "optimizer": optimizer}


class Sequences(nn.Module):
    """Compress time series with one-dimensional convolutions."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv1d(1, 16, 5, 2, 2), nn.Tanh())
        self.enc.extend([nn.Conv1d(16, 16, 5, 2, 2), nn.Tanh(), nn.Flatten()])
        self.to_code, self.from_code = nn.Linear(256, 5), nn.Linear(5, 256)
        self.dec = nn.Sequential(nn.ConvTranspose1d(16, 16, 4, 2, 1), nn.Tanh())
        self.dec.append(nn.ConvTranspose1d(16, 1, 4, 2, 1))

    def encode(self, x):
        return self.to_code(self.enc(x))

    def forward(self, x):
        h = torch.tanh(self.from_code(self.encode(x)))
        return self.dec(h.unflatten(1, (16, 16)))


@healthy(steps=250)
def convolutions_in_time(seed):
    """Compress waves (N, 1, T) in [-1, 1] with tanh inside and a linear end."""
    model = Sequences()
    data = loader(waves(512, seed)[:, None], seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@dataclass
class Output:
    """What the VAE of a colleague returns."""

    reconstruction: Tensor
    mu: Tensor
    log_var: Tensor


class Wrapped(nn.Module):
    """Return a dataclass."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x):
        return Output(*self.vae(x))


@healthy()
def vae_in_bfloat16(seed):
    """Train a VAE under autocast, with a dataclass as output and a Bernoulli loss."""
    x, _ = digits(512, seed)
    model = Wrapped(dense_vae((1, 28, 28)))
    optimizer = adam(model)

    def loss(output, target):
        p = output.reconstruction.float().clamp(1e-6, 1 - 1e-6)
        error = F.binary_cross_entropy(p, target, reduction="sum")
        divergence = kl(output.mu.float(), output.log_var.float()).sum()
        return (error + divergence) / len(target)

    def step(model, batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch)
        value = loss(output, batch)
        value.backward()
        optimizer.step()
        return value.item()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer, "step": step}


@healthy(steps=100)
def images_of_64(seed):
    """Compress 64 x 64 images; the code is a feature map without a dense layer."""
    x, y = scenes(192, seed, size=64)
    down = [nn.Conv2d(3, 12, 4, 4), nn.ELU(), nn.Conv2d(12, 24, 4, 2, 1), nn.ELU()]
    down += [nn.Conv2d(24, 12, 4, 2, 1)]
    up = [nn.ConvTranspose2d(12, 24, 4, 2, 1), nn.ELU()]
    up += [nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.ELU()]
    up += [nn.ConvTranspose2d(12, 3, 4, 4), nn.Sigmoid()]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


@healthy()
def mixed_before_hand(seed):
    """Shuffle once, then load in order, labels and all."""
    x, y = digits(777, seed)
    order = torch.randperm(777)
    model = conv((1, 28, 28), 20, norm=True)
    data = loader(x[order], y[order], shuffle=False)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "labels": y[order]}


@healthy(steps=250)
def relu_at_the_end(seed):
    """End in a ReLU for data that are never negative and have no upper bound."""
    x = table(512, seed, d=32).exp().clamp(max=8)
    model = dense((32,), (96,), 16, act=nn.LeakyReLU, last=nn.ReLU)
    nn.init.constant_(model.decoder[-2].bias, 1.0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class Features(nn.Module):
    """Compare features of a fixed random network besides pixels."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.requires_grad_(False)

    def forward(self, output, target):
        pixels = F.mse_loss(output, target)
        return pixels + 0.1 * F.mse_loss(self.net(output), self.net(target))


@healthy()
def perceptual_term(seed):
    """Add a feature loss of a frozen network, which no optimizer should have."""
    model = conv((3, 16, 16), 32, act=nn.Hardswish)
    data = loader(patches(512, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": Features()}
    return {**case, "optimizer": adam(model)}


@healthy()
def one_full_batch(seed):
    """Train on all rows at once, with a rate of 0.02 that suits a tiny network."""
    x = table(400, seed, d=16, rank=3)
    model = dense((16,), (16,), 3, act=nn.Tanh, last=None)
    return {"model": model, "batches": [x], "optimizer": adam(model, 0.02)}
