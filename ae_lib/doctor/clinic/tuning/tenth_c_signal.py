"""Codes that hardly differ, units on their plateaus, units that never fire."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import (
    bumps,
    chords,
    fit,
    made,
    spectra,
    weave,
)


class VisitEncoder(nn.Module):
    """Read a padded series of visits with a GRU."""

    def __init__(self, features, hidden, packed):
        super().__init__()
        self.rnn = nn.GRU(features, hidden, batch_first=True)
        self.packed = packed

    def forward(self, x):
        h, _ = self.rnn(x)
        if not self.packed:
            return h[:, -1]
        length = (x.abs().sum(2) > 0).sum(1).clamp(min=1)
        return h[torch.arange(len(x)), length - 1]


class VisitAE(nn.Module):
    """Encode a series of visits, decode all of them from the code."""

    def __init__(self, steps, features, k, packed):
        super().__init__()
        self.encoder = VisitEncoder(features, k, packed)
        self.decoder = nn.Sequential(
            nn.Linear(k, 96),
            nn.ReLU(),
            nn.Linear(96, steps * features),
            nn.Unflatten(1, (steps, features)),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@faulty("signal.common-mode", accepts=("fit.mean-image",), steps=200, bar=0.35)
def last_state_after_the_padding(seed, fixed):
    """Take the last state of a GRU for series that are padded with many zeros."""
    rng = made(seed)
    x = table(512, seed, d=24, rank=6).view(512, 6, 4)
    long = torch.arange(6) < torch.randint(4, 7, (512, 1), generator=rng)
    x = F.pad(x * long.unsqueeze(2), (0, 0, 0, 34))  # (512, 40, 4)
    model = VisitAE(40, 4, 16, fixed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class WaveNetlet(nn.Module):
    """Put convolutions over time before a short code."""

    def __init__(self, pooled, k=10, length=64):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 16, 9, padding=4, padding_mode="circular"),
            nn.Tanh(),
            nn.Conv1d(16, 16, 9, padding=4, padding_mode="circular"),
            nn.Tanh(),
        )
        self.pool = nn.AdaptiveAvgPool1d(1 if pooled else 16)
        self.squeeze = nn.Linear(16 if pooled else 256, k)
        self.out = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, length))

    def forward(self, x):
        h = self.pool(self.conv(x.unsqueeze(1))).flatten(1)
        return self.out(self.squeeze(h))


@faulty("signal.common-mode", steps=150, bar=0.5)
def averaged_over_all_time(seed, fixed):
    """Average the features of a wave over all of its periods before the code."""
    model = WaveNetlet(pooled=not fixed)
    data = loader(chords(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.common-mode", accepts=("fit.mean-image",), steps=250, bar=0.4)
def sigmoids_as_in_the_old_papers(seed, fixed):
    """Follow an old paper and put a sigmoid after each layer."""
    act = nn.SiLU if fixed else nn.Sigmoid
    encoder = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1),
        act(),
        nn.Conv2d(8, 16, 4, 2, 1),
        act(),
        nn.Flatten(),
        nn.Linear(144, 48),
        act(),
        nn.Linear(48, 12),
        act(),
    )
    decoder = nn.Sequential(
        nn.Linear(12, 48), act(), nn.Linear(48, 144), nn.Unflatten(1, (1, 12, 12))
    )
    data = loader(weave(512, seed), seed=seed)
    model = AE(encoder, decoder)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class HashingAE(AE):
    """Push the code to zeros and ones with a steep sigmoid."""

    steep = 1.0

    def encode(self, x):
        return torch.sigmoid(self.steep * self.encoder(x))


@faulty("signal.saturated", steps=250, bar=0.75)
def steep_sigmoid_for_hash_codes(seed, fixed):
    """Multiply the logits of a hash code by 200 so that its bits are zeros and ones."""
    inner = dense((48,), (64,), 16)
    model = HashingAE(inner.encoder, inner.decoder)
    model.steep = 1.0 if fixed else 200.0
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class SummedStates(nn.Module):
    """Add up the states of a recurrent network and squash the sum."""

    def __init__(self, average, k=10):
        super().__init__()
        self.conv = nn.Conv1d(1, 24, 16, 1)
        self.to_code = nn.Linear(24 * 7, k)
        self.average = average
        self.back = nn.Sequential(nn.Linear(k, 96), nn.Tanh(), nn.Linear(96, 128))

    def forward(self, x):
        h = F.relu(self.conv(x.unsqueeze(1)))[..., :112].unflatten(2, (7, 16))
        h = h.mean(3) if self.average else h.square().sum(3)
        return {"recon": self.back(torch.tanh(self.to_code(h.flatten(1))))}


@faulty(
    "signal.saturated", accepts=("signal.common-mode", "data.scale"), steps=200, bar=0.8
)
def energies_into_a_tanh_code(seed, fixed):
    """Sum squared features over windows of a sensor and feed the sums to tanh."""
    x = 3 * chords(512, seed, length=128, tones=3)
    model = SummedStates(fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 1e-3),
    }


@faulty("signal.saturated", accepts=("signal.init-scale",), steps=120, bar=0.5)
def output_bias_for_rare_light(seed, fixed):
    """Start the output's bias at -12, as for rare objects in a detector."""
    model = dense((1, 16, 16), (128,), 16)
    nn.init.constant_(model.decoder[-3].bias, -2.0 if fixed else -12.0)
    data = loader(bumps(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-4)}


@faulty("signal.dead-units", accepts=("signal.init-scale",), steps=200, bar=0.5)
def thresholds_that_nothing_passes(seed, fixed):
    """Start every ReLU with a bias of -1.5 to make the layers sparse."""
    model = dense((48,), (96, 64), 10)
    for layer in [*model.encoder, *model.decoder[:-2]]:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, 0.0 if fixed else -1.5)
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.dead-units", accepts=("fit.mean-image",), steps=150, bar=0.3)
def killed_in_the_first_epoch(seed, fixed):
    """Go on at a good rate with a network whose ReLUs died in an epoch at 0.3."""
    x = patches(512, seed)
    act = nn.LeakyReLU if fixed else nn.ReLU
    model = dense((3, 16, 16), (128, 64), 24, act=act)
    model.encoder.append(act())
    fit(model, x, 2, torch.optim.Adam(model.parameters(), 0.001 if fixed else 0.3))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


def share_alive(case: dict) -> float:
    """Return the share of code units that fire for at least one sample in a hundred."""
    z = case["model"].encode(torch.cat([*case["batches"]]))
    return ((z > 0).float().mean(0) > 0.01).float().mean().item()


class Dictionary(nn.Module):
    """Code activations by a wide ReLU layer; the decoder's bias is taken off first."""

    def __init__(self, d, wide, centre):
        super().__init__()
        self.enc, self.dec = nn.Linear(d, wide), nn.Linear(wide, d)
        self.centre = nn.Parameter(centre)

    def encode(self, x):
        return F.relu(self.enc(x - self.centre))

    def forward(self, x):
        z = self.encode(x)
        return self.dec(z) + self.centre, z


def lasso(output, target):
    """Return the squared error and a weak L1 term."""
    recon, z = output
    return F.mse_loss(recon, target) + 2e-4 * z.abs().sum(1).mean()


# Asked: https://github.com/AkihikoWatanabe/paper_notes/issues/5822
@faulty(
    "signal.dead-units",
    accepts=("data.scale", "signal.common-mode"),
    measure=share_alive,
    bar=0.75,
)
def dictionary_on_activations_with_an_offset(seed, fixed):
    """Learn a sparse dictionary of activations without taking off their large mean."""
    x = table(1024, seed, d=32, rank=12)
    x = x + 6 * torch.randn(32, generator=made(seed))
    model = Dictionary(32, 128, x.mean(0) if fixed else torch.zeros(32))
    case = {"model": model, "batches": loader(x, seed=seed), "loss": lasso}
    return {**case, "optimizer": adam(model, 1e-3)}
