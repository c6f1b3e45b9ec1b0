"""Codes as features: the course's network on all images, its code read by a probe."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from ae_lib import results
from ae_lib.baselines import PCA
from ae_lib.data import Images, load, to_unit
from ae_lib.features import extract, few, linear_probe
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit


def named(
    encode: Callable[[Tensor], Tensor], train: Images, test: Images, seed: int
) -> dict[int, float]:
    """Return the share of test images that a probe names, by labels of each class."""
    g, shares = extract(encode, test), {}
    for n in (10, 50, 100, 500):
        own = train[few(train.labels, n, seed)]
        shares[n] = linear_probe(extract(encode, own), own.labels, g, test.labels)
    return shares


def features_cifar10_64(seeds: tuple[int, ...]) -> None:
    """Train the course's network at 64 numbers on all images, and read its code.

    Each seed draws the first weights, the order, and 10, 50, 100 and 500 images of
    each class whose labels a linear probe is given; it is judged on all test images.
    """
    train, test = load("cifar10", "train"), load("cifar10", "test")
    pca, runs = PCA.fit(train, 64), []
    for seed in seeds:
        torch.manual_seed(seed)
        model = ConvAutoencoder(64)
        start = copy.deepcopy(model)
        update_bn(to_unit(train.pixels[:2_000]).split(500), start)
        fit(model, train, epochs=2, seed=seed, verbose=False)
        rivals = {"PCA": pca, "untrained": start.eval(), "autoencoder": model}
        for name, rival in rivals.items():
            shares = named(rival.encode, train, test, seed)
            error = mse(test, reconstruct(rival, test))
            runs.append({"model": name, "seed": seed, "mse": error, "shares": shares})
            print(runs[-1], flush=True)
    data = {"runs": runs, "epochs": 2, "train_images": len(train)}
    results.save("features_cifar10_64", data, source=test.source, seeds=seeds)
