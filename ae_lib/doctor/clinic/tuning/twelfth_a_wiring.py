"""Eighth part, a: parameters left out, and modes that differ."""

import copy
from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, elbo
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_a_material import boxes, dial, hills, motors


class Plugged(nn.Module):
    """Give each of several machines its own encoder and share one VAE between them."""

    def __init__(self, d, hidden=64, k=6):
        super().__init__()
        self.expert = nn.Sequential(nn.Linear(d, hidden), nn.ELU())
        self.mean, self.logvar = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.shared = nn.Sequential(
            nn.Linear(k, 16), nn.ELU(), nn.Linear(16, 16), nn.ELU(), nn.Linear(16, d)
        )

    def forward(self, x):
        h = self.expert(x)
        mu, logvar = self.mean(h), self.logvar(h).clamp(-8, 6)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.shared(z), mu, logvar


@faulty("wiring.unoptimised", steps=350, bar=0.5)
def optimizer_of_the_encoding_half(seed, fixed):
    """Chain the parameters of the encoder's parts and forget the shared decoder."""
    x = dial(1024, seed)
    model = Plugged(40)
    parts = [model.expert, model.mean, model.logvar]
    parts += [model.shared] if fixed else []
    parameters = chain.from_iterable(part.parameters() for part in parts)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": elbo(beta=1.0, variance=0.01),
        "optimizer": torch.optim.Adam(parameters, lr=4e-3),
    }


class Dilated(nn.Module):
    """Build the two halves of a series autoencoder in a loop."""

    def __init__(self, kept, c=4, width=24):
        super().__init__()
        down = [nn.Conv1d(c, width, 5, 2, 2), nn.Conv1d(width, 6, 5, 2, 2)]
        up = [nn.ConvTranspose1d(6, width, 4, 2, 1)]
        self.down, self.up = kept(down), kept(up)
        self.last = nn.ConvTranspose1d(width, c, 4, 2, 1)

    def forward(self, x):
        for layer in [*self.down, *self.up]:
            x = F.gelu(layer(x))
        return self.last(x)


@faulty("wiring.unoptimised", steps=250, bar=0.75)
def convolutions_kept_in_a_plain_list(seed, fixed):
    """Collect the layers of a loop in a Python list, which registers nothing."""
    x = motors(896, seed)
    model = Dilated(nn.ModuleList if fixed else list)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
    }


@faulty("wiring.unoptimised", steps=250, bar=0.5)
def decoder_replaced_after_the_optimizer(seed, fixed):
    """Swap in a narrower decoder when the optimizer already holds the old one."""
    x = hills(768, seed, size=16, peaks=3)
    model = conv((1, 16, 16), 24, norm=True)
    new = dense((1, 16, 16), hidden=(32,), k=24).decoder
    if fixed:
        model.decoder = new
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.decoder = new
    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class Shaken(nn.Module):
    """Corrupt the input of a denoising autoencoder inside of its forward."""

    def __init__(self, only_in_training, d=64, k=20):
        super().__init__()
        self.only_in_training = only_in_training
        self.body = dense((d,), hidden=(80,), k=k, act=nn.GELU, last=nn.Sigmoid)

    def forward(self, x):
        flat = x.flatten(1)
        if self.training or not self.only_in_training:
            flat = flat * (torch.rand_like(flat) > 0.45)
        return self.body(flat).view_as(x)


@faulty("wiring.mode", steps=0, bar=0.575)
def masking_that_ignores_the_mode(seed, fixed):
    """Blank nearly half of the pixels inside of the model, also when it is judged."""
    x, y = digits(1400, seed, size=8)
    model = Shaken(only_in_training=fixed)
    case = {"model": model, "batches": loader(x[:1200], y[:1200], seed=seed)}
    case |= {"eval_batches": [x[1200:]], "optimizer": adam(model, 4e-3)}
    train(case, 320)
    return case


@faulty("wiring.mode", steps=0, bar=0.4)
def averaged_weights_without_their_statistics(seed, fixed):
    """Keep a moving average of the parameters only, and judge that copy."""
    x = boxes(640, seed)
    model = conv((3, 16, 16), 32, width=8, norm=True)
    average = copy.deepcopy(model)
    optimizer = adam(model, 4e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 0.05)
        return loss.item()

    data = loader(x[:512], batch_size=32, seed=seed)
    train({"model": model, "batches": data, "step": step}, 110)
    if fixed:
        for kept, new in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(new)
    return {"model": average, "batches": data, "eval_batches": [x[512:]]}


@faulty("wiring.mode", steps=0, bar=0.4)
def preview_of_noise_in_training_mode(seed, fixed):
    """Decode pure noise for a preview after each step without leaving training mode."""
    x = patches(448, seed, size=12)
    model = conv((3, 12, 12), 32, width=8, norm=True)
    optimizer = adam(model, 4e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.train(not fixed)
        with torch.no_grad():
            for _ in range(2):
                model(2 * torch.randn_like(batch))
        model.train()
        return loss.item()

    case = {"model": model, "batches": loader(x[:384], batch_size=32, seed=seed)}
    case |= {"eval_batches": [x[384:]], "optimizer": optimizer, "step": step}
    train(case, 110)
    return case
