"""Recorded results: numbers that took long to compute, with where they come from.

A record is a JSON file {"name", "data", "provenance"}. In a clone of the course the
records lie in data/results, in an installed library in ae_lib/_results. The variable
AE_RESULTS_DIR names another folder. No record holds an absolute path.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import ae_lib
from ae_lib.atomic import write_atomically

PACKAGE = Path(__file__).resolve().parent
CLONE = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
REQUIRED = "command commit dirty source device versions seeds date".split()
# /home/..., C:\..., \\server\... and ~/..., but neither 3/4 nor https://...
ABSOLUTE_PATH = re.compile(
    r"(?:^|[\s=:'\"(,])(?:/[^\s/]+/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
)


def save(
    name: str,
    data: dict[str, Any],
    *,
    source: str,
    seeds: Sequence[int],
    command: str | None = None,
    device: str = "cpu",
    **more: Any,
) -> Path:
    """Write a record and return its path; a record of that name is replaced.

    `source` is `Images.source`, `seeds` lists the seeds behind the numbers, and
    `device` is the one that computed them ("cpu", "cuda"). `command` says how to
    repeat the run; without it the command line of this process is taken, which works
    for scripts and not for notebooks. `more` joins the provenance, for example
    `seconds=512`. Tensors and arrays become lists.

    NaN, infinity and absolute paths raise ValueError.
    """
    record = {
        "name": name,
        "data": data,
        "provenance": provenance(source, seeds, command, device, **more),
    }
    path = _writable_folder() / f"{_checked(name)}.json"
    try:
        text = json.dumps(record, indent=1, allow_nan=False, default=_to_plain)
    except ValueError as error:
        raise ValueError(
            f"result {name!r} cannot be written as JSON: {error}"
        ) from None
    for value in _strings(json.loads(text)):
        if ABSOLUTE_PATH.search(value):
            raise ValueError(
                f"result {name!r} holds an absolute path, {value!r}; give it relative "
                "to the repository"
            )
    with write_atomically(path) as part:
        part.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def provenance(
    source: str,
    seeds: Sequence[int],
    command: str | None = None,
    device: str = "cpu",
    **more: Any,
) -> dict[str, Any]:
    """Say where numbers come from: `save` tells the meaning of the arguments."""
    commit, dirty = _commit()
    return {
        "command": command or _command_line(),
        "commit": commit,
        "dirty": dirty,
        "source": source,
        "device": _device_name(device),
        "versions": _versions(),
        "seeds": [int(seed) for seed in seeds],
        "date": datetime.now(UTC).date().isoformat(),
        **more,
    }


def load(name: str) -> dict[str, Any]:
    """Read a record: {"name", "data", "provenance"}.

    FileNotFoundError lists the names that exist; a record without full provenance
    raises ValueError.
    """
    path = folder() / f"{_checked(name)}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no recorded result {name!r}; there are: {', '.join(names()) or 'none'}"
        )
    record = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in ("data", "provenance") if key not in record]
    missing += [key for key in REQUIRED if key not in record.get("provenance", {})]
    if missing:
        raise ValueError(
            f"the recorded result {name!r} lacks {', '.join(missing)}; "
            "write it with ae_lib.results.save"
        )
    return record


def names() -> list[str]:
    """List the names of all recorded results."""
    return sorted(path.stem for path in folder().glob("*.json"))


def provenance_line(record: dict[str, Any]) -> str:
    """Say in one line where a record comes from: for the caption of a figure.

    For example "CIFAR-10 (original), 3 seeds, NVIDIA T4, torch 2.14.1, 2026-11-23,
    commit 1a2b3c4". A "+" after the commit: there were changes on top of it.
    """
    p = record["provenance"]
    n = len(p["seeds"])
    parts = [p["source"], f"{n} seed{'s' * (n != 1)}", p["device"]]
    parts += [f"torch {p['versions']['torch']}", p["date"]]
    if p["commit"]:
        parts.append(f"commit {p['commit'][:7]}{'+' * p['dirty']}")
    return ", ".join(parts)


def folder() -> Path:
    """Return the folder of the records."""
    if os.environ.get("AE_RESULTS_DIR"):
        return Path(os.environ["AE_RESULTS_DIR"])
    return CLONE / "data" / "results" if CLONE else PACKAGE / "_results"


def _writable_folder() -> Path:
    if CLONE is None and not os.environ.get("AE_RESULTS_DIR"):
        raise RuntimeError(
            "results are recorded in a clone of the course; elsewhere set the "
            "environment variable AE_RESULTS_DIR to a folder of your own"
        )
    return folder()


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name):
        raise ValueError(
            "the name of a result consists of lower-case letters, digits, _ and -, "
            f"got {name!r}"
        )
    return name


def _commit() -> tuple[str | None, bool]:
    """Return the commit of the clone, and whether files differ from it.

    (None, False) outside a clone. The records themselves do not count as a change.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=CLONE, capture_output=True, text=True, check=True
        ).stdout.strip()

    if CLONE is None or not (CLONE / ".git").exists():
        return None, False
    try:
        changes = git("status", "--porcelain", "--", ".", ":(exclude)data/results")
        return git("rev-parse", "HEAD"), bool(changes)
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return None, False


def command_of(module: str, arguments: Sequence[str]) -> str:
    """Write a command of the library, with paths relative to the clone.

    >>> command_of("ae_lib.train", ["--latent-dim", "200"])
    'python -m ae_lib.train --latent-dim 200'
    """
    return " ".join([f"python -m {module}", *map(_relative, arguments)])


def _command_line() -> str:
    """Return the command of this process, with paths relative to the clone."""
    program, *arguments = sys.argv
    if "ipykernel" in program or not program:
        raise ValueError(
            "in a notebook the command is not known; pass command=, for example "
            'command="chapters/03_pca.ipynb with AE_BUDGET=full"'
        )
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return command_of(spec.name.removesuffix(".__main__"), arguments)
    return " ".join([f"python {_relative(program)}", *map(_relative, arguments)])


def _relative(word: str) -> str:
    """Write a path inside the clone relative to it, any other by its last part."""
    option, equals, value = word.rpartition("=")
    path = Path(value)
    if path.is_absolute():
        value = path.name
        if CLONE is not None and path.is_relative_to(CLONE):
            value = path.relative_to(CLONE).as_posix()
    return option + equals + value


def _device_name(device: str) -> str:
    """Name the hardware: the graphics card, or the processor and its threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    suffix = f", {threads} thread{'s' * (threads != 1)}"
    cpuinfo = Path("/proc/cpuinfo")  # on Linux platform.processor() is mostly empty
    if cpuinfo.is_file():
        found = re.search(r"model name\s*: (.+)", cpuinfo.read_text(encoding="utf-8"))
        if found:
            return found.group(1).strip() + suffix
    return (platform.processor() or platform.machine()) + suffix


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": metadata.version("torchvision"),
        "ae_lib": ae_lib.__version__,
    }


def _to_plain(value: Any) -> Any:
    """Turn tensors and NumPy values into lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"{type(value).__name__} is none of its types")


def _strings(value: Any) -> list[str]:
    """Collect all strings in nested dicts and lists, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
