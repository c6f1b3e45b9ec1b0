"""Series, spectra, tables and point sets, and training with a history, for sixth_e."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import pair, train, x_hat


def drawn(seed: int) -> torch.Generator:
    """Return a generator for made data."""
    return torch.Generator().manual_seed(1000 + seed)


def beats(n: int = 512, seed: int = 0, t: int = 48) -> Tensor:
    """Return heartbeats (n, t): three bumps of changing place, height and width."""
    g, time = drawn(seed), torch.linspace(0, 1, t)
    x = torch.zeros(n, t)
    for place, height, width in (
        (0.25, 0.25, 0.06),
        (0.45, 1.0, 0.03),
        (0.7, 0.4, 0.08),
    ):
        at = place + 0.05 * torch.randn(n, 1, generator=g)
        tall = height * (1 + 0.3 * torch.randn(n, 1, generator=g))
        x += tall * torch.exp(-((time - at).square()) / (2 * width**2))
    return x + 0.02 * torch.randn(n, t, generator=g)


def spectra(n: int = 512, seed: int = 0, d: int = 96) -> Tensor:
    """Return mixed spectra (n, d) in [0, 1]: six substances on a sloping baseline."""
    g, axis = drawn(seed), torch.linspace(0, 1, d)
    centre = torch.linspace(0.1, 0.9, 6)[:, None]
    width = 0.02 + 0.03 * torch.rand(6, 1, generator=drawn(0))
    pure = torch.exp(-(axis - centre).square() / (2 * width**2))
    amount = torch.rand(n, 6, generator=g).square()
    slope = 0.3 * torch.rand(n, 1, generator=g) * axis
    x = amount @ pure + slope + 0.01 * torch.randn(n, d, generator=g)
    return (x / x.max()).clamp(0, 1)


def sensors(n: int = 512, seed: int = 0, t: int = 24, channels: int = 4) -> Tensor:
    """Return standardised series (n, t, channels) that two hidden waves drive."""
    g, time = drawn(seed), torch.linspace(0, 1, t)[:, None]
    phase = 2 * torch.pi * torch.rand(n, 1, 2, generator=g)
    size = 0.5 + torch.rand(n, 1, 2, generator=g)
    hidden = size * torch.sin(2 * torch.pi * time * torch.tensor([1.0, 2.0]) + phase)
    x = hidden @ torch.randn(2, channels, generator=drawn(0))
    x = x + 0.05 * torch.randn(x.shape, generator=g)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def answers(n: int = 768, seed: int = 0, levels=(3, 4, 5, 4, 6)) -> Tensor:
    """Return one-hot answers (n, sum of levels), driven by a hidden type of person."""
    g, many = drawn(seed), len(levels)
    kind, columns = torch.randint(6, (n,), generator=g), []
    for j, level in enumerate(levels):
        usual = torch.randint(level, (6,), generator=drawn(j))
        other = torch.randint(level, (n,), generator=g)
        own = torch.rand(n, generator=g) < 0.1 + 0.02 * many
        columns.append(F.one_hot(torch.where(own, other, usual[kind]), level))
    return torch.cat(columns, 1).float()


def rings(n: int = 384, seed: int = 0, points: int = 48) -> Tensor:
    """Return point sets (n, points, 3), in no order, on ellipsoids of random axes."""
    g = drawn(seed)
    p = F.normalize(torch.randn(n, points, 3, generator=g), dim=-1)
    return p * (0.3 + 0.7 * torch.rand(n, 1, 3, generator=g))


def chamfer(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared distance to the nearest point, both ways."""
    d = (a[:, :, None] - b[:, None]).square().sum(-1)  # (B, N, M)
    return d.min(2).values.mean() + d.min(1).values.mean()


def loss_of(case: dict, x: Tensor) -> float:
    """Return the case's loss on a tensor in eval mode."""
    model = case["model"].eval()
    with torch.no_grad():
        source, target = pair(case, x)
        out = model(source)
        loss = case.get("loss")
        value = loss(out, target) if loss else F.mse_loss(x_hat(out), target)
    model.train()
    return value.item()


def epochs(case: dict, count: int, valid: Tensor) -> dict:
    """Train some epochs and return the case with its history."""
    history = {"train_loss": [], "val_loss": []}
    for _ in range(count):
        losses = train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(loss_of(case, valid))
    return {**case, "history": history}
