"""The models: shapes, sizes, and the geometry that the course speaks of."""

import pytest
import torch

from ae_lib.baselines import PCA
from ae_lib.blocks import MatrixConv, fold, unfold
from ae_lib.data import Images, to_unit
from ae_lib.models import (
    MODELS,
    ArticleAutoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
    PyramidAutoencoder,
    ResidualAutoencoder,
    for_images,
)
from ae_lib.recipe import muon_and_adam

SHAPES = [(3, 32, 32), (1, 28, 28)]
LARGE = [(c, size, size) for c in (1, 3) for size in (64, 128)] + [(3, 64, 96)]


@pytest.mark.parametrize("image_shape", SHAPES + LARGE)
@pytest.mark.parametrize("model_class", MODELS.values())
def test_code_and_reconstruction_have_the_promised_shapes(model_class, image_shape):
    model = model_class(latent_dim=7, image_shape=image_shape)
    x = torch.rand(4, *image_shape)
    z = model.encode(x)
    assert z.shape == (4, 7)
    assert model.decode(z).shape == x.shape
    model.eval()
    torch.testing.assert_close(model(x), model.decode(model.encode(x)))


@pytest.mark.parametrize("model_class", [ConvAutoencoder, ArticleAutoencoder])
def test_encoder_ends_in_4096_features(model_class):
    assert model_class(200).encoder(torch.rand(2, 3, 32, 32)).shape == (2, 4096)


def test_convolutional_output_is_an_image():
    x_hat = ConvAutoencoder(10)(10 * torch.randn(8, 3, 32, 32))
    assert 0 <= x_hat.min() and x_hat.max() <= 1


def test_article_network_is_the_published_one():
    torch.manual_seed(0)
    model = ArticleAutoencoder(200)
    assert sum(p.numel() for p in model.parameters()) == 1_786_795
    assert model.encode(torch.rand(64, 3, 32, 32)).min() == 0  # a ReLU on the code
    assert model(torch.rand(8, 3, 32, 32)).min() < 0  # nothing confines its output


def test_linear_autoencoder_is_affine():
    model = LinearAutoencoder(5, (1, 4, 4))
    a, b = torch.rand(2, 6, 1, 4, 4)
    between = model(0.3 * a + 0.7 * b)
    torch.testing.assert_close(between, 0.3 * model(a) + 0.7 * model(b))


@pytest.mark.parametrize("model_class", MODELS.values())
def test_every_parameter_gets_a_gradient(model_class):
    """At the second step: the first wakes what starts at zero."""
    torch.manual_seed(0)
    model = model_class(16)
    x = torch.rand(64, 3, 32, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model(x) - x).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    (model(x) - x).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("latent_dim", "image_shape", "message"),
    [
        (0, (3, 32, 32), "at least 1"),
        (2.5, (3, 32, 32), "integer"),
        (10, (3, 30, 32), "multiples of 4"),
        (10, (32, 32), "channels, height, width"),
    ],
)
def test_bad_arguments_are_named(latent_dim, image_shape, message):
    with pytest.raises(ValueError, match=message):
        ConvAutoencoder(latent_dim, image_shape)


# ------------------------------------------------------------------------ other sizes


def test_the_pyramid_is_the_course_s_network_at_32():
    small, course = PyramidAutoencoder(9, (3, 32, 32)), ConvAutoencoder(9)
    shapes = [[p.shape for p in model.parameters()] for model in (small, course)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("size", "halvings"), [(8, 1), (28, 2), (64, 3), (128, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_pyramid_ends_in_as_many_features_at_any_size(size, halvings, channels):
    model = PyramidAutoencoder(7, (channels, size, size))
    features = model.encoder(torch.rand(2, channels, size, size))
    assert features.shape == (2, 64 * (size >> halvings) ** 2)
    assert features.shape[1] <= 4096


@pytest.mark.parametrize(
    ("model_class", "size", "message"),
    [
        (ConvAutoencoder, (50, 64), "multiples of 4, got 50×64; .* 48×64 or 52×64"),
        (PyramidAutoencoder, (60, 64), "multiples of 8, got 60×64; .* 56×64 or 64×64"),
        (PyramidAutoencoder, (100, 100), "multiples of 16, .* 96×96 or 112×112"),
        (ResidualAutoencoder, (2, 8), "multiples of 4, got 2×8; .* to 4×8 "),
    ],
)
def test_sizes_that_do_not_divide_get_those_that_do(model_class, size, message):
    with pytest.raises(ValueError, match=message):
        model_class(5, (3, *size))


# ------------------------------------------------------- the network that starts as PCA


@pytest.mark.parametrize("shape", SHAPES)
def test_residual_network_starts_as_pca(shape):
    torch.manual_seed(0)
    images = (torch.rand(300, *shape) * 255).byte()
    x = to_unit(images)
    model = ResidualAutoencoder(20, shape)
    model.start_as_pca(images)
    pca = PCA.fit(images, 20)
    torch.testing.assert_close(model(x), pca(x).clamp(0, 1), rtol=0, atol=1e-5)
    codes = model.encode(x) / model.CODE_SCALE
    torch.testing.assert_close(codes, pca.encode(x), rtol=0, atol=1e-4)


def test_residual_network_starts_with_fewer_images_than_numbers():
    images = (torch.rand(30, 1, 8, 8) * 255).byte()
    model = ResidualAutoencoder(100, (1, 8, 8))
    model.start_as_pca(images)
    x = to_unit(images)
    error = (model(x) - x).square().mean()
    assert error < 1e-6  # 29 components hold 30 images


def test_residual_network_clips_and_still_learns_there():
    model = ResidualAutoencoder(4)
    z = (1e3 * torch.randn(2, 4)).requires_grad_()
    x_hat = model.decode(z)
    assert 0 <= x_hat.min() and x_hat.max() <= 1
    (x_hat - 0.5).square().sum().backward()  # the target is far from all of them
    assert z.grad.abs().min() > 0


def test_residual_network_takes_small_steps_where_little_is_left():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(200, 3, 4, 4), scale_factor=4)
    images = (smooth * 255).byte()  # 48 numbers hold nearly all of each
    paces = {}
    for latent_dim in (2, 46, 48):
        model = ResidualAutoencoder(latent_dim, (3, 16, 16))
        assert model.pace == 1
        model.start_as_pca(images)
        paces[latent_dim] = model.pace
    assert paces[2] == 1 and 0 < paces[48] < 0.1 < paces[46] < 1
    adam, muon = muon_and_adam(model)
    assert muon.param_groups[0]["lr"] == pytest.approx(0.02 * model.pace)
    assert adam.param_groups[0]["lr"] == pytest.approx(3e-3 * model.pace)


def test_for_images_counts_the_mirror_images_of_photographs():
    torch.manual_seed(0)
    pixels = (torch.rand(40, 3, 8, 8) * 255).byte()
    pixels[..., :4] //= 4  # dark on the left
    images = Images(
        pixels, torch.zeros(40, dtype=torch.long), ("a",), "noise", "noise", "train"
    )
    mean = for_images("ResidualAutoencoder", 4, images).mean
    torch.testing.assert_close(mean, mean.flip(2))
    grey = Images(pixels[:, :1], images.labels, ("a",), "noise", "noise", "train")
    mean = for_images("ResidualAutoencoder", 4, grey).mean
    assert mean[..., 4:].mean() > 2 * mean[..., :4].mean()


def test_residual_network_refuses_too_many_channels():
    with pytest.raises(ValueError, match="at most 7 channels"):
        ResidualAutoencoder(4, (8, 8, 8))


def test_matrix_convolution_is_a_convolution():
    conv = MatrixConv(5)
    x = torch.rand(2, 5, 6, 7)
    filters = conv.weight.view(5, 5, 3, 3)
    expected = torch.conv2d(x, filters, conv.bias, padding=1)
    torch.testing.assert_close(conv(x), expected)


def test_own_rates_name_matrices():
    model = ResidualAutoencoder(4)
    matrices = {name for name, p in model.named_parameters() if p.ndim == 2}
    assert set(model.rates) < matrices


def test_folding_is_pixel_unshuffle_and_can_be_undone():
    """Ours also takes a batch of no images: a process may have none."""
    x = torch.rand(3, 2, 8, 12)
    torch.testing.assert_close(fold(x), torch.nn.functional.pixel_unshuffle(x, 4))
    torch.testing.assert_close(unfold(fold(x)), x)
    assert ResidualAutoencoder(5)(x.new_zeros(0, 3, 32, 32)).shape == (0, 3, 32, 32)
