"""Data and layers that look wrong and are right, each beside one that is wrong."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import adam, batches, fit, pictures
from tests.doctor.test_mended_rules import conv, faults

X = pictures()
MADE = torch.Generator().manual_seed(0)


def waves(n, length, channels=3):
    """Return series (n, channels, length) of sines with random phase and pace."""
    phase = 6.28 * torch.rand(n, channels, 1, generator=MADE)
    pace = 1 + torch.rand(n, 1, 1, generator=MADE)
    return torch.sin(phase + pace * torch.linspace(0, 6, length))


class Series(nn.Module):
    """Encode series of any length by convolutions."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Conv1d(3, 16, 5, 2, 2), nn.ReLU())
        self.code = nn.Conv1d(16, 2, 3, padding=1)
        self.up = nn.Sequential(nn.Conv1d(2, 16, 3, padding=1), nn.ReLU())
        self.out = nn.ConvTranspose1d(16, 3, 4, 2, 1)

    def forward(self, x):
        return self.out(self.up(self.code(self.down(x))))


def test_series_in_buckets_of_one_length_are_read_and_are_in_order():
    lengths = [16, 24, 32, 16, 24, 16, 32, 16, 24, 16, 32, 24]
    data = [waves(32, length) for length in lengths]
    model = Series()
    report = doctor.examine(model, data, optimizer=adam(model))
    assert report.faults == []
    assert report.baselines  # of the commonest length


class Masking(nn.Module):
    """Take NaN for missing: zero in its place, and a mask beside the values."""

    def __init__(self, mask):
        super().__init__()
        torch.manual_seed(0)
        self.mask = mask
        self.net = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 24))

    def forward(self, x):
        there = torch.isfinite(x).float()
        known = torch.nan_to_num(x) if self.mask else x
        return self.net(torch.cat([known, there], 1))


@pytest.mark.parametrize("mask", [True, False])
def test_gaps_that_model_and_loss_leave_out_are_no_fault(mask):
    def loss(output, target):
        there = torch.isfinite(target)
        return (output - torch.nan_to_num(target))[there].square().mean()

    x = waves(512, 24, 1)[:, 0]
    x[torch.rand(x.shape, generator=MADE) < 0.1] = float("nan")
    model = Masking(mask)
    found = faults(model, x, 5, loss=loss, optimizer=adam(model))
    assert found == ([] if mask else ["data.nonfinite"])


@pytest.mark.parametrize("pixels", [True, False])
def test_counts_that_a_likelihood_wants_raw_are_not_scaled(pixels):
    rates = 12 * torch.rand(512, 1, generator=MADE) * torch.rand(1, 40, generator=MADE)
    x = torch.poisson(rates * (torch.rand(512, 40, generator=MADE) < 0.3) * 2)
    if pixels:
        x = (255 * X.flatten(1)).round()

    class Rates(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.down, self.up = nn.Linear(x.shape[1], 6), nn.Linear(6, x.shape[1])

        def forward(self, x):
            return self.up(self.down(torch.log1p(x) / 5)).exp()

    def likelihood(output, target):
        return F.poisson_nll_loss(output, target, log_input=False)

    model = Rates()
    loss = nn.MSELoss() if pixels else likelihood
    found = faults(model, x, 5, loss=loss, optimizer=adam(model))
    assert ("data.scale" in found) == pixels


@pytest.mark.parametrize("scrambled", [True, False])
def test_a_weave_is_no_scrambled_picture(scrambled):
    rows, columns = torch.arange(16)[:, None], torch.arange(16)
    weave = (1.0 - 2.0 * ((rows + columns) % 2)) * torch.ones(16, 16)
    tint = torch.rand(512, 3, 1, 1, generator=MADE)
    slope = torch.linspace(-1, 1, 16)
    x = 0.5 + 0.3 * tint[:, :1] * weave + 0.2 * tint[:, 1:2] * slope
    x = x + 0.01 * torch.randn(x.shape, generator=MADE)
    if scrambled:
        down, across = 3 * slope[:, None], 4 * slope
        x = 0.5 + 0.4 * torch.sin(6 * tint[:, :1] + down + across * tint[:, 1:2])
        order = torch.randperm(256, generator=MADE)
        x = x.flatten(1)[:, order].reshape(-1, 1, 16, 16)
    model = conv()
    assert ("data.layout" in faults(model, x, 3, optimizer=adam(model))) == scrambled


def up(kernel, stride, padding, extra, last, size=(6, 6)):
    torch.manual_seed(0)
    ends = [nn.Conv2d(1, 1, 3, padding=1)] if last else []
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(144, 8),
        nn.ReLU(),
        nn.Linear(8, 8 * size[0] * size[1]),
        nn.Unflatten(1, (8, *size)),
        nn.ConvTranspose2d(8, 1, kernel, stride, padding, extra),
        *ends,
    )


def test_a_kernel_narrower_than_its_stride_leaves_gaps():
    for made, named in (
        (up(1, 2, 0, 1, last=False), True),
        (up(4, 2, 1, 0, last=False), False),
        (up(1, 2, 0, 1, last=True), False),  # which a convolution may close
        (up((1, 3), (1, 2), (0, 1), (0, 1), last=False, size=(12, 6)), False),
    ):
        assert made(X).shape == X.shape
        found = faults(made, X, 3, optimizer=adam(made))
        assert ("decoder.checkerboard" in found) == named


@pytest.mark.parametrize("through", [True, False])
def test_a_code_rounded_to_nothing_has_no_gradient(through):
    class Rounding(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.down, self.up = nn.Linear(144, 16), nn.Linear(16, 144)

        def forward(self, x):
            z = 0.2 * self.down(x.flatten(1))
            whole = torch.round(2 * z) / 2
            code = z + (whole - z).detach() if through else whole
            return self.up(code).reshape(x.shape)

    model = Rounding()
    found = faults(model, X, 20, optimizer=adam(model))
    assert ("wiring.no-gradient" in found) == (not through)


@pytest.mark.parametrize("slope", ["of the sigmoid", "of the tanh", "decay"])
def test_a_penalty_on_weights_used_twice_is_compared(slope):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.down = nn.Linear(24, 8)

        def forward(self, x):
            h = torch.tanh(self.down(x))
            return {"x_hat": h @ self.down.weight, "code": h}

    model, x = Tied(), 2 * waves(512, 24, 1)[:, 0]

    def loss(output, target):
        h, weight = output["code"], model.down.weight
        each = {"of the sigmoid": h * (1 - h), "of the tanh": 1 - h * h}
        factor = each.get(slope, torch.ones_like(h))
        size = (factor.square() * weight.square().sum(1)).sum(1).mean()
        return F.mse_loss(output["x_hat"], target) + 1e-3 * size

    found = faults(model, x, 3, loss=loss, optimizer=adam(model))
    assert ("contractive.wrong" in found) == (slope == "of the sigmoid")


def test_few_causes_along_a_curve_need_no_longer_code():
    made = torch.Generator().manual_seed(1)
    place = torch.rand(1024, 1, generator=made)
    x = torch.exp(-((torch.linspace(0, 1, 40) - place) ** 2) / 0.001)
    x = x + 0.25 * torch.randn(x.shape, generator=made)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(40, 96), nn.ReLU(), nn.Linear(96, 1), nn.Linear(1, 96), nn.ReLU(),
        nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 40),
    )  # fmt: skip
    model = fit(model, x, 1500)
    report = doctor.examine(model, batches(x), optimizer=adam(model))
    assert "code.too-small" not in report.faults
