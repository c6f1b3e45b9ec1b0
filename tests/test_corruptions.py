"""Corruptions: what they do to pixels, and that a seed fixes them."""

import math

import pytest
import torch

from ae_lib.corruptions import gaussian, holes, mask, salt_and_pepper

ALL = (gaussian, salt_and_pepper, mask)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def x():
    return torch.rand(40, 3, 32, 32, generator=seeded(9))


@pytest.mark.parametrize("spoil", ALL)
class TestAll:
    def test_gives_images_of_the_same_kind_and_leaves_the_input_alone(self, spoil, x):
        before = x.clone()
        y = spoil(x, 0.3, seeded())
        assert y.shape == x.shape and y.dtype == x.dtype
        assert y.min() >= 0 and y.max() <= 1
        assert torch.equal(x, before)
        assert not torch.equal(y, x)

    def test_a_seed_fixes_it_and_the_global_one_does_not_count(self, spoil, x):
        torch.manual_seed(0)
        first = spoil(x, 0.3, seeded(1))
        torch.manual_seed(7)
        assert torch.equal(first, spoil(x, 0.3, seeded(1)))
        assert not torch.equal(first, spoil(x, 0.3, seeded(2)))

    def test_a_generator_goes_on(self, spoil, x):
        generator = seeded()
        first = spoil(x, 0.3, generator)
        assert not torch.equal(first, spoil(x, 0.3, generator))

    def test_strength_0_changes_nothing(self, spoil, x):
        assert torch.equal(spoil(x, 0, seeded()), x)

    def test_each_image_can_have_its_own_strength(self, spoil, x):
        strength = torch.tensor([0.0, 0.1, 0.8]).repeat_interleave(10)
        y = spoil(x[:30], strength, seeded())
        error = (y - x[:30]).square().mean(dim=(1, 2, 3)).view(3, 10).mean(dim=1)
        assert error[0] == 0
        assert error[2] > 4 * error[1] > 0
        assert torch.equal(y[20:], spoil(x[:30], 0.8, seeded())[20:])

    @pytest.mark.parametrize("shape", [(1, 1, 28, 28), (0, 3, 8, 8), (2, 3, 5, 7)])
    def test_any_size_will_do(self, spoil, shape):
        assert spoil(torch.rand(shape), 0.5, seeded()).shape == shape

    def test_half_precision_stays_half_precision(self, spoil, x):
        for strength in (0.2, torch.full((4,), 0.2)):
            y = spoil(x[:4].bfloat16(), strength, seeded())
            assert y.dtype == torch.bfloat16

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (torch.zeros(3, 8, 8), r"float images \(N, C, H, W\)"),
            (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "got uint8.*to_unit"),
            (torch.full((2, 3, 8, 8), 1.5), r"in \[0, 1\], got \[1.5, 1.5\]"),
            (torch.full((2, 3, 8, 8), -0.1), r"in \[0, 1\]"),
            (torch.full((2, 3, 8, 8), math.nan), r"in \[0, 1\], got \[nan"),
        ],
    )
    def test_wrong_images_are_refused(self, spoil, wrong, message):
        with pytest.raises(ValueError, match=message):
            spoil(wrong, 0.1, seeded())

    @pytest.mark.parametrize(
        ("strength", "message"),
        [
            (-0.1, "got -0.1"),
            (math.nan, "got nan"),
            (torch.tensor([0.1, -1.0]), "0"),
            (torch.tensor([0.1, 0.1, 0.1]), r"a tensor \(2,\).*got \(3,\)"),
        ],
    )
    def test_wrong_strengths_are_refused(self, spoil, strength, message):
        with pytest.raises(ValueError, match=message):
            spoil(torch.zeros(2, 3, 8, 8), strength, seeded())


def test_gaussian_noise_has_its_deviation_and_no_memory():
    noise = gaussian(torch.full((50, 3, 32, 32), 0.5), 0.05, seeded()) - 0.5
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(noise.mean().item()) < 0.001
    pairs = torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()])
    assert abs(torch.corrcoef(pairs)[0, 1].item()) < 0.02
    channels = torch.corrcoef(noise.transpose(0, 1).flatten(1))
    assert abs(channels[0, 1].item()) < 0.02


def test_gaussian_noise_is_clipped():
    black = gaussian(torch.zeros(20, 1, 32, 32), 0.2, seeded())
    assert (black == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    # The mean of max(0, n) for a normal n of deviation s is s / sqrt(2 pi).
    expected = 0.2 / math.sqrt(2 * math.pi)
    assert black.mean().item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("share", [0.1, 0.6, 1.0])
def test_salt_and_pepper_hits_whole_pixels_and_leaves_the_rest(x, share):
    x = 0.25 + 0.5 * x  # neither black nor white by itself
    y = salt_and_pepper(x, share, seeded())
    salt, pepper = (y == 1).all(dim=1), (y == 0).all(dim=1)  # (N, H, W)
    assert salt.float().mean().item() == pytest.approx(share / 2, abs=0.01)
    assert pepper.float().mean().item() == pytest.approx(share / 2, abs=0.01)
    intact = ~(salt | pepper)[:, None].expand_as(x)
    assert torch.equal(y[intact], x[intact])


@pytest.mark.parametrize("size", [1, 4, 32])
def test_mask_takes_whole_squares_of_the_grid(size):
    white = torch.ones(400, 3, 32, 32)
    y = mask(white, 0.25, seeded(), size=size)
    tiles = y.unfold(2, size, size).unfold(3, size, size).flatten(4)
    assert torch.equal(tiles.amin(dim=4), tiles.amax(dim=4))  # all black or all white
    assert torch.equal(y.amin(dim=1), y.amax(dim=1))  # in all channels
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)
    assert torch.equal(mask(white, 1, seeded(), size=size), torch.zeros_like(white))


def test_holes_tell_what_mask_takes(x):
    lost = holes(x, 0.3, seeded(4), size=8)
    assert lost.dtype == torch.bool and lost.shape == (40, 1, 32, 32)
    assert torch.equal(mask(x, 0.3, seeded(4), size=8), x * ~lost)


@pytest.mark.parametrize("size", [0, -1, 5, 64])
def test_squares_must_tile_the_image(x, size):
    with pytest.raises(ValueError, match="do not tile images of 32×32"):
        mask(x, 0.25, seeded(), size=size)


@pytest.mark.parametrize("spoil", [salt_and_pepper, mask])
def test_a_share_is_at_most_1(spoil, x):
    with pytest.raises(ValueError, match=r"share must be from 0 to 1, got 1\.2"):
        spoil(x, 1.2, seeded())
