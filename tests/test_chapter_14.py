"""Chapter 14: its draws of labels, its untrained network and its figure."""

import ast

import pytest
import torch

from ae_lib import data
from ae_lib.models import ConvAutoencoder
from ae_lib.plots.style import PALETTE, picture, styled

NAMES = ["new_network", "untrained_network", "few", "two_judges"]


def definitions(root, folder=""):
    path = root / "chapters" / folder / "14_downstream.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name: n for n in tree.body if getattr(n, "name", "") in NAMES}


@pytest.fixture(scope="module")
def page(root):
    found = definitions(root)
    assert list(found) == NAMES
    names = {"torch": torch, "data": data, "ConvAutoencoder": ConvAutoencoder}
    names |= {"PALETTE": PALETTE, "picture": picture, "styled": styled}
    exec(compile(ast.Module(list(found.values()), []), "page", "exec"), names)
    return names


def test_the_solutions_draw_as_the_chapter_does(root):
    here, there = definitions(root), definitions(root, "solutions")
    bodies = [ast.unparse(node) for node in here["few"].body[1:]]
    assert bodies == [ast.unparse(node) for node in there["few"].body]


def test_a_small_draw_is_part_of_a_larger_one(page):
    labels = torch.arange(600) % 10
    small, large = page["few"](labels, 5, 1), page["few"](labels, 20, 1)
    assert (labels[small].bincount() == 5).all()
    assert (labels[large].bincount() == 20).all()
    assert len(large.unique()) == 200
    assert set(small.tolist()) < set(large.tolist())
    assert set(page["few"](labels, 5, 2).tolist()) != set(small.tolist())


def test_the_untrained_network_has_the_weights_it_was_drawn_with(page):
    images = data.load("shapes", limit=400)
    drawn, settled = page["new_network"](0), page["untrained_network"](0, images)
    for a, b in zip(drawn.parameters(), settled.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not settled.training
    means = [m.encoder.stack[1].running_mean for m in (drawn, settled)]
    assert not torch.equal(*means)


def test_the_figure_shows_each_run_as_a_dot(page):
    groups = {"a": [(0.01, 0.3), (0.02, 0.4)], "b": [(0.1, 0.2)]}
    axes = page["two_judges"](groups, "drawn here", 0.25).axes[0]
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["a"].get_xdata()) == [0.01, 0.02]
    assert list(lines["b"].get_ydata()) == [0.2]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    assert 0.25 in axes.get_lines()[-1].get_ydata()
