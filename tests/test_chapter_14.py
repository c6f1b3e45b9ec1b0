"""Chapter 14: its draws of labels, its untrained network and its figure."""

import ast

import pytest
import torch
from torch.optim.swa_utils import update_bn

from ae_lib import data, features
from ae_lib.models import ConvAutoencoder
from ae_lib.plots.style import PALETTE, picture, styled

NAMES = ["new_network", "untrained_network", "few", "two_judges"]


def definitions(root):
    path = root / "chapters" / "14_downstream.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name: n for n in tree.body if getattr(n, "name", "") in NAMES}


@pytest.fixture(scope="module")
def page(root):
    found = definitions(root)
    assert list(found) == NAMES
    names = {"torch": torch, "data": data, "ConvAutoencoder": ConvAutoencoder}
    names |= {"update_bn": update_bn}
    names |= {"PALETTE": PALETTE, "picture": picture, "styled": styled}
    exec(compile(ast.Module(list(found.values()), []), "page", "exec"), names)
    return names


def test_the_page_draws_as_the_library_does(page):
    labels = torch.arange(600) % 10
    for n, seed in (5, 1), (20, 1), (60, 2):
        expected = features.few(labels, n, seed)
        assert torch.equal(page["few"](labels, n, seed), expected)


def test_the_untrained_network_has_the_weights_it_was_drawn_with(page):
    images = data.load("shapes", limit=400)
    drawn, settled = page["new_network"](0), page["untrained_network"](0, images)
    for a, b in zip(drawn.parameters(), settled.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not settled.training
    means = [m.encoder.stack[1].running_mean for m in (drawn, settled)]
    assert not torch.equal(*means)


def test_the_figure_joins_the_points_of_a_run(page):
    groups = {
        "a": [[(0.02, 0.4), (0.01, 0.3)], [(0.03, 0.35)]],
        "b": [[(0.1, 0.2)]],
    }
    axes = page["two_judges"](groups, "drawn here", 0.25).axes[0]
    assert axes.get_xscale() == "log"
    first, second, other, level = axes.get_lines()
    assert list(first.get_xdata()) == [0.02, 0.01]
    assert list(second.get_ydata()) == [0.35]
    assert first.get_color() == second.get_color() != other.get_color()
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["a", "b", "untrained"]
    assert set(level.get_ydata()) == {0.25}
