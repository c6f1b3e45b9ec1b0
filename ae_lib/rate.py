"""Rate and distortion: what a code costs in bytes, and what is left of the image.

    python -m ae_lib.rate --sweep FOLDER --record NAME

measures the models that `ae_lib.sweep` left in a folder against PCA by the same path
and against JPEG and WebP, and writes data/results/NAME.json and NAME.png. Bytes are
those of files really written, one for each image, so that each can be read alone. What
all images share, the step and the tables, is counted once per data set.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ae_lib import results
from ae_lib.atomic import write_atomically
from ae_lib.baselines import PCA, MeanImage
from ae_lib.checkpoints import load_model
from ae_lib.coder import Tables, encode, quantise
from ae_lib.data import Images, load, to_unit
from ae_lib.features import extract, linear_probe
from ae_lib.metrics import evaluate, mse, reconstruct
from ae_lib.sweep import MEASURED, Settings, read_cell

STEPS = tuple(round(0.025 * 2 ** (k / 2), 4) for k in range(13))  # for PCA's codes
JPEG = (1, 5, 10, 15, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)  # qualities
WEBP = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
CODECS = {
    "JPEG": [("JPEG", {"quality": q}) for q in JPEG],
    "JPEG, full colour": [("JPEG", {"quality": q, "subsampling": 0}) for q in JPEG],
    "WebP": [("WEBP", {"quality": q, "method": 6}) for q in WEBP],
    "WebP, lossless": [("WEBP", {"lossless": True, "method": 6})],
}
SHOWN = 8  # test images in the picture


# ------------------------------------------------------------- codes, as files


def gain(model, codes: Tensor, size: float = 1e-2) -> float:
    """Return how far an image moves, on average, when its code moves by one.

    For PCA it is 1. A step divided by the gain means the same in all codes.
    """
    random = torch.Generator().manual_seed(0)
    z = codes[:100]
    move = torch.randn(z.shape, generator=random) * size * z.std()
    with torch.no_grad():
        moved = model.decode(z + move) - model.decode(z - move)
    return (moved.norm() / (2 * move).norm()).item()


def curve(
    model, train_codes: Tensor, tests: Sequence[Images], steps: Sequence[float]
) -> list[list[dict[str, float]]]:
    """Measure an autoencoder or PCA whose codes are quantised with each of the steps.

    `train_codes` (N, latent_dim) give the tables. For each of `tests` there is a list
    with a dict for each step: the bytes of an image on average, how many of them are
    ideal, the MSE of the decoded image in 8 bits, and the bytes of what all share.
    """
    codes = [extract(model.encode, test) for test in tests]
    scale = gain(model, train_codes)
    rows: list[list[dict[str, float]]] = [[] for _ in tests]
    for step in steps:
        tables = Tables.fit(quantise(train_codes, step / scale))
        shared = len(tables.to_bytes()) + 4  # and the step, a float32
        for test, z, row in zip(tests, codes, rows, strict=True):
            symbols = tables.clip(quantise(z, step / scale))
            streams = encode(symbols, tables)
            x_hat = in_8_bits(_decoded(model, symbols, step / scale))
            point = {"step": step, "bytes": float(np.mean([len(s) for s in streams]))}
            point["ideal"] = float(tables.bits(symbols).mean()) / 8
            row.append(point | {"shared": shared, "mse": mse(test, x_hat)})
    return rows


@torch.no_grad()
def _decoded(model, symbols: np.ndarray, step: float) -> Tensor:
    codes = torch.from_numpy(symbols).float() * step  # (N, latent_dim)
    return torch.cat([model.decode(part) for part in codes.split(500)])


def in_8_bits(x_hat: Tensor) -> Tensor:
    """Round images to the 256 values of a pixel: what a picture file would hold."""
    return (x_hat.clamp(0, 1) * 255).round() / 255


# ------------------------------------------------------------- codecs


def codec(images: Images | Tensor, format: str, **options) -> dict[str, float]:
    """Write each image with Pillow as "JPEG" or "WEBP", and read it back.

    Returns the bytes of a file on average, those without the header, whose content is
    the same for all images with these options, and the MSE.
    """
    pixels = images.pixels if isinstance(images, Images) else images
    whole, payloads, decoded = [], [], []
    for image in pixels:
        file = io.BytesIO()
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy())
        picture.save(file, format, **options)
        whole.append(len(file.getvalue()))
        payloads.append(payload(file.getvalue()))
        back = np.asarray(Image.open(file))
        decoded.append(torch.from_numpy(back.copy()).view(*image.shape[1:], -1))
    x_hat = to_unit(torch.stack(decoded).permute(0, 3, 1, 2))
    return {
        "file": float(np.mean(whole)),
        "bytes": float(np.mean(payloads)),
        "mse": mse(pixels, x_hat),
    }


def payload(file: bytes) -> int:
    """Count the bytes of a JPEG or WebP file that depend on the image.

    Of JPEG it is the scan: no tables, no sizes, no end marker. Of WebP it is the chunk
    of data without the ten bytes (five, if lossless) that tell kind and size.
    """
    if file[:4] == b"RIFF" and file[12:16] in (b"VP8 ", b"VP8L"):
        return int.from_bytes(file[16:20], "little") - (10, 5)[file[15] == ord("L")]
    if file[:2] != b"\xff\xd8":
        raise ValueError("expected a JPEG file or a simple WebP file")
    at = 2
    while file[at + 1] != 0xDA:  # start of scan
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    return len(file) - 2 - (at + 2 + int.from_bytes(file[at + 2 : at + 4], "big"))


def hull(pairs: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the lower convex hull of (bytes, MSE), from the fewest bytes on.

    Two settings that share out the images reach, on average, each point of the line
    between theirs; a setting above such a line is never the best one. Those without
    loss are left out.

    >>> hull([(10, 0.4), (40, 0.1), (30, 0.3), (20, 0.2), (50, 0.1), (99, 0.0)])
    [(10, 0.4), (20, 0.2), (40, 0.1)]
    """

    def slope(a: tuple[float, float], b: tuple[float, float]) -> float:
        return (b[1] - a[1]) / (b[0] - a[0])

    kept: list[tuple[float, float]] = []
    for point in sorted(pair for pair in pairs if pair[1] > 1e-6):
        if kept and point[1] >= kept[-1][1]:
            continue  # more bytes, and no less error
        while len(kept) > 1 and slope(kept[-1], point) <= slope(*kept[-2:]):
            kept.pop()
        kept.append(point)
    return kept


def quality(points: Sequence[dict], cost: float) -> float:
    """Return the PSNR in dB at so many bytes; NaN where no point is so cheap or dear.

    `points` are those of `curve` or `codec`; what counts is their `hull`.
    """
    costs, errors = zip(*hull((p["bytes"], p["mse"]) for p in points), strict=True)
    return float(-10 * np.log10(np.interp(cost, costs, errors, np.nan, np.nan)))


# ------------------------------------------------------------- the record


def shift(images: Images, down: int = 3, right: int = 5) -> Images:
    """Move images by some pixels; what becomes free is the mirror image of the rest.

    A copy of CIFAR-10 as JPEG was rounded in blocks of 8 x 8; moved, those blocks no
    longer lie where a second JPEG puts its own.
    """
    rows = (torch.arange(images.shape[1]) - down).abs()
    columns = (torch.arange(images.shape[2]) - right).abs()
    return replace(images, pixels=images.pixels[:, :, rows][..., columns], masks=None)


def elsewhere(images: Images) -> dict[str, Tensor]:
    """Make images that are no photographs of 1,000: turned, mixed, and white noise.

    The pixels are mixed alike in all images, colours together.
    """
    random, x = torch.Generator().manual_seed(0), images[:1_000].unit()
    order = torch.randperm(x[0, 0].numel(), generator=random)
    return {
        "as they are": x,
        "upside down": x.flip(2),
        "pixels mixed": x.flatten(2)[..., order].view_as(x),
        "white noise": torch.rand(x.shape, generator=random),
    }


def cells(folder: Path) -> tuple[Settings, list[tuple[dict, torch.nn.Module]]]:
    """Read what a sweep has finished: its settings, and (cell, model) by size."""
    paths = sorted(folder.glob("latent_*_seed_*.json"))
    if not paths:
        raise ValueError(f"there are no finished cells of ae_lib.sweep in {folder}")
    first = json.loads(paths[0].read_text(encoding="utf-8"))
    settings, found = Settings(**first["settings"]), []
    for path in paths:
        size, seed = map(int, re.findall(r"\d+", path.stem))
        cell = read_cell(folder, size, seed, settings)
        found.append((cell, load_model(path.with_suffix(".safetensors"))))
    return settings, found


def measure(found: list, train: Images, test: Images, limit: int = 1_000) -> dict:
    """Measure the models of a sweep, PCA, the mean image and the codecs.

    Rates are those of the first `limit` test images, as they are and moved; tables and
    linear probes learn from 10,000 training images at most.
    """
    seen, few = train[: min(MEASURED, len(train))], test[:limit]
    tests, odd = {"as they are": few, "moved": shift(few)}, elsewhere(test)
    pca = PCA.fit(train, min(len(train) - 1, train.pixels[0].numel()))
    sizes = sorted({cell["latent_dim"] for cell, _ in found})
    rivals = [
        ({"latent_dim": k}, pca.truncate(k)) for k in (*sizes, len(pca.variances))
    ]
    rows = []
    for method, group in {"PCA": rivals, "network": found}.items():
        for cell, model in group:
            row = {"method": method, "latent_dim": cell["latent_dim"]}
            if method == "PCA":
                row |= evaluate(model, test)
                row["train_mse"] = mse(seen, reconstruct(model, seen))
            else:
                row["seed"] = cell["seed"]
            codes = extract(model.encode, seen)
            row["probe"] = linear_probe(
                codes, seen.labels, extract(model.encode, test), test.labels
            )
            for name, x in odd.items():
                row[name] = mse(x, reconstruct(model, x))
            row["rates"] = dict(
                zip(
                    tests, curve(model, codes, list(tests.values()), STEPS), strict=True
                )
            )
            rows.append(row)
            print(method, row["latent_dim"], f"probe {row['probe']:.3f}", flush=True)
    files = {
        method: {
            name: [codec(x, kind, **options) for kind, options in settings]
            for name, x in tests.items()
        }
        for method, settings in CODECS.items()
    }
    return {
        "rows": rows,
        "codecs": files,
        "mean_image": evaluate(MeanImage.fit(train), test),
        "noise_variance": odd["white noise"].var().item(),
        "rate_images": len(few),
        "train_images": len(train),
        "test_images": len(test),
    }


def picture(found: list, test: Images) -> Image.Image:
    """Draw the first eight test images, and below what each size makes of them."""
    x, rows = test[:SHOWN].unit(), {}
    for cell, model in found:
        if cell["latent_dim"] not in rows:  # the first seed stands for all
            rows[cell["latent_dim"]] = reconstruct(model, x)
    sheet = torch.stack([x, *(rows[size] for size in sorted(rows))])
    sheet = (sheet.clamp(0, 1) * 255).round().byte()  # (rows, 8, 3, 32, 32)
    pixels = sheet.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    return Image.fromarray(pixels.squeeze(-1).numpy())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 after a failure."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.rate")
    add = parser.add_argument
    add("--sweep", type=Path, required=True, help="a folder of ae_lib.sweep")
    add("--record", metavar="NAME", required=True)
    add("--images", type=int, default=1_000, help="test images for the rates")
    args = parser.parse_args(arguments)
    try:
        settings, found = cells(args.sweep)
        train = load(settings.dataset, "train", settings.limit)
        test = load(settings.dataset, "test")
        if {cell["source"] for cell, _ in found} != {test.source}:
            raise ValueError(f"the sweep saw other images than these, {test.source}")
        seeds = sorted({cell["seed"] for cell, _ in found})
        data = measure(found, train, test, args.images)
        path = results.save(args.record, data, source=test.source, seeds=seeds)
        with write_atomically(path.with_suffix(".png")) as part:
            picture(found, test).save(part, "PNG", optimize=True)
        print(f"{len(found)} models in {path.name}")
    except ValueError as error:
        print(f"ae_lib.rate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
