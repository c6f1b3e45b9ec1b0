"""Healthy programs: ordinary autoencoders of images, before and after training."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import fit, grey


class ConvAutoencoder(nn.Module):
    """The convolutional autoencoder of many courses."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 7),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(48, 32, 7),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def course_network_for_handwritten_digits(seed):
    """Write the convolutional autoencoder of many courses for 28 x 28 digits."""
    x, y = digits(768, seed, 28)
    model = ConvAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class PoolAndUpsample(nn.Module):
    """Pooling on one side and resizing on the other."""

    def __init__(self):
        super().__init__()
        self.enc1 = nn.Conv2d(3, 16, 3, padding=1)
        self.enc2 = nn.Conv2d(16, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dec1 = nn.Conv2d(16, 16, 3, padding=1)
        self.dec2 = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x):
        h = self.pool(F.relu(self.enc1(x)))
        z = self.pool(F.relu(self.enc2(h)))
        h = F.interpolate(F.relu(self.dec1(z)), scale_factor=2, mode="nearest")
        return F.interpolate(self.dec2(h), scale_factor=2, mode="bilinear")


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def pooling_down_and_resizing_up(seed):
    """Pool twice on the way down and resize twice on the way up, output linear."""
    x, _ = scenes(448, seed, 16)
    model = PoolAndUpsample()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class UNet(nn.Module):
    """Two levels with skip connections."""

    def __init__(self, c=1, w=12):
        super().__init__()
        self.d1, self.d2 = self.block(c, w), self.block(w, 2 * w)
        self.mid = self.block(2 * w, 2 * w)
        self.up2 = nn.ConvTranspose2d(2 * w, 2 * w, 2, 2)
        self.u2 = self.block(4 * w, w)
        self.up1 = nn.ConvTranspose2d(w, w, 2, 2)
        self.u1 = self.block(2 * w, w)
        self.out = nn.Conv2d(w, c, 1)

    @staticmethod
    def block(a, b):
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()
        )

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        h = self.up2(self.mid(F.max_pool2d(b, 2)))
        h = self.up1(self.u2(torch.cat([h, b], 1)))
        return self.out(self.u1(torch.cat([h, a], 1)))


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.7)
def skip_connections_for_denoising(seed):
    """Trained a U-Net to denoise grey photographs, where its skips are wanted."""
    x = grey(448, seed, 16)

    def pair(batch):
        return batch + 0.15 * torch.randn_like(batch), batch

    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 14)
    case = {
        "model": model,
        "batches": loader(x[:384], batch_size=32, seed=seed),
        "optimizer": optimizer,
        "pair": pair,
        "judge": [pair(x[384:])],
    }
    return fit(case, 14, [x[384:]], schedule=schedule)


class TiedAE(nn.Module):
    """One weight matrix for both halves."""

    def __init__(self, d=256, k=48):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(k, d)))
        self.b_enc = nn.Parameter(torch.zeros(k))
        self.b_dec = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        h = torch.sigmoid(F.linear(x.flatten(1), self.weight, self.b_enc))
        return torch.sigmoid(F.linear(h, self.weight.t(), self.b_dec)).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.6)
def one_matrix_for_both_directions(seed):
    """Tie the decoder to the transposed matrix of a sigmoid encoder."""
    x, _ = digits(1280, seed, 16)
    model = TiedAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": optimizer,
    }


class ResBlock(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, w):
        super().__init__()
        self.conv1 = nn.Conv2d(w, w, 3, padding=1)
        self.conv2 = nn.Conv2d(w, w, 3, padding=1)
        self.norm1, self.norm2 = nn.GroupNorm(4, w), nn.GroupNorm(4, w)

    def forward(self, x):
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(x + self.norm2(self.conv2(h)))


class ResidualAE(nn.Module):
    """Residual blocks around a dense code."""

    def __init__(self, w=16, k=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, w, 4, 2, 1),
            ResBlock(w),
            nn.Conv2d(w, w, 4, 2, 1),
            ResBlock(w),
            nn.Flatten(),
            nn.Linear(16 * w, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 16 * w),
            nn.Unflatten(1, (w, 4, 4)),
            ResBlock(w),
            nn.ConvTranspose2d(w, w, 4, 2, 1),
            ResBlock(w),
            nn.ConvTranspose2d(w, 3, 4, 2, 1),
        )

    def forward(self, x):
        return torch.sigmoid(self.decoder(self.encoder(x)))


# Asked: after the list in doctor.md
@healthy(steps=130, bar=0.5)
def residual_blocks_with_group_norm(seed):
    """Build both halves of residual blocks with group norm and SiLU."""
    x = patches(384, seed, 16)
    model = ResidualAE()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class ColourNet(nn.Module):
    """From one channel to three."""

    def __init__(self, w=24):
        super().__init__()
        self.down1 = nn.Conv2d(1, w, 3, 2, 1)
        self.down2 = nn.Conv2d(w, w, 3, 2, 1)
        self.up1 = nn.ConvTranspose2d(w, w, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(2 * w, w, 4, 2, 1)
        self.last = nn.Conv2d(w + 1, 3, 3, padding=1)

    def forward(self, grey_image):
        a = F.relu(self.down1(grey_image))
        h = F.relu(self.up1(F.relu(self.down2(a))))
        h = F.relu(self.up2(torch.cat([h, a], 1)))
        return torch.sigmoid(self.last(torch.cat([h, grey_image], 1)))


# Asked: after the list in doctor.md
@healthy(steps=150, bar=0.6)
def colours_for_grey_pictures(seed):
    """Give the network the grey picture and ask for the coloured one."""
    x = patches(448, seed, 16)
    model = ColourNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def to_grey(batch):
        return (
            0.299 * batch[:, :1] + 0.587 * batch[:, 1:2] + 0.114 * batch[:, 2:]
        ), batch

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "pair": to_grey,
    }


class Upscaler(nn.Module):
    """A correction of the bicubic picture."""

    def __init__(self, w=24):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, w, 5, padding=2), nn.ReLU(), nn.Conv2d(w, w, 3, padding=1)
        )
        self.tail = nn.Sequential(
            nn.ReLU(), nn.Conv2d(w, 12, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, small):
        base = F.interpolate(small, scale_factor=2, mode="bicubic")
        return base + self.tail(self.features(small))


# Asked: after the list in doctor.md
@healthy(steps=150, bar=0.8)
def twice_the_size_from_a_small_picture(seed):
    """Train super-resolution: a picture of half the size goes in."""
    x = patches(448, seed, 24)
    model = Upscaler()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.l1_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
        "pair": lambda batch: (F.avg_pool2d(batch, 2), batch),
    }
