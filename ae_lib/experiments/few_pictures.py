"""The network of chapter 20 beside PCA, with few pictures and with more."""

from __future__ import annotations

import time

import torch

from ae_lib import results
from ae_lib.baselines import PCA
from ae_lib.data import load
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import PyramidAutoencoder
from ae_lib.training import fit

# Pictures and epochs, in batches of 16: as on the page; three times as long; fewer
# pictures in as many steps as on the page; more of them in as many as the longest.
PLAN = ((700, 12), (700, 36), (100, 75), (3_000, 8))
SETS = {"drawn at 64": ("shapes", 64), "photographs at 32": ("cifar10", 32)}


def few_pictures(seeds: tuple[int, ...]) -> None:
    """Train the network of chapter 20 with 32 numbers on 100 to 3,000 pictures.

    Each seed draws the pictures to learn from, the first weights and the order; all
    are judged on the same 1,000 others. `best` is the lowest held-out error after any
    epoch: what stopping at the right moment would have given.
    """
    runs, sources = [], []
    for kind, (name, size) in SETS.items():
        some = load(name, limit=6_000, size=size)
        test = load(name, "test", limit=1_000, size=size)
        sources.append(test.source)
        for seed in seeds:
            random = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(some), generator=random)
            pca: dict[int, PCA] = {}
            for n, epochs in PLAN:
                train = some[rows[:n]]
                pca[n] = pca.get(n) or PCA.fit(train, 32)
                torch.manual_seed(seed)
                model = PyramidAutoencoder(32, train.shape)
                start = time.perf_counter()
                history = fit(
                    model,
                    train,
                    validation=test,
                    epochs=epochs,
                    batch_size=16,
                    seed=seed,
                    watch=0,
                    verbose=False,
                )
                seconds = time.perf_counter() - start
                run = {"pictures": kind, "n": n, "epochs": epochs, "seed": seed}
                for rival, answer in (("network", model), ("PCA", pca[n])):
                    run[rival] = [mse(x, reconstruct(answer, x)) for x in (train, test)]
                run |= {"best": min(history.val_loss), "seconds": seconds}
                runs.append(run)
                print(run, flush=True)
    data = {"runs": runs, "latent_dim": 32, "test_images": len(test)}
    results.save("few_pictures", data, source=" and ".join(sources), seeds=seeds)
