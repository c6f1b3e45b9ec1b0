"""Unusual programs that are right, each beside the fault that it resembles."""

import pytest
import torch
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import batches, pictures
from tests.doctor.test_mended_rules import conv, faults

X = pictures(192, side=16)


class Scaled(nn.Module):
    """Take pixels of 0..255, compute with [0, 1], and give back `top` times that."""

    def __init__(self, top):
        super().__init__()
        self.inner, self.top = nn.Sequential(conv(), nn.Sigmoid()), top

    def forward(self, pixels):
        return self.top * self.inner(pixels / 255)


def test_a_model_may_scale_by_itself():
    pixels = (255 * X).round()
    assert "data.scale" not in faults(Scaled(255), pixels)
    assert "data.scale" in faults(Scaled(1), pixels)


def counts(rate):
    """Draw counts (192, 40) whose rates follow four causes."""
    made = torch.Generator().manual_seed(0)
    causes, ways = torch.rand(192, 4, generator=made), torch.rand(4, 40, generator=made)
    return torch.poisson(rate * causes @ ways.square(), generator=made)


def test_counts_are_no_grey_levels():
    levels = (X.flatten(1)[:, 100:140] * 16).round()
    for last, data in ((nn.Identity(), counts(4.0)), (nn.Sigmoid(), levels)):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 40), last)
        assert ("data.scale" in faults(net, data)) == (data is levels)


@pytest.mark.parametrize("log_input", [True, False])
def test_poissons_loss_takes_logarithms_of_rates_or_rates(log_input):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(40, 16), nn.ELU(), nn.Linear(16, 40))
    if not log_input:
        net.append(nn.Softplus())
    loss = nn.PoissonNLLLoss(log_input=log_input)
    assert faults(net, counts(2.0), loss=loss) == []
    if log_input:  # a rectifier cannot give logarithms below zero
        net.append(nn.Softplus())
        assert "loss.domain" in faults(net, counts(2.0), loss=loss)


class Branch(nn.Module):
    """Add, or put in the way, two layers of which the last begins at zero."""

    def __init__(self, width, added):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        nn.init.zeros_(self.layers[2].weight)
        self.added = added

    def forward(self, h):
        return h + self.layers(h) if self.added else self.layers(h)


def test_branches_may_begin_at_zero():
    for added in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(256, 32), Branch(32, added), nn.ReLU(),
            nn.Linear(32, 256), nn.Unflatten(1, (1, 16, 16)),
        )  # fmt: skip
        assert ("signal.init-scale" in faults(net)) == (not added)


class Contractive(nn.Module):
    """Return the reconstruction, the code and the input that it can be traced to."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 6))
        self.up = nn.Linear(6, 64)

    def encode(self, x):
        return self.down(x)

    def forward(self, x):
        x = x.clone().requires_grad_()
        z = self.encode(x)
        return self.up(z), z, x


def test_a_penalty_by_random_projections_is_right_on_average():
    def drawn(output, target):
        x_hat, z, x = output
        along = torch.randn_like(z)
        (slope,) = torch.autograd.grad((z * along).sum(), x, create_graph=True)
        return (x_hat - target).square().mean() + slope.square().sum(1).mean()

    def one_unit(output, target):
        x_hat, z, x = output
        (slope,) = torch.autograd.grad(z[:, 0].sum(), x, create_graph=True)
        return (x_hat - target).square().mean() + slope.square().sum(1).mean()

    data = pictures(192, side=8).flatten(1)
    assert "contractive.wrong" not in faults(Contractive(), data, loss=drawn)
    assert "contractive.wrong" in faults(Contractive(), data, loss=one_unit)


def test_a_weave_is_not_interlaced():
    made = torch.Generator().manual_seed(0)
    place = torch.arange(16) + torch.arange(16).view(-1, 1)
    phase = 2 * torch.pi * torch.rand(192, 1, 1, 1, generator=made)
    slope = 2 * torch.rand(192, 2, 1, 1, 1, generator=made) - 1
    line = torch.linspace(-1, 1, 16)
    shade = 0.5 + 0.22 * (slope[:, 0] * line + slope[:, 1] * line.view(-1, 1))
    weave = shade + 0.1 * torch.sin(2.2 * place + phase)
    assert "data.layout" not in faults(conv(), weave)
    rows = torch.arange(16).view(2, 8).T.flatten()  # of both halves in turn
    assert "data.layout" in faults(conv(), X[:, :, rows])


def test_an_uneven_last_kernel_is_a_hint():
    def report(kernel):
        torch.manual_seed(0)
        up = nn.ConvTranspose2d(8, 1, kernel, 2, 1, kernel % 2)
        nn.init.zeros_(up.weight)  # no grid in the output, so far
        net = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), up)
        return doctor.examine(net, batches(X), budget_seconds=0)

    assert report(3).faults == [] == report(4).faults
    assert "decoder.checkerboard" in report(3).codes
    assert "decoder.checkerboard" not in report(4).codes


def test_short_rows_of_zeros_and_ones_repeat_by_nature():
    made = torch.Generator().manual_seed(0)
    answers = torch.nn.functional.one_hot(torch.randint(3, (192, 4), generator=made))
    net = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 12))
    assert "data.order" not in faults(net, answers.flatten(1).float())
    numbers = torch.rand(81, 12, generator=made)[torch.randint(81, (192,))]
    repeated = numbers[torch.randint(40, (192,), generator=made)]
    assert "data.order" in faults(net, repeated)


def test_a_projection_to_most_of_the_numbers_is_no_copy():
    made = torch.Generator().manual_seed(0)
    x = torch.randn(192, 3, generator=made) * torch.tensor([1.0, 0.8, 0.2])
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:2])
        net[1].weight.copy_(torch.eye(3)[:, :2])
    assert "code.identity" not in faults(net, x)
    wide = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        for layer in wide:
            layer.weight.copy_(torch.eye(3))
    assert "code.identity" in faults(wide, x)
