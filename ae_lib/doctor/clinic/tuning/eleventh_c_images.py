"""Seventh part, c: ordinary autoencoders of images that work."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import neighbours
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import clothes, faces, fit, made


class Tutorial(nn.Module):
    """Convolve and pool down to 8 x 4 x 4, then transpose back up."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(8, 16, 2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 2, stride=2),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@healthy(steps=200, bar=0.5)
def pooling_tutorial_on_small_digits(seed):
    """Follow the first convolutional tutorial on digits of 16 x 16 pixels."""
    x, y = digits(768, seed, size=16)
    model = Tutorial()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class Garments(nn.Module):
    """Encode garments with two strided convolutions and a linear code."""

    def __init__(self, k=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 4, 2, 1)
        self.conv2 = nn.Conv2d(12, 24, 4, 2, 1)
        self.fc1 = nn.Linear(24 * 7 * 7, k)
        self.fc2 = nn.Linear(k, 24 * 7 * 7)
        self.deconv1 = nn.ConvTranspose2d(24, 12, 4, 2, 1)
        self.deconv2 = nn.ConvTranspose2d(12, 1, 4, 2, 1)

    def encode(self, x):
        x = F.leaky_relu(self.conv1(x), 0.2)
        return self.fc1(F.leaky_relu(self.conv2(x), 0.2).flatten(1))

    def forward(self, x):
        h = F.leaky_relu(self.fc2(self.encode(x)), 0.2).view(-1, 24, 7, 7)
        return self.deconv2(F.leaky_relu(self.deconv1(h), 0.2))


@healthy(steps=200, bar=0.7)
def garments_with_logits(seed):
    """Reconstruct grey garments with the cross-entropy of logits."""
    x, y = clothes(768, seed)
    model = Garments()
    return {
        "model": model,
        "batches": loader(x[:640], y[:640], seed=seed),
        "eval_batches": loader(x[640:], y[640:], batch_size=128, shuffle=False),
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "view": torch.sigmoid,
    }


class FaceVAE(nn.Module):
    """Encode faces with batch norm at every level, as face VAEs usually do."""

    def __init__(self, k=16):
        super().__init__()
        layers, c = [], 3
        for width in (16, 24, 32):
            layers += [nn.Conv2d(c, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            c = width
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.mu, self.log_var = nn.Linear(512, k), nn.Linear(512, k)
        self.start = nn.Linear(k, 512)
        layers = []
        for a, b in ((32, 24), (24, 16)):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1)]
            layers += [nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, 1, 1), nn.Sigmoid()]
        self.paint = nn.Sequential(*layers)

    def forward(self, x):
        h = self.features(x)
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + torch.randn_like(mu) * (log_var / 2).exp()
        return self.paint(F.relu(self.start(z)).view(-1, 32, 4, 4)), mu, log_var


@healthy(steps=150, bar=0.5)
def colour_faces_under_an_elbo(seed):
    """Train a convolutional VAE on colour faces, squared error summed over pixels."""
    x = faces(640, seed, channels=3)
    model = FaceVAE()

    def loss(output, target):
        recon, mu, log_var = output
        error = (recon - target).square().flatten(1).sum(1).mean()
        divergence = (mu.square() + log_var.exp() - 1 - log_var).sum(1).mean() / 2
        return error + 0.25 * divergence

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Residual(nn.Module):
    """Halve the image with residual blocks of group norm and SiLU."""

    def __init__(self, a, b):
        super().__init__()
        self.norm = nn.GroupNorm(4, a)
        self.conv = nn.Conv2d(a, b, 3, 1, 1)
        self.short = nn.Conv2d(a, b, 1)

    def forward(self, x):
        return self.short(x) + self.conv(F.silu(self.norm(x)))


@healthy(steps=150, bar=0.7)
def latents_of_a_diffusion_encoder(seed):
    """Compress cut-outs to 4 x 4 maps of four channels with residual blocks."""
    x = patches(640, seed) * 2 - 1
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1),
        Residual(16, 16),
        nn.AvgPool2d(2),
        Residual(16, 24),
        nn.AvgPool2d(2),
        nn.Conv2d(24, 4, 1),  # (B, 4, 4, 4)
        nn.Conv2d(4, 24, 1),
        Residual(24, 24),
        nn.Upsample(scale_factor=2, mode="nearest"),
        Residual(24, 16),
        nn.Upsample(scale_factor=2, mode="nearest"),
        Residual(16, 16),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Conv2d(16, 3, 3, 1, 1),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "loss": F.l1_loss, "optimizer": optimizer}


class MaskedPatches(nn.Module):
    """Hide half of the patches of an image and attend over the others."""

    def __init__(self, dim=48, keep=0.5):
        super().__init__()
        self.embed = nn.Linear(16, dim)
        self.place = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.blank = nn.Parameter(torch.zeros(1, 1, dim))
        self.encoder = nn.TransformerEncoderLayer(dim, 4, 96, 0.0, batch_first=True)
        self.decoder = nn.TransformerEncoderLayer(dim, 4, 96, 0.0, batch_first=True)
        self.head = nn.Linear(dim, 16)
        self.keep = keep

    def forward(self, x):
        tokens = self.embed(F.unfold(x, 4, stride=4).transpose(1, 2))
        if self.training:
            seen = torch.rand(len(x), 16, 1, device=x.device) < self.keep
            tokens = torch.where(seen, tokens, self.blank)
        h = self.decoder(self.encoder(tokens + self.place) + self.place)
        return F.fold(self.head(h).transpose(1, 2), (16, 16), 4, stride=4)


@healthy(steps=300, bar=0.4)
def half_of_the_patches_hidden(seed):
    """Train a small masked autoencoder on garments, half of the patches hidden."""
    x, _ = clothes(768, seed, size=16)
    model = MaskedPatches()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95))
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class Cleaner(nn.Module):
    """Clean an image with a U of two levels and skip connections."""

    def __init__(self, width=16):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(1, width, 3, 1, 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(width, 32, 3, 2, 1), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU())
        self.up = nn.ConvTranspose2d(32, width, 2, 2)
        self.out = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def forward(self, x):
        fine = self.down1(x)
        coarse = self.up(self.middle(self.down2(fine)))
        return self.out(torch.cat([fine, coarse], 1))


@healthy(steps=150, bar=0.4)
def u_net_cleans_faces(seed):
    """Denoise faces with a small U-Net from fixed pairs of noisy and clean images."""
    clean = faces(512, seed, size=16)
    noisy = clean + 0.2 * torch.randn(clean.shape, generator=made(seed + 100))
    model = Cleaner()
    return {
        "model": model,
        "batches": loader(noisy[:448], clean[:448], batch_size=32, seed=seed),
        "eval_batches": [(noisy[448:], clean[448:])],
        "loss": F.mse_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


@healthy(steps=0, bar=0.7)
def trained_cut_outs_with_history(seed):
    """Train a strided network on cut-outs until the validation loss is level."""
    x = patches(896, seed)
    train, val = x[:768], x[768:]
    model = nn.Sequential(
        nn.Conv2d(3, 16, 4, 4),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.Linear(32, 256),
        nn.ELU(),
        nn.Unflatten(1, (16, 4, 4)),
        nn.ConvTranspose2d(16, 3, 4, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    history = fit(model, train, 18, optimizer, val=val, seed=seed, cosine=True)
    return {
        "model": model,
        "batches": loader(train, seed=seed),
        "eval_batches": [val],
        "optimizer": optimizer,
        "history": history,
    }


class Codes(nn.Module):
    """Offer encode and decode of a garment network."""

    def __init__(self, k=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1),
            nn.GELU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(256, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 128), nn.GELU(), nn.Linear(128, 256), nn.Sigmoid()
        )

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        z = self.encode(x)
        return {"recon": self.decoder(z).view_as(x), "z": z}


@healthy(steps=0, measure=neighbours, bar=0.8)
def garments_found_again_by_code(seed):
    """Look garments up by the code of a trained network that returns a dict."""
    x, y = clothes(768, seed, size=16)
    model = Codes()
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    history = fit(model, x, 16, optimizer, seed=seed, cosine=True)
    return {
        "model": model,
        "batches": loader(x, y, shuffle=False),
        "loss": lambda output, target: F.mse_loss(output["recon"], target),
        "labels": y,
        "history": history,
    }
