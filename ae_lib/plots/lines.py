"""Figures of numbers: learning curves, results of several seeds, distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from torch import Tensor

from ae_lib.plots.style import GREY, PALETTE, picture, styled


@styled
def curves(
    histories: Mapping[str, Any],
    log: bool = True,
    baselines: Mapping[str, float] | None = None,
    ylabel: str = "MSE",
    source: str = "",
) -> Figure:
    """Draw the losses of training (solid) and validation (dashed), epoch by epoch.

    `histories` maps a name to a History or to a dict with the lists "train_loss" and,
    if there was validation, "val_loss". `baselines` maps a name to a horizontal line.
    """
    figure = picture(7.5, 4.0, source)
    axes = figure.add_subplot(xlabel="epoch", ylabel=ylabel)
    for colour, (name, history) in zip(
        _colours(histories), histories.items(), strict=True
    ):
        for key, line in (("train_loss", "-"), ("val_loss", "--")):
            losses = _column(history, key)
            epochs = range(1, len(losses) + 1)
            if len(losses):
                label = f"{name}, {'training' if line == '-' else 'validation'}"
                dot = "." if len(losses) <= 40 else ""  # or no dash would be seen
                axes.plot(epochs, losses, line, color=colour, label=label, marker=dot)
    for name, value in (baselines or {}).items():
        axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4)
        axes.annotate(
            name, (1, value), (-2, 2), ha="right", va="bottom", color=GREY, fontsize=9,
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log:
        _log_axis(axes, "y")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@styled
def bars(
    values: Mapping[str, Sequence[float]],
    ylabel: str,
    log: bool = False,
    source: str = "",
) -> Figure:
    """Compare groups of runs: mean, standard deviation, and each run as a dot.

    `values` maps a name to one number per seed. With `log` there are no bars, because
    a logarithmic axis has no zero for them to stand on.
    """
    figure = picture(min(9.0, 2.2 + 1.1 * len(values)), 3.8, source)
    axes = figure.add_subplot(ylabel=ylabel)
    counts = set()
    for at, (colour, runs) in enumerate(
        zip(_colours(values), values.values(), strict=True)
    ):
        runs = np.asarray(runs, dtype=float).reshape(-1)
        counts.add(len(runs))
        mean = runs.mean()
        if not log:
            axes.bar(at, mean, 0.62, color=colour, alpha=0.45)
        axes.hlines(mean, at - 0.31, at + 0.31, color=colour)
        if len(runs) > 1:
            axes.errorbar(at + 0.16, mean, runs.std(ddof=1), color="black", capsize=4)
        left = at + (np.linspace(-0.22, 0, len(runs)) if len(runs) > 1 else np.zeros(1))
        axes.scatter(left, runs, 18, color="black", zorder=3)
    axes.set_xticks(range(len(values)), [fill(name, 13) for name in values])
    axes.grid(False, axis="x")
    axes.set_title(_seeds(counts, "mean ± standard deviation"), fontsize=9, color=GREY)
    if log:
        _log_axis(axes, "y")
    return figure


@styled
def line_with_spread(
    x: Sequence[float],
    values: Mapping[str, Any],
    xlabel: str,
    ylabel: str,
    xlog: bool = False,
    ylog: bool = False,
    source: str = "",
) -> Figure:
    """Draw the mean over seeds as a line, and from the lowest to the highest a band.

    `values` maps a name to an array (seeds, len(x)), or (len(x),) for a single run.
    """
    figure = picture(7.5, 4.0, source)
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    counts = set()
    for colour, (name, runs) in zip(_colours(values), values.items(), strict=True):
        runs = np.atleast_2d(np.asarray(runs, dtype=float))
        if runs.shape[1:] != (len(x),):
            raise ValueError(
                f"{name!r} must be (seeds, {len(x)}), as long as x, got {runs.shape}"
            )
        counts.add(len(runs))
        axes.plot(x, runs.mean(axis=0), color=colour, label=name, marker=".")
        if len(runs) > 1:
            low, high = runs.min(axis=0), runs.max(axis=0)
            axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
    if xlog:
        _log_axis(axes, "x")
    if ylog:
        _log_axis(axes, "y")
    axes.set_title(_seeds(counts, "mean, lowest to highest"), fontsize=9, color=GREY)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@styled
def histograms(
    groups: Mapping[str, Any],
    xlabel: str,
    bins: int = 40,
    source: str = "",
) -> Figure:
    """Lay the distributions of several groups over each other, as shares of a group.

    `groups` maps a name to numbers, for example the MSE per image of normal and of odd
    images. The bins are the same for all groups.
    """
    arrays = {name: _flat(values) for name, values in groups.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
    figure = picture(7.5, 3.6, source)
    axes = figure.add_subplot(xlabel=xlabel, ylabel="share of the group")
    for colour, (name, values) in zip(_colours(arrays), arrays.items(), strict=True):
        share = np.full(len(values), 1 / len(values))
        label = f"{name} (n = {len(values):,})"
        style = {"bins": edges, "weights": share, "color": colour}
        axes.hist(values, alpha=0.25, **style)
        axes.hist(values, histtype="step", linewidth=1.8, label=label, **style)
    axes.legend()
    return figure


def _flat(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    return np.asarray(values, dtype=float).reshape(-1)


def _colours(groups: Mapping) -> tuple[str, ...]:
    if not 1 <= len(groups) <= len(PALETTE):
        raise ValueError(
            f"a figure tells 1 to {len(PALETTE)} groups apart, got {len(groups)}"
        )
    return PALETTE[: len(groups)]


def _column(history: Any, key: str) -> Sequence[float]:
    if isinstance(history, Mapping):
        return history.get(key) or []
    return getattr(history, key) or []


def _seeds(counts: set[int], spread: str) -> str:
    """Say what is drawn, and of how many runs; nothing for single runs."""
    if counts == {1}:
        return ""
    low, high = min(counts), max(counts)
    return f"{spread} of {low if low == high else f'{low} to {high}'} seeds"


def _log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2, 5 of each decade."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = getattr(axes, f"get_{which}lim")()
    subs = (1, 2, 5) if high / low < 1_000 else (1,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())
