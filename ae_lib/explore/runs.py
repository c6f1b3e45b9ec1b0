"""Turn the pages of a training run, as the doctor would."""

from __future__ import annotations

import math
from collections.abc import Mapping

import ipywidgets as widgets
import torch

from ae_lib.explore.panel import (
    WRAP,
    Panel,
    captioned,
    choice,
    or_message,
    slider,
    strip,
)
from ae_lib.explore.svg import Drawing, LogScale
from ae_lib.logbook import Logbook, Page
from ae_lib.plots.runs import FAINTEST
from ae_lib.plots.style import BLUE, GREY, VERMILION

BINS = 40


def explore_runs(books: Mapping[str, Logbook]) -> widgets.Widget:
    """Return a slider over the epochs of runs, `books` by name, and what is seen.

    Of each epoch: reconstructions, the error beside baselines, the values of the code,
    and the signal ratio and dead units of every layer.
    """
    return or_message(lambda: RunPanel(books))


class RunPanel(Panel):
    """Show one page of a logbook."""

    def __init__(self, books: Mapping[str, Logbook]):
        super().__init__()
        self.books = _checked(books)
        names = [(name, name) for name in self.books]
        self.run = choice("run", "which of the runs to look at", names)
        words = "number of passes over the training images"
        self.epoch = slider("epoch", words, 1, 1, len(self.book()))
        self.text = widgets.HTML()
        self.inputs, self.outputs = self.picture(), self.picture()
        self.error, self.codes, self.signal = (self.picture() for _ in range(3))
        pictures = {
            "error": self.error, "values in the code": self.codes,
            "signal ratio of each layer, and dead units": self.signal,
        }  # fmt: skip
        drawn = [captioned(text, picture) for text, picture in pictures.items()]
        self.children = [
            widgets.HBox([self.run, self.epoch], layout=WRAP),
            self.text,
            captioned("images, and what is made of them", self.inputs),
            self.outputs,
            widgets.HBox(drawn, layout=WRAP),
            self.message,
        ]
        self._busy = False
        self.run.observe(self._choose, "value")
        self.epoch.observe(self._draw, "value")
        self._choose()

    def book(self) -> Logbook:
        return self.books[self.run.value]

    def _choose(self, change=None) -> None:
        """Turn to another run, at the same epoch or at its last."""
        self._busy = True  # a new end may move the slider, which draws
        self.epoch.max = len(self.book())
        self._busy = False
        shown = self.book().x[: len(self.book().pages[0].x_hat)]
        with self.explained():
            self.inputs.show(strip(shown, 64), "the images")
        self._draw()

    def _draw(self, change=None) -> None:
        if self._busy:
            return
        with self.explained():
            book, epoch = self.book(), self.epoch.value
            page, words = book.pages[epoch - 1], book.say(epoch)
            self.outputs.show(strip(page.x_hat, 64), f"reconstructions. {words}")
            self.error.show(draw_error(book, epoch), words)
            self.codes.show(draw_codes(page), f"code: {page.code.dead:.0%} dead")
            told = [f"{q.name}: {q.signal:.2g}, {q.dead:.0%} dead" for q in page.layers]
            self.signal.show(draw_signal(page), "; ".join(told))
            self.text.value = words


def draw_error(book: Logbook, epoch: int, width: int = 300, height: int = 200) -> bytes:
    """Draw the error of all epochs, the baselines, and the chosen epoch."""
    drawing = Drawing(width, height)
    errors = [page.error for page in book.pages]
    levels = [v for v in (*errors, *book.baselines.values()) if 0 < v < math.inf]
    low, high = (min(levels), max(levels)) if levels else (0.1, 1.0)
    y = LogScale(low / 1.2, high * 1.2, height - 24, 8)

    def x(e):
        return 60 + (width - 76) * ((e - 1) / max(len(errors) - 1, 1))

    for name, value in book.baselines.items():
        drawing.line([(52, y(value)), (width, y(value))], GREY, dash="2 3")
        drawing.text(width - 2, y(value) - 8, name, "end", GREY, 11)
    for value in (low, high):
        drawing.text(48, y(value), f"{value:.2g}", "end", GREY, 11)
    drawing.line([(x(e), y(v)) for e, v in enumerate(errors, start=1)], BLUE, 2)
    here = y(errors[epoch - 1])
    drawing.line([(x(epoch), 8), (x(epoch), height - 24)], VERMILION)
    drawing.rect(x(epoch) - 4, here - 4, 8, 8, VERMILION)
    drawing.text(x(epoch), height - 12, f"epoch {epoch}", "middle", VERMILION, 11)
    return drawing.data()


def draw_codes(page: Page, width: int = 240, height: int = 200) -> bytes:
    """Draw the histogram of all numbers in the codes, with the ends of its range."""
    drawing = Drawing(width, height)
    values = page.codes[page.codes.isfinite()]
    if not len(values):
        drawing.text(width / 2, height / 2, "no finite value", "middle", GREY)
        return drawing.data()
    low, high = values.min().item(), values.max().item()
    counts = torch.histc(values, BINS, low, high if high > low else low + 1)
    for i, share in enumerate((counts / counts.max()).tolist()):
        tall, step = (height - 48) * share, (width - 20) / BINS
        drawing.rect(10 + i * step, height - 24 - tall, step - 1, tall)
    drawing.text(10, height - 12, f"{low:.3g}", colour=GREY, size=11)
    drawing.text(width - 10, height - 12, f"{high:.3g}", "end", GREY, 11)
    dead = f"{page.code.dead:.0%} of the units dead"
    drawing.text(width / 2, 10, dead, "middle", GREY, 11)
    return drawing.data()


def draw_signal(page: Page, width: int = 430, row: int = 20) -> bytes:
    """Draw a bar for the signal of each layer; orange where units are mostly dead."""
    drawing = Drawing(width, row * (len(page.layers) + 1))
    scale = LogScale(FAINTEST, 1.0, 0, width - 280)
    for i, layer in enumerate(page.layers):
        y = row * (i + 0.5)
        colour = VERMILION if layer.dead >= 0.5 else BLUE
        drawing.text(178, y, layer.name[-28:], "end", size=11)
        drawing.rect(184, y - 6, max(scale(layer.signal), 1.0), 12, colour)
        told = f"{layer.signal:.2g}, {layer.dead:.0%} dead"
        drawing.text(width - 2, y, told, "end", GREY, 11)
    y = row * (len(page.layers) + 0.4)
    for value in (FAINTEST, 1e-2, 1.0):
        drawing.text(184 + scale(value), y, f"{value:g}", "middle", GREY, 11)
    return drawing.data()


def _checked(books) -> dict[str, Logbook]:
    if not isinstance(books, Mapping) or not books:
        raise ValueError(
            f"expected a dict from names to Logbooks, got {books!r:.80}; see "
            "ae_lib.logbook"
        )
    for name, book in books.items():
        if not isinstance(book, Logbook):
            raise ValueError(f"{name!r} must be a Logbook, got {type(book)}")
        if not len(book):
            raise ValueError(
                f"the logbook {name!r} is empty: call note(model) after each epoch"
            )
    return dict(books)
