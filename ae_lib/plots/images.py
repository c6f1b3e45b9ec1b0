"""Figures made of images: samples, reconstructions, comparisons, progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ae_lib.data import Images, to_unit
from ae_lib.metrics import mse, mse_per_image, psnr
from ae_lib.plots.style import colour_bar, grid, styled

LARGEST_ERROR = 0.5  # the end of the colour scale of every error map
MOST_EPOCHS = 6  # rows of reconstructions in a figure of progress


@styled
def samples(
    images: Images | Tensor,
    n: int = 32,
    columns: int = 8,
    titles: Sequence[str] | None = None,
    source: str = "",
) -> Figure:
    """Show the first n images in rows; `titles` holds a text for each of them."""
    shown = _inputs(images)[:n]
    titles = _texts("titles", titles, len(shown))
    starts = range(0, len(shown), columns)
    return grid(
        [shown[i : i + columns] for i in starts],
        above=[titles[i : i + columns] for i in starts],
        source=source,
    )[0]


@styled
def reconstructions(
    x: Images | Tensor,
    x_hat: Tensor,
    n: int = 8,
    titles: Sequence[str] | None = None,
    labels: tuple[str, str] = ("input", "reconstruction"),
    source: str = "",
) -> Figure:
    """Show the first n images, their reconstructions, and where they differ.

    The third row maps the absolute error, averaged over the channels, on the fixed
    range 0 to 0.5. Below each image stands its own PSNR. `titles` holds a text for
    each image shown. Reconstructions are clipped to [0, 1] for display only.
    """
    quality = psnr(mse_per_image(x, x_hat)[:n])
    top, bottom = _inputs(x)[:n], _outputs(x_hat)[:n]
    error = (to_unit(_pixels(x)[:n]) - _unit(x_hat)[:n]).abs().mean(dim=1)
    heat = {"cmap": "magma", "vmin": 0, "vmax": LARGEST_ERROR}
    figure, axes = grid(
        [top, bottom, error.detach().cpu().numpy()],
        names=[*labels, "|error|"],
        above=[_texts("titles", titles, len(top))],
        below=[f"{value:.1f} dB" for value in quality],
        styles=[{}, {}, heat],
        bar=True,
        source=source,
    )
    colour_bar(axes, axes.images[-len(top) :], "|error|")
    return figure


@styled
def compare(
    x: Images | Tensor,
    methods: Mapping[str, Tensor],
    n: int = 8,
    titles: Sequence[str] | None = None,
    source: str = "",
    first: str = "input",
) -> Figure:
    """Show the first n images and, below, what each method makes of them.

    `methods` maps a name to reconstructions of all of `x`: the MSE and the PSNR beside
    each row are those of the whole set, not of the images shown. `first` names the row
    of `x`.
    """
    names = [f"{first}\n{len(x):,} images measured"]
    for name, x_hat in methods.items():
        error = mse(x, x_hat)
        names.append(f"{name}\nMSE {error:.2g}, {psnr(error):.1f} dB")
    rows = [_inputs(x)[:n], *(_outputs(x_hat)[:n] for x_hat in methods.values())]
    above = [_texts("titles", titles, len(rows[0]))]
    return grid(rows, names=names, above=above, source=source)[0]


@styled
def progress(snapshots: Mapping, n: int = 8, source: str = "") -> Figure:
    """Show how the reconstructions of the same images improve, epoch by epoch.

    `snapshots` is {"inputs": (N, C, H, W), "reconstructions": one tensor per epoch},
    as in `history.snapshots["validation"]`. Of more than six epochs, six are shown:
    the first, the last, and four between them at growing distance. The PSNR is that
    of all N images of the snapshot.
    """
    if "inputs" not in snapshots or not snapshots.get("reconstructions"):
        raise ValueError(
            'snapshots must hold "inputs" and a non-empty list "reconstructions", got '
            f'{sorted(snapshots)}; pass history.snapshots["validation"]'
        )
    x, epochs = snapshots["inputs"], snapshots["reconstructions"]
    chosen = np.geomspace(1, len(epochs), min(MOST_EPOCHS, len(epochs)))
    chosen = sorted({round(epoch) for epoch in chosen})
    rows, names = [_inputs(x)[:n]], ["input"]
    for epoch in chosen:
        x_hat = epochs[epoch - 1]
        rows.append(_outputs(x_hat)[:n])
        names.append(f"epoch {epoch}\n{psnr(mse(x, x_hat)):.1f} dB")
    return grid(rows, names=names, source=source)[0]


@styled
def interpolation(frames: Tensor, source: str = "") -> Figure:
    """Show decoded images on the way from one code (t = 0) to another (t = 1).

    `frames` is (T, C, H, W), or (rows, T, C, H, W) for several pairs.
    """
    frames = frames[None] if frames.ndim == 4 else frames
    if frames.ndim != 5 or frames.shape[1] < 2:
        raise ValueError(
            "frames must be (T, C, H, W) or (rows, T, C, H, W) with T >= 2, got "
            f"{tuple(frames.shape)}"
        )
    steps = np.linspace(0, 1, frames.shape[1])
    above = [[f"t = {steps[0]:.0f}", *(f"{t:.2g}" for t in steps[1:-1]), "t = 1"]]
    return grid([_outputs(row) for row in frames], above=above, source=source)[0]


@styled
def neighbours(
    query_images: Images | Tensor,
    neighbour_images: Tensor,
    titles: Sequence[Sequence[str]] | None = None,
    source: str = "",
    names: Sequence[str] = (),
) -> Figure:
    """Show each query image, a gap, and its nearest neighbours, nearest first.

    `query_images` is (Q, C, H, W), `neighbour_images` (Q, K, C, H, W). `titles` holds
    for each row 1 + K texts: one for the query, then one for each neighbour.
    `names` stand left of the rows.
    """
    queries = _inputs(query_images)
    if neighbour_images.ndim != 5 or len(neighbour_images) != len(queries):
        raise ValueError(
            f"neighbour_images must be ({len(queries)}, K, C, H, W) for "
            f"{len(queries)} queries, got {tuple(neighbour_images.shape)}"
        )
    rows = [
        [query, *_inputs(near)]
        for query, near in zip(queries, neighbour_images, strict=True)
    ]
    columns = len(rows[0])
    if titles is None:
        titles = [["query", "nearest", *[""] * (columns - 2)]]
    elif len(titles) != len(rows):
        raise ValueError(f"titles must hold {len(rows)} rows, got {len(titles)}")
    above = [_texts("each row of titles", row, columns) for row in titles]
    if names and len(names) != len(rows):
        raise ValueError(f"names must hold {len(rows)} texts, got {len(names)}")
    return grid(rows, names=names, above=above, first_gap=0.3, source=source)[0]


def _texts(name: str, texts: Sequence[str] | None, n: int) -> list[str]:
    if texts is None:
        return [""] * n
    if len(texts) != n:
        raise ValueError(
            f"{name} must hold {n} texts, one for each image shown, got {len(texts)}"
        )
    return list(texts)


def _pixels(images: Images | Tensor) -> Tensor:
    pixels = getattr(images, "pixels", images)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or len(pixels) == 0:
        raise ValueError(
            "expected at least one image, (N, 1 or 3, H, W), got "
            f"{tuple(pixels.shape)}; for one image use image[None]"
        )
    return pixels


def _unit(x_hat: Tensor) -> Tensor:
    """Return reconstructions as float, clipped to the range that can be shown."""
    return to_unit(x_hat) if not x_hat.is_floating_point() else x_hat.clamp(0, 1)


def _inputs(images: Images | Tensor) -> list[np.ndarray]:
    """Turn images in [0, 1] or uint8 into arrays (H, W) or (H, W, 3) in [0, 1]."""
    pixels = to_unit(_pixels(images)).detach().cpu()
    return [image.permute(1, 2, 0).squeeze(-1).numpy() for image in pixels]


def _outputs(x_hat: Tensor) -> list[np.ndarray]:
    return _inputs(_unit(_pixels(x_hat)))
