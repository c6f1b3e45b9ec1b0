"""Scores of oddness: their signs, their ranges, and what they refuse."""

import pytest
import torch

from ae_lib import data
from ae_lib.anomaly import (
    CodeDistance,
    auroc,
    auroc_spread,
    compressed_size,
    threshold_at,
)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_size_grows_with_detail():
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).expand(1, 3, 32, 32)
    random = (255 * noise(1, 3, 32, 32).sigmoid()).byte()
    sizes = compressed_size(torch.cat([ramp * 0, ramp, random]))
    assert sizes.shape == (3,)
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[1] < 200, "the filter turns a ramp into equal differences"


def test_size_takes_images_and_refuses_floats():
    images = data.load("digits", "test", limit=3)
    assert torch.equal(compressed_size(images), compressed_size(images.pixels))
    with pytest.raises(ValueError, match=r"byte\(\)"):
        compressed_size(images.unit())


def test_distance_knows_how_codes_are_stretched():
    """Two steps of equal length: along the codes' long axis, and across it."""
    codes = noise(2_000, 3) * torch.tensor([10.0, 1.0, 1.0]) + 5
    distance = CodeDistance.fit(codes)
    along, across = distance(5 + torch.tensor([[5.0, 0, 0], [0, 5.0, 0]]))
    assert along < 1 < 15 < across
    assert distance(codes).mean() == pytest.approx(3, rel=0.1)


def test_distance_survives_a_unit_that_never_changes():
    codes = torch.cat([noise(50, 4), torch.ones(50, 1)], dim=1)
    assert CodeDistance.fit(codes)(codes).isfinite().all()


@pytest.mark.parametrize(
    "codes", [torch.zeros(5), torch.zeros(1, 3), torch.full((4, 2), torch.nan)]
)
def test_distance_refuses(codes):
    with pytest.raises(ValueError, match="codes must be"):
        CodeDistance.fit(codes)


def test_auroc_counts_pairs():
    normal, odd = noise(30).round(decimals=1), (noise(20, seed=1) + 1).round(decimals=1)
    above = (odd[None] > normal[:, None]).double()
    ties = (odd[None] == normal[:, None]).double()
    assert ties.sum() > 0
    expected = (above + ties / 2).mean().item()
    assert auroc(normal, odd) == pytest.approx(expected)
    assert auroc(odd, normal) == pytest.approx(1 - expected)


def test_spread_surrounds_the_auroc_and_shrinks_with_images():
    def width(n):
        normal, odd = noise(n), noise(n, seed=1) + 1
        spread = auroc_spread(normal, odd, draws=60)
        assert spread[0] < auroc(normal, odd) < spread[-1]
        return spread[57] - spread[2]

    assert width(1_000) < 0.6 * width(60)


def test_spread_repeats():
    a, b = noise(40), noise(40, seed=1)
    assert auroc_spread(a, b, draws=5) == auroc_spread(a, b, draws=5)
    assert auroc_spread(a, b, draws=5) != auroc_spread(a, b, draws=5, seed=1)


@pytest.mark.parametrize("bad", [torch.tensor([]), torch.tensor([torch.nan, 1.0])])
def test_scores_are_checked(bad):
    with pytest.raises(ValueError, match="odd"):
        auroc(noise(5), bad)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_threshold_keeps_its_share_on_validation(share):
    scores = noise(200)
    above = (scores > threshold_at(scores, share)).sum().item()
    assert 200 * share - 1 <= above <= 200 * share


def test_threshold_refuses_what_the_images_cannot_tell():
    with pytest.raises(ValueError, match="more validation images"):
        threshold_at(noise(50), 0.01)
