"""Experiments too long for a chapter, recorded under data/results for the chapters.

python -m ae_lib.experiments NAME [--seeds 0 1 2]   run one and write its record
python -m ae_lib.experiments                 list them
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.optim.swa_utils import update_bn

from ae_lib import article, posted, results
from ae_lib.atomic import write_atomically
from ae_lib.baselines import PCA, MeanImage
from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.data import Images, load, to_unit
from ae_lib.features import extract, few, linear_probe
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


def posted_program(seeds: tuple[int, ...]) -> None:
    """Train the variants of chapter 12, the loop as it was meant, and the full size.

    Variants see 3,500 images in batches of 50, 70 batches as posted; two whole loops
    take 35,070 steps. "full size" is the posted program itself on all 70,000 images,
    in batches of 1,000, first without and then with the shuffle, for the first seed.
    """
    train, test = load("mnist", limit=3500), load("mnist", "test", limit=1000)
    every = torch.cat([load("mnist").pixels, load("mnist", "test").pixels])
    labels = torch.cat([load("mnist").labels, load("mnist", "test").labels])
    every = every[labels.argsort(stable=True)]
    small = (train[train.labels.argsort(stable=True)].pixels, test.pixels, 50)
    jobs = [("the loop as meant", posted.WHOLE, seed, *small) for seed in seeds[:2]]
    for name in ("not shuffled", "as posted"):
        variant = posted.VARIANTS[name]
        jobs.append((f"full size, {name}", variant, seeds[0], every, every, 1000))
    for name, variant in posted.VARIANTS.items():
        jobs += [(name, variant, seed, *small) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        runs = pool.map(_posted_run, jobs, chunksize=1)
    data = {"runs": runs, "train_images": len(train), "test_images": len(test)}
    results.save("posted_program", data, source=test.source, seeds=seeds)


def _posted_run(job) -> dict:
    name, variant, seed, pixels, held, size = job
    torch.set_num_threads(1)
    x, x_test = to_unit(pixels), to_unit(held)
    record = posted.train(variant, x, x_test, batch_size=size, seed=seed)[1]
    print(name, seed, record[-1], flush=True)
    return {"variant": name, "seed": seed, "record": record}


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
            g, shares = extract(rival.encode, test), {}
            for n in (10, 50, 100, 500):
                own = train[few(train.labels, n, seed)]
                f = extract(rival.encode, own)
                shares[n] = linear_probe(f, own.labels, g, test.labels)
            error = mse(test, reconstruct(rival, test))
            runs.append({"model": name, "seed": seed, "mse": error, "shares": shares})
            print(runs[-1], flush=True)
    data = {"runs": runs, "epochs": 2, "train_images": len(train)}
    results.save("features_cifar10_64", data, source=test.source, seeds=seeds)


EXPERIMENTS: dict[str, Callable[[tuple[int, ...]], None]] = {
    function.__name__: function
    for function in (
        train_cifar10_200,
        default_cifar10_200,
        longer_cifar10_200,
        repairs_cifar10_200,
        posted_program,
        features_cifar10_64,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.experiments")
    parser.add_argument("name", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    name = options.name
    if name is None:
        for known, function in EXPERIMENTS.items():
            print(f"{known}: {function.__doc__.splitlines()[0]}")
    else:
        EXPERIMENTS[name](tuple(options.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
