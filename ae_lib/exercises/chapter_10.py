"""The checks of chapter 10: a network that never begins, and three look-alikes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ae_lib.exercises.judge import (
    Wrong,
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

HEAVY = (nn.Conv2d, nn.Linear)
STEPS = 120


# What the page defines; a test holds the two equal.


def network(act=nn.ReLU, norm=True, latent_dim=32, width=16, seed=0):  # noqa: D103 (as on the page)
    torch.manual_seed(seed)

    def after():
        return [nn.BatchNorm2d(width)] * norm + [act()]

    def conv():
        return [nn.Conv2d(width, width, 3, padding=1), *after()]

    down = [nn.Conv2d(3, width, 4, stride=4), *after()]  # (B, 16, 4, 4)
    down += [*conv(), *conv(), nn.Flatten()]  # (B, 256)
    code = [nn.Linear(16 * width, latent_dim)]  # (B, 32)
    back = [nn.Linear(latent_dim, 16 * width)]  # (B, 256)
    up = [nn.Unflatten(1, (width, 4, 4)), *after(), *conv(), *conv()]
    out = [nn.Conv2d(width, 48, 1), nn.PixelShuffle(4)]  # (B, 3, 16, 16)
    return nn.Sequential(*down, *code, *back, *up, *out)


def weighted(model):  # noqa: D103 (as on the page)
    return [layer for layer in model if isinstance(layer, HEAVY)]


def faint(seed=0):
    """Return a network for images (B, 3, 16, 16), and its optimizer."""
    model = network(norm=False, seed=seed)
    for layer in weighted(model):
        nn.init.normal_(layer.weight, std=0.02)  # as in a well-known recipe
        nn.init.zeros_(layer.bias)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


# What the checks measure.


def _sound(act: Callable = nn.ReLU, norm: bool = False, seed: int = 0) -> nn.Module:
    """Return the network with He's weights and a quiet answer."""
    model = network(act, norm, seed=seed)
    for layer in weighted(model):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    weighted(model)[-1].weight.data *= 0.1
    return model


def _silenced(only: int | None = None, seed: int = 0) -> nn.Module:
    """Return the sound network with dead convolutions, all inner ones or one."""
    model = _sound(seed=seed)
    layers = [layer for layer in weighted(model)[:-1] if isinstance(layer, nn.Conv2d)]
    for layer in layers if only is None else layers[only : only + 1]:
        nn.init.constant_(layer.bias, -20.0)
    return model


def _train(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Train for a few steps; return R² on images that took no part."""
    model.train()
    for i in range(STEPS):
        batch = x[:256].roll(-32 * i, 0)[:32]
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return r_squared(model.eval(), x[256:])


@torch.no_grad()
def _look(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Return the largest share of dead units in a layer, and the code's ratio."""
    dead, ratio = 0.0, 0.0
    for layer in model.train():
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            silent = (x.transpose(0, 1).flatten(1) <= 0).all(1)
            dead = max(dead, silent.float().mean().item())
        if isinstance(layer, nn.Linear) and not ratio:
            ratio = (x.var(0).mean() / x.square().mean()).sqrt().item()
    return dead, ratio


def _moved(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Take one step; return how far it moves a layer's weights, by their size."""
    before = [layer.weight.detach().clone() for layer in weighted(model)]
    F.mse_loss(model.train()(x), x).backward()
    optimizer.step()
    pairs = zip(weighted(model), before, strict=True)
    ratios = [((n.weight - a).norm() / a.norm()).item() for n, a in pairs]
    return torch.tensor(ratios).median().item()


def _first_share(x: Tensor) -> float:
    """Return the share of the variance along the first principal component."""
    variances = torch.linalg.svdvals((x - x.mean(0)).flatten(1)).square()
    return (variances[0] / variances.sum()).item()


@hint("R² from 0.00 to over 0.3, and a number that is far off in this program alone")
def check_1(answer: type) -> str:
    """Hold a Diagnosis of `faint` to its cause, a measurement and a repair."""
    cause, measure, repair = diagnosis(answer)
    x = smooth_images(320)

    def faster() -> str:
        model, optimizer = faint()
        optimizer.param_groups[0]["lr"] *= 10
        return (
            f"with ten times the rate R² is {_train(model, optimizer, x):.2f} after "
            f"{STEPS} steps, as before. Look at what a step could learn from: the "
            "size of the signal behind each layer"
        )

    def look(i: int, text: str) -> Callable[[], str]:
        return lambda: text.format(_look(faint()[0], x[:128])[i])

    dead = "in no layer are more than {:.0%} of the units zero for all images"
    ratio = (
        "the signal ratio at the code is {:.2f}: its numbers are tiny, but they "
        "differ from image to image"
    )
    look_alikes = {
        "step.too-small": faster,
        "step.too-large": lambda: "the loss neither grows nor jumps, it stands still",
        "signal.dead-units": look(0, dead),
        "signal.common-mode": look(1, ratio),
        "signal.saturated": lambda: "a ReLU has no plateau above zero",
        "code.too-small": lambda: (
            f"PCA with a single number gives back {_first_share(x):.0%} of the "
            "variance, and this network, with 32, nothing"
        ),
    }
    hold_cause(cause(), "signal.init-scale", look_alikes)
    seeds = range(3)
    programs = {
        "a healthy twin": [_sound(seed=s) for s in seeds],
        "one with dead units": [_silenced(seed=s) for s in seeds],
        "one of sigmoids": [_sound(nn.Sigmoid, seed=s) for s in seeds],
    }
    hold_apart(
        [measure(faint(s)[0], x[:128]) for s in seeds],
        {k: [measure(m, x[:128]) for m in models] for k, models in programs.items()},
    )
    before = reached = _train(*faint(), x)
    for seed in (0, 1):
        model, optimizer = sequence(repair(*faint(seed)), 2, "what repair returns")
        expect(isinstance(model, nn.Module), f"expected a model, got {kind(model)}")
        reached = max(reached, _train(model, optimizer, x))
        if reached > 0.5:
            break  # the second try is for an unlucky draw
    expect(
        reached > max(0.3, before + 0.2),
        f"the cause is right, and the repair is not: after {STEPS} steps R² is "
        f"{reached:.2f} at best, and {before:.2f} without it. Does every layer keep "
        "the size of the signal, and is the first answer a quiet one?",
    )
    return f"after {STEPS} steps R² is {reached:.2f}, and {before:.2f} as it came"


CAUSES = ("signal.dead-units", "signal.common-mode", "step.too-small", "none")


def _programs() -> list[tuple[str, Callable, Callable]]:
    """List cause, model and optimizer of the programs of exercise 2."""

    def adam(lr: float) -> Callable:
        return lambda model: torch.optim.Adam(model.parameters(), lr=lr)

    def sgd(lr: float) -> Callable:
        return lambda model: torch.optim.SGD(model.parameters(), lr, momentum=0.9)

    return [
        ("none", lambda: _sound(seed=1), adam(3e-3)),
        ("step.too-small", lambda: _sound(seed=2), adam(1e-7)),
        ("signal.dead-units", lambda: _silenced(seed=3), adam(3e-3)),
        ("signal.common-mode", lambda: network(nn.Sigmoid, False, seed=4), adam(3e-3)),
        ("none", lambda: _sound(norm=True, seed=5), adam(3e-3)),
        ("signal.dead-units", lambda: _silenced(1, seed=6), sgd(0.1)),
        ("signal.common-mode", lambda: _sound(nn.Sigmoid, seed=7), sgd(0.1)),
        ("step.too-small", lambda: _sound(norm=True, seed=8), adam(1e-8)),
        ("none", lambda: network(nn.Tanh, seed=9), sgd(0.1)),
        ("signal.dead-units", lambda: _silenced(3, seed=10), adam(3e-3)),
    ]


@hint("10 programs: 3 dead, 2 with a common mode, 2 with tiny steps, and 3 healthy")
def check_2(diagnose: Callable[[nn.Module, Optimizer, Tensor], str]) -> str:
    """Hold diagnose(model, optimizer, x) to the cause of ten programs."""
    x = smooth_images(128)
    programs = _programs()
    for i, (right, model, optimizer) in enumerate(programs, start=1):
        sick = model()
        got = diagnose(sick, optimizer(sick), x.clone())
        if not isinstance(got, str) or got not in CAUSES:
            said = repr(got) if isinstance(got, str) else kind(got)
            raise Wrong(f"answer with one of {', '.join(CAUSES)}; got {said}")
        if got == right:
            continue
        dead, ratio = _look(model(), x)
        fresh = model()
        moved = _moved(fresh, optimizer(fresh), x)
        facts = {
            "signal.dead-units": f"in one of its layers {dead:.0%} of the units are "
            "zero for every image, and what lies behind gets no signal and sends no "
            "gradient. Judge code and step only where all layers live",
            "signal.common-mode": f"its units live, and the signal ratio at its code "
            f"is {ratio:.3f}, nearly one answer for all images. With so little signal "
            "a small step is no news",
            "step.too-small": f"at most {dead:.0%} of the units of a layer are dead, "
            f"the signal ratio at the code is {ratio:.2f}, and one step moves the "
            f"weights by {moved:.0e} of their size",
            "none": f"at most {dead:.0%} of the units of a layer are dead, the signal "
            f"ratio at the code is {ratio:.2f}, and a step moves the weights by "
            f"{show(moved)} of their size",
        }
        raise Wrong(f"program {i} of {len(programs)}: not {got}. Here {facts[right]}")
    return "ten programs, and no look-alike was taken for another"
