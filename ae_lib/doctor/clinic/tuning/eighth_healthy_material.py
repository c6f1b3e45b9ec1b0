"""Data and small helpers for the healthy programs of the eighth bank."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic import measures


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def _grey_photos() -> list[Tensor]:
    from skimage import data

    photos = [data.camera(), data.coins(), data.moon()]
    rows = [torch.tensor(photo, dtype=torch.float32)[None] / 255 for photo in photos]
    return [F.avg_pool2d(row[None], 3)[0] for row in rows]


def grey(n: int = 448, seed: int = 0, size: int = 24) -> Tensor:
    """Return grey cut-outs (n, 1, size, size) in [0, 1] of three photographs."""
    made, rows = _made(seed), []
    for i in range(n):
        photo = _grey_photos()[i % 3]
        top = int(torch.randint(photo.shape[1] - size, (), generator=made))
        left = int(torch.randint(photo.shape[2] - size, (), generator=made))
        rows.append(photo[:, top : top + size, left : left + size])
    return torch.stack(rows)[torch.randperm(n, generator=made)].contiguous()


@cache
def cancer(seed: int = 0) -> Tensor:
    """Return the breast-cancer table (569, 30), columns standardised, rows mixed."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    x = StandardScaler().fit_transform(load_breast_cancer().data)
    return torch.tensor(x, dtype=torch.float32)[
        torch.randperm(len(x), generator=_made(seed))
    ]


def beats(n: int = 448, seed: int = 0, d: int = 96) -> Tensor:
    """Return heart beats (n, 1, d), about 0 to 1, each of its own form and delay."""
    made = _made(seed)
    time = torch.linspace(0, 1, d)
    shift = 0.08 * (torch.rand(n, 1, generator=made) - 0.5)
    rows = 0.005 * torch.randn(n, d, generator=made)
    for at, width, height in ((0.2, 0.04, 0.2), (0.42, 0.02, 0.9), (0.7, 0.07, 0.35)):
        a = height * (0.6 + 0.6 * torch.rand(n, 1, generator=made))
        s = width * (0.8 + 0.5 * torch.rand(n, 1, generator=made))
        rows = rows + a * torch.exp(-0.5 * ((time - at - shift) / s).square())
    return rows[:, None]


def sensors(n: int = 448, seed: int = 0, steps: int = 32, channels: int = 4) -> Tensor:
    """Return windows (n, steps, channels) of sensors that follow two slow causes."""
    made = _made(seed)
    time = torch.linspace(0, 1, steps)[None, :, None]
    frequency = 0.5 + 1.5 * torch.rand(n, 1, 2, generator=made)
    phase = torch.rand(n, 1, 2, generator=made)
    causes = torch.sin(2 * torch.pi * (frequency * time + phase))
    x = causes @ torch.randn(2, channels, generator=_made(7))
    x = x + 0.05 * torch.randn(n, steps, channels, generator=made)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def counts(n: int = 512, seed: int = 0, words: int = 60, topics: int = 5) -> Tensor:
    """Return word counts (n, words) of documents that mix a few topics."""
    made = _made(seed)
    topic = torch.softmax(2.5 * torch.randn(topics, words, generator=_made(3)), 1)
    mix = torch.softmax(2 * torch.randn(n, topics, generator=made), 1)
    return torch.poisson(150 * mix @ topic, generator=made)


@torch.no_grad()
def loss_on(case: dict, batches) -> float:
    """Return the loss of the case on batches, in eval mode."""
    model, found = case["model"], []
    was = model.training
    model.eval()
    for batch in batches:
        x, target = measures.pair(case, batch)
        output = model(x)
        loss_of = case.get("loss")
        loss = loss_of(output, target) if loss_of else F.mse_loss(output, target)
        found.append(float(loss))
    model.train(was)
    return sum(found) / len(found)


def fit(case: dict, epochs: int, held=None, after=None, schedule=None) -> dict:
    """Train the case, with its history: the loss of each epoch, and of `held`.

    After each epoch `schedule` makes a step and `after` is called with the history.
    """
    history = {"train_loss": [], "val_loss": []} if held else {"train_loss": []}
    for _ in range(epochs):
        losses = measures.train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        if held:
            history["val_loss"].append(loss_on(case, held))
        if schedule:
            schedule.step()
        if after:
            after(history)
    return {**case, "history": history}
