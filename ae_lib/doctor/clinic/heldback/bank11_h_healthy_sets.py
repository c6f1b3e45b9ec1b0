"""Eleventh part, h: healthy, though what is judged or stacked looks unlike the rest."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_h_material import films, lanterns, strides
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, conv, stack
from ae_lib.doctor.clinic.program import healthy


class Darkroom:
    """Hand out batches that are mirrored and dimmed anew on every pass."""

    def __init__(self, x: Tensor, batch_size: int, seed: int):
        self.rows = loader(x, batch_size=batch_size, seed=seed)
        self.made = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self):
        for x in self.rows:
            chance = torch.rand(2, len(x), 1, 1, 1, generator=self.made)
            x = torch.where(chance[0] < 0.5, x.flip(3), x)
            yield x * (0.6 + 0.4 * chance[1])


@healthy(steps=400, bar=0.8)
def dimmed_and_mirrored_prints_judged_by_daylight(seed):
    """Augment the training pictures on the fly, and judge on plain held-out ones."""
    x = lanterns(960, seed)
    model = conv((3, 16, 16), 16, 16, act=nn.LeakyReLU)
    return {
        "model": model,
        "batches": Darkroom(x[:800], 32, seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), 3e-3),
        "eval_batches": loader(x[800:], batch_size=80, shuffle=False),
    }


@healthy(steps=400, bar=0.75)
def eight_colour_frames_stacked_into_channels(seed):
    """Stack frames and colours into 24 channels, in the channels-last memory format."""
    x = films(800, seed).permute(0, 1, 4, 2, 3).flatten(1, 2)  # (N, 24, 12, 12)
    x = x.contiguous(memory_format=torch.channels_last)
    encoder = nn.Sequential(
        nn.Conv2d(24, 32, 4, 2, 1),
        nn.Mish(),
        nn.Conv2d(32, 48, 4, 2, 1),
        nn.Mish(),
        nn.Flatten(),
        nn.Linear(432, 16),
    )
    decoder = nn.Sequential(
        *stack((16, 432), nn.Mish),
        nn.Unflatten(1, (48, 3, 3)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(48, 48, 3, padding=1),
        nn.Mish(),
        nn.Conv2d(48, 96, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=500, bar=0.8)
def small_steps_of_the_ward_after_walks_of_every_size(seed):
    """Train on walks of all sizes, and judge on a ward where everybody steps small."""
    x = strides(1500, seed).transpose(1, 2).contiguous()  # (N, 4, 32)
    train_x, rest = x[:1100], x[1100:]
    swing = rest.std(2).mean(1)
    ward = rest[swing < swing.quantile(0.35)]
    encoder = nn.Sequential(
        nn.Conv1d(4, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(24, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    decoder = nn.Sequential(
        *stack((10, 256)),
        nn.Unflatten(1, (32, 8)),
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(32, 24, 5, padding=2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(24, 4, 5, padding=2),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(train_x, batch_size=44, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": loader(ward, batch_size=70, shuffle=False),
    }
