"""Eighth part, b: rows, tables and bits reconstructed well by unusual means."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, dense, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    bars,
    bends,
    epochs,
    made,
    shafts,
    shares,
)


@healthy(steps=350, bar=0.6)
def noise_as_large_as_the_readings(seed):
    """Add noise of the readings' own spread and ask for the clean readings."""
    x = table(1024, seed, d=40, rank=4)
    model = dense((40,), (96,), k=16, act=nn.ReLU, last=None)

    def noisy(batch):
        return batch + torch.randn_like(batch), batch

    judged = x + torch.randn(x.shape, generator=made(seed + 9))
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "pair": noisy,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [(judged, x)],
    }


@healthy(steps=400, bar=0.7)
def cells_swapped_with_other_rows(seed):
    """Swap a seventh of the cells with other rows; use wide layers, no bottleneck."""
    x = bends(1280, seed, d=32, rank=5)
    model = nn.Sequential(*stack((32, 128, 128, 128), nn.ReLU), nn.Linear(128, 32))

    def swapped(batch):
        other = batch[torch.randperm(len(batch))]
        return torch.where(torch.rand_like(batch) < 0.15, other, batch), batch

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "pair": swapped,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
    }


class Holes(nn.Module):
    """Fill the holes of a row from what is left and from where the holes are."""

    def __init__(self, d=24):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2 * d, 128), nn.LayerNorm(128), nn.GELU(), nn.Linear(128, 12)
        )
        self.out = nn.Sequential(nn.Linear(12, 128), nn.GELU(), nn.Linear(128, d))

    def forward(self, x):
        seen = x.ne(0).float()
        return {"x_hat": self.out(self.net(torch.cat([x, seen], 1))), "seen": seen}


@healthy(steps=400, bar=0.6)
def hidden_cells_weigh_ten_times_the_seen(seed):
    """Hide two fifths of the cells; weigh the hidden ten times as much as the seen."""
    x = bends(1280, seed, d=24, rank=4)
    model = Holes()

    def hide(batch):
        return batch * (torch.rand_like(batch) > 0.4), batch

    def loss(out, target):
        weight = 1.0 - 0.9 * out["seen"]
        error = (out["x_hat"] - target).square()
        return (weight * error).sum() / weight.sum()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "pair": hide,
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Mixed(nn.Module):
    """Read numbers and one-hot columns; write numbers and logits of the classes."""

    def __init__(self, numbers=8, classes=(4, 3), hidden=64, k=6):
        super().__init__()
        self.numbers, self.classes = numbers, classes
        d = numbers + sum(classes)
        self.encoder = nn.Sequential(*stack((d, hidden), nn.SiLU), nn.Linear(hidden, k))
        self.decoder = nn.Sequential(*stack((k, hidden), nn.SiLU), nn.Linear(hidden, d))

    def forward(self, x):
        out = self.decoder(self.encoder(x))
        rows, *logits = out.split((self.numbers, *self.classes), 1)
        shares = [part.softmax(1) for part in logits]
        return {"x_hat": torch.cat([rows, *shares], 1), "rows": rows, "logits": logits}


@healthy(steps=400, bar=0.6)
def numbers_and_classes_in_one_row(seed):
    """Reconstruct numbers by squared error and classes by cross-entropy."""
    rows = bends(1280, seed, d=10, rank=4)
    kinds = [(3 * torch.sigmoid(rows[:, 8])).round().long()]
    kinds += [rows[:, 9].clamp(-1, 1).round().long() + 1]
    hot = [F.one_hot(kinds[0], 4), F.one_hot(kinds[1], 3)]
    x = torch.cat([rows[:, :8], *hot], 1)
    model = Mixed()

    def loss(out, target):
        number, *classes = target.split((8, 4, 3), 1)
        total = F.mse_loss(out["rows"], number)
        for logits, one in zip(out["logits"], classes, strict=True):
            total = total + 0.3 * F.cross_entropy(logits, one)
        return total

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.NAdam(model.parameters(), lr=4e-3),
    }


@healthy(steps=350, bar=0.7)
def rare_spikes_met_by_a_robust_loss(seed):
    """Train with log-cosh because one reading in two hundred is a spike."""
    x = bends(1280, seed, d=24, rank=5)
    spike = torch.rand(x.shape, generator=made(seed + 5)) < 0.005
    dirty = torch.where(spike, 6 * x.sign(), x)
    model = dense((24,), (96,), k=7, act=nn.ELU, last=None)

    def log_cosh(output, target):
        gap = output - target
        return (gap + F.softplus(-2 * gap) - 0.6931).mean()

    return {
        "model": model,
        "batches": loader(dirty, seed=seed),
        "loss": log_cosh,
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=2e-3),
        "judge": [(dirty, x)],
    }


@healthy(steps=250, bar=0.8)
def new_decoder_on_a_finished_encoder(seed):
    """Freeze an encoder that was trained before and train a new decoder for it."""
    x = shafts(896, seed, t=24, c=2).flatten(1)
    x = (x - x.mean(0)) / x.std(0)
    old = dense((48,), (96,), k=8, act=nn.GELU, last=None)
    earlier = torch.optim.Adam(old.parameters(), lr=3e-3)
    train({"model": old, "batches": loader(x), "optimizer": earlier}, 250)
    encoder = old.encoder.requires_grad_(False)
    decoder = nn.Sequential(*stack((8, 128, 128), nn.GELU), nn.Linear(128, 48))
    return {
        "model": AE(encoder, decoder),
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(decoder.parameters(), lr=2e-3),
    }


@healthy(steps=600, bar=0.7)
def four_small_batches_to_a_step(seed):
    """Add up the gradients of four small batches, clip them, then step."""
    x = bends(960, seed, d=28, rank=5)
    model = dense((28,), (96,), k=7, act=nn.ReLU, last=None)
    optimizer, seen = torch.optim.Adam(model.parameters(), lr=5e-3), [0]

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 4).backward()
        seen[0] += 1
        if seen[0] % 4 == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.item()

    data = loader(x, batch_size=16, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    return {**case, "step": step}


class Mirror(nn.Module):
    """Decode bits with the transposed weights of three layers, to logits."""

    def __init__(self, widths=(144, 96, 48, 16)):
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.back = nn.ParameterList(torch.zeros(a) for a, _ in pairs)

    def forward(self, x):
        h = x.flatten(1)
        for layer in self.layers:
            h = torch.tanh(layer(h))
        for i in reversed(range(len(self.layers))):
            h = F.linear(h, self.layers[i].weight.t(), self.back[i])
            h = torch.tanh(h) if i else h
        return (h.view_as(x),)


@healthy(steps=350, bar=0.6)
def mirrored_weights_and_logits_of_bits(seed):
    """Tie three layers of weights and give logits of binary images to the loss."""
    x = bars(1024, seed)
    model = Mirror()

    def loss(output, target):
        return F.binary_cross_entropy_with_logits(output[0], target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "view": torch.sigmoid,
    }


@healthy(steps=0, bar=0.8)
def pure_components_by_projected_steps(seed):
    """Unmix spectra of shares; clamp the decoder's weights at zero after each step."""
    x = 10 * shares(1024, seed)
    model = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 4))
    model.extend([nn.Softplus(), nn.Linear(4, 24, bias=False)])
    nn.init.uniform_(model[-1].weight, 0, 0.8)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model[-1].weight.clamp_(min=0)
        return loss.item()

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    case = {"model": model, "batches": loader(x[:896], seed=seed)}
    case |= {"optimizer": optimizer, "step": step}
    history = epochs(case, 60, x[896:])
    return {**case, "history": history, "eval_batches": [x[896:]]}
