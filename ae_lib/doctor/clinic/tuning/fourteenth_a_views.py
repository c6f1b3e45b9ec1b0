"""Tenth part, a: too much noise, features without gain, and grids in the output."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import neighbours, no_grid, train
from ae_lib.doctor.clinic.parts import AE, adam, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    cells,
    landscapes,
    made,
    spectra,
    spots,
    waves_of_kinds,
)


@faulty("noise.too-strong", steps=180, bar=0.4)
def noise_of_25_meant_for_bytes(seed, fixed):
    """Add noise of deviation 25, meant for 255 levels, to pictures in [0, 1]."""
    x = landscapes(512, seed)
    drawn = made(seed + 1)
    sigma = 25 / 255 if fixed else 25.0
    model = nn.Sequential(
        nn.Conv2d(3, 20, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(20, 20, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(20, 3, 3, padding=1),
    )

    def pair(batch):
        return batch + sigma * torch.randn(batch.shape, generator=drawn), batch

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "pair": pair,
        "judge": [pair(landscapes(128, seed + 100))],
    }


class Tokens(nn.Module):
    """Let the 16 patches of a 16 x 16 image attend to each other."""

    def __init__(self, width=48, k=24):
        super().__init__()
        self.patch = nn.Linear(16, width)
        self.place = nn.Parameter(0.1 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 96, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.narrow = nn.Linear(width, k)
        self.head = nn.Linear(k, 16)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.unfold(x, 4, stride=4).transpose(1, 2)  # (B, 16, 16)
        z = self.narrow(self.body(self.patch(rows) + self.place))
        return F.fold(self.head(z).transpose(1, 2), (16, 16), 4, stride=4)


@faulty("noise.too-strong", steps=220, bar=0.4)
def nearly_all_patches_hidden(seed, fixed):
    """Hide each patch of a picture with a chance of 0.97 in a masked autoencoder."""
    x, y = digits(1024, seed, size=16)
    hidden = 0.25 if fixed else 0.97
    drawn = made(seed + 1)
    model = Tokens()
    optimizer = adam(model, 3e-3)

    def pair(batch):
        x = batch[0]
        seen = torch.rand(len(x), 1, 4, 4, generator=drawn) >= hidden
        return x * F.interpolate(seen.float(), scale_factor=4), x

    def step(model, batch):
        x, target = pair(batch)
        loss = F.mse_loss(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
        "pair": pair,
        "judge": [pair((x, y))],
    }


class Gain(nn.Module):
    """Code a spectrum by its shape and, in the last unit, by its total."""

    def __init__(self, d, k, unit):
        super().__init__()
        self.unit = unit
        self.shape = nn.Sequential(*stack((d, 64)), nn.Linear(64, k))
        self.decoder = nn.Sequential(*stack((k, 64)), nn.Linear(64, d), nn.Softplus())

    def encode(self, x: Tensor) -> Tensor:
        total = x.mean(1, keepdim=True)
        return torch.cat([self.shape(x / total), total / self.unit], 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        return self.decoder(z[:, :-1]) * (z[:, -1:] * self.unit)


@faulty("features.no-gain", steps=0, bar=0.8, measure=neighbours)
def total_in_raw_units_beside_the_shape(seed, fixed):
    """Keep the total of a spectrum in raw units as one more unit of the code."""
    x, main = spectra(768, seed)
    strength = 3 * torch.rand(768, 1, generator=made(seed + 1)) - 1.5
    x = x * strength.exp()
    model = Gain(96, 6, unit=1.0 if fixed else 1e-4)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model)}
    train(case, 500)
    return {**case, "batches": loader(x, main, shuffle=False), "labels": main}


@faulty(
    "features.no-gain",
    accepts=("code.too-small",),
    steps=0,
    bar=0.6,
    measure=neighbours,
)
def offset_and_drift_fill_the_code(seed, fixed):
    """Take features of windows whose offset and drift outweigh their pattern."""
    x, kind = waves_of_kinds(768, seed)
    if fixed:
        time = torch.linspace(-1, 1, x.shape[1])
        slope = (x @ time) / time.square().sum()
        x = x - x.mean(1, keepdim=True) - slope[:, None] * time
        x = (x - x.mean()) / x.std()
    model = dense((48,), (96, 48), 3, act=nn.GELU, last=None)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model)}
    train(case, 900)
    return {**case, "batches": loader(x, kind, shuffle=False), "labels": kind}


def _up(kind: str, a: int, b: int) -> list[nn.Module]:
    """Return layers that double the size: the textbook's, or one with uneven reach."""
    if kind == "even":
        return [
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(a, b, 3, padding=1),
        ]
    return [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1)]


@faulty("decoder.checkerboard", steps=150, bar=-0.3, measure=no_grid)
def kernel_of_three_with_a_stride_of_two(seed, fixed):
    """Double the size with transposed convolutions of kernel 3, as in an issue."""
    x = spots(512, seed, size=24)
    kind = "even" if fixed else "uneven"
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(12, 24, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(864, 10),
    )
    decoder = nn.Sequential(
        nn.Linear(10, 288),
        nn.ReLU(),
        nn.Unflatten(1, (32, 3, 3)),
        *_up(kind, 32, 24),
        nn.ReLU(),
        *_up(kind, 24, 12),
        nn.ReLU(),
        *_up(kind, 12, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Residual(nn.Module):
    """Add two convolutions to their input."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


@faulty("decoder.checkerboard", steps=150, bar=-0.85, measure=no_grid)
def kernel_of_five_with_a_stride_of_four(seed, fixed):
    """Restore the size in one transposed convolution of kernel 5 and stride 4."""
    x = cells(512, seed)
    up: list[nn.Module] = [nn.ConvTranspose2d(24, 3, 5, 4, 1, output_padding=1)]
    if fixed:
        up = [nn.Upsample(scale_factor=4, mode="bilinear")]
        up.append(nn.Conv2d(24, 3, 5, padding=2))
    model = AE(
        nn.Sequential(
            nn.Conv2d(3, 24, 4, 4),
            Residual(24),
            nn.Flatten(),
            nn.Linear(600, 16),
        ),
        nn.Sequential(
            nn.Linear(16, 600),
            nn.Unflatten(1, (24, 5, 5)),
            Residual(24),
            *up,
        ),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
