"""Figures of codes: maps of a latent plane, and how the code is used."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import matplotlib.patheffects
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ae_lib.plots.style import BLUE, GREY, PALETTE, VERMILION, picture, styled

# Ten classes need more than eight colours; the shape of the marker tells them apart
# where the colour does not.
COLOURS = (*PALETTE[:7], "#882255", "#999933", GREY)
MARKERS = "os^Dv<>Pp*"


@styled
def latent_map(
    points2d: Tensor, labels: Tensor, classes: Sequence[str], source: str = ""
) -> Figure:
    """Scatter two coordinates of the codes, one colour and marker for each class.

    `points2d` is (N, 2), `labels` (N,) with numbers into `classes`, of which there are
    ten at most. The name of a class also stands at the median of its points,
    unless names would cover each other.
    """
    points, labels = points2d.detach().cpu().numpy(), labels.cpu().numpy()
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
        raise ValueError(
            f"expected points (N, 2) and labels (N,), got {points.shape} and "
            f"{labels.shape}"
        )
    if len(classes) > len(MARKERS):
        raise ValueError(
            f"the map tells {len(MARKERS)} classes apart, got {len(classes)}"
        )
    figure = picture(7.5, 5.6, source)
    axes = figure.add_subplot(xlabel="first coordinate", ylabel="second coordinate")
    halo = [matplotlib.patheffects.withStroke(linewidth=3, foreground="white")]
    # With many points smaller, fainter markers, or the last class hides the others.
    size, alpha = (22, 0.8) if len(points) <= 1_000 else (12, 0.5)
    medians = {}
    for number, name in enumerate(classes):
        own = points[labels == number]
        if len(own) == 0:
            continue
        style = {"marker": MARKERS[number], "color": COLOURS[number], "alpha": alpha}
        axes.scatter(*own.T, size, linewidths=0, label=name, **style)
        medians[name] = np.median(own, axis=0)
    apart = _apart(list(medians.values()), np.ptp(points, axis=0))
    for name, place in medians.items() if apart else ():
        axes.annotate(
            name, place, ha="center", va="center", fontsize=10, fontweight="bold",
            path_effects=halo, zorder=4,
        )  # fmt: skip
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=1.5)
    return figure


@styled
def code_histogram(codes: Tensor, bins: int = 60, source: str = "") -> Figure:
    """Show the values that occur in codes, and how much each dimension varies.

    `codes` is (N, latent_dim). The left title gives the share of exact zeros, which
    come from a ReLU on the code. On the right the dimensions stand in the order of
    their standard deviation; the title counts those that never change.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(
            f"codes must be (N, latent_dim) with N >= 2, got {tuple(codes.shape)}"
        )
    codes = codes.detach().float().cpu().numpy()
    spread = np.sort(codes.std(axis=0, dtype=float))[::-1]
    constant = int((np.ptp(codes, axis=0) == 0).sum())
    figure = picture(9.0, 3.4, source)
    left, right = figure.subplots(1, 2)
    left.hist(codes[codes != 0], bins, color=BLUE)
    left.set(xlabel="value in a code, without the zeros", ylabel="number of values")
    left.yaxis.set_major_formatter("{x:,.0f}")
    left.set_title(f"{(codes == 0).mean():.1%} are exactly zero")
    right.plot(range(1, len(spread) + 1), spread, ".", color=VERMILION)
    right.set(xlabel="dimension, sorted", ylabel="standard deviation")
    right.set_ylim(bottom=0)
    right.set_title(f"{constant} of {len(spread)} dimensions never change")
    return figure


def _apart(places: list[np.ndarray], extent: np.ndarray) -> bool:
    """Tell whether names at these places stay clear of each other."""
    room = extent * (0.17, 0.045)  # what a name needs of the (width, height)
    pairs = itertools.combinations(places, 2)
    return all((np.abs(a - b) > room).any() for a, b in pairs)
