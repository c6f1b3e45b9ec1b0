"""Eleventh part, f: ordinary programs that work, of several kinds."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import (
    clips,
    river,
    strides,
    veils,
)
from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=350, bar=0.85)
def small_digits_with_norms_and_cross_entropy(seed):
    """Train a small convolutional network with batch norm on 8 x 8 digits."""
    x, label = digits(1600, seed, size=8)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 4, 2, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 16),
    )
    decoder = nn.Sequential(
        *stack((16, 128)), nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8))
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, label, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model),
        "view": torch.sigmoid,
    }


class Tokens(nn.Module):
    """Mix the steps of a window by attention, and sum them up in one code."""

    def __init__(self, t: int = 16, c: int = 3, wide: int = 32, k: int = 6):
        super().__init__()
        self.enter = nn.Linear(c, wide)
        self.place = nn.Parameter(0.2 * torch.randn(t, wide))
        self.mix = nn.TransformerEncoderLayer(
            wide, 4, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.code = nn.Linear(t * wide, k)
        self.leave = nn.Sequential(*stack((k, 96), nn.GELU), nn.Linear(96, t * c))

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.mix(self.enter(x) + self.place).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.encode(x)).view_as(x)


@healthy(steps=350, bar=0.96)
def gaits_read_by_one_layer_of_attention(seed):
    """Encode windows of joint angles by a transformer layer, and clip the gradient."""
    x = strides(1024, seed)
    model = Tokens()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01)

    def one_step(net, window):
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(net(window), window)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": one_step,
        "optimizer": optimizer,
    }


@healthy(steps=500, bar=0.85)
def a_ball_in_six_frames(seed):
    """Compress short clips by three-dimensional convolutions and a dense decoder."""
    x = clips(768, seed)
    encoder = nn.Sequential(
        nn.Conv3d(1, 8, 3, (1, 2, 2), 1),
        nn.LeakyReLU(0.1),
        nn.Conv3d(8, 16, 3, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(432, 8),
    )
    decoder = nn.Sequential(
        *stack((8, 128, 128), nn.LeakyReLU),
        nn.Linear(128, 600),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 6, 10, 10)),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Course(nn.Module):
    """Let the stations of a river exchange with their neighbours, twice each way."""

    def __init__(self, near: Tensor, k: int = 8, wide: int = 16):
        super().__init__()
        self.register_buffer("near", near)
        nodes = len(near)
        self.first = nn.Linear(4, wide)
        self.second = nn.Linear(2 * wide, wide)
        self.code = nn.Linear(nodes * wide, k)
        self.back = nn.Linear(k, nodes * wide)
        self.third = nn.Linear(2 * wide, wide)
        self.last = nn.Linear(wide, 2)

    def exchange(self, h: Tensor) -> Tensor:
        return torch.cat([h, self.near @ h], -1)

    def encode(self, x: Tensor) -> Tensor:
        h = F.elu(self.first(self.exchange(x)))
        return self.code(F.elu(self.second(self.exchange(h))).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.back(self.encode(x))).unflatten(1, (x.shape[1], -1))
        return self.last(F.elu(self.third(self.exchange(h))))


@healthy(steps=400, bar=0.95)
def stations_of_a_river_that_ask_their_neighbours(seed):
    """Encode levels and flows of a forked river by two layers on its graph."""
    x, near = river(1024, seed)
    model = Course(near)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@healthy(steps=600, bar=0.88)
def clouds_in_a_variational_code_with_a_warm_up(seed):
    """Raise the weight of the divergence from a tenth to one in 300 steps."""
    x = veils(1024, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 160), nn.SiLU))
    decoder = nn.Sequential(
        *stack((16, 160), nn.SiLU), nn.Linear(160, 256), nn.Unflatten(1, (1, 16, 16))
    )
    model = VAE(encoder, decoder, 160, 16)
    optimizer = adam(model)
    done = [0]

    def step(vae, batch):
        done[0] += 1
        beta = min(1.0, 0.1 + done[0] / 300)
        recon, mu, logvar = vae(batch)
        error = (recon - batch).square().flatten(1).sum(1).mean() / (2 * 0.02)
        loss = error + beta * kl(mu, logvar).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
