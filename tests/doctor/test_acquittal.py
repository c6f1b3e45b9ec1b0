"""An alarm that the program's own training refutes is information, and no more."""

import pytest
import torch
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import adam, batches, pictures

X = pictures(256, side=8).flatten(1)


def dense():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 12),
        nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 64),
    )  # fmt: skip


@pytest.fixture
def accuse(monkeypatch):
    """Add a rule that blames every program."""

    def with_code(code):
        def stage(case):
            evidence = {"statistic": "a number", "value": 1, "threshold": 0}
            case.find(code, "error", evidence, "Not so.", "model.eval()", "It goes.")

        stages = (*doctor.STAGES, stage)
        monkeypatch.setattr(doctor._report, "__defaults__", (stages,))

    return with_code


def test_what_learns_all_the_same_is_no_alarm(accuse):
    accuse("signal.saturated")
    model = dense()
    report = doctor.examine(model, batches(X), optimizer=adam(model, 5e-3))
    assert report.ok
    (finding,) = [f for f in report.findings if f.code == "signal.saturated"]
    assert finding.why_not.startswith("It learns all the same: R² 0.9")


def test_what_does_not_learn_is_not_acquitted(accuse):
    accuse("signal.saturated")
    model = dense()
    stuck = doctor.examine(model, batches(X), optimizer=adam(model, 1e-7))
    assert "signal.saturated" in stuck.faults


def test_learning_does_not_refute_a_fact(accuse):
    accuse("data.order")
    model = dense()
    report = doctor.examine(model, batches(X), optimizer=adam(model, 5e-3))
    assert report.faults == ["data.order"]


def test_without_time_nobody_is_acquitted(accuse):
    accuse("signal.saturated")
    model = dense()
    quick = doctor.check_quickly(model, batches(X), optimizer=adam(model, 5e-3))
    assert quick.faults == ["signal.saturated"]
