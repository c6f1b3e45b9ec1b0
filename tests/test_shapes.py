"""The stand-in: reproducible, like photographs where it matters, and told truly."""

import numpy as np
import pytest
import torch

from ae_lib import shapes


@pytest.fixture(scope="module")
def drawn():
    return shapes.generate(2000)


def correlation(a, b):
    return np.corrcoef(a.flatten(), b.flatten())[0, 1]


def equal(a, b):
    same = [torch.equal(a.pixels, b.pixels), torch.equal(a.masks, b.masks)]
    same += [torch.equal(a.labels, b.labels), a.factors.keys() == b.factors.keys()]
    return all(same + [torch.equal(a.factors[k], b.factors[k]) for k in a.factors])


def rows(drawn, start, stop):
    return shapes.Shapes(
        drawn.pixels[start:stop],
        drawn.labels[start:stop],
        drawn.masks[start:stop],
        {name: values[start:stop] for name, values in drawn.factors.items()},
    )


# -------------------------------------------------------------------- reproducibility


@pytest.mark.parametrize("n", [1, 7, shapes.CHUNK, shapes.CHUNK + 1, 620])
def test_an_image_does_not_depend_on_how_many_are_drawn(drawn, n):
    fewer = shapes.generate(n)
    assert len(fewer.pixels) == n
    assert equal(fewer, rows(drawn, 0, n))


def test_seed_split_and_chunk_each_give_other_images():
    first = shapes.generate(2 * shapes.CHUNK)
    streams = [
        first.pixels[: shapes.CHUNK],
        first.pixels[shapes.CHUNK :],
        shapes.generate(shapes.CHUNK, seed=1).pixels,
        shapes.generate(shapes.CHUNK, split="test").pixels,
        shapes.generate(shapes.CHUNK, seed=1, split="test").pixels,
    ]
    unique = torch.cat(streams).flatten(1).unique(dim=0)
    assert len(unique) == 5 * shapes.CHUNK


def test_torch_s_own_generator_is_left_alone():
    state = torch.get_rng_state()
    shapes.generate(3)
    assert torch.equal(state, torch.get_rng_state())


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        shapes.generate(3, split="val")
    with pytest.raises(ValueError, match="n=0"):
        shapes.generate(0)


# ------------------------------------------------------------------------- statistics


def test_neighbours_agree_as_in_photographs(drawn):
    x = drawn.pixels.float()
    assert 0.85 < correlation(x[..., 1:], x[..., :-1]) < 0.95
    assert 0.85 < correlation(x[..., 1:, :], x[..., :-1, :]) < 0.95


def test_no_short_linear_code_holds_them(drawn):
    flat = drawn.pixels[:1000].flatten(1).float() / 255
    flat = flat - flat.mean(0)
    variances = torch.linalg.eigvalsh(flat @ flat.T).flip(0)
    explained = variances.cumsum(0) / variances.sum()
    assert 20 <= int((explained < 0.9).sum()) < 200
    assert 200 <= int((explained < 0.99).sum()) < 900


def test_the_range_is_used_and_seldom_clipped(drawn):
    x = drawn.pixels
    assert 0.4 < x.float().mean() / 255 < 0.55
    assert 0.2 < x.float().std() / 255 < 0.3
    assert ((x == 0) | (x == 255)).float().mean() < 0.08


def test_raw_pixels_do_not_tell_the_class_to_a_linear_model(drawn):
    x = drawn.pixels[:, :, ::2, ::2].flatten(1).double() / 255
    x = x - x[:1500].mean(0)
    target = torch.nn.functional.one_hot(drawn.labels, 10).double() - 0.1
    kernel = x[:1500] @ x[:1500].T + 100 * torch.eye(1500)
    weights = x[:1500].T @ torch.linalg.solve(kernel, target[:1500])
    right = (x[1500:] @ weights).argmax(1) == drawn.labels[1500:]
    assert right.double().mean() < 0.25


def test_classes_and_textures_are_about_equally_frequent(drawn):
    assert drawn.labels.bincount(minlength=10).min() > 140
    assert drawn.factors["texture"].bincount(minlength=4).min() > 400


# ----------------------------------------------------------------- what is told of them


def test_shapes_types_and_names(drawn):
    assert drawn.pixels.shape == (2000, 3, 32, 32)
    assert drawn.pixels.dtype == torch.uint8
    assert drawn.masks.shape == (2000, 32, 32)
    assert drawn.masks.dtype == torch.bool
    assert torch.equal(drawn.labels, drawn.factors["class"])
    assert len(set(shapes.CLASSES)) == 10 == len(shapes.OUTLINES)
    assert tuple(shapes.OUTLINES) == shapes.CLASSES
    assert {values.shape for values in drawn.factors.values()} == {(2000,)}


def test_the_mask_is_where_the_factors_say(drawn):
    """Its centre of mass for symmetric classes, its area for the plainest of them."""
    side = (torch.arange(32) + 0.5) / 32
    f = drawn.factors
    inside = (f["x"] - f["size"] > 0) & (f["x"] + f["size"] < 1)
    inside &= (f["y"] - f["size"] > 0) & (f["y"] + f["size"] < 1)
    for name in ("circle", "square", "cross", "ring", "hexagon"):
        chosen = inside & (drawn.labels == shapes.CLASSES.index(name))
        mask = drawn.masks[chosen].double()
        area = mask.sum((1, 2))
        x = (mask * side).sum((1, 2)) / area
        y = (mask * side[:, None]).sum((1, 2)) / area
        assert chosen.sum() > 20
        assert (x - f["x"][chosen]).abs().max() < 0.02
        assert (y - f["y"][chosen]).abs().max() < 0.02
        if name == "circle":
            expected = torch.pi * (0.9 * f["size"][chosen] * 32) ** 2
            assert ((area - expected) / expected).abs().max() < 0.08


def test_the_mask_separates_the_colours(drawn):
    """Hues of plain objects agree with the pixels inside of the mask, not outside."""
    plain = drawn.factors["texture"] == shapes.TEXTURES.index("plain")
    x = drawn.pixels[plain].double()
    mask = drawn.masks[plain].unsqueeze(1)
    inside = (x * mask).sum((2, 3)) / mask.sum((2, 3))
    outside = (x * ~mask).sum((2, 3)) / (~mask).sum((2, 3))
    hue = 2 * torch.pi * drawn.factors["hue"][plain]

    def redness(colour):
        return colour[:, 0] - colour[:, 1]

    assert correlation(redness(inside), hue.cos()) > 0.85
    assert abs(correlation(redness(outside), hue.cos())) < 0.15
    behind = 2 * torch.pi * drawn.factors["background_hue"][plain]
    assert correlation(redness(outside), behind.cos()) > 0.6


def test_every_object_stands_out_and_is_large_enough(drawn):
    assert drawn.masks.sum((1, 2)).min() > 40
    mask = drawn.masks.unsqueeze(1)
    x = drawn.pixels.double()
    inside = (x * mask).sum((2, 3)) / mask.sum((2, 3))
    outside = (x * ~mask).sum((2, 3)) / (~mask).sum((2, 3))
    distance = (inside - outside).norm(dim=1)
    assert (distance < 20).double().mean() < 0.03


def test_light_comes_from_where_it_is_said_to(drawn):
    """Backgrounds are brighter on the side of the light, the more the stronger."""
    centred = (torch.arange(32) + 0.5) / 32 - 0.5
    grey = drawn.pixels.double().mean(1) * ~drawn.masks
    angle = torch.deg2rad(drawn.factors["light"]).double()
    toward = angle.cos()[:, None, None] * centred - (
        angle.sin()[:, None, None] * centred[:, None]
    )
    slope = (grey * toward).sum((1, 2)) / grey.sum((1, 2))
    strong = drawn.factors["light_strength"] > 0.7
    weak = drawn.factors["light_strength"] < 0.2
    assert slope[strong].mean() > 0.03
    assert slope[strong].mean() > 3 * slope[weak].mean().abs()


def test_rotation_turns_the_picture(drawn):
    """Arrows point right, and are turned counter-clockwise by the rotation."""
    f = {name: values[drawn.labels == 9] for name, values in drawn.factors.items()}
    masks = drawn.masks[drawn.labels == 9]
    turn = torch.deg2rad(f["rotation"])

    def share_inside(ahead, left):
        """Look at a point that is given in radii, seen by the arrow."""
        x = f["x"] + f["size"] * (ahead * turn.cos() - left * turn.sin())
        y = f["y"] - f["size"] * (ahead * turn.sin() + left * turn.cos())
        seen = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        column, row = (32 * x[seen]).long(), (32 * y[seen]).long()
        return masks[seen][torch.arange(int(seen.sum())), row, column].double().mean()

    assert shapes.CLASSES[9] == "arrow"
    assert min(share_inside(0.85, 0), share_inside(-0.9, 0)) > 0.95
    assert min(share_inside(-0.05, 0.4), share_inside(-0.05, -0.4)) > 0.95
    assert max(share_inside(-0.7, 0.4), share_inside(-0.7, -0.4)) < 0.05
    assert max(share_inside(0.8, 0.35), share_inside(0.8, -0.35)) < 0.05


def test_factors_have_their_ranges(drawn):
    ranges = {
        "x": (0.3, 0.7),
        "y": (0.3, 0.7),
        "size": (0.22, 0.4),
        "rotation": (-30, 30),
        "hue": (0, 1),
        "background_hue": (0, 1),
        "texture_strength": (0, 1),
        "light": (0, 360),
        "light_strength": (0, 1),
    }
    assert set(ranges) | {"class", "texture"} == set(drawn.factors)
    for name, (low, high) in ranges.items():
        values = drawn.factors[name]
        assert low <= values.min() < low + 0.1 * (high - low), name
        assert high - 0.1 * (high - low) < values.max() <= high, name
    plain = drawn.factors["texture"] == shapes.TEXTURES.index("plain")
    assert torch.equal(drawn.factors["texture_strength"] == 0, plain)


def test_other_sizes_show_the_same_pictures():
    """The geometry is that of the factors, the clouds are drawn anew."""
    small, large = shapes.generate(50, size=32), shapes.generate(50, size=64)
    assert large.pixels.shape == (50, 3, 64, 64)
    assert torch.equal(small.labels, large.labels)
    coarse = torch.nn.functional.avg_pool2d(large.masks.float(), 2) >= 0.5
    assert (coarse == small.masks).float().mean() > 0.98
