"""Data and training loops shared by the programs of files tenth_c_*."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def made(seed: int) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def bumps(n: int = 512, seed: int = 0, size: int = 16, width: float = 0.12) -> Tensor:
    """Return images (n, 1, size, size) of one soft light at a random place."""
    place = 0.15 + 0.7 * torch.rand(n, 2, 1, 1, generator=made(seed))
    grid = torch.linspace(0, 1, size)
    across = (grid.view(1, 1, -1) - place[:, 0]).square()
    down = (grid.view(1, -1, 1) - place[:, 1]).square()
    return torch.exp(-(across + down) / (2 * width**2)).unsqueeze(1)


def chords(n: int = 512, seed: int = 0, length: int = 64, tones: int = 4) -> Tensor:
    """Return series (n, length) of a few tones with random strength and phase."""
    rng = made(seed)
    time = torch.linspace(0, 1, length)
    strength = torch.randn(n, 2, tones, generator=rng) / tones**0.5
    angle = 2 * torch.pi * torch.arange(1, tones + 1).view(-1, 1) * time
    return strength[:, 0] @ angle.sin() + strength[:, 1] @ angle.cos()


def spectra(n: int = 512, seed: int = 0, channels: int = 48) -> Tensor:
    """Return spectra (n, channels) in [0, 1]: three lines that shift and swell."""
    rng = made(seed)
    axis = torch.linspace(0, 1, channels)
    centre = torch.tensor([0.2, 0.5, 0.8]) + 0.1 * torch.randn(n, 3, generator=rng)
    height = 0.3 + 0.7 * torch.rand(n, 3, generator=rng)
    lines = torch.exp(-(axis - centre.unsqueeze(2)).square() / (2 * 0.06**2))
    return (height.unsqueeze(2) * lines).sum(1).clamp(0, 1)


def weave(n: int = 512, seed: int = 0, size: int = 12, fine: float = 0.05) -> Tensor:
    """Return images (n, 1, size, size) of shaded cloth with fine diagonal threads."""
    rng = made(seed)
    slope = 2 * torch.rand(n, 2, 1, 1, generator=rng) - 1
    grid = torch.linspace(-1, 1, size)
    shade = 0.5 + 0.22 * (slope[:, 0] * grid + slope[:, 1] * grid.view(-1, 1))
    phase = 2 * torch.pi * torch.rand(n, 1, 1, generator=rng)
    place = torch.arange(size) + torch.arange(size).view(-1, 1)
    return (shade + fine * torch.sin(2.2 * place + phase)).unsqueeze(1)


def counts(n: int = 512, seed: int = 0, words: int = 40, topics: int = 4) -> Tensor:
    """Return word counts (n, words) of documents that mix a few topics."""
    rng = made(seed)
    topic = torch.rand(topics, words, generator=rng).pow(6)
    share = torch.rand(n, topics, generator=rng).pow(3)
    return torch.poisson(12 * share @ topic, generator=rng)


def fit(
    model: nn.Module,
    x: Tensor,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    *,
    val: Tensor | None = None,
    loss=F.mse_loss,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Train on x, a fresh order each epoch; return the losses of every epoch."""
    rng, history = made(seed), {"train_loss": []}
    for _ in range(epochs):
        total = 0.0
        model.train()
        for batch in x[torch.randperm(len(x), generator=rng)].split(batch_size):
            value = loss(model(batch), batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(batch)
        history["train_loss"].append(total / len(x))
        if val is not None:
            history.setdefault("val_loss", []).append(validate(model, val, loss))
    return history


@torch.no_grad()
def validate(model: nn.Module, x: Tensor, loss=F.mse_loss) -> float:
    """Return the loss on x in eval mode."""
    model.eval()
    value = loss(model(x), x).item()
    model.train()
    return value
