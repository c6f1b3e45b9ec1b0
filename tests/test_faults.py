"""Training when things go wrong: killed at any moment, a full disk, no permission."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ae_lib.atomic import ABANDONED, write_atomically
from ae_lib.checkpoints import load_checkpoint
from ae_lib.files import Decoded, cached
from tests.faults import full_disk, powerless

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 12

# One process imports PyTorch, which takes seconds, and starts each run as a copy of
# itself: only so are many kills affordable. Each run calls what the command calls.
RUNNER = """
import json, os, random, resource, shutil, signal, sys, time
import torch, torchmetrics.functional.image
from ae_lib import atomic, train
from pathlib import Path

torch.set_num_threads(1)

def start(arguments, prepare=lambda: None):
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        prepare()
        code = train.main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def killed_at(event):
    '''Die at the event-th of these moments: half written, before and after a rename.'''
    seen = 0
    write, replace = Path.write_bytes, os.replace
    def pass_by():
        nonlocal seen
        seen += 1
        if seen == event:
            os.kill(os.getpid(), signal.SIGKILL)
    def half(path, content):
        with open(path, "wb") as file:
            file.write(bytes(content)[: len(content) // 2])
        pass_by()
        return write(path, content)
    def rename(source, target):
        pass_by()
        replace(source, target)
        pass_by()
    Path.write_bytes, os.replace = half, rename

def filled(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

what, root, common = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
def run(name):
    return [*common, "--out", str(root / name), "--resume"]

report = []
if what == "moments":
    rng = random.Random(0)
    began = time.monotonic()
    pid = start(run("timed"))
    while not (root / "timed" / "history.json").exists():
        time.sleep(0.001)
    trained = time.monotonic() - began
    assert end(pid) == 0
    for name in ("a", "b"):
        patience, before, kills = trained, None, 0
        for _ in range(24):  # the machine may become slower or faster meanwhile
            pid = start(run(name))
            time.sleep(rng.uniform(0, patience))
            os.kill(pid, signal.SIGKILL)
            if end(pid) == 0:  # it was done before: begin anew, and kill earlier
                shutil.rmtree(root / name)
                report.append([name, "done", None])
                patience, before = patience / 2, None
                continue
            last = root / name / "last.pt"
            epochs = None
            if last.exists():  # then it is whole
                state = torch.load(last, weights_only=True)
                epochs = len(state["history"]["train_loss"])
            report.append([name, "killed", epochs])
            if epochs == before:
                patience *= 1.5
            before, kills = epochs, kills + 1
            if kills == 8:
                break
        assert end(start(run(name))) == 0
if what == "writes":
    for event in range(1, 12):
        code = end(start(run(str(event)), lambda: killed_at(event)))
        report.append([event, code, end(start(run(str(event))))])
if what == "full":
    first = end(start(run("full"), lambda: filled(int(sys.argv[4]))))
    kept = torch.load(root / "full" / "last.pt", weights_only=True)
    names = sorted(os.listdir(root / "full"))
    report = [first, len(kept["history"]["train_loss"]), names]
    report.append(end(start(run("full"))))
print(json.dumps(report))
"""
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="Windows cannot copy a process"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 40 pictures: a data set small enough for many runs."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(40):
        picture = np.full((32, 32, 3), rng.integers(256, size=3), np.uint8)
        picture[: rng.integers(4, 28)] = rng.integers(256, size=3)
        Image.fromarray(picture).save(folder / f"{k:02}.png")
    return folder


def options(pictures):
    flags = {"dataset": pictures, "latent-dim": 4, "model": "LinearAutoencoder"}
    flags |= {"epochs": EPOCHS, "batch-size": 8, "hold-out": 8, "device": "cpu"}
    return [word for name, value in flags.items() for word in (f"--{name}", str(value))]


def environment(tmp_path):
    cache = {"AE_CACHE_DIR": str(tmp_path / "cache")}
    quiet = {"AE_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **cache, **quiet, "MPLBACKEND": "Agg"}


def runner(tmp_path, pictures, what, *more):
    arguments = [what, str(tmp_path), json.dumps(options(pictures)), *map(str, more)]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def reference(pictures, tmp_path_factory):
    """The folder of a run that nothing disturbed, made by the command itself."""
    tmp_path = tmp_path_factory.mktemp("reference")
    command = [sys.executable, "-m", "ae_lib.train", *options(pictures)]
    command += ["--out", str(tmp_path / "run")]
    subprocess.run(command, cwd=ROOT, env=environment(tmp_path), check=True)
    return tmp_path / "run"


def same_run(one, other):
    """Whether two runs have the same curves, the same weights and the same error."""
    histories = [json.loads((p / "history.json").read_text()) for p in (one, other)]
    metrics = [json.loads((p / "metrics.json").read_text()) for p in (one, other)]
    weights = [load_file(p / "model.safetensors") for p in (one, other)]
    best = load_checkpoint(one / "best.pt")["history"]["val_loss"]
    assert best[-1] == min(histories[0]["val_loss"])
    return (
        all(
            histories[0][key] == histories[1][key]
            for key in ("train_loss", "val_loss", "lr")
        )
        and len(histories[0]["train_loss"]) == EPOCHS
        and metrics[0]["mse"] == metrics[1]["mse"]
        and weights[0].keys() == weights[1].keys()
        and all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    )


# ------------------------------------------------------------------------------ killed


@needs_fork
def test_killed_at_random_moments_it_resumes_to_the_same_curve(
    tmp_path, pictures, reference
):
    report, _ = runner(tmp_path, pictures, "moments")
    lives = {"a": [[]], "b": [[]]}  # the epochs that each kill found saved
    for name, event, epochs in report:
        if event == "done":
            lives[name].append([])
        elif epochs is not None:
            lives[name][-1].append(epochs)
    assert len([event for _, event, _ in report if event == "killed"]) == 16, report
    counts = [life for name in "ab" for life in lives[name]]
    assert all(life == sorted(life) for life in counts), "a saved epoch was lost"
    assert any(0 < n < EPOCHS for life in counts for n in life), report
    for name in "ab":
        assert same_run(tmp_path / name, reference), name


@needs_fork
def test_killed_inside_of_any_write_it_resumes_to_the_same_curve(
    tmp_path, pictures, reference
):
    report, _ = runner(tmp_path, pictures, "writes")
    assert report == [[event, -9, 0] for event in range(1, 12)]
    for event in range(1, 12):
        assert same_run(tmp_path / str(event), reference), event


def test_what_a_killed_process_left_goes_after_an_hour(tmp_path):
    left, fresh = tmp_path / ".last.pt.0a1b2c3d.part", tmp_path / ".last.pt.1.part"
    other = tmp_path / ".best.pt.0a1b2c3d.part"
    for path in (left, fresh, other):
        path.write_bytes(b"half")
    for path in (left, other):
        moment = path.stat().st_mtime - ABANDONED - 1
        os.utime(path, (moment, moment))
    with write_atomically(tmp_path / "last.pt") as part:
        part.write_text("whole", encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        other.name,
        fresh.name,
        "last.pt",
    ]


# ----------------------------------------------------------- full and forbidden places


@needs_fork
def test_a_full_disk_ends_in_a_sentence_and_the_run_goes_on_later(
    tmp_path, pictures, reference
):
    """Checkpoints grow by the pictures of each epoch, until one does not fit."""
    limit = (reference / "last.pt").stat().st_size * 2 // 3
    (first, epochs, names, then), told = runner(tmp_path, pictures, "full", limit)
    assert first == 1 and 0 < epochs < EPOCHS
    assert names == ["best.pt", "last.pt"]
    assert told.count("\n") == 1 and told.startswith("ae_lib.train: ")
    assert ".pt cannot be written (File too large): make room; resume=True then" in told
    assert then == 0 and same_run(tmp_path / "full", reference)


@pytest.mark.skipif(os.name == "nt", reason="folders know no permissions there")
def test_a_forbidden_folder_is_named_before_the_training(tmp_path, pictures):
    (tmp_path / "locked").mkdir(mode=0o555)
    command = ["-m", "ae_lib.train", *options(pictures)]
    command += ["--out", str(tmp_path / "locked" / "run")]
    done = subprocess.run(
        [*powerless(), *command],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "locked/run cannot be written (Permission denied): choose" in done.stderr
    assert "epoch" not in done.stdout
    assert list((tmp_path / "locked").iterdir()) == []


CACHE = """
import sys, torch
from ae_lib.files import Decoded, cached
made = []
def make():
    made.append(1)
    pixels = torch.arange(40_000).remainder(251).to(torch.uint8).view(-1, 1, 10, 10)
    return Decoded(pixels, torch.arange(400), ("any",), "own")
first, second = cached("x", [], make), cached("x", [], make)
assert first.pixels.equal(second.pixels) and second.labels.equal(torch.arange(400))
print(len(made))
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limits there")
def test_a_full_or_forbidden_cache_is_done_without(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    cases = {"locked": powerless(), "full": full_disk(10_000), "fine": [sys.executable]}
    for name, python in cases.items():
        folder = tmp_path / name
        done = subprocess.run(
            [*python, "-c", CACHE],
            cwd=ROOT,
            env={**os.environ, "AE_CACHE_DIR": str(folder)},
            capture_output=True,
            text=True,
        )
        made = "1" if name == "fine" else "2"
        assert (done.stdout.strip(), done.stderr) == (made, ""), name
        assert len(list(folder.glob("*"))) == (name == "fine")
        assert not list(folder.glob(".*.part"))


def test_several_processes_may_fill_the_cache_at_once(tmp_path):
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CACHE],
            cwd=ROOT,
            env={**os.environ, "AE_CACHE_DIR": str(tmp_path / "cache")},
        )
        for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    (stored,) = (tmp_path / "cache").iterdir()
    assert stored.suffix == ".safetensors"


def test_a_foreign_file_in_the_cache_is_not_taken(tmp_path, monkeypatch):
    """Whole as safetensors, but not from `cached`."""
    from safetensors.torch import save_file

    monkeypatch.setenv("AE_CACHE_DIR", str(tmp_path))

    def make():
        return Decoded(torch.zeros(2, 1, 4, 4).byte(), torch.zeros(2).long(), (), "own")

    cached("x", [], make)
    (stored,) = tmp_path.iterdir()
    pixels = {"pixels": torch.ones(2, 1, 4, 4).byte(), "labels": torch.ones(2).long()}
    for content, notes in [({"other": torch.ones(1)}, None), (pixels, None)]:
        save_file(content, stored, notes)
        assert cached("x", [], make).pixels.sum() == 0


# ------------------------------------------------------ foreign and damaged checkpoints


class Attack:
    """Runs a command when it is unpickled by a reader that trusts it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path = tmp_path / "last.pt"
    torch.save({"model": Attack(tmp_path / "harmed")}, path)
    with pytest.raises(ValueError, match=r"last\.pt is no checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "harmed").exists()
    torch.load(path, weights_only=False)  # the attack is a real one
    assert (tmp_path / "harmed").exists()


def test_a_damaged_checkpoint_is_named_wherever_it_is_cut(tmp_path, reference):
    whole, path = (reference / "last.pt").read_bytes(), tmp_path / "last.pt"
    for size in [0, *range(1, len(whole), len(whole) // 60), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"last\.pt is no checkpoint, or a dam"):
            load_checkpoint(path)
