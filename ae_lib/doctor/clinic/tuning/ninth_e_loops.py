"""Healthy programs with unusual but right training loops, in mid-training."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler

from ae_lib.doctor.clinic.material import loader, table, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_e_material import (
    beats,
    epochs,
    sensors,
    spectra,
)


@healthy(steps=60, bar=0.5)
def spectra_between_warm_restarts(seed):
    """Anneal the rate by cosines with warm restarts; the run is in its third cycle."""
    x = spectra(640, seed)
    model = nn.Sequential(
        *(nn.Linear(96, 128), nn.SELU(), nn.Linear(128, 10)),
        *(nn.Linear(10, 128), nn.SELU(), nn.Linear(128, 96)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    restarts = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 80, eta_min=1e-5)

    def train_step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        restarts.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[128:], seed=seed), "step": train_step}
    return epochs({**case, "optimizer": optimizer}, 26, x[:128])


@healthy(steps=60, bar=0.5)
def wave_denoiser_with_falling_noise(seed):
    """Denoise waves with noise that fades from 0.6 to 0.1 over the first epochs."""
    x = waves(640, seed)
    model = nn.Sequential(nn.Unflatten(1, (1, 64)), nn.Conv1d(1, 16, 5, 2, 2))
    model.extend([nn.ReLU(), nn.Flatten(), nn.Linear(512, 12), nn.Linear(12, 128)])
    model.extend([nn.ReLU(), nn.Linear(128, 64)])
    optimizer, seen = torch.optim.NAdam(model.parameters(), lr=2e-3), []

    def train_step(model, batch):
        sigma = max(0.1, 0.6 - 0.5 * len(seen) / 200)
        seen.append(sigma)
        optimizer.zero_grad()
        noisy = batch + sigma * torch.randn_like(batch)
        loss = F.mse_loss(model(noisy), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[128:], seed=seed), "step": train_step}
    return epochs({**case, "optimizer": optimizer}, 35, x[:128])


class TableVAE(nn.Module):
    """Return reconstruction, mean and log-variance by name."""

    def __init__(self, d=24, k=6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, 64), nn.Tanh())
        self.mu, self.logvar = nn.Linear(64, k), nn.Linear(64, k)
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.Tanh(), nn.Linear(64, d))

    def forward(self, x):
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        return {"x_hat": self.decoder(z), "mu": mu, "logvar": logvar}


def negative_elbo(out, target, beta=1.0):
    """Return squared error / (2 * 0.1) + beta KL, mean over the rows."""
    error = (out["x_hat"] - target).square().sum(1) / 0.2
    mu, logvar = out["mu"], out["logvar"]
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
    return (error + beta * kl).mean()


@healthy(steps=120, bar=0.45)
def vae_rows_with_annealed_kl_and_accumulation(seed):
    """Warm beta up to 1 and gather two batches before each clipped step."""
    x = table(896, seed, d=24, rank=5)
    model = TableVAE()
    optimizer, seen = torch.optim.Adam(model.parameters(), lr=3e-3), []

    def train_step(model, batch):
        seen.append(len(batch))
        out = model(batch)
        (negative_elbo(out, batch, min(1.0, len(seen) / 200)) / 2).backward()
        if len(seen) % 2 == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
        return negative_elbo(out, batch).item()

    data = loader(x[128:], batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": negative_elbo}
    return epochs({**case, "optimizer": optimizer, "step": train_step}, 45, x[:128])


@healthy(steps=40, bar=0.5)
def heartbeats_in_bfloat16_until_the_plateau(seed):
    """Train in bfloat16 autocast and let ReduceLROnPlateau lower the rate."""
    x = beats(640, seed)[:, None]
    model = nn.Sequential(
        *(nn.Conv1d(1, 16, 5, 2, 2), nn.GELU(), nn.Conv1d(16, 16, 5, 2, 2), nn.GELU()),
        *(nn.Flatten(), nn.Linear(192, 12), nn.Linear(12, 96), nn.GELU()),
        *(nn.Linear(96, 48), nn.Unflatten(1, (1, 48))),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)

    def train_step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(batch)
        loss = F.mse_loss(out.float(), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[128:], seed=seed), "step": train_step}
    case, kept = {**case, "optimizer": optimizer}, {"train_loss": [], "val_loss": []}
    for _ in range(30):
        row = epochs(case, 1, x[:128])["history"]
        kept = {name: kept[name] + row[name] for name in kept}
        plateau.step(row["val_loss"][0])
    return {**case, "history": kept}


@healthy(steps=80, bar=0.5)
def second_layer_on_a_frozen_first(seed):
    """Train a stack layer by layer; the first layer is trained and frozen."""
    x = sensors(640, seed).flatten(1)
    first = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 96))
    case = {"batches": loader(x[128:], seed=seed)}
    optimizer = torch.optim.Adam(first.parameters(), lr=2e-3)
    train({**case, "model": first, "optimizer": optimizer}, 300)
    for p in first.parameters():
        p.requires_grad_(False)
    inner = [nn.Linear(64, 10), nn.Linear(10, 64), nn.ReLU()]
    model = nn.Sequential(first[0], first[1], *inner, first[2])
    wanted = [p for p in model.parameters() if p.requires_grad]
    case |= {"model": model, "optimizer": torch.optim.Adam(wanted, lr=3e-3)}
    return epochs(case, 40, x[:128])


class WaveVQ(nn.Module):
    """Replace eight short codes of a wave by their nearest of 32 learned words."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        self.words = nn.Embedding(32, 4)
        nn.init.normal_(self.words.weight, std=0.5)
        self.decoder = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        z = self.encoder(x).view(len(x), 8, 4)
        near = torch.cdist(z, self.words.weight[None]).argmin(-1)
        q = self.words(near)
        extra = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return self.decoder((z + (q - z).detach()).flatten(1)), extra


@healthy(steps=100, bar=0.4)
def waves_in_words_of_a_codebook(seed):
    """Quantise the code of a wave with a straight-through codebook of 32 words."""
    x = waves(640, seed)
    model = WaveVQ()

    def loss(output, target):
        recon, extra = output
        return F.mse_loss(recon, target) + extra

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": loader(x[128:], seed=seed), "loss": loss}
    return epochs({**case, "optimizer": optimizer}, 60, x[:128])
