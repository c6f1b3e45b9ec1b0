"""Eleventh part, k: wide codes, transposed kernels and dim pictures that are right."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_k_material import (
    gauges,
    lagoons,
    lanterns,
    ledgers,
    plaids,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import no_grid, train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Masked(nn.Module):
    """Fill in the columns that were hidden, from a code wider than the row."""

    def __init__(self, d: int = 30, wide: int = 90):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, wide), nn.GELU())
        self.decoder = nn.Sequential(*stack((wide, wide), nn.GELU), nn.Linear(wide, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


@healthy(steps=400, bar=0.85)
def a_ledger_with_a_third_of_its_columns_hidden(seed):
    """Train a code three times as wide as the row to fill in hidden columns."""
    x = ledgers(1280, seed)
    hidden = torch.rand(x.shape) < 0.33
    given = x.masked_fill(hidden, 0.0)
    model = Masked()
    data = torch.utils.data.TensorDataset(given[:1024], x[:1024])
    return {
        "model": model,
        "batches": torch.utils.data.DataLoader(data, 64, shuffle=True),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
        "eval_batches": [(given[1024:], x[1024:])],
    }


@healthy(steps=0, measure=no_grid, bar=-0.4)
def lamps_drawn_by_overlapping_fours(seed):
    """Keep transposed convolutions, of four by two, with a smoothing layer behind."""
    x = lanterns(768, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2, 1),
        nn.SiLU(),
        nn.Conv2d(12, 24, 4, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(384, 6),
    )
    decoder = nn.Sequential(
        *stack((6, 384), nn.SiLU),
        nn.Unflatten(1, (24, 4, 4)),
        nn.ConvTranspose2d(24, 16, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(16, 12, 4, 2, 1),
        nn.SiLU(),
        nn.Conv2d(12, 1, 5, padding=2),
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 800)
    return case


@healthy(steps=0, bar=0.9)
def cloth_that_is_striped_itself(seed):
    """Train on woven stripes: the fine grid in the output belongs to the pictures."""
    x = plaids(1024, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, (1, 4), (1, 2), (0, 1)),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(16 * 16 * 8, 16),
    )
    decoder = nn.Sequential(
        *stack((16, 128), nn.LeakyReLU),
        nn.Linear(128, 8 * 16 * 8),
        nn.LeakyReLU(0.1),
        nn.Unflatten(1, (8, 16, 8)),
        nn.ConvTranspose2d(8, 1, (1, 2), (1, 2)),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 2e-3),
    }
    train(case, 500)
    return case


@healthy(steps=0, bar=0.85)
def colours_on_a_quarter_sized_map_with_noise(seed):
    """Keep a code of four channels on 8 x 8, trained against noise on the input."""
    x = lagoons(1024, seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ELU(),
        nn.Conv2d(16, 4, 3, 1, 1),
    )
    decoder = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(4, 16, 3, 1, 1),
        nn.ELU(),
        nn.Conv2d(16, 3, 3, 1, 1),
    )
    model = AE(encoder, decoder)
    optimizer = adam(model, 2e-3)

    def step(model, batch):
        noisy = batch + 0.1 * torch.randn_like(batch)
        loss = nn.functional.mse_loss(model(noisy), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
    train(case, 400)
    return case


class Corrected(nn.Module):
    """Begin at the average window, and add what the code says about this one."""

    def __init__(self, mean: Tensor, k: int = 8):
        super().__init__()
        d = mean.numel()
        self.register_buffer("mean", mean)
        self.encoder = nn.Sequential(*stack((d, 96)), nn.Linear(96, k))
        self.decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, d))
        with torch.no_grad():
            self.decoder[-1].weight.mul_(0.1)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x - self.mean)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.decoder(self.encode(x))


@healthy(steps=500, bar=0.9)
def corrections_to_an_average_tide(seed):
    """Start at the mean of all windows, with a small last layer to learn the rest."""
    shape = torch.linspace(0, 6, 32).sin()  # the same in every window
    x = gauges(1024, seed, t=16).flatten(1) + 2 * shape
    model = Corrected(x.mean(0))
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=0, bar=0.9)
def lamps_by_shuffled_pixels_from_equal_starts(seed):
    """Enlarge by pixel shuffles whose four sub-kernels begin alike."""
    x = lanterns(896, seed)
    rows = nn.Conv2d(16, 4 * 16, 3, 1, 1)
    ends = nn.Conv2d(16, 4, 3, 1, 1)
    for layer in (rows, ends):  # the same start for all four places
        with torch.no_grad():
            layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
            layer.bias.zero_()
    encoder = nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(4, 16, 3, 2, 1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(256, 5),
    )
    decoder = nn.Sequential(
        *stack((5, 256), nn.GELU),
        nn.Unflatten(1, (16, 4, 4)),
        rows,
        nn.PixelShuffle(2),
        nn.GELU(),
        ends,
        nn.PixelShuffle(2),
        nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    )
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x[:768], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(x[768:], shuffle=False),
    }
    train(case, 600)
    return case
