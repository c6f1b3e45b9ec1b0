"""The variants of chapter 18 with all digits and four times the steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ae_lib import results
from ae_lib.baselines import PCA
from ae_lib.data import Images, hold_out, load
from ae_lib.denoising import Spoilt
from ae_lib.features import extract, linear_probe
from ae_lib.penalties import contractive_sigmoid, l1
from ae_lib.training import fit

EPOCHS, BATCH, LABELS = 2, 50, 3_000


class Net(nn.Module):
    """Turn 784 pixels into numbers and back, with a matrix each way: chapter 18."""

    def __init__(
        self,
        act: Callable[[Tensor], Tensor],
        tied: bool = False,
        unit: bool = False,
        units: int = 64,
    ):
        super().__init__()
        self.act, self.unit = act, unit
        self.down = nn.Linear(784, units)
        start = self.down.weight.detach().T.clone()
        self.up = None if tied else nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(784))

    def columns(self) -> Tensor:
        up = self.down.weight.T if self.up is None else self.up
        return F.normalize(up, dim=0) if self.unit else up  # (784, units)

    def encode(self, x: Tensor) -> Tensor:
        return self.act(self.down(x.flatten(1)))  # (B, units)

    def decode(self, z: Tensor) -> Tensor:
        x_hat = z @ self.columns().T + self.bias  # (B, 784)
        return x_hat.unflatten(1, (1, 28, 28))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


class Components(PCA):
    """PCA, with the chapter's name for a decoder's columns."""

    def columns(self) -> Tensor:
        return self.components.T


class Pixels:
    """The images themselves as a code of 784 numbers."""

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, (1, 28, 28))

    def columns(self) -> Tensor:
        return torch.eye(784)


def variants_mnist(seeds: tuple[int, ...]) -> None:
    """Train variants of chapter 18 for 2,400 steps on all digits, beside rivals.

    Each strength is a third, once or three times that of the chapter (half, once or
    twice for the deviation of noise), as 8 units keep most of 5,000 validation images,
    seed 0. The nets that are judged are trained on all 60,000.
    """
    train, test = load("mnist"), load("mnist", "test")
    fitted, validation = hold_out(train, 5_000)
    strengths: dict[str, float] = {}
    ladder = []
    for name, steps in LADDERS.items():
        for strength in steps:
            net = _trained(name, strength, fitted, 0)
            share = kept(net, fitted.unit(), validation.unit())
            ladder.append({"model": name, "strength": strength, "kept": share})
            print(ladder[-1], flush=True)
        own = [step for step in ladder if step["model"] == name]
        strengths[name] = max(own, key=lambda step: step["kept"])["strength"]
    rivals = {
        "pixels": Pixels(),
        "PCA, 64": Components.fit(train, 64),
        "PCA, 256": Components.fit(train, 256),
    }
    runs = [
        {"model": name, "seed": None} | _measured(rival, train, test)
        for name, rival in rivals.items()
    ]
    for seed in seeds:
        torch.manual_seed(seed)
        nets = {"untrained, 256": Net(torch.relu, units=256)}
        for name in MAKERS:
            nets[name] = _trained(name, strengths.get(name, 0.0), train, seed)
        for name, net in nets.items():
            runs.append({"model": name, "seed": seed} | _measured(net, train, test))
            print(runs[-1], flush=True)
    data = {"runs": runs, "strengths": strengths, "ladder": ladder, "epochs": EPOCHS}
    data |= {"train_images": len(train), "batch_size": BATCH}
    results.save("variants_mnist", data, source=test.source, seeds=seeds)


RELU, TIED = partial(Net, torch.relu), partial(Net, torch.sigmoid, tied=True)
MAKERS: dict[str, Callable[[], Net]] = {
    "ReLU": RELU,
    "L1": partial(RELU, unit=True),
    "denoising": TIED,
    "contractive": TIED,
    "ReLU, 256": partial(RELU, units=256),
    "L1, 256": partial(RELU, unit=True, units=256),
}
LADDERS = {
    "L1": (0.03, 0.1, 0.3),
    "denoising": (0.4, 0.8, 1.6),
    "contractive": (0.003, 0.01, 0.03),
    "L1, 256": (0.12, 0.4, 1.2),
}


def _trained(name: str, strength: float, images: Images, seed: int) -> Net:
    """Train one variant; an L1 term warms up over the first half of the steps."""
    torch.manual_seed(seed)
    net = MAKERS[name]()
    half = EPOCHS * -(-len(images) // BATCH) / 2
    done = 0

    def loss(output: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        nonlocal done
        done += 1
        x_hat, z = output
        error = F.mse_loss(x_hat, x)
        if name.startswith("L1"):
            return error + strength * min(1, done / half) * l1(z)
        if name == "contractive":
            return error + strength * contractive_sigmoid(z, net.down.weight)
        return error

    def spoil(x: Tensor, generator: Generator) -> Tensor:
        return x + strength * torch.randn(x.shape, generator=generator)

    pupil: nn.Module = Spoilt(net, spoil, seed) if name == "denoising" else net
    fit(
        pupil,
        images,
        loss=loss,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), 0.01),
        epochs=EPOCHS,
        batch_size=BATCH,
        precision="float32",
        seed=seed,
        verbose=False,
        watch=0,
    )
    return net


@torch.no_grad()
def kept(net: Any, x: Tensor, x_test: Tensor, n: int = 8) -> float:
    """Return the share of variance that comes back from the n largest units."""
    z, rest = net.encode(x_test), net.encode(x).median(dim=0).values
    size = (z - rest).abs() * net.columns().norm(dim=0)  # (N, units)
    rank = size.argsort(dim=1, descending=True).argsort(dim=1)
    return _share(net.decode(torch.where(rank < n, z, rest)), x, x_test)


def _share(x_hat: Tensor, x: Tensor, x_test: Tensor) -> float:
    spread = (x_test - x.mean(0)).square().mean()
    return 1 - ((x_hat - x_test).square().mean() / spread).item()


@torch.no_grad()
def _measured(net: Any, train: Images, test: Images) -> dict[str, Any]:
    """Ask the four questions of the chapter; the probe with few labels and with all."""
    x, x_test = train.unit(), test.unit()
    z, z_test = extract(net.encode, train), extract(net.encode, test)
    noise = torch.randn(x_test.shape, generator=torch.Generator().manual_seed(5))
    far = (z_test - z_test.mean(dim=0)).square().sum(dim=1).mean()
    by_noise = (net.encode(x_test + 0.2 * noise) - z_test).square().sum(dim=1).mean()
    probes = {
        n: linear_probe(z[:n], train.labels[:n], z_test, test.labels)
        for n in (LABELS, len(train))
    }
    return {
        "lost": 1 - _share(net.decode(z_test), x, x_test),
        "kept": kept(net, x, x_test),
        "moved": (by_noise / far).sqrt().item(),
        "probe": probes,
    }
