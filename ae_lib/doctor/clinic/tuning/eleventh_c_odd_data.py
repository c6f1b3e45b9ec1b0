"""Seventh part, c: healthy programs whose data, noise or loss looks suspicious."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import (
    clothes,
    ecg,
    faces,
    made,
    plant,
)


@healthy(steps=250, bar=0.6)
def faces_between_minus_one_and_one(seed):
    """Scale faces to [-1, 1] and end the decoder with tanh."""
    x = (faces(768, seed, size=16) - 0.5) / 0.5
    model = dense((1, 16, 16), (128,), 16, act=nn.LeakyReLU, last=nn.Tanh)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }


@healthy(steps=200, bar=0.7)
def channels_standardised_one_by_one(seed):
    """Standardise each colour channel and leave the output linear."""
    x = patches(768, seed)
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    x = (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    model = conv((3, 16, 16), 32, 12, act=nn.SiLU, last=None, norm=True)
    return {
        "model": model,
        "batches": loader(x[:640], seed=seed),
        "eval_batches": [x[640:]],
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.4)
def digits_under_heavy_noise(seed):
    """Draw new noise as strong as the ink for every batch and return clean digits."""
    x, y = digits(1280, seed, size=14)
    g = made(seed + 50)
    model = dense((1, 14, 14), (256,), 32)
    optimizer = adam(model, 2e-3)

    def step(model, batch):
        clean, _ = batch
        noisy = clean + 0.5 * torch.randn(clean.shape, generator=g)
        loss = F.binary_cross_entropy(model(noisy), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    val = x[1024:]
    noise = 0.5 * torch.randn(val.shape, generator=made(seed + 51))
    return {
        "model": model,
        "batches": loader(x[:1024], y[:1024], seed=seed),
        "step": step,
        "optimizer": optimizer,
        "eval_batches": [(val + noise, val)],
    }


@healthy(steps=400, bar=0.5)
def half_of_the_cells_masked(seed):
    """Set half of the cells of a redundant table to zero and ask for all of them."""
    x = table(1024, seed, d=40, rank=4)
    kept = torch.rand(x.shape, generator=made(seed + 3)) < 0.5
    model = dense((40,), (128,), 8, last=None)
    return {
        "model": model,
        "batches": loader(x * kept, x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=400, bar=0.5)
def bytes_in_the_loader(seed):
    """Keep images as bytes in the loader and divide by 255 when a batch arrives."""
    x, y = clothes(896, seed, size=20)
    model = dense((1, 20, 20), (128,), 12, act=nn.ELU)

    def ready(batch):
        images = batch[0].float() / 255
        return images, images

    return {
        "model": model,
        "batches": loader((255 * x).round().to(torch.uint8), y, seed=seed),
        "pair": ready,
        "loss": F.binary_cross_entropy,
        "optimizer": adam(model, 2e-3),
    }


class Kelvin(nn.Module):
    """Standardise temperatures on the way in and undo it on the way out."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.net = dense((64,), (96,), 6, act=nn.GELU, last=None)

    def forward(self, x):
        return self.net((x - self.mean) / self.std) * self.std + self.mean


@healthy(steps=400, bar=0.6)
def kelvin_outside_standard_inside(seed):
    """Pass temperatures in kelvin; the model and the loss know their spread."""
    x = 285 + 8 * plant(1024, seed, t=16, c=4).flatten(1)
    train, val = x[:896], x[896:]
    model = Kelvin(train.mean(0), train.std(0))

    def loss(output, target):
        return F.mse_loss(output / model.std, target / model.std)

    return {
        "model": model,
        "batches": loader(train, batch_size=32, seed=seed),
        "eval_batches": [val],
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.5)
def rare_beats_drawn_more_often(seed):
    """Balance three kinds of heartbeats, one rare, by a sampler with replacement."""
    x, kind = ecg(2048, seed, t=48)
    keep = (kind != 2) | (torch.rand(2048, generator=made(seed + 9)) < 0.1)
    x, kind = x[keep], kind[keep]
    weight = 1 / torch.bincount(kind).float()[kind]
    sampler = WeightedRandomSampler(weight, len(x), generator=made(seed))
    data = DataLoader(TensorDataset(x, kind), batch_size=64, sampler=sampler)
    model = dense((48,), (96,), 8, last=None)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=400, bar=0.4)
def ink_or_no_ink(seed):
    """Binarise digits, most pixels zero, and train logits with a linear output."""
    x, y = digits(1024, seed, size=16)
    x = (x > 0.5).float()
    model = dense((1, 16, 16), (128, 64), 16, act=nn.ELU, last=None)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": F.binary_cross_entropy_with_logits,
        "optimizer": adam(model, 2e-3),
        "view": torch.sigmoid,
    }


class Backwards(nn.Module):
    """Write a series from its end to its start, as sequence autoencoders often do."""

    def __init__(self, hidden=48, k=8):
        super().__init__()
        self.encoder = nn.GRU(3, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 96), nn.Tanh(), nn.Linear(96, 36), nn.Unflatten(1, (12, 3))
        )

    def forward(self, x):
        return self.decoder(self.code(self.encoder(x)[1][0]))


@healthy(steps=350, bar=0.5)
def target_in_reverse_order(seed):
    """Reconstruct short series in reverse order, a usual choice for recurrent nets."""
    x = plant(1024, seed, t=12, c=3)
    model = Backwards()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "pair": lambda batch: (batch, batch.flip(1)),
        "optimizer": adam(model, 5e-3),
    }


class Flips:
    """Yield shuffled batches of images, half of them mirrored anew in each epoch."""

    def __init__(self, x, batch_size, seed):
        self.x, self.batch_size = x, batch_size
        self.generator = made(seed)

    def __len__(self):
        return len(self.x) // self.batch_size

    def __iter__(self):
        order = torch.randperm(len(self.x), generator=self.generator)
        for rows in order.split(self.batch_size)[: len(self)]:
            batch = self.x[rows]
            flip = torch.rand(len(batch), 1, 1, 1, generator=self.generator) < 0.5
            yield torch.where(flip, batch.flip(3), batch)


@healthy(steps=300, bar=0.6)
def mirrored_anew_in_each_epoch(seed):
    """Mirror half of the colour cut-outs at random and drop the last short batch."""
    x = patches(700, seed, size=12)
    model = dense((3, 12, 12), (160,), 32, act=nn.GELU)
    return {
        "model": model,
        "batches": Flips(x, 64, seed),
        "eval_batches": [x],
        "optimizer": adam(model, 2e-3),
    }
