"""Chapter 08 writes rounding and entropy out: they must be those of the library."""

import numpy as np
import pytest
import torch

from ae_lib import coder, rate, results
from tests.written import written

DEFINED = ["by_size", "quantise", "entropy", "slope", "frontier", "quality", "cost_of"]


@pytest.fixture(scope="module")
def page():
    return written("08", DEFINED, torch=torch, np=np)


@pytest.fixture(scope="module")
def codes():
    random = torch.Generator().manual_seed(0)
    width = torch.linspace(0, 3, 40)
    return torch.randn(2_000, 40, generator=random) * width


def test_the_page_rounds_as_the_library_does(page, codes):
    for step in (0.1, 0.7):
        ours = page["quantise"](codes, step).numpy()
        assert np.array_equal(ours, coder.quantise(codes, step))


@pytest.mark.parametrize("cost", [15, 40, 100, 400])
def test_the_page_reads_a_curve_as_the_library_does(page, cost):
    points = [{"bytes": b, "mse": 1 / b} for b in (20, 30, 80, 200)]
    points.append({"bytes": 60, "mse": 1.0})  # a cheaper point beats it
    points.append({"bytes": 50, "mse": 1 / 35})  # and a mixture beats this one
    points.append({"bytes": 900, "mse": 0.0})  # without loss
    pairs = [(point["bytes"], point["mse"]) for point in points]
    assert page["frontier"](pairs) == rate.hull(pairs) == pairs[:4]
    ours = page["quality"](pairs, cost)
    assert ours == pytest.approx(rate.quality(points, cost), nan_ok=True)
    assert np.isnan(ours) == (not 20 <= cost <= 200)


def test_the_entropy_of_the_page_is_what_the_coder_writes(page, codes):
    symbols = coder.quantise(codes, 0.5)
    tables = coder.Tables.fit(symbols)  # fitted to what is written: nothing is lost
    bits = page["entropy"](torch.from_numpy(symbols))
    assert tables.bits(symbols).mean() == pytest.approx(bits, rel=0.01)
    written = np.mean([len(stream) for stream in coder.encode(symbols, tables)])
    assert 0 < written - bits / 8 < 3


def test_one_bit_more_for_half_the_step(page, codes):
    wide = codes[:, 20:]
    bits = [page["entropy"](page["quantise"](wide, step)) for step in (0.2, 0.1)]
    assert (bits[1] - bits[0]) / 20 == pytest.approx(1, abs=0.1)


def test_a_frontier_is_read_between_its_points(page):
    pairs = [(100, 0.001), (10, 0.1), (50, 0.2), (1000, 0.00001), (90, 0.05)]
    assert page["frontier"](pairs) == [(10, 0.1), (100, 0.001), (1000, 0.00001)]
    assert page["quality"](pairs, 10) == pytest.approx(10)
    assert page["quality"](pairs, 55) == pytest.approx(-10 * np.log10(0.0505))
    assert page["cost_of"](pairs, -10 * np.log10(0.0505)) == pytest.approx(55)
    assert page["cost_of"](pairs, 30) == pytest.approx(100)


def test_sizes_come_in_order_whatever_the_order_of_the_rows(page):
    rows = [{"latent_dim": k, "mse": k + seed} for seed in (0, 1) for k in (64, 10)]
    sizes, values = page["by_size"](rows, "mse")
    assert sizes == [10, 64]
    assert values.tolist() == [[10, 64], [11, 65]]  # (seeds, sizes)


def test_the_two_records_belong_together():
    sweep, rate = map(results.load, ("sweep_cifar10", "rate_cifar10"))
    cells, rows = sweep["data"]["cells"], rate["data"]["rows"]
    errors = {(c["latent_dim"], c["seed"]): c["mse"] for c in cells}
    ours = {(r["latent_dim"], r["seed"]) for r in rows if r["method"] == "network"}
    linear = [r["latent_dim"] for r in rows if r["method"] == "PCA"]
    assert ours <= set(errors)  # rates may be of fewer seeds, never of fewer sizes
    sizes = sorted({k for k, _ in errors})
    assert sorted({k for k, _ in ours}) == sizes and linear[:-1] == sizes
    assert sweep["provenance"]["source"] == rate["provenance"]["source"]
    for row in rows:  # the first thousand test images are as hard as all of them
        if row["method"] == "network":
            all_ = errors[row["latent_dim"], row["seed"]]
            assert row["as they are"] == pytest.approx(all_, rel=0.1)


def test_the_picture_of_the_record_has_a_row_for_each_size():
    from PIL import Image

    cells = results.load("sweep_cifar10")["data"]["cells"]
    path = results.folder() / "rate_cifar10.png"
    with Image.open(path) as sheet:
        assert sheet.size == (8 * 32, (1 + len({c["latent_dim"] for c in cells})) * 32)
    assert path.stat().st_size <= 200_000


def test_the_slider_shows_the_size_that_it_names(root):
    import io

    import ipywidgets
    from PIL import Image

    from ae_lib.explore import png

    path = root / "chapters" / "08_bottleneck.py"
    cells = path.read_text(encoding="utf-8").split("# %%")
    (code,) = [cell for cell in cells if "SelectionSlider(" in cell]
    sizes = [10, 64, 200]
    tiles = torch.rand(4, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    names = {"torch": torch, "ipywidgets": ipywidgets, "png": png, "tiles": tiles}
    names |= {"sizes": sizes, "at": {size: i for i, size in enumerate(sizes)}}
    exec(compile(code, str(path), "exec"), names)
    for size in (200, 10):
        names["slider"].value = size
        with Image.open(io.BytesIO(names["screen"].value)) as shown:
            pixels = torch.from_numpy(np.asarray(shown).copy()).float() / 255
        assert pixels.shape == (3 * 96, 768, 3)  # each pixel three times as large
        first = pixels[1:288:3, 1:768:3].permute(2, 0, 1)[..., :32]  # (3, 96, 32)
        x, x_hat = tiles[0, 0], tiles[1 + sizes.index(size), 0]
        expected = torch.cat([x, x_hat, (3 * (x_hat - x).abs()).clamp(0, 1)], dim=1)
        assert (first - expected).abs().max() < 0.003
