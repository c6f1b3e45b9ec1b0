"""Healthy programs that look suspicious: data, loss and training step."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from ae_lib.doctor.clinic.material import digits, loader, scenes, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, elbo, kl, sgd
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    grey,
    loudness,
    spectra,
)


@healthy()
def bytes_scaled_in_pair(seed):
    """Keep bytes in the loader and divide by 255 where the batch is taken apart."""
    x, y = digits(512, seed, size=12)
    model = conv((1, 12, 12), 16, act=nn.ELU)

    def pair(batch):
        images = batch[0].float() / 255
        return images, images

    data = loader((x * 255).round().to(torch.uint8), y, seed=seed)
    case = {"model": model, "batches": data, "pair": pair}
    return {**case, "optimizer": adam(model, 4e-3)}


class GivenTheClass(AE):
    """Tell the decoder the class, which is appended to the flat image."""

    def encode(self, x):
        return self.encoder(x[:, :64])

    def forward(self, x):
        return self.decoder(torch.cat([self.encode(x), x[:, 64:]], 1))


@healthy(steps=200)
def decoder_given_the_class(seed):
    """Condition the decoder on the label: the input is wider than the target."""
    x, y = digits(640, seed, size=8)
    model = dense((64,), (64,), 6, act=nn.ELU)
    model = GivenTheClass(model.encoder, dense((64,), (64,), 16, act=nn.ELU).decoder)

    def pair(batch):
        images, labels = batch
        images = images.flatten(1)
        return torch.cat([images, F.one_hot(labels, 10).float()], 1), images

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model, 3e-3)}


class Masked(AE):
    """Hide half of the patches of 4 x 4 pixels; say which."""

    def forward(self, x):
        hidden = (torch.rand(len(x), 1, 5, 5) < 0.5).float()
        hidden = F.interpolate(hidden, scale_factor=4)
        return {"x_hat": super().forward(x * (1 - hidden)), "hidden": hidden}


@healthy(steps=250)
def loss_on_hidden_patches_only(seed):
    """Train a masked autoencoder, whose loss looks at hidden patches only."""
    inner = dense((1, 20, 20), (192,), 32, act=nn.GELU)
    model = Masked(inner.encoder, inner.decoder)

    def loss(output, target):
        hidden = output["hidden"]
        error = (output["x_hat"] - target).square() * hidden
        return error.sum() / hidden.sum().clamp_min(1)

    data = loader(grey(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=40)
def lbfgs_with_its_closure(seed):
    """Train by LBFGS, which calls the model several times in a step."""
    x = table(300, seed, d=24)
    model = dense((24,), (32,), 6, act=nn.Tanh, last=None)
    optimizer = torch.optim.LBFGS(model.parameters(), 0.5, max_iter=6)

    def step(model, batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    case = {"model": model, "batches": [x], "optimizer": optimizer, "step": step}
    return case


@healthy()
def accumulation_with_clipping(seed):
    """Accumulate over three batches, clip, step and clear; a schedule goes along."""
    model = conv((1, 24, 24), 24, act=nn.SiLU)
    optimizer = torch.optim.RAdam(model.parameters(), 2e-2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.995)
    count = itertools.count(1)

    def step(model, batch):
        loss = F.smooth_l1_loss(model(batch), batch)
        (loss / 3).backward()
        if next(count) % 3 == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return loss.item()

    data = loader(grey(384, seed, 24, 24), batch_size=16, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


@healthy()
def two_rates(seed):
    """Give the encoder a tenth of the decoder's rate, and no decay to biases."""
    model = dense((96,), (96,), 12, act=nn.GELU, last=None)
    slow = {"params": model.encoder.parameters(), "lr": 5e-4}
    weights = [p for p in model.decoder.parameters() if p.ndim > 1]
    biases = [p for p in model.decoder.parameters() if p.ndim == 1]
    groups = [slow, {"params": weights}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, 5e-3, weight_decay=0.05)
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy()
def summed_per_image(seed):
    """Sum the cross entropy over pixels: the loss is in the hundreds, as it should."""
    x, _ = scenes(448, seed)
    model = dense_vae((3, 16, 16), 128, 10)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="none")
        return (error.sum((1, 2, 3)) + 0.5 * kl(mu, logvar).sum(1)).mean()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}


@healthy(steps=200)
def annealing_begins_at_zero(seed):
    """Anneal beta from 0 to 1 over 2,000 steps; it is still next to nothing."""
    x = by_column(cells(seed)[0])
    model = dense_vae((30,), 48, 6, last=None)
    optimizer, count = adam(model, 3e-3), itertools.count()
    beta = {"now": 0.0}

    def loss(output, target):
        return elbo(beta["now"], 0.2)(output, target)

    def step(model, batch):
        beta["now"] = min(1.0, next(count) / 2000)
        optimizer.zero_grad()
        value = loss(model(batch), batch)
        value.backward()
        optimizer.step()
        return value.item()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": optimizer, "step": step}


@healthy()
def drawn_with_replacement(seed):
    """Balance rare classes by a sampler: some images twice, some not this epoch."""
    x, y = digits(1200, seed, size=12)
    kept = (y < 2) | (torch.rand(1200) < 0.3)
    x, y = x[kept], y[kept]
    weight = 1 / torch.bincount(y, minlength=10).float()[y]
    made = torch.Generator().manual_seed(seed)
    sampler = WeightedRandomSampler(weight, len(x), generator=made)
    rows = torch.utils.data.TensorDataset(x, y)
    model = conv((1, 12, 12), 16, norm=True)
    data = DataLoader(rows, 32, sampler=sampler)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


@healthy()
def log_power_as_it_is(seed):
    """Feed log power between -7 and 1, with a linear end; no scaling is needed."""
    x = loudness(320, seed)
    down = [nn.Conv2d(1, 16, 4, 4), nn.LeakyReLU(), nn.Flatten(), nn.Linear(768, 24)]
    up = [nn.Linear(24, 768), nn.LeakyReLU(), nn.Unflatten(1, (16, 6, 8))]
    up += [nn.ConvTranspose2d(16, 1, 4, 4)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=200)
def ink_on_paper(seed):
    """Compress dark digits on white paper: most pixels are one."""
    x, _ = digits(512, seed, size=20)
    model = conv((1, 20, 20), 24, act=nn.ELU)
    case = {"model": model, "batches": loader(1 - x, batch_size=32, seed=seed)}
    return {**case, "loss": nn.BCELoss(), "optimizer": adam(model, 3e-3)}


@healthy(steps=300)
def answers_that_are_mostly_no(seed):
    """Compress rows of yes and no, nine tenths of them no, with logits."""
    x = (table(640, seed, d=48, rank=3) > 1.2).float()
    model = dense((48,), (96,), 12, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model, 4e-3)}
    return {**case, "view": torch.sigmoid}


@healthy()
def edges_beside_pixels(seed):
    """Add the error of the edges to that of the pixels, well balanced."""
    model = conv((3, 16, 16), 32, act=nn.ELU)

    def loss(output, target):
        edges = F.l1_loss(output.diff(dim=-1), target.diff(dim=-1))
        edges = edges + F.l1_loss(output.diff(dim=-2), target.diff(dim=-2))
        return F.l1_loss(output, target) + 0.5 * edges

    case = {"model": model, "batches": loader(scenes(448, seed)[0], seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


@healthy(steps=200)
def noise_stronger_than_the_beat(seed):
    """Denoise beats under noise as strong as the signal; the shape still tells."""
    x = beats(768, seed)
    model = dense((64,), (128,), 10, act=nn.ELU, last=None)

    def pair(batch):
        return batch + batch.std() * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, batch_size=48, seed=seed)}
    return {**case, "pair": pair, "optimizer": adam(model)}


@healthy(steps=200)
def nesterov_at_three_tenths(seed):
    """Use SGD with lr=0.3 and Nesterov momentum, after layers of LayerNorm."""
    x, y = cells(seed)
    down = [nn.Linear(30, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 8)]
    up = [nn.Linear(8, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 30)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    optimizer = sgd(model, 0.3, momentum=0.9, nesterov=True)
    data = loader(by_column(x), y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=200)
def one_cell_on_black(seed):
    """Compress pictures of one cell, where most pixels are nearly black."""
    model = conv((1, 20, 20), 16, act=nn.ReLU, last=None)
    data = loader(blobs(448, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
