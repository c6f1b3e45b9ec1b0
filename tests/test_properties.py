"""What holds for all shapes and values: models, metrics and data, with hypothesis."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ae_lib import data, files, metrics, sources
from ae_lib.data import Images, batches, hold_out, to_unit
from ae_lib.models import MODELS

side = st.integers(1, 4).map(lambda k: 4 * k)
image_shape = st.tuples(st.integers(1, 4), side, side)
seeds = st.integers(0, 2**31)


def pixels(n, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)


def as_images(n, shape, seed=0):
    labels = torch.arange(n)
    return Images(pixels(n, shape, seed), labels, (), "own", "own", "train")


# ------------------------------------------------------------------------------ models


@settings(max_examples=12)
@given(st.integers(1, 40), image_shape, st.integers(1, 5), seeds)
@pytest.mark.parametrize("model_class", MODELS.values())
def test_every_model_keeps_every_shape(model_class, latent_dim, shape, n, seed):
    torch.manual_seed(seed % 100)
    model = model_class(latent_dim, shape).eval()
    x = to_unit(pixels(n, shape, seed))
    with torch.no_grad():
        z, x_hat = model.encode(x), model(x)
        again = model.decode(z)
        alone = model(x[:1])
    assert z.shape == (n, latent_dim) and x_hat.shape == x.shape
    assert x_hat.isfinite().all()
    torch.testing.assert_close(again, x_hat)
    # An image's reconstruction does not depend on its neighbours in the batch.
    torch.testing.assert_close(alone, x_hat[:1], rtol=1e-3, atol=1e-4)
    if model_class.__name__ in ("ConvAutoencoder", "ResidualAutoencoder"):
        assert 0 <= x_hat.min() and x_hat.max() <= 1


@given(st.integers(-3, 40), st.lists(st.integers(-3, 9), min_size=1, max_size=4))
@pytest.mark.parametrize("model_class", MODELS.values())
def test_impossible_shapes_are_refused_in_a_sentence(model_class, latent_dim, shape):
    try:
        model = model_class(latent_dim, tuple(shape))
    except ValueError as error:
        assert "\n" not in str(error) and "got" in str(error)
    else:
        assert model(torch.rand(2, *shape)).shape == (2, *shape)


# ----------------------------------------------------------------------------- metrics


@settings(max_examples=30)
@given(st.integers(1, 6), image_shape, seeds)
def test_errors_have_their_range_and_do_not_care_for_order(n, shape, seed):
    x, x_hat = pixels(n, shape, seed), pixels(n, shape, seed + 1)
    error = metrics.mse(x, x_hat)
    each = metrics.mse_per_image(x, x_hat)
    assert 0 <= error <= 1 and each.shape == (n,)
    assert error == pytest.approx(each.double().mean().item(), rel=1e-6)
    assert error == metrics.mse(x_hat, x) and metrics.mse(x, x) == 0
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    assert metrics.mse(x[order], x_hat[order]) == pytest.approx(error, rel=1e-6)


@given(st.floats(1e-12, 1), st.floats(1e-12, 1))
def test_psnr_falls_with_the_error(one, other):
    assume(one < other * (1 - 1e-9))
    assert metrics.psnr(one) > metrics.psnr(other) >= 0
    assert 10 ** (-metrics.psnr(one) / 10) == pytest.approx(one)
    assert metrics.r_squared(one, other) == pytest.approx(1 - one / other)


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(6, 20), seeds)
def test_ssim_is_at_most_one_and_symmetric(n, channels, size, seed):
    x = pixels(n, (channels, size, size), seed)
    x_hat = pixels(n, (channels, size, size), seed + 1)
    value = metrics.ssim(x, x_hat)
    assert -1 <= value <= 1
    assert metrics.ssim(x_hat, x) == pytest.approx(value, abs=1e-5)
    assert metrics.ssim(x, x) == pytest.approx(1, abs=1e-5)


@given(st.integers(2, 30), st.integers(1, 12), st.floats(0.01, 100), seeds)
def test_effective_rank_counts_directions_and_not_sizes(n, dim, scale, seed):
    codes = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)).double()
    rank = metrics.effective_rank(codes)
    assert 1 - 1e-6 <= rank <= min(dim, n - 1) + 1e-6
    moved = scale * codes + 3
    assert metrics.effective_rank(moved) == pytest.approx(rank, rel=1e-4)
    padded = torch.cat([codes, torch.ones(n, 2)], dim=1)
    assert metrics.effective_rank(padded) == pytest.approx(rank, rel=1e-4)


# -------------------------------------------------------------------------------- data

values = st.one_of(st.floats(0, 1, width=32), st.floats(width=32))


@given(arrays(np.float32, st.integers(0, 12), elements=values))
def test_to_unit_returns_the_unit_range_or_refuses(array):
    fits = bool(np.all((array >= 0) & (array <= 1)))  # False for NaN
    if fits:
        assert torch.equal(to_unit(torch.from_numpy(array)), torch.from_numpy(array))
    else:
        with pytest.raises(ValueError, match="pixels"):
            to_unit(torch.from_numpy(array))


@given(st.integers(1, 60), st.integers(1, 70), seeds, st.integers(0, 50))
def test_batches_divide_the_images(n, size, seed, epoch):
    images = torch.arange(n).view(n, 1, 1, 1)
    found = list(batches(images, size, seed=seed, epoch=epoch))
    assert len(found) == math.ceil(n / size)
    assert all(len(batch) == size for batch in found[:-1])
    assert torch.cat(found).flatten().sort().values.tolist() == [*range(n)]
    again = torch.cat(list(batches(images, size, seed=seed, epoch=epoch)))
    assert torch.equal(again, torch.cat(found))


@given(st.integers(2, 60), st.data(), seeds)
def test_holding_out_divides_the_images(n, draw, seed):
    count = draw.draw(st.integers(1, n - 1))
    train, held = hold_out(as_images(n, (1, 4, 4)), count, seed=seed)
    assert (len(train), len(held)) == (n - count, count)
    labels = torch.cat([train.labels, held.labels]).sort().values
    assert labels.tolist() == [*range(n)]


@given(st.integers(1, 20), st.data())
def test_indexing_keeps_images_and_labels_together(n, draw):
    images = as_images(n, (1, 4, 4))
    one = draw.draw(st.integers(-n, n - 1))
    rows = draw.draw(st.lists(st.integers(0, n - 1), max_size=8))
    assert images[one].labels.tolist() == [one % n]
    chosen = images[torch.tensor(rows, dtype=torch.int64)]
    assert chosen.labels.tolist() == rows
    assert torch.equal(chosen.pixels, images.pixels[rows])
    outside = draw.draw(st.sampled_from([n, -n - 1]))
    with pytest.raises(IndexError):
        images[outside]


@settings(max_examples=40)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"]),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 40),
    st.sampled_from(["PNG", "TIFF", "GIF", "JPEG", "BMP", "WEBP"]),
)
def test_every_picture_becomes_a_square(mode, width, height, size, kind):
    file = io.BytesIO()
    try:
        Image.new(mode, (width, height), 1).save(file, kind)
    except (OSError, ValueError):
        assume(False)  # this kind cannot hold this mode
    file.seek(0)
    picture = files.decode(file, size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8


REASONS = (
    "cut off or damaged",
    "no picture, whatever its name says",
    "over 50 million pixels",
    "floating-point values of unknown range",
)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_picture_is_decoded_or_called_broken(draw):
    file = io.BytesIO()
    kind = draw.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
    ramp = np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)
    Image.fromarray(ramp).save(file, kind)
    content = bytearray(file.getvalue())
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(content) - 1))
        content[place] = draw.draw(st.integers(0, 255))
    content = content[: draw.draw(st.integers(0, len(content)))]
    try:
        picture = files.decode(io.BytesIO(bytes(content)), 16)
    except ValueError as error:
        assert str(error) in REASONS
    else:
        assert picture.shape == (16, 16, 3)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_as_a_batch_or_an_idx_file_end_in_a_sentence(content, plain):
    place = "somewhere"
    with pytest.raises(ValueError, match="somewhere"):
        sources._cifar_batches(place, ["data_batch_1"], {"data_batch_1": content})
    name = "train-images-idx3-ubyte"
    found = {name if plain else f"{name}.gz": content}
    with pytest.raises(ValueError, match="somewhere"):
        sources._mnist(place, [name, "labels"], found)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(8, 40), st.integers(0, 100))
def test_shapes_have_every_size(n, size, seed):
    images = data.load("shapes", limit=n, size=size, seed=seed)
    assert images.pixels.shape == (n, 3, size, size)
    assert images.masks.shape == (n, size, size) and images.masks.dtype == torch.bool
    assert images.labels.min() >= 0 and images.labels.max() < len(images.classes)
