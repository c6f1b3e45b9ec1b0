"""Weights on disk: whole, loadable, and free of code."""

import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import ae_lib
from ae_lib.atomic import write_atomically
from ae_lib.checkpoints import (
    load_checkpoint,
    load_model,
    save_checkpoint,
    save_model,
)
from ae_lib.models import MODELS


@pytest.mark.parametrize("model_class", MODELS.values())
def test_a_saved_model_comes_back(model_class, tmp_path):
    model = model_class(6, (1, 28, 28)).to(memory_format=torch.channels_last)
    model(torch.rand(8, 1, 28, 28))  # moves the batch norm statistics
    again = load_model(save_model(model, tmp_path / "model.safetensors"))
    x = torch.rand(3, 1, 28, 28)
    assert not again.training and again.latent_dim == 6
    torch.testing.assert_close(again(x), model.eval()(x))


def test_the_front_door_takes_a_run_folder(tmp_path):
    save_model(MODELS["ConvAutoencoder"](5), tmp_path / "model.safetensors")
    assert ae_lib.load_model(tmp_path).latent_dim == 5


def test_other_modules_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"safetensors\.torch\.save_model"):
        save_model(nn.Linear(2, 2), tmp_path / "model.safetensors")


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_model(tmp_path / "nothing.safetensors")
    path = save_model(MODELS["LinearAutoencoder"](5), tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"latent_dim": "7"},
        {"latent_dim": str(10**9)},  # would take terabytes
        {"latent_dim": "many"},
        {"image_shape": "[3]"},
        {"image_shape": "null"},
        {"image_shape": None},
        {"model": "LinearAutoencoder"},
    ],
)
def test_a_false_header_is_refused(tmp_path, change):
    path = save_model(MODELS["ConvAutoencoder"](5), tmp_path / "model.safetensors")
    with safe_open(path, "pt") as file:
        header = {k: v for k, v in (file.metadata() | change).items() if v is not None}
        weights = {key: file.get_tensor(key) for key in file.keys()}
    save_file(weights, path, header)
    with pytest.raises(ValueError, match=r"model\.safetensors does not hold the wei"):
        load_model(path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_atomically(path) as part:
        part.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoints_carry_tensors_but_no_code(tmp_path):
    state = {"weights": torch.arange(3.0), "epoch": 2, "losses": [0.5, 0.25]}
    path = save_checkpoint(state, tmp_path / "last.pt")
    again = load_checkpoint(path)
    assert torch.equal(again["weights"], state["weights"])
    assert again["losses"] == [0.5, 0.25]
    torch.save({"weights": print}, path)
    with pytest.raises(ValueError, match="no checkpoint") as caught:
        load_checkpoint(path)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match="no checkpoint"):
        load_checkpoint(path)
