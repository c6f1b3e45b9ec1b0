"""The models: shapes, sizes, and the geometry that the course speaks of."""

import pytest
import torch

from ae_lib.models import (
    MODELS,
    ArticleAutoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
)

SHAPES = [(3, 32, 32), (1, 28, 28)]


@pytest.mark.parametrize("image_shape", SHAPES)
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
    torch.manual_seed(0)
    model = model_class(16)
    x = torch.rand(64, 3, 32, 32)
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
