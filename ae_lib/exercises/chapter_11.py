"""The checks of chapter 11: soft pictures, and two gaps that look alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.baselines import PCA
from ae_lib.exercises.judge import (
    Wrong,
    diagnosis,
    expect,
    hint,
    hold_apart,
    hold_cause,
    kind,
    r_squared,
    smooth_images,
)

STEPS = 60
FIELDS = ((4, 1, 1.0), (2, 3, 0.7))  # more directions than the patient can draw


def dull(seed=0):
    """Return an autoencoder for (B, 3, 16, 16) with a code of 64 numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4), nn.GELU(),  # (B, 16, 4, 4)
        nn.Flatten(), nn.Linear(256, 64),  # (B, 64), the code
        nn.Linear(64, 8), nn.Unflatten(1, (8, 1, 1)),  # (B, 8, 1, 1)
        nn.ConvTranspose2d(8, 24, 4), nn.GELU(),  # (B, 24, 4, 4)
        nn.ConvTranspose2d(24, 3, 4, stride=4),  # (B, 3, 16, 16)
    )  # fmt: skip


def _open(seed: int = 0) -> nn.Module:
    """Return the patient without its fault."""
    model = dull(seed)
    model[4] = nn.Linear(64, 128)
    model[5] = nn.Unflatten(1, (8, 4, 4))
    model[6] = nn.Conv2d(8, 24, 3, padding=1)
    return model


def _train(
    model: nn.Module,
    x: Tensor,
    steps: int = STEPS,
    lr: float = 5e-3,
    loss: Callable = F.mse_loss,
) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for i in range(steps):
        batch = x.roll(-32 * i, 0)[:32]
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model.eval()


@hint("8 or so for this patient, and more for all that only look like it")
def check_1(answer: type) -> str:
    """Hold a Diagnosis of `dull` to its cause, a measurement and a repair."""
    cause, measure, repair = diagnosis(answer)
    images = smooth_images(384, fields=FIELDS)
    x, new = images[:256], images[256:]
    patients = [_train(dull(seed), x) for seed in (0, 1)]
    before = [r_squared(model, new) for model in patients]

    def longer() -> str:
        after = r_squared(_train(dull(), x, 3 * STEPS), new)
        return (
            f"three times the training takes R² from {before[0]:.2f} to {after:.2f}, "
            f"and a sound twin has {r_squared(_train(_open(), x), new):.2f} after one"
        )

    def faster() -> str:
        after = r_squared(_train(dull(), x, lr=1.5e-2), new)
        return f"at three times the rate R² is {after:.2f}, and {before[0]:.2f} at its"

    look_alikes = {
        "fit.undertrained": longer,
        "step.too-small": faster,
        "fit.blurry": lambda: (
            "that is the complaint. Follow the shapes from code to picture, and "
            "count in how many directions the numbers there really differ"
        ),
        "fit.overfit": lambda: (
            f"R² is {r_squared(patients[0], x):.2f} on the training images and "
            f"{before[0]:.2f} on new ones: there is no gap"
        ),
        "output.range": lambda: "the last layer is linear and reaches every value",
        "signal.dead-units": lambda: "a GELU answers below zero, too",
    }
    hold_cause(cause(), "code.too-small", look_alikes)
    others = {
        "a sound twin": [_train(_open(2), x), _train(_open(3), x)],
        "a sound one stopped early": [_train(_open(4), x, 8), _train(_open(5), x, 12)],
    }
    hold_apart(
        [measure(model, new) for model in patients],
        {k: [measure(m, new) for m in models] for k, models in others.items()},
    )
    model = repair(dull())
    expect(
        isinstance(model, nn.Module),
        f"repair should return a model, got {kind(model)}",
    )
    after = r_squared(_train(model, x), new)
    expect(
        after > before[0] + 0.1,
        f"the cause is right, and the repair is not: R² is {after:.2f}, and "
        f"{before[0]:.2f} as the program came. Which is the narrowest place that every "
        "picture has to pass?",
    )
    return f"repaired, R² is {after:.2f}, and {before[0]:.2f} as the program came"


CAUSES = ("fit.overfit", "data.shift", "none")


class _Linear(nn.Module):
    """A PCA as a network: trained in an instant, by heart where images are few."""

    def __init__(self, x: Tensor, k: int):
        super().__init__()
        self.pca = PCA.fit(x, k)

    def forward(self, x: Tensor) -> Tensor:
        return self.pca(x)


def _scenes(n: int, seed: int) -> Tensor:
    """Draw n images in [0, 1], with a bright line near the top and a little grain."""
    x = 0.5 + 0.08 * smooth_images(n, fields=FIELDS, seed=seed)
    x[:, :, 1:3] += 0.3
    random = torch.Generator().manual_seed(seed + 1)
    return (x + 0.02 * torch.randn(x.shape, generator=random)).clamp(0, 1)


def _cases() -> list[tuple[str, nn.Module, Tensor, Tensor]]:
    """List cause, network, training images and new images of exercise 2."""
    many, new = _scenes(500, 0).split((400, 100))
    few, few_too = _scenes(64, 2)[:48], _scenes(64, 4)[:40]
    grain = torch.randn(new.shape, generator=torch.Generator().manual_seed(6))
    good = _Linear(many, 20)
    return [
        ("none", good, many, new),
        ("data.shift", good, many, 2 * new - 1),
        ("fit.overfit", _Linear(few, 44), few, new),
        ("data.shift", good, many, new.flip(2)),
        ("none", _Linear(many, 1), many, new),
        ("data.shift", good, many, (new + 0.2 * grain).clamp(0, 1)),
        ("fit.overfit", _Linear(few_too, 36), few_too, new),
    ]


@hint("7 programs: 3 with other new images, 2 that know theirs by heart, 2 healthy")
def check_2(diagnose: Callable[[nn.Module, Tensor, Tensor], str]) -> str:
    """Hold diagnose(model, x, new) to the cause of a gap, in seven programs."""
    cases = _cases()
    for i, (right, model, x, new) in enumerate(cases, start=1):
        got = diagnose(model, x.clone(), new.clone())
        if not isinstance(got, str) or got not in CAUSES:
            said = repr(got) if isinstance(got, str) else kind(got)
            raise Wrong(f"answer with one of {', '.join(CAUSES)}; got {said}")
        if got == right:
            continue
        simple = PCA.fit(x, 4)
        own, rival = (
            F.mse_loss(f(new), new) / F.mse_loss(f(x), x) for f in (model, simple)
        )
        facts = {
            "data.shift": f"PCA with 4 numbers, which learns nothing by heart, has "
            f"{rival:.1f} times its training error on the new images, whose values go "
            f"from {new.min():.1f} to {new.max():.1f}: they are of another kind",
            "fit.overfit": f"the network has {own:.0f} times its training error on the "
            f"new images and PCA with 4 numbers only {rival:.1f} times its own, so the "
            "images are of one kind",
            "none": f"the error on new images is {own:.2f} times that on the training "
            "images: there is no gap, however large both are",
        }
        raise Wrong(f"program {i} of {len(cases)}: not {got}. Here {facts[right]}")
    return "seven programs, and each gap has its name"
