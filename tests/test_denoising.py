"""Denoisers: what is spoilt and when, and what the repair may touch."""

import pytest
import torch
from torch import nn

from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.denoising import Residual, Spoilt, repair, suspects
from ae_lib.training import fit

QUIET = {"verbose": False, "watch": 0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    return 0.25 + 0.5 * torch.rand(8, 3, 16, 16, generator=seeded(5))


def spoil(x, generator):
    return gaussian(x, 0.1, generator)


def test_training_sees_new_damage_each_time_and_evaluation_none(x):
    model = Spoilt(nn.Identity(), spoil)
    first, second = model(x), model(x)
    assert not torch.equal(first, x) and not torch.equal(first, second)
    assert torch.equal(first, spoil(x, seeded()))
    assert torch.equal(model.eval()(x), x)


def test_the_seed_decides_the_damage(x):
    one, same, other = (Spoilt(nn.Identity(), spoil, seed)(x) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_network_learns_to_clean():
    """Smooth images: after a short training less is left of the noise."""
    g = seeded(3)
    ramps = torch.linspace(0.2, 0.8, 16).view(1, 1, 1, 16) * torch.ones(128, 3, 16, 16)
    images = (ramps * torch.rand(128, 3, 1, 1, generator=g)).contiguous()
    torch.manual_seed(0)
    model = Residual(width=8, depth=1)
    fit(Spoilt(model, spoil), images, epochs=12, batch_size=16, **QUIET)
    noisy = spoil(images, seeded(9))
    with torch.no_grad():
        left = (model(noisy) - images).square().mean()
    assert left < 0.6 * (noisy - images).square().mean()


@pytest.mark.parametrize("damage", [mask, salt_and_pepper])
def test_repair_finds_what_was_hit_and_leaves_the_rest(x, damage):
    y = damage(x, 0.2, seeded(1))
    hit = (y != x).any(dim=1, keepdim=True)
    assert torch.equal(suspects(y), hit)
    mended = repair(y)
    intact = ~hit.expand_as(x)
    assert torch.equal(mended[intact], x[intact])
    assert (mended - x).square().mean() < 0.2 * (y - x).square().mean()


def test_repair_uses_intact_neighbours_only():
    x = torch.full((1, 3, 9, 9), 0.4)
    x[..., 4, 4], x[..., 4, 5] = 1.0, 0.0  # two specks side by side
    assert torch.allclose(repair(x), torch.full_like(x, 0.4), atol=1e-4)


def test_black_colours_are_no_suspects():
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    assert not suspects(red).any()
