"""What is exported answers as the model does, or nothing is written."""

import builtins
import importlib
import sys

import pytest
import torch
from torch import nn

from ae_lib import export
from ae_lib.models import PyramidAutoencoder, ResidualAutoencoder

SHAPE = (3, 16, 16)


@pytest.fixture(scope="module")
def trained():
    """A small network whose running statistics are not those of a fresh one."""
    torch.manual_seed(0)
    model = PyramidAutoencoder(5, SHAPE)
    for _ in range(3):
        model(torch.rand(8, *SHAPE))
    return model.train()


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """The three files of one network; an export takes seconds."""
    folder = tmp_path_factory.mktemp("onnx")
    before = {k: v.clone() for k, v in trained.state_dict().items()}
    paths = {
        part: export.to_onnx(trained, folder / f"{part}.onnx", part=part)
        for part in export.PARTS
    }
    assert trained.training
    assert all(torch.equal(v, before[k]) for k, v in trained.state_dict().items())
    return paths


def answer(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    return torch.from_numpy(session.run(None, {name: x.numpy()})[0])


@pytest.mark.parametrize("n", [1, 2, 7])
def test_each_part_answers_as_the_model_does(trained, written, n):
    x = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(n))
    model = trained.eval()
    with torch.no_grad():
        z, x_hat = model.encode(x), model(x)
    assert x_hat.std() > 0.01
    torch.testing.assert_close(answer(written["whole"], x), x_hat, rtol=0, atol=1e-5)
    torch.testing.assert_close(answer(written["encode"], x), z, rtol=0, atol=1e-5)
    torch.testing.assert_close(answer(written["decode"], z), x_hat, rtol=0, atol=1e-5)


def test_a_part_is_one_file_that_says_what_it_takes(written):
    import onnx

    folder = written["whole"].parent
    assert sorted(p.name for p in folder.iterdir()) == [
        "decode.onnx",
        "encode.onnx",
        "whole.onnx",
    ]
    stored = onnx.load(written["whole"])
    about = {entry.key: entry.value for entry in stored.metadata_props}
    assert about["image_shape"] == "3×16×16" and "[0, 1]" in about["images"]
    assert [i.name for i in stored.graph.input] == ["x"]
    assert [o.name for o in stored.graph.output] == ["x_hat"]


class Restless(nn.Module):
    """Answers otherwise at each call, as no frozen file can."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def test_an_answer_that_differs_is_not_written(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"an older file")
    with pytest.raises(ValueError, match="differs by .* nothing was written"):
        export.to_onnx(Restless(), path, image_shape=(1, 8, 8))
    assert path.read_bytes() == b"an older file"
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def test_the_residual_network_can_be_exported(tmp_path):
    torch.manual_seed(0)
    model = ResidualAutoencoder(4, (1, 8, 8))
    model.start_as_pca(torch.rand(30, 1, 8, 8))
    path = export.to_onnx(model, tmp_path / "a.onnx")
    x = torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(answer(path, x), model(x), rtol=0, atol=1e-5)


def test_wrong_arguments_are_named(tmp_path):
    model = nn.Conv2d(1, 1, 1)
    with pytest.raises(ValueError, match="say image_shape"):
        export.to_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="whole, encode, decode, got 'code'"):
        export.to_onnx(model, tmp_path / "a.onnx", part="code")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", export.NEEDED)
def test_a_missing_package_is_named(tmp_path, monkeypatch, missing):
    imported = importlib.import_module

    def without(name, *rest):
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    message = f"{missing} is not installed; run: .* onnx onnxscript onnxruntime"
    with pytest.raises(ImportError, match=message):
        export.to_onnx(PyramidAutoencoder(2, SHAPE), tmp_path / "a.onnx")


def test_the_module_needs_none_of_them_to_be_imported(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest, **options):
        assert name.partition(".")[0] not in export.NEEDED
        return imported(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "ae_lib.export")
    monkeypatch.setattr(builtins, "__import__", without)
    importlib.import_module("ae_lib.export")
