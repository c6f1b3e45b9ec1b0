"""The denoiser of chapter 15, trained for longer, beside filters."""

from __future__ import annotations

import torch

from ae_lib import results
from ae_lib.baselines import PCA
from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.data import load
from ae_lib.denoising import Residual, Spoilt, repair
from ae_lib.metrics import mse, reconstruct
from ae_lib.training import fit


def denoisers_cifar10(seeds: tuple[int, ...]) -> None:
    """Train the denoiser of chapter 15 on 12,000 images, beside filters, on 1,000.

    Answers are clipped to [0, 1]. PCA shrinks by the true deviation of the noise, and
    is fitted to the same 12,000 images; the dial of the repair stays at its default.
    """
    train, test = load("cifar10", limit=12_000), load("cifar10", "test", limit=1_000)
    x, pca, runs = test.unit(), PCA.fit(train, 1_000), []
    factor = pca.variances / (pca.variances + 0.1**2)
    kinds = {
        "Gaussian": (gaussian, 0.1, lambda y: pca.decode(factor * pca.encode(y))),
        "salt and pepper": (salt_and_pepper, 0.1, repair),
        "masked pixels": (mask, 0.25, repair),
    }
    for seed in seeds:
        for kind, (spoil, strength, by_filter) in kinds.items():
            torch.manual_seed(seed)
            model = Residual()
            pupil = Spoilt(model, lambda x, g, f=spoil, s=strength: f(x, s, g), seed)
            options = {"epochs": 4, "batch_size": 24, "seed": seed, "watch": 0}
            history = fit(pupil, train, verbose=False, **options)
            noisy = spoil(x, strength, torch.Generator().manual_seed(1))
            answers = {"nothing": noisy, "filter": by_filter(noisy)}
            answers["network"] = reconstruct(model, noisy)
            run = {"kind": kind, "strength": strength, "seed": seed}
            run |= {name: mse(x, y.clamp(0, 1)) for name, y in answers.items()}
            runs.append(run | {"seconds": sum(history.seconds)})
            print(runs[-1], flush=True)
    data = {"runs": runs, "train_images": len(train), "test_images": len(test)}
    results.save("denoisers_cifar10", data, source=test.source, seeds=seeds)
