"""Healthy programs on tables, series and embeddings, trained to the end."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_e_material import (
    beats,
    drawn,
    epochs,
    sensors,
    spectra,
)


@healthy(steps=0, bar=0.5)
def averaged_weights_are_handed_over(seed):
    """Train on sensor windows and hand over the moving average of the weights."""
    x = sensors(640, seed).flatten(1)
    model = nn.Sequential(
        *(nn.Linear(96, 96), nn.Mish(), nn.Linear(96, 8)),
        *(nn.Linear(8, 96), nn.Mish(), nn.Linear(96, 96)),
    )
    optimizer, average = (
        torch.optim.Adam(model.parameters(), 3e-3),
        copy.deepcopy(model),
    )

    def train_step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters(), strict=True):
                a.mul_(0.99).add_(p, alpha=0.01)
        return loss.item()

    data = loader(x[128:], seed=seed)
    train({"model": model, "batches": data, "step": train_step}, 900)
    return {"model": average, "batches": data, "eval_batches": [x[:128]]}


@healthy(steps=5, bar=0.5)
def small_table_by_lbfgs(seed):
    """Fit 300 rows in full batches with L-BFGS until the loss is flat."""
    x = table(400, seed, d=12, rank=4)
    model = nn.Sequential(
        *(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 4)),
        *(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 12)),
    )
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=10, line_search_fn="strong_wolfe"
    )

    def train_step(model, batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    case = {"model": model, "batches": [x[100:]], "step": train_step}
    return epochs({**case, "optimizer": optimizer}, 40, x[:100])


class Dictionary(nn.Module):
    """Explain an activation by a few of many unit directions."""

    def __init__(self, d=32, features=64):
        super().__init__()
        self.pre_bias = nn.Parameter(torch.zeros(d))
        self.encoder = nn.Linear(d, features)
        self.decoder = nn.Linear(features, d, bias=False)
        self.rescale()
        self.encoder.weight.data = self.decoder.weight.data.T.clone()

    @torch.no_grad()
    def rescale(self):
        self.decoder.weight.div_(self.decoder.weight.norm(dim=0, keepdim=True))

    def encode(self, x):
        return F.relu(self.encoder(x - self.pre_bias))

    def forward(self, x):
        f = self.encode(x)
        return self.decoder(f) + self.pre_bias, f


# Asked: https://www.lesswrong.com/posts/3ZCKSArYwgg9P4hqQ/normalizing-sparse-autoencoders
@healthy(steps=20, bar=0.5)
def dictionary_of_activations_with_unit_columns(seed):
    """Learn a sparse dictionary of activations and rescale its columns every step."""
    g = drawn(seed)
    true = F.normalize(torch.randn(48, 32, generator=drawn(0)), dim=1)
    on = torch.rand(2048, 48, generator=g) < 0.08
    x = (on * (0.5 + torch.rand(2048, 48, generator=g))) @ true
    x = x / x.std()
    model = Dictionary()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss(output, target):
        recon, f = output
        return (recon - target).square().sum(1).mean() + 0.3 * f.sum(1).mean()

    def train_step(model, batch):
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        model.rescale()
        return value.item()

    data = loader(x[256:], batch_size=128, seed=seed)
    case = {"model": model, "batches": data, "loss": loss, "step": train_step}
    return epochs({**case, "optimizer": optimizer}, 90, x[:256])


class Roll(nn.Module):
    """Unroll a sheet to two numbers."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (
            nn.Linear(3, 64),
            nn.Linear(64, 64),
            nn.Linear(64, 2),
        )
        self.fc4, self.fc5, self.fc6 = (
            nn.Linear(2, 64),
            nn.Linear(64, 64),
            nn.Linear(64, 3),
        )

    def forward(self, x):
        z = self.fc3(F.silu(self.fc2(F.silu(self.fc1(x)))))
        return self.fc6(F.silu(self.fc5(F.silu(self.fc4(z)))))


@healthy(steps=20, bar=0.8)
def swiss_roll_to_two_numbers(seed):
    """Unroll a noisy Swiss roll in space to a code of two numbers."""
    g = drawn(seed)
    angle = 1.5 * torch.pi * (1 + 2 * torch.rand(1200, generator=g))
    height = 20 * torch.rand(1200, generator=g)
    x = torch.stack([angle * angle.cos(), height, angle * angle.sin()], 1)
    x = x + 0.1 * torch.randn(x.shape, generator=g)
    x = (x - x.mean(0)) / x.std(0)
    model, rows = Roll(), loader(x[200:], batch_size=50, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    decay = lr_scheduler.ExponentialLR(optimizer, 0.997)

    def train_step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        decay.step()
        return loss.item()

    case = {"model": model, "batches": rows, "step": train_step}
    return epochs({**case, "optimizer": optimizer}, 80, x[:200])


@healthy(steps=10, bar=0.5)
def normal_beats_for_an_alarm(seed):
    """Train on normal beats only, one cycle of rates, and judge on normal beats."""
    x = beats(900, seed)
    x = (x - x.min()) / (x.max() - x.min())
    model = nn.Sequential(
        *(nn.Linear(48, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)),
        *(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 48), nn.Sigmoid()),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    cycle = lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=800)

    def train_step(model, batch):
        optimizer.zero_grad()
        loss = F.l1_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        if cycle.last_epoch < cycle.total_steps:
            cycle.step()
        return loss.item()

    data = loader(x[200:], batch_size=50, seed=seed)
    case = {"model": model, "batches": data, "loss": F.l1_loss, "step": train_step}
    case = epochs({**case, "optimizer": optimizer}, 56, x[:200])
    return {**case, "eval_batches": [x[:200]]}


class Compressed(nn.Module):
    """Measure a spectrum with fixed random masks and learn only to decode."""

    def __init__(self, d=96, k=20):
        super().__init__()
        self.register_buffer("masks", torch.randn(k, d) / d**0.5)
        self.decoder = nn.Sequential(
            *(nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()),
            nn.Linear(128, d),
        )

    def forward(self, x):
        return self.decoder(F.linear(x, self.masks))


@healthy(steps=20, bar=0.5)
def compressed_sensing_with_fixed_masks(seed):
    """Recover spectra from twenty fixed random measurements."""
    x = spectra(900, seed)
    model = Compressed()
    case = {"model": model, "batches": loader(x[200:], seed=seed)}
    case["optimizer"] = torch.optim.Adam(model.parameters(), lr=1e-3)
    return epochs(case, 70, x[:200])
