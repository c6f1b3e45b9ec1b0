"""Runs that stop early, run too long, or sit at the mean image."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import (
    bumps,
    chords,
    fit,
    made,
    spectra,
)


class Repeat(nn.Module):
    """Encode a wave with an LSTM and unroll another from the repeated code."""

    def __init__(self, hidden=24, k=6):
        super().__init__()
        self.encoder = nn.LSTM(1, hidden, batch_first=True)
        self.to_code = nn.Linear(hidden, k)
        self.decoder = nn.LSTM(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        z = self.to_code(self.encoder(x)[1][0][-1])
        steps = z.unsqueeze(1).expand(-1, x.shape[1], -1)
        return self.head(self.decoder(steps)[0])


@faulty(
    "fit.mean-image",
    accepts=("fit.undertrained", "step.too-small", "signal.common-mode"),
    steps=0,
    bar=0.35,
)
def flat_line_after_a_few_epochs(seed, fixed):
    """Stop an LSTM autoencoder while it draws the same flat line for every wave."""
    x = chords(512, seed, 20, tones=1).unsqueeze(2)
    model = Repeat()
    optimizer = adam(model, 1e-2 if fixed else 1e-3)
    history = fit(model, x, 40 if fixed else 6, optimizer, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    return {**case, "history": history}


def stars(n, seed, size=16):
    """Return dark images (n, 1, size, size) with one star of four pixels."""
    place = torch.randint(0, size - 1, (n, 2), generator=made(seed))
    x = torch.zeros(n, 1, size, size)
    for image, (row, column) in zip(x, place.tolist(), strict=True):
        image[0, row : row + 2, column : column + 2] = 1.0
    return x


@faulty(
    "fit.mean-image", accepts=("step.too-small", "fit.undertrained"), steps=0, bar=0.3
)
def black_images_under_l1(seed, fixed):
    """Train on single stars with L1, for which a black image is hard to beat."""
    x = stars(1024, seed)
    model = dense((1, 16, 16), (128,), 16)
    optimizer = adam(model, 3e-3)
    loss = F.binary_cross_entropy if fixed else F.l1_loss
    history = fit(model, x, 25, optimizer, loss=loss, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "history": history}
    return {**case, "loss": loss, "optimizer": optimizer}


@faulty("fit.undertrained", steps=0, bar=0.6)
def three_epochs_of_a_tutorial(seed, fixed):
    """Stop a convolutional autoencoder after three epochs on few images."""
    x = patches(640, seed)
    model = conv((3, 16, 16), 24, width=8, act=nn.GELU, norm=False)
    optimizer = adam(model, 5e-4)
    history = fit(model, x[:512], 30 if fixed else 3, optimizer, val=x[512:], seed=seed)
    case = {"model": model, "batches": loader(x[:512], seed=seed), "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [x[512:]]}


def stopped(model, x, val, optimizer, patience, delta, epochs=60, seed=0):
    """Train until the validation loss has not improved by delta for some epochs."""
    history, best, bad = {"train_loss": [], "val_loss": []}, float("inf"), 0
    for epoch in range(epochs):
        for key, values in fit(model, x, 1, optimizer, val=val, seed=epoch).items():
            history[key] += values
        bad = 0 if history["val_loss"][-1] < best - delta else bad + 1
        best = min(best, history["val_loss"][-1])
        if bad == patience:
            break
    return history


@faulty("fit.undertrained", steps=0, bar=0.75)
def early_stopping_with_a_coarse_delta(seed, fixed):
    """Stop early when the validation loss gains less than 0.02 in one epoch."""
    x = spectra(1024, seed)
    model = dense((48,), (64, 32), 6)
    optimizer = adam(model)
    delta, patience = (1e-5, 5) if fixed else (0.02, 1)
    history = stopped(model, x[:896], x[896:], optimizer, patience, delta, seed=seed)
    case = {"model": model, "batches": loader(x[:896], seed=seed), "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [x[896:]]}


@faulty("fit.overfit", steps=0, bar=0.65)
def forty_digits_and_a_wide_network(seed, fixed):
    """Train a wide network for 120 epochs on forty digits."""
    x, _ = digits(1240, seed, size=8)
    train, val = (x[:1000] if fixed else x[:40]), x[1040:]
    model = dense((1, 8, 8), (256, 128), 32)
    optimizer = adam(model, 3e-3)
    epochs, size = (15, 25) if fixed else (120, 10)
    history = fit(model, train, epochs, optimizer, val=val, batch_size=size, seed=seed)
    data = loader(train, batch_size=size, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    return {**case, "history": history, "eval_batches": [val]}


class SmallConv1d(nn.Module):
    """Compress a sensor's window with convolutions over time."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv1d(1, 24, 5, 2, 2), nn.ReLU(), nn.Conv1d(24, 48, 5, 2, 2), nn.ReLU()
        )
        self.code = nn.Linear(480, 20)
        self.up = nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 40))

    def forward(self, x):
        z = self.code(self.down(x.unsqueeze(1)).flatten(1))
        return self.up(z)


@faulty("fit.overfit", steps=0, bar=0.6)
def windows_of_a_single_machine(seed, fixed):
    """Fit thirty windows of one machine perfectly and judge windows of the others."""
    x = chords(630, seed, 40, tones=6)
    x = x + 0.5 * torch.randn(x.shape, generator=made(seed))
    train, val = (x[:430] if fixed else x[:30]), x[430:]
    model = SmallConv1d()
    optimizer = adam(model, 5e-3)
    epochs = 15 if fixed else 120
    history = fit(model, train, epochs, optimizer, val=val, batch_size=15, seed=seed)
    data = loader(train, batch_size=15, seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    return {**case, "history": history, "eval_batches": [val]}


@faulty("fit.undertrained", accepts=("fit.mean-image",), steps=0, bar=0.5)
def an_epoch_is_four_batches(seed, fixed):
    """Stop after ten epochs of four large batches each."""
    x = bumps(1024, seed)
    model = dense((1, 16, 16), (128, 64), 8, act=nn.ReLU)
    optimizer = adam(model, 1e-3)
    epochs = 120 if fixed else 10
    history = fit(model, x, epochs, optimizer, batch_size=256, seed=seed)
    data = loader(x, batch_size=256, seed=seed)
    case = {"model": model, "batches": data, "history": history}
    return {**case, "optimizer": optimizer}
