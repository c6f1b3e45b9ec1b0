"""Eighth part, c: faults of the loop, of the step and of the weights of a loss."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, kl, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    gait,
    landscapes,
    machine,
    process,
    songs,
    tones,
)


class Waves(nn.Module):
    """Code notes with strided 1-d convolutions; Gaussian where asked."""

    def __init__(self, c=1, t=64, k=8, width=16, gaussian=False):
        super().__init__()
        wide, self.gaussian = width * t // 8, gaussian
        self.encoder = nn.Sequential(
            nn.Conv1d(c, width, 8, 4, 2),
            nn.LeakyReLU(0.1),
            nn.Conv1d(width, width, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
        )
        self.mean = nn.Linear(wide, k)
        self.spread = nn.Linear(wide, k) if gaussian else None
        self.decoder = nn.Sequential(
            nn.Linear(k, wide),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (width, t // 8)),
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose1d(width, c, 8, 4, 2),
        )

    def forward(self, x):
        h = self.encoder(x)
        mu = self.mean(h)
        if not self.gaussian:
            return self.decoder(mu)
        logvar = self.spread(h)
        z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
        return {"recon": self.decoder(z), "mu": mu, "logvar": logvar}


@faulty("loss.scale", accepts=("vae.collapse",), steps=300, bar=0.5)
def notes_averaged_and_divergence_summed_over_the_batch(seed, fixed):
    """Average the error over batch and time but sum the divergence over the batch."""
    x = 2 * tones(1024, seed)
    model = Waves(gaussian=True)

    def loss(out, target):
        if fixed:
            error = (out["recon"] - target).square().flatten(1).sum(1).mean()
            return error / 0.1 + kl(out["mu"], out["logvar"]).sum(1).mean()
        return F.mse_loss(out["recon"], target) + kl(out["mu"], out["logvar"]).sum()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


@faulty("loss.scale", steps=250, bar=0.6)
def roughness_summed_while_the_error_is_averaged(seed, fixed):
    """Add the summed roughness in time of the output to the mean error, as a prior."""
    x = machine(1024, seed)
    model = Waves(4, 32)
    over = "mean" if fixed else "sum"

    def loss(out, target):
        rough = out[..., 1:] - out[..., :-1]
        prior = F.mse_loss(rough, torch.zeros_like(rough), reduction=over)
        return F.mse_loss(out, target) + 0.1 * prior

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


@faulty("wiring.zero-grad", steps=400, bar=0.75)
def cleared_before_each_of_eight_small_batches(seed, fixed):
    """Gather gradients of eight batches for a step, but clear them in each batch."""
    x, _ = gait(1024, seed)
    model, parts, seen = dense((3, 32), k=8, act=nn.ELU, last=None), 8, [0]
    optimizer = sgd(model, 0.5, momentum=0.9)

    def step(model, batch):
        first = seen[0] % parts == 0
        if first or not fixed:
            optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        (loss / parts).backward()
        seen[0] += 1
        if seen[0] % parts == 0:
            optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=16, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@faulty("wiring.zero-grad", steps=300, bar=0.6)
def gradients_of_the_average_cleared_instead(seed, fixed):
    """Keep a moving average of the model, and clear the gradients of the average."""
    x = process(1024, seed)
    model = dense((20,), hidden=(64,), k=5, act=nn.Tanh, last=None)
    average = copy.deepcopy(model)
    optimizer = sgd(model, 0.1, momentum=0.9)

    def step(model, batch):
        (model if fixed else average).zero_grad()
        loss = F.huber_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.02)
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": F.huber_loss,
        "step": step,
        "optimizer": optimizer,
    }


@faulty("step.too-small", steps=300, bar=0.3)
def adadelta_at_a_thousandth(seed, fixed):
    """Follow an old tutorial with Adadelta at a rate of 0.001 instead of 1."""
    x = songs(896, seed)
    model = conv((1, 16, 16), k=16, last=None)
    rate = 1.0 if fixed else 1e-3
    return {
        "model": model,
        "batches": loader(x[:768], seed=seed),
        "eval_batches": [x[768:]],
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adadelta(model.parameters(), lr=rate),
    }


@faulty("step.too-small", steps=0, bar=0.5)
def rate_decayed_every_batch_instead_of_every_epoch(seed, fixed):
    """Multiply the rate by 0.9 after every batch, where every epoch was meant."""
    x = landscapes(768, seed)
    model = dense((3, 16, 16), k=10, act=nn.SiLU)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    data, seen = loader(x, batch_size=32, seed=seed), [0]

    def step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        loss = F.l1_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        seen[0] += 1
        if not fixed or seen[0] % len(data) == 0:
            schedule.step()
        return loss.item()

    case = {"model": model, "batches": data, "loss": F.l1_loss, "step": step}
    case["optimizer"] = optimizer
    train(case, 192)
    return case


class Dilated(nn.Module):
    """Widen the view with dilated convolutions before and after a narrow code."""

    def __init__(self, fixed, c=4, width=24, k=2):
        super().__init__()
        self.down = nn.Conv1d(c, width, 4, 4)
        self.code, self.open = nn.Conv1d(width, k, 1), nn.Conv1d(k, width, 1)
        layers = [nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (1, 2)]
        back = [nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (2, 1)]
        self.up = nn.ConvTranspose1d(width, c, 4, 4)
        wrap = nn.ModuleList if fixed else list
        self.layers, self.back = wrap(layers), wrap(back)

    def forward(self, x):
        h = F.relu(self.down(x))
        for layer in self.layers:
            h = F.relu(layer(h))
        h = F.relu(self.open(self.code(h)))
        for layer in self.back:
            h = F.relu(layer(h))
        return self.up(h)


@faulty("wiring.unoptimised", steps=150, bar=0.6)
def dilated_layers_in_a_python_list(seed, fixed):
    """Keep the dilated layers of a temporal network in a plain list."""
    x = machine(1024, seed)
    model = Dilated(fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model),
    }


class Rounded(nn.Module):
    """Send whole numbers from -4 to 4 as the code of a note."""

    def __init__(self, through, k=12):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.GELU())
        self.code = nn.Linear(96, k)
        self.decoder = nn.Sequential(nn.Linear(k, 96), nn.GELU(), nn.Linear(96, 64))
        self.through = through

    def forward(self, x):
        z = 4 * torch.tanh(self.code(self.encoder(x)))
        q = z + (z.round() - z).detach() if self.through else z.round()
        return self.decoder(q).unsqueeze(1)


@faulty("wiring.no-gradient", steps=300, bar=0.8)
def code_rounded_without_a_way_for_the_gradient(seed, fixed):
    """Round the code to whole numbers, whose gradient is zero, to send it cheaply."""
    x = 2 * tones(1024, seed)
    model = Rounded(through=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
