"""Eleventh part, b: trained too briefly, or by heart."""

import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    clients,
    run,
    sensors,
    spectra,
)
from ae_lib.doctor.clinic.material import loader, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("fit.undertrained", steps=0, bar=0.5)
def three_epochs_of_scenes_because_it_takes_long(seed, fixed):
    """Stop a convolutional network after three epochs and ask why it is grey."""
    images, labels = scenes(896, seed)
    x, held = images[:768], images[768:]
    model = conv((3, 16, 16), 40, width=16)
    case = {
        "model": model,
        "batches": loader(x, labels[:768], batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": [held],
    }
    history = run(case, 45 if fixed else 3, F.mse_loss, held)
    return {**case, "history": history}


class Recital(nn.Module):
    """Code a series by a GRU and recite it by another from the repeated code."""

    def __init__(self, t=20, c=4, hidden=32, k=12):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.writer = nn.GRU(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, c)
        self.t = t

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.reader(x)[1][-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[:, None].expand(-1, self.t, -1)
        return self.out(self.writer(z)[0])


@faulty("fit.undertrained", steps=0, bar=0.6)
def early_stopping_that_wants_a_large_gain(seed, fixed):
    """Stop early as soon as one epoch gains less than a fifth on held-out series."""
    series = sensors(800, seed, t=20)
    x, held = series[:640], series[640:]
    model = Recital()
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.mse_loss,
        "optimizer": adam(model, 5e-3),
        "eval_batches": [held],
    }
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for _ in range(24):
        for name, values in run(case, 1, F.mse_loss, held).items():
            history[name] += values
        seen = history["val_loss"]
        if not fixed and len(seen) > 1 and seen[-2] - seen[-1] < 0.2:
            break
    return {**case, "history": history}


@faulty("fit.overfit", steps=0, bar=0.7)
def wide_network_on_ninety_noisy_clients(seed, fixed):
    """Train a wide network on ninety noisy rows until it knows them by heart."""
    rows = clients(1600, seed, noise=0.7)
    x, held = rows[: 1200 if fixed else 90], rows[1300:]
    encoder = nn.Sequential(*stack((24, 256)), nn.Linear(256, 10))
    decoder = nn.Sequential(*stack((10, 256)), nn.Linear(256, 24))
    model = AE(encoder, decoder)
    case = {
        "model": model,
        "batches": loader(x, batch_size=30, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 1e-3),
        "eval_batches": [held],
    }
    history = run(case, 18 if fixed else 240, F.mse_loss, held)
    return {**case, "history": history}


@faulty("fit.overfit", steps=0, bar=0.72)
def thirty_two_spectra_seen_hundreds_of_times(seed, fixed):
    """Train on thirty-two spectra long after those held out got worse."""
    curves = spectra(1400, seed, d=64, noise=0.1)
    x, held = curves[: 1000 if fixed else 32], curves[1000:]
    model = nn.Sequential(
        nn.Unflatten(1, (1, 64)),
        nn.Conv1d(1, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 128),
        nn.ReLU(),
        nn.Linear(128, 12),
        nn.Linear(12, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=16, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "eval_batches": [held],
    }
    history = run(case, 30 if fixed else 350, F.mse_loss, held)
    return {**case, "history": history}
