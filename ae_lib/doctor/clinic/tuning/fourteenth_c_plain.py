"""Tenth part, c: ordinary autoencoders that work, on many kinds of data."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, elbo, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    beats,
    blobs,
    counts,
    outlines,
    plant,
    spectra,
)


def _scaled(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return x / x.std()


@healthy(steps=400, bar=0.7)
def centred_heartbeats_by_a_dense_net(seed):
    """Train a dense net with a code of ten on centred heartbeats."""
    x = _scaled(beats(1024, seed))
    model = dense((96,), (72,), 10, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=300, bar=0.5)
def drawn_scenes_by_strided_convolutions(seed):
    """Train a small convolutional net on colour scenes with a sigmoid at its end."""
    x, y = scenes(640, seed)
    model = conv((3, 16, 16), 48, 16)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": F.mse_loss,
        "optimizer": adam(model, 3e-3),
    }


class TwoGrus(nn.Module):
    """Read a window with a GRU and write it back from the code with another."""

    def __init__(self, c: int = 6, hidden: int = 48, k: int = 14, t: int = 12):
        super().__init__()
        self.read = nn.GRU(c, hidden, batch_first=True)
        self.bottleneck = nn.Linear(hidden, k)
        self.start = nn.Linear(k, hidden)
        self.write = nn.GRU(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.t = t

    def encode(self, x: Tensor) -> Tensor:
        _, last = self.read(x)
        return self.bottleneck(last[0])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        start = torch.tanh(self.start(z))[None].contiguous()
        states, _ = self.write(z[:, None].expand(-1, self.t, -1), start)
        return self.out(states)


@healthy(steps=350, bar=0.6)
def windows_of_six_sensors_by_two_grus(seed):
    """Train two GRUs with a linear code between them, and clip the gradient at one."""
    x = plant(1024, seed)
    model = TwoGrus()
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.42)
def texts_as_logarithms_of_counts(seed):
    """Train a dense net with eight units in the middle on logarithms of counts."""
    x, topic = counts(1024, seed)
    model = dense((120,), (64,), 8, last=None)
    return {
        "model": model,
        "batches": loader(x - x.mean(0), topic, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=350, bar=0.7)
def masks_of_ellipses_by_their_logits(seed):
    """Train a net for masks on logits, and apply the sigmoid only to look at them."""
    x = blobs(896, seed)
    model = dense((1, 16, 16), (160, 64), 10, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
        "judge": [x],
    }


@healthy(steps=300, bar=0.7)
def closed_outlines_by_circular_convolutions(seed):
    """Train convolutions with circular padding on closed outlines."""
    x = outlines(896, seed)
    encoder = nn.Sequential(
        nn.Conv1d(2, 16, 5, padding=2, padding_mode="circular"),
        nn.ELU(),
        nn.Conv1d(16, 24, 5, stride=2, padding=2, padding_mode="circular"),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(384, 12),
    )
    decoder = nn.Sequential(
        nn.Linear(12, 384),
        nn.ELU(),
        nn.Unflatten(1, (24, 16)),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(24, 16, 5, padding=2, padding_mode="circular"),
        nn.ELU(),
        nn.Conv1d(16, 2, 5, padding=2, padding_mode="circular"),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.8)
def mixtures_with_a_cosine_schedule(seed):
    """Train SiLU layers on spectra with AdamW and a cosine over their whole length."""
    x = spectra(1024, seed)
    encoder = nn.Sequential(*stack((80, 64), nn.SiLU), nn.Linear(64, 9))
    decoder = nn.Sequential(*stack((9, 64), nn.SiLU), nn.Linear(64, 80))
    model = AE(encoder, decoder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 800)

    def step(model, batch):
        loss = (model(batch) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=500, bar=0.6)
def variational_code_of_centred_heartbeats(seed):
    """Train a dense variational net on centred heartbeats with the plain bound."""
    x = _scaled(beats(1024, seed))
    model = dense_vae((96,), 96, 8, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": elbo(1.0, 0.1),
        "optimizer": adam(model, 3e-3),
    }
