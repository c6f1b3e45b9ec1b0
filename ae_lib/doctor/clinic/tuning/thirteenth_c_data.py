"""Ninth part, c: data in other units or scrambled, pairs mixed up, wiring, NaN."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import (
    accounts,
    blobs,
    days,
    made,
    windows,
)


@faulty("data.scale", steps=300, bar=0.3)
def air_pressure_left_in_pascal(seed, fixed):
    """Feed a day's air pressure in Pascal, about 101,000, to tanh layers."""
    x, _ = days(1024, seed)
    x = 101_300 + 800 * (x - x.mean()) / x.std()
    x = (x - x.mean()) / x.std() if fixed else x
    model = dense((48,), (64,), k=8, act=nn.Tanh, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    case = {"model": model, "batches": loader(x[:896], seed=seed)}
    return {**case, "eval_batches": [x[896:]], "optimizer": optimizer}


@faulty("data.scale", accepts=("output.range",), steps=300, bar=0.3)
def sixteen_bit_images_divided_by_255(seed, fixed):
    """Divide images of sixteen bits by 255, as one does with eight bits."""
    x = (65535 * patches(512, seed, size=12)).round()
    x = x / (65535 if fixed else 255)
    model = conv((3, 12, 12), 24)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.layout", steps=300, bar=0.875)
def colour_axis_moved_with_a_reshape(seed, fixed):
    """Move the colours of (N, H, W, 3) arrays to the front with a reshape."""
    x = blobs(640, seed).permute(0, 2, 3, 1).contiguous()  # as loaded
    x = x.permute(0, 3, 1, 2).contiguous() if fixed else x.reshape(-1, 3, 16, 16)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1),
        nn.ELU(),
        nn.Conv2d(24, 3, 4, 2, 1),  # (B, 3, 4, 4)
        nn.ConvTranspose2d(3, 24, 4, 2, 1),
        nn.ELU(),
        nn.ConvTranspose2d(24, 3, 4, 2, 1),
    )
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


def _temporal(c):
    return nn.Sequential(
        nn.Conv1d(c, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(24, 6, 5, 2, 2),  # (B, 6, 6)
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(6, 24, 5, 1, 2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(24, c, 5, 1, 2),
    )


@faulty("data.layout", steps=300, bar=0.87)
def windows_viewed_as_channels_first(seed, fixed):
    """View windows (N, T, C) as (N, C, T) for convolutions along time."""
    x = windows(768, seed, t=24, c=6)
    x = x.transpose(1, 2).contiguous() if fixed else x.view(-1, 6, 24)
    model = _temporal(6)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": nn.MSELoss()}
    return {**case, "optimizer": adam(model, 4e-3)}


class Zipped:
    """Walk through two loaders side by side."""

    def __init__(self, *loaders):
        self.loaders = loaders

    def __iter__(self):
        return zip(*self.loaders, strict=True)

    def __len__(self):
        return len(self.loaders[0])


@faulty("data.target", steps=300, bar=0.3)
def noisy_and_clean_shuffled_by_two_loaders(seed, fixed):
    """Take noisy and clean images from two loaders, each with its own shuffling."""
    x, _ = digits(640, seed, size=12)
    noisy = (x + 0.25 * torch.randn(x.shape, generator=made(seed + 1))).clamp(0, 1)
    other = loader(x, seed=seed if fixed else seed + 7)
    model = dense((1, 12, 12), (128,), k=20)
    return {
        "model": model,
        "batches": Zipped(loader(noisy, seed=seed), other),
        "optimizer": adam(model, 3e-3),
        "judge": [(noisy, x)],
    }


@faulty("loss.domain", steps=300, bar=0.3)
def similarity_added_instead_of_subtracted(seed, fixed):
    """Add the cosine similarity with the target to the error, and minimise the sum."""
    x, _ = digits(768, seed, size=12)
    model = dense((1, 12, 12), (128,), k=16)
    sign = -1.0 if fixed else 1.0

    def loss(x_hat, target):
        alike = F.cosine_similarity(x_hat.flatten(1), target.flatten(1)).mean()
        return F.l1_loss(x_hat, target) + sign * 0.5 * alike

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Listed(nn.Module):
    """Keep the layers of the way back in a list."""

    def __init__(self, registered, d=24, k=8):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 48)), nn.Linear(48, k))
        layers = [*stack((k, 48, 48)), nn.Linear(48, d)]
        self.layers = nn.ModuleList(layers) if registered else layers

    def forward(self, x):
        h = self.encoder(x)
        for layer in self.layers:
            h = layer(h)
        return h


@faulty("wiring.unoptimised", steps=300, bar=0.6)
def way_back_kept_in_a_plain_list(seed, fixed):
    """Hold the decoder's layers in a Python list, which registers nothing."""
    x = accounts(896, seed)
    model = Listed(registered=fixed)
    data = loader(x, batch_size=64, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("wiring.unoptimised", steps=300, bar=0.6)
def decoder_replaced_after_the_optimizer_was_made(seed, fixed):
    """Swap in a wider decoder for the new task, but keep the optimizer of the old."""
    x = blobs(512, seed, size=12).mean(1, keepdim=True)
    model = dense((1, 12, 12), (96,), k=12)
    optimizer = adam(model, 3e-3)
    wider = nn.Sequential(*stack((12, 160)), nn.Linear(160, 144), nn.Sigmoid())
    model.decoder = wider.append(nn.Unflatten(1, (1, 12, 12)))
    if fixed:
        optimizer = adam(model, 3e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


@faulty("wiring.mode", steps=0, bar=0.78)
def moving_average_without_the_buffers(seed, fixed):
    """Keep a moving average of the parameters only, and demonstrate that copy."""
    x = 2 * patches(576, seed, size=12) - 1
    model = conv((3, 12, 12), 24, last=nn.Tanh, norm=True)
    average = copy.deepcopy(model)
    case = {"model": model, "batches": loader(x[:512], batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    for _ in range(50):
        train(case, 4)
        with torch.no_grad():
            pairs = zip(average.parameters(), model.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 0.2)
            if fixed:
                for kept, now in zip(average.buffers(), model.buffers(), strict=True):
                    kept.copy_(now)
    return {
        "model": average,
        "batches": case["batches"],
        "eval_batches": [x[512:]],
    }


class Forgetful(nn.Module):
    """Regularise a dense network with a dropout."""

    def __init__(self, inside, d=48, k=12):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, 128), nn.Linear(128, k)
        self.fc3, self.fc4 = nn.Linear(k, 128), nn.Linear(128, d)
        self.drop = None if inside else nn.Dropout(0.4)

    def forward(self, x):
        drop = nn.Dropout(0.4) if self.drop is None else self.drop
        h = drop(F.relu(self.fc1(x)))
        return self.fc4(drop(F.relu(self.fc3(self.fc2(h)))))


@faulty("wiring.mode", steps=0, bar=0.88)
def dropout_module_made_in_every_forward(seed, fixed):
    """Create the dropout anew in each call, so that eval() never reaches it."""
    x, weekend = days(896, seed)
    x = (x - x.mean()) / x.std()
    model = Forgetful(inside=not fixed)
    data = loader(x[:768], weekend[:768], seed=seed)
    case = {"model": model, "batches": data, "eval_batches": [x[768:]]}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case


@faulty("step.nonfinite", accepts=("loss.domain",), steps=120, bar=0.3)
def root_of_a_padded_error(seed, fixed):
    """Take the root of each step's masked error, which is zero where it is padded."""
    x = windows(640, seed, t=12, c=4)
    length = torch.randint(7, 13, (640, 1), generator=made(seed))
    x = x * (torch.arange(12) < length).unsqueeze(2)
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((48, 96)), nn.Linear(96, 14)),
        nn.Sequential(*stack((14, 96)), nn.Linear(96, 48), nn.Unflatten(1, (12, 4))),
    )
    tiny = 1e-6 if fixed else 0.0

    def loss(x_hat, target):
        mask = (target != 0).float()
        error = ((x_hat - target) * mask).square().sum(2)
        return (error + tiny).sqrt().sum() / mask[..., 0].sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Levelled(nn.Module):
    """Standardise each image, code its pattern and put its level back."""

    def __init__(self, tiny, d=144, k=16):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96)), nn.Linear(96, k))
        self.decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, d))
        self.tiny = tiny

    def forward(self, x):
        flat = x.flatten(1)
        mean, std = flat.mean(1, keepdim=True), flat.std(1, keepdim=True)
        h = self.decoder(self.encoder((flat - mean) / (std + self.tiny)))
        return (h * std + mean).view_as(x)


@faulty("step.nonfinite", steps=200, bar=0.3)
def blank_crops_standardised_inside_the_model(seed, fixed):
    """Divide each crop by its own deviation, which is zero for the few blank ones."""
    x = blobs(640, seed, size=12).mean(1, keepdim=True)
    x[100::90] = 1.0
    model = Levelled(tiny=1e-5 if fixed else 0.0)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
