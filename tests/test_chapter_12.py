"""Chapter 12 writes the posted network out: it must be the one of `ae_lib.posted`."""

import ast

import pytest
import torch
from torch import nn

from ae_lib import posted


@pytest.fixture(scope="module")
def page(root):
    path = root / "chapters" / "12_constant_code.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [n for n in tree.body if getattr(n, "name", "") in ("Layers", "Posted")]
    assert len(found) == 2
    names = {"torch": torch, "nn": nn}
    exec(compile(ast.Module(found, []), str(path), "exec"), names)
    return names["Posted"]


@pytest.mark.parametrize(
    "network",
    [{}, {"kernels": posted.LARGE}, {"gains": None, "dense_gain": 4.0}, posted.RELU],
)
def test_the_network_of_the_page_is_that_of_the_library(page, network):
    x = torch.rand(5, 1, 28, 28)
    outputs = []
    for make in (page, posted.PostedAutoencoder):
        torch.manual_seed(1)
        outputs.append(make(**network)(x))
    assert torch.allclose(*outputs, atol=1e-6)


def test_another_network_differs(page):
    x = torch.rand(5, 1, 28, 28)
    torch.manual_seed(1)
    a = page()(x)
    torch.manual_seed(1)
    assert not torch.allclose(a, page(hidden=torch.relu)(x), atol=1e-3)
