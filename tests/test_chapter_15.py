"""Chapter 15 writes corruptions and denoisers out: they must be the library's."""

import pytest
import torch
from skimage import filters
from torch import nn

from ae_lib import corruptions, denoising
from ae_lib.blocks import Block
from ae_lib.corruptions import mask, salt_and_pepper
from ae_lib.training import fit
from tests.written import written

NAMES = ("gaussian", "salt_and_pepper", "mask")
DENOISERS = ("seeded", "average", "suspects", "repair", "Spoilt", "Residual")


@pytest.fixture(scope="module")
def page():
    return written("15", NAMES, torch=torch)


@pytest.fixture(scope="module")
def denoisers():
    return written("15", DENOISERS, torch=torch, nn=nn, filters=filters, Block=Block)


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


@pytest.mark.parametrize("damage", [mask, salt_and_pepper])
@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_the_page_repairs_as_the_library_does(denoisers, damage, sigma):
    x = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    y = damage(x, 0.3, torch.Generator().manual_seed(2))
    assert torch.equal(denoisers["suspects"](y), denoising.suspects(y))
    assert torch.equal(denoisers["repair"](y, sigma), denoising.repair(y, sigma))


def test_the_page_trains_the_network_of_the_library(denoisers):
    """Two steps from the same seed move the weights alike."""
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(4))
    trained = []
    for Spoilt, Residual in (
        (denoisers["Spoilt"], denoisers["Residual"]),
        (denoising.Spoilt, denoising.Residual),
    ):
        torch.manual_seed(0)
        model = Residual()
        pupil = Spoilt(model, lambda x, g: mask(x, 0.3, g))
        fit(pupil, images, epochs=1, batch_size=4, verbose=False, watch=0)
        with torch.no_grad():
            trained.append(model(images))
    assert torch.equal(*trained)
    assert not torch.equal(trained[0], images)
