"""The benchmarks: the same work for all, and arithmetic that can be checked by hand."""

import json
import subprocess
import sys

import pytest
import torch

from ae_lib import benchmarks, contenders, data, memory, results
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ArticleAutoencoder


@pytest.fixture(scope="module")
def pixels():
    return data.load("shapes", "train", 96).pixels


def error_after(name, pixels):
    torch.manual_seed(0)
    model = ArticleAutoencoder(8)
    seconds = contenders.train_with(name, model, pixels, batch_size=32)
    assert seconds > 0 and not model.training
    return mse(pixels, reconstruct(model, pixels))


def test_fit_in_float32_does_what_the_plain_loop_does(pixels):
    torch.manual_seed(0)
    before = mse(pixels, reconstruct(ArticleAutoencoder(8), pixels))
    loop = error_after("loop", pixels)
    assert loop < before
    assert error_after("fit_float32", pixels) == pytest.approx(loop, rel=1e-4)
    assert error_after("fit", pixels) == pytest.approx(loop, rel=benchmarks.TOLERANCE)


@pytest.mark.parametrize("name", list(contenders.NEEDS))
def test_the_guests_do_the_same(name, pixels):
    pytest.importorskip(contenders.NEEDS[name])
    loop = error_after("loop", pixels)
    assert error_after(name, pixels) == pytest.approx(loop, rel=benchmarks.TOLERANCE)


def test_the_pictures_of_the_loop_are_the_pixels(pixels):
    for channels in (3, 1):
        part = pixels[:2, :channels]
        x, _ = contenders.Pictures(part)[1]
        assert torch.equal(x, data.to_unit(part[1]))


def test_flop_are_those_of_the_network():
    # Forward: twice the products of each layer. Backward: as much for the weights and
    # as much for the inputs, but for the image, whose gradient nobody asks for.
    sizes = [(3, 16, 32), (16, 16, 32), (16, 32, 16), (32, 32, 16), (32, 64, 8)]
    convolutions = [2 * 9 * a * b * s * s for a, b, s in [*sizes, (64, 64, 8)]]
    layers = 2 * (sum(convolutions) + 2 * 4096 * 200)
    assert benchmarks.flop_per_image(200) == 3 * layers - convolutions[0]


def test_summary_is_paired_by_repetition():
    runs = {
        "fit": {"seconds": [1.0, 2.0, 4.0], "mse": [0.10, 0.20, 0.30]},
        "loop": {"seconds": [3.0, 8.0, 8.0], "mse": [0.10, 0.20, 0.30]},
        "other": {"seconds": [1.0, 1.0, 1.0], "mse": [0.12, 0.24, 0.36]},
    }
    raced = {"runs": runs, "bf16": [4e9, 2e9, 1e9], "float32": [1e9, 2e9, 3e9]}
    data = benchmarks.summarise(raced, images=1000, flop=1e6)
    rows = data["contenders"]
    assert rows["loop"]["times_longer"] == [3.0, 2.0, 4.0]
    assert rows["fit"]["images_per_second"] == 500
    assert rows["fit"]["gflops"] == pytest.approx(0.5)
    assert data["share_of_bf16_rate"] == pytest.approx([0.25, 0.25, 0.25])
    assert data["matrix_gflops"] == {"bf16": 2.0, "float32": 2.0}
    assert [rows[name]["equal_loss"] for name in runs] == [True, True, False]
    assert rows["other"]["mse_ratio"] == pytest.approx(1.2)


def test_the_command_writes_a_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AE_RESULTS_DIR", str(tmp_path))
    monkeypatch.setitem(contenders.NEEDS, "pythae", "no_such_package")
    monkeypatch.setattr(benchmarks, "matrix_rate", lambda dtype, device: 1e9)
    sizes = ["--images", "128", "--latent-dim", "8", "--repetitions", "1"]
    options = ["--dataset", "shapes", "--only", "pythae", "--sizes", "300"]
    assert benchmarks.main([*sizes, *options, "--record", "speed"]) == 0
    told = capsys.readouterr().out
    assert "not installed (pip install no_such_package)" in told
    found = results.load("speed")["data"]
    assert set(found["contenders"]) == {"fit", "loop"}
    assert found["order"] == ["fit", "loop", "pythae"]
    assert len(found["contenders"]["loop"]["seconds"]) == 1
    (row,) = found["growth"]
    assert row["images"] == 300 and row["microseconds_per_image"] > 0
    assert row["peak_bytes"] is None or row["peak_bytes"] > row["data_bytes"]
    assert benchmarks.table(json.loads(json.dumps(found))) in told


def test_the_peak_is_that_of_the_process_alone():
    ballast = torch.ones(2**28)  # 1 GiB, which a child must not be charged with
    code = "from ae_lib.memory import peak_bytes; print(peak_bytes())"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ballast.nbytes == 2**30
    assert told.strip() == "None" or 2**26 < int(told) < 2**30


def test_memory_is_kept_where_glibc_is(monkeypatch):
    memory.keep_freed_memory.cache_clear()
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    assert memory.keep_freed_memory() is False
    monkeypatch.undo()
    memory.keep_freed_memory.cache_clear()
    resource = pytest.importorskip("resource")
    if not memory.keep_freed_memory():
        pytest.skip("not glibc")

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(2**20)  # 4 MiB, 1024 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 1024  # and not 20 times as many
