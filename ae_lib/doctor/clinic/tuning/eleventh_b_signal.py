"""Seventh part, b: what the layers pass on before the first step."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.measures import codes
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_b_material import (
    discs,
    lines,
    made,
    peaks,
    sensors,
    survey,
)


@faulty("signal.common-mode", steps=250, bar=0.4)
def six_sigmoid_layers_on_noisy_series(seed, fixed):
    """Stack a denoiser of sensor windows from dense layers with sigmoids throughout."""
    clean = sensors(640, seed, t=24, c=2).flatten(1)
    noisy = clean + 0.3 * torch.randn(clean.shape, generator=made(seed))
    act = nn.LeakyReLU if fixed else nn.Sigmoid
    encoder = nn.Sequential(*stack((48, 96, 64, 32, 16), act))
    if fixed:
        encoder = encoder[:-1]
    decoder = nn.Sequential(*stack((16, 32, 64, 96), act), nn.Linear(96, 48))
    model = AE(encoder, decoder)
    data = loader(noisy, clean, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


class Hashing(nn.Module):
    """Compress images into nearly binary codes, sharpened by a scaled tanh."""

    def __init__(self, bits, sharp):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU()
        )
        self.norm = nn.LayerNorm(24 * 16)
        self.bits = nn.Linear(24 * 16, bits)
        self.sharp = sharp
        self.decoder = nn.Sequential(
            nn.Linear(bits, 128), nn.ReLU(), nn.Linear(128, 768), nn.Sigmoid()
        )

    def encode(self, x):
        h = self.norm(self.features(x).flatten(1))
        return torch.tanh(self.sharp * self.bits(h))

    def forward(self, x):
        return self.decoder(self.encode(x)).view_as(x)


@faulty("signal.saturated", steps=150, bar=0.8)
def sharp_tanh_for_binary_codes(seed, fixed):
    """Multiply the code by a hundred before its tanh, to make it binary at once."""
    model = Hashing(32, 1.0 if fixed else 100.0)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}


class Thresholded(nn.Module):
    """Keep only hidden units above a threshold, as in a zero-bias autoencoder."""

    def __init__(self, d, units, threshold):
        super().__init__()
        self.hidden = nn.Linear(d, units, bias=False)
        self.keep = nn.Threshold(threshold, 0.0)
        self.out = nn.Linear(units, d)

    def encode(self, x):
        return self.keep(self.hidden(x))

    def forward(self, x):
        return self.out(self.encode(x))


@faulty("signal.dead-units", steps=250, bar=0.6)
def threshold_above_every_activation(seed, fixed):
    """Cut hidden units at one, where the first weights never take them."""
    x = lines(768, seed)
    x = x - x.mean(0)
    model = Thresholded(64, 48, 0.0 if fixed else 1.0)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Dictionary(nn.Module):
    """Write activations as a sum of few of many learned directions."""

    def __init__(self, d, units, centre):
        super().__init__()
        self.encoder = nn.Linear(d, units)
        self.decoder = nn.Linear(units, d, bias=False)
        self.centre = nn.Parameter(centre)

    def encode(self, x):
        return F.relu(self.encoder(x - self.centre))

    def forward(self, x):
        z = self.encode(x)
        return self.decoder(z) + self.centre, z


def firing(case):
    """Return the share of code units that are positive for some sample."""
    return (codes(case) > 0).any(0).float().mean().item()


@faulty("signal.dead-units", steps=300, measure=firing, bar=0.9)
def dictionary_without_centring(seed, fixed):
    """Train a ReLU dictionary on activations with a few huge constant dimensions."""
    x = 0.3 * survey(1024, seed, d=40, rank=12)
    x[:, :4] = x[:, :4] + torch.tensor([6.0, -5.0, 4.0, -7.0])
    x = (x - x.mean()) / x.std()
    model = Dictionary(40, 96, x.mean(0) if fixed else torch.zeros(40))

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 1e-4 * z.sum(1).mean()

    case = {"model": model, "batches": loader(x, batch_size=128, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 1e-3)}


def _init_conv(width=12, k=24):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * 16, k),
        nn.Linear(k, 2 * width * 16),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, 4, 4)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
    )


@faulty("signal.init-scale", steps=120, bar=0.6)
def normal_init_without_a_std(seed, fixed):
    """Initialise all weights with nn.init.normal_ and leave its deviation at one."""
    model = _init_conv()

    def init(layer):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if fixed:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    model.apply(init)
    data = loader(discs(640, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}


class Recurrent(nn.Module):
    """Encode windows by a GRU and decode them by another from the repeated code."""

    def __init__(self, c=3, hidden=32, k=10):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.decoder = nn.GRU(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)

    def forward(self, x):
        z = self.code(self.encoder(x)[1][-1])
        steps = z[:, None].expand(-1, x.shape[1], -1)
        return self.head(self.decoder(steps)[0])


@faulty("signal.init-scale", steps=250, bar=0.4)
def every_weight_a_hundredth(seed, fixed):
    """Set every weight of a recurrent autoencoder to the same constant."""
    x = sensors(512, seed, t=16, c=3)
    model = Recurrent()
    for name, weight in model.named_parameters():
        if "weight" in name and not fixed:
            nn.init.constant_(weight, 0.01)
        elif "weight" in name:
            nn.init.xavier_uniform_(weight)
        else:
            nn.init.zeros_(weight)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class Forgotten(nn.Module):
    """Compress a series with strided convolutions into four numbers."""

    def __init__(self, used):
        super().__init__()
        self.c1 = nn.Conv1d(1, 16, 5, 2, 2)
        self.c2 = nn.Conv1d(16, 32, 5, 2, 2)
        self.to_code = nn.Linear(32 * 12, 4)
        self.d1 = nn.Linear(4, 96)
        self.d2 = nn.Linear(96, 96)
        self.d3 = nn.Linear(96, 48)
        self.act = nn.ReLU()
        self.used = used

    def forward(self, x):
        f = self.act if self.used else (lambda h: h)
        h = f(self.c2(f(self.c1(x[:, None])))).flatten(1)
        z = self.to_code(h)
        return self.d3(f(self.d2(f(self.d1(z)))))


@faulty("signal.linear", steps=300, bar=0.9)
def activation_never_called_again(seed, fixed):
    """Create a ReLU in the constructor and forget to call it in forward."""
    model = Forgotten(used=fixed)
    data = loader(peaks(768, seed, width=0.06), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
