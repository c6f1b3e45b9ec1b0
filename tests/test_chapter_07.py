"""Chapter 07 writes the article's program and a corrected PCA: they are the library's.

The library has the program as `ae_lib.article`, with a switch for each repair, and the
parts of the network that starts as PCA as `ae_lib.blocks`.
"""

import ast
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import article, blocks, data, results
from ae_lib.article import EVERY, SOME, VARIANTS, Variant
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ArticleAutoencoder

EPOCHS, SAME = 6, 1e-3  # enough steps to tell runs apart; what counts as the same
WRITTEN_OUT = ("first_weights", "Step", "Program", "Block", "Corrected")


@pytest.fixture(scope="module")
def page(root):
    """What the page defines under these names, without running its cells."""
    path = root / "chapters" / "07_repair.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if getattr(node, "name", "") in WRITTEN_OUT]
    assert [node.name for node in found] == list(WRITTEN_OUT)
    names = {"torch": torch, "nn": nn, "F": F, "data": data, "SOME": SOME}
    names["device"] = torch.device("cpu")
    names["half"] = torch.autocast("cpu", torch.bfloat16, enabled=False)
    exec(compile(ast.Module(found, []), str(path), "exec"), names)
    return names


@pytest.fixture(scope="module")
def images():
    # 144 are two batches of 64 and one of 16, as in the article
    return data.hold_out(data.load("shapes", "train", 176), 32)


@pytest.fixture(autouse=True, scope="module")
def exact():
    """Compute in float32 on the CPU, where curves can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(article, "fast_bf16", lambda device: False)
        patch.setattr(article, "pick_device", lambda: torch.device("cpu"))
        yield


@pytest.fixture(scope="module")
def published(exact, images):
    """The errors of the published variant, after each epoch."""
    return article.train(VARIANTS["as published"], *images, EPOCHS, 4)[1]


def test_the_program_of_the_page_is_the_published_variant(
    page, images, published, capsys
):
    train, held = images
    torch.manual_seed(4)
    program = page["Program"](ArticleAutoencoder(latent_dim=200))
    program.train(EPOCHS, train, held)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == EPOCHS and printed[0].startswith("training 0.")
    error = mse(held, reconstruct(program, held))
    assert error == pytest.approx(published[-1], rel=SAME)
    assert len(published) == EPOCHS


@pytest.mark.parametrize("name", [n for n in VARIANTS if n != "as published"])
def test_each_switch_changes_the_run(images, published, name):
    """The comparison above can fail: no variant gives the published error."""
    other = article.train(VARIANTS[name], *images, EPOCHS, 4)[1]
    assert abs(other[-1] / published[-1] - 1) > 5 * SAME


def test_the_page_draws_the_weights_that_the_library_draws(page):
    drawn = []
    for draw in (page["first_weights"], article.first_weights):
        torch.manual_seed(1)
        network = ArticleAutoencoder(latent_dim=8)
        draw(network, EVERY)
        drawn.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(*drawn)


def test_the_article_forgets_transposed_convolutions():
    torch.manual_seed(1)
    network = ArticleAutoencoder(latent_dim=8)
    for layers, forgotten in ((SOME, 12), (EVERY, 0)):
        other = copy.deepcopy(network)
        article.first_weights(other, layers)
        pairs = zip(network.parameters(), other.parameters(), strict=True)
        assert sum(torch.equal(a, b) for a, b in pairs) == forgotten


def test_first_weights_have_their_deviations():
    layer = nn.Sequential(nn.Linear(300, 600))
    for he, variance in ((False, 2 / 900), (True, 2 / 300)):
        article.first_weights(layer, EVERY, he)
        assert layer[0].weight.var().item() == pytest.approx(variance, rel=0.03)
        assert (layer[0].bias == 0.01).all()


def test_inside_the_program_pixels_are_signed(images):
    x = images[1].unit()
    torch.manual_seed(0)
    program = article.Program(Variant())
    expected = (program.network(2 * x - 1) + 1) / 2
    assert torch.allclose(program(x), expected)
    plain = article.Program(Variant(signed=False))
    assert torch.allclose(plain(x), plain.network(x))


def test_a_linear_code_has_both_signs(images):
    x = images[1].unit()
    for relu_code in (True, False):
        torch.manual_seed(0)
        network = article.Program(Variant(relu_code=relu_code)).network
        assert (network.encode(2 * x - 1).min() < 0) != relu_code


# ------------------------------------------------------------ the network from PCA on


def test_folding_on_the_page_is_the_library_s():
    x = torch.rand(2, 3, 16, 8)
    assert torch.equal(F.pixel_unshuffle(x, 4), blocks.fold(x))
    assert torch.equal(F.pixel_shuffle(blocks.fold(x), 4), x)


def test_the_block_of_the_page_is_the_library_s(page):
    torch.manual_seed(0)
    written, library = page["Block"](8), blocks.Block(8)
    nn.init.normal_(written.second.weight)
    for name in ("first", "second"):
        ours, theirs = getattr(written, name), getattr(library, name)
        theirs.weight.data = ours.weight.detach().flatten(1)
        theirs.bias.data = ours.bias.detach().clone()
    h = torch.randn(2, 8, 8, 8)
    assert not torch.allclose(written(h), h, atol=0.1)
    assert torch.allclose(written(h), library(h), atol=1e-5)


def test_corrections_start_at_pca_and_leave_its_axes(page, images):
    train, held = images
    pca = PCA.fit(train, 20)
    torch.manual_seed(0)
    model = page["Corrected"](pca)
    x = held.unit()
    assert model.encode(x).shape == (32, 20)
    assert torch.allclose(model.encode(x), pca.encode(x), atol=1e-4)
    assert torch.allclose(model(x), pca(x), atol=1e-5)
    named = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert named == {"before", "after"}
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(83_000, rel=0.02)


# ------------------------------------------------------------------------- the record


def test_the_record_is_of_the_experiment():
    data = results.load("repairs_cifar10_200")["data"]
    names = ("as published", "pixels in [0, 1]", "all three repairs")
    assert {run["variant"] for run in data["runs"]} == set(names) <= set(VARIANTS)
    for run in data["runs"]:
        assert len(run["mse"]) == 3
        assert all(error < data["mean_image_mse"] for error in run["mse"])
    assert len(data["pca_mse"]) == 200
