"""Chapter 15 writes the corruptions out; here they are those of the library."""

import ast

import pytest
import torch

from ae_lib import corruptions

NAMES = ("gaussian", "salt_and_pepper", "mask")


@pytest.fixture(scope="module")
def page(root):
    """The three functions of the chapter, made from its source and nothing else."""
    path = root / "chapters" / "15_denoising.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in NAMES]
    assert sorted(node.name for node in kept) == sorted(NAMES)
    namespace = {"torch": torch}
    exec(compile(ast.Module(kept, []), path.name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (4, 1, 28, 28)])
@pytest.mark.parametrize("strength", [0.0, 0.1, 0.7])
def test_the_page_spoils_as_the_library_does(page, name, shape, strength):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    spoilt = [
        spoil(x, strength, torch.Generator().manual_seed(2))
        for spoil in (page[name], getattr(corruptions, name))
    ]
    assert torch.equal(*spoilt)


def test_the_page_masks_the_squares_of_the_library(page):
    x = torch.ones(6, 3, 32, 32)
    ours, theirs = (
        mask(x, 0.4, torch.Generator().manual_seed(3), size=8)
        for mask in (page["mask"], corruptions.mask)
    )
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, page["mask"](x, 0.4, torch.Generator().manual_seed(3)))
