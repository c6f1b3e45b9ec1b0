"""Figures of sliding windows: who sees whom, and where stamps overlap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ae_lib.plots.style import BLUE, GREY, VERMILION, WIDTH, Picture, styled
from ae_lib.windows import Window

ROW = 1.45  # inches for one window
MOST = 12  # lines on a pixel at the end of the colour scale of the map
FAINT, MARKED = "#B0B0B0", "#FCE3D4"


def places(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Place input and output pixels along the axis, each in the middle of its window.

    The finer side has its pixels 1 apart, the other `stride` apart.
    """
    fine = np.arange(window.out if window.transposed else window.size, dtype=float)
    other = np.arange(window.size if window.transposed else window.out, dtype=float)
    coarse = other * window.stride - window.padding + (window.kernel - 1) / 2
    shift = min(0.0, coarse.min())
    fine, coarse = fine - shift, coarse - shift
    return (coarse, fine) if window.transposed else (fine, coarse)


@styled
def windows(panels: Mapping[str, Window], pixel: int | None = None) -> Figure:
    """Draw windows, one below the other: input above, output below, a line per weight.

    The number in a square counts its lines. Those of one output pixel, `pixel` or the
    middle one, are drawn strongly. At the right stand the counts in two dimensions:
    on the output of a transposed convolution, on the input of a convolution.
    """
    if not panels:
        raise ValueError("panels must hold at least one Window")
    height = ROW * len(panels)
    figure = Picture((WIDTH, height), dpi=100, facecolor="white")
    for row, (name, window) in enumerate(panels.items()):
        chosen = window.out // 2 if pixel is None else pixel
        if not 0 <= chosen < window.out:
            raise ValueError(
                f"pixel must be from 0 to {window.out - 1}, the outputs, got {chosen}"
            )
        bottom = 1 - (row + 1) / len(panels)
        tall = 1 / len(panels)
        left = figure.add_axes((0.01, bottom, 0.77, 0.86 * tall))
        right = figure.add_axes((0.81, bottom + 0.03 * tall, 0.18, 0.8 * tall))
        _lines(left, window, chosen)
        _map(right, window)
        figure.text(0.01, bottom + 0.9 * tall, f"{name}: {window.formula()}")
    return figure


def _lines(axes: Axes, window: Window, chosen: int) -> None:
    """Draw the pixels of input and output, and what joins them."""
    taps = window.taps().numpy()
    at_in, at_out = places(window)
    i, j = np.nonzero(taps >= 0)
    ends = np.stack(
        [np.stack([at_in[j], np.full(len(j), 1.0)], 1),
         np.stack([at_out[i], np.full(len(i), 0.0)], 1)], axis=1,
    )  # (lines, 2, 2)  # fmt: skip
    strong = i == chosen
    axes.add_collection(LineCollection(ends[~strong], colors=FAINT, linewidths=0.8))
    axes.add_collection(LineCollection(ends[strong], colors=VERMILION, linewidths=1.8))
    sees = set(j[strong])
    for label, height, at, counts, marked in (
        ("input", 1.0, at_in, window.reached(), sees),
        ("output", 0.0, at_out, window.seen(), {chosen}),
    ):
        size = 8 if len(at) <= 20 else 6
        axes.text(-1.6, height, label, color=GREY, ha="right", va="center", size=9)
        for number, (x, count) in enumerate(zip(at, counts.tolist(), strict=True)):
            axes.add_patch(_square(x, height, number in marked))
            axes.text(x, height, str(count), size=size, ha="center", va="center")
    edge = max(at_in.max(), at_out.max()) + 1
    axes.set(xlim=(min(-5.5, -0.22 * edge), max(edge, 12)), ylim=(-0.22, 1.22))
    axes.set_axis_off()


def _square(x: float, y: float, marked: bool) -> Rectangle:
    colours = (VERMILION, MARKED) if marked else (BLUE, "white")
    return Rectangle(
        (x - 0.42, y - 0.14), 0.84, 0.28, edgecolor=colours[0], facecolor=colours[1],
        linewidth=1.8 if marked else 0.8, zorder=3,
    )  # fmt: skip


def _map(axes: Axes, window: Window) -> None:
    """Show the counts in two dimensions, with their numbers where there is room."""
    counts = window.overlap().numpy()[:16, :16]
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=MOST)
    if len(counts) <= 10:
        for (i, j), count in np.ndenumerate(counts):
            colour = "white" if count > 0.55 * MOST else "black"
            axes.text(j, i, str(count), color=colour, size=6, ha="center", va="center")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    side = "output" if window.transposed else "input"
    axes.set_title(f"in 2D, on the {side}", size=8, color=GREY, pad=2)
