"""The posted program of chapter 12: its variants, the loop as meant, the full size."""

from __future__ import annotations

import multiprocessing

import torch

from ae_lib import posted, results
from ae_lib.data import load, to_unit


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
