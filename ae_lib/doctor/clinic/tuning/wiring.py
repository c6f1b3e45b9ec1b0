"""Faults in the wiring: codes wiring.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, dense, kl, sgd
from ae_lib.doctor.clinic.program import faulty


@faulty("wiring.unoptimised", bar=0.4)
def encoder_parameters_only(seed, fixed):
    """Give the optimizer the encoder and forget the decoder."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    some = model.parameters() if fixed else model.encoder.parameters()
    optimizer = torch.optim.Adam(some, 2e-3)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


class ListOfLayers(nn.Module):
    """Keep the decoder's layers in a list."""

    def __init__(self, registered):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 128), nn.Linear(128, 24)
        layers = [nn.Linear(24, 64), nn.Linear(64, 128), nn.Linear(128, 784)]
        self.up = nn.ModuleList(layers) if registered else layers

    def forward(self, x):
        h = self.fc2(F.relu(self.fc1(x.flatten(1))))
        for layer in self.up[:-1]:
            h = F.relu(layer(h))
        return torch.sigmoid(self.up[-1](h)).view_as(x)


@faulty("wiring.unoptimised", bar=0.4)
def layers_in_a_python_list(seed, fixed):
    """Keep layers in a plain list instead of nn.ModuleList."""
    x, _ = digits(512, seed)
    model = ListOfLayers(fixed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("wiring.unoptimised", bar=0.5)
def optimizer_before_the_new_decoder(seed, fixed):
    """Build the optimizer, then replace the decoder by one with the right size."""
    model = conv((3, 32, 32))
    optimizer = adam(model)
    model.decoder = conv((3, 16, 16), 32).decoder
    model.encoder[-1] = nn.Linear(512, 32)
    if fixed:
        optimizer = adam(model)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("wiring.unoptimised", bar=0.5)
def frozen_and_forgotten(seed, fixed):
    """Leave requires_grad=False on a fresh decoder, from a script for fine-tuning."""
    model = conv((3, 16, 16), 32)
    for parameter in model.decoder.parameters():
        parameter.requires_grad = fixed
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class EncodeWithout(AE):
    """Encode under no_grad."""

    def encode(self, x):
        with torch.no_grad():
            return self.encoder(x)


@faulty("wiring.no-gradient", bar=0.45)
def no_grad_in_encode(seed, fixed):
    """Leave torch.no_grad in encode, which forward uses as well."""
    x, _ = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 12)
    model = inner if fixed else EncodeWithout(inner.encoder, inner.decoder)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class Detached(nn.Module):
    """Detach the code before decoding it."""

    def __init__(self, cut):
        super().__init__()
        inner = conv((3, 16, 16), 8)
        self.enc, self.dec, self.cut = inner.encoder, inner.decoder, cut

    def forward(self, x):
        z = self.enc(x)
        recon = self.dec(z.detach() if self.cut else z)
        return {"recon": recon, "z": z}


@faulty("wiring.no-gradient", bar=0.5)
def detached_code(seed, fixed):
    """Store the code with .detach() and decode the detached one."""
    model = Detached(not fixed)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Rounded(AE):
    """Round the code to whole numbers."""

    straight = False

    def encode(self, x):
        z = 4 * self.encoder(x)
        return z + (z.round() - z).detach() if self.straight else z.round()


@faulty("wiring.no-gradient", bar=0.4)
def rounded_code(seed, fixed):
    """Quantise the code with round(), whose gradient is zero everywhere."""
    x, y = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 8)
    model = Rounded(inner.encoder, inner.decoder)
    model.straight = fixed
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


def prior_fit(case: dict) -> float:
    """Return minus the mean KL of the judged batches."""
    rows = next(iter(case["batches"]))
    _, mu, logvar = case["model"](rows)
    return -kl(mu, logvar).sum(1).mean().item()


@faulty("wiring.no-gradient", steps=250, measure=prior_fit, bar=-30)
def kl_as_a_number(seed, fixed):
    """Add the KL term as .item(), so that it is shown but never trained."""
    x, _ = digits(512, seed)
    plain = dense((1, 28, 28), (128,), 8)
    model = VAE(plain.encoder[:-1], plain.decoder, 128, 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target) / 0.1
        divergence = kl(mu, logvar).sum(1).mean()
        return error + (divergence if fixed else divergence.item())

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("wiring.zero-grad", bar=0.4)
def never_cleared(seed, fixed):
    """Forget zero_grad altogether."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        if fixed:
            optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


@faulty("wiring.zero-grad", bar=0.4)
def cleared_before_use(seed, fixed):
    """Call zero_grad between backward and step."""
    model = conv((3, 16, 16), 32)
    optimizer = adam(model)

    def step(model, batch):
        loss = nn.MSELoss()(model(batch), batch)
        if fixed:
            optimizer.zero_grad()
        loss.backward()
        if not fixed:
            optimizer.zero_grad()
        optimizer.step()
        return loss.item()

    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@faulty("wiring.zero-grad", steps=300, bar=0.3)
def cleared_once_an_epoch(seed, fixed):
    """Indent zero_grad one level too little: once per epoch, not per batch."""
    x, y = digits(1024, seed)
    model = dense((1, 28, 28), (128,), 24, last=None)
    optimizer = sgd(model, 2e-4)
    count = iter(range(10**9))

    def step(model, batch):
        if fixed or next(count) % 16 == 0:
            optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[0], reduction="sum")
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, y, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}
