"""Eighth part, c: faults that show when a model is trained."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import pair, refuses_noise, train, x_hat
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_c_data import series
from ae_lib.doctor.clinic.tuning.twelfth_c_material import machine, made, tones


class Wide(nn.Module):
    """Halve the time twice, and hold more channels than that."""

    def __init__(self, c=3, width=32):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(c, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 4, 2, 1),  # (B, 32, t / 4): more than 3 t
            nn.LeakyReLU(0.2),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(width, c, 4, 2, 1),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def watchman_with_more_code_than_signal(seed, fixed):
    """Watch a machine for faults with a code of more numbers than its windows."""
    x = machine(896, seed, c=3, noise=0.8)
    model = series(3, 32, k=6) if fixed else Wide()
    case = {"model": model, "batches": loader(x[:768], seed=seed)}
    case |= {"eval_batches": [x[768:]], "optimizer": adam(model, 3e-3)}
    train(case, 150)
    return case


class EachStep(nn.Module):
    """Read and write a window with LSTMs, with a code for the whole or each step."""

    def __init__(self, whole, c=3, hidden=32, k=8):
        super().__init__()
        self.reader = nn.LSTM(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.writer = nn.LSTM(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.whole = whole

    def forward(self, x):
        states, _ = self.reader(x)
        z = self.code(states)
        if self.whole:
            z = z[:, -1:].expand(-1, x.shape[1], -1)
        return {"reconstruction": self.out(self.writer(z)[0])}


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.55)
def lstm_that_hands_on_every_state(seed, fixed):
    """Return the sequence of states for an alarm: eight numbers for three sensors."""
    x = machine(512, seed, t=12, c=3).transpose(1, 2).contiguous()
    model = EachStep(whole=fixed)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case["optimizer"] = adam(model, 1e-2)
    train(case, 180)
    return case


@torch.no_grad()
def _judge(case: dict, rows: torch.Tensor) -> float:
    case["model"].eval()
    x, target = pair(case, rows)
    return F.mse_loss(x_hat(case["model"](x)), target).item()


def _epochs(case: dict, rows, val, epochs: int, stop_early: bool = False) -> None:
    """Train for some epochs and write the history; keep the best weights if asked."""
    history, best = {"train_loss": [], "val_loss": []}, None
    for _ in range(epochs):
        train(case, len(case["batches"]))
        history["train_loss"].append(_judge(case, rows))
        history["val_loss"].append(_judge(case, val))
        if history["val_loss"][-1] == min(history["val_loss"]):
            best = copy.deepcopy(case["model"].state_dict()), len(history["val_loss"])
    if stop_early:
        case["model"].load_state_dict(best[0])
        history = {name: losses[: best[1]] for name, losses in history.items()}
    case["history"] = history


@faulty("fit.overfit", steps=0, bar=0.7)
def forty_eight_windows_of_a_noisy_machine(seed, fixed):
    """Train 20,000 weights on a morning's 48 windows until the error is nearly gone."""
    x = machine(640, seed, t=24, c=3, noise=0.5)
    rows, val = x[: 512 if fixed else 48], x[512:]
    model = dense((72,), k=12, last=None)
    model.encoder.insert(0, nn.Flatten())
    model.decoder.append(nn.Unflatten(1, (3, 24)))
    case = {"model": model, "batches": loader(rows, batch_size=16, seed=seed)}
    case |= {"eval_batches": [val], "optimizer": adam(model)}
    _epochs(case, rows, val, 15 if fixed else 160)
    return case


@faulty("fit.overfit", steps=0, bar=0.41)
def notes_learnt_with_the_hiss_of_the_tape(seed, fixed):
    """Go on for 140 epochs on 32 notes with hiss, without stopping early."""
    x = 2 * tones(128, seed, t=48)
    x = x + 0.3 * torch.randn(x.shape, generator=made(seed + 1))
    rows, val = x[:32], x[32:]
    model = series(1, 48, k=24, width=16)
    case = {"model": model, "batches": loader(rows, seed=seed), "loss": nn.MSELoss()}
    case |= {"eval_batches": [val], "optimizer": adam(model, 7e-3)}
    _epochs(case, rows, val, 140, stop_early=fixed)
    return case
