"""Find the check of an exercise, and run it on an answer."""

from __future__ import annotations

import pkgutil
import re
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch

from ae_lib.exercises.judge import Wrong, complaint, is_unfilled, kind


def every(chapter: str | None = None) -> dict[str, Callable]:
    """Return the checks, of a chapter or of all, by name: {"00.1": check_1, ...}."""
    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules([Path(__file__).parent])):
        number = module.removeprefix("chapter_")
        if number != module and chapter in (None, number):
            defined = vars(import_module(f"ae_lib.exercises.{module}"))
            ks = sorted(int(n[6:]) for n in defined if re.fullmatch(r"check_\d+", n))
            found |= {f"{number}.{k}": defined[f"check_{k}"] for k in ks}
    return found


def names(chapter: str | None = None) -> list[str]:
    """List the names of the checks, of a chapter or of all."""
    return list(every(chapter))


def verdict(judge: Callable, answer: object) -> tuple[str, str]:
    """Return "✓", "✗" or "○" (not filled in yet), and the sentence that goes with it.

    Whatever the answer does: this never raises, and it leaves torch's random numbers
    as they were.
    """
    if not callable(answer):
        text = "Give the check your function itself, without calling it"
        return "✗", f"{text}; got {kind(answer)}."
    try:
        if is_unfilled(answer):
            return "○", f"Not filled in yet. {_sentence('Expect ' + judge.hint)}"
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.default_generator.manual_seed(0)
            return "✓", f"Right: {_sentence(judge(answer))}"
    except Wrong as wrong:
        return "✗", f"Not yet: {_sentence(str(wrong))}"
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return "✗", complaint(error, answer)


def _sentence(text: str) -> str:
    return text if text[-1] in ".?!" else f"{text}."
