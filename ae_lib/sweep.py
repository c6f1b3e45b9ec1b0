"""Train every size of code with every seed, shared by any number of workers.

    python -m ae_lib.sweep --out runs/sweep --latent-dims 10 32 64 --seeds 0 1 2

Start the same command as often as you like, on as many machines as see the folder: each
worker takes the next cell that nobody has. A finished cell is a file, written whole or
not at all, and is never computed twice; `--record NAME` waits for the last of them and
writes data/results/NAME.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ae_lib import results
from ae_lib.atomic import write_atomically
from ae_lib.checkpoints import save_model
from ae_lib.data import Images, load, to_unit, with_mirrored
from ae_lib.devices import pick_device
from ae_lib.metrics import effective_rank, evaluate, mse, reconstruct
from ae_lib.models import MODELS, for_images
from ae_lib.training import NonFiniteLoss, fit

STALE = 300  # seconds without a sign of life, after which a claim counts for nothing
MEASURED = 10_000  # training images, at most, for the error on training images


@dataclass(frozen=True)
class Settings:
    """What all cells of a sweep have in common."""

    dataset: str = "cifar10"
    model: str = "ResidualAutoencoder"
    epochs: int = 2
    batch_size: int = 128
    limit: int | None = None
    mirror: bool = False


# ----------------------------------------------------------------------- the claims


@contextmanager
def claim(path: Path, stale: float = STALE) -> Iterator[bool]:
    """Hold the file `path` and yield True, or yield False when somebody else has it.

    The holder renews the file's time stamp; a stamp older than `stale` seconds is one
    of a dead process, and is taken over. Two workers that find the same dead claim in
    the same instant might both go on; they would then write the same cell twice, whole
    each time.
    """
    if not _create(path) and not (_is_stale(path, stale) and _take_over(path)):
        yield False
        return
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, done, stale / 10), daemon=True)
    heart.start()
    try:
        yield True
    finally:
        done.set()
        heart.join()
        path.unlink(missing_ok=True)


def _create(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(f"{platform.node()} {os.getpid()}\n")
    return True


def _is_stale(path: Path, stale: float) -> bool:
    # "Now" is a fresh stamp in the same folder: the clocks of machines differ.
    probe = path.with_name(f".{uuid.uuid4().hex}.now")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime > stale
    except FileNotFoundError:  # given up meanwhile: the next round will take it
        return False
    finally:
        probe.unlink(missing_ok=True)


def _take_over(path: Path) -> bool:
    """Remove a dead claim and make a new one; of several workers one succeeds."""
    try:
        path.rename(path.with_name(f".{path.name}.{uuid.uuid4().hex}.dead"))
    except FileNotFoundError:  # another worker was faster
        return False
    return _create(path)


def _beat(path: Path, done: threading.Event, seconds: float) -> None:
    while not done.wait(seconds):
        try:
            os.utime(path)
        except FileNotFoundError:
            return


# ------------------------------------------------------------------------ the cells


def cell_path(folder: Path, latent_dim: int, seed: int) -> Path:
    """Return where the result of a cell lies; its model lies beside it."""
    return folder / f"latent_{latent_dim:04d}_seed_{seed}.json"


def measure_cell(
    settings: Settings, latent_dim: int, seed: int, train: Images, test: Images
) -> tuple[dict, torch.nn.Module]:
    """Train one model and return what a sweep keeps of it, and the model."""
    torch.manual_seed(seed)
    model = for_images(settings.model, latent_dim, train)
    history = fit(
        model,
        with_mirrored(train) if settings.mirror else train,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
        verbose=False,
    )
    seen = train[: min(MEASURED, len(train))]
    codes = _codes(model, test)
    error, train_mse = evaluate(model, test), mse(seen, reconstruct(model, seen))
    cell = {
        "latent_dim": latent_dim,
        "seed": seed,
        "settings": vars(settings),
        **error,
        "train_mse": train_mse,
        "gap": error["mse"] - train_mse,  # of generalisation
        "train_loss": history.train_loss,
        "effective_rank": effective_rank(codes),
        "code_mean": codes.mean().item(),
        "code_std": codes.std(dim=0).mean().item(),
        "dead_codes": int((codes.std(dim=0) == 0).sum()),
        "seconds": sum(history.seconds),
        "source": test.source,
        "provenance": results.provenance(
            test.source,
            [seed],
            command=_command(settings, latent_dim, seed),
            device=str(pick_device()),
        ),
    }
    return cell, model


def _command(settings: Settings, latent_dim: int, seed: int) -> str:
    """Write the command that computes one cell: a notebook may have computed it."""
    words = ["--latent-dims", str(latent_dim), "--seeds", str(seed)]
    for name, value in vars(settings).items():
        if value is True:
            words.append(f"--{name}")
        elif value not in (False, None):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return results.command_of("ae_lib.sweep", words)


def _codes(model: torch.nn.Module, images: Images) -> torch.Tensor:
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = images.pixels.split(500)
        codes = [model.encode(to_unit(p.to(device))) for p in parts]
    return torch.cat(codes).float().cpu()


def read_cell(folder: Path, latent_dim: int, seed: int, settings: Settings) -> dict:
    """Read a finished cell; ValueError when it belongs to another sweep."""
    path = cell_path(folder, latent_dim, seed)
    cell = json.loads(path.read_text(encoding="utf-8"))
    if Settings(**cell["settings"]) != settings:
        raise ValueError(
            f"{path} comes from a sweep with {cell['settings']}, this one has "
            f"{vars(settings)}; use another folder"
        )
    return cell


def work(
    folder: Path,
    cells: list[tuple[int, int]],
    settings: Settings,
    *,
    stale: float = STALE,
    wait: bool = False,
    train: Images | None = None,  # loaded when there is something to do
    test: Images | None = None,
) -> list[tuple[int, int]]:
    """Compute cells (latent_dim, seed) that nobody has; return those still missing.

    With `wait` it comes back when all are there, and takes over what others leave.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        missing, progress = [], False
        for latent_dim, seed in cells:
            path = cell_path(folder, latent_dim, seed)
            if path.exists():
                read_cell(folder, latent_dim, seed, settings)
                continue
            with claim(path.with_suffix(".claim"), stale) as mine:
                if not mine:
                    missing.append((latent_dim, seed))
                    continue
                if path.exists():  # finished between the look and the claim
                    continue
                train = train or load(settings.dataset, "train", settings.limit)
                test = test or load(settings.dataset, "test")
                cell, model = measure_cell(settings, latent_dim, seed, train, test)
                save_model(model, path.with_suffix(".safetensors"))
                with write_atomically(path) as part:
                    part.write_text(json.dumps(cell, indent=1), encoding="utf-8")
                progress = True
                print(
                    f"latent_dim {latent_dim}, seed {seed}: {cell['mse']:.5f}, "
                    f"{cell['psnr']:.2f} dB, {cell['seconds']:.0f} s",
                    flush=True,
                )
        if not missing or not (wait or progress):
            return missing
        if not progress:
            time.sleep(min(5.0, stale / 5))


def collect(
    folder: Path, cells: list[tuple[int, int]], settings: Settings
) -> dict[str, object]:
    """Return the data of a record: the settings and all cells, in order."""
    rows = [read_cell(folder, latent_dim, seed, settings) for latent_dim, seed in cells]
    sources = sorted({row["source"] for row in rows})
    if len(sources) > 1:  # one worker had the photographs, another the stand-in
        raise ValueError(f"the cells in {folder} come from different data: {sources}")
    return {"settings": vars(settings), "source": sources[0], "cells": rows}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 after a failure."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.sweep")
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the folder that all workers share")
    add("--latent-dims", type=int, nargs="+", required=True)
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--dataset", default=Settings.dataset)
    add("--model", choices=MODELS, default=Settings.model)
    add("--epochs", type=int, default=Settings.epochs)
    add("--batch-size", type=int, default=Settings.batch_size)
    add("--limit", type=int, help="train on so many images only")
    add("--mirror", action="store_true", help="train on the mirror images, too")
    add("--stale", type=float, default=STALE, help="seconds to a claim's death (300)")
    add("--record", metavar="NAME", help="wait for all cells, then write the record")
    args = parser.parse_args(arguments)
    settings = Settings(
        args.dataset,
        args.model,
        args.epochs,
        args.batch_size,
        args.limit,
        args.mirror,
    )
    # Seeds outside: a sweep that is stopped early has all sizes, once.
    cells = [(size, seed) for seed in args.seeds for size in args.latent_dims]
    try:
        wait = bool(args.record)
        missing = work(args.out, cells, settings, stale=args.stale, wait=wait)
        if missing:
            print(f"{len(missing)} of {len(cells)} cells are with other workers")
        elif args.record:
            data = collect(args.out, cells, settings)
            path = results.save(
                args.record, data, source=data["source"], seeds=args.seeds
            )
            print(f"{len(cells)} cells in {path.name}")
    except (ValueError, NonFiniteLoss) as error:
        print(f"ae_lib.sweep: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
