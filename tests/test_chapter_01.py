"""Chapter 01 writes the network and the probe out; both are held to the library's."""

import ast

import build
import pytest
import torch

from ae_lib import features
from ae_lib.features import SmallVGG

WRITTEN = ["convolve", "stage", "SmallVGG", "read_out", "probe"]


@pytest.fixture(scope="module")
def page():
    """What the chapter defines, by name, made from its source and nothing else."""
    (source,) = build.CHAPTERS.glob("01_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    kept = [node for node in tree.body if getattr(node, "name", "") in WRITTEN]
    assert [node.name for node in kept] == WRITTEN, "each once, and in this order"
    namespace = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    exec(compile(ast.Module(kept, []), source.name, "exec"), namespace)
    return namespace


def test_network_has_the_same_parameters_under_the_same_names(page):
    ours, theirs = page["SmallVGG"]().state_dict(), SmallVGG().state_dict()
    assert [(k, v.shape) for k, v in ours.items()] == [
        (k, v.shape) for k, v in theirs.items()
    ]


def test_network_begins_alike(page):
    """One seed gives both the same weights: the page's networks are the library's."""
    states = []
    for network in (page["SmallVGG"], SmallVGG):
        torch.manual_seed(3)
        states.append(network().state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize("training", [True, False])
def test_the_same_weights_give_the_same_numbers(page, training):
    generator = torch.Generator().manual_seed(4)
    theirs, ours = SmallVGG().train(training), page["SmallVGG"]().train(training)
    for name, value in theirs.named_parameters():
        torch.nn.init.normal_(value, 0.3, 0.2, generator=generator)
        ours.get_parameter(name).data.copy_(value)
    x = torch.rand(6, 3, 32, 32, generator=generator)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)
    torch.testing.assert_close(ours.features(x), theirs.features(x), rtol=0, atol=0)


def blobs(n, seed):
    """Draw points of four overlapping classes, in 12 dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (n,), generator=generator)
    points = torch.randn(n, 12, generator=generator)
    points[:, :4] += torch.nn.functional.one_hot(labels, 4)
    return points, labels


@pytest.mark.parametrize("penalty", [0.0001, 0.01, 1.0])
def test_probe_is_the_librarys_at_one_penalty(page, penalty, monkeypatch):
    monkeypatch.setattr(features, "PENALTIES", (penalty,))
    sets = *blobs(1_000, 0), *blobs(2_000, 1)
    expected = features.linear_probe(*sets)
    assert 0.4 < expected < 0.8
    # The page computes in float32: an image on the border of two classes may differ.
    assert page["probe"](*sets, penalty) == pytest.approx(expected, abs=0.001)


def test_reader_finds_a_linear_rule(page):
    x, _ = blobs(1_000, 0)
    target = x @ torch.arange(24.0).view(12, 2) + 7
    read = page["read_out"](x[:800], target[:800], x[800:], penalty=0.0)
    torch.testing.assert_close(read, target[800:], rtol=0, atol=1e-2)


def test_reader_passes_over_features_that_never_change(page):
    x, _ = blobs(500, 0)
    dead = torch.cat([x, torch.zeros(500, 1)], dim=1)
    awake = torch.cat([x, torch.ones(500, 1)], dim=1)
    target = x[:, :2]
    torch.testing.assert_close(
        page["read_out"](dead, target, awake), page["read_out"](x, target, x)
    )


def test_loop_is_the_convolution(page):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 9, 7, generator=generator)
    w = torch.randn(3, 4, 4, generator=generator)
    expected = torch.nn.functional.conv2d(x[None], w[None], torch.tensor([0.5]))
    torch.testing.assert_close(page["convolve"](x, w, 0.5), expected[0, 0])
