"""Ninth part, b: steps, starting weights and plateaus that are wrong."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, standardise, table, waves
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    clouds,
    currents,
    glyphs,
    stations,
    terrain,
    weave,
)


@faulty("wiring.zero-grad", steps=250, bar=0.5)
def encoder_alone_is_cleared(seed, fixed):
    """Clear the gradients of the encoder and forget those of the decoder."""
    x = stations(800, seed)
    model = dense((24,), (64,), 8, nn.Tanh, last=None)
    optimizer = sgd(model, 0.1, momentum=0.9)

    def step(model, batch):
        model.encoder.zero_grad()
        if fixed:
            model.decoder.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, batch_size=16, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("wiring.zero-grad", steps=150, bar=0.4)
def gradients_logged_and_thrown_away(seed, fixed):
    """Write down the norm of each gradient, clear them for the next, and then step."""
    x = clouds(640, seed, size=12)
    model, norms = conv((3, 12, 12), 24, width=8, act=nn.GELU), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)

    def log(model):
        norms.append({n: p.grad.norm().item() for n, p in model.named_parameters()})
        if not fixed:
            model.zero_grad()

    def training_step(model, images):
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(images), images)
        loss.backward()
        log(model)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.smooth_l1_loss,
        "optimizer": optimizer,
        "step": training_step,
    }


class Slope(nn.Module):
    """Apply a sigmoid of some slope."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, h):
        return torch.sigmoid(self.slope * h)


@faulty("signal.saturated", steps=250, bar=0.5)
def hash_bits_from_a_steep_sigmoid(seed, fixed):
    """Sharpen the sigmoid of a hash code a hundredfold from the first step on."""
    x, kind = glyphs(768, seed, size=12)
    plain = dense((1, 12, 12), (96,), 12)
    encoder = nn.Sequential(
        *plain.encoder[:-1],
        nn.LayerNorm(96),
        plain.encoder[-1],
        Slope(1.0 if fixed else 100.0),
    )
    model = AE(encoder, plain.decoder)
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Summed(nn.Module):
    """Give each moment of a window an embedding of its own, and gather them all."""

    def __init__(self, t, c, gather, k=12):
        super().__init__()
        self.embed = nn.Parameter(torch.randn(t, c, k))
        self.gather = gather
        self.out = nn.Sequential(nn.Linear(k, 64), nn.Tanh(), nn.Linear(64, t * c))

    def encode(self, x):
        moments = torch.einsum("btc,tck->btk", x, self.embed)
        return torch.tanh(self.gather(moments, 1))

    def forward(self, x):
        return self.out(self.encode(x)).view_as(x)


@faulty("signal.saturated", accepts=("signal.init-scale",), steps=200, bar=0.7)
def moments_summed_ahead_of_a_tanh(seed, fixed):
    """Sum the embeddings of ninety-six moments where their average was meant."""
    x = torch.stack([waves(1000, 3 * seed + i, d=96) for i in range(3)], 2)
    x = standardise(x)
    model = Summed(96, 3, torch.mean if fixed else torch.sum)
    return {
        "model": model,
        "batches": loader(x[:800], batch_size=32, seed=seed),
        "eval_batches": [x[800:]],
        "optimizer": adam(model, 3e-3),
    }


def recipe(spread):
    """Return what sets the weights of linear layers; He's spread is the default."""

    def start(module):
        if isinstance(module, nn.Linear):
            usual = (2 / module.in_features) ** 0.5
            nn.init.normal_(module.weight, 0.0, spread or usual)
            nn.init.zeros_(module.bias)

    return start


@faulty("signal.init-scale", steps=200, bar=0.35)
def weights_of_a_recipe_for_wide_convolutions(seed, fixed):
    """Start a deep narrow dense network with normal weights of spread 0.02."""
    x = standardise(currents(900, seed, t=40))
    model = AE(
        nn.Sequential(*stack((40, 32, 24, 16)), nn.Linear(16, 6)),
        nn.Sequential(*stack((6, 16, 24, 32)), nn.Linear(32, 40)),
    )
    model.apply(recipe(None if fixed else 0.02))
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": sgd(model, 0.05, momentum=0.9),
    }


class ByHand(nn.Module):
    """Multiply by weight matrices that are made by hand."""

    def __init__(self, make, widths=(20, 64, 8, 64, 20)):
        super().__init__()
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.weights = nn.ParameterList(make(a, b) for a, b in pairs)
        self.biases = nn.ParameterList(torch.zeros(b) for b in widths[1:])

    def forward(self, x):
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ w + b
            x = x if i in (1, 3) else F.elu(x)
        return x


@faulty("signal.init-scale", steps=300, bar=0.3)
def matrices_of_plain_normal_numbers(seed, fixed):
    """Fill weight matrices with plain randn, not divided by the root of the width."""
    x = table(900, seed)

    def make(a, b):
        return torch.randn(a, b) * (a**-0.5 if fixed else 1.0)

    model = ByHand(make)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 2e-3),
    }


@faulty("step.too-small", steps=200, bar=0.4)
def rate_halved_after_every_batch(seed, fixed):
    """Call a scheduler for epochs, which halves at every fifth, after each batch."""
    x, kind = digits(640, seed, size=12)
    model = dense((1, 12, 12), (128,), 16)
    optimizer = adam(model, 2e-3)
    halve = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.5)
    seen = [0]

    def step(model, batch):
        images, _ = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(images), images)
        loss.backward()
        optimizer.step()
        seen[0] += 1
        if not fixed or seen[0] % 20 == 0:
            halve.step()
        return loss.item()

    data = loader(x, kind, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("step.too-small", steps=200, bar=0.4)
def warm_up_longer_than_the_training(seed, fixed):
    """Copy a warm-up of forty thousand steps into a training of a few hundred."""
    x = torch.cat([weave(448, seed, size=12), terrain(448, seed, size=12) / 8 + 0.5])
    model = dense((1, 12, 12), (96,), 20, nn.GELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    long = 40 if fixed else 40000
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min(1.0, (done + 1) / long)
    )

    def step(model, images):
        loss = F.mse_loss(model(images), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm.step()
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}
