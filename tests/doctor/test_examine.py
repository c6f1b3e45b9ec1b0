"""`examine` restores everything, survives much, and reports plainly."""

import copy
import json
import random
from dataclasses import make_dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from ae_lib import doctor
from ae_lib.doctor.__main__ import main
from tests.doctor.programs import Dense, adam, batches, fit, pictures

X = pictures(128)


class Normed(Dense):
    """An autoencoder with batch norm, dropout, a counter and a kept code."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.2)
        self.calls, self.code = 0, None

    def forward(self, x):
        self.calls += 1
        self.code = self.drop(self.norm(self.encoder(x)))
        return self.decoder(self.code).reshape(x.shape)


def state(model, optimizer):
    return {
        "weights": {k: v.clone() for k, v in model.state_dict().items()},
        "grads": [p.grad if p.grad is None else p.grad.clone()
                  for p in model.parameters()],
        "needs": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks)
                  for m in model.modules()],
        "tensor hooks": [p._backward_hooks for p in model.parameters()],
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "random": [torch.get_rng_state(), np.random.get_state()[1].copy(),  # noqa: NPY002
                   random.getstate()],
        "plain": (model.calls, id(model.code)),
        "keys": sorted(vars(model)),
    }  # fmt: skip


def same(a, b):
    if torch.is_tensor(a):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("with_step", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_everything_is_left_as_it_was_found(with_step, trained):
    torch.manual_seed(0)
    model = Normed()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    count = {"steps": 0}

    def step(model, batch):
        count["steps"] += 1
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch + 0.01 * torch.randn_like(batch)), batch)
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss.item()

    if trained:
        step(model, X[:32])
        model.eval()
    count["steps"] = 5
    maker = torch.Generator().manual_seed(3)
    loader = DataLoader(X, 32, shuffle=True, generator=maker)
    before, drawn = state(model, optimizer), maker.get_state()
    lr = scheduler.state_dict()
    doctor.examine(
        model,
        loader,
        optimizer=optimizer,
        step=step if with_step else None,
        budget_seconds=3,
    )
    after = state(model, optimizer)
    assert [k for k in before if not same(before[k], after[k])] == []
    assert torch.equal(drawn, maker.get_state())
    assert scheduler.state_dict() == lr
    assert count == {"steps": 5}


def test_a_restored_program_trains_as_if_nothing_had_happened():
    losses = []
    for examined in (False, True):
        torch.manual_seed(1)
        model = Normed()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        for at in range(6):
            if examined and at == 3:
                doctor.examine(model, [X], optimizer=optimizer, budget_seconds=2)
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), X)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]


class Raises(nn.Linear):
    def forward(self, x):
        raise RuntimeError("boom: wrong size")


def failing(output, target):
    raise ValueError("boom")


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": Raises(144, 144), "batches": [X]},
        {"model": Dense(), "batches": [X], "loss": failing},
        {"model": Dense(), "batches": DataLoader(X[:5], 8, drop_last=True)},
        {"model": Dense(), "batches": [X[:0], X[:0]]},
    ],
    ids=["model raises", "loss raises", "empty loader", "empty batches"],
)
def test_failures_are_findings(arguments):
    report = doctor.examine(**arguments, budget_seconds=2)
    assert not report.ok
    assert report.findings[0].severity == "error"
    json.dumps(report.to_dict())
    assert report.figure().axes


def test_zero_variance_data_is_survived():
    model = Dense()
    report = doctor.examine(
        model, [torch.full((32, 1, 12, 12), 0.5)] * 2, optimizer=adam(model)
    )
    assert "mean image" in str(report)
    assert not report.notes


def test_a_step_that_raises_is_survived():
    model = Dense()

    def step(model, batch):
        raise RuntimeError("boom")

    report = doctor.examine(model, batches(X), step=step, optimizer=adam(model))
    assert any("step raised" in reason for reason in report.unchecked.values())
    assert report.codes[0] == "data.target"
    assert "boom" in report.findings[0].evidence["value"]


Plain = make_dataclass("Plain", ["recon", "other"])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x_hat: (x_hat, None),
        lambda x_hat: {"reconstruction": x_hat},
        lambda x_hat: Plain(x_hat, 3),
    ],
    ids=["tuple", "dict", "dataclass"],
)
def test_outputs_of_all_kinds(wrap):
    class Wrapped(Dense):
        def forward(self, x):
            return wrap(super().forward(x))

    model = Wrapped()
    report = doctor.examine(model, batches(X), optimizer=adam(model), budget_seconds=4)
    assert report.ok, str(report)
    assert not report.notes


def test_labels_flat_vectors_and_arrays():
    labels = torch.arange(len(X)) % 10
    model = Dense()
    rows = [(X[i::4].flatten(1), labels[i::4]) for i in range(4)]
    report = doctor.examine(model, rows, optimizer=adam(model), budget_seconds=4)
    assert report.ok, str(report)
    assert not report.notes


def test_integers_are_a_matter_of_scale():
    model = Dense()
    rows = batches((255 * X).to(torch.uint8))
    report = doctor.examine(model, rows, optimizer=adam(model), budget_seconds=3)
    assert report.codes[0] == "data.scale"


@pytest.mark.parametrize(
    "model, rows",
    [
        (Dense(), None),
        (Dense(), []),
        (lambda x: x, [X]),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 10)), [X]),
    ],
    ids=["no batches", "empty list", "no module", "a classifier"],
)
def test_what_cannot_be_examined_is_one_clear_error(model, rows):
    with pytest.raises(ValueError, match="batches|Module|autoencoder"):
        doctor.examine(model, rows)


def test_thresholds_have_sources_and_can_be_overridden():
    for name, limit in doctor.THRESHOLDS.items():
        assert limit.source and limit.meaning, name
    with pytest.raises(ValueError, match="unknown thresholds"):
        doctor.examine(Dense(), [X], thresholds={"nonsense": 1})
    model = Dense(k=2)
    report = doctor.examine(
        model, [X], optimizer=adam(model), thresholds={"code.r2": 0.999}
    )
    assert "code.too-small" in report.codes


def test_every_threshold_is_used():
    from pathlib import Path

    folder = Path(doctor.__file__).parent
    text = "".join(p.read_text(encoding="utf-8") for p in folder.glob("*.py"))
    unused = [n for n in doctor.THRESHOLDS if text.count(f'"{n}"') < 2]
    assert unused == []


def test_the_quick_check_needs_no_steps():
    model = Dense()
    report = doctor.check_quickly(model, X, optimizer=adam(model))
    assert report.ok
    assert report.unchecked["step.too-large"] == "no time left"


def test_the_figure_has_four_panels():
    model = fit(Dense(), X)
    history = {"train_loss": [0.1, 0.05, 0.04], "val_loss": [0.1, 0.06, 0.05]}
    report = doctor.examine(model, batches(X), history=history, budget_seconds=0)
    figure = report.figure()
    titles = [axis.get_title() for axis in figure.axes]
    assert len(titles) == 4 and all(titles)
    assert figure.axes[1].lines and figure.axes[3].images


def test_two_examinations_agree():
    reports = []
    for _ in range(2):
        model = Dense(k=1)
        report = doctor.examine(model, batches(X), optimizer=adam(model))
        reports.append({k: v for k, v in report.measured.items() if k != "best arm"})
    assert reports[0] == reports[1]


def test_the_command_reports_a_run_it_cannot_read(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "ae_lib.doctor:" in capsys.readouterr().err


def test_the_command_examines_a_finished_run(tmp_path, capsys):
    from ae_lib import train

    run = tmp_path / "run"
    arguments = ["--dataset", "shapes", "--limit", "256", "--latent-dim", "16"]
    train.main([*arguments, "--epochs", "1", "--out", str(run)])
    capsys.readouterr()
    status = main([str(run), "--limit", "128", "--seconds", "1",
                   "--json", str(tmp_path / "r.json"),
                   "--figure", str(tmp_path / "r.png")])  # fmt: skip
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert status == (0 if report["ok"] else 1)
    assert "mean image" in capsys.readouterr().out
    assert (tmp_path / "r.png").stat().st_size > 1000


def test_checkups_of_fit_speak_and_change_nothing(capsys):
    from ae_lib.models import ConvAutoencoder
    from ae_lib.training import fit

    losses = []
    for checkup in (0, 1):
        torch.manual_seed(0)
        model = ConvAutoencoder(8, image_shape=(1, 16, 16))
        pixels = (255 * pictures(96, side=16)).byte()
        options = {"epochs": 2, "verbose": False, "device": "cpu", "batch_size": 32}
        losses.append(fit(model, pixels, checkup=checkup, **options).train_loss)
    assert losses[0] == losses[1]
    assert "doctor" not in capsys.readouterr().out
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    fit(model, pixels, checkup=2, **options)
    told = capsys.readouterr().out
    assert "doctor, epoch 0: signal.init-scale: " in told


def test_a_trainer_that_owns_its_optimizers_is_restored():
    class Trainer:
        def __init__(self, model):
            parts = (model.encoder, model.decoder)
            self.optimizers, self.count = [adam(part) for part in parts], 0

        def step(self, model, batch):
            loss = F.mse_loss(model(batch), batch)
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()
            return loss.item()

    model = Dense()
    trainer = Trainer(model)
    before = copy.deepcopy(model.state_dict())
    report = doctor.examine(model, batches(X), step=trainer.step, budget_seconds=3)
    assert report.ok, str(report)
    assert "wiring.unoptimised" in report.checked
    assert same(before, model.state_dict())
    assert all(not optimizer.state for optimizer in trainer.optimizers)
