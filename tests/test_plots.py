import inspect
import io
import os

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from nbclient import NotebookClient

from ae_lib import plots
from ae_lib.data import Images
from ae_lib.logbook import Logbook
from ae_lib.metrics import mse, psnr
from ae_lib.plots.style import PALETTE


def pixels(n=10, shape=(3, 8, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)


def unit(*arguments, **options):
    return pixels(*arguments, **options) / 255


HISTORY = {"train_loss": [0.03, 0.02, 0.01], "val_loss": [0.04, 0.03, 0.02]}
SNAPSHOTS = {"inputs": pixels(4), "reconstructions": [pixels(4, seed=1)] * 3}
# flow_chart and windows show no data, so they credit none, and have tests elsewhere.
OF_DATA = [name for name in plots.__all__ if name not in ("flow_chart", "windows")]
EVERY = {
    "samples": lambda **o: plots.samples(pixels(), **o),
    "reconstructions": lambda **o: plots.reconstructions(pixels(), unit(seed=1), **o),
    "compare": lambda **o: plots.compare(pixels(), {"PCA": unit(seed=1)}, **o),
    "progress": lambda **o: plots.progress(SNAPSHOTS, **o),
    "interpolation": lambda **o: plots.interpolation(unit(5), **o),
    "neighbours": lambda **o: plots.neighbours(
        pixels(2), pixels(6).unflatten(0, (2, 3)), **o
    ),
    "filters": lambda **o: plots.filters(unit(4) - 0.5, **o),
    "feature_maps": lambda **o: plots.feature_maps(unit(1, (6, 8, 8))[0], **o),
    "curves": lambda **o: plots.curves({"a": HISTORY}, **o),
    "bars": lambda **o: plots.bars({"a": [1, 2]}, "y", **o),
    "line_with_spread": lambda **o: plots.line_with_spread(
        [1, 2], {"a": [[1, 2]]}, "x", "y", **o
    ),
    "histograms": lambda **o: plots.histograms({"a": [1, 2, 3]}, "x", **o),
    "latent_map": lambda **o: plots.latent_map(
        torch.eye(2), torch.tensor([0, 1]), ["a", "b"], **o
    ),
    "code_histogram": lambda **o: plots.code_histogram(torch.eye(3), **o),
    "run_pages": lambda **o: plots.run_pages(some_book(), **o),
}


def some_book():
    book = Logbook(pixels())
    book.note(torch.nn.Conv2d(3, 3, 1))
    return book


def test_every_function_is_tried_here():
    assert set(EVERY) == set(OF_DATA)


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_every_figure_is_white_narrow_credited_and_leaves_no_trace(draw):
    with plt.style.context("dark_background"):
        before = dict(plt.rcParams)
        figure = draw(source="digits (stand-in for MNIST)")
        assert dict(plt.rcParams) == before
        png = figure._repr_png_()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []
    assert figure.get_facecolor() == to_rgba("white")
    assert figure.get_figwidth() <= 9
    assert figure.get_supxlabel() == "digits (stand-in for MNIST)"
    shown = plt.imread(io.BytesIO(png))
    assert shown[0, 0].tolist() == [1, 1, 1, 1]  # opaque
    assert shown.shape[1] <= 960
    sizes = [t.get_fontsize() for t in figure.findobj(plt.Text) if t.get_text()]
    assert min(sizes) == 8  # the credit line; all else is larger
    assert all(size >= 9 for size in sorted(sizes)[1:])
    assert draw().get_supxlabel() == ""


@pytest.mark.parametrize("name", OF_DATA)
def test_every_function_takes_a_source(name):
    assert inspect.signature(getattr(plots, name)).parameters["source"].default == ""


def texts(axes):
    return [text.get_text() for text in axes.texts]


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def array(axes, number):
    return np.asarray(axes.images[number].get_array())


def test_samples_show_images_of_any_kind_in_their_order():
    x = pixels(40)
    labels = torch.zeros(40, dtype=torch.int64)
    images = Images(x, labels, ("any",), "test", "random", "test")
    for given in (images, x, x / 255):
        (axes,) = plots.samples(given, n=12, columns=5).axes
        assert len(axes.images) == 12
        assert np.allclose(array(axes, 7), x[7].permute(1, 2, 0) / 255)
    lefts = [image.get_extent()[0] for image in axes.images]
    assert lefts[0] == lefts[5] == 0 and lefts[4] > lefts[3]


def test_grey_images_keep_the_fixed_range():
    dim = unit(3, (1, 8, 8)) * 0.1
    (axes,) = plots.samples(dim).axes
    assert [image.get_clim() for image in axes.images] == [(0, 1)] * 3
    assert array(axes, 0).shape == (8, 8)


def test_titles_stand_above_the_images():
    (axes,) = plots.samples(pixels(3), titles=["cat", "dog", "frog"]).axes
    assert texts(axes) == ["cat", "dog", "frog"]
    with pytest.raises(ValueError, match="titles must hold 3 texts"):
        plots.samples(pixels(3), titles=["cat"])


def test_reconstructions_show_errors_on_a_fixed_scale():
    x, x_hat = unit(12), unit(12, seed=1)
    figure = plots.reconstructions(x, x_hat, n=5, labels=("noisy", "clean"))
    axes, bar = figure.axes[0], figure.axes[0].child_axes[0]
    assert len(axes.images) == 15
    assert [image.get_clim() for image in axes.images[10:]] == [(0, 0.5)] * 5
    assert bar.get_ylim() == (0, 0.5)
    assert np.allclose(array(axes, 11), (x[1] - x_hat[1]).abs().mean(dim=0))
    assert names(axes) == ["noisy", "clean", "|error|"]
    expected = psnr(mse(x[2:3], x_hat[2:3]))
    assert texts(axes)[2] == f"{expected:.1f} dB"


def test_reconstructions_are_clipped_for_display_and_not_for_the_numbers():
    x = torch.ones(1, 1, 4, 4)
    axes = plots.reconstructions(x, x + 0.1).axes[0]
    assert array(axes, 1).max() == 1
    assert texts(axes) == ["20.0 dB"]
    with pytest.raises(ValueError, match="\\[0, 1\\]"):
        plots.reconstructions(x + 0.1, x)


def test_compare_gives_the_numbers_of_the_whole_set():
    x, x_hat = unit(20), unit(20, seed=1)
    rows = {"PCA": x_hat, "copy": 0.9 * x}
    (axes,) = plots.compare(x, rows, n=4, first="clean").axes
    assert len(axes.images) == 12
    error = mse(x, x_hat)
    assert names(axes)[0] == "clean\n20 images measured"
    assert names(axes)[1] == f"PCA\nMSE {error:.2g}, {psnr(error):.1f} dB"
    assert names(axes)[2].startswith("copy\n")


@pytest.mark.parametrize(
    ("epochs", "chosen"),
    [(1, [1]), (3, [1, 2, 3]), (6, [1, 2, 3, 4, 6]), (32, [1, 2, 4, 8, 16, 32])],
)
def test_progress_shows_first_and_last_epoch(epochs, chosen):
    steps = [unit(3, seed=seed) for seed in range(1, epochs + 1)]
    (axes,) = plots.progress({"inputs": pixels(3), "reconstructions": steps}).axes
    assert names(axes)[0] == "input"
    assert [name.split("\n")[0] for name in names(axes)[1:]] == [
        f"epoch {epoch}" for epoch in chosen
    ]
    assert np.allclose(array(axes, -3), steps[-1][0].permute(1, 2, 0))
    assert names(axes)[-1].endswith(f"{psnr(mse(pixels(3), steps[-1])):.1f} dB")


@pytest.mark.parametrize(
    "snapshots", [{"train": SNAPSHOTS}, {"inputs": pixels(2), "reconstructions": []}]
)
def test_progress_says_what_a_snapshot_is(snapshots):
    with pytest.raises(ValueError, match='pass history.snapshots\\["validation"\\]'):
        plots.progress(snapshots)


def test_interpolation_counts_from_0_to_1():
    (axes,) = plots.interpolation(unit(10).unflatten(0, (2, 5))).axes
    assert texts(axes) == ["t = 0", "0.25", "0.5", "0.75", "t = 1"]
    assert len(axes.images) == 10
    with pytest.raises(ValueError, match="T >= 2"):
        plots.interpolation(unit(1))


def test_neighbours_stand_apart_from_their_query():
    near = pixels(6, seed=1).unflatten(0, (2, 3))
    (axes,) = plots.neighbours(pixels(2), near).axes
    assert len(axes.images) == 8
    assert texts(axes) == ["query", "nearest"]
    edges = [image.get_extent()[:2] for image in axes.images[:4]]
    gaps = [b[0] - a[1] for a, b in zip(edges, edges[1:], strict=False)]
    assert gaps[0] > 3 * gaps[1] and gaps[1] == pytest.approx(gaps[2])
    titles = [["cat", "dog", "dog", "cat"], ["a", "b", "c", "d"]]
    assert texts(plots.neighbours(pixels(2), near, titles=titles).axes[0])[4] == "a"
    with pytest.raises(ValueError, match="2 queries"):
        plots.neighbours(pixels(2), pixels(3)[None])
    with pytest.raises(ValueError, match="2 rows"):
        plots.neighbours(pixels(2), near, titles=titles[:1])
    by = ["by code", "by pixels"]
    assert names(plots.neighbours(pixels(2), near, names=by).axes[0]) == by
    with pytest.raises(ValueError, match="names must hold 2"):
        plots.neighbours(pixels(2), near, names=by[:1])


def test_filters_of_one_channel_share_a_scale_around_zero():
    weight = torch.tensor([0.2, -0.5, 0.1]).view(3, 1, 1, 1).expand(3, 1, 3, 3)
    axes = plots.filters(weight).axes[0]
    assert {image.get_clim() for image in axes.images} == {(-0.5, 0.5)}
    assert axes.child_axes[0].get_ylim() == (-0.5, 0.5)


def test_filters_of_three_channels_are_grey_at_zero():
    weight = torch.stack([torch.zeros(3, 3, 3), torch.full((3, 3, 3), -0.25)])
    axes = plots.filters(weight, columns=1).axes[0]
    assert (array(axes, 0) == 0.5).all() and (array(axes, 1) == 0).all()
    assert axes.get_title(loc="left") == "grey: 0, brightest and darkest: ±0.25"
    with pytest.raises(ValueError, match="weight\\[:, :1\\]"):
        plots.filters(torch.zeros(4, 16, 3, 3))


def test_feature_maps_share_one_scale():
    axes = plots.feature_maps(torch.arange(20.0).view(20, 1, 1).expand(20, 4, 4)).axes[
        0
    ]
    assert len(axes.images) == 16
    assert {image.get_clim() for image in axes.images} == {(0, 15)}
    assert texts(axes)[:3] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="maps\\[0\\]"):
        plots.feature_maps(torch.zeros(1, 4, 8, 8))


def test_curves_of_dicts_and_histories():
    class History:
        train_loss, val_loss = [0.03, 0.02], []

    figure = plots.curves(
        {"a": HISTORY, "b": History()}, baselines={"mean image": 0.06}
    )
    (axes,) = figure.axes
    solid, dashed, other, baseline = axes.lines
    assert list(solid.get_xdata()) == [1, 2, 3]
    assert list(dashed.get_ydata()) == HISTORY["val_loss"]
    assert solid.get_linestyle() == "-" and dashed.get_linestyle() == "--"
    assert solid.get_color() == dashed.get_color() == PALETTE[0]
    assert other.get_color() == PALETTE[1]
    assert list(baseline.get_ydata()) == [0.06, 0.06]
    assert texts(axes) == ["mean image"]
    assert axes.get_yscale() == "log"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["a, training", "a, validation", "b, training"]
    (linear,) = plots.curves({"a": HISTORY}, log=False).axes
    assert linear.get_yscale() == "linear" and linear.get_ylim()[0] == 0


def test_log_axes_carry_plain_numbers():
    (axes,) = plots.curves({"a": HISTORY}).axes
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    shown = [label.get_text() for tick, label in ticks if low <= tick <= high]
    assert shown == ["0.01", "0.02"]


def test_bars_show_mean_spread_and_every_run():
    (axes,) = plots.bars({"PCA": [2.0], "network": [1.0, 2.0, 6.0]}, "MSE").axes
    assert [bar.get_height() for bar in axes.patches] == [2, 3]
    assert axes.get_ylim()[0] == 0
    dots = [
        c.get_offsets()[:, 1].tolist() for c in axes.collections if len(c.get_offsets())
    ]
    assert [2.0] in dots and [1.0, 2.0, 6.0] in dots
    (container,) = [c for c in axes.containers if hasattr(c, "has_yerr")]
    (segment,) = container.lines[2][0].get_segments()
    deviation = np.std([1, 2, 6], ddof=1)
    assert segment[:, 1].tolist() == pytest.approx([3 - deviation, 3 + deviation])
    assert axes.get_title(loc="left") == "mean ± standard deviation of 1 to 3 seeds"


def test_bars_on_a_log_axis_have_no_bars():
    (axes,) = plots.bars({"a": [1.0], "b": [10.0]}, "MSE", log=True).axes
    assert len(axes.patches) == 0 and axes.get_yscale() == "log"
    assert axes.get_title(loc="left") == ""


def test_lines_have_a_band_from_lowest_to_highest():
    values = {"a": np.array([[1.0, 2.0], [3.0, 6.0]]), "b": [1.0, 1.0]}
    (axes,) = plots.line_with_spread([10, 20], values, "x", "y", True, True).axes
    assert axes.lines[0].get_ydata().tolist() == [2, 4]
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert set(corners[corners[:, 0] == 20][:, 1]) == {2, 6}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    with pytest.raises(ValueError, match="\\(seeds, 2\\)"):
        plots.line_with_spread([1, 2], {"a": [1, 2, 3]}, "x", "y")


def test_more_groups_than_colours_are_refused():
    with pytest.raises(ValueError, match="1 to 8 groups apart, got 9"):
        plots.bars({str(i): [1.0] for i in range(9)}, "y")


def test_histograms_share_bins_and_count_in_shares():
    groups = {"a": torch.tensor([0.0, 0.0, 0.0, 1.0]), "b": [1.0, 2.0]}
    (axes,) = plots.histograms(groups, "MSE", bins=2).axes
    filled = [patch for patch in axes.patches if hasattr(patch, "get_height")]
    assert [patch.get_height() for patch in filled] == [0.75, 0.25, 0, 1]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["a (n = 4)", "b (n = 2)"]


def test_latent_map_names_classes_where_there_is_room():
    points = torch.tensor([[0.0, 0], [0, 1], [9, 9], [9, 8], [9, 8.5]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    (axes,) = plots.latent_map(points, labels, ["cat", "dog"]).axes
    assert [len(c.get_offsets()) for c in axes.collections] == [2, 3]
    assert texts(axes) == ["cat", "dog"]
    assert tuple(axes.texts[1].xy) == (9, 8.5)
    (crowded,) = plots.latent_map(points, torch.tensor([0, 1, 0, 1, 1]), "ab").axes
    assert len(crowded.collections) == 2 and len(texts(crowded)) in (0, 2)
    (covered,) = plots.latent_map(points[[0, 0]], labels[[0, 2]], "ab").axes
    assert texts(covered) == []
    with pytest.raises(ValueError, match="points \\(N, 2\\)"):
        plots.latent_map(points, labels[:3], ["cat", "dog"])
    with pytest.raises(ValueError, match="10 classes apart"):
        plots.latent_map(points, labels, list("abcdefghijk"))


def test_code_histogram_counts_zeros_and_dead_dimensions():
    codes = torch.tensor([[0.0, 1.0, 0.0, 5.0], [2.0, 3.0, 0.0, 5.0]])
    left, right = plots.code_histogram(codes).axes
    assert left.get_title(loc="left") == "37.5% are exactly zero"
    assert sum(patch.get_height() for patch in left.patches) == 5
    assert right.get_title(loc="left") == "2 of 4 dimensions never change"
    assert right.lines[0].get_ydata().tolist() == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="N >= 2"):
        plots.code_histogram(codes[:1])


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8), torch.zeros(2, 4, 8, 8)])
def test_other_things_than_images_are_refused(wrong):
    with pytest.raises(ValueError, match="image\\[None\\]"):
        plots.samples(wrong)


def test_a_notebook_shows_each_figure_once(tmp_path, root, monkeypatch):
    """Exactly one picture, before pyplot is imported, after it, and with the magic."""
    cells = [
        "import torch\nfrom ae_lib import plots\nx = torch.zeros(2, 3, 8, 8)",
        "plots.samples(x)",
        "import matplotlib.pyplot as plt",
        "plots.samples(x)",
        "%matplotlib inline\nplots.samples(x)",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    NotebookClient(
        notebook, timeout=120, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()  # fmt: skip
    shown = [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in notebook.cells
    ]
    assert shown == [0, 1, 0, 1, 1]
