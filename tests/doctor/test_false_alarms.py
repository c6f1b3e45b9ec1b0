"""Unusual programs that are right, each beside the fault that it resembles."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import adam, batches, pictures
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


class Rounding(nn.Module):
    """Round the code in use, add noise as wide in training; return its size, too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Linear(64, 24), nn.Linear(24, 64)

    def forward(self, x):
        z = 4 * self.down(x - 0.5)
        q = z + torch.rand_like(z) - 0.5 if self.training else z.round()
        return {"x_hat": self.up(q / 4), "size": q.abs().sum(1).mean(), "code": q}


def test_a_rate_is_found_where_training_has_other_operations():
    x = pictures(192, side=8).flatten(1)

    def rate(output, target):
        return F.mse_loss(output["x_hat"], target) + 3e-4 * output["size"]

    def cancels(output, target):
        return F.mse_loss(output["x_hat"], target) + output["code"].mean().abs()

    assert "sparse.inert" not in faults(Rounding(), x, loss=rate)
    assert "sparse.inert" in faults(Rounding(), x, loss=cancels)


def test_a_direction_drawn_for_the_code_is_no_corruption():
    x = pictures(192, side=8).flatten(1)

    def slopes(model, batch):
        batch = batch.clone().requires_grad_()
        z, x_hat = model.encode(batch), model(batch)
        along = torch.randn_like(z)
        (slope,) = torch.autograd.grad(z, batch, along, create_graph=True)
        return F.mse_loss(x_hat, batch.detach()) + 1e-3 * slope.square().mean()

    def unused(model, batch):
        noisy = batch + 0.3 * torch.randn_like(batch)
        return F.mse_loss(model(batch), batch) + 0 * noisy.mean()

    for loss in (slopes, unused):
        model = Contractive()
        model.forward = lambda x, model=model: model.up(model.encode(x))
        optimizer = adam(model)

        def step(model, batch, loss=loss, optimizer=optimizer):
            value = loss(model, batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value.item()

        found = faults(model, x, 5, step=step, optimizer=optimizer)
        assert ("data.target" in found) == (loss is unused)


def test_details_that_an_enlargement_lost_are_no_noise():
    made = torch.Generator().manual_seed(0)
    blocks = torch.rand(192, 1, 6, 6, generator=made)
    sharp = F.interpolate(blocks, scale_factor=4)[:, :, 1:17, 2:18]
    small = F.avg_pool2d(sharp, 2)
    soft = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False)
    noisy = sharp + 0.15 * torch.randn(sharp.shape, generator=made)

    def pairs(source, goal):
        return list(zip(source.split(64), goal.split(64), strict=True))

    assert "data.target" not in faults(conv(), pairs(soft, sharp))
    assert "data.target" in faults(conv(), pairs(sharp, noisy))


class Points(nn.Module):
    """Write a set of points (N, 24, 3) from two numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Linear(3, 32), nn.ReLU())
        self.code, self.up = nn.Linear(32, 2), nn.Linear(2, 72)

    def forward(self, points):
        return self.up(self.code(self.down(points).amax(1))).view_as(points)


def test_unordered_points_are_not_weighed_against_pca():
    def chamfer(out, target):
        far = torch.cdist(out, target)
        return far.amin(1).mean() + far.amin(2).mean()

    made = torch.Generator().manual_seed(0)
    points = F.normalize(torch.randn(192, 24, 3, generator=made), dim=2)
    points = points * (0.3 + torch.rand(192, 1, 3, generator=made))
    assert "code.too-small" not in faults(Points(), points, loss=chamfer)
    assert "code.too-small" in faults(Points(), points)


def test_a_few_units_of_many_may_pass_on_half_of_the_noise():
    made = torch.Generator().manual_seed(0)
    atoms = F.normalize(torch.randn(96, 32, generator=made), dim=1)
    on = torch.rand(512, 96, generator=made) < 0.03
    x = (on * (0.5 + torch.rand(512, 96, generator=made))) @ atoms
    for weight in (0.2, 0.0):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, 32))
        with torch.no_grad():
            net[0].weight.copy_(atoms)
            net[2].weight.copy_(atoms.T)
        optimizer = adam(net, 3e-3)
        for at in range(300):
            rows = x.roll(-64 * at, 0)[:64]
            code = net[:2](rows)
            loss = F.mse_loss(net[2](code), rows) + weight * code.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report = doctor.examine(net, batches(x), budget_seconds=0)
        assert report.measured["copied"] > doctor.THRESHOLDS["identity.wide"].default
        assert ("code.identity" in report.faults) == (weight == 0)


def test_two_causes_may_take_a_curve_that_pca_cannot_follow():
    made = torch.Generator().manual_seed(0)
    place = torch.arange(12).float()
    at = 2 + 7 * torch.rand(2, 512, 1, 1, generator=made)
    far = (place - at[0]).square() + (place.view(-1, 1) - at[1]).square()
    dots = (-far / 4).exp()[:, None]
    noise = torch.rand(512, 1, 12, 12, generator=made)

    def report(x):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(144, 128), nn.SiLU(), nn.Linear(128, 2),
            nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 144),
            nn.Unflatten(1, (1, 12, 12)),
        )  # fmt: skip
        return faults(model, x, 20, optimizer=adam(model, 1e-2))

    assert "code.too-small" not in report(dots)
    assert "code.too-small" in report(noise)


def test_series_may_be_written_backwards():
    made = torch.Generator().manual_seed(0)
    x = torch.randn(192, 12, 3, generator=made).cumsum(1) / 3
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Linear(8, 36))
    model.append(nn.Unflatten(1, (12, 3)))
    assert "data.target" not in faults(model, x, pair=lambda b: (b, b.flip(1)))
    assert "data.target" in faults(model, x, pair=lambda b: (b, b.roll(1, 0)))
