"""Seventh part, c: small data and a training loop for the programs of this author."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import x_hat


def made(seed: int) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def ecg(n: int, seed: int, t: int = 64) -> tuple[Tensor, Tensor]:
    """Return heartbeats (n, t) of three kinds, drawn as sums of bumps, and the kind."""
    g = made(seed)
    kind = torch.randint(3, (n,), generator=g)
    time = torch.linspace(0, 1, t)

    def bump(place, width, height):
        return height[:, None] * torch.exp(-(((time - place[:, None]) / width) ** 2))

    def about(value, spread):
        return value + spread * torch.randn(n, generator=g)

    centre = about(0.45, 0.05)
    early = torch.where(kind == 1, 0.10, 0.18)
    x = bump(centre - early, 0.04, about(0.25, 0.06))
    x = x + bump(centre, 0.025, about(1.0, 0.15))
    x = x - bump(centre + 0.06, 0.03, about(0.35, 0.08))
    late = torch.where(kind == 2, -0.3, 0.4)
    x = x + bump(centre + 0.28, 0.07, late * about(1.0, 0.15))
    return x + 0.02 * torch.randn(n, t, generator=g), kind


def clothes(n: int, seed: int, size: int = 28) -> tuple[Tensor, Tensor]:
    """Return grey drawings (n, 1, size, size) in [0, 1] of four garments, and which."""
    g = made(seed)
    kind = torch.randint(4, (n,), generator=g)
    row = torch.linspace(-1, 1, size).view(1, size, 1)
    column = torch.linspace(-1, 1, size).view(1, 1, size)

    def draw(low, high):
        return (low + (high - low) * torch.rand(n, generator=g)).view(n, 1, 1)

    def soft(distance):
        return torch.sigmoid(12 * distance)

    wide, tall, shift = draw(0.3, 0.6), draw(0.6, 0.9), draw(-0.15, 0.15)
    side = (column - shift).abs()
    body = soft(wide - side) * soft(tall - row.abs())
    sleeves = soft(0.95 - side) * soft(0.18 - (row + tall - 0.25).abs())
    shirt = torch.maximum(body, sleeves)
    legs = body * (1 - soft(0.12 - side) * soft(row + 0.3))
    dress = soft(0.2 + wide * (row + 1) / 2 - side) * soft(tall - row.abs())
    bag = soft(wide + 0.3 - side) * soft(0.4 - (row - 0.2).abs())
    forms = torch.stack([shirt, legs, dress, bag], 1)
    x = forms[torch.arange(n), kind]
    tone = draw(0.4, 0.9) + draw(-0.2, 0.2) * row + draw(0, 0.1) * (9 * column).sin()
    return (x * tone).clamp(0, 1).unsqueeze(1), kind


def faces(n: int, seed: int, size: int = 32, channels: int = 1) -> Tensor:
    """Return cartoon faces (n, channels, size, size) in [0, 1]."""
    g = made(seed)
    row = torch.linspace(-1, 1, size).view(1, size, 1)
    column = torch.linspace(-1, 1, size).view(1, 1, size)

    def draw(low, high):
        return (low + (high - low) * torch.rand(n, generator=g)).view(n, 1, 1)

    def spot(y, x, height, width):
        return torch.sigmoid(
            6 - 6 * ((row - y) / height) ** 2 - 6 * ((column - x) / width) ** 2
        )

    y, x, skin, back = (
        draw(-0.15, 0.15),
        draw(-0.2, 0.2),
        draw(0.6, 0.9),
        draw(0.05, 0.35),
    )
    apart, open_, smile = draw(0.2, 0.32), draw(0.05, 0.12), draw(0.05, 0.15)
    head = spot(y, x, draw(0.7, 0.85), draw(0.5, 0.65))
    image = back + (skin - back) * head
    for part in (
        spot(y - 0.2, x - apart, open_, 0.12),
        spot(y - 0.2, x + apart, open_, 0.12),
        spot(y + 0.4, x, smile, draw(0.2, 0.35)),
    ):
        image = image * (1 - 0.8 * part)
    tint = torch.stack([0.7 + 0.3 * draw(0, 1)[:, 0, 0] for _ in range(channels)], 1)
    return (image[:, None] * tint[:, :, None, None]).clamp(0, 1)


def plant(n: int, seed: int, t: int = 30, c: int = 4) -> Tensor:
    """Return windows (n, t, c) of sensors that follow three slow common causes."""
    g, fixed = made(seed), made(11)
    time = torch.arange(t) / t
    phase = 6.28 * torch.rand(n, 1, 3, generator=g)
    speed = 0.6 + torch.rand(n, 1, 3, generator=g)
    size = 0.5 + torch.rand(n, 1, 3, generator=g)
    causes = size * torch.sin(6.28 * speed * time[:, None] + phase)
    x = causes @ torch.randn(3, c, generator=fixed)
    x = x + 0.05 * torch.randn(n, t, c, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def peaks(n: int, seed: int, d: int = 80) -> tuple[Tensor, Tensor]:
    """Return spectra (n, d) >= 0 of five substances, highest 1, and the main one."""
    g, fixed = made(seed), made(7)
    axis = torch.linspace(0, 1, d)
    places = torch.rand(5, 3, 1, generator=fixed)
    heights = 0.3 + torch.rand(5, 3, 1, generator=fixed)
    pure = (heights * torch.exp(-(((axis - places) / 0.03) ** 2))).sum(1)
    main = torch.randint(5, (n,), generator=g)
    share = 0.4 * torch.rand(n, 5, generator=g) + F.one_hot(main, 5)
    x = share @ pure + 0.01 * torch.rand(n, d, generator=g)
    return x / x.max(), main


def customers(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return standard columns (n, 6) and categories (n, 3) below 4, all of 3 causes."""
    g, fixed = made(seed), made(3)
    causes = torch.randn(n, 3, generator=g)
    numbers = causes @ torch.randn(3, 6, generator=fixed)
    numbers = numbers + 0.2 * torch.randn(n, 6, generator=g)
    scores = 3 * causes @ torch.randn(3, 12, generator=fixed)
    kinds = scores.view(n, 3, 4).argmax(2)
    return (numbers - numbers.mean(0)) / numbers.std(0), kinds


def words(n: int, seed: int, d: int = 120, topics: int = 6) -> tuple[Tensor, Tensor]:
    """Return which of d words occur (0 or 1) in n texts on some topics."""
    g, fixed = made(seed), made(5)
    chance = 0.02 + 0.7 * (torch.rand(topics, d, generator=fixed) < 0.2)
    topic = torch.randint(topics, (n,), generator=g)
    return (torch.rand(n, d, generator=g) < chance[topic]).float(), topic


def fit(
    model,
    x,
    epochs,
    optimizer,
    *,
    loss=None,
    val=None,
    batch_size=64,
    seed=0,
    cosine=False,
) -> dict[str, list[float]]:
    """Train as usual, shuffled; return the history of training and validation loss."""
    loss = loss or (lambda output, target: F.mse_loss(x_hat(output), target))
    history, g = {"train_loss": []}, made(seed)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    rates = [group["lr"] for group in optimizer.param_groups]
    for _ in range(epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x), generator=g).split(batch_size):
            value = loss(model(x[rows]), x[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(rows)
        history["train_loss"].append(total / len(x))
        if val is not None:
            model.eval()
            with torch.no_grad():
                value = loss(model(val), val).item()
            history.setdefault("val_loss", []).append(value)
        if cosine:
            fall.step()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    model.train()
    return history
