"""Measure how fast the panels answer.

    python -m ae_lib.explore

Each control is moved twenty times, as a hand would, and each move is timed until all
pictures are ready to be sent. What the browser needs to show them comes on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import torch

from ae_lib.corruptions import gaussian, salt_and_pepper
from ae_lib.data import load
from ae_lib.explore.denoising import DenoisingPanel
from ae_lib.explore.latent import Explorer
from ae_lib.explore.panel import Panel
from ae_lib.explore.runs import RunPanel
from ae_lib.explore.windows import WindowPanel
from ae_lib.logbook import Logbook
from ae_lib.metrics import reconstruct
from ae_lib.models import ConvAutoencoder

MOVES = 20
LIMIT = 0.1  # seconds: what is slower does not feel like one's own hand


def panels() -> Iterator[tuple[Panel, dict]]:
    """Make each panel as chapters use it; yield it with some of its controls, by name.

    Networks keep their first weights: an answer takes as long as that of trained ones.
    """
    images = load("shapes", "test", limit=100)
    torch.manual_seed(0)
    model = ConvAutoencoder(200).eval()
    explorer = Explorer(model, images)
    yield explorer, {"direction": explorer.sliders[0], "way": explorer.way}
    window = WindowPanel()
    yield window, {name: window.sliders[name] for name in ("size", "kernel")}
    kinds = {"Gaussian": (gaussian, 0.4), "salt and pepper": (salt_and_pepper, 0.4)}
    answers = {str(i): lambda y: reconstruct(model, y) for i in range(4)}
    denoising = DenoisingPanel(images, kinds, answers)
    yield denoising, {"strength": denoising.strength}
    book = Logbook(images)
    for _ in range(12):
        book.note(model)
    run = RunPanel({"a run": book})
    yield run, {"epoch": run.epoch}


def seconds(control, moves: int = MOVES) -> list[float]:
    """Move a slider up and down between its ends and time each move."""
    steps = max(1, round((control.max - control.min) / control.step))
    spent = []
    for move in range(1, moves + 1):
        at = abs((move + steps) % (2 * steps) - steps)  # 1, 2, ..., steps, ..., 1, 0
        value = control.min + at * control.step
        start = time.perf_counter()
        control.value = type(control.value)(value)
        spent.append(time.perf_counter() - start)
    return spent


def main() -> int:
    """Print a line for each control; return 1 when a median is above 100 ms."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    slow = 0
    print(f"{'panel':<16}{'control':<12}{'median':>10}{'slowest':>10}")
    for panel, controls in panels():
        for name, control in controls.items():
            spent = seconds(control)
            middle, most = 1000 * statistics.median(spent), 1000 * max(spent)
            kind = type(panel).__name__
            print(f"{kind:<16}{name:<12}{middle:>7.1f} ms{most:>7.1f} ms")
            slow += middle > 1000 * LIMIT
    return int(slow > 0)


if __name__ == "__main__":
    raise SystemExit(main())
