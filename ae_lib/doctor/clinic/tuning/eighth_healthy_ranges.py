"""Healthy programs: tanh on [-1, 1], and standardised data with a linear output."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    scenes,
    standardise,
    waves,
)
from ae_lib.doctor.clinic.parts import dense, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import (
    beats,
    fit,
    grey,
    sensors,
)


class DCAutoencoder(nn.Module):
    """The halves of a DCGAN."""

    def __init__(self, nc=3, ndf=16, nz=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, 2 * ndf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * ndf),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * ndf, nz, 4, 1, 0),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(nz, 2 * ndf, 4, 1, 0, bias=False),
            nn.BatchNorm2d(2 * ndf),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * ndf, ndf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ndf, nc, 4, 2, 1),
            nn.Tanh(),
        )
        self.apply(self.weights_init)

    @staticmethod
    def weights_init(m):
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, 0.02)

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def generator_style_network_for_photographs(seed):
    """Build an autoencoder of DCGAN halves for photographs scaled to [-1, 1]."""
    x = patches(512, seed, 16) * 2 - 1
    model = DCAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.999))
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.7)
def hyperbolic_tangent_for_sines(seed):
    """End a dense model of sine waves in tanh; the waves lie in [-1, 1]."""
    x = waves(640, seed, 64)
    model = dense((64,), hidden=(64,), k=10, act=nn.Tanh, last=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class TanhVAE(nn.Module):
    """A convolutional VAE that ends in tanh."""

    def __init__(self, k=12):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1), nn.GELU(), nn.Conv2d(16, 32, 4, 2, 1), nn.GELU()
        )
        self.to_mu = nn.Linear(512, k)
        self.to_logvar = nn.Linear(512, k)
        self.from_z = nn.Linear(k, 512)
        self.out = nn.Sequential(
            nn.GELU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.GELU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, x):
        h = self.features(x).flatten(1)
        mu, logvar = self.to_mu(h), self.to_logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return {"x_hat": self.out(self.from_z(z)), "mu": mu, "logvar": logvar}


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.4)
def variational_scenes_between_minus_one_and_one(seed):
    """Train a VAE with a tanh output on scenes normalised by 0.5 and 0.5."""
    x, _ = scenes(640, seed, 16)
    model = TanhVAE()
    objective = elbo(variance=0.1)

    def loss(output, target):
        parts = output["x_hat"], output["mu"], output["logvar"]
        return objective(parts, target)

    return {
        "model": model,
        "batches": loader((x - 0.5) / 0.5, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class RecurrentTanh(nn.Module):
    """GRU halves with a bounded head."""

    def __init__(self, d=1, h=32, k=8):
        super().__init__()
        self.encoder = nn.GRU(d, h, batch_first=True)
        self.code = nn.Linear(h, k)
        self.start = nn.Linear(k, h)
        self.decoder = nn.GRU(k, h, batch_first=True)
        self.head = nn.Linear(h, d)

    def forward(self, x):
        _, h = self.encoder(x)
        z = self.code(h[-1])
        again = z[:, None].expand(-1, x.shape[1], -1).contiguous()
        y, _ = self.decoder(again, self.start(z)[None])
        return torch.tanh(self.head(y))


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.5)
def recurrent_network_with_bounded_head(seed):
    """Rebuild short sine waves with GRUs and a tanh head, gradients clipped."""
    x = waves(512, seed, 24)[..., None]
    model = RecurrentTanh()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(model, batch):
        loss = F.l1_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": F.l1_loss,
        "optimizer": optimizer,
        "step": step,
    }


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def digits_by_mean_and_deviation(seed):
    """Standardise digits as torchvision's examples do and end in a linear layer."""
    x, y = digits(1024, seed, 16)
    model = dense((1, 16, 16), hidden=(128, 64), k=24, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(standardise(x), y, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=180, bar=0.5)
def colour_channels_by_their_own_statistics(seed):
    """Normalise every colour channel by its mean and deviation, output linear."""
    x = patches(512, seed, 16)
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    x = (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    model = DCAutoencoder()
    model.decoder = model.decoder[:-1]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda output, target: F.mse_loss(output, target),
        "optimizer": optimizer,
    }


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.8)
def sensor_windows_after_a_scaler(seed):
    """Flattened scaled windows of four sensors and trained a dense model on them."""
    x = sensors(640, seed).flatten(1)
    model = dense((128,), hidden=(96,), k=16, act=nn.ELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 12, gamma=0.3)
    case = {
        "model": model,
        "batches": loader(x[:560], batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 45, [x[560:]], schedule=schedule)


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def log_spectra_centred_and_scaled(seed):
    """Take log spectra of beats, standardise them and end in a linear layer."""
    spectra = torch.stft(
        beats(512, seed)[:, 0],
        n_fft=30,
        hop_length=6,
        window=torch.hann_window(30),
        return_complex=True,
    )
    x = standardise(torch.log1p(10 * spectra.abs()[:, None, :16, :16]))
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.GELU(),
        nn.Conv2d(16, 8, 3, 2, 1),
        nn.GELU(),
        nn.Conv2d(8, 64, 3, 1, 1),
        nn.GELU(),
        nn.PixelShuffle(2),
        nn.Conv2d(16, 32, 3, 1, 1),
        nn.GELU(),
        nn.PixelShuffle(2),
        nn.Conv2d(8, 1, 3, 1, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=180, bar=0.6)
def grey_photographs_standardised_for_huber(seed):
    """Standardise grey photographs and train a strided network on a Huber loss."""
    x = standardise(grey(512, seed, 20))
    model = nn.Sequential(
        nn.Conv2d(1, 24, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(24, 24, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(24, 6, 1),
        nn.ConvTranspose2d(6, 24, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(24, 1, 4, 2, 1),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.HuberLoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
