"""Healthy programs that look suspicious, after training."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.material import (
    blobs,
    by_column,
    cells,
    grey,
    spectra,
)
from ae_lib.doctor.clinic.tuning.third_fit import in_order, logbook


def trained(case, steps):
    """Train a case and hand it back."""
    train(case, steps)
    return case


@healthy(steps=0)
def two_hundred_pictures(seed):
    """Train on 200 pictures; the validation loss is higher, but never turns."""
    x = blobs(280, seed)
    model = conv((1, 20, 20), 8, act=nn.ELU, width=8, last=None)
    case = {"model": model, "batches": loader(x[:200], batch_size=25, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    history = logbook(case, 30, x[200:])
    return {**case, "history": history, "eval_batches": [x[200:]]}


@healthy(steps=0)
def entropy_at_its_floor(seed):
    """Train grey values by cross entropy: the loss has settled at 0.6, its floor."""
    x = grey(448, seed)
    model = conv((1, 20, 20), 32, act=nn.ELU)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"loss": nn.BCELoss(), "optimizer": adam(model, 3e-3)}
    train_loss = []
    for _ in range(25):
        losses = train(case, 14)
        train_loss.append(sum(losses) / len(losses))
    return {**case, "history": {"train_loss": train_loss}}


@healthy(steps=0)
def one_cycle_is_over(seed):
    """Let the rate rise and fall in one cycle; at its end it is 4e-8."""
    x = by_column(cells(seed)[0])
    model = dense((30,), (64,), 8, act=nn.SiLU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, 360)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        if schedule.last_epoch < 360:
            schedule.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    history = {"train_loss": []}
    for _ in range(20):
        losses = train({**case, "step": step}, 18)
        history["train_loss"].append(sum(losses) / len(losses))
    return {**case, "optimizer": optimizer, "history": history}


@healthy(steps=0)
def warm_restarts(seed):
    """Restart the rate four times: the history has jumps, and comes down."""
    x, _ = digits(640, seed, size=12)
    model = dense((1, 12, 12), (128,), 20, act=nn.ELU)
    optimizer = adam(model, 5e-3)
    rule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 6)
    case = {"model": model, "batches": loader(x[:512], batch_size=32, seed=seed)}
    case |= {"optimizer": optimizer}
    history = {"train_loss": [], "val_loss": []}
    for _ in range(24):
        epoch = logbook(case, 1, x[512:])
        history = {key: history[key] + epoch[key] for key in history}
        rule.step()
    return {**case, "history": history, "eval_batches": [x[512:]]}


@healthy(steps=0)
def woven_pictures(seed):
    """Reconstruct cloth whose threads are two pixels apart: a pattern of its own."""
    thread = torch.tensor([1.0, 0.6]).repeat(10)
    x = grey(448, seed) * thread[:, None] * thread
    model = conv((1, 20, 20), 32, act=nn.ELU)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return trained({**case, "optimizer": adam(model, 3e-3)}, 250)


class Rectified(AE):
    """Return the reconstruction and a code of positive numbers."""

    def encode(self, x):
        return F.relu(self.encoder(x))

    def forward(self, x):
        z = self.encode(x)
        return {"x_hat": self.decode(z), "z": z}


@healthy(steps=0)
def dictionary_four_times_as_wide(seed):
    """Code spectra by few of 256 atoms: wider than the data, kept sparse by L1."""
    model = Rectified(nn.Linear(96, 256), nn.Linear(256, 96))

    def loss(output, target):
        return F.mse_loss(output["x_hat"], target) + 3e-3 * output["z"].mean()

    data = loader(spectra(640, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return trained({**case, "optimizer": adam(model)}, 500)


@healthy(steps=0)
def three_units_at_rest(seed):
    """Fit cells by a VAE of ten units; some have nothing left to say."""
    model = conv_vae((1, 20, 20), 10)
    data = loader(blobs(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.03)}
    return trained({**case, "optimizer": adam(model, 3e-3)}, 400)


@healthy(steps=0)
def a_little_darker_outside(seed):
    """Judge scenes that are a tenth darker than those of the training."""
    x, _ = scenes(576, seed)
    model = conv((3, 16, 16), 32, act=nn.SiLU)
    case = {"model": model, "batches": loader(x[:480], batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3), "eval_batches": [0.9 * x[480:]]}
    return trained(case, 200)


@healthy(steps=0, measure=measures.neighbours, bar=0.8)
def ten_features_for_digits(seed):
    """Use a code of ten as features of digits, with labels."""
    x, y = digits(960, seed, size=12)
    model = conv((1, 12, 12), 10, act=nn.SiLU)
    case = {"model": model, "batches": in_order(x, y), "labels": y}
    return trained({**case, "optimizer": adam(model, 3e-3)}, 300)


@healthy(steps=0)
def linear_after_all(seed):
    """Train a linear network to the end: it is PCA, and meant to be."""
    x = by_column(cells(seed)[0])
    model = AE(nn.Linear(30, 7), nn.Linear(7, 30))
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return trained({**case, "optimizer": adam(model, 5e-3)}, 400)
