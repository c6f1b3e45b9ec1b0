"""Which checks have passed: a small file in the notebook's folder, and a line of it.

The file is .exercises.json in the working folder, which for a notebook is its own, or
in AE_PROGRESS_DIR. What has passed once stays so until `reset`. Where the folder cannot
be written, the record lives as long as the kernel.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ae_lib.atomic import write_atomically
from ae_lib.exercises import checks

FILE = ".exercises.json"
_unwritten: set[str] = set()  # passed in this kernel, but not in the file


def path() -> Path:
    """Return where the record is kept."""
    return Path(os.environ.get("AE_PROGRESS_DIR") or ".") / FILE


def passed() -> set[str]:
    """Return the names of the checks that have passed; a broken file has none."""
    try:
        kept = json.loads(path().read_text(encoding="utf-8"))["passed"]
        return {name for name in kept if isinstance(name, str)} | _unwritten
    except (OSError, ValueError, KeyError, TypeError):
        return set(_unwritten)


def add(name: str) -> None:
    """Remember that a check has passed."""
    if name in passed() - _unwritten:
        return
    _unwritten.add(name)
    if _write(passed()):
        _unwritten.clear()


def reset(chapter: str | None = None) -> None:
    """Forget which checks have passed, of one chapter, "05", or of all."""
    kept = {n for n in passed() if chapter is not None and n[:2] != chapter}
    _unwritten.intersection_update(kept)
    known = passed() - kept
    if known and not _write(kept):
        say(f"{FILE} cannot be changed here: delete it by hand.")
    else:
        say("Forgotten: all checks are open again.")


def progress(chapter: str | None = None) -> None:
    """Print a bar for a chapter, "05": which of its checks have passed; or for all."""
    numbers = sorted({name[:2] for name in checks.names()})
    if chapter is not None and chapter not in numbers:
        say(f"No checks in chapter {chapter!r}; there are: {', '.join(numbers)}.")
        return
    for number in numbers if chapter is None else [chapter]:
        say(f"Chapter {number}  {bar(number)}  {count(number)} checks passed")
    if _unwritten:
        say("(Not kept: this folder cannot be written.)")


def bar(chapter: str) -> str:
    """Draw a box for each check of a chapter, filled where it has passed."""
    done = passed()
    return "".join("■" if name in done else "□" for name in checks.names(chapter))


def count(chapter: str) -> str:
    """Say how many checks of a chapter have passed, "1 of 2"."""
    every = checks.names(chapter)
    return f"{len(passed() & set(every))} of {len(every)}"


def say(text: str) -> None:
    """Print a line, with question marks for what the console cannot show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _write(names: set[str]) -> bool:
    try:
        with write_atomically(path()) as part:
            text = json.dumps({"passed": sorted(names)})
            part.write_text(text + "\n", encoding="utf-8")
    except OSError:
        return False
    return True
