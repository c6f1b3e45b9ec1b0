"""Faults that were missed once, each beside the program that is right."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from ae_lib.doctor.clinic import programs
from tests.doctor.programs import adam, batches, pictures
from tests.doctor.test_mended_rules import faults

X = pictures(256, side=8).flatten(1)


def dense(*first):
    torch.manual_seed(0)
    return nn.Sequential(
        *first, nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 12),
        nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 64),
    )  # fmt: skip


@pytest.mark.parametrize("p", [0.1, 0.9])
def test_dropout_takes_the_share_to_drop(p):
    report = doctor.examine(dense(nn.Dropout(p)), batches(X), budget_seconds=0)
    assert ("noise.too-strong" in report.faults) == (p == 0.9)
    if not report.ok:
        assert report.findings[0].remedy.startswith("model.get_submodule('0').p = 0.1")


class Recurrent(nn.Module):
    """Read series (batch, time, 4) with an LSTM, and write them from its last state."""

    def __init__(self, batch_first, turn=False):
        super().__init__()
        torch.manual_seed(0)
        self.turn = turn
        self.reader = nn.LSTM(4, 24, batch_first=batch_first)
        self.writer = nn.Linear(24, 4)

    def forward(self, x):
        h = self.reader(x.transpose(0, 1) if self.turn else x)[0]
        return self.writer(h.transpose(0, 1) if self.turn else h)


def test_a_batch_read_as_time_is_no_matter_of_modes():
    made = torch.Generator().manual_seed(0)
    x = torch.randn(192, 16, 4, generator=made).cumsum(1) / 4
    report = doctor.examine(Recurrent(False), batches(x), budget_seconds=5)
    assert report.faults[0] == "data.layout"
    assert "nn.LSTM(4, 24, batch_first=True)" in report.findings[0].remedy
    other = Recurrent(False, turn=True)
    norm = nn.BatchNorm1d(16, track_running_stats=False)  # over the 16 steps
    found = faults(nn.Sequential(norm, other), x, 5)
    assert "wiring.mode" in found and "data.layout" not in found
    for right in (Recurrent(True), Recurrent(False, turn=True)):
        assert not {"data.layout", "wiring.mode"} & set(faults(right, x, 5))


@pytest.mark.parametrize("momentum", [0.001, 0.1])
def test_statistics_that_hardly_move_are_seen_before_training(momentum):
    x = 3 + 2 * X
    model = dense()
    model.insert(1, nn.BatchNorm1d(48, momentum=momentum))
    found = faults(model, x, 20, optimizer=adam(model))
    assert ("wiring.mode" in found) == (momentum == 0.001)


def test_a_sum_at_the_rate_of_a_mean_has_no_term_to_blame():
    def report(loss):
        model = dense()
        optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.5)
        return doctor.examine(model, batches(X), loss=loss, optimizer=optimizer)

    def total(output, target):
        return F.mse_loss(output, target, reduction="sum")

    assert report(total).faults[0] == "step.too-large"
    assert report(F.mse_loss).ok


@pytest.mark.parametrize("epochs", [3, 30])
def test_three_epochs_at_one_level_are_no_rest(epochs):
    """They are a plateau that the next hundred steps leave; thirty are a verdict."""
    model = dense()
    with torch.no_grad():  # trained a little: it gives the mean image
        model[-1].weight.mul_(1e-3)
        model[-1].bias.copy_(X.mean(0))
    optimizer = adam(model)
    for rows in X.split(64):
        optimizer.zero_grad()
        (0 * F.mse_loss(model(rows), rows)).backward()
        optimizer.step()
    base = X.var(0).mean().item()
    history = {"train_loss": [base * (1 - 1e-4 * at) for at in range(epochs)]}
    found = faults(model, X, 20, optimizer=optimizer, history=history)
    assert ("fit.undertrained" in found) == (epochs == 3)


@pytest.mark.parametrize("last", ["weights", "enlargement"])
def test_a_decoder_that_ends_by_enlarging_writes_no_detail(last):
    made = torch.Generator().manual_seed(0)
    phase = 6.3 * torch.rand(192, 1, 1, 1, generator=made)
    slope = 2 * torch.rand(192, 2, 1, 1, 1, generator=made) - 1
    line, place = torch.linspace(-1, 1, 16), torch.arange(16)
    shade = 0.5 + 0.2 * (slope[:, 0] * line + slope[:, 1] * line.view(-1, 1))
    cloth = shade + 0.1 * torch.sin(2.2 * (place + place.view(-1, 1)) + phase)
    torch.manual_seed(0)
    side = 4 if last == "enlargement" else 16
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 8),
        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, side * side),
        nn.Unflatten(1, (1, side, side)),
    )  # fmt: skip
    if side == 4:
        model.append(nn.Upsample(16, mode="bilinear", align_corners=False))
    assert ("fit.blurry" in faults(model, cloth, 5)) == (side == 4)


def test_columns_of_a_table_are_scaled_each_on_its_own():
    made = torch.Generator().manual_seed(0)
    units = torch.tensor([1.0, 30.0, 900.0, 20.0])
    table = units * (2 + torch.randn(192, 4, generator=made))
    for x, dims in ((table, "(0,)"), (table[:, None].repeat(1, 5, 1), "(0, 1)")):
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 4))
        report = doctor.examine(model, batches(x), budget_seconds=0)
        assert report.faults[0] == "data.scale"
        assert f"x.std({dims}, keepdim=True)" in report.findings[0].remedy
    report = doctor.examine(dense(), batches(500 * X), budget_seconds=0)
    assert "keepdim" not in report.findings[0].remedy


def test_a_code_that_tells_less_than_an_untrained_one_has_no_gain():
    (program,) = [p for p in programs() if p.name == "three_units_full_of_nuisance"]
    assert doctor.examine(**program.build()).faults[:1] == ["features.no-gain"]
    assert "features.no-gain" not in doctor.examine(**program.repair()).faults
