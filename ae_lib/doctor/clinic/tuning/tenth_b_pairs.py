"""Tenth bank, b: codes data.target, data.layout and data.shift."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import (
    column_r2,
    conv1d,
    made,
    tones,
    weather,
)


# Asked: https://github.com/aapatel09/handson-unsupervised-learning/issues/6
@faulty("data.target", bar=0.6)
def noisy_row_as_its_own_target(seed, fixed):
    """Train a denoising autoencoder of a table on noisy rows as input and target."""
    x = table(512, seed, d=30)
    model = dense((30,), (64,), 24, last=None)

    def pair(batch):
        noisy = batch + torch.randn_like(batch)
        return noisy, batch if fixed else noisy

    judge = [(x + torch.randn(x.shape, generator=made(seed)), x)]
    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "judge": judge, "optimizer": adam(model, 4e-3)}


def _turned(images):
    quarter = int(torch.randint(4, ()))
    return torch.rot90(images, quarter, (2, 3))


@faulty("data.target", bar=0.0)
def turned_twice_at_random(seed, fixed):
    """Call the random augmentation once for the input and once for the target."""
    x, y = digits(512, seed, size=16)
    model = conv((1, 16, 16), 24, act=nn.LeakyReLU)

    def pair(batch):
        images, _ = batch
        seen = _turned(images)
        return seen, seen if fixed else _turned(images)

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "judge": [x], "optimizer": adam(model, 3e-3)}


@faulty("data.target", bar=0.5)
def windows_paired_with_the_next(seed, fixed):
    """Cut a load curve into windows and, one off, pair each with the next one."""
    windows = weather(513, seed, t=24, c=1)[..., 0]
    target = windows[:-1] if fixed else windows[1:]
    rows = TensorDataset(windows[:-1], target)
    batches = DataLoader(rows, 64, shuffle=True, generator=made(seed))
    model = dense((24,), (64,), 8, act=nn.SiLU, last=None)
    case = {"model": model, "batches": batches, "judge": [windows]}
    return {**case, "optimizer": adam(model, 5e-3)}


def _spoiled(images, generator=None):
    spots = torch.rand(images.shape, generator=generator) < 0.25
    return torch.where(spots, 1 - images, images)


@faulty("data.target", accepts=("data.shift",), bar=0.4)
def noise_made_but_not_given(seed, fixed):
    """Make a noisy copy in the training loop and give the clean one to the model."""
    x, _ = digits(512, seed, size=16)
    model = conv((1, 16, 16), 32)
    optimizer, criterion = adam(model, 3e-3), nn.MSELoss()

    def step(model, clean):
        noisy = _spoiled(clean)
        recon = model(noisy if fixed else clean)
        loss = criterion(recon, clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    judge = list(zip(_spoiled(x, made(seed)).split(128), x.split(128), strict=True))
    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "eval_batches": judge, "optimizer": optimizer}


@faulty("data.layout", bar=0.7)
def patients_of_one_hour_in_a_row(seed, fixed):
    """View recordings of shape (time, patients, signs) as (patients, time, signs)."""
    hours = weather(512, seed, t=16, c=3).transpose(0, 1).contiguous()
    x = hours.transpose(0, 1) if fixed else hours.view(512, 16, 3)
    x = x.transpose(1, 2).contiguous()  # for Conv1d
    model = conv1d(3, 16, 8)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Seq2Seq(nn.Module):
    """Summarise a series in the last state of an LSTM and unroll it again."""

    def __init__(self, features, hidden, batch_first):
        super().__init__()
        self.encoder = nn.LSTM(features, hidden, batch_first=batch_first)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=batch_first)
        self.linear = nn.Linear(hidden, features)
        self.time = 1 if batch_first else 0

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        steps = x.shape[self.time]
        z = torch.stack([h[-1]] * steps, dim=self.time)
        out, _ = self.decoder(z)
        return self.linear(out)


# Asked: https://discuss.pytorch.org/t/understanding-lstm-based-autoencoder-input-dimensions/155977
@faulty("data.layout", steps=160, bar=0.35)
def batch_read_as_time(seed, fixed):
    """Feed (batch, time, sensors) to an LSTM that expects the time first."""
    x = weather(512, seed, t=12, c=3)
    model = Seq2Seq(3, 24, batch_first=fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


@faulty("data.shift", bar=-2.0)
def ink_on_paper_for_the_demonstration(seed, fixed):
    """Train on white digits on black and try photographs of ink on white paper."""
    x, y = digits(640, seed)
    model = dense((1, 28, 28), (128,), 24)
    paper = 0.05 + 0.9 * (1 - x[512:])
    if fixed:
        paper = (0.95 - paper) / 0.9
    case = {"model": model, "batches": loader(x[:512], y[:512], seed=seed)}
    return {**case, "eval_batches": paper.split(64), "optimizer": adam(model)}


@faulty("data.shift", measure=column_r2, bar=0.2)
def test_rows_left_in_raw_units(seed, fixed):
    """Standardise the training rows of a sensor table and forget the test rows."""
    raw = 20 + 3 * table(640, seed, d=16)
    mean, std = raw[:512].mean(0), raw[:512].std(0)
    model = dense((16,), (48,), 6, act=nn.ELU, last=None)
    test = (raw[512:] - mean) / std if fixed else raw[512:]
    case = {"model": model, "batches": loader((raw[:512] - mean) / std, seed=seed)}
    case |= {"loss": F.mse_loss, "eval_batches": list(test.split(32))}
    return {**case, "optimizer": adam(model, 5e-3)}


@faulty("data.shift", steps=200, bar=0.55)
def test_recorded_at_another_rate(seed, fixed):
    """Train on recordings of 250 per second and test on those of 100 per second."""
    x = tones(512, seed)[:, None]
    test = tones(128, seed + 50, rate=250 if fixed else 100)[:, None]
    model = conv1d(1, 64, 8)
    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "eval_batches": [test], "optimizer": adam(model, 4e-3)}
