"""Eleventh part, f: wide codes, odd targets and decoders that do no harm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import (
    chirps,
    medals,
    readings,
    strides,
    swells,
    weaves,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Dictionary(nn.Module):
    """Explain an image by a few of many atoms of unit length."""

    def __init__(self, d: int, atoms: int):
        super().__init__()
        self.look = nn.Linear(d, atoms)
        self.atoms = nn.Parameter(F.normalize(torch.randn(d, atoms), dim=0))
        self.base = nn.Parameter(torch.zeros(d))
        with torch.no_grad():
            self.look.weight.copy_(self.atoms.t())

    def encode(self, x: Tensor) -> Tensor:
        return F.relu(self.look(x.flatten(1) - self.base))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        picture = z @ F.normalize(self.atoms, dim=0).t() + self.base
        return {"x_hat": picture.view_as(x), "z": z}


@healthy(steps=600, bar=0.93)
def more_atoms_than_pixels_with_a_price_on_each(seed):
    """Learn 320 atoms for 256 pixels, with an absolute price on the use of an atom."""
    x = medals(1024, seed, size=16)
    model = Dictionary(256, 320)

    def loss(output, target):
        error = (output["x_hat"] - target).square().flatten(1).sum(1).mean()
        return error + 0.1 * output["z"].sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 1e-3),
    }


@healthy(steps=700, bar=0.85)
def a_wide_code_that_must_fill_in_missing_readings(seed):
    """Hide a third of 24 readings at random, and restore them from 48 units."""
    x = readings(1152, seed, noise=0.1)
    model = AE(
        nn.Sequential(*stack((24, 96), nn.GELU), nn.Linear(96, 48)),
        nn.Sequential(*stack((48, 96), nn.GELU), nn.Linear(96, 24)),
    )
    optimizer = adam(model)

    def step(model, rows):
        seen = (torch.rand_like(rows) > 0.33).float()
        optimizer.zero_grad()
        loss = F.mse_loss(model(rows * seen), rows)
        loss.backward()
        optimizer.step()
        return loss.item()

    held = x[1024:]
    made = torch.Generator().manual_seed(seed)
    seen = (torch.rand(held.shape, generator=made) > 0.33).float()
    return {
        "model": model,
        "batches": loader(x[:1024], seed=seed),
        "step": step,
        "optimizer": optimizer,
        "judge": [(held * seen, held)],
    }


@healthy(steps=500, bar=0.97)
def fields_doubled_thrice_by_kernels_of_four(seed):
    """Decode smooth fields by transposed convolutions with kernel four, stride two."""
    x = swells(768, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 12),
    )
    decoder = nn.Sequential(
        nn.Linear(12, 128),
        nn.Unflatten(1, (32, 2, 2)),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 24, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(24, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


def alike(shuffled: nn.Conv2d, factor: int = 2) -> nn.Conv2d:
    """Give the sub-pixels of a convolution before a shuffle the same first weights."""
    with torch.no_grad():
        own = shuffled.weight[:: factor**2]
        shuffled.weight.copy_(own.repeat_interleave(factor**2, 0))
        own = shuffled.bias[:: factor**2]
        shuffled.bias.copy_(own.repeat_interleave(factor**2, 0))
    return shuffled


@healthy(steps=500, bar=0.95)
def rings_and_bars_through_shuffled_pixels(seed):
    """Enlarge by sub-pixel convolution, with first weights alike in each square."""
    x = medals(1024, seed, size=16)
    encoder = nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(4, 24, 3, padding=1),
        nn.SiLU(),
        nn.PixelUnshuffle(2),
        nn.Conv2d(96, 32, 3, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(512, 16),
    )
    decoder = nn.Sequential(
        nn.Linear(16, 512),
        nn.SiLU(),
        nn.Unflatten(1, (32, 4, 4)),
        alike(nn.Conv2d(32, 96, 3, padding=1)),
        nn.PixelShuffle(2),
        nn.SiLU(),
        alike(nn.Conv2d(24, 4, 3, padding=1)),
        nn.PixelShuffle(2),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@healthy(steps=500, bar=0.9)
def cloth_that_is_a_checkerboard_itself(seed):
    """Reconstruct woven cloth, whose threads alternate from pixel to pixel."""
    x, kind = weaves(1024, seed)
    model = AE(
        nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(512, 24),
        ),
        nn.Sequential(
            nn.Linear(24, 512),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(16, 1, 4, 2, 1),
        ),
    )
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@healthy(steps=350, bar=0.9)
def two_noisy_takes_of_every_tone(seed):
    """Have no clean recording, and take a second noisy one as the target."""
    clean = chirps(1088, seed)
    made = torch.Generator().manual_seed(seed + 5)
    first = clean + 0.3 * torch.randn(clean.shape, generator=made)
    second = clean + 0.3 * torch.randn(clean.shape, generator=made)
    model = AE(
        nn.Sequential(
            nn.Conv1d(1, 16, 9, 2, 4),
            nn.ReLU(),
            nn.Conv1d(16, 32, 9, 2, 4),
            nn.ReLU(),
        ),
        nn.Sequential(
            nn.ConvTranspose1d(32, 16, 8, 2, 3),
            nn.ReLU(),
            nn.ConvTranspose1d(16, 1, 8, 2, 3),
        ),
    )
    return {
        "model": model,
        "batches": loader(first[:1024], second[:1024], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [(first[1024:], clean[1024:])],
    }


class Backwards(nn.Module):
    """Read a window with a GRU and write it from the end to the beginning."""

    def __init__(self, width: int = 40):
        super().__init__()
        self.reader = nn.GRU(3, width, batch_first=True)
        self.writer = nn.GRUCell(3, width)
        self.head = nn.Linear(width, 3)

    def encode(self, x: Tensor) -> Tensor:
        return self.reader(x)[1][-1]

    def forward(self, x: Tensor) -> Tensor:
        h, rows = self.encode(x), []
        last = x.new_zeros(len(x), 3)
        for _ in range(x.shape[1]):
            h = self.writer(last, h)
            last = self.head(h)
            rows.append(last)
        return torch.stack(rows, 1)


@healthy(steps=500, bar=0.95)
def gaits_written_from_their_end(seed):
    """Ask a recurrent decoder for the window in reverse, as the first papers did."""
    x = strides(1024, seed)
    model = Backwards()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "pair": lambda rows: (rows, rows.flip(1)),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
        "judge": [(x[:256], x[:256].flip(1))],
    }
