"""Eleventh part, b: programs that were trained well before they are shown."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    blobs,
    clients,
    gratings,
    made,
    masks,
    outlines,
    run,
    spectra,
)
from ae_lib.doctor.clinic.material import digits, loader, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense, dense_vae, elbo, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=0, bar=0.8)
def clients_with_a_held_out_set(seed):
    """Train a table for sixty epochs and keep the losses of a held-out fifth."""
    rows = clients(1500, seed)
    x, held = rows[:1200], rows[1200:]
    encoder = nn.Sequential(*stack((24, 96), nn.SiLU), nn.Linear(96, 5))
    decoder = nn.Sequential(*stack((5, 96), nn.SiLU), nn.Linear(96, 24))
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": [held],
    }
    return {**case, "history": run(case, 60, F.mse_loss, held)}


@healthy(steps=0, bar=0.75)
def digits_with_labels_and_a_best_epoch(seed):
    """Train digits with labels and return to the weights of the best epoch."""
    images, labels = digits(1797, seed, size=16)
    x, held = images[:1500], images[1500:]
    model = dense((1, 16, 16), (160,), 10, act=nn.GELU)
    case = {
        "model": model,
        "batches": loader(x, labels[:1500], batch_size=64, shuffle=True, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": [held],
    }
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    best, kept = float("inf"), copy.deepcopy(model.state_dict())
    for _ in range(50):
        for name, values in run(case, 1, F.mse_loss, held).items():
            history[name] += values
        if history["val_loss"][-1] < best:
            best, kept = history["val_loss"][-1], copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return {**case, "history": history}


@healthy(steps=0, bar=0.8)
def vae_of_spots_with_a_few_idle_units(seed):
    """Train a VAE with a code of eight on spots that need but a few of them."""
    x = blobs(896, seed)
    model = dense_vae((1, 16, 16), 128, 8)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": elbo(1.0, 0.01),
        "optimizer": adam(model, 3e-3),
    }
    train(case, 1200)
    return case


@healthy(steps=0, bar=0.8)
def waves_at_the_end_of_a_cosine_schedule(seed):
    """Train sine waves with a rate that falls along a cosine to almost nothing."""
    x = waves(896, seed)
    model = dense((64,), (128,), 6, act=nn.SiLU, last=None)
    optimizer = adam(model, 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1200)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        if schedule.last_epoch < 1190:
            schedule.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    case |= {"optimizer": optimizer}
    train(case, 1200)
    return case


@healthy(steps=0, bar=0.5)
def masks_found_under_heavy_noise(seed):
    """Train on masks under noise as strong as the signal, drawn anew each time."""
    x = masks(1024, seed)
    draw = made(seed + 3)
    model = dense((1, 16, 16), (192,), 10)

    def noisy(batch):
        return batch + 0.5 * torch.randn(batch.shape, generator=draw), batch

    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "pair": noisy,
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 1000)
    return {**case, "judge": [noisy(masks(256, seed + 100))]}


class TileReader(nn.Module):
    """Let the rows of an image attend to each other before they are squeezed."""

    def __init__(self, width=32, k=6):
        super().__init__()
        self.cut = nn.Linear(16, width)
        self.place = nn.Parameter(0.1 * torch.randn(16, width))
        self.mix = nn.TransformerEncoderLayer(
            width, 2, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.squeeze = nn.Linear(16 * width, k)
        self.decoder = nn.Sequential(
            *stack((k, 128), nn.GELU), nn.Linear(128, 256), nn.Unflatten(1, (1, 16, 16))
        )

    def encode(self, x: Tensor) -> Tensor:
        rows = self.cut(x.squeeze(1)) + self.place
        return self.squeeze(self.mix(rows).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


@healthy(steps=0, bar=0.8)
def stripes_read_by_attention_over_rows(seed):
    """Train attention over the rows of striped images with AdamW."""
    x = gratings(768, seed)
    model = TileReader(k=5)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }
    train(case, 700)
    return case


@healthy(steps=0, bar=0.8)
def outlines_in_a_plain_residual_network(seed):
    """Train residual blocks with layer norm on outlines, with some history kept."""
    points = outlines(1200, seed)
    x, held = points[:960], points[960:]

    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 64), Block(64), Block(64), nn.Linear(64, 8)
    )
    decoder = nn.Sequential(
        nn.Linear(8, 64),
        Block(64),
        Block(64),
        nn.Linear(64, 48),
        nn.Unflatten(1, (24, 2)),
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 2e-3),
        "eval_batches": loader(held, batch_size=120, shuffle=False),
    }
    return {**case, "history": run(case, 60, F.mse_loss, held)}


class Block(nn.Module):
    """Add a small network of the normalised features to the features."""

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()
        )
        self.out = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.out(self.inner(h))


@healthy(steps=0, bar=0.8)
def spectra_until_the_loss_is_flat(seed):
    """Train spectra with batch norm and falling rates until the loss is flat."""
    curves = spectra(1500, seed, noise=0.03)
    x, held = curves[:1200], curves[1200:]
    encoder = nn.Sequential(
        nn.Linear(96, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 8)
    )
    decoder = nn.Sequential(
        nn.Linear(8, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 96)
    )
    model = AE(encoder, decoder)
    optimizer = adam(model, 5e-3)
    case = {
        "model": model,
        "batches": loader(x, batch_size=100, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
        "eval_batches": [held],
    }
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for rate in (5e-3, 2e-3, 5e-4):
        optimizer.param_groups[0]["lr"] = rate
        for name, values in run(case, 25, F.mse_loss, held).items():
            history[name] += values
    return {**case, "history": history}
