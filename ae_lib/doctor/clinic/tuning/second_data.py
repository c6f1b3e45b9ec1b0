"""Faults in the data and the loader: codes data.*."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    scenes,
    standardise,
    table,
    waves,
)
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty


@faulty("data.nonfinite")
def gaps_in_the_record(seed, fixed):
    """Leave missing sensor readings as NaN."""
    x = table(768, seed, d=24)
    x[torch.rand_like(x) < 0.003] = float("nan")
    x = x.nan_to_num(0.0) if fixed else x
    model = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, 6))
    model.extend([nn.Linear(6, 48), nn.Tanh(), nn.Linear(48, 24)])
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.nonfinite")
def gamma_in_half_precision(seed, fixed):
    """Square bytes in float16 to raise the contrast; 255 * 255 * 1.1 overflows."""
    x = patches(512, seed) * 255
    x = x if fixed else x.half()
    x = ((x * x * 1.1) / (255 * 255 * 1.1)).float()
    model = conv((3, 16, 16), 24, act=nn.ELU)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("data.scale")
def bytes_without_float(seed, fixed):
    """Feed the uint8 tensor as it came from the file."""
    x = (scenes(512, seed)[0] * 255).round().to(torch.uint8)
    model = conv((3, 16, 16))
    data = loader(x.float() / 255 if fixed else x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.scale")
def sixteen_grey_levels(seed, fixed):
    """Use scikit-learn's digits as they come, 0..16, with a sigmoid at the end."""
    x, y = digits(768, seed, size=8)
    x = x.flatten(1) * (1 if fixed else 16)
    model = dense((64,), (48,), 12, act=nn.ELU)
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class Sliding:
    """Cut batches that begin at 0, 1, 2 ... or at 0, 32, 64 ..."""

    def __init__(self, x, stride):
        self.x, self.stride = x, stride

    def __len__(self):
        return len(self.x) // 32

    def __iter__(self):
        for i in range(len(self)):
            yield self.x[i * self.stride : i * self.stride + 32]


@faulty("data.order")
def window_moves_by_one(seed, fixed):
    """Write x[i : i + bs] in a loop over batch numbers."""
    x, _ = scenes(512, seed)
    model = dense((3, 16, 16), (128,), 24)
    data = Sliding(x, 32 if fixed else 1)
    return {"model": model, "batches": data, "optimizer": adam(model), "judge": [x]}


@faulty("data.order", steps=64)
def one_class_after_the_other(seed, fixed):
    """Concatenate the classes and never shuffle; the loader yields images only."""
    x, y = digits(1024, seed)
    order = torch.randperm(1024) if fixed else y.argsort(stable=True)
    model = dense((1, 28, 28), (128,), 16, act=nn.ELU)
    data = loader(x[order], shuffle=False)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "labels": y[order], "judge": [x]}


class Flipped(torch.utils.data.Dataset):
    """Augment by flipping, the input alone or the pair."""

    def __init__(self, x, both):
        self.x, self.both = x, both

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        image = self.x[i]
        turned = image.flip(-1, -2) if i % 2 else image
        return turned, turned if self.both else image


@faulty("data.target")
def only_the_input_is_turned(seed, fixed):
    """Turn every other input upside down and leave its target."""
    x = standardise(patches(512, seed))
    model = conv((3, 16, 16), 24, last=None)
    data = DataLoader(Flipped(x, fixed), 64, shuffle=True)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "judge": [x]}


@faulty("data.target")
def off_by_one_when_zipped(seed, fixed):
    """Zip inputs with targets that begin one sample later."""
    x = table(513, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    data = loader(x[:-1], x[:-1] if fixed else x[1:], seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "judge": [x]}


@faulty("data.layout")
def tiles_by_reshape(seed, fixed):
    """Cut images into four tiles by reshape, which cuts rows instead."""
    x, _ = scenes(192, seed, size=32)
    if fixed:
        tiles = x.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5)
        tiles = tiles.reshape(-1, 3, 16, 16)
    else:
        tiles = x.reshape(-1, 3, 16, 16)
    model = conv((3, 16, 16), 24)
    data = loader(tiles, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.layout")
def photos_stored_rows_first(seed, fixed):
    """Read MATLAB's (H, W, C, N) with one reshape to (N, C, H, W)."""
    stored = patches(512, seed).permute(2, 3, 1, 0).contiguous()
    wrong = stored.reshape(512, 3, 16, 16)
    model = conv((3, 16, 16), 32, act=nn.LeakyReLU)
    data = loader(stored.permute(3, 2, 0, 1) if fixed else wrong, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.shift", steps=0)
def judged_on_the_other_normalisation(seed, fixed):
    """Train on [-1, 1] and show test images in [0, 1]."""
    x, _ = scenes(640, seed)
    model = conv((3, 16, 16), 32, last=nn.Tanh)
    case = {"model": model, "batches": loader(2 * x[:512] - 1, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 120)
    rest = x[512:]
    return {**case, "eval_batches": [2 * rest - 1 if fixed else rest]}


@faulty("data.shift", steps=0)
def metres_and_millimetres(seed, fixed):
    """Train on metres, judge rows that another site recorded in millimetres."""
    x = waves(640, seed, d=32)
    model = dense((32,), (64,), 6, act=nn.Tanh, last=None)
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return {**case, "eval_batches": loader(x[512:] * (1 if fixed else 1000))}
