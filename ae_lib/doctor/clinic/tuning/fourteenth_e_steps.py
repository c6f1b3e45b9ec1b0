"""Tenth part, e: steps that are too long, too short or not finite."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_e_material import (
    beats,
    blobs,
    made,
    peaks,
    tracks,
)


class Repeater(nn.Module):
    """Code a series with a GRU and unroll another one from the repeated code."""

    def __init__(self, channels=2, hidden=48, k=12):
        super().__init__()
        self.reader = nn.GRU(channels, hidden, batch_first=True)
        self.squeeze = nn.Linear(hidden, k)
        self.writer = nn.GRU(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, channels)

    def encode(self, x: Tensor) -> Tensor:
        _, h = self.reader(x)
        return self.squeeze(h[-1])  # (B, k)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[:, None].expand(-1, x.shape[1], -1)
        return self.head(self.writer(z)[0])  # (B, T, C)


@faulty("step.too-large", steps=200, bar=0.5)
def gru_repeater_with_a_rate_of_one_third(seed, fixed):
    """Raise the rate of Adam to 0.3 because the recurrent net seemed slow."""
    x = beats(896, seed, t=24)
    model = Repeater()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3 if fixed else 0.3),
    }


@faulty("step.too-large", steps=120, bar=0.5)
def rate_multiplied_by_the_batch_size(seed, fixed):
    """Multiply the base rate by the batch size, and not by its ratio to 256."""
    x = blobs(1024, seed)
    size = 128
    rate = 4e-3 * (size / 256 if fixed else size)
    model = AE(
        nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(12, 24, 3, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(384, 24),
        ),
        nn.Sequential(
            nn.Linear(24, 384),
            nn.Unflatten(1, (24, 4, 4)),
            nn.SiLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(24, 12, 3, 1, 1),
            nn.SiLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(12, 1, 3, 1, 1),
        ),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=size, seed=seed),
        "loss": F.binary_cross_entropy_with_logits,
        "optimizer": optimizer,
        "step": step,
        "view": torch.sigmoid,
    }


@faulty("step.too-small", steps=400, bar=0.35)
def adadelta_with_the_rate_of_another_library(seed, fixed):
    """Port a blog post and give Adadelta the rate 0.001 of the other library."""
    x, y = digits(1024, seed)
    encoder = nn.Sequential(nn.Linear(784, 32), nn.ReLU())
    model = AE(encoder, nn.Sequential(nn.Linear(32, 784), nn.Sigmoid()))
    rate = 1.0 if fixed else 0.001

    def loss(output, target):
        return F.binary_cross_entropy(output, target, reduction="sum") / len(target)

    return {
        "model": model,
        "batches": loader(x.flatten(1), y, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adadelta(model.parameters(), lr=rate),
    }


@faulty("step.too-small", steps=300, bar=0.75)
def decay_by_epochs_called_after_every_batch(seed, fixed):
    """Call a scheduler meant for epochs after every batch, so the rate melts away."""
    x = patches(512, seed, size=16)
    model = AE(
        nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(512, 32),
        ),
        nn.Sequential(
            nn.Linear(32, 512),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
        ),
    )
    optimizer = adam(model, 2e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    every = 16 if fixed else 1  # batches
    done = 0

    def step(model, batch):
        nonlocal done
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        if done % every == 0:
            scheduler.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": optimizer, "step": step}
    train(case, 96)
    return case


class Walk(nn.Module):
    """Code a padded walk, and write only where the walk has points."""

    def __init__(self, points=24, k=8):
        super().__init__()
        d = 2 * points
        self.encoder = nn.Sequential(*stack((d, 128, 64), nn.ELU), nn.Linear(64, k))
        self.decoder = nn.Sequential(*stack((k, 64, 128), nn.ELU), nn.Linear(128, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        real = (x != 0).any(2, keepdim=True)
        return self.decoder(self.encode(x)).view_as(x) * real


@faulty("step.nonfinite", accepts=("loss.domain",), steps=300, bar=0.6)
def distance_of_padded_points_under_a_root(seed, fixed):
    """Average the distance of positions, where padding has a distance of exactly 0."""
    x, mask = tracks(1024, seed)
    model, share = Walk(), mask.mean()
    least = 1e-8 if fixed else 0.0

    def loss(output, target):
        distance = ((output - target).square().sum(2) + least).sqrt()
        return distance.mean() / share

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


class Masked(nn.Module):
    """Fill hidden tokens of a spectrum from the visible ones, by attention."""

    def __init__(self, seed, floor, tokens=10, width=8, d=48, hide=0.6):
        super().__init__()
        self.shape, self.hide, self.floor = (tokens, width), hide, floor
        self.inside = nn.Linear(width, d)
        self.place = nn.Parameter(0.1 * torch.randn(tokens, d))
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(d, 96), nn.GELU(), nn.Linear(96, d))
        self.outside = nn.Linear(d, width)
        self.drawn = made(seed)

    def forward(self, x: Tensor) -> Tensor:
        h = self.inside(x.view(-1, *self.shape)) + self.place  # (B, T, d)
        scores = self.query(self.place) @ self.key(h).mT / h.shape[-1] ** 0.5
        if self.training:
            gone = torch.rand(len(x), 1, self.shape[0], generator=self.drawn)
            scores = scores.masked_fill(gone < self.hide, self.floor)
        h = self.place + scores.softmax(2) @ self.value(h)
        h = h + self.mlp(h)
        return self.outside(h).flatten(1)


@faulty("step.nonfinite", steps=400, bar=0.5)
def softmax_over_a_row_of_hidden_tokens(seed, fixed):
    """Hide tokens from attention with minus infinity, sometimes all of a sample."""
    x = peaks(1024, seed)
    model = Masked(seed, floor=-1e4 if fixed else float("-inf"))
    return {
        "model": model,
        "batches": loader(x - x.mean(0), seed=seed),
        "optimizer": adam(model, 3e-3),
    }
