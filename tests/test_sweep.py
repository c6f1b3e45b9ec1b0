"""The sweep and the search: nothing twice, nothing lost, any number of workers."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from ae_lib import checkpoints, data, results, search, sweep
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import LinearAutoencoder
from ae_lib.sweep import Settings, cell_path, claim, work

SETTINGS = Settings("shapes", "LinearAutoencoder", epochs=1, limit=64)
CELLS = [(2, 0), (3, 0), (2, 1)]


@pytest.fixture(scope="module")
def images():
    return {
        "train": data.load("shapes", "train", 64),
        "test": data.load("shapes", "test", 20),
    }


def test_cells_are_computed_once_and_collected(images, tmp_path, monkeypatch):
    assert work(tmp_path, CELLS, SETTINGS, **images) == []
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert len(kept) == 3 and not list(tmp_path.glob("*.claim"))
    monkeypatch.setattr(sweep, "measure_cell", None)  # must not be called again
    assert work(tmp_path, CELLS, SETTINGS, **images) == []
    assert {path: path.read_bytes() for path in kept} == kept
    found = sweep.collect(tmp_path, CELLS, SETTINGS)
    assert [(c["latent_dim"], c["seed"]) for c in found["cells"]] == CELLS
    cell = found["cells"][1]
    model = checkpoints.load_model(
        cell_path(tmp_path, 3, 0).with_suffix(".safetensors")
    )
    test = images["test"]
    assert cell["mse"] == pytest.approx(mse(test, reconstruct(model, test)))
    assert cell["gap"] == pytest.approx(cell["mse"] - cell["train_mse"])
    assert 1 <= cell["effective_rank"] <= 3 and cell["dead_codes"] == 0
    assert found["cells"][0]["mse"] != found["cells"][2]["mse"]  # seeds differ


def test_a_cell_names_the_command_that_makes_it(images, tmp_path, capsys):
    settings = Settings("shapes", "LinearAutoencoder", 1, limit=64, mirror=True)
    cell, _ = sweep.measure_cell(settings, 2, 1, images["train"], images["test"])
    start = "python -m ae_lib.sweep "
    command = cell["provenance"]["command"]
    assert command.startswith(start)
    words = command.removeprefix(start).split()
    assert sweep.main([*words, "--out", str(tmp_path)]) == 0
    elsewhere = sweep._command(Settings(dataset="/home/someone/pictures"), 2, 1)
    assert "/home" not in elsewhere and "--dataset pictures" in elsewhere
    again = sweep.read_cell(tmp_path, 2, 1, settings)
    assert again["train_loss"] == pytest.approx(cell["train_loss"])


def test_mirror_images_are_trained_on_too(images, monkeypatch):
    seen, fit = [], sweep.fit

    def noting(model, train, **options):
        seen.append(len(train))
        return fit(model, train, **options)

    monkeypatch.setattr(sweep, "fit", noting)
    for mirror in (False, True):
        settings = Settings("shapes", "LinearAutoencoder", 1, limit=64, mirror=mirror)
        cell, _ = sweep.measure_cell(settings, 2, 0, images["train"], images["test"])
    assert seen == [64, 128] and cell["settings"]["mirror"]


def test_two_workers_share_the_cells(images, tmp_path, monkeypatch):
    done, measure = [], sweep.measure_cell

    def slowly(settings, latent_dim, seed, *rest):
        done.append((latent_dim, seed))
        time.sleep(0.05)
        return measure(settings, latent_dim, seed, *rest)

    monkeypatch.setattr(sweep, "measure_cell", slowly)
    options = {**images, "wait": True}
    workers = [
        threading.Thread(target=work, args=(tmp_path, CELLS, SETTINGS), kwargs=options)
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == sorted(CELLS)
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_claim_is_respected_while_it_lives(images, tmp_path):
    held = cell_path(tmp_path, 3, 0).with_suffix(".claim")
    with claim(held) as mine:
        assert mine and held.exists()
        with claim(held) as second:
            assert not second
        assert held.exists()
        assert work(tmp_path, CELLS, SETTINGS, **images) == [(3, 0)]
    assert not held.exists()
    assert work(tmp_path, CELLS, SETTINGS, **images) == []


def test_a_holder_shows_that_it_lives(tmp_path):
    path = tmp_path / "cell.claim"
    with claim(path, stale=0.3) as mine:
        assert mine
        for _ in range(4):
            time.sleep(0.2)
            with claim(path, stale=0.3) as second:
                assert not second


def test_the_claim_of_a_dead_worker_is_taken_over(images, tmp_path):
    """A worker that is killed cannot tidy up."""
    dead = cell_path(tmp_path, 2, 0).with_suffix(".claim")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ae_lib.sweep import claim\n"
        "with claim(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(dead)]).returncode != 0
    assert dead.exists()
    assert work(tmp_path, [(2, 0)], SETTINGS, **images) == [(2, 0)]
    long_ago = time.time() - 2 * sweep.STALE
    os.utime(dead, (long_ago, long_ago))
    assert work(tmp_path, [(2, 0)], SETTINGS, **images) == []
    assert not dead.exists() and cell_path(tmp_path, 2, 0).exists()


def test_a_failing_cell_gives_its_claim_back(images, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(sweep, "measure_cell", fails)
    with pytest.raises(RuntimeError, match="no memory"):
        work(tmp_path, CELLS, SETTINGS, **images)
    assert list(tmp_path.iterdir()) == []


def test_another_sweep_is_not_mixed_in(images, tmp_path):
    work(tmp_path, [(2, 0)], SETTINGS, **images)
    other = Settings("shapes", "LinearAutoencoder", epochs=2, limit=64)
    with pytest.raises(ValueError, match="use another folder"):
        work(tmp_path, CELLS, other, **images)
    path = cell_path(tmp_path, 3, 0)
    work(tmp_path, [(3, 0)], SETTINGS, **images)
    cell = json.loads(path.read_text())
    del cell["settings"]["mirror"]  # a cell from before there was a choice
    path.write_text(json.dumps(cell))
    assert work(tmp_path, [(3, 0)], SETTINGS, **images) == []
    path.write_text(json.dumps(cell | {"source": "photographs"}))
    with pytest.raises(ValueError, match="different data"):
        sweep.collect(tmp_path, [(2, 0), (3, 0)], SETTINGS)


def test_the_command_writes_the_record(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AE_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setattr(sweep, "load", lambda name, split, limit=None: images[split])
    options = ["--latent-dims", "2", "3", "--seeds", "0", "--epochs", "1"]
    options += ["--model", "LinearAutoencoder", "--dataset", "shapes", "--limit", "64"]
    options += ["--out", str(tmp_path / "runs")]
    (tmp_path / "runs").mkdir()
    with claim(tmp_path / "runs" / "latent_0003_seed_0.claim"):
        assert sweep.main(options) == 0
    assert "1 of 2 cells are with other workers" in capsys.readouterr().out
    assert sweep.main([*options, "--record", "sizes"]) == 0
    cells = results.load("sizes")["data"]["cells"]
    assert [cell["latent_dim"] for cell in cells] == [2, 3]
    assert sweep.main([*options[:-4], "--limit", "32", *options[-2:]]) == 1
    assert "use another folder" in capsys.readouterr().err


def test_workers_share_one_search(images, tmp_path, capsys):
    import optuna

    train, validation = data.hold_out(images["train"], 16)
    options = {"model": LinearAutoencoder, "latent_dim": 2, "epochs": 1, "seed": 0}
    first = search.search(tmp_path, train, validation, trials=2, **options)
    assert len(first.trials) == 2
    again = search.search(tmp_path, train, validation, trials=3, **options)
    assert len(again.trials) == 3
    assert (
        len(search.search(tmp_path, train, validation, trials=3, **options).trials) == 3
    )
    best = again.best_trial
    fixed = optuna.trial.FixedTrial(best.params)
    value = search.objective(fixed, train, validation, LinearAutoencoder, options)
    assert value == pytest.approx(best.value, rel=1e-5)
    assert capsys.readouterr().out.count("trial ") == 3


def test_without_optuna_the_search_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    options = ["--dataset", "shapes", "--limit", "64", "--out", str(tmp_path)]
    assert search.main(options) == 1
    assert "pip install optuna" in capsys.readouterr().err
