"""Chapter 06 writes the principal directions out; here they are the library's."""

import ast

import build
import pytest
import torch

from ae_lib.explore import principal_directions


@pytest.fixture(scope="module")
def page():
    """The function of the chapter, made from its source and nothing else."""
    (source,) = build.CHAPTERS.glob("06_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    (kept,) = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "principal_directions"
    ]
    namespace = {"torch": torch}
    exec(compile(ast.Module([kept], []), source.name, "exec"), namespace)
    return namespace["principal_directions"]


@pytest.mark.parametrize("shape", [(300, 6), (40, 64)])
def test_the_page_finds_the_directions_of_the_explorer(page, shape):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(shape, generator=generator)
    codes = codes @ torch.randn(shape[1], shape[1], generator=generator) + 2
    directions, deviations = page(codes)
    theirs, their_deviations = principal_directions(codes, 5)
    torch.testing.assert_close(deviations[:5], their_deviations)
    # The page leaves the sign to chance.
    cosines = (directions[:5] * theirs).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones(5))
