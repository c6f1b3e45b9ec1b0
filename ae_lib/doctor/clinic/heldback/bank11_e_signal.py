"""Eleventh part, e: signals that start alike, flat or silent for every input."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_e_material import (
    clouds,
    decibels,
    readings,
    tones,
    windows,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("signal.common-mode", steps=700, bar=0.6)
def logistic_squashing_on_every_floor_of_a_tower(seed, fixed):
    """Copy a nineties tower of nine logistic layers for a table of readings."""
    x = readings(1024, seed)
    act = nn.Tanh if fixed else nn.Sigmoid
    model = AE(
        nn.Sequential(*stack((32, 64, 48, 32, 24), act), nn.Linear(24, 8)),
        nn.Sequential(*stack((8, 24, 32, 48, 64), act), nn.Linear(64, 32)),
    )
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Shares(nn.Module):
    """Turn the channels of a map into shares of one, if asked for."""

    def __init__(self, wanted: bool):
        super().__init__()
        self.wanted = wanted

    def forward(self, h: Tensor) -> Tensor:
        return h.softmax(1) if self.wanted else torch.relu(h)


@faulty("signal.common-mode", steps=300, bar=0.5)
def softmax_over_channels_between_convolutions(seed, fixed):
    """Use the softmax, known from classifiers, after each layer of an encoder."""
    x = clouds(768, seed)
    share = not fixed
    encoder = nn.Sequential(
        nn.Conv2d(1, 24, 4, 2, 1),
        Shares(share),
        nn.Conv2d(24, 48, 4, 2, 1),
        Shares(share),
        nn.Flatten(),
        nn.Linear(768, 64),
        Shares(share),
        nn.Linear(64, 20),
    )
    decoder = nn.Sequential(
        *stack((20, 128)),
        nn.Linear(128, 256),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 16, 16)),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": adam(model),
    }


class Partials(nn.Module):
    """Code a sound by the real and imaginary parts of its spectrum."""

    def __init__(self, norm: str, t: int = 512, k: int = 8):
        super().__init__()
        self.norm = norm
        self.squeeze = nn.Sequential(nn.Linear(t + 2, k), nn.Tanh())
        self.speak = nn.Sequential(*stack((k, 64), nn.Tanh), nn.Linear(64, t))

    def encode(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x, norm=self.norm)
        return self.squeeze(torch.cat([spectrum.real, spectrum.imag], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.speak(self.encode(x))


@faulty("signal.saturated", steps=400, bar=0.9)
def unnormalised_transform_in_front_of_tanh(seed, fixed):
    """Feed the plain Fourier sums of a sound, hundreds in size, to a layer of tanh."""
    x = tones(1024, seed, t=512)
    model = Partials("ortho" if fixed else "backward")
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Steep(nn.Module):
    """Squash to (0, 1) with a slope."""

    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * h)


@faulty("signal.saturated", steps=400, bar=0.8)
def slope_of_a_thousand_for_switches_from_the_first_step(seed, fixed):
    """Hope for switches instead of numbers, and multiply by 1000 before the sigmoid."""
    x = windows(768, seed)
    slope = 1.0 if fixed else 1000.0
    encoder = nn.Sequential(
        nn.Flatten(), *stack((48, 64), nn.ELU), nn.Linear(64, 6), Steep(slope)
    )
    decoder = nn.Sequential(
        *stack((6, 64), nn.ELU), nn.Linear(64, 48), nn.Unflatten(1, (16, 3))
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


@faulty("signal.dead-units", steps=400, bar=0.4)
def rectifier_before_the_first_layer_of_decibels(seed, fixed):
    """Begin with a block of ReLU then convolution, though decibels are negative."""
    x = decibels(768, seed)
    front = nn.Identity() if fixed else nn.ReLU()
    encoder = nn.Sequential(
        front,
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 12),
    )
    decoder = nn.Sequential(
        *stack((12, 128)),
        nn.Linear(128, 256),
        nn.Unflatten(1, (1, 16, 16)),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }
