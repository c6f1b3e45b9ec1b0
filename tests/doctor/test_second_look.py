"""The second look: runners-up with evidence, further training, interventions."""

import warnings
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from ae_lib.doctor import ahead
from ae_lib.doctor.case import Case
from ae_lib.doctor.clinic import programs
from ae_lib.doctor.program import Clock, Program
from ae_lib.doctor.sample import read
from ae_lib.doctor.thresholds import looser, resolve
from tests.doctor.programs import Dense, adam, batches, pictures

X = pictures(256)
BY_NAME = {program.name: program for program in programs()}


def examined(name, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return doctor.examine(**BY_NAME[name].build(0), **more)


def alarms(report):
    return [f.code for f in report.findings if f.severity != "info"]


def case_of(model, rows, **given):
    options = {"loss": None, "optimizer": None, "step": None, "pair": None, **given}
    program = Program(model, rows, seed=0, clock=Clock(20), **options)
    sample = read(program.batches, program.pair)
    more = {"evaluated": None, "history": None, "labels": None}
    return Case(program, sample, resolve(), **more)


def test_a_hint_lies_between_two_limits():
    usual, loose = resolve(), looser()
    changed = [n for n in usual if usual[n] != loose[n]]
    assert len(changed) > 25
    assert looser({"code.r2": 0.1})["code.r2"] == 0.1  # what the caller set stays


def test_what_comes_close_is_told_and_raises_no_alarm():
    model = Dense(k=2)
    given = {"batches": batches(X), "optimizer": adam(model)}
    report = doctor.examine(model, **given, budget_seconds=4)
    assert report.ok
    near = next(f for f in report.findings if f.code == "code.too-small")
    assert near.severity == "info" and near.why_not.startswith("Not beyond")
    usual = doctor.THRESHOLDS["code.r2"]
    assert usual.default < near.evidence["value"] < usual.hint
    quick = doctor.examine(model, **given, budget_seconds=0)
    assert "code.too-small" not in quick.codes


def test_runners_up_follow_the_fault_and_are_two_at_most():
    model = Dense()
    wider = X.mean() + 1.6 * (X - X.mean())  # twice as wide would be a fault
    given = {"batches": batches(X), "optimizer": adam(model, 3.0)}
    report = doctor.examine(model, **given, eval_batches=[wider], budget_seconds=6)
    severities = [f.severity for f in report.findings]
    assert report.faults == alarms(report)
    faults = len(report.faults)
    assert report.codes[0] == "step.too-large"
    assert "data.shift" in report.codes[faults:]
    assert severities[faults:] == ["info"] * (len(severities) - faults)
    assert len(severities) - faults <= 2
    assert len(set(report.codes)) == len(report.codes)


def test_further_training_tells_and_leaves_everything_as_it_was():
    model = Dense()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = adam(model, 3e-3)
    found = ahead.look(case_of(model, batches(X), optimizer=optimizer))
    assert found.steps == ahead.STEPS
    assert len(found.r2) == 1 + ahead.STEPS // ahead.EVERY
    assert found.r2[0] < 0 < 0.5 < found.r2[-1] and found.gain > 0.5
    assert all(map(torch.equal, before, model.parameters()))
    assert not optimizer.state


def test_further_training_stops_at_the_first_number_that_is_none():
    model = Dense()
    case = case_of(model, batches(X), step=lambda model, batch: float("nan"))
    assert ahead.look(case).steps == 1


def untrained(name, monkeypatch):
    """Return the report of a program that is trained when it is written, untrained."""
    module = import_module(BY_NAME[name].write.__module__)
    monkeypatch.setattr(module, "train", lambda case, steps: [])
    return examined(name)


@pytest.mark.parametrize(
    "name, code",
    [
        ("wider_than_the_data", "code.identity"),
        ("weight_decay_of_one", "fit.mean-image"),
    ],
)
def test_what_shows_only_in_training_is_told_before_it(name, code, monkeypatch):
    report = untrained(name, monkeypatch)
    assert report.faults == [code], str(report)
    assert report.findings[0].why_not.startswith("Not seen yet")


def begun(rest):
    """Return a program after 40 slow steps, with a history that falls or rests."""
    model = Dense()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    rows = batches(X)
    for at in range(40):
        optimizer.zero_grad()
        F.mse_loss(model(rows[at % 4]), rows[at % 4]).backward()
        optimizer.step()
    falls = [0.0500, 0.0490, 0.0484, 0.0480, 0.0475]
    history = {"train_loss": [0.05] + 7 * [0.0475] if rest else falls}
    return {
        "model": model,
        "batches": rows,
        "optimizer": optimizer,
        "history": history,
    }


def test_what_goes_on_learning_was_stopped_too_soon():
    report = doctor.examine(**begun(rest=False))
    assert report.codes[0] == "fit.undertrained", str(report)
    first = report.findings[0].evidence
    assert first["value"] > doctor.THRESHOLDS["under.gain"].default
    assert first["R² before, after"][1] > first["R² before, after"][0] + 0.2
    assert "fit.mean-image" not in report.codes


def test_a_history_at_rest_does_not_speak_of_time():
    assert "fit.undertrained" not in doctor.examine(**begun(rest=True)).codes


def test_a_grid_that_training_leaves_is_a_fault_and_one_it_removes_is_not():
    for name in ("kernel_of_three_at_stride_two", "stride_larger_than_the_kernel_fits"):
        assert alarms(examined(name)) == ["decoder.checkerboard"]
    assert alarms(examined("smoothed_behind_threes_over_twos")) == []


def test_what_the_penalty_does_is_not_blamed_on_the_step():
    found = alarms(examined("penalty_summed_over_the_units"))
    assert found == ["sparse.too-strong"]


def test_a_term_that_loses_its_axis_counts_at_the_batch_that_is_served():
    assert alarms(examined("a_sum_that_lost_its_axis"))[0] == "loss.scale"


def pooled(output, target):
    return F.mse_loss(F.avg_pool2d(output, 2), F.avg_pool2d(target, 2))


def varied(output, target):
    steps = (output - target)[..., 1:] - (output - target)[..., :-1]
    return F.l1_loss(output, target) + steps.abs().mean()


@pytest.mark.parametrize(
    "loss, blind",
    [
        (pooled, True),
        (nn.L1Loss(), False),
        (nn.BCELoss(), False),
        (nn.SmoothL1Loss(beta=0.1), False),
        (varied, False),
    ],
)
def test_a_loss_that_does_not_see_single_pixels(loss, blind):
    model = Dense()
    report = doctor.examine(
        model, batches(X), loss=loss, optimizer=adam(model), budget_seconds=3
    )
    assert ("fit.blurry" in alarms(report)) is blind, str(report)


class WithCode(Dense):
    """Return the code as well; `act` is on the code."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def forward(self, x):
        z = self.act(self.encoder(x))
        return self.decoder(z).reshape(x.shape), z


def l1(output, target):
    return F.mse_loss(output[0], target) + 1e-2 * output[1].abs().sum(1).mean()


@pytest.mark.parametrize("act, inert", [(nn.Softmax(1), True), (nn.ReLU(), False)])
def test_a_penalty_that_no_weight_can_change(act, inert):
    model = WithCode(act)
    report = doctor.examine(
        model, batches(X), loss=l1, optimizer=adam(model), budget_seconds=3
    )
    assert ("sparse.inert" in alarms(report)) is inert, str(report)


@pytest.mark.parametrize(
    "penalty, wrong",
    [
        (lambda z: (z * (1 - z)).square(), True),  # the slopes, without the weights
        (lambda z: z * (1 - z), False),  # pushes codes to 0 and 1: another aim
        (lambda z: z.abs(), False),
    ],
)
def test_squared_slopes_without_weights_are_no_jacobian(penalty, wrong):
    model = WithCode(nn.Sigmoid())

    def loss(output, target):
        return F.mse_loss(output[0], target) + 1e-3 * penalty(output[1]).sum(1).mean()

    report = doctor.examine(
        model, batches(X), loss=loss, optimizer=adam(model), budget_seconds=3
    )
    assert ("contractive.wrong" in alarms(report)) is wrong, str(report)


def test_a_rate_that_works_on_the_programs_own_batches_is_not_too_large():
    assert alarms(examined("rate_of_one_without_momentum")) == []
