"""Steps that are far too large or far too small."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, elbo
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import bumps, chords, spectra


@faulty("step.too-large", accepts=("signal.dead-units",), steps=120, bar=0.35)
def rmsprop_with_the_rate_of_sgd(seed, fixed):
    """Exchange SGD for RMSprop and keep its rate of 0.1."""
    x, y = scenes(512, seed)
    model = conv((3, 16, 16), 24, width=8)
    optimizer = torch.optim.RMSprop(model.parameters(), 0.001 if fixed else 0.1)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


@faulty("step.too-large", accepts=("loss.scale", "step.nonfinite"), steps=200, bar=0.3)
def summed_with_the_rate_of_the_mean(seed, fixed):
    """Change the reduction of the loss to "sum" and keep the rate of SGD."""
    model = dense((32,), (64,), 8, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(
        model.parameters(), 0.2 / (2048 if fixed else 1), momentum=0.5
    )

    def loss(output, target):
        return F.mse_loss(output, target, reduction="sum")

    data = loader(table(512, seed, d=32), seed=seed)
    return {"model": model, "batches": data, "loss": loss, "optimizer": optimizer}


@faulty("step.too-large", steps=240, bar=0.4)
def cyclic_up_to_one(seed, fixed):
    """Let CyclicLR swing the rate of Adam between 0.001 and 1."""
    model = dense((48,), (64,), 8, act=nn.ELU)
    optimizer = adam(model, 1e-3)
    cycle = torch.optim.lr_scheduler.CyclicLR(
        optimizer, 1e-3, 0.005 if fixed else 1.0, 40, cycle_momentum=False
    )

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
        return loss.item()

    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("step.too-large", steps=200, bar=0.2)
def decoder_at_a_rate_of_one_tenth(seed, fixed):
    """Give the decoder a group of its own with lr=3e-1 where 3e-3 was meant."""
    model = dense((48,), (64, 64), 8)
    optimizer = torch.optim.Adam(
        [
            {"params": model.encoder.parameters(), "lr": 1e-3},
            {"params": model.decoder.parameters(), "lr": 3e-3 if fixed else 3e-1},
        ]
    )
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


# See: https://blog.keras.io/building-autoencoders-in-keras.html
@faulty("step.too-small", steps=600, bar=0.2)
def adadelta_with_the_rate_of_keras(seed, fixed):
    """Port a tutorial with Adadelta and take lr=0.001, the default of Keras."""
    x, y = digits(1024, seed, size=8)
    model = dense((1, 8, 8), (48,), 24)
    optimizer = torch.optim.Adadelta(model.parameters(), 1.0 if fixed else 0.001)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return {**case, "loss": nn.BCELoss(), "optimizer": optimizer}


# Asked: https://github.com/leftthomas/SRGAN/issues/94
@faulty("step.too-small", steps=320, bar=0.5)
def decayed_after_every_batch(seed, fixed):
    """Call scheduler.step() after each batch with a decay meant for epochs."""
    model = dense((64,), (96,), 12, act=nn.SiLU, last=None)
    optimizer = adam(model, 1e-3)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85)
    count = iter(range(1, 10**9))

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        if not fixed or next(count) % 64 == 0:
            decay.step()
        return loss.item()

    data = loader(chords(2048, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("step.too-small", steps=300, bar=0.6)
def clipped_to_a_thousandth(seed, fixed):
    """Clip the norm of the gradients to 1e-3 before a step of SGD."""
    model = dense((24,), (64,), 8, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0 if fixed else 1e-3)
        optimizer.step()
        return loss.item()

    data = loader(table(512, seed, d=24), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("step.too-small", steps=80, bar=0.5)
def fine_tuning_rate_from_scratch(seed, fixed):
    """Train a clip autoencoder from scratch with lr=2e-6 and AdamW."""
    light = bumps(256, seed, 12)
    clips = torch.stack([light.roll(t, -1) for t in range(4)], 2)  # (B, 1, 4, 12, 12)
    encoder = nn.Sequential(
        nn.Conv3d(1, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(576, 12)
    )
    decoder = nn.Sequential(
        nn.Linear(12, 576),
        nn.ReLU(),
        nn.Linear(576, 576),
        nn.Unflatten(1, (1, 4, 12, 12)),
    )
    model = AE(encoder, decoder)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3 if fixed else 2e-6)
    data = loader(clips, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-large", accepts=("vae.logvar", "step.nonfinite"), steps=150, bar=0.3)
def vae_with_a_rate_of_a_tenth(seed, fixed):
    """Train a small VAE with Adagrad at lr=1, as it stood for a linear model."""
    x, _ = digits(512, seed, size=8)
    model = dense_vae((1, 8, 8), 64, 8)
    optimizer = torch.optim.Adagrad(model.parameters(), 0.03 if fixed else 1.0)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    return {**case, "loss": elbo(1.0, 0.05)}
