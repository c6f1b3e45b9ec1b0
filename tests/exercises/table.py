"""The table of planted answers: what each check must accept, and what it must name.

`PYTHONPATH=.:chapters python -m tests.exercises.table` prints it.
"""

import functools
import linecache
import re
from importlib import import_module
from types import ModuleType

import build
import derive
import torch

from ae_lib import data
from ae_lib.exercises import every
from ae_lib.exercises.checks import verdict


def chapters():
    return [path for path in build.sources() if path.parent == build.CHAPTERS]


def cells_of(folder):
    """Return the exercises of chapters, or of solutions: {"05.1": (task, check)}."""
    found = {}
    for path in chapters():
        path = folder / path.name
        if path.exists():
            found |= derive.pairs(path.read_text(encoding="utf-8"))
    return found


@functools.cache
def worked():
    return cells_of(build.CHAPTERS / "solutions")


@functools.cache
def posed():
    return cells_of(build.CHAPTERS)


def answer(name, pair):
    """Run a task's cell, with what the set-up cell imports; return what it defines."""
    task, check = pair
    wanted = re.search(rf'exercises\.check\("{name}", (\w+)\)', check)[1]
    file = f"exercise {name} {hash(task)}"
    code = "\n".join(line for line in task.splitlines() if line[:4] != "# %%")
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    module = ModuleType("notebook")  # a class finds its source by its module
    vars(module).update(torch=torch, data=data)
    exec(compile(code, file, "exec"), vars(module))
    return vars(module)[wanted]


def planted(kind):
    """Return the planted answers by check, "RIGHT" or "WRONG"."""
    found = {}
    for name in every():
        module = import_module(f"tests.exercises.chapter_{name[:2]}")
        found[name] = getattr(module, kind)[name]
    return found


def main():
    """Print each check with what it accepts, what it rejects, and its words."""
    right, wrong = planted("RIGHT"), planted("WRONG")
    print(f"{'check':<6} {'accepted':>9} {'rejected':>9}")
    said = []
    for name, judge in every().items():
        answers = [answer(name, worked()[name]), *right[name]]
        verdicts = [verdict(judge, one) for one in answers]
        accepted = sum(symbol == "✓" for symbol, _ in verdicts)
        said += [f"{name} {text}" for _, text in verdicts[:1]]
        empty = verdict(judge, answer(name, posed()[name]))
        said += [f"{name} {empty[1]}"]
        rejected = 0
        for one, words in wrong[name]:
            symbol, text = verdict(judge, one)
            rejected += symbol == "✗" and words in text
            said.append(f"{name} {'  ' if words in text else '!!'} {text}")
        counts = f"{accepted}/{len(answers)}", f"{rejected}/{len(wrong[name])}"
        print(f"{name:<6} {counts[0]:>9} {counts[1]:>9}")
    print(*said, sep="\n")


if __name__ == "__main__":
    main()
