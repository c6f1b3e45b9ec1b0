"""A flow chart: a column of questions, and what to do where the answer is no."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.figure import Figure

from ae_lib.plots.style import BLUE, GREEN, GREY, VERMILION, picture, styled


@styled
def flow_chart(steps: Sequence[tuple[str, str]], end: str) -> Figure:
    """Draw a column of questions; "yes" leads down to the next, "no" right to a remedy.

    `steps` holds pairs (question, what to do on no); `end` stands in the last box.
    """
    if not steps:
        raise ValueError("steps must hold at least one (question, remedy), got none")
    figure = picture(9.0, 0.95 * len(steps) + 0.7)
    axes = figure.add_subplot(xlim=(0, 9), ylim=(-len(steps) - 0.4, 0.5))
    axes.set_axis_off()
    text = {"va": "center", "fontsize": 10}
    arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    note = {"color": GREY, "fontsize": 9}

    def box(x, y, words, colour, ha="center"):
        style = {"boxstyle": "round,pad=0.35", "facecolor": "white"}
        style |= {"edgecolor": colour, "linewidth": 1.6}
        axes.text(x, y, fill(words, 40), bbox=style, zorder=3, ha=ha, **text)

    for k, (question, remedy) in enumerate(steps):
        box(2.4, -k, question, BLUE)
        box(5.4, -k, remedy, VERMILION, ha="left")
        axes.annotate("", (5.25, -k), (2.4, -k), arrowprops=arrow, zorder=1)
        axes.text(4.95, -k + 0.1, "no", ha="center", va="bottom", **note)
        axes.annotate("", (2.4, -k - 0.69), (2.4, -k), arrowprops=arrow, zorder=1)
        axes.text(2.5, -k - 0.5, "yes", ha="left", va="center", **note)
    box(2.4, -len(steps), end, GREEN)
    return figure
