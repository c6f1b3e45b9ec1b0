"""The panels beside the explorer of a code, and what all of them share."""

import ast
import html
import io
import re
import statistics
import xml.etree.ElementTree as ET
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import ae_lib.explore
from ae_lib.corruptions import gaussian, mask
from ae_lib.explore import (
    DenoisingPanel,
    Picture,
    RunPanel,
    WindowPanel,
    explore_denoising,
    explore_runs,
    explore_windows,
    png,
)
from ae_lib.explore.__main__ import LIMIT, panels, seconds
from ae_lib.explore.panel import Panel, strip
from ae_lib.explore.runs import draw_codes, draw_error
from ae_lib.explore.svg import LogScale
from ae_lib.logbook import Logbook
from ae_lib.metrics import mse, psnr
from ae_lib.models import ConvAutoencoder
from ae_lib.plots import run_pages
from ae_lib.plots import windows as draw_windows
from ae_lib.windows import Window


def pictures(panel):
    return [picture.data for picture in panel.pictures]


def texts(svg):
    """List the texts of a drawing, and so hold that it is well-formed XML."""
    return [
        node.text for node in ET.fromstring(svg).iter() if node.tag.endswith("text")
    ]


def controls(box):
    """List what a reader can turn, at any depth."""
    if isinstance(box, widgets.Box):
        return [control for child in box.children for control in controls(child)]
    shown = (widgets.HTML, widgets.Label)
    return [] if isinstance(box, shown) else [box]


# -------------------------------------------------------------------------- windows

NUMBERS = {
    "size": st.integers(1, 9), "kernel": st.integers(1, 6),
    "stride": st.integers(1, 4), "padding": st.integers(0, 3),
    "output_padding": st.integers(0, 3), "transposed": st.booleans(),
}  # fmt: skip


def by_torch(size, kernel, stride, padding, output_padding, transposed):
    """Let PyTorch join each input to the outputs: weight + 1, or 0 (out, size)."""
    ones = torch.eye(size)[:, None]
    weight = torch.arange(1.0, kernel + 1).view(1, 1, -1)
    if transposed:
        y = F.conv_transpose1d(ones, weight, None, stride, padding, output_padding)
    else:
        y = F.conv1d(ones, weight, None, stride, padding)
    return y[:, 0].T


@given(st.fixed_dictionaries(NUMBERS))
def test_windows_join_what_pytorch_joins(numbers):
    more = numbers["output_padding"]
    if more and (not numbers["transposed"] or more >= numbers["stride"]):
        with pytest.raises(ValueError, match="output_padding"):
            Window(**numbers)
        return
    try:
        window = Window(**numbers)
    except ValueError:
        with pytest.raises(RuntimeError):  # PyTorch sees no such layer either
            by_torch(**numbers)
        return
    expected = by_torch(**numbers)
    assert torch.equal(window.taps() + 1, expected.long())
    assert window.out == len(expected) == int(window.formula().split()[-1])
    joined = expected > 0
    assert torch.equal(window.seen(), joined.sum(1))
    assert torch.equal(window.reached(), joined.sum(0))


@given(st.integers(1, 7), st.integers(1, 4), st.booleans())
def test_the_kinds_of_pixel_are_those_of_the_middle(kernel, stride, transposed):
    window = Window(40, kernel, stride, transposed=transposed)
    counts = window.seen() if transposed else window.reached()
    middle = counts[3 * stride + kernel : 6 * stride + kernel].tolist()
    assert set(middle) == set(window.phases())
    assert window.even == (len(set(middle)) == 1)
    assert window.verdict().startswith("even" if window.even else "uneven")
    assert ("holes" in window.verdict()) == (min(middle) == 0)
    assert torch.equal(window.overlap(), counts[:, None] * counts)


@pytest.mark.parametrize("size", range(6, 12))
def test_what_was_forgotten_brings_the_size_back(size):
    down = Window(size, 3, 3, 1)
    assert Window(down.out, 3, 3, 1, down.forgotten, transposed=True).out == size


NO_WINDOWS = {
    "kernel too large": ({"size": 2, "kernel": 5}, r"no pixel comes out: .* = -"),
    "cut away": (
        {"size": 1, "kernel": 1, "padding": 2, "transposed": True}, "less padding",
    ),
    "no stride": ({"size": 2, "kernel": 1, "stride": 0}, "stride must be a whole"),
    "half a pixel": ({"size": 2.5, "kernel": 1}, "size must be a whole number"),
    "not transposed": (
        {"size": 5, "kernel": 3, "stride": 2, "output_padding": 1}, "belongs to",
    ),
    "as large as the stride": (
        {"size": 5, "kernel": 3, "output_padding": 1, "transposed": True},
        "smaller than the stride",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("numbers", "message"), NO_WINDOWS.values(), ids=NO_WINDOWS)
def test_impossible_windows_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        Window(**numbers)


def test_every_slider_of_the_windows_changes_a_picture():
    panel = WindowPanel(Window(5, 3, 2, 1, 0, transposed=True))
    for control in [*panel.sliders.values(), panel.pixel]:
        before, value = pictures(panel), control.value
        control.value += 1
        assert pictures(panel) != before, control.description
        assert panel.message.value == ""
        control.value = value
    panel.kind.value = False
    assert panel.window() == Window(5, 3, 2, 1)
    assert panel.sliders["output_padding"].disabled


def test_the_drawing_holds_the_counts_and_the_words_say_the_sizes():
    panel = WindowPanel(Window(5, 3, 2, 1, 1, transposed=True))
    panel.pixel.value = 3
    inputs, outputs = ["2", "3", "3", "3", "3"], list("1212121211")
    shown = [text for text in texts(panel.lines.data) if text.isdigit()]
    assert shown == inputs + outputs
    assert "5 → 10 pixels: (5 − 1)·2 − 2·1 + 3 + 1 = 10." in panel.lines.words
    assert "Output pixel 3 sees input 1, 2 through weight 2, 0." in panel.text.value
    assert "uneven overlap: 1 or 2 or 4 stamps" in panel.map.words
    counts = [int(t) for t in texts(panel.map.data) if t.isdigit()]
    assert counts == panel.window().overlap().flatten().tolist()


def test_a_shorter_output_moves_the_pixel_inside():
    panel = WindowPanel(Window(16, 3, 1, 1))
    panel.pixel.value = 15
    panel.sliders["stride"].value = 4
    assert panel.pixel.value == panel.pixel.max == panel.window().out - 1
    assert panel.message.value == ""


def test_an_impossible_layer_is_said_and_forgotten_again():
    panel = WindowPanel(Window(5, 3, 2, 1))
    before, shown = pictures(panel), panel.lines.value
    panel.sliders["padding"].value = 0
    panel.sliders["size"].value = 1
    assert "no pixel comes out: ⌊(1 + 2·0 − 3) / 2⌋ + 1 = 0" in panel.message.value
    assert "opacity" in panel.lines.value and "opacity" in panel.map.value
    assert panel.text.value == ""
    panel.sliders["size"].value, panel.sliders["padding"].value = 5, 1
    assert panel.message.value == ""
    assert pictures(panel) == before and panel.lines.value == shown
    assert type(explore_windows("conv")) is widgets.HTML
    assert "expected an ae_lib.windows.Window" in explore_windows("conv").value


def test_the_static_twin_of_the_windows_shows_the_same_numbers():
    window = Window(5, 3, 2, 1, 1, transposed=True)
    figure = draw_windows({"a": window, "b": Window(8, 4, 2, 1)}, pixel=3)
    assert len(figure.axes) == 4
    shown = [t.get_text() for t in figure.axes[0].texts if t.get_text().isdigit()]
    assert shown == [*"23333", *"1212121211"]
    assert np.array_equal(figure.axes[1].images[0].get_array(), window.overlap())
    assert figure.texts[0].get_text() == f"a: {window.formula()}"
    with pytest.raises(ValueError, match="pixel must be from 0 to 3"):
        draw_windows({"b": Window(8, 4, 2, 1)}, pixel=4)
    with pytest.raises(ValueError, match="at least one"):
        draw_windows({})


# ------------------------------------------------------------------------ denoising


def some_pixels(n=6, shape=(3, 8, 12)):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)


CORRUPTIONS = {"Gaussian": (gaussian, 0.4), "masked": (mask, 0.75)}


def half(y):
    return (y + 0.5) / 2


def denoising(**denoisers):
    return DenoisingPanel(some_pixels(), CORRUPTIONS, denoisers or {"half": half}, n=3)


def test_the_rows_are_image_spoilt_and_answers():
    panel = denoising(half=half, same=lambda y: y)
    x = some_pixels()[:3] / 255
    panel.strength.value = 0.1
    spoilt = gaussian(x, panel.strength.value, torch.Generator().manual_seed(0))
    assert torch.equal(panel.spoilt(), spoilt)
    expected = {"image": x, "spoilt": spoilt, "half": half(spoilt), "same": spoilt}
    assert {name: row.data for name, row in panel.rows.items()} == {
        name: strip(y) for name, y in expected.items()
    }
    for name in ("spoilt", "half", "same"):
        quality = psnr(mse(x, expected[name]))
        assert panel.labels[name].value == f"{name}: {quality:.1f} dB"
        assert panel.rows[name].words == panel.labels[name].value


def test_the_strength_changes_all_rows_but_the_first():
    panel = denoising()
    before = pictures(panel)
    panel.strength.value = panel.strength.max
    after = pictures(panel)
    assert after[0] == before[0]
    assert after[1] != before[1] and after[2] != before[2]
    panel.strength.value = 0.0
    assert panel.rows["spoilt"].data == panel.rows["image"].data
    assert panel.labels["spoilt"].value == "spoilt: inf dB"


def test_noise_grows_and_is_drawn_anew_on_demand():
    panel = denoising()
    panel.strength.value = 0.02
    weak = panel.spoilt() - panel.x
    panel.strength.value = 0.01
    inside = (panel.x > 0.1) & (panel.x < 0.9)
    torch.testing.assert_close(2 * (panel.spoilt() - panel.x)[inside], weak[inside])
    before = panel.rows["spoilt"].data
    panel.again.click()
    assert panel.rows["spoilt"].data != before


def test_another_corruption_has_its_own_range():
    panel = denoising()
    assert panel.strength.max == 0.4
    drawn = []
    panel.rows["spoilt"].observe(drawn.append, "value")
    panel.kind.value = "masked"
    assert panel.strength.max == 0.75 and panel.strength.value == 0.375
    assert len(drawn) == 1
    lost = (panel.spoilt() == 0).all(dim=1).float().mean()
    assert 0.2 < lost < 0.55


def test_a_denoiser_that_fails_leaves_the_others_alone():
    def broken(y):
        raise RuntimeError("no <GPU>")

    panel = denoising(broken=broken, flat=lambda y: y.flatten(), half=half)
    assert "broken: RuntimeError: no &lt;GPU&gt;" in panel.message.value
    assert "flat: ValueError: expected images (3, 3, 8, 12)" in panel.message.value
    assert panel.rows["half"].data == strip(half(panel.spoilt()))
    panel.denoisers.update(broken=half, flat=half)
    panel.strength.value = 0.1
    assert panel.message.value == ""


def test_a_denoiser_cannot_spoil_the_picture_of_its_input():
    panel = denoising(zeros=lambda y: y.zero_(), same=lambda y: y)
    assert panel.rows["same"].data == panel.rows["spoilt"].data != strip(panel.x * 0)


NOT_DENOISED = {
    "no images": (("cats.png",), "expected one or more images"),
    "two channels": ((torch.rand(2, 2, 8, 8),), "1 or 3 channels"),
    "not unit": ((some_pixels().float(),), r"float in \[0, 1\]"),
    "no corruption": ((some_pixels(), {}), "corruptions must be a dict"),
    "no strength": ((some_pixels(), {"a": gaussian}), "must be \\(function, largest"),
    "strength 0": ((some_pixels(), {"a": (gaussian, 0)}), "must be above 0"),
    "no denoiser": ((some_pixels(), CORRUPTIONS, {}), "denoisers must be a dict"),
    "no function": ((some_pixels(), CORRUPTIONS, {"a": 3}), "is no function"),
    "taken": ((some_pixels(), CORRUPTIONS, {"spoilt": half}), "a row of its own"),
    "too many": ((some_pixels(), CORRUPTIONS, {"a": half}, 9), "n must be from 1"),
}


@pytest.mark.parametrize(("given", "message"), NOT_DENOISED.values(), ids=NOT_DENOISED)
def test_what_cannot_be_denoised_is_said(given, message):
    defaults = (None, CORRUPTIONS, {"half": half})
    given = (*given, *defaults[len(given) :])
    with pytest.raises(ValueError, match=message) as raised:
        DenoisingPanel(*given)
    shown = explore_denoising(*given)
    assert type(shown) is widgets.HTML
    assert html.escape(str(raised.value)) in shown.value


# ----------------------------------------------------------------------------- runs


def some_book(epochs=5, shape=(3, 8, 12), n=20):
    torch.manual_seed(0)
    model = ConvAutoencoder(6, shape)
    book = Logbook(some_pixels(n, shape), {"PCA": 0.01})
    for epoch in range(epochs):
        book.note(model)
        with torch.no_grad():
            model.bottleneck.weight[epoch] = 0  # one more dead unit in the code
            model.bottleneck.bias[epoch] = 0
    return book


def test_a_page_is_what_the_network_does():
    torch.manual_seed(0)
    model = ConvAutoencoder(6, (3, 8, 12)).train()
    model.decoder.eval()
    book = Logbook(some_pixels(20))
    page = book.note(model)
    assert model.training and model.encoder.training and not model.decoder.training
    model.eval()
    with torch.no_grad():
        x_hat, z = model(book.x), model.encode(book.x)
    torch.testing.assert_close(page.x_hat, x_hat[:8])
    torch.testing.assert_close(page.codes, z)
    assert page.error == pytest.approx(mse(book.x, x_hat))
    ratio = z.std(0, correction=0).square().mean().sqrt() / z.square().mean().sqrt()
    assert page.code.signal == pytest.approx(ratio.item(), rel=1e-4)
    kinds = [layer.name.split("(")[1] for layer in page.layers]
    assert len([k for k in kinds if k == "conv2d)"]) == 2
    assert kinds[-1] == "sigmoid)"
    mean = (book.x - book.x.mean(0)).square().mean().item()
    assert book.baselines == {"mean image": pytest.approx(mean)}
    assert book.relative(1) == pytest.approx(page.error / mean)


def test_dead_units_are_counted_epoch_by_epoch():
    dead = [page.code.dead for page in some_book().pages]
    assert dead == pytest.approx([k / 6 for k in range(5)])


def test_a_network_that_ignores_its_input_has_no_signal():
    model = ConvAutoencoder(6, (3, 8, 12))
    book = Logbook(some_pixels(20))
    torch.nn.init.zeros_(model.bottleneck.weight)
    page = book.note(model)
    assert page.code.dead == 1 and page.layers[-1].dead == 1
    assert page.layers[-1].signal < 1e-6 and page.layers[0].signal > 0.1
    assert "Most dead units: 100%" in book.say(1)


def test_a_logbook_refuses_what_it_cannot_look_at():
    with pytest.raises(ValueError, match="two or more images"):
        Logbook(some_pixels(1))
    with pytest.raises(ValueError, match=r"float in \[0, 1\]"):
        Logbook(2 * some_pixels() / 255 - 1)
    book = Logbook(some_pixels())
    with pytest.raises(ValueError, match="the model must return"):
        book.note(torch.nn.Conv2d(3, 3, 3))
    with pytest.raises(ValueError, match="no layer with weights"):
        book.note(torch.nn.Identity())
    assert len(book) == 0


def test_the_epoch_changes_every_picture_but_the_images():
    panel = RunPanel({"a run": some_book()})
    before = pictures(panel)
    panel.epoch.value = 4
    same = [a == b for a, b in zip(before, pictures(panel), strict=True)]
    assert same == [picture is panel.inputs for picture in panel.pictures]
    book = panel.book()
    assert panel.outputs.data == strip(book.pages[3].x_hat, 64)
    assert panel.text.value == book.say(4) and "Epoch 4: MSE" in book.say(4)
    assert "50% of the units dead" in texts(panel.codes.data)
    bars = texts(panel.signal.data)
    told = [f"{q.signal:.2g}, {q.dead:.0%} dead" for q in book.pages[3].layers]
    assert [text for text in bars if text.endswith("dead")] == told
    assert {"epoch 4", "PCA", "mean image"} < set(texts(panel.error.data))


def test_a_shorter_run_is_shown_at_its_last_epoch():
    panel = RunPanel({"long": some_book(5), "short": some_book(2)})
    panel.epoch.value = 5
    drawn = []
    panel.error.observe(drawn.append, "value")
    panel.run.value = "short"
    assert panel.epoch.value == panel.epoch.max == 2
    assert len(drawn) == 1 and panel.message.value == ""


def test_a_run_that_diverged_can_be_drawn():
    book = some_book(2)
    model = ConvAutoencoder(6, (3, 8, 12))
    torch.nn.init.constant_(model.bottleneck.weight, torch.nan)
    book.note(model)
    panel = RunPanel({"nan": book})
    panel.epoch.value = 3
    assert panel.message.value == "" and "MSE nan" in panel.text.value
    assert "no finite value" in texts(draw_codes(book.pages[2]))
    assert b"nan" not in draw_error(book, 3)
    assert len(run_pages(book).axes) == 1 + 3 * 3


@pytest.mark.parametrize(
    ("books", "message"),
    [
        ({}, "expected a dict"),
        (some_book(1), "expected a dict"),
        ({"a": [1, 2]}, "must be a Logbook"),
        ({"a": some_book(0)}, "is empty"),
    ],
)
def test_what_is_no_run_is_said(books, message):
    with pytest.raises(ValueError, match=message):
        RunPanel(books)
    assert message in html.unescape(explore_runs(books).value)


def test_the_static_twin_of_a_run_shows_the_same_pages():
    book = some_book()
    figure = run_pages(book, epochs=[1, 4])
    errors, *rest = figure.axes
    assert np.allclose(errors.lines[0].get_ydata(), [p.error for p in book.pages])
    assert [axes.get_title(loc="left") for axes in rest[::3]] == ["epoch 1", "epoch 4"]
    for page, (images, codes, signals) in zip(
        (book.pages[0], book.pages[3]), (rest[:3], rest[3:]), strict=True
    ):
        sheet = images.images[0].get_array()
        assert sheet.shape == (16, 48, 3)
        first = page.x_hat[0].permute(1, 2, 0).numpy()
        assert np.allclose(sheet[8:, :12], first)
        assert sum(bar.get_height() for bar in codes.patches) == page.codes.numel()
        widths = [bar.get_width() for bar in signals.patches]
        assert np.allclose(widths, [max(q.signal, 1e-4) for q in page.layers])
    with pytest.raises(ValueError, match="epochs must be from 1 to 5"):
        run_pages(book, epochs=[6])
    with pytest.raises(ValueError, match="the logbook is empty"):
        run_pages(Logbook(some_pixels()))


# -------------------------------------------------------------- what all have in common


def test_every_panel_answers_within_a_tenth_of_a_second():
    """About 2 ms are usual, 20 ms with four networks: a busy machine does not fail."""
    measured = {}
    for panel, named in panels():
        for name, control in named.items():
            before = pictures(panel)
            measured[type(panel), name] = statistics.median(seconds(control, 9))
            assert pictures(panel) != before
            assert panel.message.value == ""
    assert len({kind for kind, _ in measured}) == 4
    assert max(measured.values()) < LIMIT, measured


def test_the_timing_moves_a_slider_to_both_of_its_ends():
    slider = widgets.IntSlider(min=1, max=3)
    seen = []
    slider.observe(lambda change: seen.append(change.new), "value")
    assert len(seconds(slider, 6)) == 6
    assert seen == [2, 3, 2, 1, 2, 3]


def test_every_control_has_a_name_and_a_tooltip():
    for panel, _ in panels():
        found = controls(panel)
        assert len(found) >= 2
        assert len({control.description for control in found}) == len(found)
        for control in found:
            name = "tooltip" if control.has_trait("tooltip") else "description_tooltip"
            assert len(getattr(control, name)) > 5, control.description
        for control in found:
            if hasattr(control, "continuous_update"):
                assert control.continuous_update and control.readout


def test_every_picture_has_words():
    for panel, _ in panels():
        for picture in panel.pictures:
            (alt,) = re.findall(r'alt="([^"]+)"', picture.value)
            assert html.unescape(alt) == picture.words != ""


def test_a_picture_holds_its_data_and_fades():
    picture = Picture(width=50)
    picture.fade()
    assert picture.value == ""  # nothing to turn pale yet
    picture.show(png(torch.rand(1, 4, 4)), 'a "square" & more')
    assert 'alt="a &quot;square&quot; &amp; more"' in picture.value
    assert "image/png;base64," in picture.value and picture.layout.width == "50px"
    shown = picture.value
    picture.fade()
    assert "opacity" in picture.value
    picture.show(picture.data, picture.words)
    assert picture.value == shown


def test_a_strip_has_its_images_side_by_side():
    x = torch.rand(3, 1, 4, 5)
    row = np.asarray(Image.open(io.BytesIO(strip(x, side=9))))
    assert row.shape == (8, 2 * (3 * 5 + 2))
    small = row[::2, ::2]
    assert np.array_equal(small[:, 6:11], (x[1, 0] * 255).round().byte().numpy())
    assert (small[:, [5, 11]] == 255).all()


def test_a_log_scale_keeps_inside_its_ends():
    scale = LogScale(1e-2, 1, 100, 0)
    assert [scale(v) for v in (1e-2, 1e-1, 1)] == pytest.approx([100, 50, 0])
    assert [scale(v) for v in (0, 5, float("inf"), float("nan"))] == [100, 0, 0, 0]


def test_nothing_that_a_widget_shows_is_kept_in_a_notebook(root):
    for path in (root / "chapters").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "widget-view" not in text and "widget-state" not in text, path.name


# ------------------------------------------------------------------ ipywidgets 7.7.1

# Google Colab's ipywidgets is 7.7.1. Names that it knows, of the classes used here.
COMMON = {"layout", "style", "description", "disabled", "value"}
SLIDER = COMMON | {"min", "max", "step", "readout", "readout_format"}
KNOWN_TO_7 = {
    "VBox": {"children", "layout", "box_style"},
    "HBox": {"children", "layout", "box_style"},
    "IntSlider": SLIDER | {"continuous_update"},
    "FloatSlider": SLIDER | {"continuous_update"},
    "Dropdown": COMMON | {"options", "index", "label"},
    "Button": {"description", "icon", "button_style", "disabled", "layout", "style"},
    "HTML": COMMON | {"placeholder"},
    "Label": COMMON | {"placeholder"},
}


def test_nothing_newer_than_the_ipywidgets_of_colab_is_used():
    calls = {}
    for path in Path(ae_lib.explore.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if getattr(node.func.value, "id", "") == "widgets":
                    names = {k.arg for k in node.keywords if k.arg}
                    calls.setdefault(node.func.attr, set()).update(names)
    assert {"FloatSlider", "IntSlider", "Dropdown", "Button", "HTML"} <= set(calls)
    assert {k: v - KNOWN_TO_7[k] for k, v in calls.items() if v - KNOWN_TO_7[k]} == {}


def test_controls_are_made_with_names_that_ipywidgets_7_knows(monkeypatch):
    """Keywords that are passed on as a dict cannot be read off the source."""
    given = {}

    def spy(name, made):
        def make(*arguments, **options):
            given.setdefault(name, set()).update(options)
            return made(*arguments, **options)

        return make

    for name in ("IntSlider", "FloatSlider", "Dropdown"):
        monkeypatch.setattr(widgets, name, spy(name, getattr(widgets, name)))
    for panel, _ in panels():
        assert isinstance(panel, Panel)
    assert set(given) == {"IntSlider", "FloatSlider", "Dropdown"}
    assert all(options <= KNOWN_TO_7[name] for name, options in given.items())
