"""Tenth part, g: training and evaluation differ, and codes that are not needed."""

from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_g_material import (
    epochs,
    spectra,
    tides,
    tiles,
)


@faulty("wiring.mode", steps=200, bar=0.6)
def forward_pass_timed_on_blank_images_in_train_mode(seed, fixed):
    """Time the model on blank images after each step, under no_grad but in train."""
    x, y = tiles(768, seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(512, 12),
    )
    decoder = nn.Sequential(
        nn.Linear(12, 512),
        nn.Unflatten(1, (32, 4, 4)),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 3, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    optimizer = adam(model)
    blank = torch.zeros(4, 3, 16, 16)
    seconds = []

    def step(model, batch):
        model.train()
        images, _ = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(images), images)
        loss.backward()
        optimizer.step()
        if fixed:
            model.eval()
        with torch.no_grad():
            since = perf_counter()
            model(blank)
            seconds.append(perf_counter() - since)
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class LineCoder(nn.Module):
    """Code a spectrum with one-dimensional convolutions and dropped features."""

    def __init__(self, k=10, p=0.4, heed_mode=True):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv1d(1, 16, 5, 2, 2),
            nn.GELU(),
            nn.Conv1d(16, 32, 5, 2, 2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.code = nn.Linear(32 * 24, k)
        self.up = nn.Sequential(nn.Linear(k, 192), nn.GELU())
        self.out = nn.Linear(192, 96)
        self.p, self.heed_mode = p, heed_mode

    def _drop(self, h: Tensor) -> Tensor:
        if self.heed_mode:
            return F.dropout(h, self.p, training=self.training)
        return F.dropout(h, self.p)

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self._drop(self.down(x[:, None])))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self._drop(self.up(self.encode(x))))


@faulty("wiring.mode", steps=500, bar=0.975)
def functional_dropout_that_never_switches_off(seed, fixed):
    """Call F.dropout without its training argument, so it drops at test time too."""
    model = LineCoder(heed_mode=fixed)
    return {
        "model": model,
        "batches": loader(spectra(1024, seed), seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class ColourUNet(nn.Module):
    """Code a colour image in a few numbers, with or without joins across."""

    def __init__(self, k=24, joins=True):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten())
        self.bottleneck = nn.Linear(512, k)
        self.up = nn.Sequential(
            nn.Linear(k, 512),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
        )
        wide = 2 if joins else 1
        self.upper = nn.Sequential(nn.ConvTranspose2d(16 * wide, 8, 4, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(8 * wide, 3, 3, 1, 1)
        self.joins = joins

    def encode(self, x: Tensor) -> Tensor:
        return self.bottleneck(self.c(self.b(self.a(x))))

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        h = self.up(self.bottleneck(self.c(b)))
        h = self.upper(torch.cat([h, b], 1) if self.joins else h)
        return self.last(torch.cat([h, a], 1) if self.joins else h)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def segmentation_network_reused_for_compression(seed, fixed):
    """Take a U-Net with its concatenations to compress patches to 24 numbers."""
    x = patches(512, seed, size=16)
    model = ColourUNet(joins=not fixed)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
    case["history"] = epochs(case, 20)
    return case


class SeriesCoder(nn.Module):
    """Code a series in the last state of a GRU and unroll a second GRU from it."""

    def __init__(self, d=2, k=8, hidden=48, forcing=True):
        super().__init__()
        self.reader = nn.GRU(d, hidden, batch_first=True)
        self.bottleneck = nn.Linear(hidden, k)
        self.start = nn.Linear(k, hidden)
        self.writer = nn.GRU(d, hidden, batch_first=True)
        self.out = nn.Linear(hidden, d)
        self.forcing = forcing

    def encode(self, x: Tensor) -> Tensor:
        return self.bottleneck(self.reader(x)[1][0])

    def forward(self, x: Tensor) -> Tensor:
        state = torch.tanh(self.start(self.encode(x)))[None]
        before = F.pad(x[:, :-1], (0, 0, 1, 0))  # the series, one step late
        fed = before if self.forcing else torch.zeros_like(before)
        return self.out(self.writer(fed, state)[0])


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.6)
def decoder_always_fed_the_true_value_before(seed, fixed):
    """Feed a GRU decoder the true previous value at each step, also when judging."""
    x = tides(1024, seed)
    model = SeriesCoder(forcing=not fixed)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 5e-3),
    }
    train(case, 250)
    return case
