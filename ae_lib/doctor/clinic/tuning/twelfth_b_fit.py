"""Eighth part, b: steps too large, codes too narrow, training cut short, features."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import neighbours, train
from ae_lib.doctor.clinic.parts import AE, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    bends,
    cells,
    epochs,
    marks,
    shafts,
    skies,
)


@faulty("step.too-large", steps=200, bar=0.5)
def momentum_added_at_the_old_rate(seed, fixed):
    """Add a momentum of 0.98 to SGD and keep the rate of 0.5 from before."""
    x = bends(1024, seed, d=24, rank=5)
    model = dense((24,), (64,), k=6, act=nn.Tanh, last=None)
    rate = 0.01 if fixed else 0.5
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=rate, momentum=0.98),
    }


class Micrograph(nn.Module):
    """Compress a micrograph with normalised strided layers."""

    def __init__(self, k=12):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 512),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, 1, 1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 1, 3, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


@faulty("step.too-large", steps=160, bar=0.4)
def adam_at_a_rate_meant_for_sgd(seed, fixed):
    """Change from SGD to Adam and keep the rate of a tenth."""
    x = cells(640, seed)
    model = Micrograph()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda output, target: F.binary_cross_entropy(output[0], target),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3 if fixed else 0.1),
    }


@faulty("code.too-small", steps=400, bar=0.75)
def two_units_because_a_plot_has_two_axes(seed, fixed):
    """Take two code units to plot them, for records with nine separate causes."""
    x = bends(1024, seed, d=36, rank=9, bend=0.5)
    model = dense((36,), (96, 48), k=10 if fixed else 2, act=nn.LeakyReLU, last=None)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@faulty("code.too-small", steps=0, bar=0.6)
def one_channel_left_after_three_poolings(seed, fixed):
    """Halve the map three times and leave it one channel: four numbers an image."""
    x = (skies(768, seed) - 0.5) / 0.25
    k = 8 if fixed else 1
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 24, 3, 1, 1),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(4),
        nn.Conv2d(24, k, 1),  # (B, k, 2, 2)
        nn.ConvTranspose2d(k, 32, 4, 4),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(32, 3, 2, 2),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
    }
    train(case, 200)
    return case


@faulty("fit.undertrained", steps=0, bar=0.8)
def stopped_after_four_epochs(seed, fixed):
    """Train for the four epochs of a tutorial that had a hundred times the data."""
    x = shafts(960, seed, t=24, c=3).flatten(1)
    x = (x - x.mean(0)) / x.std(0)
    model = dense((72,), (128,), k=8, act=nn.ReLU, last=None)
    case = {
        "model": model,
        "batches": loader(x[:832], batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-4),
    }
    history = epochs(case, 60 if fixed else 4, x[832:])
    return {**case, "history": history, "eval_batches": [x[832:]]}


@faulty("fit.undertrained", steps=0, bar=0.82)
def stopped_once_an_epoch_gains_too_little(seed, fixed):
    """Stop as soon as an epoch gains less than 0.08, though every epoch gains."""
    x = bends(1024, seed, d=30, rank=7)
    model = dense((30,), (80,), k=9, act=nn.SiLU, last=None)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-4)
    case = {
        "model": model,
        "batches": loader(x[:896], batch_size=128, seed=seed),
        "optimizer": optimizer,
    }
    history = {"train_loss": [], "val_loss": []}
    delta, best = 1e-4 if fixed else 0.08, 9.0
    for _ in range(150):
        new = epochs(case, 1, x[896:])
        for name, losses in new.items():
            history[name] += losses
        if history["val_loss"][-1] > best - delta:
            break
        best = history["val_loss"][-1]
    return {**case, "history": history, "eval_batches": [x[896:]]}


class Loud(nn.Module):
    """Give the decoder the brightness of the image along with the learned code."""

    def __init__(self, gain, k=10):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), *stack((64, 96)), nn.Linear(96, k))
        self.decoder = nn.Sequential(
            *stack((k + 1, 96)), nn.Linear(96, 64), nn.Sigmoid()
        )
        self.gain = gain

    def encode(self, x):
        bright = x.flatten(1).mean(1, keepdim=True)
        return torch.cat([self.net(x), self.gain * bright], 1)

    def forward(self, x):
        z = self.encode(x)
        scaled = torch.cat([z[:, :-1], z[:, -1:] / self.gain], 1)
        return {"x_hat": self.decoder(scaled).view_as(x), "z": z}


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.8)
def one_feature_in_units_of_its_own(seed, fixed):
    """Append the brightness in raw units to the code and hand it on unscaled."""
    x, y = digits(1024, seed, size=8)
    model = Loud(1.0 if fixed else 2000.0)
    case = {
        "model": model,
        "batches": list(zip(x.split(64), y.split(64), strict=True)),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "labels": y,
    }
    train(case, 400)
    return case


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.6)
def light_across_the_image_fills_the_code(seed, fixed):
    """Learn features of faint signs from images that mostly differ in their light."""
    x, y = marks(1024, seed)
    if fixed:
        axis = torch.linspace(-1, 1, 16)
        v, u = torch.meshgrid(axis, axis, indexing="ij")
        plane = torch.stack([torch.ones(256), u.flatten(), v.flatten()], 1)
        flat = x.flatten(1)
        fit = flat @ torch.linalg.pinv(plane).t() @ plane.t()
        x = ((flat - fit) / (flat - fit).std()).view_as(x)
    encoder = nn.Sequential(
        nn.Flatten(), *stack((256, 128), nn.GELU), nn.Linear(128, 6)
    )
    decoder = nn.Sequential(
        *stack((6, 128), nn.GELU), nn.Linear(128, 256), nn.Unflatten(1, (1, 16, 16))
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": list(zip(x.split(64), y.split(64), strict=True)),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "labels": y,
    }
    train(case, 500)
    return case
