import math
import sys

import pytest
import torch
from torch import nn

from ae_lib.data import Images
from ae_lib.metrics import (
    effective_rank,
    evaluate,
    mse,
    mse_per_image,
    psnr,
    r_squared,
    reconstruct,
    ssim,
)


def random_images(n=6, shape=(3, 16, 16), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)


def as_images(pixels):
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    return Images(pixels, labels, ("any",), "test", "random pixels", "test")


def test_mse_is_the_mean_over_everything():
    x, x_hat = random_images(seed=0) / 255, random_images(seed=1) / 255
    assert mse(x, x_hat) == pytest.approx(nn.functional.mse_loss(x, x_hat).item())
    each = mse_per_image(x, x_hat)
    assert each.shape == (6,)
    assert each[2].item() == pytest.approx(mse(x[2:3], x_hat[2:3]))


def test_mse_is_the_same_for_images_uint8_and_float():
    x, x_hat = random_images(seed=0), random_images(seed=1)
    expected = mse(x / 255, x_hat / 255)
    assert mse(as_images(x), x_hat) == pytest.approx(expected)
    assert mse(x, x_hat / 255) == pytest.approx(expected)


def test_reconstructions_may_leave_the_range_and_are_not_clipped():
    x = torch.ones(1, 1, 4, 4)
    assert mse(x, x + 0.5) == 0.25


@pytest.mark.parametrize(
    ("x", "x_hat", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 5), "same shape"),
        (torch.zeros(1, 4, 4), torch.zeros(1, 4, 4), "image\\[None\\]"),
        (torch.full((1, 1, 4, 4), 7.0), torch.zeros(1, 1, 4, 4), "\\[0, 1\\]"),
        (torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), math.nan), "diverge"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, x_hat, message):
    with pytest.raises(ValueError, match=message):
        mse(x, x_hat)


def test_psnr_of_numbers_and_tensors():
    assert psnr(0.003) == pytest.approx(25.229, abs=1e-3)
    assert psnr(0) == math.inf
    assert psnr(torch.tensor([1.0, 0.1])).tolist() == pytest.approx([0, 10])
    for negative in (-0.1, torch.tensor([0.1, -0.1])):
        with pytest.raises(ValueError, match="at least 0"):
            psnr(negative)


def test_ssim_knows_equal_images_and_does_not_depend_on_the_batch_size():
    x, noise = random_images(seed=0) / 255, random_images(seed=1) / 255
    assert ssim(x, x) == pytest.approx(1)
    some = ssim(x, 0.8 * x + 0.2 * noise)
    assert ssim(x, noise) < some < 1
    assert ssim(x, 0.8 * x + 0.2 * noise, batch_size=4) == pytest.approx(some)


def test_ssim_refuses_images_smaller_than_its_window_allows():
    with pytest.raises(ValueError, match="6 x 6"):
        ssim(torch.zeros(1, 1, 5, 16), torch.zeros(1, 1, 5, 16))


class Halved(nn.Module):
    """Halve the image, and record how it was called."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.BatchNorm2d(3)
        self.calls = []

    def forward(self, x):
        self.calls.append((len(x), self.training, torch.is_grad_enabled()))
        return self.scale * x


def test_reconstruct_runs_in_evaluation_mode_and_restores_each_part():
    model, pixels = Halved(), random_images(5)
    model.frozen.eval()
    x_hat = reconstruct(model, as_images(pixels), batch_size=2)
    assert model.calls == [(2, False, False), (2, False, False), (1, False, False)]
    assert model.training and not model.frozen.training
    assert torch.allclose(x_hat, pixels / 510)
    assert not x_hat.requires_grad


def test_reconstruct_restores_the_mode_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        reconstruct(model, random_images())
    assert model.training


def test_evaluate_agrees_with_its_parts():
    pixels = random_images()
    scores = evaluate(lambda x: 0.5 * x, pixels)
    assert scores["mse"] == pytest.approx(mse(pixels, pixels / 510))
    assert scores["psnr"] == psnr(scores["mse"])
    assert scores["ssim"] == pytest.approx(ssim(pixels, pixels / 510))


def test_r_squared():
    assert r_squared(0, 0.06) == 1
    assert r_squared(0.06, 0.06) == 0
    assert r_squared(0.12, 0.06) == -1
    with pytest.raises(ValueError, match="no variance"):
        r_squared(0.1, 0)


def test_effective_rank_counts_the_directions_in_use():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(4_000, 8, generator=generator)
    assert effective_rank(codes) == pytest.approx(8, abs=0.05)
    codes[:, 3:] = 2.0  # constant: not in use, wherever it lies
    assert effective_rank(codes) == pytest.approx(3, abs=0.01)
    assert effective_rank(codes[:1].repeat(50, 1)) == 0


def test_effective_rank_follows_the_formula():
    # Orthogonal columns of mean 0 and norms 3 : 1, so p = (3/4, 1/4).
    codes = torch.tensor([[3.0, 1], [-3, 1], [3, -1], [-3, -1]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(codes) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize("codes", [torch.zeros(5), torch.full((3, 2), math.inf)])
def test_effective_rank_refuses_other_things_than_codes(codes):
    with pytest.raises(ValueError, match="codes must be"):
        effective_rank(codes)


def test_a_missing_torchmetrics_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(ImportError, match="pip install torchmetrics"):
        ssim(random_images(), random_images())
