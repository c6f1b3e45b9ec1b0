"""Eleventh part, e: right weights and signals that are frozen, zero, equal or steep."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_e_material import (
    clouds,
    needles,
    panels,
    pulses,
    readings,
    windows,
)
from ae_lib.doctor.clinic.material import digits, loader, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense, stack
from ae_lib.doctor.clinic.program import healthy


class RandomEyes(nn.Module):
    """Look through a random projection that never learns, and learn to undo it."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.register_buffer("look", torch.randn(k, d) / math.sqrt(d))
        self.back = nn.Sequential(*stack((k, 96)), nn.Linear(96, d))

    def encode(self, x: Tensor) -> Tensor:
        return F.linear(x, self.look)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.encode(x))


@healthy(steps=400, bar=0.9)
def compressed_sensing_of_a_panel(seed):
    """Measure a panel of few causes by fixed random sums, and learn the way back."""
    model = RandomEyes(40, 20)
    return {
        "model": model,
        "batches": loader(panels(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Silent(nn.Module):
    """Add to a map what two convolutions say; the second says nothing at first."""

    def __init__(self, c: int):
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 3, 1, 1)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)

    def forward(self, h: Tensor) -> Tensor:
        return F.relu(h + self.b(F.relu(self.a(h))))


@healthy(steps=300, bar=0.85)
def branches_that_begin_at_zero(seed):
    """Start the last convolution of each residual branch at zero, as in Fixup."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        Silent(16),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        Silent(32),
        nn.Flatten(),
        nn.Linear(512, 20),
    )
    decoder = nn.Sequential(
        nn.Linear(20, 512),
        nn.ReLU(),
        nn.Unflatten(1, (32, 4, 4)),
        Silent(32),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.ReLU(),
        Silent(16),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(clouds(640, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Sines(nn.Module):
    """Write a pulse as a network of sines over time, steered by the code."""

    def __init__(self, t: int = 48, k: int = 4, wide: int = 48, speed: float = 15.0):
        super().__init__()
        self.speed = speed
        self.register_buffer("time", torch.linspace(-1, 1, t).view(1, t, 1))
        self.reader = nn.Sequential(*stack((t, 96), nn.SiLU), nn.Linear(96, k))
        self.steer = nn.Linear(k, wide)
        self.first, self.second = nn.Linear(1, wide), nn.Linear(wide, wide)
        self.last = nn.Linear(wide, 1)
        bound = math.sqrt(6 / wide) / speed
        nn.init.uniform_(self.first.weight, -1, 1)
        nn.init.uniform_(self.second.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        turn = self.steer(self.reader(x))[:, None]  # (B, 1, wide)
        h = torch.sin(self.speed * self.first(self.time) + 3 * turn)
        h = torch.sin(self.speed * self.second(h))
        return self.last(h)[..., 0]


@healthy(steps=700, bar=0.92)
def pulses_written_by_sines_of_time(seed):
    """Decode by a network of sines with its own uniform weights and factor fifteen."""
    model = Sines()
    return {
        "model": model,
        "batches": loader(pulses(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@healthy(steps=500, bar=0.82)
def logistic_tower_with_a_norm_on_every_floor(seed):
    """Stack six logistic layers, with batch norm before each to keep them awake."""

    def floor(a, b):
        return [nn.Linear(a, b), nn.BatchNorm1d(b), nn.Sigmoid()]

    encoder = [*floor(32, 64), *floor(64, 48), *floor(48, 32), nn.Linear(32, 8)]
    decoder = [*floor(8, 32), *floor(32, 48), *floor(48, 64), nn.Linear(64, 32)]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return {
        "model": model,
        "batches": loader(readings(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


class Noisy(nn.Module):
    """Squash to (0, 1) after much noise, which drives the code to its ends."""

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(h + 2.0 * torch.randn_like(h) if self.training else h)


@healthy(steps=0, bar=0.7)
def hashing_driven_to_the_ends_by_noise(seed):
    """Train a code under noise until it is almost binary, as semantic hashing does."""
    x, y = digits(1024, seed, size=8)
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((64, 128)), nn.Linear(128, 32), Noisy()),
        nn.Sequential(
            *stack((32, 128)),
            nn.Linear(128, 64),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 8, 8)),
        ),
    )
    case = {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model),
    }
    train(case, 1500)
    return case


@healthy(steps=400, bar=0.93)
def tanh_all_the_way_to_full_scale_waves(seed):
    """Use tanh in each layer and at the end for waves that reach -1 and 1."""
    model = dense((64,), (96, 48), 6, act=nn.Tanh, last=nn.Tanh)
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight, nn.init.calculate_gain("tanh"))
    return {
        "model": model,
        "batches": loader(waves(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Corrected(nn.Module):
    """Project on principal components, and learn to bend what they give back."""

    def __init__(self, x: Tensor, k: int):
        super().__init__()
        mean, d = x.mean(0), x.shape[1]
        basis = torch.linalg.svd(x - mean, full_matrices=False).Vh[:k]
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)
        self.bend = nn.Sequential(*stack((k, 128), nn.SiLU), nn.Linear(128, d))
        with torch.no_grad():
            self.encoder.weight.copy_(basis)
            self.encoder.bias.copy_(-basis @ mean)
            self.decoder.weight.copy_(basis.T)
            self.decoder.bias.copy_(mean)
            self.bend[-1].weight.zero_()
            self.bend[-1].bias.zero_()

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        return self.decoder(z) + self.bend(z)


@healthy(steps=500, bar=0.9)
def network_that_begins_as_principal_components(seed):
    """Start as principal components of the readings, with a correction of zero."""
    x = readings(1024, seed)
    model = Corrected(x, 6)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Echo(nn.Module):
    """Read a window by a rectified cell whose memory starts as the identity."""

    def __init__(self, c: int = 3, wide: int = 48, t: int = 16, k: int = 8):
        super().__init__()
        self.cell = nn.RNN(c, wide, nonlinearity="relu", batch_first=True)
        nn.init.eye_(self.cell.weight_hh_l0)
        nn.init.normal_(self.cell.weight_ih_l0, std=0.15)
        nn.init.zeros_(self.cell.bias_hh_l0)
        nn.init.zeros_(self.cell.bias_ih_l0)
        self.code = nn.Linear(wide, k)
        self.writer = nn.Sequential(*stack((k, 96)), nn.Linear(96, t * c))

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.cell(x)[1][0])

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view_as(x)


@healthy(steps=700, bar=0.9)
def memory_that_starts_as_the_identity(seed):
    """Start a rectified recurrent layer at the identity, with clipped gradients."""
    model = Echo()
    optimizer = adam(model)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(windows(768, seed), batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=500, bar=0.92)
def hands_on_a_dial_with_an_empty_rim(seed):
    """Frame each picture with four empty pixels, which stay zero for all of them."""
    x = F.pad(needles(640, seed, size=12), (4, 4, 4, 4))
    model = dense((1, 20, 20), (192,), 10, act=nn.ELU)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model),
    }
