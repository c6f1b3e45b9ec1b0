"""Figures of a run: what the doctor would see after some of its epochs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ae_lib.logbook import Logbook, Page
from ae_lib.plots.lines import _log_axis
from ae_lib.plots.style import BLUE, GREY, VERMILION, WIDTH, picture, styled

COLUMNS = 4  # epochs in a figure
TILES = 4  # images of each epoch
FAINTEST = 1e-4  # the low end of the axis of the signal


def some_epochs(count: int, most: int = COLUMNS) -> list[int]:
    """Choose epochs, from 1 to `count`, at growing distance."""
    chosen = np.geomspace(1, count, min(most, count))
    return sorted({round(epoch) for epoch in chosen})


@styled
def run_pages(
    book: Logbook, epochs: Sequence[int] | None = None, source: str = ""
) -> Figure:
    """Show a run: its error against baselines, and below some epochs in columns.

    From above: images and reconstructions, the values in the code, and of each layer
    the signal ratio, in orange where half of the units are dead or more.
    """
    if not len(book):
        raise ValueError("the logbook is empty: call book.note(model) after each epoch")
    chosen = some_epochs(len(book)) if epochs is None else list(epochs)
    if not chosen or not all(1 <= epoch <= len(book) for epoch in chosen):
        raise ValueError(f"epochs must be from 1 to {len(book)}, got {epochs}")
    layers = len(book.pages[0].layers)
    heights = [1.5, 1.0, 1.0, 0.4 + 0.22 * layers]
    figure = picture(WIDTH, sum(heights) + 1.2, source)
    cells = figure.add_gridspec(4, len(chosen), height_ratios=heights)
    _errors(figure.add_subplot(cells[0, :]), book, chosen)
    for column, epoch in enumerate(chosen):
        page = book.pages[epoch - 1]
        axes = [figure.add_subplot(cells[row, column]) for row in (1, 2, 3)]
        axes[0].set_title(f"epoch {epoch}")
        _images(axes[0], book.x, page)
        _codes(axes[1], page)
        _signals(axes[2], page, column == 0)
    return figure


def _errors(axes: Axes, book: Logbook, chosen: Sequence[int]) -> None:
    errors = np.array([page.error for page in book.pages])
    axes.plot(range(1, len(book) + 1), errors, ".-", color=BLUE)
    for epoch in chosen:
        axes.plot(epoch, errors[epoch - 1], "o", color=VERMILION, zorder=3)
    for name, value in book.baselines.items():
        axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4)
        axes.annotate(
            name, (1, value), (-2, 2), ha="right", va="bottom", color=GREY, fontsize=9,
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel="MSE")
    _log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _images(axes: Axes, x: Tensor, page: Page) -> None:
    rows = [np.concatenate(list(t[:TILES].numpy()), axis=-1) for t in (x, page.x_hat)]
    sheet = np.concatenate(rows, axis=-2)  # (C, 2·H, 4·W)
    sheet = np.moveaxis(sheet, 0, -1)
    axes.imshow(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet, "gray", vmin=0,
                vmax=1)  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _codes(axes: Axes, page: Page) -> None:
    values = page.codes[page.codes.isfinite()].numpy()
    axes.hist(values, bins=40, color=BLUE)
    axes.set(yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_title(f"code, {page.code.dead:.0%} of it dead", size=9, color=GREY)


def _signals(axes: Axes, page: Page, named: bool) -> None:
    at = range(len(page.layers))
    signals = [max(layer.signal, FAINTEST) for layer in page.layers]
    colours = [VERMILION if layer.dead >= 0.5 else BLUE for layer in page.layers]
    axes.barh(at, signals, color=colours)
    for i, layer in enumerate(page.layers):
        if layer.dead >= 0.5:
            ink = "white" if signals[i] > 0.01 else VERMILION
            text = f" {layer.dead:.0%} dead"
            axes.text(FAINTEST, i, text, color=ink, size=9, va="center")
    axes.set(xscale="log", xlim=(FAINTEST, 1.2))
    axes.set_yticks(at, [q.name for q in page.layers] if named else [""] * len(at))
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("signal ratio", size=9)
