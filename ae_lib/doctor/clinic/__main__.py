"""Measure the doctor on its clinic: `python -m ae_lib.doctor.clinic --help`."""

import argparse
import json
import multiprocessing
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

import torch

from ae_lib import results
from ae_lib.checkpoints import write_atomically
from ae_lib.doctor.clinic import PARTS, bench, programs


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m ae_lib.doctor.clinic", None, __doc__)
    parser.add_argument("--part", choices=(*PARTS, "all"), default="tuning")
    parser.add_argument("--only", metavar="NAME|CODE", help="a program, code or prefix")
    parser.add_argument("--healthy", action="store_true", help="healthy programs only")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 .. n-1")
    parser.add_argument(
        "--repair", action="store_true", help="check the first remedies"
    )
    parser.add_argument(
        "--twins", action="store_true", help="examine repaired ones too"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--json", type=Path, metavar="PATH", help="write rows and figures"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the figures as data/results/clinic_*",
    )
    args = parser.parse_args()
    if args.record and (args.only or args.healthy or args.part == "all"):
        parser.error("--record needs one whole part: --part tuning or --part heldback")
    return args


def main() -> None:
    """Examine the chosen programs, print the table and write the JSON."""
    args = arguments()
    chosen = [p for p in programs(args.part) if not (args.healthy and p.code)]
    if args.only:
        wanted = args.only
        chosen = [
            p for p in chosen if p.name == wanted or (p.code or "").startswith(wanted)
        ]
    if not chosen:
        raise SystemExit(f"no program matches --part {args.part} --only {args.only}")
    work = [
        (p.part, p.name, seed, args.repair, args.twins)
        for p in chosen
        for seed in range(args.seeds)
    ]
    began, rows = time.time(), []
    for row in examined(work, args.jobs):
        rows.append(row)
        print(bench.line(row), flush=True)
    summary = bench.summarise(rows)
    print(bench.table(summary))
    if args.record:
        path = results.save(
            f"clinic_{args.part}",
            {**summary, "by_code": bench.by_code(rows)},
            source="programs of ae_lib.doctor.clinic",
            seeds=range(args.seeds),
            command=command(args),
            seconds=round(time.time() - began),
        )
        print(f"recorded in {path.name}")
    if args.json:
        data = {"summary": summary, "provenance": provenance(args, began), "rows": rows}
        with write_atomically(args.json) as part:
            part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def command(args: argparse.Namespace) -> str:
    """Return the command line without the place of the JSON file."""
    options = [word for word in sys.argv[1:] if word not in ("--json", str(args.json))]
    return " ".join(["python -m ae_lib.doctor.clinic", *options])


def provenance(args: argparse.Namespace, began: float) -> dict:
    """Say how the figures came about, without any absolute path."""
    return {
        "command": command(args),
        "part": args.part,
        "seeds": list(range(args.seeds)),
        "processes": args.jobs,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.time() - began, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def examined(work: list[tuple], jobs: int):
    """Yield the rows as they are ready, from this process or from several."""
    if jobs == 1:
        yield from (bench.examine_one(*item) for item in work)
        return
    spawn = multiprocessing.get_context("spawn")  # fork is unsafe with torch threads
    with ProcessPoolExecutor(jobs, spawn) as pool:
        for done in as_completed([pool.submit(bench.examine_one, *w) for w in work]):
            yield done.result()


if __name__ == "__main__":
    main()
