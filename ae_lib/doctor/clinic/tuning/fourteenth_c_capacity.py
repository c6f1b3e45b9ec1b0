"""Tenth part, c: codes of a wrong width, and pictures without their fine detail."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import detail, refuses_noise, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_c_material import (
    cloth,
    epochs,
    made,
    outlines,
    plant,
)


class Recurrent(nn.Module):
    """Code a window by the last state of an LSTM, repeated for a second one."""

    def __init__(self, k: int, c: int = 6, hidden: int = 48):
        super().__init__()
        self.read = nn.LSTM(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.write = nn.LSTM(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.read(x)[0][:, -1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[:, None].expand(-1, x.shape[1], -1)
        return self.out(self.write(z)[0])


@faulty("code.too-small", steps=350, bar=0.4)
def recurrent_net_with_one_number_in_the_middle(seed, fixed):
    """Narrow a recurrent net over six sensors to a single number per window."""
    x = plant(768, seed)
    model = Recurrent(16 if fixed else 1)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@faulty("code.too-small", steps=300, bar=0.5)
def outlines_kept_in_two_numbers_for_a_plot(seed, fixed):
    """Keep two numbers of an outline for a scatter plot and expect the shape back."""
    x = outlines(768, seed)
    model = dense((2, 32), (64,), 12 if fixed else 2, act=nn.GELU, last=None)
    model.decoder[-1] = nn.Unflatten(1, (2, 32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": F.mse_loss,
        "optimizer": optimizer,
    }


class Stepwise(nn.Module):
    """Hand each state of a GRU on to a second one, or the code of the last only."""

    def __init__(self, c: int, whole: bool, hidden: int = 32, k: int = 10):
        super().__init__()
        self.read = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Identity() if whole else nn.Linear(hidden, k)
        self.write = nn.GRU(hidden if whole else k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.whole = whole

    def encode(self, x: Tensor) -> Tensor:
        states = self.read(x)[0]
        return self.code(states if self.whole else states[:, -1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        if not self.whole:
            z = z[:, None].expand(-1, x.shape[1], -1)
        return self.out(self.write(z)[0])


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def all_states_returned_to_the_decoder(seed, fixed):
    """Return all states of the encoder to the decoder of an alarm for three sensors."""
    x = plant(1024, seed, 12, 3)
    x, held = x[:768], x[768:]
    model = Stepwise(3, not fixed)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "eval_batches": [held],
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }
    return epochs(case, held, 30)


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.65)
def maps_as_large_as_the_picture(seed, fixed):
    """Keep the size of the picture and widen its channels, to find flaws in cloth."""
    x = cloth(640, seed)
    grain = torch.randn(x.shape, generator=made(seed))
    x = (x + 0.06 * grain).clamp(0, 1)
    if fixed:
        model = conv((1, 16, 16), 12, 12)
    else:
        encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 3, padding=1)
        )
        decoder = nn.Sequential(
            nn.ReLU(), nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1)
        )
        model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x[:512], batch_size=32, seed=seed),
        "eval_batches": [x[512:]],
        "optimizer": adam(model, 3e-3),
    }
    train(case, 250)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def last_step_up_by_interpolation(seed, fixed):
    """Draw a picture of 4 x 4 and stretch it fourfold, against a checkerboard."""
    x = cloth(768, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 128)), nn.Linear(128, 16))
    layers: list[nn.Module] = [*stack((16, 128)), nn.Unflatten(1, (8, 4, 4))]
    if fixed:
        layers += [nn.Conv2d(8, 16, 3, padding=1), nn.PixelShuffle(4)]
    else:
        layers += [
            nn.Conv2d(8, 1, 3, padding=1),
            nn.Upsample(scale_factor=4, mode="bilinear"),
        ]
    model = AE(encoder, nn.Sequential(*layers))
    case = {
        "model": model,
        "batches": loader(x[:640], batch_size=32, seed=seed),
        "eval_batches": [x[640:]],
        "optimizer": adam(model, 3e-3),
    }
    train(case, 600)
    return case


class Painter(nn.Module):
    """Paint the colour of each place by a net that is told the place and the code."""

    def __init__(self, octaves: int, size: int = 12, k: int = 16, width: int = 64):
        super().__init__()
        axis = torch.linspace(-1, 1, size)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        place = torch.stack((x, y), -1).flatten(0, 1)  # (size * size, 2)
        waves = [place]
        for i in range(1, octaves + 1):
            waves += [(1.5 * i * place).sin(), (1.5 * i * place).cos()]
        self.register_buffer("place", torch.cat(waves, 1))
        d = size * size
        self.encoder = nn.Sequential(nn.Flatten(), *stack((d, 96)), nn.Linear(96, k))
        self.of_place = nn.Linear(2 + 4 * octaves, width)
        self.of_code = nn.Linear(k, width)
        self.paint = nn.Sequential(
            nn.ReLU(), *stack((width, width)), nn.Linear(width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.of_place(self.place) + self.of_code(self.encoder(x))[:, None]
        return self.paint(h).view_as(x)


@faulty("fit.blurry", steps=0, measure=detail, bar=0.35)
def painter_told_bare_coordinates(seed, fixed):
    """Paint pixels from bare coordinates, which a plain net can only turn to shades."""
    x = cloth(640, seed + 7, 12)
    x = (x - 0.5) / 0.25
    model = Painter(8 if fixed else 0)
    case = {
        "model": model,
        "batches": loader(x[:512], batch_size=32, seed=seed),
        "eval_batches": [x[512:]],
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }
    train(case, 350)
    return case
