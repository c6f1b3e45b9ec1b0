"""What all figures share: palette, fonts, the Figure that displays itself, grids."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib.figure
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

# Okabe and Ito 2008; yellow last, because it is faint on white.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW = PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00",
    "#CC79A7", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
GREY = "#595959"
WIDTH = 9.0  # inches at 100 dpi: the width of a notebook column
GAP = 0.06  # between the images of a grid, in widths of an image
LINE = 0.16  # inches: a line of 9 pt text

styled = matplotlib.style.context(
    # "default" first: a dark style of the reader's would leave white text on white.
    [
        "default",
        {
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.labelsize": 10,
            "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 10,
            "figure.labelsize": 8,
            "font.size": 10,
            "grid.color": "#E3E3E3",
            "grid.linewidth": 0.8,
            "image.interpolation": "nearest",
            "legend.fontsize": 9,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
        },
    ]
)


class Picture(matplotlib.figure.Figure):
    """A Figure that a notebook shows when it is the value of a cell.

    pyplot's inline backend teaches IPython to show figures only once pyplot has been
    imported, and shows every open pyplot figure at the end of the cell as well. This
    class depends on neither.
    """

    def _repr_png_(self) -> bytes:
        with io.BytesIO() as buffer:
            self.savefig(buffer, format="png", bbox_inches="tight")
            return buffer.getvalue()

    def savefig(self, fname, **options) -> None:
        super().savefig(fname, **{"dpi": 100, "facecolor": "white", **options})


def picture(width: float, height: float, source: str = "") -> Picture:
    """Make an empty white figure of that size in inches, with its credit line."""
    figure = Picture((width, height), dpi=100, layout="constrained", facecolor="white")
    if source:  # a label of the figure: the layout leaves room for it
        figure.supxlabel(source, x=0.995, ha="right", color=GREY)
    return figure


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    names: Sequence[str] = (),
    above: Sequence[Sequence[str]] = (),
    below: Sequence[str] = (),
    styles: Sequence[dict] = (),
    first_gap: float = GAP,
    largest: float = 1.0,
    bar: bool = False,
    title: str = "",
    source: str = "",
) -> tuple[Picture, Axes]:
    """Draw rows of equally large images, (H, W) or (H, W, 3), on one Axes.

    `names` stand left of the rows. `above` holds, for the first rows or for all, a
    text for each image; `below` one for each image of the last row; `styles` what
    imshow is told for each row. `first_gap` follows the first column. An image is
    `largest` inches wide or less. `bar` leaves room for a colour bar.
    """
    columns = max(len(row) for row in rows)
    height = rows[0][0].shape[0] / rows[0][0].shape[1]  # the width of an image is 1
    width = columns + (columns - 1) * GAP + (first_gap - GAP)
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    margin = 0.2 + 0.08 * longest + 0.8 * bar  # inches
    size = min(largest, (WIDTH - margin) / width)  # inches for one image
    captions = [LINE / size * any(texts) for texts in above]
    captions += [0] * (len(rows) - len(captions))
    tops = [-captions[0]]
    for caption in captions[1:]:
        tops.append(tops[-1] - height - GAP - caption)
    bottom = tops[-1] - height - LINE / size * bool(below)

    inches = (margin + width * size, 0.1 - bottom * size)
    lines = bool(source) + bool(title)
    figure = picture(inches[0], inches[1] + 0.25 * lines, source)
    axes = figure.add_subplot(
        xlim=(0, width), ylim=(bottom, 0), aspect="equal", xticks=[]
    )
    axes.set_yticks([top - height / 2 for top in tops] if names else [], names or None)
    axes.set_title(title, fontsize=9, color=GREY)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    text = {"ha": "center", "fontsize": 9}
    for r, (row, top) in enumerate(zip(rows, tops, strict=True)):
        for c, image in enumerate(row):
            left = c * (1 + GAP) + (first_gap - GAP) * (c > 0)
            style = {"cmap": "gray", "vmin": 0, "vmax": 1}
            style |= styles[r] if styles else {}
            extent = (left, left + 1, top - height, top)
            axes.add_image(_image(axes, image, extent, **style))
            if r < len(above) and above[r][c]:
                axes.text(left + 0.5, top + 0.03, above[r][c], va="bottom", **text)
            if below and r == len(rows) - 1:
                axes.text(left + 0.5, top - height - 0.04, below[c], va="top", **text)
    return figure, axes


def _image(axes: Axes, image: np.ndarray, extent: tuple, **style) -> AxesImage:
    """Make an image for the Axes. Unlike imshow, leave its limits as they are."""
    drawn = AxesImage(axes, extent=extent, cmap=style["cmap"])
    drawn.set_data(image)
    drawn.set_clim(style["vmin"], style["vmax"])
    drawn.set_clip_path(axes.patch)
    return drawn


def colour_bar(axes: Axes, images: Sequence[AxesImage], label: str) -> None:
    """Add the colour bar of some images of a grid on their right, as tall as they."""
    bottom = min(image.get_extent()[2] for image in images)
    top = max(image.get_extent()[3] for image in images)
    left = axes.get_xlim()[1] + 0.12
    box = axes.inset_axes((left, bottom, 0.1, top - bottom), transform=axes.transData)
    axes.figure.colorbar(images[0], cax=box).set_label(label, size=9)
    box.grid(False)
