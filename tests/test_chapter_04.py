"""Chapter 04 writes the network out; here its classes are held to the library's."""

import ast

import build
import pytest
import torch

from ae_lib.models import ConvAutoencoder

WRITTEN = ["Encoder", "Decoder", "ConvAutoencoder"]
SETTINGS = [(200, (3, 32, 32)), (7, (1, 28, 28)), (64, (3, 16, 24))]


@pytest.fixture(scope="module")
def page():
    """The classes of the chapter by name, made from its source and nothing else."""
    (source,) = build.CHAPTERS.glob("04_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    kept = [node for node in classes if node.name in WRITTEN]
    assert [node.name for node in kept] == WRITTEN, "each once, and in this order"
    namespace = {"torch": torch, "nn": torch.nn}
    exec(compile(ast.Module(kept, []), source.name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize(("latent_dim", "image_shape"), SETTINGS)
def test_parameters_have_the_same_names_and_shapes(page, latent_dim, image_shape):
    ours = page["ConvAutoencoder"](latent_dim, image_shape).state_dict()
    theirs = ConvAutoencoder(latent_dim, image_shape).state_dict()
    assert [(k, v.shape) for k, v in ours.items()] == [
        (k, v.shape) for k, v in theirs.items()
    ]


def test_the_defaults_are_the_same(page):
    ours, theirs = page["ConvAutoencoder"](), ConvAutoencoder()
    assert ours.bottleneck.weight.shape == theirs.bottleneck.weight.shape
    assert ours.encoder.stack[0].weight.shape == theirs.encoder.stack[0].weight.shape


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("latent_dim", "image_shape"), SETTINGS)
def test_the_same_weights_give_the_same_numbers(
    page, latent_dim, image_shape, training
):
    generator = torch.Generator().manual_seed(4)
    theirs = ConvAutoencoder(latent_dim, image_shape)
    weights = {
        name: torch.rand(value.shape, generator=generator) - 0.4
        if value.is_floating_point()
        else value
        for name, value in theirs.state_dict().items()
    }
    weights = {
        k: v.abs() if k.endswith("running_var") else v for k, v in weights.items()
    }
    ours = page["ConvAutoencoder"](latent_dim, image_shape)
    x = torch.rand(6, *image_shape, generator=generator)
    results = []
    for model in (ours, theirs):
        model.load_state_dict(weights)
        model.train(training)
        z = model.encode(x)
        results.append((z, model.decode(z), model(x)))
    for mine, library in zip(*results, strict=True):
        assert mine.shape == library.shape
        torch.testing.assert_close(mine, library, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["Encoder", "Decoder"])
def test_each_half_is_made_of_the_same_layers(page, name):
    ours = getattr(page["ConvAutoencoder"](), name.lower())
    theirs = getattr(ConvAutoencoder(), name.lower())
    assert type(ours) is page[name]
    assert [repr(layer) for layer in ours.stack] == [
        repr(layer) for layer in theirs.stack
    ]
