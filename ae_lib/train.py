"""Train the course's autoencoder from a shell.

    python -m ae_lib.train --dataset cifar10 --latent-dim 200 --out runs/200

writes into the folder: model.safetensors (for `ae_lib.load_model`), history.json,
metrics.json (test error and where it came from), reconstructions.png, and last.pt, from
which `--resume` goes on. Several processes share the work, on one machine or more:

    torchrun --nproc-per-node 2 -m ae_lib.train --out runs/200
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import torch

from ae_lib import distributed
from ae_lib.atomic import write_atomically
from ae_lib.baselines import MeanImage
from ae_lib.checkpoints import save_model
from ae_lib.data import hold_out, load, with_mirrored
from ae_lib.devices import pick_device
from ae_lib.metrics import evaluate, r_squared, reconstruct
from ae_lib.models import MODELS, for_images
from ae_lib.plots import reconstructions
from ae_lib.results import command_of, provenance
from ae_lib.training import NonFiniteLoss, fit


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 after a failure, 130 after Ctrl-C."""
    args = _parser().parse_args(arguments)
    args.command = arguments and command_of("ae_lib.train", arguments)
    with distributed.joined(pick_device(args.device)), contextlib.ExitStack() as stack:
        if distributed.rank() > 0:  # process 0 speaks for all
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        return _train(args)


def _train(args: argparse.Namespace) -> int:
    try:
        return _train_and_measure(args)
    except (ValueError, NonFiniteLoss, OSError) as error:
        print(f"ae_lib.train: {error}", file=sys.stderr)
        return 1
    except distributed.ProcessLost as error:
        advice = "go on with the same command and --resume"
        print(f"ae_lib.train: {error}; {advice}", file=sys.stderr, flush=True)
        return 1


def _train_and_measure(args: argparse.Namespace) -> int:
    out = Path(args.out)
    train = load(args.dataset, "train", args.limit)
    test = load(args.dataset, "test")
    validation = None
    if args.hold_out:
        train, validation = hold_out(train, args.hold_out, seed=args.seed)
    torch.manual_seed(args.seed)
    model = for_images(args.model, args.latent_dim, train)
    print(f"{args.model} with {_parameters(model):,} parameters, {train}")
    started = time.perf_counter()
    history = fit(
        model,
        with_mirrored(train) if args.mirror else train,
        validation=validation,
        epochs=args.epochs,
        batch_size=args.batch_size,
        seed=args.seed,
        out=out,
        resume=args.resume,
        device=args.device,
    )
    if distributed.rank() > 0:
        return 130 if history.stopped else 0
    history.save(out / "history.json")
    if history.stopped:
        print("go on with the same command and --resume")
        return 130
    save_model(model, out / "model.safetensors")
    metrics = {
        **evaluate(model, test),
        "train_mse": history.train_loss[-1],
        "seconds": sum(history.seconds),
        "wall_seconds": time.perf_counter() - started,
        "parameters": _parameters(model),
        "train_images": len(train),
        "test_images": len(test),
        "latent_dim": args.latent_dim,
        "epochs": args.epochs,
        "provenance": provenance(
            test.source,
            [args.seed],
            command=args.command,
            device=str(pick_device(args.device)),
        ),
    }
    mean = evaluate(MeanImage.fit(train), test)["mse"]
    metrics["r_squared"] = r_squared(metrics["mse"], mean)
    with write_atomically(out / "metrics.json") as part:
        part.write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    shown = test[:10]
    figure = reconstructions(
        shown.unit(), reconstruct(model, shown), source=test.source
    )
    with write_atomically(out / "reconstructions.png") as part:
        figure.savefig(part, format="png", dpi=150)
    print(
        f"test MSE {metrics['mse']:.5f}, PSNR {metrics['psnr']:.2f} dB, "
        f"{100 * metrics['r_squared']:.1f} % of the variance; "
        f"{metrics['seconds']:.0f} s of training; {test.source}; in {out}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ae_lib.train",
        description="Train the course's autoencoder and measure it on test images.",
    )
    add = parser.add_argument
    add("--dataset", default="cifar10", help="cifar10, mnist, shapes, or a folder")
    add("--latent-dim", type=int, default=200, help="numbers in the code (200)")
    add("--out", required=True, help="folder for the results")
    add("--model", choices=MODELS, default="ResidualAutoencoder")
    add("--epochs", type=int, default=2, help="passes over the images (2)")
    add("--batch-size", type=int, default=128)
    add("--limit", type=int, help="train on so many images only")
    add("--mirror", action="store_true", help="train on the mirror images, too")
    add(
        "--hold-out",
        type=int,
        default=0,
        help="training images set aside for a validation curve (0)",
    )
    add("--seed", type=int, default=0)
    add("--device", help="cuda, mps or cpu; without it the fastest one here")
    add("--resume", action="store_true", help="go on with the run in --out")
    return parser


def _parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


if __name__ == "__main__":
    sys.exit(main())
