"""Chapter 17 writes a variational autoencoder out; here it is the library's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import variational
from ae_lib.models import ConvAutoencoder
from tests.written import written

WRITTEN = {"Variational", "kl_per_unit", "negative_elbo", "frechet", "within"}


@pytest.fixture(scope="module")
def page():
    return written(
        "17", WRITTEN, torch=torch, nn=nn, F=F, ConvAutoencoder=ConvAutoencoder
    )


def test_the_page_has_the_network_of_the_library(page):
    x, shape = torch.rand(6, 1, 28, 28), (1, 28, 28)
    ours = page["Variational"](5, shape)
    theirs = variational.VariationalAutoencoder(5, shape)
    theirs.load_state_dict(ours.state_dict())
    for training in (True, False):
        outputs = []
        for model in (ours, theirs):
            torch.manual_seed(0)
            outputs.append(model.train(training)(x))
        for a, b in zip(*outputs, strict=True):
            torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours.encode(x), theirs.encode(x))


def test_the_page_has_the_loss_of_the_library(page):
    x, mu, logvar = torch.rand(4, 1, 8, 8), torch.randn(4, 3), torch.randn(4, 3)
    output = (torch.rand(4, 1, 8, 8), mu, logvar)
    torch.testing.assert_close(
        page["kl_per_unit"](mu, logvar), variational.kl_per_unit(mu, logvar)
    )
    torch.testing.assert_close(
        page["negative_elbo"](0.3)(output, x),
        variational.negative_elbo(0.3)(output, x),
    )


def test_the_frechet_distance_is_that_of_normal_distributions(page):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(50_000, 3, generator=generator, dtype=torch.double)
    moved = a + torch.tensor([3.0, 0.0, 4.0])
    assert page["frechet"](a, moved) == pytest.approx(25, abs=1e-6)
    # N(0, 1) against N(0, 4) in each of three directions: 3 · (2 - 1)²
    assert page["frechet"](a, 2 * a) == pytest.approx(3, rel=0.02)


def test_precision_counts_what_lies_among_the_others(page):
    among = torch.arange(10.0)[:, None]
    samples = torch.tensor([[4.5], [100.0]])
    assert page["within"](samples, among) == 0.5
