"""Healthy programs that look suspicious, before training."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    standardise,
    table,
    waves,
)
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, elbo, sgd
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.loss import WithCode


@healthy(steps=300)
def linear_on_purpose(seed):
    """Find principal components with one linear layer each way."""
    x = table(512, seed, d=32)
    model = AE(nn.Linear(32, 5), nn.Linear(5, 32))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=300)
def tied_linear(seed):
    """Decode with the transposed weights of the encoder."""
    x, _ = digits(512, seed, size=8)

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 64) / 8)
            self.bias = nn.Parameter(torch.zeros(64))

        def encode(self, x):
            return F.linear(x - self.bias, self.weight)

        def forward(self, x):
            return F.linear(self.encode(x), self.weight.T, self.bias)

    model, data = Tied(), loader(x.flatten(1), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy()
def strong_denoiser(seed):
    """Remove noise of standard deviation 0.5 from colour patches."""
    model = conv((3, 16, 16), 32)

    def pair(batch):
        return batch + 0.5 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    return {**case, "pair": pair, "optimizer": adam(model)}


@healthy()
def masked_three_quarters(seed):
    """Fill in three quarters of the pixels."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (256,), 32)

    def pair(batch):
        images, _ = batch
        return images * (torch.rand_like(images) < 0.25), images

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


@healthy(steps=100)
def frozen_pretrained_encoder(seed):
    """Train a new decoder on an encoder that was trained before and is frozen."""
    case = {"batches": loader(patches(512, seed), seed=seed)}
    model = conv((3, 16, 16), 32)
    train({**case, "model": model, "optimizer": adam(model)}, 120)
    model.decoder = conv((3, 16, 16), 32).decoder
    for parameter in model.encoder.parameters():
        parameter.requires_grad = False
    wanted = filter(lambda parameter: parameter.requires_grad, model.parameters())
    return {**case, "model": model, "optimizer": torch.optim.Adam(wanted, 3e-3)}


@healthy()
def gradient_accumulation(seed):
    """Collect the gradients of four small batches before each step."""
    model = conv((3, 16, 16), 32)
    optimizer, count = adam(model, 5e-3), iter(range(1, 10**9))

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch) / 4
        loss.backward()
        if next(count) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return 4 * loss.item()

    data = loader(patches(512, seed), batch_size=16, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy()
def sgd_with_a_high_rate(seed):
    """Use SGD with lr=5 on a mean error, which suits its small gradients."""
    x = patches(512, seed)
    model = dense((3, 16, 16), (128,), 24, act=nn.Tanh)
    optimizer = sgd(model, 5.0, momentum=0.5)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@healthy()
def tanh_on_symmetric_data(seed):
    """End in tanh for data in [-1, 1]."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24, act=nn.LeakyReLU, last=nn.Tanh)
    data = loader(x * 2 - 1, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy()
def standardised_and_linear(seed):
    """End in a linear layer for standardised data."""
    x = standardise(patches(512, seed))
    model = conv((3, 16, 16), 32, last=None, norm=True)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=200)
def dropout_in_the_encoder(seed):
    """Drop a quarter of the hidden units while training."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (256,), 32)
    model.encoder.insert(3, nn.Dropout(0.25))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy()
def autocast_in_bfloat16(seed):
    """Run forward in bfloat16 inside the training step."""
    model = conv((3, 16, 16), 32)
    optimizer = adam(model)

    def step(model, batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(model(batch).float(), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(patches(256, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy()
def logits_with_their_loss(seed):
    """Leave the sigmoid to BCEWithLogitsLoss."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24, last=None)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model)}
    return {**case, "view": torch.sigmoid}


@healthy()
def warm_up(seed):
    """Begin with a tiny rate that a schedule raises with every step."""
    x = table(512, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    optimizer = adam(model, 5e-3)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1, (t + 1) / 50))

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        warm.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


@healthy()
def summed_error_with_its_rate(seed):
    """Sum the squared error over all pixels and choose a rate to match."""
    x = patches(512, seed)
    model = dense((3, 16, 16), (128,), 24)

    def loss(output, target):
        return F.mse_loss(output, target, reduction="sum")

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": sgd(model, 2e-4)}


@healthy()
def beta_of_four(seed):
    """Train a VAE with beta = 4."""
    model = conv_vae((3, 16, 16))
    data = loader(patches(512, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(4.0, 0.05)}
    return {**case, "optimizer": adam(model)}


@healthy()
def class_folder_shuffled(seed):
    """Read sorted class folders with shuffle=True; the last batch is small."""
    x, y = digits(500, seed)
    order = y.argsort(stable=True)
    model = conv((1, 28, 28), 24, act=nn.ELU)
    data = loader(x[order], y[order], batch_size=48, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=300)
def relu_code(seed):
    """End the encoder in a ReLU: more than half of the code is zero."""
    x, _ = digits(512, seed)
    model = WithCode(dense((1, 28, 28), (128,), 64))
    model.inner.encoder.append(nn.ReLU())

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 1e-3 * z.abs().mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=300)
def contractive_right(seed):
    """Penalise the Jacobian of a sigmoid layer by its closed form."""
    x, _ = digits(512, seed, size=8)
    linear = nn.Linear(64, 32)
    encoder, decoder = nn.Sequential(linear, nn.Sigmoid()), nn.Linear(32, 64)
    model = WithCode(AE(encoder, decoder))

    def contractive_loss(output, target):
        recon, h = output
        rows = linear.weight.square().sum(1)
        penalty = ((h * (1 - h)).square() @ rows).mean()
        return F.mse_loss(recon, target) + 1e-3 * penalty

    case = {"model": model, "batches": loader(x.flatten(1), seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 5e-3)}


@healthy()
def averaged_copy_beside(seed):
    """Keep a moving average of the weights, which no optimizer should have."""
    model = conv((3, 16, 16), 32)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    shadow = copy.deepcopy(model).requires_grad_(False)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.l1_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(shadow.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.05)
        return loss.item()

    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy(steps=400)
def two_numbers_for_a_wave(seed):
    """Describe waves of two degrees of freedom by a code of four."""
    x = waves(512, seed)
    model = dense((64,), (128, 64), 4, act=nn.GELU, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
