"""Chapter 16 writes the AUROC out; here it is the library's."""

import pytest
import torch

from ae_lib import anomaly
from tests.written import written


@pytest.fixture(scope="module")
def page():
    return written("16", ["auroc"], torch=torch)["auroc"]


@pytest.mark.parametrize("steps", [1_000, 5])  # 5: many ties
def test_the_page_counts_as_the_library(page, steps):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randint(steps, (80,), generator=generator).float()
    odd = torch.randint(steps, (50,), generator=generator).float() + steps / 4
    assert page(normal, odd) == pytest.approx(anomaly.auroc(normal, odd))
