"""`examine` outlives what programs do, keeps its time and leaves data alone."""

import json
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import Dense, adam, batches, pictures

X = pictures(128)
LABELS = torch.arange(128) % 10


class Nothing(Dense):
    """Return NaN."""

    def forward(self, x):
        return super().forward(x) * float("nan")


class Slow(Dense):
    """Take two hundredths of a second of work for each pass."""

    def forward(self, x):
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        return super().forward(x)


def raising_pair(batch):
    raise KeyError("image")


def as_number(output, target):
    return torch.tensor(F.mse_loss(output, target).item())


def broken(x):
    x = x.clone()
    x[3, 0, 2, 2] = float("inf")
    return x


@pytest.mark.parametrize(
    "code, arguments",
    [
        ("data.nonfinite", {"batches": batches(broken(X))}),
        ("step.nonfinite", {"model": Nothing()}),
        ("data.target", {"pair": raising_pair}),
        ("data.target", {"pair": lambda b: (b, LABELS[: len(b)].float())}),
        ("data.target", {"pair": lambda b: (b, b.flatten(1)[:, :10])}),
        ("data.scale", {"batches": batches(X.double())}),
        ("loss.domain", {"loss": lambda output, target: None}),
        ("loss.domain", {"loss": nn.MSELoss(reduction="none")}),
        ("wiring.no-gradient", {"loss": as_number}),
        ("wiring.unoptimised", {"optimizer": adam(Dense())}),
        ("data.order", {"batches": [X[:1].repeat(32, 1, 1, 1)] * 4}),
    ],
)  # fmt: skip
def test_what_breaks_is_named(code, arguments):
    model = arguments.get("model", Dense())
    given = {"batches": batches(X), "optimizer": adam(model), **arguments}
    report = doctor.examine(**{"model": model, **given}, budget_seconds=3)
    assert report.codes[0] == code, str(report)
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert str(report) and report.figure().axes


def test_a_pair_that_works_in_place_leaves_the_data_alone():
    rows = batches(X.clone())

    def pair(batch):
        noisy = batch
        noisy += 0.3 * torch.randn_like(batch)
        return noisy, batch

    model = Dense()
    report = doctor.examine(model, rows, pair=pair, optimizer=adam(model))
    assert torch.equal(torch.cat(rows), X)
    assert report.codes[0] == "data.target"


def test_a_slow_model_keeps_to_its_budget():
    model = Slow()
    began = time.process_time()
    report = doctor.examine(model, batches(X), optimizer=adam(model), budget_seconds=4)
    assert time.process_time() - began < 8
    assert report.seconds < 8


def test_an_endless_loader_is_read_for_a_while():
    class Endless:
        def __iter__(self):
            while True:
                yield X[torch.randperm(128)[:32]]

    model = Dense()
    report = doctor.examine(model, Endless(), optimizer=adam(model), budget_seconds=3)
    assert "data.scale" in report.checked


@pytest.mark.parametrize(
    "code, limits, more",
    [
        ("data.scale", {"scale.large": 0.5}, {"batches": batches(8 * X - 4)}),
        ("data.order", {"order.distinct": 2.0}, {}),
        ("code.too-small", {"code.r2": 1.0}, {}),
        ("output.range", {"range.r2": 2.0}, {"last": nn.Sigmoid}),
        ("signal.init-scale", {"init.small": 10.0}, {}),
    ],
)
def test_each_limit_decides(code, limits, more):
    last = more.pop("last", nn.Identity)

    def codes(thresholds):
        model = Dense(last=last)
        given = {"batches": batches(X, 16), "optimizer": adam(model), **more}
        report = doctor.examine(model, **given, thresholds=thresholds, budget_seconds=4)
        return [f.code for f in report.findings if f.severity != "info"]

    assert codes(None) == []
    assert code in codes(limits)


def test_a_looser_limit_silences():
    model = Dense(last=nn.Identity)
    given = {"batches": batches(255 * X), "optimizer": adam(model)}
    assert doctor.examine(model, **given).codes[0] == "data.scale"
    loose = {"scale.large": 1000.0}
    report = doctor.examine(model, **given, thresholds=loose, budget_seconds=0)
    assert "data.scale" not in report.codes
