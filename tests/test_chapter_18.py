"""Chapter 18 writes the penalties out: they must be the library's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import penalties
from ae_lib.experiments import variants
from tests.written import written

PENALTIES = {"l1", "kl_sparsity", "contractive_sigmoid", "contractive"}
K, D = 5, 784


@pytest.fixture(scope="module")
def page():
    return written("18", PENALTIES, torch=torch)


@pytest.fixture(scope="module")
def network():
    return written("18", {"Net", "whole"}, torch=torch, nn=nn, F=F, K=K, D=D)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(12, K)


def encoder(layer):
    return lambda x: layer(x.flatten(1)).sigmoid()


@pytest.mark.parametrize("name", ["l1", "kl_sparsity"])
def test_the_page_has_the_sparsity_of_the_library(page, name):
    z = torch.rand(9, K, generator=torch.Generator().manual_seed(1))
    ours, theirs = page[name](z), getattr(penalties, name)(z)
    torch.testing.assert_close(ours, theirs)
    assert not torch.isclose(ours, page[name](z.square()))


def test_the_page_has_the_contractive_terms_of_the_library(page, layer):
    x = torch.rand(6, 1, 3, 4, generator=torch.Generator().manual_seed(2))
    h = encoder(layer)(x)
    torch.testing.assert_close(
        page["contractive_sigmoid"](h, layer.weight),
        penalties.contractive_sigmoid(h, layer.weight),
    )
    drawn = [
        terms(encoder(layer), x, torch.Generator().manual_seed(3))
        for terms in (page["contractive"], penalties.contractive)
    ]
    torch.testing.assert_close(*drawn)


def test_tied_weights_are_one_matrix(network):
    net = network["Net"](torch.relu, tied=True)
    names = {name for name, _ in net.named_parameters()}
    assert names == {"down.weight", "down.bias", "bias"}
    assert torch.equal(net.columns(), net.down.weight.T)


@pytest.mark.parametrize("tied", [False, True])
def test_the_jacobian_of_the_whole_map_is_autograds(network, tied):
    torch.manual_seed(1)
    net = network["Net"](torch.sigmoid, tied=tied)
    with torch.no_grad():
        net.down.weight.mul_(3)
    x = torch.rand(4, 1, 28, 28)
    exact = penalties.jacobian_norm(lambda x: net(x)[0].flatten(1), x).mean() / D
    ours = network["whole"](net, x, net.encode(x))
    torch.testing.assert_close(ours, exact)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"unit": True, "units": 9}])
def test_the_recorded_network_is_that_of_the_page(network, options):
    x, answers = torch.rand(3, 1, 28, 28), []
    for make in (network["Net"], variants.Net):
        torch.manual_seed(2)
        net = make(torch.relu, **{"units": K, **options})
        with torch.no_grad():
            net.down.bias.add_(0.3)
        answers.append((*net(x), net.columns()))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("n", [1, 3])
def test_the_recorded_share_of_few_units_is_that_of_the_page(network, n):
    torch.manual_seed(3)
    x, x_test = torch.rand(2, 20, 1, 28, 28)
    net = network["Net"](torch.sigmoid)
    spread = (x_test - x.mean(0)).square().mean()
    page = written("18", {"kept"}, torch=torch, x=x, x_test=x_test, spread=spread)
    ours = page["kept"](net, n)
    assert ours == pytest.approx(variants.kept(net, x, x_test, n), abs=1e-5)
    assert ours != pytest.approx(page["kept"](net, n + 1), abs=1e-5)
