"""A flow chart: a column of questions, and what to do where the answer is no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ae_lib.plots.style import BLUE, GREEN, GREY, VERMILION, WIDTH, picture, styled

ROW, BOX = 0.84, 0.52  # inches from a question to the next, and of that the box
BAND = (0.05, 1.2)  # inches from the left: the names of the stages,
ASK = (1.4, 5.1)  # the questions,
DO = (6.0, WIDTH - 0.05)  # and the remedies
TINTS = {BLUE: "#EAF3F9", VERMILION: "#FCF0E8", GREEN: "#E6F5F0", GREY: "#F4F4F4"}


@styled
def flow_chart(stages: Mapping[str, Sequence[tuple[str, str]]], end: str) -> Figure:
    """Draw a column of questions; "yes" leads down to the next, "no" right to a remedy.

    `stages` maps the name of a stage to its pairs (question, what to do on no). The
    questions are numbered through; a remedy leads back to its question, and the last
    "yes" to a box with the words `end`. Raises ValueError where a stage has no pair.
    """
    if not stages or not all(stages.values()):
        raise ValueError(
            f"each stage must hold at least one (question, remedy), got {dict(stages)}"
        )
    count = sum(map(len, stages.values()))
    height = ROW * (count + 1)
    figure = picture(WIDTH, height)
    figure.set_layout_engine("none")  # all places are given, in inches
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(-height, 0))
    axes.set_axis_off()
    row = 0
    for stage, pairs in stages.items():
        top, bottom = _middle(row) + ROW / 2, _middle(row + len(pairs) - 1) - ROW / 2
        band = (*BAND, bottom + 0.06, top - 0.06)
        _box(axes, band, fill(stage, 12), GREY, color=GREY, ha="center")
        for question, remedy in pairs:
            _ask(axes, row, question, remedy)
            row += 1
    _box(axes, _place(ASK, row), fill(end, 40), GREEN, ha="center")
    return figure


def _middle(row: int) -> float:
    return -ROW * (row + 0.5)


def _place(columns: tuple[float, float], row: int) -> tuple[float, ...]:
    """Return left, right, bottom and top of a box."""
    return (*columns, _middle(row) - BOX / 2, _middle(row) + BOX / 2)


def _ask(axes: Axes, row: int, question: str, remedy: str) -> None:
    """Draw a question with its number, its remedy and the arrows that leave them."""
    y, left = _middle(row), ASK[0] + 0.26
    _box(axes, _place(ASK, row), fill(question, 40), BLUE, indent=0.5)
    axes.plot(left, y, "o", markersize=19, color=BLUE, zorder=3)
    style = {"color": "white", "weight": "bold", "ha": "center", "zorder": 4}
    axes.text(left, y - 0.005, str(row + 1), va="center", **style)
    _box(axes, _place(DO, row), fill(remedy, 34), VERMILION)
    note = {"color": GREY, "fontsize": 9}
    middle = (ASK[1] + DO[0]) / 2
    _arrow(axes, (ASK[1], y + 0.08), (DO[0], y + 0.08), VERMILION)
    axes.text(middle, y + 0.12, "no", ha="center", va="bottom", **note)
    _arrow(axes, (DO[0], y - 0.1), (ASK[1], y - 0.1), GREY, linestyle=(0, (2, 2)))
    axes.text(middle, y - 0.15, "ask again", ha="center", va="top", **note)
    down = (ASK[0] + ASK[1]) / 2
    _arrow(axes, (down, y - BOX / 2), (down, _middle(row + 1) + BOX / 2), BLUE)
    axes.text(down + 0.08, y - ROW / 2, "yes", va="center", **note)


def _box(axes, place, words, colour, *, indent=0.16, **text) -> None:
    left, right, bottom, top = place
    style = "round,pad=0,rounding_size=0.1"
    edge = {"edgecolor": colour, "linewidth": 0 if colour == GREY else 1.4}
    at, size = (left, bottom), (right - left, top - bottom)
    axes.add_patch(FancyBboxPatch(at, *size, style, facecolor=TINTS[colour], **edge))
    x = (left + right) / 2 if text.get("ha") == "center" else left + indent
    axes.text(x, (bottom + top) / 2, words, va="center", linespacing=1.25, **text)


def _arrow(axes, start, stop, colour, **line) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", stop, start, arrowprops={**style, "linewidth": 1.3, **line})
