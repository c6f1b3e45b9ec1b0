"""Chapter 06 writes the principal directions out; here they are the library's."""

import pytest
import torch

from ae_lib.explore import principal_directions
from tests.written import written


@pytest.fixture(scope="module")
def page():
    return written("06", ["principal_directions"], torch=torch)["principal_directions"]


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
