"""Healthy programs: gradients of several small batches make one update."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import StepLR

from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.parts import conv, conv_vae, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_frozen import Decoder, Encoder
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import grey


# Asked: https://github.com/karpathy/nanoGPT/issues/168
@healthy(steps=480, bar=0.55)
def update_after_every_fourth_batch(seed):
    """Divide the loss by four and update after every fourth small batch."""
    x, _ = digits(768, seed, 16)
    model = nn.Sequential(Encoder(), Decoder())
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    accumulation_steps, seen = 4, [0]

    def train_step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / accumulation_steps).backward()
        seen[0] += 1
        if seen[0] % accumulation_steps == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=16, seed=seed),
        "optimizer": optimizer,
        "step": train_step,
    }


# Asked: after the list in doctor.md
@healthy(steps=150, bar=0.5)
def batch_cut_into_quarters_for_memory(seed):
    """Cut each batch into four pieces for memory and update once per batch."""
    x = grey(512, seed, 24)
    model = conv((1, 24, 24), k=48, width=10, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def train_step(model, batch):
        optimizer.zero_grad()
        total = 0.0
        for piece in batch.chunk(4):
            loss = F.mse_loss(model(piece), piece) * len(piece) / len(batch)
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": optimizer,
        "step": train_step,
    }


class Trainer:
    """Hold the optimizer, its schedule and the count of small batches."""

    def __init__(self, optimizer, scheduler, accumulate):
        self.optimizer, self.scheduler = optimizer, scheduler
        self.accumulate, self.micro_step = accumulate, 0

    def __call__(self, model, batch):
        x = batch[0]
        loss = F.smooth_l1_loss(model(x), x, beta=0.1) / self.accumulate
        loss.backward()
        self.micro_step += 1
        if self.micro_step == self.accumulate:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.micro_step = 0
        return loss.item() * self.accumulate


# Asked: after the list in doctor.md
@healthy(steps=480, bar=0.45)
def trainer_that_clips_what_it_gathered(seed):
    """Gather four small batches, clip the sum and lower the rate slowly."""
    x, y = scenes(512, seed, 16)
    model = conv((3, 16, 16), k=48, width=12)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    scheduler = StepLR(optimizer, 60, gamma=0.8)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=16, seed=seed),
        "loss": lambda output, target: F.smooth_l1_loss(output, target, beta=0.1),
        "optimizer": optimizer,
        "step": Trainer(optimizer, scheduler, 4),
    }


# Asked: after the list in doctor.md
@healthy(steps=400, bar=0.4)
def variational_model_updated_every_second_batch(seed):
    """Sum the gradients of two half batches of a variational autoencoder."""
    x, _ = digits(1024, seed, 16)
    model = conv_vae((1, 16, 16), k=10, width=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    loss_fn, state = elbo(variance=0.03), {"i": 0}

    def train_step(model, batch):
        if state["i"] % 2 == 0:
            optimizer.zero_grad()
        loss = loss_fn(model(batch), batch)
        (0.5 * loss).backward()
        if state["i"] % 2 == 1:
            optimizer.step()
        state["i"] += 1
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss_fn,
        "optimizer": optimizer,
        "step": train_step,
    }
