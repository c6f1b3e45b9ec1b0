"""The denoiser of chapter 15, trained for longer, beside filters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib import results
from ae_lib.baselines import PCA
from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.data import load
from ae_lib.denoising import Residual, Spoilt, repair
from ae_lib.metrics import mse, reconstruct
from ae_lib.training import fit

DIALS = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # pixels


def denoisers_cifar10(seeds: tuple[int, ...]) -> None:
    """Train the denoiser of chapter 15 on 12,000 images, beside filters, on 1,000.

    Answers are clipped to [0, 1]. PCA shrinks by the true deviation of the noise, and
    is fitted to the same 12,000 images; 100 further ones turn the dial of the repair.
    """
    train, test = load("cifar10", limit=12_100), load("cifar10", "test", limit=1_000)
    train, tuning = train[:12_000], train[12_000:].unit()
    x, pca, runs = test.unit(), PCA.fit(train, 1_000), []
    factor = pca.variances / (pca.variances + 0.1**2)
    kinds = {
        "Gaussian": (gaussian, 0.1),
        "salt and pepper": (salt_and_pepper, 0.1),
        "masked pixels": (mask, 0.25),
    }
    dials = {kind: _tuned(*kinds[kind], tuning) for kind in list(kinds)[1:]}
    for seed in seeds:
        for kind, (spoil, strength) in kinds.items():
            torch.manual_seed(seed)
            model = Residual()
            pupil = Spoilt(model, lambda x, g, f=spoil, s=strength: f(x, s, g), seed)
            options = {"epochs": 4, "batch_size": 24, "seed": seed, "watch": 0}
            history = fit(pupil, train, verbose=False, **options)
            noisy = spoil(x, strength, torch.Generator().manual_seed(1))
            answers = {"nothing": noisy, "network": reconstruct(model, noisy)}
            if kind in dials:
                answers["filter"] = repair(noisy, dials[kind])
            else:
                answers["filter"] = pca.decode(factor * pca.encode(noisy))
            run = {"kind": kind, "strength": strength, "seed": seed}
            run["dial"] = dials.get(kind)
            run |= {name: mse(x, y.clamp(0, 1)) for name, y in answers.items()}
            runs.append(run | {"seconds": sum(history.seconds)})
            print(runs[-1], flush=True)
    data = {"runs": runs, "train_images": len(train), "test_images": len(test)}
    results.save("denoisers_cifar10", data, source=test.source, seeds=seeds)


def _tuned(spoil: Callable[..., Tensor], strength: float, x: Tensor) -> float:
    """Return the deviation with which `repair` mends x best."""
    noisy = spoil(x, strength, torch.Generator().manual_seed(2))
    return min(DIALS, key=lambda dial: mse(x, repair(noisy, dial).clamp(0, 1)))
