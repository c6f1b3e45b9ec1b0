"""Eleventh part, f: targets that are not the clean input, and networks that copy."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import (
    chirps,
    medals,
    readings,
    strides,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import refuses_noise, train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


def hiss(x: Tensor, amount: float, seed: int | None = None) -> Tensor:
    """Return noise for x; of a generator of its own where a seed is given."""
    if seed is None:
        return amount * torch.randn_like(x)
    made = torch.Generator().manual_seed(seed)
    return amount * torch.randn(x.shape, generator=made)


@faulty("data.target", steps=300, bar=0.65)
def noise_added_before_the_target_was_taken(seed, fixed):
    """Overwrite the batch by its noisy copy, then take the target from it."""
    x = chirps(704, seed)
    encoder = nn.Sequential(
        nn.Conv1d(1, 16, 9, 2, 4),
        nn.ReLU(),
        nn.Conv1d(16, 32, 9, 2, 4),
        nn.ReLU(),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose1d(32, 16, 8, 2, 3),
        nn.ReLU(),
        nn.ConvTranspose1d(16, 1, 8, 2, 3),
    )
    model = AE(encoder, decoder)
    optimizer = adam(model, 3e-3)

    def train_step(net, wave):
        clean = wave
        wave = wave + hiss(wave, 0.5)
        goal = clean if fixed else wave
        optimizer.zero_grad()
        loss = F.mse_loss(net(wave), goal)
        loss.backward()
        optimizer.step()
        return loss.item()

    held = x[640:]
    return {
        "model": model,
        "batches": loader(x[:640], batch_size=32, seed=seed),
        "step": train_step,
        "optimizer": optimizer,
        "judge": [(held + hiss(held, 0.5, seed), held)],
    }


class Cutter:
    """Serve pairs of random cut-outs: one draw for both, or one for each."""

    def __init__(self, x: Tensor, size: int, seed: int, *, together: bool):
        self.x, self.size, self.together = x, size, together
        self.made = torch.Generator().manual_seed(seed)

    def cut(self, rows: Tensor, corners: Tensor) -> Tensor:
        s = self.size
        return torch.stack(
            [
                row[:, a : a + s, b : b + s]
                for row, (a, b) in zip(rows, corners.tolist(), strict=True)
            ]
        )

    def corners(self, n: int) -> Tensor:
        room = self.x.shape[-1] - self.size + 1
        return torch.randint(room, (n, 2), generator=self.made)

    def __len__(self) -> int:
        return len(self.x) // 32

    def __iter__(self):
        order = torch.randperm(len(self.x), generator=self.made)
        for rows in self.x[order].split(32)[: len(self)]:
            first = self.corners(len(rows))
            second = first if self.together else self.corners(len(rows))
            shown = self.cut(rows, first)
            speckle = torch.randn(shown.shape, generator=self.made)
            yield shown + 0.1 * speckle, self.cut(rows, second)


@faulty("data.target", steps=500, bar=0.6)
def input_and_target_cropped_by_two_draws(seed, fixed):
    """Call the random crop once for the noisy input and once more for its target."""
    x = medals(704, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.GELU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(512, 20),
    )
    decoder = nn.Sequential(
        *stack((20, 160), nn.GELU),
        nn.Linear(160, 256),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 16, 16)),
    )
    model = AE(encoder, decoder)
    held = x[640:, :, 2:18, 2:18]
    return {
        "model": model,
        "batches": Cutter(x[:640], 16, seed, together=fixed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [(held + hiss(held, 0.1, seed), held)],
    }


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def alarm_for_a_machine_with_more_units_than_readings(seed, fixed):
    """Watch 24 readings for faults through 64 and 40 units, all free to copy."""
    x = readings(1024, seed, noise=0.4)
    k = 4 if fixed else 40
    model = AE(
        nn.Sequential(*stack((24, 64), nn.LeakyReLU), nn.Linear(64, k)),
        nn.Sequential(*stack((k, 64), nn.LeakyReLU), nn.Linear(64, 24)),
    )
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
    train(case, 900)
    return case


class Gait(nn.Module):
    """Encode a window with a GRU; hand on its last state, or all of them."""

    def __init__(self, width: int, t: int, *, all_states: bool):
        super().__init__()
        self.t, self.all_states = t, all_states
        self.reader = nn.GRU(3, width, batch_first=True)
        self.writer = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, 3)

    def encode(self, x: Tensor) -> Tensor:
        states, last = self.reader(x)
        return states if self.all_states else last[-1]

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        if not self.all_states:
            z = z[:, None].expand(-1, self.t, -1)
        return self.head(self.writer(z)[0])


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.4)
def every_state_of_the_reader_handed_to_the_writer(seed, fixed):
    """Give the decoder the encoder's state of each step, thirty-two for each three."""
    x = strides(768, seed)
    model = Gait(32, 16, all_states=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }
    train(case, 500)
    return case
