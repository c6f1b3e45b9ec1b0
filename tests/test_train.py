"""The command `python -m ae_lib.train`: what it writes, and what it says."""

import json

import pytest
import torch
from PIL import Image

import ae_lib
from ae_lib import data, train
from ae_lib.checkpoints import load_checkpoint
from ae_lib.history import History
from ae_lib.metrics import evaluate

SMALL = ["--dataset", "shapes", "--limit", "256", "--device", "cpu"]


@pytest.fixture(autouse=True)
def small_test_split(monkeypatch):
    monkeypatch.setattr(
        train,
        "load",
        lambda name, split, limit=None: data.load(name, split, limit or 64),
    )


def run(out, *more):
    return train.main([*SMALL, "--out", str(out), *more])


def test_it_writes_a_model_that_has_the_error_it_states(tmp_path):
    out = tmp_path / "run"
    assert run(out, "--latent-dim", "12", "--epochs", "2", "--hold-out", "56") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    model = ae_lib.load_model(out)
    test = data.load("shapes", "test", 64)
    assert model.latent_dim == 12
    assert evaluate(model, test)["mse"] == pytest.approx(metrics["mse"], rel=1e-5)
    assert metrics["psnr"] == pytest.approx(
        -10 * torch.tensor(metrics["mse"]).log10().item()
    )
    assert metrics["train_images"] == 200 and metrics["seconds"] > 0
    assert metrics["provenance"]["source"] == test.source
    assert metrics["provenance"]["seeds"] == [0]
    words = [*SMALL, "--out run --latent-dim 12 --epochs 2 --hold-out 56"]
    command = " ".join(["python -m ae_lib.train", *words])
    assert metrics["provenance"]["command"] == command
    history = History.load(out / "history.json")
    assert len(history.val_loss) == history.epochs == 2
    with Image.open(out / "reconstructions.png") as picture:
        assert picture.width > 800


def test_the_seed_decides_the_run(tmp_path):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(tmp_path / name, "--epochs", "2", "--seed", seed)
    losses = [
        History.load(tmp_path / name / "history.json").train_loss for name in "abc"
    ]
    assert losses[0] == losses[1] != losses[2]


def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path, monkeypatch, capsys):
    fit = train.fit
    options = ["--epochs", "2"]

    def interrupted(model, images, **options):
        history = fit(model, images, **options)
        history.stopped = "interrupted"
        return history

    monkeypatch.setattr(train, "fit", interrupted)
    assert run(tmp_path, *options) == 130
    assert "--resume" in capsys.readouterr().out
    assert not (tmp_path / "model.safetensors").exists()
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 0
    monkeypatch.setattr(train, "fit", fit)
    assert run(tmp_path, *options, "--resume") == 0
    assert (tmp_path / "model.safetensors").exists()


def test_mistakes_are_told_in_one_line(tmp_path, capsys):
    assert run(tmp_path, "--latent-dim", "0") == 1
    assert run(tmp_path, "--hold-out", "256") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(line.startswith("ae_lib.train: ") for line in told)
