"""Networks and recipes at 200 numbers, trained on all 50,000 images of CIFAR-10."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ae_lib import results
from ae_lib.atomic import write_atomically
from ae_lib.baselines import PCA, MeanImage
from ae_lib.data import Images, load
from ae_lib.metrics import evaluate, mse, reconstruct
from ae_lib.models import (
    ArticleAutoencoder,
    ConvAutoencoder,
    ResidualAutoencoder,
    for_images,
)
from ae_lib.plots import compare
from ae_lib.recipe import constant, muon_and_adam, one_cycle
from ae_lib.training import fit


@dataclass(frozen=True)
class Setting:
    """One way to train: a network, a recipe in words, and the arguments of `fit`."""

    model: type
    recipe: str
    options: dict


def _adam(lr: float):
    return lambda model: torch.optim.Adam(model.parameters(), lr)


ARTICLE = Setting(
    ArticleAutoencoder,
    "adam 1e-3 constant",
    {"epochs": 5, "batch_size": 64, "optimizer": _adam(1e-3), "schedule": constant},
)
OURS = Setting(
    ConvAutoencoder,
    "muon one-cycle",
    {"epochs": 3, "optimizer": muon_and_adam, "schedule": one_cycle},
)
ADAM = replace(
    OURS,
    recipe="adam 3e-3 one-cycle",  # the rate that the recipe gives its other weights
    options=OURS.options | {"optimizer": _adam(3e-3)},
)
LONGER = replace(OURS, options=OURS.options | {"epochs": 12})
DEFAULT = Setting(ResidualAutoencoder, "as ae_lib.train trains it", {"epochs": 2})


def train_cifar10_200(seeds: tuple[int, ...]) -> None:
    """Train the article's network and the course's at 200 numbers, on all images.

    The two take turns in one process, so that their seconds may be compared.
    """
    train, test = load("cifar10", "train"), load("cifar10", "test")
    _compare((ARTICLE, OURS), train, test, seeds, "train_cifar10_200")


def default_cifar10_200(seeds: tuple[int, ...]) -> None:
    """Train what `python -m ae_lib.train` trains; draw the picture of the README."""
    train, test = load("cifar10", "train"), load("cifar10", "test")
    path, model = _compare(
        (ARTICLE, DEFAULT), train, test, seeds, "default_cifar10_200"
    )
    _picture(model, train, test, path.with_suffix(".png"))


def longer_cifar10_200(seeds: tuple[int, ...]) -> None:
    """Train the course's network with Adam in Muon's place, and four times as long."""
    train, test = load("cifar10", "train"), load("cifar10", "test")
    _compare((ADAM, LONGER), train, test, seeds, "longer_cifar10_200")


def _compare(settings, train: Images, test: Images, seeds, name: str):
    """Run each setting with each seed, write the record; return it and a model."""
    runs = []
    for seed in seeds:
        for setting in settings:
            run, model = _run(setting, train, test, seed)
            runs.append(run)
            print(run, flush=True)
    pca = PCA.fit(train, 200)
    data = {
        "runs": runs,
        "pca_200_mse": mse(test, reconstruct(pca, test)),
        "mean_image_mse": mse(test, reconstruct(MeanImage.fit(train), test)),
        "train_images": len(train),
        "test_images": len(test),
    }
    return results.save(name, data, source=test.source, seeds=seeds), model


def _picture(model, train: Images, test: Images, path: Path) -> None:
    """Draw ten test images, and what remains of them in 200 numbers."""
    x = test[:10].unit()
    rows = {
        "mean image": MeanImage.fit(train)(x),
        "PCA": PCA.fit(train, 200)(x),
        "autoencoder": reconstruct(model, x),
    }
    figure = compare(x, rows, n=10, source=test.source)
    with write_atomically(path) as part:
        figure.savefig(part, format="png", dpi=150, bbox_inches="tight")


def _run(setting: Setting, train: Images, test: Images, seed: int):
    torch.manual_seed(seed)
    started = time.perf_counter()
    model = for_images(setting.model.__name__, 200, train)
    start = time.perf_counter() - started  # as PCA, where it can be
    history = fit(model, train, seed=seed, verbose=False, **setting.options)
    error = evaluate(model, test)
    record = {
        "model": setting.model.__name__,
        "recipe": setting.recipe,
        "epochs": setting.options["epochs"],
        "seed": seed,
        "train_loss": history.train_loss,
        **error,
        "seconds": start + sum(history.seconds),
    }
    return record, model
