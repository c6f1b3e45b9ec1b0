"""Seventh part, b: small synthetic data sets and a plain training loop."""

import torch
import torch.nn.functional as F

from ae_lib.doctor.clinic.material import loader


def made(seed):
    """Return a generator of the seed."""
    return torch.Generator().manual_seed(seed)


def peaks(n, seed, d=48, count=1, width=0.05):
    """Return series (n, d) in [0, 1] with `count` peaks at random places."""
    g, t = made(seed), torch.linspace(0, 1, d)
    place = torch.rand(n, count, 1, generator=g)
    height = 0.5 + 0.5 * torch.rand(n, count, 1, generator=g)
    return (height * torch.exp(-(((t - place) / width) ** 2) / 2)).amax(1)


def discs(n, seed, size=16):
    """Return images (n, 1, size, size) with a soft disc of random place and size."""
    g, axis = made(seed), torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    centre = 1.2 * torch.rand(n, 2, 1, 1, generator=g) - 0.6
    radius = 0.2 + 0.4 * torch.rand(n, 1, 1, generator=g)
    away = ((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2).sqrt()
    return torch.sigmoid(12 * (radius - away)).unsqueeze(1)


def skies(n, seed, size=16, channels=3):
    """Return smooth colour gradients (n, channels, size, size) in [0, 1]."""
    g, axis = made(seed), torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    a = torch.randn(n, channels, 4, 1, 1, generator=g)
    z = a[:, :, 0] * x + a[:, :, 1] * y + a[:, :, 2] * x * y + 0.5 * a[:, :, 3]
    return torch.sigmoid(z)


def sensors(n, seed, t=30, c=3):
    """Return standardised windows (n, t, c) of sensors that swing together."""
    g, time = made(seed), torch.linspace(0, 1, t)[None, :, None]
    f = 1 + 1.5 * torch.rand(n, 1, 1, generator=g)
    phase = torch.rand(n, 1, 1, generator=g) + 0.15 * torch.arange(c)
    swing = 0.5 + torch.rand(n, 1, c, generator=g)
    x = swing * torch.sin(2 * torch.pi * (f * time + phase))
    x = x + 0.05 * torch.randn(n, t, c, generator=g)
    return (x - x.mean()) / x.std()


def lines(n, seed, d=64):
    """Return absorption spectra (n, d): a sloping level with dips at fixed places."""
    g, t = made(seed), torch.linspace(0, 1, d)
    places = torch.tensor([0.1, 0.22, 0.35, 0.5, 0.62, 0.75, 0.9])
    bank = torch.exp(-(((t - places[:, None]) / 0.02) ** 2) / 2)
    depth = 0.6 * torch.rand(n, 7, generator=g)
    slope = 0.2 * torch.randn(n, 1, generator=g)
    return (0.8 + slope * (t - 0.5) - depth @ bank).clamp(0, 1)


def survey(n, seed, d=30, rank=6, world=11):
    """Return standardised answers (n, d) driven by `rank` traits through a tanh."""
    g, w = made(seed), made(world)
    load = torch.randn(rank, d, generator=w)
    x = torch.tanh(torch.randn(n, rank, generator=g) @ load / 1.5)
    x = x + 0.1 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


def fit(model, x, epochs, optimizer, *, loss=None, val=None, batch_size=64, seed=0):
    """Train on x in the ordinary way; return the history of both losses."""
    loss = loss or (lambda out, target: F.mse_loss(out, target))
    history = {"train_loss": [], "val_loss": []}
    data = loader(x, batch_size=batch_size, seed=seed)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for batch in data:
            optimizer.zero_grad()
            value = loss(model(batch), batch)
            value.backward()
            optimizer.step()
            total += value.item() * len(batch)
        history["train_loss"].append(total / len(x))
        if val is not None:
            model.eval()
            with torch.no_grad():
                history["val_loss"].append(loss(model(val), val).item())
    model.train()
    return history if val is not None else {"train_loss": history["train_loss"]}
