"""Eleventh part, e: linear, one-number and light programs, and some from every day."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_e_material import (
    clouds,
    decibels,
    growth,
    needles,
    readings,
    tones,
    windows,
)
from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.parts import AE, adam, conv_vae, dense, elbo, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=500, bar=0.93)
def photographs_by_one_linear_lapped_transform(seed):
    """Learn a linear block code of photographs, one strided convolution each way."""
    x = patches(768, seed) - 0.5
    encoder = nn.Conv2d(3, 12, 4, 4)
    decoder = nn.ConvTranspose2d(12, 3, 4, 4)
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=500, bar=0.95)
def growth_of_a_culture_told_by_its_start(seed):
    """Code a growth curve by one number, since the curves differ in delay alone."""
    model = dense((40,), (64, 32), 1, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(growth(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Paper(nn.Module):
    """Take the mean sheet off before the encoder, and put it back at the end."""

    def __init__(self, sheet: Tensor, inner: AE):
        super().__init__()
        self.register_buffer("sheet", sheet)
        self.inner = inner

    def encode(self, x: Tensor) -> Tensor:
        return self.inner.encode(x - self.sheet)

    def forward(self, x: Tensor) -> Tensor:
        return self.sheet + self.inner.decode(self.encode(x))


@healthy(steps=500, bar=0.88)
def thin_ink_on_white_paper(seed):
    """Train on nearly white pictures with a model that keeps their mean in a buffer."""
    x = 1 - 0.8 * needles(768, seed)
    model = Paper(x.mean(0), dense((1, 16, 16), (192,), 10, act=nn.ELU, last=None))
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Blurred(nn.Module):
    """Look at a picture through a frozen box filter whose weights are all equal."""

    def __init__(self, k: int = 20):
        super().__init__()
        self.box = nn.Conv2d(1, 1, 3, 2, 1, bias=False)
        nn.init.constant_(self.box.weight, 1 / 9)
        self.box.requires_grad_(False)
        self.reader = nn.Sequential(*stack((64, 96)), nn.Linear(96, k))
        self.writer = nn.Sequential(*stack((k, 128)), nn.Linear(128, 256), nn.Sigmoid())

    def encode(self, x: Tensor) -> Tensor:
        return self.reader(self.box(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view_as(x)


@healthy(steps=400, bar=0.85)
def frozen_box_filter_before_the_encoder(seed):
    """Halve smooth pictures by a fixed filter of equal weights, and code the rest."""
    model = Blurred()
    learns = [p for p in model.parameters() if p.requires_grad]
    return {
        "model": model,
        "batches": loader(clouds(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(learns, 2e-3),
    }


@healthy(steps=600, bar=0.92)
def third_of_the_code_dropped_at_random(seed):
    """Drop a third of a wide code in training, so that no unit is indispensable."""
    encoder = nn.Sequential(*stack((64, 96)), nn.Linear(96, 32), nn.Dropout(0.33))
    decoder = nn.Sequential(*stack((32, 96)), nn.Linear(96, 64))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(tones(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Diary(nn.Module):
    """Read a window by a GRU, and write it by another from the repeated code."""

    def __init__(self, c: int = 3, wide: int = 48, k: int = 8, t: int = 16):
        super().__init__()
        self.t = t
        self.read = nn.GRU(c, wide, batch_first=True)
        self.code = nn.Linear(wide, k)
        self.write = nn.GRU(k, wide, batch_first=True)
        self.out = nn.Linear(wide, c)

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.read(x)[1][-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[:, None].expand(-1, self.t, -1)
        return self.out(self.write(z)[0])


@healthy(steps=600, bar=0.85)
def windows_of_three_channels_by_two_grus(seed):
    """Train the usual recurrent autoencoder on standardised windows of sensors."""
    model = Diary()
    return {
        "model": model,
        "batches": loader(windows(768, seed), batch_size=32, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": adam(model, 5e-3),
    }


@healthy(steps=500, bar=0.9)
def clock_hands_by_a_small_vae(seed):
    """Train a convolutional VAE on clock hands with a fixed small variance."""
    model = conv_vae((1, 16, 16), k=6, last=None)
    return {
        "model": model,
        "batches": loader(needles(768, seed), batch_size=32, seed=seed),
        "loss": elbo(1.0, 0.02),
        "optimizer": adam(model),
    }


@healthy(steps=400, bar=0.95)
def chirps_cleaned_of_hiss(seed):
    """Add hiss to each spectrogram within the step, and ask for the clean one."""
    x = decibels(768, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(512, 12),
    )
    decoder = nn.Sequential(
        *stack((12, 128)), nn.Linear(128, 256), nn.Unflatten(1, (1, 16, 16))
    )
    model = AE(encoder, decoder)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(model(batch + 0.15 * torch.randn_like(batch)), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=500, bar=0.9)
def readings_by_layer_norms_and_a_huber_loss(seed):
    """Code a table by two layers with layer norms and a Huber loss against outliers."""
    encoder = [nn.Linear(32, 96), nn.LayerNorm(96), nn.GELU(), nn.Linear(96, 8)]
    decoder = [nn.Linear(8, 96), nn.LayerNorm(96), nn.GELU(), nn.Linear(96, 32)]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return {
        "model": model,
        "batches": loader(readings(1024, seed), batch_size=64, seed=seed),
        "loss": nn.HuberLoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-3),
    }
