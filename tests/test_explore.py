"""The explorer of a code, without a browser: its sliders are moved from Python."""

import html
import importlib
import io
import sys

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from ae_lib.baselines import PCA
from ae_lib.data import Images
from ae_lib.explore import Explorer, explore, latent, png, principal_directions
from ae_lib.models import ConvAutoencoder

SHAPE = (3, 16, 12)


def some_images(n=30, shape=SHAPE):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    return Images(pixels, labels, ("cat", "dog"), "test", "random", "test")


def some_model(latent_dim=8, shape=SHAPE):
    torch.manual_seed(0)
    return ConvAutoencoder(latent_dim, shape).eval()


@pytest.fixture
def explorer():
    return Explorer(some_model(), some_images(), dims=4)


def pixels_of(picture, shape=SHAPE):
    """Read a picture back as (C, H, W), one value for each enlarged pixel."""
    array = np.asarray(Image.open(io.BytesIO(picture.data)))
    factor = array.shape[0] // shape[1]
    assert array.shape[:2] == (shape[1] * factor, shape[2] * factor)
    return torch.tensor(array[::factor, ::factor]).view(*shape[1:], -1).permute(2, 0, 1)


def bytes_of(x_hat):
    return (x_hat.detach().clamp(0, 1) * 255).round().byte()


def values(explorer):
    pictures = (explorer.original, explorer.decoded, explorer.moved)
    return [picture.data for picture in pictures]


# -------------------------------------------------------------------- the directions


def test_directions_are_orthogonal_and_the_strongest_come_first():
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(5, 5, generator=generator)
    codes = torch.randn(400, 5, generator=generator) @ mix + 3
    directions, deviations = principal_directions(codes, 3)
    assert directions.shape == (3, 5) and deviations.shape == (3,)
    torch.testing.assert_close(directions @ directions.T, torch.eye(3))
    assert (deviations[:-1] > deviations[1:]).all()
    along = (codes - codes.mean(0)) @ directions.T
    torch.testing.assert_close(along.std(0, correction=0), deviations)
    assert (along.T @ along / 400 - torch.diag(deviations**2)).abs().max() < 1e-3
    flipped, _ = principal_directions(-codes, 3)
    torch.testing.assert_close(flipped, directions)  # the sign is no accident


# ------------------------------------------------------------------------ the sliders


def test_at_zero_the_code_is_that_of_the_image(explorer):
    model, x = some_model(), some_images().unit()
    z = model.encode(x)[0]
    assert torch.equal(explorer.code()[0], explorer.codes[0])
    torch.testing.assert_close(explorer.codes[0], z)
    original, decoded, moved = values(explorer)
    assert decoded == moved != original
    assert torch.equal(pixels_of(explorer.original), some_images().pixels[0])


def test_the_pictures_are_what_the_model_decodes(explorer):
    model = some_model()
    for i, slider in enumerate(explorer.sliders):
        slider.value = (-1.5, 0.25, 3.0, -0.75)[i]
    move = sum(
        slider.value * deviation * direction
        for slider, deviation, direction in zip(
            explorer.sliders, explorer.deviations, explorer.directions, strict=True
        )
    )
    z = explorer.codes[0]
    torch.testing.assert_close(explorer.code()[0], z + move)
    for picture, code in (explorer.decoded, z), (explorer.moved, z + move):
        expected = bytes_of(model.decode(code[None])[0])
        apart = (pixels_of(picture).int() - expected.int()).abs().max()
        assert apart <= 1  # the order of additions may turn a rounding


def test_each_slider_changes_the_third_picture_and_no_other(explorer):
    before = values(explorer)
    for slider in explorer.sliders:
        slider.value = 3.0
        after = values(explorer)
        assert after[:2] == before[:2]
        assert after[2] != before[2]
        slider.value = 0.0
        assert values(explorer) == before


def test_reset_brings_the_picture_back_at_once(explorer):
    before = values(explorer)
    for slider in explorer.sliders:
        slider.value = -2.0
    drawn = []
    explorer.moved.observe(drawn.append, "value")
    explorer.reset.click()
    assert [slider.value for slider in explorer.sliders] == [0.0] * 4
    assert values(explorer) == before
    assert len(drawn) == 1


def test_another_image_keeps_the_move(explorer):
    explorer.sliders[0].value = 2.0
    before, move = values(explorer), explorer.code()[0] - explorer.codes[0]
    explorer.choice.value = 5
    assert all(a != b for a, b in zip(values(explorer), before, strict=True))
    assert torch.equal(pixels_of(explorer.original), some_images().pixels[5])
    torch.testing.assert_close(explorer.code()[0] - explorer.codes[5], move)
    explorer.choice.value = 0
    assert values(explorer) == before


def test_only_the_first_images_are_offered_and_all_define_the_directions():
    images = some_images(40)
    explorer = Explorer(some_model(), images, dims=2)
    options = dict(explorer.choice.options)
    assert len(options) == latent.CHOICES
    assert list(options)[:3] == ["0: cat", "1: dog", "2: cat"]
    every = principal_directions(explorer.codes, 2)[0]
    assert explorer.codes.shape == (40, 8)
    assert torch.equal(explorer.directions, every)


def test_each_control_has_a_name_and_the_keyboard_reaches_it(explorer):
    names = [slider.description for slider in explorer.sliders]
    assert names[0].startswith("direction 1 (") and names[0].endswith("%)")
    assert len(set(names)) == 4
    assert explorer.choice.description == "image"
    assert explorer.reset.description == "Reset all sliders"
    for slider in explorer.sliders:
        assert not slider.disabled and slider.continuous_update and slider.readout
        assert slider.min == -slider.max and 0 < slider.step <= 0.5


def test_the_shares_are_those_of_the_variance():
    explorer = Explorer(some_model(3), some_images(), dims=3)
    shares = [int(s.description.split("(")[1][:-2]) for s in explorer.sliders]
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 100) <= 2


# ------------------------------------------------------------- mixtures and sums


def test_on_its_way_the_code_is_a_mixture():
    model = Altered(decode=lambda z: some_model().decode(50 * z))  # far from linear
    explorer = Explorer(model, some_images(), dims=4)
    z = explorer.codes
    explorer.other.value, explorer.way.value = 3, 0.25
    torch.testing.assert_close(explorer.code()[0], 0.75 * z[0] + 0.25 * z[3])
    explorer.way.value = 1.0
    assert torch.equal(explorer.code()[0], z[3])
    ends = model.decode(z[[0, 3]])
    explorer.way.value = 0.5
    apart = pixels_of(explorer.blend).int() - bytes_of(ends.mean(0)).int()
    assert apart.abs().max() <= 1
    middle = bytes_of(model.decode(z[[0, 3]].mean(0)[None])[0])
    assert (pixels_of(explorer.moved).int() - middle.int()).abs().max() <= 1
    assert explorer.moved.data != explorer.blend.data


def test_the_difference_of_two_codes_is_added(explorer):
    z = explorer.codes
    explorer.plus.value, explorer.minus.value, explorer.times.value = 5, 2, 1.5
    torch.testing.assert_close(explorer.code()[0], z[0] + 1.5 * (z[5] - z[2]))
    explorer.minus.value = 5
    torch.testing.assert_close(explorer.code()[0], z[0])


def test_the_means_of_classes_can_be_added(explorer):
    z = explorer.codes
    terms = dict(explorer.plus.options)
    assert (
        dict(explorer.other.options).keys() | {"mean cat", "mean dog"} == terms.keys()
    )
    explorer.plus.value, explorer.minus.value = terms["mean dog"], terms["mean cat"]
    explorer.times.value = 2.0
    dogs, cats = z[1::2].mean(0), z[::2].mean(0)
    torch.testing.assert_close(explorer.code()[0], z[0] + 2 * (dogs - cats))
    plain = Explorer(some_model(), some_images().unit(), dims=2)  # without labels
    assert len(plain.plus.options) == len(plain.choice.options)


def test_of_a_linear_decoder_the_sum_in_pixels_is_the_same():
    images = some_images()
    explorer = Explorer(PCA.fit(images, 6), images, dims=2)
    terms = dict(explorer.plus.options)
    explorer.way.value = 0.3
    explorer.plus.value, explorer.times.value = terms["mean dog"], 0.5
    apart = pixels_of(explorer.moved).int() - pixels_of(explorer.blend).int()
    assert apart.abs().max() <= 1
    assert explorer.moved.data != explorer.decoded.data


def test_reset_takes_mixtures_back_too(explorer):
    before = values(explorer)
    explorer.way.value, explorer.times.value = 0.5, 1.0
    explorer.sliders[0].value = 1.0
    explorer.reset.click()
    assert values(explorer) == before
    assert explorer.way.value == explorer.times.value == 0


# ------------------------------------------------------------------------- the models


@pytest.mark.parametrize("given", [some_images(), some_images().unit()])
def test_pca_and_plain_tensors_can_be_explored(given):
    explorer = explore(PCA.fit(some_images(), 6), given, dims=3)
    assert isinstance(explorer, Explorer)
    before = explorer.moved.data
    explorer.sliders[2].value = -3.0
    assert explorer.moved.data != before


def test_grey_images_can_be_explored():
    shape = (1, 28, 28)
    explorer = Explorer(some_model(4, shape), some_images(9, shape), dims=2)
    assert torch.equal(
        pixels_of(explorer.original, shape), some_images(9, shape)[0].pixels[0]
    )


def test_a_model_in_training_is_left_as_it_was():
    model = some_model().train()
    model.encoder.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    explorer = Explorer(model, some_images(), dims=2)
    explorer.sliders[0].value = 1.0
    assert model.training and model.decoder.training and not model.encoder.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    calm = Explorer(some_model(), some_images(), dims=2)
    assert calm.decoded.data == explorer.decoded.data
    assert not explorer.code().requires_grad


# --------------------------------------------------------------- what cannot be shown


class Altered:
    """A model with one method replaced."""

    def __init__(self, **methods):
        model = some_model()
        self.encode, self.decode = model.encode, model.decode
        for name, method in methods.items():
            setattr(self, name, method)


IMPOSSIBLE = {
    "no decode": (torch.nn.Linear(2, 2), some_images(), 2, "Linear has no encode"),
    "decode is None": (Altered(decode=None), some_images(), 2, "has no decode"),
    "no images": (some_model(), "cats.png", 2, "expected two or more images"),
    "one image": (some_model(), some_images(1), 1, "expected two or more images"),
    "not unit": (some_model(), some_images().unit() - 1, 2, r"float in \[0, 1\]"),
    "two channels": (some_model(), torch.rand(4, 2, 8, 8), 2, "1 or 3 channels"),
    "other size": (
        some_model(), some_images(4, (3, 20, 20)), 2, "cannot encode images",
    ),
    "no dims": (some_model(), some_images(), 0, "dims must be from 1 to 8"),
    "many dims": (some_model(), some_images(5), 6, "dims must be from 1 to 4"),
    "a VAE's pair": (
        Altered(encode=lambda x: (x.flatten(1), x.flatten(1))), some_images(), 2,
        "one tensor",
    ),
    "NaN": (
        Altered(encode=lambda x: torch.full((len(x), 8), torch.nan)), some_images(), 2,
        "NaN",
    ),
    "collapsed": (
        Altered(encode=lambda x: torch.ones(len(x), 8)), some_images(), 2,
        "the same for every image",
    ),
    "flat images": (
        Altered(decode=lambda z: z), some_images(), 2, r"return \(N, 3, 16, 12\)",
    ),
    "decode fails": (
        Altered(decode=lambda z: z @ torch.eye(3)), some_images(), 2, "cannot decode",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "images", "dims", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE
)
def test_what_is_impossible_is_said_and_not_raised(model, images, dims, message):
    with pytest.raises(ValueError, match=message) as raised:
        Explorer(model, images, dims)
    shown = explore(model, images, dims)
    assert type(shown) is widgets.HTML
    assert "Nothing to explore" in shown.value
    assert html.escape(str(raised.value)) in shown.value


def test_a_failure_while_moving_is_shown_and_passes(explorer):
    before, decode = values(explorer), explorer.autoencoder.decode

    def broken(z):
        raise TypeError("no <images> today")

    explorer.autoencoder.decode = broken
    explorer.sliders[0].value = 1.0
    assert "TypeError: no &lt;images&gt; today" in explorer.message.value
    explorer.autoencoder.decode = lambda z: decode(z) * torch.nan
    explorer.sliders[0].value = 2.0
    assert "NaN" in explorer.message.value
    explorer.autoencoder.decode = decode
    explorer.reset.click()
    assert explorer.message.value == ""
    assert values(explorer) == before


def test_without_ipywidgets_the_import_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "ae_lib.explore")
    with pytest.raises(ImportError, match="pip install ipywidgets"):
        importlib.import_module("ae_lib.explore")


# ------------------------------------------------------------------------ the picture


def test_pictures_are_enlarged_without_blur_and_clipped():
    image = torch.tensor([[[-0.5, 0.5], [1.0, 1.5]]])
    large = np.asarray(Image.open(io.BytesIO(png(image, side=7))))
    assert large.shape == (6, 6)
    assert np.array_equal(large, np.kron([[0, 128], [255, 255]], np.ones((3, 3))))
    wide = Image.open(io.BytesIO(png(torch.rand(3, 4, 300))))
    assert wide.size == (300, 4) and wide.mode == "RGB"
