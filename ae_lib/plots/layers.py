"""Figures of what is inside a network: its filters and its feature maps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ae_lib.plots.style import colour_bar, grid, styled


@styled
def filters(weight: Tensor, columns: int = 16, source: str = "") -> Figure:
    """Show filters of one input channel in two hues, of three channels in colour.

    `weight` is (filters, 1 or 3, H, W), as in `Conv2d.weight`; of a `ConvTranspose2d`
    pass `weight.transpose(0, 1)`. All filters share one scale with zero in its middle,
    which the figure states. The components of PCA can be shown alike, unflattened.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(
            f"weight must be (filters, 1 or 3, H, W), got {tuple(weight.shape)}; "
            "of deeper layers show one input channel: weight[:, :1]"
        )
    weight = weight.detach().float().cpu()
    largest = weight.abs().max().item() or 1.0
    if weight.shape[1] == 1:
        style = {"cmap": "PuOr", "vmin": -largest, "vmax": largest}
        images, note = weight.squeeze(1).numpy(), ""
    else:
        style = {}
        images = (0.5 + 0.5 * weight / largest).permute(0, 2, 3, 1).numpy()
        note = f"grey: 0, brightest and darkest: ±{largest:.2g}"
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    figure, axes = grid(
        rows,
        styles=[style] * len(rows),
        largest=0.8,
        bar=not note,
        title=note,
        source=source,
    )
    if not note:
        colour_bar(axes, axes.images, "weight")
    return figure


@styled
def feature_maps(
    maps: Tensor, n: int = 16, columns: int = 8, source: str = ""
) -> Figure:
    """Show the first n feature maps of one image, all on one scale.

    `maps` is (channels, H, W). The scale starts at zero, or at the smallest value
    where that is negative, and ends at the largest.
    """
    if maps.ndim != 3:
        raise ValueError(
            f"maps must be (channels, H, W), got {tuple(maps.shape)}; "
            "of a batch show one image: maps[0]"
        )
    images = maps.detach().float().cpu()[:n].numpy()
    low, high = min(0.0, float(images.min())), float(images.max())
    style = {"cmap": "viridis", "vmin": low, "vmax": max(high, low + 1e-6)}
    numbers = np.arange(len(images)).astype(str).tolist()
    starts = range(0, len(images), columns)
    figure, axes = grid(
        [images[i : i + columns] for i in starts],
        above=[numbers[i : i + columns] for i in starts],
        styles=[style] * len(starts),
        bar=True,
        source=source,
    )
    colour_bar(axes, axes.images, "activation")
    return figure
