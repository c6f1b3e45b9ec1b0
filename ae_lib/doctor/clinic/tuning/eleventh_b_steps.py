"""Seventh part, b: the size of the step, and steps that end in NaN."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_b_material import (
    discs,
    made,
    peaks,
    sensors,
    skies,
    survey,
)


@faulty("step.too-large", steps=120, bar=0.6)
def adam_with_the_rate_of_sgd(seed, fixed):
    """Change the optimizer from SGD to Adam and keep the learning rate of 0.3."""
    model = conv((3, 16, 16), 24, width=12, act=nn.ReLU)
    data = loader(patches(512, seed), batch_size=32, seed=seed)
    optimizer = adam(model, 2e-3 if fixed else 0.3)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-large", steps=250, bar=0.6)
def summed_squares_under_sgd(seed, fixed):
    """Sum the squared error over a batch and keep the step chosen for its mean."""
    x = survey(640, seed)
    model = dense((30,), (48,), 8, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(model.parameters(), 5e-4 if fixed else 0.1)

    def loss(recon, target):
        return F.mse_loss(recon, target, reduction="sum")

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": optimizer}


class Windows(nn.Module):
    """Read a window with an LSTM and write it back with a dense layer."""

    def __init__(self, t, c, hidden=40, k=12):
        super().__init__()
        self.lstm = nn.LSTM(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.write = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, t * c))

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.write(self.code(h[:, -1])).view_as(x)


@faulty("step.too-large", steps=200, bar=0.4)
def rmsprop_in_a_hurry(seed, fixed):
    """Take RMSprop with a rate of 0.2 for an LSTM because training seemed slow."""
    x = sensors(512, seed, t=18, c=2)
    model = Windows(18, 2)
    optimizer = torch.optim.RMSprop(model.parameters(), 3e-3 if fixed else 0.2)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.l1_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


@faulty("step.too-small", accepts=("fit.undertrained",), steps=150, bar=0.5)
def rate_copied_from_fine_tuning(seed, fixed):
    """Train from scratch with the learning rate of a fine-tuning recipe."""
    x, y = digits(640, seed, size=16)
    model = conv((1, 16, 16), 20, width=12, act=nn.SiLU)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3 if fixed else 1e-6)
    data = loader(x, y, batch_size=64, seed=seed)
    case = {"model": model, "batches": data, "loss": nn.BCELoss()}
    return {**case, "optimizer": optimizer}


@faulty("step.too-small", accepts=("fit.undertrained",), steps=500, bar=0.4)
def plain_sgd_on_a_mean_over_pixels(seed, fixed):
    """Descend the mean squared error of small images by SGD at a rate of 1e-3."""
    x = skies(640, seed, size=12)
    model = dense((3, 12, 12), (96,), 12, act=nn.ReLU, last=None)
    if fixed:
        optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)
    else:
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    data = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-small", steps=250, bar=0.6)
def gradients_clipped_to_nothing(seed, fixed):
    """Clip the gradient norm to 1e-4 in front of SGD, to be on the safe side."""
    x = peaks(640, seed, width=0.12)
    encoder = nn.Sequential(*stack((48, 64), nn.ELU), nn.Linear(64, 6))
    decoder = nn.Sequential(*stack((6, 64), nn.ELU), nn.Linear(64, 48))
    model = AE(encoder, decoder)
    optimizer = torch.optim.SGD(model.parameters(), 0.3, momentum=0.9)

    def train_step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0 if fixed else 1e-4)
        optimizer.step()
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "step": train_step}
    return {**case, "optimizer": optimizer}


@faulty("step.nonfinite", steps=200, bar=0.4)
def root_of_the_error_of_padding(seed, fixed):
    """Take the root of the error of every time step of windows padded with zeros."""
    x = sensors(512, seed, t=20, c=2)
    length = torch.randint(10, 21, (512, 1), generator=made(seed))
    mask = (torch.arange(20) < length).float().unsqueeze(2)
    x = x * mask
    model = Windows(20, 2)

    def loss(recon, target):
        seen = (target != 0).any(2, keepdim=True)
        error = (recon * seen - target).square().sum(2)
        error = (error + 1e-8).sqrt() if fixed else error.sqrt()
        return error.sum() / seen.sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 4e-3)}


class Contrast(nn.Module):
    """Remove mean and contrast of every image, and put them back at the end."""

    def __init__(self, inner, eps):
        super().__init__()
        self.inner, self.eps = inner, eps

    def forward(self, x):
        mean = x.mean((1, 2, 3), keepdim=True)
        std = x.std((1, 2, 3), keepdim=True)
        return self.inner((x - mean) / (std + self.eps)) * std + mean


@faulty("step.nonfinite", steps=150, bar=0.5)
def blank_images_divided_by_their_contrast(seed, fixed):
    """Divide every image by its own deviation although some images are blank."""
    x = discs(512, seed)
    blank = torch.randperm(512, generator=made(seed))[:40]
    x[blank] = 0.0
    inner = conv((1, 16, 16), 16, width=8, last=None)
    model = Contrast(inner, 1e-5 if fixed else 0.0)
    data = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}


@faulty("step.too-small", steps=200, bar=0.4)
def decay_of_the_rate_every_batch(seed, fixed):
    """Call scheduler.step() after every batch with a decay meant for epochs."""
    x, _ = scenes(512, seed)
    model = conv((3, 16, 16), 32, width=12, act=nn.LeakyReLU)
    optimizer = adam(model, 2e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    done = []

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy(model(batch), batch)
        loss.backward()
        optimizer.step()
        done.append(1)
        if not fixed or len(done) % 16 == 0:
            scheduler.step()
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}
