"""Chapter 16 writes the AUROC out; here it is the library's."""

import ast

import build
import pytest
import torch

from ae_lib import anomaly


@pytest.fixture(scope="module")
def page():
    """The function of the chapter, made from its source and nothing else."""
    (source,) = build.CHAPTERS.glob("16_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    (kept,) = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "auroc"
    ]
    namespace = {"torch": torch}
    exec(compile(ast.Module([kept], []), source.name, "exec"), namespace)
    return namespace["auroc"]


@pytest.mark.parametrize("steps", [1_000, 5])  # 5: many ties
def test_the_page_counts_as_the_library(page, steps):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randint(steps, (80,), generator=generator).float()
    odd = torch.randint(steps, (50,), generator=generator).float() + steps / 4
    assert page(normal, odd) == pytest.approx(anomaly.auroc(normal, odd))
