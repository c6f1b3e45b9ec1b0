"""Penalties on a code: their values, what they refuse, and what they depend on."""

import pytest
import torch
from torch import nn

from ae_lib import penalties


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(12, 5)


@pytest.fixture
def x():
    return torch.rand(7, 3, 2, 2, generator=seeded(1))


def encoder(layer):
    return lambda x: layer(x.flatten(1)).sigmoid()


def test_the_closed_form_is_the_norm_of_autograds_jacobian(layer, x):
    encode = encoder(layer)
    exact = penalties.jacobian_norm(encode, x)
    whole = torch.autograd.functional.jacobian(encode, x)  # (7, 5, 7, 3, 2, 2)
    by_hand = torch.stack([whole[i, :, i].square().sum() for i in range(7)])
    torch.testing.assert_close(exact, by_hand)
    closed = penalties.contractive_sigmoid(encode(x), layer.weight)
    torch.testing.assert_close(closed, exact.mean())


def test_the_estimate_is_right_on_average(layer, x):
    encode, draws = encoder(layer), seeded(2)
    exact = penalties.jacobian_norm(encode, x).mean()
    values = torch.stack(
        [penalties.contractive(encode, x, draws).detach() for _ in range(400)]
    )
    error = values.std() / 20
    assert abs(values.mean() - exact) < 4 * error
    assert 0 < error < 0.05 * exact


def test_one_number_needs_no_luck(x):
    """With one unit each draw of signs is exact."""
    torch.manual_seed(0)
    encode = encoder(nn.Linear(12, 1))
    exact = penalties.jacobian_norm(encode, x).mean()
    torch.testing.assert_close(penalties.contractive(encode, x).detach(), exact)


def test_both_forms_pull_at_the_weights_alike(layer, x):
    """Averaged over draws the estimate has the gradient of the closed form."""
    encode, draws = encoder(layer), seeded(3)
    closed = penalties.contractive_sigmoid(encode(x), layer.weight)
    (right,) = torch.autograd.grad(closed, layer.weight)
    drawn = [penalties.contractive(encode, x, draws) for _ in range(300)]
    (ours,) = torch.autograd.grad(torch.stack(drawn).mean(), layer.weight)
    assert (ours - right).norm() < 0.1 * right.norm()


def test_the_generator_decides_the_draw_and_the_images_are_left_alone(layer, x):
    one, same, other = (
        penalties.contractive(encoder(layer), x, seeded(s)).item() for s in (4, 4, 5)
    )
    assert one == same and one != other
    assert not x.requires_grad and x.grad is None


def test_the_divergence_looks_at_units_and_not_at_images():
    by_unit = torch.tensor([[0.05, 0.9], [0.05, 0.9]])
    by_image = torch.tensor([[0.95, 0.95], [0.05, 0.05]])
    assert penalties.kl_sparsity(by_unit[:, :1]) == 0
    assert penalties.kl_sparsity(by_unit) > 0.5
    half = penalties.kl_sparsity(torch.full((2, 2), 0.5))
    torch.testing.assert_close(penalties.kl_sparsity(by_image), half)


def test_the_divergence_is_that_of_two_coins():
    q = torch.distributions.Bernoulli(torch.tensor(0.3))
    p = torch.distributions.Bernoulli(torch.tensor(0.1))
    right = torch.distributions.kl_divergence(p, q)
    torch.testing.assert_close(
        penalties.kl_sparsity(torch.full((4, 6), 0.3), rho=0.1), right
    )


def test_a_silent_or_a_full_unit_keeps_it_finite():
    z = torch.tensor([[0.0, 1.0]], requires_grad=True)
    value = penalties.kl_sparsity(z)
    value.backward()
    assert value.isfinite() and z.grad.isfinite().all()


@pytest.mark.parametrize("z", [[[-0.1, 0.5]], [[0.5, 1.5]], [[float("nan"), 0.5]]])
def test_a_code_that_is_no_share_is_refused(z):
    with pytest.raises(ValueError, match=r"codes must be in \[0, 1\].*sigmoid"):
        penalties.kl_sparsity(torch.tensor(z))


@pytest.mark.parametrize("rho", [0, 1, -1, float("nan")])
def test_a_target_that_is_no_share_is_refused(rho):
    with pytest.raises(ValueError, match="rho is a share"):
        penalties.kl_sparsity(torch.full((2, 2), 0.5), rho)
