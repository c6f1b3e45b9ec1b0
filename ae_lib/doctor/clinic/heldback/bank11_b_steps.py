"""Eleventh part, b: steps too large or too small, and the first value not a number."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    clients,
    counts,
    masks,
    sensors,
)
from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty


class PatchMixer(nn.Module):
    """Let the four-pixel tiles of an image attend to each other, then code them."""

    def __init__(self, width=32, k=16):
        super().__init__()
        self.cut = nn.Conv2d(1, width, 4, 4)  # (B, width, 4, 4)
        self.place = nn.Parameter(0.1 * torch.randn(16, width))
        self.mix = nn.TransformerEncoderLayer(
            width, 2, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.squeeze = nn.Linear(16 * width, k)
        self.widen = nn.Sequential(nn.Linear(k, 128), nn.GELU(), nn.Linear(128, 256))

    def encode(self, x: Tensor) -> Tensor:
        tiles = self.cut(x).flatten(2).mT + self.place
        return self.squeeze(self.mix(tiles).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.widen(self.encode(x))).view_as(x)


@faulty("step.too-large", steps=150, bar=0.3)
def attention_on_tiles_at_a_rate_of_a_tenth(seed, fixed):
    """Train an attention block on digits with Adam and a rate of 0.1."""
    x, y = digits(768, seed, size=16)
    model = PatchMixer()
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3 if fixed else 0.1),
    }


@faulty("step.too-large", steps=250, bar=0.4)
def rate_of_one_kept_from_adadelta(seed, fixed):
    """Replace the Adadelta of a tutorial by RMSprop and keep its rate of one."""
    x = counts(1024, seed).log1p() / 3
    model = dense((60,), (64,), 6, last=None)
    rate = 1e-3 if fixed else 1.0
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=rate),
    }


@faulty("step.too-small", steps=600, bar=0.4)
def adadelta_with_the_default_of_a_newer_release(seed, fixed):
    """Follow a tutorial that names Adadelta where its default is 0.001, not one."""
    x = masks(768, seed)
    model = dense((1, 16, 16), (96,), 12)
    rate = 1.0 if fixed else 1e-3
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": torch.optim.Adadelta(model.parameters(), lr=rate),
    }


@faulty("step.too-small", accepts=("fit.undertrained",), steps=0, bar=0.5)
def schedule_of_epochs_stepped_with_every_batch(seed, fixed):
    """Step a schedule meant for epochs after every batch, so the rate dies at once."""
    x = patches(640, seed, size=16)
    model = conv((3, 16, 16), 24, act=nn.LeakyReLU)
    optimizer = adam(model, 2e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
    batches = loader(x, seed=seed)
    seen = [0]

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        seen[0] += 1
        if not fixed or seen[0] % len(batches) == 0:
            schedule.step()
        return loss.item()

    case = {"model": model, "batches": batches, "step": step, "optimizer": optimizer}
    train(case, 200)
    return case


class Chart(nn.Module):
    """Lay rows out on a chart of few dimensions and read them back."""

    def __init__(self, d=24, k=6):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 64), nn.Tanh), nn.Linear(64, k))
        self.decoder = nn.Sequential(*stack((k, 64), nn.Tanh), nn.Linear(64, d))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        return self.decoder(z), z


@faulty("step.nonfinite", steps=250, bar=0.5)
def root_of_the_distance_of_a_row_to_itself(seed, fixed):
    """Keep distances in the code and take the root of those that are zero, too."""
    x = clients(768, seed)
    model = Chart()

    def apart(rows):
        squares = (rows[:, None] - rows[None]).square().mean(2)
        return (squares + 1e-8).sqrt() if fixed else squares.sqrt()

    def loss(output, target):
        recon, z = output
        strain = (apart(z) - apart(target)).square().mean()
        return F.mse_loss(recon, target) + 0.2 * strain

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


class OwnScale(nn.Module):
    """Bring each window to mean 0 and deviation 1 by itself, and back at the end."""

    def __init__(self, inner: nn.Module, floor: float):
        super().__init__()
        self.inner, self.floor = inner, floor

    def forward(self, x: Tensor) -> Tensor:
        middle = x.mean(1, keepdim=True)
        spread = x.std(1, keepdim=True) + self.floor
        return self.inner((x - middle) / spread) * spread + middle


@faulty("step.nonfinite", steps=300, bar=0.5)
def windows_of_a_resting_machine_scaled_by_their_spread(seed, fixed):
    """Divide each window by its own deviation, which is zero while nothing moves."""
    x = sensors(768, seed)
    x[::40] = x[::40, :1]  # at rest
    inner = dense((24, 4), (96,), 10, act=nn.GELU, last=None)
    model = OwnScale(inner, 1e-3 if fixed else 0.0)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }
