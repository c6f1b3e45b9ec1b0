"""One figure for a report: signal, loss, codes and reconstructions."""

import math

import numpy as np

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"


def draw(report):
    """Draw the four panels and return the Figure.

    Signal ratio by layer; loss against the baselines; histogram of the codes;
    reconstructions below their targets, beside the mean image.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots(2, 2)
    _signal(axes[0, 0], report.pictures)
    _loss(axes[0, 1], report)
    _codes(axes[1, 0], report.pictures)
    _images(axes[1, 1], report.pictures)
    faults = [f.code for f in report.findings if f.severity != "info"]
    figure.suptitle(", ".join(faults) if faults else "no fault found", fontsize=11)
    return figure


def _empty(axis, text):
    axis.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    axis.set_xticks([])
    axis.set_yticks([])


def _signal(axis, pictures):
    rows = pictures.get("signal") or []
    axis.set_title("signal ratio by layer", fontsize=10)
    if not rows:
        return _empty(axis, "the model could not be followed")
    values = [max(v, 1e-6) if math.isfinite(v) else 1e-6 for _, v in rows]
    axis.barh(range(len(rows)), values, color=BLUE)
    axis.set_yticks(range(len(rows)), [name[:28] for name, _ in rows], fontsize=6)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.axvline(0.05, color=ORANGE, linestyle="--", linewidth=1)
    axis.set_xlabel("std across samples / rms")


def _loss(axis, report):
    history = report.pictures.get("history") or {}
    axis.set_title("loss against the baselines", fontsize=10)
    colours = {"train_loss": BLUE, "val_loss": ORANGE}
    for name, values in history.items():
        if "loss" in name and values:
            axis.plot(
                range(1, len(values) + 1),
                values,
                color=colours.get(name, GREEN),
                marker=".",
                label=name,
            )
    rows = [(n, r["error"]) for n, r in report.baselines.items() if "(MSE)" in n]
    if not rows:
        return _empty(axis, "no baselines")
    if not any(values for name, values in history.items() if "loss" in name):
        return _bars(axis, rows)
    for at, (name, error) in enumerate(rows):
        style = ("-", "--", ":", "-.")[at % 4]
        axis.axhline(error, color=GREY, linestyle=style, linewidth=1, label=name)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("loss, mean squared error")
    if all(error > 0 for _, error in rows):
        axis.set_yscale("log")
    axis.legend(fontsize=6)


def _bars(axis, rows):
    """Draw the errors as bars, where there is no history to draw as a curve."""
    names = [name.removesuffix(" (MSE)") for name, _ in rows]
    colours = [BLUE if name == "this model" else GREY for name in names]
    axis.set_title("error against the baselines", fontsize=10)
    axis.barh(range(len(rows)), [error for _, error in rows], color=colours)
    axis.set_yticks(range(len(rows)), names, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("mean squared error")


def _codes(axis, pictures):
    codes = pictures.get("codes")
    axis.set_title("code values", fontsize=10)
    if codes is None or not np.isfinite(codes).any():
        return _empty(axis, "no bottleneck was found")
    values = codes[np.isfinite(codes)]
    axis.hist(values, bins=50, color=BLUE, label="all values")
    centre = codes.mean(0)
    spread = (codes - centre)[np.isfinite(codes - centre)]
    axis.hist(
        spread, bins=50, histtype="step", color=ORANGE, label="less each unit's mean"
    )
    axis.set_xlabel("value")
    axis.set_ylabel("count")
    axis.legend(fontsize=6)


def _images(axis, pictures):
    if "target" not in pictures:
        return _empty(axis, "no images to show")
    target, output = pictures["target"], pictures["output"]
    mean = pictures["mean"][0]
    low, high = float(target.min()), float(target.max())
    rows = [np.concatenate(list(group), axis=-1) for group in (target, output)]
    rows.append(np.concatenate([mean] * len(target), axis=-1))
    sheet = np.nan_to_num(np.concatenate(rows, axis=-2))
    sheet = np.clip((sheet - low) / max(high - low, 1e-9), 0, 1)
    picture = sheet.transpose(1, 2, 0) if sheet.shape[0] == 3 else sheet[0]
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title("target, output, mean image (one fixed range)", fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
