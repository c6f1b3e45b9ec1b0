"""Rate and distortion: the coder loses nothing and counts everything; so do codecs."""

import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ae_lib import coder, data, rate, results, sweep
from ae_lib.baselines import PCA
from ae_lib.coder import Tables, decode, encode, quantise
from ae_lib.metrics import mse, reconstruct

# ------------------------------------------------------------------ the entropy coder


def symbols(n, units, spread, seed):
    """Draw whole numbers (N, D), each unit with a mean and a width of its own."""
    random = np.random.default_rng(seed)
    width = random.uniform(0, spread, units)
    return np.round(random.laplace(random.uniform(-9, 9, units), width, (n, units)))


@given(
    n=st.integers(1, 20),
    units=st.integers(1, 30),
    spread=st.sampled_from([0, 0.5, 5, 100]),
    seed=st.integers(0, 1000),
)
def test_what_was_written_is_read_back(n, units, spread, seed):
    seen, new = np.split(symbols(2 * n, units, spread, seed).astype(np.int32), 2)
    tables = Tables.fit(seen)
    kept = tables.clip(new)
    streams = encode(kept, tables)
    shared = Tables.from_bytes(tables.to_bytes())  # what the reader is given
    assert np.array_equal(decode(streams, shared), kept)
    for stream, row in zip(streams, kept, strict=True):  # each can be read alone
        assert np.array_equal(decode([stream], shared), row[None])


def test_streams_are_as_long_as_the_shares_say():
    seen = symbols(5_000, 40, 6, 0).astype(np.int32)
    tables = Tables.fit(seen[:4_000])
    new = tables.clip(seen[4_000:])
    over = np.array([len(s) for s in encode(new, tables)]) - tables.bits(new) / 8
    assert over.min() > 0 and over.max() < 4 and over.mean() < 3
    shares = [np.unique(unit, return_counts=True)[1] / len(new) for unit in new.T]
    entropy = sum(-(p * np.log2(p)).sum() for p in shares)
    assert tables.bits(new).mean() == pytest.approx(entropy, rel=0.02)


def test_a_value_that_is_certain_costs_nothing():
    constant = np.full((50, 300), 7, np.int32)
    tables = Tables.fit(constant)
    assert tables.bits(constant).max() == 0
    assert {len(stream) for stream in encode(constant, tables)} == {3}


def test_every_value_in_range_can_be_written():
    seen = np.array([[0], [0], [0], [900]], np.int32)
    tables = Tables.fit(seen)
    assert all(table.sum() == coder.TOTAL for table in tables.frequencies)
    between = np.arange(901, dtype=np.int32)[:, None]
    assert np.array_equal(decode(encode(between, tables), tables), between)
    assert tables.clip(np.array([[-5], [5000]])).tolist() == [[0], [900]]


def test_damage_is_noticed():
    seen = symbols(200, 20, 5, 1).astype(np.int32)
    tables = Tables.fit(seen)
    streams = encode(seen, tables)
    for bad in (streams[0][:-1], streams[0] + b"\0", b"", b"\0" * 40):
        with pytest.raises(ValueError, match="damaged"):
            decode([bad], tables)
    with pytest.raises(ValueError, match="damaged"):
        decode(streams, Tables.fit(symbols(200, 20, 5, 2).astype(np.int32)))


def test_what_cannot_be_written_is_refused():
    tables = Tables.fit(np.array([[0, 0], [1, 1]]))
    with pytest.raises(ValueError, match="clip"):
        encode(np.array([[0, 2]]), tables)
    with pytest.raises(ValueError, match="larger step"):
        Tables.fit(np.array([[0], [coder.MOST_VALUES]]))
    with pytest.raises(ValueError, match="above 0"):
        quantise(torch.zeros(1, 1), 0.0)


def test_rounding_errs_by_half_a_step_at_most():
    codes = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    for step in (0.03, 0.7):
        off = torch.from_numpy(quantise(codes, step)) * step - codes
        assert off.abs().max() <= step / 2 + 1e-6


# ----------------------------------------------------------------------------- curves


@pytest.fixture(scope="module")
def images():
    return {
        "train": data.load("shapes", "train", 400),
        "test": data.load("shapes", "test", 40),
    }


def test_a_finer_step_costs_bytes_and_saves_error(images):
    train, test = images["train"], images["test"]
    pca = PCA.fit(train, 30)
    steps = (0.01, 0.1, 1.0)
    codes = pca.encode(train.unit())
    fine, middle, coarse = rate.curve(pca, codes, [test], steps)[0]
    assert fine["bytes"] > middle["bytes"] > coarse["bytes"]
    assert fine["mse"] < middle["mse"] < coarse["mse"]
    assert 0 < middle["bytes"] - middle["ideal"] < 3
    assert middle["shared"] > 4
    exact = mse(test, rate.in_8_bits(reconstruct(pca, test)))
    # Up to what is clipped: values that none of 400 training images had.
    assert fine["mse"] == pytest.approx(exact, rel=0.01)
    both = rate.curve(pca, codes, [test, rate.shift(test)], steps[1:2])
    assert both[0][0] == middle and both[1][0]["mse"] != middle["mse"]


def test_the_scale_of_a_code_does_not_matter(images):
    pca = PCA.fit(images["train"], 10)

    class Stretched:
        def encode(self, x):
            return pca.encode(x) * 8

        def decode(self, z):
            return pca.decode(z / 8)

    codes = pca.encode(images["train"].unit())
    assert rate.gain(pca, codes) == pytest.approx(1, abs=1e-3)
    assert rate.gain(Stretched(), codes * 8) == pytest.approx(1 / 8, abs=1e-3)
    tests = [images["test"]]
    plain = rate.curve(pca, codes, tests, (0.3,))[0][0]
    stretched = rate.curve(Stretched(), codes * 8, tests, (0.3,))[0][0]
    assert stretched["bytes"] == pytest.approx(plain["bytes"], rel=0.02)
    assert stretched["mse"] == pytest.approx(plain["mse"], rel=0.02)


def test_a_hull_keeps_what_no_mixture_beats():
    dented = [(10, 0.4), (30, 0.29), (50, 0.2), (20, 0.1), (60, 0.05), (40, 0.4)]
    assert rate.hull(dented) == [(10, 0.4), (20, 0.1), (60, 0.05)]
    assert rate.hull([(5, 0.1), (5, 0.3), (5, 0.1)]) == [(5, 0.1)]
    assert rate.hull([(1, 0.3), (2, 0.2), (3, 0.1)]) == [(1, 0.3), (3, 0.1)]
    assert rate.hull([(1, 0.3), (9, 0.0)]) == [(1, 0.3)]  # without loss: another game


PAIRS = st.tuples(st.integers(1, 900), st.integers(1, 900).map(lambda e: e / 1_000))


@given(st.lists(PAIRS, min_size=1, max_size=30), st.floats(0, 1))
def test_no_setting_and_no_mixture_is_better_than_the_hull(pairs, share):
    points = [{"bytes": cost, "mse": error} for cost, error in pairs]
    kept = rate.hull(pairs)
    assert set(kept) <= set(pairs)
    for a in pairs:
        for b in pairs[:5]:
            cost, error = share * np.array(a) + (1 - share) * np.array(b)
            cost = np.clip(cost, kept[0][0], kept[-1][0])  # more gains nothing
            assert rate.quality(points, cost) >= -10 * np.log10(error) - 1e-6


def test_between_two_settings_the_images_are_shared_out():
    points = [{"bytes": 10, "mse": 0.1}, {"bytes": 30, "mse": 0.01}]
    assert rate.quality(points, 20) == pytest.approx(-10 * np.log10(0.055))
    assert rate.quality(points, 30) == pytest.approx(20)
    assert np.isnan([rate.quality(points, cost) for cost in (9, 31)]).all()


# ----------------------------------------------------------------------------- codecs

SETTINGS = [("JPEG", {"quality": 50}), ("JPEG", {"quality": 90, "subsampling": 0})]
SETTINGS += [("WEBP", {"quality": 50}), ("WEBP", {"lossless": True})]


def files(images, format, options):
    for pixels in images.pixels:
        file = io.BytesIO()
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        picture.save(file, format, **options)
        yield file.getvalue()


@pytest.mark.parametrize(("format", "options"), SETTINGS)
def test_what_is_not_counted_is_the_same_in_all_files(images, format, options):
    found = list(files(images["test"], format, options))
    payloads = [rate.payload(file) for file in found]
    assert len(set(payloads)) > 10  # these depend on the image
    measured = rate.codec(images["test"], format, **options)
    assert measured["bytes"] == pytest.approx(np.mean(payloads))
    assert measured["file"] == pytest.approx(np.mean([len(f) for f in found]))
    for file, kept in zip(found, payloads, strict=True):
        if format == "JPEG":
            assert file[: -kept - 2] == found[0][: -payloads[0] - 2]
            assert file[-2:] == b"\xff\xd9"
        else:  # sizes stand in a WebP header, and its end is padded to even length
            lossy = 0 if options.get("lossless") else 5
            assert len(file) - kept - 25 - lossy in (0, 1)
            assert file[:4] + file[8:16] == found[0][:4] + found[0][8:16]


def test_codecs_lose_what_they_say(images):
    test = images["test"]
    rough, fine = (rate.codec(test, "JPEG", quality=q) for q in (10, 90))
    assert rough["bytes"] < fine["bytes"] and rough["mse"] > fine["mse"] > 0
    assert rate.codec(test, "WEBP", lossless=True)["mse"] == 0
    with pytest.raises(ValueError, match="JPEG file or a simple WebP"):
        rate.payload(next(files(test, "PNG", {})))


def test_moved_images_hold_the_same_pixels(images):
    before, after = images["test"].pixels, rate.shift(images["test"]).pixels
    assert after.shape == before.shape
    assert torch.equal(after[..., 3:, 5:], before[..., :-3, :-5])
    assert torch.equal(after[..., 2, 4], before[..., 1, 1])  # a mirror image


def test_elsewhere_changes_what_it_says(images):
    odd = rate.elsewhere(images["test"])
    x = odd["as they are"]
    assert torch.equal(odd["upside down"].flip(2), x)
    mixed = odd["pixels mixed"]
    assert not torch.equal(mixed, x)
    assert torch.equal(mixed.sum(1).flatten(1).sort().values[0],
                       x.sum(1).flatten(1).sort().values[0])  # fmt: skip
    assert odd["white noise"].var().item() == pytest.approx(1 / 12, rel=0.02)


# ------------------------------------------------------------------------- the record


@pytest.fixture
def small(images, tmp_path, monkeypatch):
    """A finished sweep of four cells."""
    monkeypatch.setenv("AE_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setattr(rate, "load", lambda name, split, limit=None: images[split])
    settings = sweep.Settings("shapes", "LinearAutoencoder", epochs=1, limit=400)
    cells = [(3, 0), (2, 0), (3, 1), (2, 1)]
    assert sweep.work(tmp_path / "runs", cells, settings, **images) == []
    return tmp_path / "runs"


def test_the_command_writes_record_and_picture(small, images, tmp_path, capsys):
    assert rate.main(["--sweep", str(small), "--record", "rates"]) == 0
    assert "4 models in rates.json" in capsys.readouterr().out
    record = results.load("rates")
    assert record["provenance"]["seeds"] == [0, 1]
    found = record["data"]
    rows = [(r["method"], r["latent_dim"], r.get("seed")) for r in found["rows"]]
    assert rows[:3] == [("PCA", 2, None), ("PCA", 3, None), ("PCA", 399, None)]
    assert rows[3:] == [("network", k, seed) for k in (2, 3) for seed in (0, 1)]
    cell = json.loads((small / "latent_0003_seed_1.json").read_text())
    row = found["rows"][-1]
    assert row["as they are"] == pytest.approx(cell["mse"])
    assert 0 <= row["probe"] <= 1
    assert [p["step"] for p in row["rates"]["moved"]] == list(rate.STEPS)
    linear = PCA.fit(images["train"], 2)
    assert found["rows"][0]["mse"] == pytest.approx(
        mse(images["test"], reconstruct(linear, images["test"])), rel=1e-4
    )
    assert found["rows"][0]["mse"] < found["mean_image"]["mse"]
    assert {len(points["moved"]) for points in found["codecs"].values()} == {15, 13, 1}
    with Image.open(tmp_path / "results" / "rates.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (3 * 32, 8 * 32, 3)  # the images, and two sizes
    first = images["test"].pixels[1].permute(1, 2, 0).numpy()
    assert np.array_equal(pixels[:32, 32:64], first)


def test_what_does_not_belong_together_is_refused(small, images, tmp_path, capsys):
    command = ["--record", "rates", "--sweep"]
    assert rate.main([*command, str(tmp_path / "empty")]) == 1
    assert "no finished cells" in capsys.readouterr().err
    path = small / "latent_0002_seed_1.json"
    cell = json.loads(path.read_text())
    path.write_text(json.dumps(cell | {"source": "photographs"}))
    assert rate.main([*command, str(small)]) == 1
    assert "other images" in capsys.readouterr().err
    cell["settings"]["epochs"] = 7
    path.write_text(json.dumps(cell))
    assert rate.main([*command, str(small)]) == 1
    assert "use another folder" in capsys.readouterr().err
