"""Codes that are too small, networks that copy, decoders that print a grid."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import no_grid, refuses_noise
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import chords, fit, made


@faulty("code.too-small", steps=300, bar=0.55)
def two_numbers_for_a_scatter_plot(seed, fixed):
    """Keep two latent numbers for a scatter plot and expect sharp digits from them."""
    x, y = digits(512, seed, size=8)
    model = conv((1, 8, 8), 24 if fixed else 2, width=8, act=nn.LeakyReLU)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


class Forecaster(nn.Module):
    """Encode and decode a series of several sensors with GRUs."""

    def __init__(self, sensors, hidden):
        super().__init__()
        self.encoder = nn.GRU(sensors, 48, batch_first=True)
        self.squeeze = nn.Linear(48, hidden)
        self.expand = nn.Linear(hidden, 48)
        self.decoder = nn.GRU(48, 48, batch_first=True)
        self.out = nn.Linear(48, sensors)

    def forward(self, x):
        z = self.squeeze(self.encoder(x)[1][-1])
        h, _ = self.decoder(self.expand(z).unsqueeze(1).repeat(1, x.shape[1], 1))
        return {"reconstruction": self.out(h), "z": z}


@faulty("code.too-small", steps=450, bar=0.55)
def one_state_for_many_sensors(seed, fixed):
    """Squeeze series of independent sensors into two numbers."""
    rows = [chords(512, 10 * seed + i, 12, tones=1) for i in range(6)]
    x = torch.stack(rows, 2)  # (B, 12, 6)
    model = Forecaster(6, 16 if fixed else 2)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


@faulty("code.too-small", steps=250, bar=0.56)
def channels_halved_to_one(seed, fixed):
    """Halve the channels at every stride until one channel of 2 x 2 is left."""
    last = 24 if fixed else 1
    encoder = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, last, 3, 2, 1),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(last, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 3, 4, 2, 1),
        nn.Sigmoid(),
    )
    x, y = scenes(512, seed)
    model = AE(encoder, decoder)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


def whiten(x):
    """Return flattened patches with unit covariance."""
    x = x.flatten(1) - x.flatten(1).mean(0)
    u, _, _ = torch.linalg.svd(x, full_matrices=False)
    return u * len(x) ** 0.5


# Asked: https://forums.fast.ai/t/auto-encoders-identity-function-and-overfitting/113348
@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def wider_than_whitened_patches(seed, fixed):
    """Learn features of whitened patches with a code wider than they are."""
    x = whiten(patches(1024, seed, 6).mean(1))  # (1024, 36)
    model = dense((36,), (), 8 if fixed else 72, last=None)
    model.encoder.append(nn.LeakyReLU(0.1))
    optimizer = adam(model, 5e-3)
    history = fit(model, x, 30, optimizer, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    return {**case, "history": history}


class Vibration(nn.Module):
    """Run convolutions over a vibration signal; its length stays as it is."""

    def __init__(self, narrow):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv1d(1, 16, 5, padding=2), nn.LeakyReLU(), nn.Conv1d(16, 8, 5, 1, 2)
        )
        self.middle = nn.Identity()
        if narrow:
            down = [nn.Flatten(), nn.Linear(384, 10)]
            self.middle = nn.Sequential(
                *down, nn.Linear(10, 384), nn.Unflatten(1, (8, 48))
            )
        self.dec = nn.Sequential(
            nn.Conv1d(8, 16, 5, padding=2), nn.LeakyReLU(), nn.Conv1d(16, 1, 5, 1, 2)
        )

    def forward(self, x):
        return self.dec(self.middle(self.enc(x)))


# See: https://arxiv.org/html/2306.12627v2
@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def convolutions_without_a_stride(seed, fixed):
    """Detect broken bearings with convolutions that never shorten the signal."""
    x = chords(512, seed, 48, tones=4)
    x = (x + 0.3 * torch.randn(x.shape, generator=made(seed))).unsqueeze(1)
    model = Vibration(fixed)
    optimizer = adam(model, 5e-3)
    fit(model, x, 25, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def fraud_table_with_a_full_code(seed, fixed):
    """Look for odd rows of a table with layers that are as wide as the table."""
    x = table(1024, seed, d=16, rank=13)
    model = dense((16,), (32,), 5 if fixed else 16, act=nn.ELU, last=None)
    optimizer = adam(model, 5e-3)
    fit(model, x, 40, optimizer, seed=seed)
    data = loader(x, batch_size=128, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


class UpBlock(nn.Module):
    """Double the size, by interpolation or by a transposed convolution of size 3."""

    def __init__(self, a, b, smooth):
        super().__init__()
        if smooth:
            grow = nn.Upsample(scale_factor=2, mode="bilinear")
            self.up = nn.Sequential(grow, nn.Conv2d(a, b, 3, padding=1))
        else:
            self.up = nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1)

    def forward(self, x):
        return self.up(x)


class UNetless(nn.Module):
    """Shape a U-Net without its skips."""

    def __init__(self, up, k=16):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 24, 3, 2, 1)
        self.to_code, self.from_code = nn.Linear(384, k), nn.Linear(k, 384)
        self.up1, self.up2 = up(24, 12), up(12, 3)

    def forward(self, x):
        h = F.relu(self.down2(F.relu(self.down1(x))))
        z = self.to_code(h.flatten(1))
        h = F.relu(self.from_code(z)).view_as(h)
        return torch.sigmoid(self.up2(F.relu(self.up1(h)))), z


# Asked: https://github.com/NVIDIA/pix2pixHD/issues/149
@faulty("decoder.checkerboard", steps=120, measure=no_grid, bar=0.1)
def kernel_three_at_stride_two(seed, fixed):
    """Grow the picture with transposed convolutions of kernel 3 and stride 2."""
    model = UNetless(lambda a, b: UpBlock(a, b, fixed))
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/alan-turing-institute/icenet-mp/issues/276
@faulty("decoder.checkerboard", steps=120, measure=no_grid, bar=-0.6)
def kernel_five_for_the_last_doubling(seed, fixed):
    """End with a transposed convolution of kernel 5 and stride 2 and no layer after."""
    x = F.avg_pool2d(digits(512, seed, size=28)[0], 3, 1, 1)
    tail = (
        [nn.Upsample(scale_factor=2), nn.Conv2d(16, 1, 5, padding=2)]
        if fixed
        else [nn.ConvTranspose2d(16, 1, 5, 2, 2, output_padding=1)]
    )
    inner = conv((1, 28, 28), 16, width=16, act=nn.ELU, last=None)
    decoder = nn.Sequential(*inner.decoder[:-1], *tail, nn.Sigmoid())
    model = AE(inner.encoder, decoder)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
