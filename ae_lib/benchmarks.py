"""How fast `fit` is, beside what else one would use.

    python -m ae_lib.benchmarks                   measure and print
    python -m ae_lib.benchmarks --record speed    and write data/results/speed.json

The network of the tutorials is trained for one epoch on the same images by `fit` and by
other loops, from the same weights, with the same Adam and the same batches. They take
turns, each in a process of its own, because `fit` changes settings of its process.
Lightning and pythae take part where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing, contextmanager

import torch
from torch import Tensor

from ae_lib import results
from ae_lib.contenders import CONTENDERS, NEEDS, adam, train_with
from ae_lib.data import load
from ae_lib.devices import pick_device
from ae_lib.memory import peak_bytes
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ArticleAutoencoder
from ae_lib.recipe import constant
from ae_lib.training import fit

REFERENCE = "loop"  # the plain loop: whose loss the others must reach
TOLERANCE = 0.05  # relative, of the error after equal steps; bf16 and float32 differ
JUDGED = 1_000  # images on which that error is measured
SIZES = (5_000, 50_000)  # images for the growth of the cost


def flop_per_image(latent_dim: int = 200) -> float:
    """Count the multiplications and additions of one training step, per image.

    The useful ones: forward, and backward to weights and inputs, but not the gradient
    of the image, which nobody needs.
    """
    from torch.utils.flop_counter import FlopCounterMode

    model = ArticleAutoencoder(latent_dim)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(8, 3, 32, 32)).sum().backward()
    return counter.get_total_flops() / 8


def matrix_rate(dtype: torch.dtype, device: torch.device | str = "cpu") -> float:
    """Return the FLOP/s of products of square matrices: the best of two sizes."""
    device, best = torch.device(device), 0.0
    for n in (8192, 4096) if device.type == "cuda" else (2048, 1024):
        a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        for _ in range(4):
            started = time.perf_counter()
            product = a @ b
            product[0, 0].item()  # waits for a GPU
            best = max(best, 2 * n**3 / (time.perf_counter() - started))
    return best


# ------------------------------------------------- one contender, in its own process


def _serve(name: str, pixels, options: dict, wire) -> None:
    """Train once for each seed that comes over the wire; answer seconds and error."""
    pixels = torch.from_numpy(pixels)
    train_with(name, _model(options["latent_dim"], 0), pixels[:256], **_rest(options))
    wire.send("ready")
    while (seed := wire.recv()) is not None:
        model = _model(options["latent_dim"], seed)
        seconds = train_with(name, model, pixels, **_rest(options), seed=seed)
        judged = pixels[:JUDGED]
        wire.send((seconds, mse(judged, reconstruct(model, judged))))


def _rest(options: dict) -> dict:
    return {key: value for key, value in options.items() if key != "latent_dim"}


def _model(latent_dim: int, seed: int) -> ArticleAutoencoder:
    torch.manual_seed(seed)
    return ArticleAutoencoder(latent_dim)


@contextmanager
def _process(target, *arguments):
    """Start a process and yield the wire to it; end it with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(*arguments, there))
    process.start()
    there.close()  # so that recv() raises EOFError when the process has died
    try:
        with closing(here):
            yield here
    finally:
        process.join(10)
        if process.is_alive():
            process.terminate()


# ------------------------------------------------------------------ all of them


def race(
    names: Iterable[str],
    pixels: Tensor,
    *,
    batch_size: int = 64,
    latent_dim: int = 200,
    repetitions: int = 5,
) -> dict:
    """Let contenders take turns and return {name: {"seconds", "mse"}, "bf16", ...}.

    `pixels` is uint8 (N, 3, 32, 32). Both are lists with one entry per repetition;
    "bf16" and "float32" list the FLOP/s of a matrix product in each repetition.
    """
    device, names = pick_device(), list(names)
    runs = {name: {"seconds": [], "mse": []} for name in names}
    rates = {"bf16": [], "float32": []}
    options = {"batch_size": batch_size, "latent_dim": latent_dim}
    with _all_of(names, pixels.numpy(), options) as wires:
        for seed in range(repetitions):
            rates["bf16"].append(matrix_rate(torch.bfloat16, device))
            rates["float32"].append(matrix_rate(torch.float32, device))
            turn = seed % len(names)  # nobody is always first
            for name in names[turn:] + names[:turn]:
                wires[name].send(seed)
                seconds, error = wires[name].recv()
                runs[name]["seconds"].append(seconds)
                runs[name]["mse"].append(error)
        for wire in wires.values():
            wire.send(None)
    return {"runs": runs, **rates}


@contextmanager
def _all_of(names: list[str], pixels, options: dict):
    with ExitStack() as stack:
        wires = {}
        for name in names:
            wires[name] = stack.enter_context(_process(_serve, name, pixels, options))
            wires[name].recv()  # one after the other: ready
        yield wires


def summarise(raced: dict, images: int, flop: float) -> dict:
    """Turn what `race` measured into medians, and ratios paired by repetition.

    "times_longer" is the time of a contender over that of `fit` in the same repetition:
    median, lowest and highest. "equal_loss" tells whether its error after the equal
    steps is within TOLERANCE of the reference's, in the median.
    """
    rows, runs = {}, raced["runs"]
    for name, run in runs.items():
        longer = _ratios(run["seconds"], runs["fit"]["seconds"])
        ratios = _ratios(run["mse"], runs[REFERENCE]["mse"])
        seconds = statistics.median(run["seconds"])
        rows[name] = {
            "images_per_second": images / seconds,
            "times_longer": [statistics.median(longer), min(longer), max(longer)],
            "gflops": flop * images / seconds / 1e9,
            "mse": statistics.median(run["mse"]),
            "mse_ratio": statistics.median(ratios),
            "equal_loss": abs(statistics.median(ratios) - 1) <= TOLERANCE,
            "seconds": run["seconds"],
        }
    shares = [
        flop * images / seconds / rate
        for seconds, rate in zip(runs["fit"]["seconds"], raced["bf16"], strict=True)
    ]
    return {
        "contenders": rows,
        "matrix_gflops": {
            kind: statistics.median(raced[kind]) / 1e9 for kind in ("bf16", "float32")
        },
        "share_of_bf16_rate": [statistics.median(shares), min(shares), max(shares)],
    }


def _ratios(these: list[float], those: list[float]) -> list[float]:
    return [a / b for a, b in zip(these, those, strict=True)]


def _grow(images: int, batch_size: int, latent_dim: int, wire) -> None:
    """Send seconds per image of `fit` on noise, and the peak of memory in bytes."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, 3, 32, 32)
    pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    quiet = {"batch_size": batch_size, "verbose": False, "schedule": constant}
    model = _model(latent_dim, 0)
    fit(model, pixels[:256], epochs=1, optimizer=adam, **quiet)
    history = fit(model, pixels, epochs=1, optimizer=adam, **quiet)
    wire.send((history.seconds[0] / images, peak_bytes()))


def growth(
    sizes: Iterable[int], *, batch_size: int, latent_dim: int, repetitions: int
) -> list[dict]:
    """Measure `fit` on more and more images: time per image, memory at its peak.

    The repetitions take turns, and the median counts; each is a fresh process.
    """
    sizes, found = list(sizes), {}
    for _ in range(repetitions):
        for size in sizes:
            with _process(_grow, size, batch_size, latent_dim) as wire:
                found.setdefault(size, []).append(wire.recv())
    return [
        {
            "images": size,
            "microseconds_per_image": statistics.median(s for s, _ in rows) * 1e6,
            "peak_bytes": max((p for _, p in rows if p), default=None),
            "data_bytes": size * 3 * 32 * 32,
        }
        for size, rows in found.items()
    ]


# ---------------------------------------------------------------------- the command


def installed(name: str) -> bool:
    """Tell whether a contender can take part here."""
    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def table(data: dict) -> str:
    """Lay out a record's data as lines of text."""
    lines = [f"{'':<16}{'images/s':>9}  {'times longer than fit':<24}MSE after it"]
    for name in data["order"]:
        row = data["contenders"].get(name)
        if row is None:
            lines.append(f"{name:<16}not installed (pip install {NEEDS[name]})")
            continue
        middle, low, high = row["times_longer"]
        longer = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        verdict = "" if row["equal_loss"] else "  NOT the reference's"
        speed = row["images_per_second"]
        lines.append(f"{name:<16}{speed:>9.0f}  {longer:<24}{row['mse']:.5f}{verdict}")
    share, low, high = (100 * value for value in data["share_of_bf16_rate"])
    rates = data["matrix_gflops"]
    lines += [
        f"matrix product: bf16 {rates['bf16']:.0f}, float32 {rates['float32']:.0f} "
        "GFLOP/s",
        f"fit: {data['contenders']['fit']['gflops']:.0f} useful GFLOP/s, "
        f"{share:.0f} % ({low:.0f} to {high:.0f}) of the bf16 product",
    ]
    for row in data["growth"]:
        peak = f"{row['peak_bytes'] / 2**20:.0f} MiB" if row["peak_bytes"] else "?"
        lines.append(
            f"{row['images']:>7,} images ({row['data_bytes'] / 2**20:.0f} MiB): "
            f"{row['microseconds_per_image']:.0f} µs per image, peak {peak}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 where `fit` misses the reference's loss."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.benchmarks")
    add = parser.add_argument
    add("--dataset", default="cifar10")
    add("--images", type=int, default=5_000, help="images of the one epoch (5000)")
    add("--batch-size", type=int, default=64)
    add("--latent-dim", type=int, default=200)
    add("--repetitions", type=int, default=5)
    add("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    add("--sizes", type=int, nargs="*", default=SIZES, help="for the growth of cost")
    add("--record", metavar="NAME", help="write data/results/NAME.json")
    args = parser.parse_args(arguments)
    order = [n for n in CONTENDERS if n in args.only or n in ("fit", REFERENCE)]
    images = load(args.dataset, "train", args.images)
    setting = {"batch_size": args.batch_size, "latent_dim": args.latent_dim}
    setting["repetitions"] = args.repetitions
    raced = race(filter(installed, order), images.pixels, **setting)
    flop = flop_per_image(args.latent_dim)
    data = {
        "network": ArticleAutoencoder.__name__,
        "images": len(images),
        **setting,
        "flop_per_image": flop,
        "order": order,
        **summarise(raced, len(images), flop),
        "growth": growth(args.sizes, **(setting | {"repetitions": 1})),
    }
    print(table(data))
    if args.record:
        seeds = range(args.repetitions)
        device = str(pick_device())
        results.save(
            args.record, data, source=images.source, seeds=seeds, device=device
        )
    return 0 if data["contenders"]["fit"]["equal_loss"] else 1


if __name__ == "__main__":
    sys.exit(main())
