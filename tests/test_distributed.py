"""Several processes: the curve of one, one writer, and an end that can be resumed."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from ae_lib import data, distributed
from ae_lib.history import History
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

# Each image of the last batch of an epoch is alone in it: one process has none.
LIMIT, BATCH = 33, 16

CURVE = f"""
import json, sys, torch
from pathlib import Path
from ae_lib import data, distributed
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

def run(out):
    images = data.load("shapes", "train", {LIMIT})
    torch.manual_seed(0)
    model = ConvAutoencoder(8)
    history = fit(
        model, images, validation=images[:7], epochs=2, batch_size={BATCH}, out=out,
        device="cpu", precision="float32", verbose=False,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.5, momentum=0.9),
    )
    norms = [m.running_var.tolist() for m in model.modules()
             if hasattr(m, "running_var")]
    return {{"train": history.train_loss, "validation": history.val_loss,
             "norms": norms, "written": sorted(p.name for p in out.glob("*"))}}

with distributed.joined("cpu"):
    rank, size = distributed.rank(), distributed.size()
    found = run(Path(sys.argv[1]) / f"run_{{rank}}")
    found["size"] = size
    (Path(sys.argv[1]) / f"found_{{rank}}.json").write_text(json.dumps(found))
"""

COMMAND = f"""
import functools, os, signal, sys, time
from ae_lib import data, loop, train

full = data.load("shapes", "train", {LIMIT}), data.load("shapes", "test", 12)
train.load = lambda name, split, limit=None: full[split == "test"]
train.fit = functools.partial(train.fit, precision="float32")
if os.environ.get("RANK") == "1" and "--resume" not in sys.argv:
    update = loop.Loop.update
    def dying(self, *arguments):
        if self.history.epochs == 1:
            while not (self.folder / "last.pt").exists():  # process 0 is writing it
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        update(self, *arguments)
    loop.Loop.update = dying
sys.exit(train.main(sys.argv[1:]))
"""


def start(script, *arguments, processes=2):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(script), *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return path

    return write


def test_two_processes_draw_the_curve_of_one(script, tmp_path):
    path = script(CURVE)
    ended = start(path, tmp_path)  # its exit code does not count: gloo may abort late
    found = [tmp_path / f"found_{rank}.json" for rank in (0, 1)]
    assert all(f.exists() for f in found), ended.stderr[-2000:]
    first, second = (json.loads(f.read_text()) for f in found)
    assert first["size"] == second["size"] == 2
    assert first["train"] == second["train"]
    assert first["written"] == ["best.pt", "last.pt"] and second["written"] == []
    images = data.load("shapes", "train", LIMIT)
    torch.manual_seed(0)
    model = ConvAutoencoder(8)
    alone = fit(
        model,
        images,
        validation=images[:7],
        epochs=2,
        batch_size=BATCH,
        device="cpu",
        precision="float32",
        verbose=False,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.5, momentum=0.9),
    )
    assert first["train"] == pytest.approx(alone.train_loss, rel=1e-4)
    assert first["validation"] == pytest.approx(alone.val_loss, rel=1e-4)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for shared, norm in zip(first["norms"], norms, strict=True):
        assert shared == pytest.approx(norm.running_var.tolist(), rel=1e-3)


def test_a_killed_process_ends_the_job_and_nothing_is_lost(script, tmp_path):
    path = script(COMMAND)
    options = ["--latent-dim", "8", "--epochs", "2", "--batch-size", BATCH]
    options += ["--device", "cpu", "--out"]
    ended = start(path, *options, tmp_path / "two")
    assert ended.returncode != 0
    assert "process 0 of 2 lost another one" in ended.stderr
    assert "go on with the same command and --resume" in ended.stderr
    assert not (tmp_path / "two" / "metrics.json").exists()
    resumed = start(path, *options, tmp_path / "two", "--resume")
    history = tmp_path / "two" / "history.json"
    assert history.exists(), resumed.stderr[-2000:]
    assert resumed.stdout.count("epoch  2/2") == 1  # only process 0 speaks
    assert "epoch  1/2" not in resumed.stdout
    command = [sys.executable, str(path), *map(str, options), str(tmp_path / "one")]
    subprocess.run(command, capture_output=True, check=True)
    alone = History.load(tmp_path / "one" / "history.json").train_loss
    # Muon rounds to bf16 inside: what differs by rounding is magnified a little.
    assert History.load(history).train_loss == pytest.approx(alone, rel=2e-2)
    assert (tmp_path / "two" / "metrics.json").exists()


def test_shares_are_a_partition_in_order(monkeypatch):
    rows = torch.arange(10)
    assert distributed.share(rows) is not None and distributed.size() == 1
    assert torch.equal(distributed.share(rows), rows)
    monkeypatch.setattr(distributed, "size", lambda: 4)
    parts = []
    for rank in range(4):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(distributed.share(rows))
        assert len(distributed.share(rows[:1])) == (rank == 0)
    assert [len(part) for part in parts] == [3, 3, 2, 2]
    assert torch.equal(torch.cat(parts), rows)


def test_shared_batch_norm_is_batch_norm(monkeypatch):
    """With one process's sums taken for all, it must give what torch gives."""
    torch.manual_seed(0)
    x = torch.randn(6, 4, 3, 3)
    weights = torch.randn_like(x)
    results = []
    for shared in (False, True):
        norm = nn.BatchNorm2d(4, momentum=0.3)
        nn.init.uniform_(norm.weight)
        norm.weight.data.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
        inputs = x.clone().requires_grad_()
        if shared:
            monkeypatch.setattr(distributed, "size", lambda: 2)
            monkeypatch.setattr(distributed, "_all_reduce", lambda message: None)
        with distributed.shared_batch_norm(norm):
            assert ("forward" in vars(norm)) == shared
            y = norm(inputs)
        assert "forward" not in vars(norm)
        (y * weights).sum().backward()
        state = [norm.running_mean, norm.running_var, norm.num_batches_tracked]
        results.append([y, inputs.grad, norm.weight.grad, norm.bias.grad, *state])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_without_torchrun_nothing_is_joined():
    with distributed.joined("cpu"):
        assert (distributed.rank(), distributed.size()) == (0, 1)
        assert distributed.from_first("state") == "state"
        value = torch.ones(2)
        distributed.add_up(value)
        assert value.tolist() == [1, 1]
