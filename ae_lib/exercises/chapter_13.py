"""The checks of chapter 13: what a single step tells, and a quiet fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ae_lib.baselines import PCA
from ae_lib.exercises.judge import (
    Wrong,
    compare,
    diagnosis,
    expect,
    hint,
    hold_apart,
    hold_cause,
    kind,
    r_squared,
    sequence,
    show,
    smooth_images,
)

CAUSES = ("wiring.unoptimised", "step.too-small", "step.too-large", "none")
EPOCHS = 12


# What the page defines; a test holds the two equal.


class Net(nn.Module):  # noqa: D101 (as on the page)
    def __init__(self, latent_dim, register):
        super().__init__()
        down = [nn.Conv2d(1, 16, 4, 4), nn.ReLU()]  # (B, 16, 7, 7)
        down += [nn.Flatten(), nn.Linear(784, latent_dim)]
        self.encoder = nn.Sequential(*down)
        up = [nn.Linear(latent_dim, 784), nn.ReLU()]
        up += [nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 1, 4, 4)]
        self.layers = [*up, nn.Sigmoid()]
        if register:
            self.decoder = nn.Sequential(*self.layers)

    def forward(self, x):
        h = self.encoder(x)  # (B, latent_dim)
        for layer in self.layers:
            h = layer(h)
        return h  # (B, 1, 28, 28)


def pairs(x, size):
    """Yield (input, target) for one epoch, in random order."""
    inputs = DataLoader(x, size, shuffle=True)
    targets = DataLoader(x, size, shuffle=True)
    yield from zip(inputs, targets, strict=True)


# What the checks measure.


def _images(n: int, seed: int = 0) -> Tensor:
    """Draw n smooth grey images (n, 1, 28, 28) in [0, 1]."""
    return smooth_images(n, 28, 1, ((2, 1, 1.0), (4, 1, 0.5)), seed).sigmoid()


def _step(net: Net, optimizer: Optimizer, x: Tensor) -> tuple[float, float]:
    """Take a step; return the share of weights that stand still, and how far others go.

    How far is the median over the layers, in units of the weights' own size.
    """
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    before = [p.detach().clone() for p in used]
    F.mse_loss(net(x), x).backward()
    optimizer.step()
    both = list(zip(used, before, strict=True))
    still = sum(p.numel() for p, a in both if torch.equal(p, a))
    ratios = [((p - a).norm() / a.norm()).item() for p, a in both]
    share = still / sum(p.numel() for p in used)
    return share, torch.tensor(ratios).median().item()


def _programs() -> list[tuple[str, Callable, Callable]]:
    """List cause, network and optimizer of the programs of exercise 1."""

    def adam(lr: float) -> Callable:
        return lambda net: torch.optim.Adam(net.parameters(), lr=lr)

    def half(net: Net) -> Optimizer:
        return torch.optim.Adam(net.encoder.parameters(), lr=0.005)

    def sound() -> Net:
        return Net(32, register=True)

    def unregistered() -> Net:
        return Net(32, register=False)

    return [
        ("none", sound, adam(0.005)),
        ("step.too-small", sound, adam(1e-6)),
        ("wiring.unoptimised", unregistered, adam(0.005)),
        ("step.too-large", sound, adam(0.3)),
        ("wiring.unoptimised", sound, half),
        ("wiring.unoptimised", unregistered, adam(0.3)),
        ("wiring.unoptimised", unregistered, adam(1e-6)),
        ("none", lambda: Net(8, register=True), adam(0.002)),
    ]


@hint("8 programs: 4 with forgotten weights, 2 with a wrong rate, 2 healthy")
def check_1(verdict: Callable[[Net, Optimizer, Tensor], str]) -> str:
    """Hold verdict(net, optimizer, x) to the cause in eight programs."""
    x, programs = _images(50), _programs()
    for i, (right, build, optimize) in enumerate(programs, start=1):
        torch.manual_seed(i)
        net = build()
        got = verdict(net, optimize(net), x.clone())
        if not isinstance(got, str) or got not in CAUSES:
            said = repr(got) if isinstance(got, str) else kind(got)
            raise Wrong(f"answer with one of {', '.join(CAUSES)}; got {said}")
        if got == right:
            continue
        torch.manual_seed(i)
        net = build()
        still, moved = _step(net, optimize(net), x)
        every = f"every weight in use moves in a step, by {show(moved)} of its size"
        facts = {
            "wiring.unoptimised": f"{still:.0%} of the weights that the forward pass "
            "uses do not move at all in a step, and at no rate would they: the "
            "optimizer does not have them",
            "step.too-small": f"{every}, and a first step of Adam usually moves "
            "them by some hundredths",
            "step.too-large": f"{every}: the first step throws away what was drawn",
            "none": f"{every}, and that is usual for a first step of Adam",
        }
        raise Wrong(f"program {i} of {len(programs)}: not {got}. Here {facts[right]}")
    return "eight programs, told apart by a single step"


def _train(
    make: Callable, x: Tensor, new: Tensor, seed: int, lr: float = 5e-3
) -> float:
    """Train on the pairs of some epochs; return R² on new images."""
    torch.manual_seed(seed)
    net = Net(32, register=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for _ in range(EPOCHS):
        for given, target in make(x, 25):
            loss = F.mse_loss(net(given), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return r_squared(net, new)


@hint("R² from about 0.0 to over 0.3, and one number for each list of pairs")
def check_2(answer: type) -> str:
    """Hold a Diagnosis of `pairs` to its cause, a measurement and a repair."""
    cause, measure, repair = diagnosis(answer)
    x, new = _images(256).split((200, 56))
    before = _train(pairs, x, new, seed=0)

    def rate(factor: float) -> Callable[[], str]:
        def try_it() -> str:
            after = _train(pairs, x, new, 0, 5e-3 * factor)
            return f"at {factor:g} times the rate R² is {after:.2f}, no better"

        return try_it

    def moves() -> str:
        net = Net(32, register=True)
        still, _ = _step(net, torch.optim.Adam(net.parameters(), lr=5e-3), x[:25])
        return f"in one step {1 - still:.0%} of the weights in use move"

    look_alikes = {
        "step.too-small": rate(4),
        "step.too-large": rate(0.25),
        "loss.domain": lambda: (
            "the loss is 0 where output and target agree, and nowhere lower. Ask what "
            "it is compared with"
        ),
        "code.too-small": lambda: (
            f"PCA with as many numbers as the code gives back "
            f"{r_squared(PCA.fit(x, 32), new):.0%} of the variance"
        ),
        "data.order": lambda: (
            "each image comes once in an epoch and no batch is empty. Look at what "
            "stands beside each image"
        ),
        "wiring.unoptimised": moves,
        "fit.undertrained": lambda: (
            "the error of the mean image is reached early, and kept. What would a "
            "perfect copy score on these pairs?"
        ),
        "signal.common-mode": lambda: (
            "that comes of the training here: before it, the codes differ well enough"
        ),
    }
    hold_cause(cause(), "data.target", look_alikes)
    sick = [list(pairs(x, 25)) for _ in range(3)]
    hold_apart(
        [measure(epoch) for epoch in sick],
        {k: [measure(list(e)) for e in epochs] for k, epochs in _sound(x).items()},
    )
    _hold_epoch(list(repair(x.clone(), 25)), list(repair(x.clone(), 25)), x)
    reached = min(_train(repair, x, new, seed) for seed in (0, 1))
    expect(
        reached > max(0.3, before + 0.2),
        f"R² is {reached:.2f} after your repair, and {before:.2f} without it",
    )
    return f"in the same steps R² is {reached:.2f}, and {before:.2f} as it came"


def _sound(x: Tensor) -> dict[str, list[Iterable]]:
    """Return epochs of pairs that are in order, though one of them looks odd."""
    orders = [torch.randperm(len(x)) for _ in range(2)]
    sound = [[(x[i], x[i]) for i in order.split(25)] for order in orders]
    noisy = [[(a + 0.1 * torch.randn_like(a), b) for a, b in epoch] for epoch in sound]
    return {
        "a healthy epoch": sound,
        "one in stored order": [[(b, b) for b in x.split(25)]] * 2,
        "a denoiser, whose noisy inputs have the right targets": noisy,
    }


def _hold_epoch(epoch: list, again: list, x: Tensor) -> None:
    """Raise Wrong unless an epoch shows each image once, mixed, beside itself."""
    expect(epoch, "repair yields no batches")
    parts = [sequence(pair, 2, "a batch") for pair in epoch]
    given, target = (torch.cat([pair[i] for pair in parts]) for i in (0, 1))
    expect(
        given.shape == target.shape and torch.equal(given, target),
        "the cause is right, and the repair is not: there are still inputs beside "
        "another image",
    )
    compare(len(given), len(x), {}, "the images of an epoch")
    expect(
        max(len(a) for a, _ in parts) <= 25,
        "a batch has more images than it should have",
    )
    sums = [t.flatten(1).double().sum(1).sort().values for t in (given, x)]
    expect(torch.allclose(*sums), "some images never come, and others come twice")
    mixed = not torch.equal(given, x)
    mixed = mixed and not torch.equal(given, torch.cat([a for a, _ in again]))
    expect(
        mixed,
        "the pairs are right, and the order is no longer a new one in each epoch. "
        "Mend one thing, and leave the others",
    )
