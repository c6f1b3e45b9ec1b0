"""Tenth bank, b: codes data.nonfinite, data.scale and data.order."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, scenes, table, waves
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import (
    Recurrent,
    column_r2,
    heartbeats,
    made,
    weather,
)


# Asked: http://dong.sh/posts/lossbreakgredients
@faulty("data.nonfinite", steps=160, bar=0.3)
def readings_missing_from_the_station(seed, fixed):
    """Leave the gaps of a weather station in the series as NaN."""
    whole = weather(512, seed, t=12)
    gaps = torch.rand(whole.shape, generator=made(seed)) < 0.002
    x = whole.masked_fill(gaps, float("nan"))
    if fixed:
        x = torch.nan_to_num(x, nan=0.0)  # the mean of each channel
    model = Recurrent(3, 24, 8)
    case = {"model": model, "batches": loader(x, seed=seed), "judge": [whole]}
    return {**case, "optimizer": adam(model, 1e-2)}


@faulty("data.nonfinite", bar=0.4)
def prices_kept_in_half_precision(seed, fixed):
    """Keep the prices in float16 to save memory and take their logarithm later."""
    prices = (9 + 0.9 * table(512, seed, d=24)).exp()
    kept = prices if fixed else prices.half().float()
    x = (kept.log() - 9) / 0.9
    model = dense((24,), (64,), 8, act=nn.GELU, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    judge = [(prices.log() - 9) / 0.9]
    return {**case, "judge": judge, "optimizer": adam(model, 5e-3)}


class Frames(torch.utils.data.Dataset):
    """Scale every frame by its own brightest pixel."""

    def __init__(self, frames, least):
        self.frames, self.least = frames, least

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, i):
        frame = self.frames[i]
        return frame / frame.max().clamp(min=self.least)


@faulty("data.nonfinite", bar=0.4)
def black_frames_by_their_own_maximum(seed, fixed):
    """Divide each frame of a film by its maximum, which is 0 for a black frame."""
    x, _ = digits(512, seed, size=16)
    x = 0.6 * x
    x[::97] = 0
    data = Frames(x, 1e-6 if fixed else 0.0)
    model = conv((1, 16, 16), 16)
    batches = DataLoader(data, 64, shuffle=True, generator=made(seed))
    judge = [x[1:97] / 0.6]
    return {
        "model": model,
        "batches": batches,
        "judge": judge,
        "optimizer": adam(model),
    }


# Asked: https://stats.stackexchange.com/questions/357357
@faulty("data.scale", measure=column_r2, bar=0.4)
def customers_in_their_own_units(seed, fixed):
    """Feed age, income, balance and shares as they stand in the file."""
    x = table(512, seed, d=12, rank=4)
    unit = torch.tensor([12, 9000, 0.2, 1, 4, 2500, 0.05, 30, 0.5, 7, 800, 0.1])
    usual = torch.tensor([41, 32000, 0.4, 2, 9, 1200, 0.1, 60, 3, 20, 500, 0.3])
    rows = usual + unit * x
    if fixed:
        rows = (rows - rows.mean(0)) / rows.std(0)
    model = dense((12,), (64, 32), 6, last=None)
    case = {"model": model, "batches": loader(rows, seed=seed)}
    return {**case, "optimizer": adam(model, 5e-3)}


@faulty("data.scale", accepts=("signal.saturated",), bar=0.4)
def depth_in_millimetres(seed, fixed):
    """Feed the maps of a depth camera in millimetres to tanh layers."""
    x, _ = scenes(512, seed)
    depth = 400 + 3600 * x.mean(1, keepdim=True)
    if fixed:
        depth = (depth - 400) / 3600
    model = conv((1, 16, 16), 24, act=nn.Tanh, last=None)
    return {
        "model": model,
        "batches": loader(depth, seed=seed),
        "optimizer": adam(model),
    }


@faulty("data.scale", accepts=("signal.common-mode",), steps=250, bar=0.5)
def temperatures_in_kelvin(seed, fixed):
    """Leave a day's temperatures in kelvin, near 285 with a deviation of 6."""
    x = 285 + 6 * weather(512, seed, t=24, c=1)[..., 0]
    if fixed:
        x = (x - x.mean()) / x.std()
    model = dense((24,), (48,), 6, last=None)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("data.order", steps=144, bar=0.8)
def machines_one_after_the_other(seed, fixed):
    """Concatenate the recordings of four machines and read them without shuffling."""
    kinds = [
        torch.cumsum(torch.randn(192, 64, generator=made(seed)), 1) / 8,
        1.5 + 0.5 * waves(192, seed),
        0.5 * waves(192, seed + 7).sign() - 1,
        heartbeats(192, seed, t=64) / 3,
    ]
    x = torch.cat(kinds)
    model = dense((64,), (64,), 6, act=nn.Tanh, last=None)
    data = loader(x, batch_size=32, shuffle=fixed, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


class Feeder:
    """Hand out the rows in batches from a cursor."""

    def __init__(self, x, size, moves):
        self.x, self.size, self.moves = x, size, moves

    def __len__(self):
        return len(self.x) // self.size

    def __iter__(self):
        cursor = 0
        for _ in range(len(self)):
            yield self.x[cursor : cursor + self.size]
            if self.moves:
                cursor += self.size


@faulty("data.order", accepts=("fit.overfit",), steps=200, bar=0.6)
def cursor_that_never_moves(seed, fixed):
    """Write a batch generator that forgets to move its cursor."""
    x, _ = digits(640, seed, size=16)
    model = conv((1, 16, 16), 32, act=nn.ELU)
    data = Feeder(x[:512], 8, fixed)
    return {
        "model": model,
        "batches": data,
        "judge": [x[512:]],
        "optimizer": adam(model, 4e-3),
    }


class Stream:
    """Iterate over batches of a recording."""

    def __init__(self, x, size, rewinds):
        self.parts, self.rewinds, self.i = x.split(size), rewinds, 0

    def __iter__(self):
        if self.rewinds:
            self.i = 0
        return self

    def __next__(self):
        if self.i == len(self.parts):
            raise StopIteration
        self.i += 1
        return self.parts[self.i - 1]


@faulty("data.order", steps=160, bar=0.3)
def stream_that_is_never_rewound(seed, fixed):
    """Write an iterator that is empty from the second epoch on."""
    x, _ = digits(512, seed, size=8)
    data = Stream(x, 64, fixed)
    model = dense((1, 8, 8), (64,), 12)
    optimizer = adam(model, 4e-3)
    return {"model": model, "batches": data, "judge": [x], "optimizer": optimizer}
