"""Seventh part, c: ordinary autoencoders of series that work, and one of images."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, waves
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import (
    clothes,
    ecg,
    fit,
    made,
    peaks,
    plant,
)


class Sequence(nn.Module):
    """Read a window with a GRU and write it again from the last state and the time."""

    def __init__(self, c=4, hidden=48, k=10):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.state = nn.Linear(k, hidden)
        self.writer = nn.GRU(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)

    def forward(self, x):
        z = self.code(self.reader(x)[1][-1])
        repeated = z.unsqueeze(1).repeat(1, x.shape[1], 1)
        h, _ = self.writer(repeated, torch.tanh(self.state(z)).unsqueeze(0))
        return self.out(h)


@healthy(steps=350, bar=0.35)
def gru_on_windows_of_a_plant(seed):
    """Compress windows of four sensors with a GRU on either side."""
    x = plant(1024, seed, t=16)
    model = Sequence()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
    }


class Beats(nn.Module):
    """Read a heartbeat with two LSTM layers and draw it from the code at once."""

    def __init__(self, t=32, k=8):
        super().__init__()
        self.rnn1 = nn.LSTM(1, 32, batch_first=True, bidirectional=True)
        self.rnn2 = nn.LSTM(64, 32, batch_first=True)
        self.code = nn.Linear(32, k)
        self.draw = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, t))

    def forward(self, x):
        h, _ = self.rnn1(x)
        _, (last, _) = self.rnn2(h)
        return self.draw(self.code(last[-1])).unsqueeze(2)


@healthy(steps=300, bar=0.5)
def lstm_on_normal_heartbeats(seed):
    """Train an LSTM encoder with L1 on heartbeats, one channel."""
    x, kind = ecg(1024, seed, t=32)
    x = x.unsqueeze(2)
    model = Beats()
    return {
        "model": model,
        "batches": loader(x[:896], kind[:896], batch_size=32, seed=seed),
        "eval_batches": [x[896:]],
        "loss": nn.L1Loss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


@healthy(steps=250, bar=0.7)
def conv_1d_on_sensors(seed):
    """Convolve windows along time, channels first, with upsampling on the way back."""
    x = plant(1024, seed, t=32, c=6).transpose(1, 2).contiguous()
    model = nn.Sequential(
        nn.Conv1d(6, 24, 5, 2, 2),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Conv1d(24, 16, 5, 2, 2),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Conv1d(16, 6, 3, 1, 1),  # (B, 6, 8)
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(6, 16, 5, 1, 2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(16, 24, 5, 1, 2),
        nn.ReLU(),
        nn.Conv1d(24, 6, 3, 1, 1),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Spectra(nn.Module):
    """Put a Gaussian code of six units between 1-d convolutions."""

    def __init__(self, k=6):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, 12, 7, 4, 3),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(240, 64),
            nn.GELU(),
        )
        self.mean, self.spread = nn.Linear(64, k), nn.Linear(64, k)
        self.back = nn.Sequential(nn.Linear(k, 64), nn.GELU(), nn.Linear(64, 80))

    def forward(self, x):
        h = self.net(x.unsqueeze(1))
        mu, log_var = self.mean(h), self.spread(h).clamp(-8, 4)
        z = mu + torch.randn_like(mu) * torch.exp(log_var / 2)
        return {"x_hat": self.back(z), "mu": mu, "log_var": log_var}


@healthy(steps=400, bar=0.6)
def spectra_of_mixtures(seed):
    """Model spectra with a VAE whose noise variance comes from the instrument."""
    x, main = peaks(1024, seed)
    model = Spectra()

    def loss(out, target):
        error = (out["x_hat"] - target).square().sum(1) / (2 * 0.05**2)
        mu, log_var = out["mu"], out["log_var"]
        return (error + (mu**2 + log_var.exp() - log_var - 1).sum(1) / 2).mean()

    return {
        "model": model,
        "batches": loader(x, main, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Quantised(nn.Module):
    """Quantise a code of sixteen vectors with a codebook, straight through."""

    def __init__(self, entries=64, dim=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 24, 4, 4), nn.ReLU(), nn.Conv2d(24, dim, 1)
        )
        self.book = nn.Embedding(entries, dim)
        nn.init.normal_(self.book.weight, std=0.3)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 32, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 4)
        )

    def forward(self, x):
        z = self.encoder(x).permute(0, 2, 3, 1)  # (B, 4, 4, dim)
        flat = z.reshape(-1, z.shape[-1])
        nearest = torch.cdist(flat, self.book.weight).argmin(1)
        q = self.book(nearest).view_as(z)
        through = z + (q - z).detach()
        return self.decoder(through.permute(0, 3, 1, 2)), z, q


@healthy(steps=400, bar=0.5)
def garments_in_sixteen_words(seed):
    """Train a small VQ-VAE with the usual three terms."""
    x, _ = clothes(896, seed, size=16)
    model = Quantised()

    def loss(output, target):
        recon, z, q = output
        book, commit = F.mse_loss(q, z.detach()), F.mse_loss(z, q.detach())
        return F.mse_loss(recon, target) + book + 0.25 * commit

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Gaps(nn.Module):
    """Fill gaps: read values and a mask of what was measured."""

    def __init__(self, d=40):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2 * d, 96), nn.ReLU(), nn.Linear(96, 8))
        self.decoder = nn.Sequential(nn.Linear(8, 96), nn.ReLU(), nn.Linear(96, d))

    def forward(self, both):
        return self.decoder(self.encoder(both.flatten(1)))


@healthy(steps=400, bar=0.6)
def gaps_of_a_quarter_filled(seed):
    """Feed waves with a quarter of the values missing, and the mask, to fill them."""
    x = waves(1024, seed, d=40)
    seen = (torch.rand(x.shape, generator=made(seed + 1)) > 0.25).float()
    both = torch.stack([x * seen, seen], 1)  # (n, 2, 40)
    model = Gaps()
    return {
        "model": model,
        "batches": loader(both, x, seed=seed),
        "pair": lambda batch: (batch[0], batch[1]),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@healthy(steps=0, bar=0.7)
def heartbeats_until_the_loss_is_flat(seed):
    """Train a dense network on heartbeats with a cosine rate until nothing moves."""
    x, kind = ecg(1152, seed, t=48)
    train, val = x[:960], x[960:]
    model = nn.Sequential(
        nn.Linear(48, 96),
        nn.ReLU(),
        nn.Linear(96, 7),
        nn.Linear(7, 96),
        nn.ReLU(),
        nn.Linear(96, 48),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = fit(model, train, 30, optimizer, val=val, seed=seed, cosine=True)
    return {
        "model": model,
        "batches": loader(train, kind[:960], seed=seed),
        "eval_batches": loader(val, kind[960:], shuffle=False),
        "loss": F.mse_loss,
        "history": history,
    }
