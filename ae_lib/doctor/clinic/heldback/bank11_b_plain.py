"""Eleventh part, b: plain programs that work, as a competent user writes them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    blobs,
    clients,
    made,
    masks,
    outlines,
    sensors,
    spectra,
)
from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv_vae, dense, kl, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=300, bar=0.8)
def outlines_through_a_dense_network(seed):
    """Train a dense network on the points of closed curves with Adam."""
    x = outlines(1024, seed)
    model = dense((24, 2), (128, 64), 8, act=nn.GELU, last=None)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=250, bar=0.8)
def spots_of_light_through_strided_convolutions(seed):
    """Train strided convolutions on grey spots with a mean squared error."""
    x = blobs(896, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(512, 6),
    )
    decoder = nn.Sequential(
        nn.Linear(6, 512),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class SeriesReader(nn.Module):
    """Read a series with a GRU into a code and write it by a dense network."""

    def __init__(self, t=24, c=4, hidden=32, k=6):
        super().__init__()
        self.gru = nn.GRU(c, hidden, batch_first=True)
        self.squeeze = nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, t * c), nn.Unflatten(1, (t, c))
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.squeeze(self.gru(x)[1][-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


@healthy(steps=350, bar=0.75)
def sensors_read_by_a_gru(seed):
    """Code standardised series by the last state of a GRU and clip the gradient."""
    x = sensors(768, seed)
    model = SeriesReader()
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
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.8)
def rows_of_clients_with_a_robust_loss(seed):
    """Train a table of standardised columns with a Huber loss and AdamW."""
    x = clients(1024, seed)
    encoder = nn.Sequential(*stack((24, 64, 32), nn.ELU), nn.Linear(32, 6))
    decoder = nn.Sequential(*stack((6, 32, 64), nn.ELU), nn.Linear(64, 24))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.HuberLoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


@healthy(steps=450, bar=0.55)
def masks_through_a_vae_with_cross_entropy(seed):
    """Train a convolutional VAE on binary masks with the sum of cross-entropies."""
    x = masks(768, seed)
    model = conv_vae((1, 16, 16), k=6, width=12)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="sum") / len(target)
        return error + kl(mu, logvar).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }


@healthy(steps=300, bar=0.75)
def spectra_through_convolutions_along_the_axis(seed):
    """Train one-dimensional convolutions on spectra that lie in [0, 1]."""
    x = spectra(896, seed)[:, None]
    encoder = nn.Sequential(
        nn.Conv1d(1, 12, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(12, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 24, 10),
    )
    decoder = nn.Sequential(
        nn.Linear(10, 24 * 24),
        nn.ReLU(),
        nn.Unflatten(1, (24, 24)),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(24, 12, 5, padding=2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(12, 1, 5, padding=2),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=350, bar=0.55)
def digits_cleaned_of_spots(seed):
    """Set a quarter of the pixels to zero and ask for the clean digit."""
    x, _ = digits(1024, seed, size=16)
    draw = made(seed + 5)
    holes = (torch.rand(x.shape, generator=draw) > 0.25).float()
    model = dense((1, 16, 16), (192,), 16)
    return {
        "model": model,
        "batches": loader(x * holes, x, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.55)
def scenes_with_batch_norm_and_a_warm_up(seed):
    """Train coloured scenes with batch norm, AdamW and a warm-up of its rate."""
    x, labels = scenes(768, seed)

    def down(a, b):
        return [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    encoder = nn.Sequential(
        *down(3, 16), *down(16, 32), nn.Flatten(), nn.Linear(512, 24)
    )
    decoder = nn.Sequential(
        nn.Linear(24, 512),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(32, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(16, 3, 3, padding=1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.25, total_iters=40)

    def step(model, batch):
        images, _ = batch
        loss = F.mse_loss(model(images), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, labels, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
