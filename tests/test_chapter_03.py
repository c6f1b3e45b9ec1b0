"""Chapter 03 writes PCA out; here its functions are held to the library's."""

import ast

import build
import pytest
import torch

from ae_lib.baselines import PCA
from ae_lib.metrics import mse

WRITTEN = ["principal_components", "project", "unproject"]
SHAPE = (3, 4, 5)
D = 60


@pytest.fixture(scope="module")
def page():
    """The functions of the chapter by name, made from its source and nothing else."""
    (source,) = build.CHAPTERS.glob("03_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    kept = [node for node in functions if node.name in WRITTEN]
    assert [node.name for node in kept] == WRITTEN, "each once, and in this order"
    namespace = {"torch": torch}
    exec(compile(ast.Module(kept, []), source.name, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def x():
    """Images whose values have well-separated variances along hidden directions."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(D, D, generator=generator))[0]
    x = torch.randn(300, D, generator=generator) * 0.9 ** torch.arange(D)
    return (0.5 + 0.05 * x @ axes.T).clamp(0, 1).view(-1, *SHAPE)


def test_the_three_tensors_are_the_library_s(page, x):
    mean, components, variances = page["principal_components"](x)
    theirs = PCA.fit(x, D)
    assert torch.allclose(mean, theirs.mean, atol=1e-6)
    assert torch.allclose(variances.float(), theirs.variances, atol=1e-7)
    assert torch.allclose(components @ components.T, torch.eye(D), atol=1e-5)
    cosines = (components * theirs.components).sum(dim=1).abs()  # the sign is free
    assert torch.allclose(cosines, torch.ones(D), atol=1e-3)


@pytest.mark.parametrize("k", [1, 7, D])
def test_the_reconstruction_is_the_library_s(page, x, k):
    mean, components, _ = page["principal_components"](x[:200])
    z = page["project"](x, mean, components[:k])
    x_hat = page["unproject"](z, mean, components[:k])
    theirs = PCA.fit(x[:200], k)
    assert z.shape == (300, k)
    assert x_hat.shape == x.shape
    assert torch.allclose(x_hat, theirs(x), atol=1e-4)
    assert mse(x, x_hat) == pytest.approx(mse(x, theirs(x)), rel=1e-3, abs=1e-10)


def test_the_library_takes_the_tensors_of_the_page(page, x):
    mean, components, variances = page["principal_components"](x)
    ours = PCA(mean, components, variances.float()).truncate(5)
    z = page["project"](x, mean, components[:5])
    assert torch.equal(ours.encode(x), z)
    assert torch.equal(ours.decode(z), page["unproject"](z, mean, components[:5]))
