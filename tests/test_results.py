import json
import shutil
import subprocess
import sys

import pytest
import torch

from ae_lib import results


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AE_RESULTS_DIR", str(tmp_path))
    return tmp_path


def save(name="pca", data=None, **options):
    data = {"mse": 0.003} if data is None else data
    options = {"source": "MNIST", "seeds": [0, 1], "command": "make x", **options}
    return results.save(name, data, **options)


def test_what_is_saved_is_loaded_with_its_provenance(folder):
    path = save(data={"mse": torch.tensor([0.5, 0.25]), "names": ("a",)}, seconds=12)
    assert path == folder / "pca.json"
    record = results.load("pca")
    assert record["data"] == {"mse": [0.5, 0.25], "names": ["a"]}
    provenance = record["provenance"]
    assert set(results.REQUIRED) <= set(provenance)
    assert provenance["command"] == "make x"
    assert provenance["source"] == "MNIST"
    assert provenance["seeds"] == [0, 1]
    assert provenance["seconds"] == 12
    assert provenance["versions"]["torch"] == torch.__version__
    assert "thread" in provenance["device"]
    assert results.names() == ["pca"]


def test_a_record_is_replaced_whole_and_leaves_no_other_file(folder):
    save(data={"mse": 1})
    save(data={"mse": 2})
    assert results.load("pca")["data"] == {"mse": 2}
    assert [path.name for path in folder.iterdir()] == ["pca.json"]


def test_a_missing_record_lists_those_that_exist():
    with pytest.raises(FileNotFoundError, match="there are: none"):
        results.load("pca")
    save("first")
    save("second-200")
    with pytest.raises(FileNotFoundError, match="there are: first, second-200"):
        results.load("pca")


@pytest.mark.parametrize("key", ["commit", "seeds", "versions"])
def test_a_record_without_full_provenance_is_refused(key):
    path = save()
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["provenance"][key]
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ValueError, match=f"lacks {key}"):
        results.load("pca")


def test_a_record_without_any_provenance_is_refused(folder):
    (folder / "pca.json").write_text('{"data": {}}', encoding="utf-8")
    with pytest.raises(ValueError, match="lacks provenance, command"):
        results.load("pca")


@pytest.mark.parametrize(
    "text",
    [
        "/home/me/data",
        "--out=/tmp/run/x",
        "C:\\Users\\me",
        "see D:/data",
        "~/data/x",
        "\\\\server\\share",
    ],
)
def test_absolute_paths_are_refused_wherever_they_stand(folder, text):
    for options in ({"command": text}, {"data": {"a": [{"b": text}]}}, {"note": text}):
        with pytest.raises(ValueError, match="absolute path"):
            save(**options)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["a/b", "3/4", "https://example.org/x", "n / a", "a: b"]
)
def test_other_slashes_are_kept(text):
    save(note=text)
    assert results.load("pca")["provenance"]["note"] == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="'pca' cannot be written as JSON"):
        save(data={"mse": value})


@pytest.mark.parametrize("name", ["", "PCA", "a/b", "../a", "a.json", "a "])
def test_names_are_plain(name):
    with pytest.raises(ValueError, match="lower-case"):
        save(name)


def test_the_command_line_is_recorded_with_relative_paths(monkeypatch, root):
    script = root / "ae_lib" / "train.py"
    outside = root.parent / "elsewhere" / "run"
    words = [str(script), "--seed", "3", f"--out={root / 'data'}", str(outside)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    save(command=None)
    command = results.load("pca")["provenance"]["command"]
    assert command == "python ae_lib/train.py --seed 3 --out=data run"


def test_a_module_is_recorded_by_its_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/train.py", "--seed", "3"])
    spec = type("Spec", (), {"name": "ae_lib.train"})
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    save(command=None)
    command = results.load("pca")["provenance"]["command"]
    assert command == "python -m ae_lib.train --seed 3"


def test_a_notebook_has_to_give_its_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/ipykernel_launcher.py", "-f", "/x/k.json"])
    with pytest.raises(ValueError, match="pass command="):
        save(command=None)


def test_the_commit_is_that_of_the_clone(monkeypatch, tmp_path):
    git = shutil.which("git")
    assert git, "git is needed to test what is recorded of it"
    clone = tmp_path / "clone"
    clone.mkdir()

    def run(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        identity += ["-c", "commit.gpgsign=false"]
        command = [git, *identity, *words]
        result = subprocess.run(command, cwd=clone, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    monkeypatch.setattr(results, "CLONE", clone)
    assert results._commit() == (None, False)  # not under git
    run("init", "-q")
    assert results._commit() == (None, False)  # no commit yet
    (clone / "a.py").write_text("1")
    run("add", ".")
    run("commit", "-q", "--no-verify", "-m", "first")
    head = run("rev-parse", "HEAD")
    assert results._commit() == (head, False)
    (clone / "data" / "results").mkdir(parents=True)
    (clone / "data" / "results" / "x.json").write_text("{}")
    assert results._commit() == (head, False)  # records are no change
    (clone / "a.py").write_text("2")
    assert results._commit() == (head, True)


def test_an_installed_library_reads_its_own_records_and_writes_none(
    monkeypatch, tmp_path
):
    save()
    monkeypatch.delenv("AE_RESULTS_DIR")
    monkeypatch.setattr(results, "CLONE", None)
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "ae_lib")
    tmp_path.joinpath("ae_lib", "_results").mkdir(parents=True)
    (tmp_path / "pca.json").rename(tmp_path / "ae_lib" / "_results" / "pca.json")
    assert results.load("pca")["data"] == {"mse": 0.003}
    with pytest.raises(RuntimeError, match="AE_RESULTS_DIR"):
        save()


def test_the_folder_of_a_clone(monkeypatch, root):
    monkeypatch.delenv("AE_RESULTS_DIR")
    assert results.folder() == root / "data" / "results"


def test_the_caption_names_what_matters():
    save(seeds=[0])
    record = results.load("pca")
    record["provenance"] |= {"commit": "0123456789", "dirty": True}
    record["provenance"] |= {"device": "some CPU, 2 threads", "date": "2026-11-23"}
    record["provenance"]["versions"]["torch"] = "2.14.1"
    assert results.provenance_line(record) == (
        "MNIST, 1 seed, some CPU, 2 threads, torch 2.14.1, 2026-11-23, commit 0123456+"
    )
    record["provenance"] |= {"commit": None, "seeds": [0, 1, 2]}
    assert results.provenance_line(record).endswith("2026-11-23")
    assert "3 seeds" in results.provenance_line(record)
