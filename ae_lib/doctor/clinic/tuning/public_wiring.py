"""Mistakes rebuilt from public questions and merged fixes: the wiring.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import VAE, adam, conv, dense, elbo, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import spectra


class Listed(nn.Module):
    """Keep the layers of the encoder in a plain list, or in a ModuleList."""

    def __init__(self, registered):
        super().__init__()
        down = [nn.Linear(256, 96), nn.Linear(96, 48), nn.Linear(48, 10)]
        self.down = nn.ModuleList(down) if registered else down
        self.up = dense((1, 16, 16), (48, 96), 10).decoder

    def encode(self, x):
        x = x.flatten(1)
        for layer in self.down[:-1]:
            x = F.relu(layer(x))
        return self.down[-1](x)

    def forward(self, x):
        return self.up(self.encode(x))


# Source: https://github.com/pytorch/pytorch/issues/715
@faulty("wiring.unoptimised", steps=300, bar=0.3)
def layers_in_a_list(seed, fixed):
    """Append the layers of the encoder to a list, which nn.Module does not see."""
    x, _ = digits(640, seed, size=16)
    model = Listed(fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Sampled(VAE):
    """Draw the code by a call that does not pass gradients on."""

    through = False

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h).clamp(-8, 4)
        normal = torch.distributions.Normal(mu, (0.5 * logvar).exp())
        z = normal.rsample() if self.through else normal.sample()
        return self.decoder(z), mu, logvar


# Source: https://github.com/Unity-Technologies/ml-agents/pull/5546
@faulty("wiring.no-gradient", steps=250, bar=0.3)
def drawn_without_the_trick(seed, fixed):
    """Draw the code from a normal distribution without the reparametrisation."""
    plain = dense((3, 16, 16), (128,), 10, act=nn.ELU)
    model = Sampled(plain.encoder[:-1], plain.decoder, 128, 10)
    model.through = fixed
    data = loader(scenes(448, seed)[0], batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.05)}
    return {**case, "optimizer": adam(model)}


def loop(optimizer, clear):
    """Return a training step that clears the gradients at the named moment."""

    def step(model, batch):
        x = batch[0] if isinstance(batch, list) else batch
        loss = F.mse_loss(model(x), x)
        if clear == "before":
            optimizer.zero_grad()
        loss.backward()
        if clear == "after":
            optimizer.zero_grad()
        optimizer.step()
        return loss.item()

    return step


# Source: https://github.com/IBM/aihwkit/issues/446
# Source: https://github.com/wenet-e2e/wekws/pull/73
@faulty("wiring.zero-grad", steps=500, bar=0.4)
def gradients_never_cleared(seed, fixed):
    """Leave zero_grad out: the loss falls, rises, falls and rises."""
    model = dense((96,), (64,), 10, act=nn.Tanh, last=None)
    optimizer = sgd(model, 1.0)
    step = loop(optimizer, "before" if fixed else "never")
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


# Source: https://github.com/cloneofsimo/lora/issues/263
@faulty("wiring.zero-grad", bar=0.4)
def cleared_before_the_step(seed, fixed):
    """Call zero_grad between backward and step, which then moves nothing."""
    x, y = digits(512, seed, size=12)
    model = conv((1, 12, 12), 16, act=nn.SiLU)
    optimizer = adam(model, 4e-3)
    step = loop(optimizer, "before" if fixed else "after")
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


# Source: https://cnblogs.com/rabitvision/p/13721067.html
@faulty("wiring.mode", steps=0, bar=0.4)
def momentum_in_the_other_sense(seed, fixed):
    """Give batch norm a momentum of 1e-4: its running statistics hardly move."""
    model = conv((3, 16, 16), 24, norm=True)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1 if fixed else 1e-4
    case = {"model": model, "batches": loader(patches(384, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 150)
    return case


class Lazy(nn.Module):
    """Decode with or without the features of the first layer beside the code."""

    def __init__(self, skip):
        super().__init__()
        inner = conv((3, 16, 16), 8, width=8, last=None)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ELU())
        self.encoder, self.bottleneck = inner.encoder[:-1], inner.encoder[-1]
        self.decoder = inner.decoder
        self.last = nn.Conv2d(11 if skip else 3, 3, 3, 1, 1)
        self.skip = skip

    def forward(self, x):
        out = self.decoder(self.bottleneck(self.encoder(x)))
        if self.skip:
            out = torch.cat([out, self.first(x)], 1)
        return self.last(out)


# Source: https://github.com/lgvaz/faststyle/issues/5
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def lazy_unet(seed, fixed):
    """Compress by a U-Net, whose outermost skip copies the picture."""
    model = Lazy(not fixed)
    case = {"model": model, "batches": loader(scenes(448, seed)[0], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case
