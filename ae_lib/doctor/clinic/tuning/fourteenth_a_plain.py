"""Tenth part, a: plain working programs on many kinds of data."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    beats,
    clients,
    columns,
    counts,
    landscapes,
    made,
    masks,
    sensors,
    spots,
)


@healthy(steps=350, bar=0.5)
def rectified_layers_for_digit_vectors(seed):
    """Train 256-128-24 and back on digits as vectors, with a sigmoid and the error."""
    x, y = digits(1280, seed, size=16)
    model = AE(
        nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 24)),
        nn.Sequential(nn.Linear(24, 128), nn.ReLU(), nn.Linear(128, 256), nn.Sigmoid()),
    )
    return {
        "model": model,
        "batches": loader(x.flatten(1), y, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.5)
def normalised_convolutions_for_landscapes(seed):
    """Train strided convolutions with batch normalisation on colour landscapes."""
    x = landscapes(640, seed)
    model = AE(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 16),
        ),
        nn.Sequential(
            nn.Linear(16, 512),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 3, 3, padding=1),
            nn.Sigmoid(),
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Sequence(nn.Module):
    """Compress a window with a GRU into k numbers and write it again."""

    def __init__(self, c: int, t: int, k: int = 10, hidden: int = 40):
        super().__init__()
        self.t = t
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.to_code = nn.Linear(hidden, k)
        self.from_code = nn.Linear(k, hidden)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)

    def encode(self, x: Tensor) -> Tensor:
        return self.to_code(self.encoder(x)[1][0])

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.from_code(self.encode(x)))
        return self.out(self.decoder(z[:, None].repeat(1, self.t, 1))[0])


@healthy(steps=250, bar=0.5)
def gated_units_for_sensor_windows(seed):
    """Train a GRU encoder and a GRU decoder on windows of standardised sensors."""
    x = sensors(768, seed, t=12)
    model = Sequence(4, 12)
    optimizer = adam(model, 1e-2)

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


@healthy(steps=300, bar=0.5)
def standardised_clients_through_three(seed):
    """Train a table of clients, each column standardised, through a code of three."""
    x = columns(clients(1024, seed))
    encoder = nn.Sequential(*stack((12, 64, 32), nn.SiLU), nn.Linear(32, 3))
    decoder = nn.Sequential(*stack((3, 32, 64), nn.SiLU), nn.Linear(64, 12))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.4)
def variational_masks_with_bernoulli_pixels(seed):
    """Train a VAE on binary masks with the cross-entropy summed over the pixels."""
    x = masks(896, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 192, 96)))
    decoder = nn.Sequential(
        *stack((6, 96, 192)), nn.Linear(192, 256), nn.Unflatten(1, (1, 16, 16))
    )
    model = VAE(encoder, decoder, 96, 6)

    def loss(output, target):
        logits, mu, logvar = output
        error = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return (error + kl(mu, logvar).sum()) / len(target)

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
        "view": torch.sigmoid,
    }


@healthy(steps=300, bar=0.5)
def grainy_spots_made_clean(seed):
    """Train a dense denoiser on spots with fresh noise, judged on the clean ones."""
    x = spots(1024, seed)
    drawn = made(seed + 1)

    def pair(batch):
        return batch + 0.1 * torch.randn(batch.shape, generator=drawn), batch

    model = AE(
        nn.Sequential(nn.Flatten(), *stack((256, 128)), nn.Linear(128, 16)),
        nn.Sequential(
            *stack((16, 128)), nn.Linear(128, 256), nn.Unflatten(1, (1, 16, 16))
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "pair": pair,
        "judge": [pair(x)],
    }


@healthy(steps=400, bar=0.5)
def heart_beats_through_strided_filters(seed):
    """Train one-dimensional convolutions on heart beats, with a code of twelve."""
    x = beats(896, seed)[:, None]
    model = AE(
        nn.Sequential(
            nn.Conv1d(1, 16, 7, 2, 3),
            nn.ELU(),
            nn.Conv1d(16, 32, 7, 2, 3),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(512, 12),
        ),
        nn.Sequential(
            nn.Linear(12, 512),
            nn.ELU(),
            nn.Unflatten(1, (32, 16)),
            nn.ConvTranspose1d(32, 16, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(16, 1, 4, 2, 1),
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=400, bar=0.5)
def word_counts_after_a_logarithm(seed):
    """Train log(1 + count) of the words of short texts through a code of eight."""
    x, topic = counts(1024, seed)
    encoder = nn.Sequential(*stack((60, 96)), nn.Linear(96, 8))
    decoder = nn.Sequential(*stack((8, 96)), nn.Linear(96, 60))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(torch.log1p(x), topic, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }
