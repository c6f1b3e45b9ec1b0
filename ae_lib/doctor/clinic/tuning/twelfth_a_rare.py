"""Eighth part, a: rare losses, loops and optimizers that are right."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_a_material import (
    boxes,
    cloth,
    features,
    machine,
    motors,
    strokes,
)


class Packed(nn.Module):
    """Round a map of codes for storage: noise in training, rounding afterwards."""

    def __init__(self, code=6):
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv2d(1, 24, 4, 4), nn.LeakyReLU(0.1), nn.Conv2d(24, code, 1)
        )
        self.synthesis = nn.Sequential(
            nn.Conv2d(code, 48, 1), nn.LeakyReLU(0.1), nn.ConvTranspose2d(48, 1, 4, 4)
        )
        self.spread = nn.Parameter(torch.zeros(code, 1, 1))
        self.gain = 8.0

    def forward(self, x):
        y = self.gain * self.analysis(x)
        y = y + torch.rand_like(y) - 0.5 if self.training else y.round()
        nats = self.spread + y.square() * torch.exp(-2 * self.spread) / 2
        return self.synthesis(y / self.gain), nats.mean()


@healthy(steps=350, bar=0.6)
def noise_in_training_and_rounding_after(seed):
    """Compress weaves as codecs do: the error and a little of the estimated rate."""
    x = cloth(896, seed) - 0.5
    model = Packed()

    def loss(output, target):
        x_hat, nats = output
        return 100 * F.mse_loss(x_hat, target) + 1e-2 * nats

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }


class Strongest(nn.Module):
    """Keep the eight strongest of many directions for each row."""

    def __init__(self, d=32, k=96, kept=8):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d)
        self.kept = kept

    def forward(self, x):
        h = F.relu(self.encoder(x))
        least = h.topk(self.kept, 1).values[:, -1:]
        z = h * (h >= least)
        return self.decoder(z), z


@healthy(steps=400, bar=0.5)
def eight_of_ninety_six_units_kept(seed):
    """Train a top-k dictionary, of whose code nine tenths are zero."""
    x = features(1500, seed)
    model = Strongest()
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": lambda out, target: (out[0] - target).square().sum(1).mean(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=300, bar=0.6)
def a_quarter_of_each_gradient_added_up(seed):
    """Add the gradients of four small batches up, each a quarter, before a step."""
    x = machine(1024, seed)
    model, seen = dense((24,), hidden=(64,), k=6, act=nn.ELU, last=None), [0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 4).backward()
        seen[0] += 1
        if seen[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    data = loader(x, batch_size=16, seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}


@healthy(steps=250, bar=0.6)
def half_precision_under_autocast(seed):
    """Convolve sensor windows under bfloat16 autocast, with a Huber loss."""
    x = motors(768, seed)
    model = nn.Sequential(
        nn.Conv1d(4, 32, 4, 2, 1),
        nn.SiLU(),
        nn.Conv1d(32, 8, 4, 2, 1),
        nn.ConvTranspose1d(8, 32, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose1d(32, 4, 4, 2, 1),
    )
    optimizer = adam(model, 4e-3)

    def step(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.huber_loss(model(batch).float(), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": nn.HuberLoss(), "step": step, "optimizer": optimizer}


@healthy(steps=250, bar=0.5)
def new_decoder_for_a_frozen_encoder(seed):
    """Freeze an encoder trained before and train a new decoder for it."""
    x = boxes(640, seed)
    model = conv((3, 16, 16), 48, act=nn.SiLU)
    data = loader(x[:512], batch_size=32, seed=seed)
    train({"model": model, "batches": data, "optimizer": adam(model, 4e-3)}, 100)
    model.encoder.requires_grad_(False)
    model.decoder = dense((3, 16, 16), hidden=(160,), k=48).decoder
    return {
        "model": model,
        "batches": data,
        "eval_batches": [x[512:]],
        "optimizer": torch.optim.Adam(model.decoder.parameters(), lr=2e-3),
    }


class Views(nn.Module):
    """Compress signs, with a head for comparing two views of them."""

    def __init__(self, k=24):
        super().__init__()
        self.body = conv((1, 16, 16), k, act=nn.GELU, norm=True)
        self.head = nn.Sequential(nn.Linear(k, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        z = self.body.encode(x)
        return {"x_hat": self.body.decode(z), "h": F.normalize(self.head(z), dim=1)}


@healthy(steps=250, bar=0.5)
def two_views_compared_beside_the_error(seed):
    """Reconstruct signs and tell which two noisy views belong together."""
    x, kind = strokes(896, seed)
    model = Views()
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        x, _ = batch
        a, b = (model(x + 0.1 * torch.randn_like(x)) for _ in range(2))
        alike = a["h"] @ b["h"].t() / 0.2
        same = F.cross_entropy(alike, torch.arange(len(x)))
        loss = F.mse_loss(a["x_hat"], x) + F.mse_loss(b["x_hat"], x) + 0.01 * same
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, kind, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}


@healthy(steps=300, bar=0.5)
def matrices_moved_by_muon(seed):
    """Train a dense network without biases, on centred digits, with Muon."""
    x, y = digits(1408, seed, size=8)
    x = (x - x.mean(0)).flatten(1)
    model = AE(
        nn.Sequential(
            nn.Linear(64, 128, bias=False), nn.GELU(), nn.Linear(128, 20, bias=False)
        ),
        nn.Sequential(
            nn.Linear(20, 128, bias=False), nn.GELU(), nn.Linear(128, 64, bias=False)
        ),
    )
    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "optimizer": torch.optim.Muon(model.parameters(), lr=1e-2, weight_decay=0.01),
    }


@healthy(steps=220, bar=0.6)
def features_of_a_frozen_net_in_the_loss(seed):
    """Add a distance of edges, seen by fixed filters, to the absolute error."""
    x = 2 * patches(576, seed, size=16) - 1
    edges = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 8
    filters = torch.stack([edges, edges.t()]).unsqueeze(1).repeat(3, 1, 1, 1)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.GroupNorm(4, 32),
        nn.SiLU(),
        nn.Conv2d(32, 12, 4, 2, 1),
        nn.Dropout2d(0.05),
        nn.Conv2d(12, 32, 3, 1, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(32, 32, 4, 2, 1),
        nn.GroupNorm(4, 32),
        nn.SiLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
        nn.Tanh(),
    )

    def loss(x_hat, target):
        seen = F.conv2d(torch.cat([x_hat, target]), filters, groups=3)
        mine, true = seen.chunk(2)
        return F.l1_loss(x_hat, target) + F.l1_loss(mine, true)

    return {
        "model": model,
        "batches": loader(x[:512], batch_size=32, seed=seed),
        "eval_batches": [x[512:]],
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
