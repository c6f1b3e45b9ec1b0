"""The two questions of chapter 16 with more images, more training and three seeds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.functional import gaussian_blur

from ae_lib import results
from ae_lib.anomaly import CodeDistance, auroc, compressed_size
from ae_lib.baselines import PCA
from ae_lib.data import Images, hold_out, load, to_unit
from ae_lib.metrics import mse_per_image, psnr, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

IMAGES, TESTED, BATCH = 20_000, 2_000, 64
LENGTHS = (1, 3, 9)  # epochs
HELD_OUT = {"cifar10": 64, "mnist": 32}  # latent_dim
HELD_OUT_EPOCHS = 3


def odd_kinds(test: Images, digits: Images) -> dict[str, Tensor]:
    """Make six kinds of odd images, uint8 (N, 3, 32, 32), as chapter 16 does."""
    x = test.unit()
    random = torch.Generator().manual_seed(0)
    colour = torch.rand(len(x), 3, 1, 1, generator=random)
    order = torch.randperm(1024, generator=random)
    kinds = {
        "card": x.mean((2, 3), keepdim=True).expand_as(x),
        "vivid": colour.expand_as(x),
        "blurred": gaussian_blur(x, [9, 9], [2.0, 2.0]),
        "digits": pad(digits.unit(), (2, 2, 2, 2)).expand(-1, 3, -1, -1),
        "noisy": x + 0.05 * torch.randn(x.shape, generator=random),
        "shuffled": x.flatten(2)[:, :, order].view_as(x),
    }
    return {k: (255 * y.clamp(0, 1)).round().byte() for k, y in kinds.items()}


def anomalies_cifar10(seeds: tuple[int, ...]) -> None:
    """Find six odd kinds after 1, 3 and 9 epochs, and each class that was held out.

    20,000 training images of each data set. For a held-out class a network and PCA of
    as many numbers see the other nine; the rivals are the variance of the pixels (ink)
    and the bytes of an image. Each number is the AUROC of a score.
    """
    lengths = _lengths(seeds)
    classes = [row for name in HELD_OUT for row in _held_out(name, seeds)]
    test = load("cifar10", "test", limit=1)
    data = {"lengths": lengths, "classes": classes, "train_images": IMAGES}
    data |= {"latent_dims": HELD_OUT, "held_out_epochs": HELD_OUT_EPOCHS}
    data |= {"tested": TESTED, "sources": [load("mnist", "test", limit=1).source]}
    results.save("anomalies_cifar10", data, source=test.source, seeds=seeds)


def _lengths(seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """Give the AUROC of error and code distance for each kind, length and seed."""
    train, held = hold_out(load("cifar10", limit=IMAGES), 500)
    test = load("cifar10", "test", limit=TESTED)
    odd = odd_kinds(test, load("mnist", "test", limit=TESTED))
    pca, rows = PCA.fit(train, 64), []
    rows.append({"model": "PCA", "epochs": None, "seed": None})
    rows[-1] |= _error_aurocs(pca, test, odd)
    for seed in seeds:
        for epochs in LENGTHS:
            model = _trained(train, 64, epochs, seed)
            far = CodeDistance.fit(_codes(model, held.pixels))
            usual = far(_codes(model, test.pixels))
            row = {"model": "network", "epochs": epochs, "seed": seed}
            row |= _error_aurocs(model, test, odd)
            away = {kind: far(_codes(model, y)) for kind, y in odd.items()}
            row["code"] = {kind: auroc(usual, d) for kind, d in away.items()}
            rows.append(row)
            print(row, flush=True)
    return rows


def _error_aurocs(model: Any, test: Images, odd: dict[str, Tensor]) -> dict[str, Any]:
    e = mse_per_image(test, reconstruct(model, test))
    odd_errors = {k: mse_per_image(y, reconstruct(model, y)) for k, y in odd.items()}
    found = {kind: auroc(e, values) for kind, values in odd_errors.items()}
    return {"psnr": psnr(e.mean().item()), "error": found}


def _held_out(name: str, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """Give the AUROC of each class that was left out of the training."""
    train, test = load(name, limit=IMAGES), load(name, "test")
    k = HELD_OUT[name]
    ink, size = test.unit().flatten(1).var(1), compressed_size(test)
    rows = []
    for label, title in enumerate(test.classes):
        seen, out = train[train.labels != label], test.labels == label
        e = mse_per_image(test, reconstruct(PCA.fit(seen, k), test))
        row = {"data": name, "class": title, "network": []}
        for rival, score in {"PCA": e, "ink": ink, "bytes": size}.items():
            row[rival] = auroc(score[~out], score[out])
        for seed in seeds:
            model = _trained(seen, k, HELD_OUT_EPOCHS, seed)
            e = mse_per_image(test, reconstruct(model, test))
            row["network"].append(auroc(e[~out], e[out]))
        rows.append(row)
        print(row, flush=True)
    return rows


def _trained(images: Images, k: int, epochs: int, seed: int) -> ConvAutoencoder:
    torch.manual_seed(seed)
    model = ConvAutoencoder(k, images.shape)
    options = {"epochs": epochs, "batch_size": BATCH, "watch": 0}
    fit(model, images, seed=seed, verbose=False, **options)
    return model.eval()


@torch.no_grad()
def _codes(model: ConvAutoencoder, pixels: Tensor) -> Tensor:
    return torch.cat([model.encode(to_unit(part)) for part in pixels.split(500)])
