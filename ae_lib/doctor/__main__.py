"""Examine a finished run: `python -m ae_lib.doctor RUN_DIR`.

RUN_DIR is a folder that `ae_lib.train` wrote: model.safetensors, history.json and
metrics.json. Exit status: 0 no fault, 1 findings, 2 the run cannot be examined.
"""

import argparse
import json
import sys
from pathlib import Path

from ae_lib import data
from ae_lib.checkpoints import load_model, write_atomically

from . import examine

SERIES = ("train_loss", "val_loss")


def main(arguments=None):
    """Run the command and return its exit status."""
    args = _parser().parse_args(arguments)
    folder = Path(args.run)
    try:
        model = load_model(folder)
        model = model.train()
        history = _history(folder / "history.json")
        dataset = args.dataset or _dataset(folder / "metrics.json", model)
        images = data.load(dataset, "train", args.limit)
        test = data.load(dataset, "test", args.limit)
        report = examine(
            model,
            data.loader(images, 128),
            eval_batches=data.loader(test, 128, shuffle=False),
            history=history,
            budget_seconds=args.seconds,
        )
    except (OSError, ValueError, KeyError) as error:
        print(f"ae_lib.doctor: {error}", file=sys.stderr)
        return 2
    print(report)
    if args.json:
        with write_atomically(args.json) as part:
            part.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
    if args.figure:
        with write_atomically(args.figure) as part:
            report.figure().savefig(part, format="png")
    return 0 if report.ok else 1


def _history(path):
    """Return the losses by epoch, or nothing when the run kept none."""
    if not path.is_file():
        return {}
    saved = json.loads(path.read_text(encoding="utf-8"))
    return {name: saved[name] for name in SERIES if saved.get(name)}


def _dataset(path, model):
    """Name the data a run was measured on, from its metrics and its image shape."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; name the data with --dataset")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    source = str(metrics.get("provenance", {}).get("source", "")).lower()
    for name in ("shapes", "digits", "cifar-10", "mnist"):
        if source.startswith(name):
            return name.replace("-", "")
    raise ValueError(
        f"{path} names the data {source!r}, which is no built-in set; "
        f"name it with --dataset (images of shape {tuple(model.image_shape)})"
    )


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m ae_lib.doctor",
        description="Examine a run of ae_lib.train and say what is wrong with it.",
    )
    parser.add_argument("run", help="the folder that ae_lib.train wrote")
    parser.add_argument("--dataset", help="cifar10, mnist, shapes, digits or a folder")
    parser.add_argument("--limit", type=int, default=2048, help="images read (2048)")
    parser.add_argument("--seconds", type=float, default=20, help="time allowed (20)")
    parser.add_argument("--json", help="also write the report as JSON to this file")
    parser.add_argument("--figure", help="also draw the report to this PNG file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
