"""What shows only in some batches, at large variances, or in the user's own step."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from tests.doctor.programs import Dense, Variational, adam, batches, fit, pictures
from tests.doctor.test_mended_rules import conv, faults

X = pictures()


def first(model, data=X, **more):
    data = batches(data) if torch.is_tensor(data) else data
    return doctor.examine(model, data, **more).findings[0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_divergence_that_rewards_variance_is_no_divergence(sign):
    def loss(output, target):
        x_hat, mu, logvar = output
        error = 10 * (x_hat - target).square().flatten(1).sum(1)
        kl = -0.5 * (1 + logvar - mu.square() + sign * logvar.exp()).sum(1)
        return (error + kl).mean()

    model = Variational()
    found = faults(model, X, loss=loss, optimizer=adam(model))
    assert ("loss.domain" in found) == (sign == 1)


class Levelled(nn.Module):
    """Take level and spread out of each image, and put them back at the end."""

    def __init__(self, floor=1e-5, skip=0.0):
        super().__init__()
        self.net, self.floor, self.skip = Dense(last=nn.Identity), floor, skip

    def forward(self, x):
        level = x.mean((1, 2, 3), keepdim=True)
        spread = x.std((1, 2, 3), keepdim=True) + self.floor
        h = (x - level) / spread
        return (self.net(h) + self.skip * h) * spread + level


@pytest.mark.parametrize("floor", [0.0, 1e-5])
def test_a_few_blank_images_that_break_a_model_are_named(floor):
    x = X.clone()
    x[100::60] = 0.5
    model = Levelled(floor)
    report = doctor.examine(model, batches(x), optimizer=adam(model), budget_seconds=3)
    assert ("step.nonfinite" in report.faults) == (floor == 0)
    if floor == 0:
        (found,) = [f for f in report.findings if f.code == "step.nonfinite"]
        assert found.evidence["samples"] == [100 - 64]
        assert "div" in found.evidence["where"]


@pytest.mark.parametrize("skip", [0.0, 1.0])
def test_level_and_spread_beside_the_code_are_no_bypass(skip):
    tilt = 0.2 * torch.randn(256, 1, 1, 1, generator=torch.Generator().manual_seed(3))
    x = X * (1 + 4 * tilt) + 8 * tilt  # level and spread are most of the variance
    model = fit(Levelled(skip=skip), x, 300)
    found = faults(model, x, 3, optimizer=adam(model))
    assert ("wiring.bypass" in found) == (skip == 1)


def test_one_unit_in_other_units_spoils_distances_and_is_named():
    made = torch.Generator().manual_seed(0)
    kind = torch.randint(4, (512,), generator=made)
    centres = 2 * torch.randn(4, 24, generator=made)
    x = centres[kind] + torch.randn(512, 24, generator=made)

    class Tagged(nn.Module):
        def __init__(self, unit):
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.outer = nn.Linear(24, 6), nn.Linear(6, 24)
            self.unit = unit

        def encode(self, x):
            return torch.cat([self.inner(x), self.unit * x[:, -1:]], 1)

        def forward(self, x):
            return self.outer(self.encode(x)[:, :-1])

    for unit, named in ((1.0, False), (40.0, True)):
        model = fit(Tagged(unit), x, 200)
        found = faults(model, x, 2, labels=kind, optimizer=adam(model))
        assert ("features.no-gain" in found) == named


@pytest.mark.parametrize("right", [True, False])
def test_a_penalty_on_a_code_wider_than_the_input_is_compared_too(right):
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear, self.back = nn.Linear(16, 24), nn.Linear(24, 16)

        def encode(self, x):
            return torch.tanh(self.linear(x))

        def forward(self, x):
            h = self.encode(x)
            return {"x_hat": self.back(h), "code": h}

    model = Wide()

    def loss(out, target):
        h = out["code"]
        slope = 1 - h**2 if right else h * (1 - h)
        penalty = (slope**2 @ model.linear.weight.square().sum(1)).mean()
        return F.mse_loss(out["x_hat"], target) + 1e-2 * penalty

    x = torch.randn(256, 16, generator=torch.Generator().manual_seed(0))
    found = faults(model, x, 2, loss=loss, optimizer=adam(model))
    assert ("contractive.wrong" in found) == (not right)


def test_a_texture_that_comes_back_is_no_layout_and_interlaced_rows_are():
    place = torch.linspace(0, 6 * torch.pi, 16)  # a period of five pixels
    made = torch.Generator().manual_seed(0)
    phase = 0.6 * torch.randn(256, 2, 1, generator=made)
    wave = torch.sin(place + phase)
    x = 0.5 + 0.2 * (wave[:, 0, :, None] + 2 * wave[:, 1, None, :])[:, None]
    assert "data.layout" not in faults(conv(), x)
    pieces = pictures(256, side=16).reshape(-1, 1, 2, 8, 16)
    mixed = pieces.transpose(2, 3).reshape(-1, 1, 16, 16)
    assert "data.layout" in faults(conv(), mixed)


def stepper(optimizer, after=None, weight=0.0, reduce=torch.sum):
    """Return a training step with a penalty on the code and a scheduler."""

    def step(model, batch):
        z = model.encoder(batch)
        error = F.mse_loss(model.decoder(z).reshape(batch.shape), batch)
        loss = error + weight * reduce(z.abs())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after is not None:
            after.step()
        return loss.item()

    return step


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean])
def test_a_step_that_empties_the_code_is_not_too_small(reduce):
    model = Dense()
    optimizer = adam(model, 3e-3)
    step = stepper(optimizer, weight=0.03, reduce=reduce)
    found = faults(model, X, 10, optimizer=optimizer, step=step)
    assert ("sparse.too-strong" in found) == (reduce is torch.sum)
    assert "step.too-small" not in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda done: 0.5 ** (done // 3), "call scheduler.step() once an epoch"),
        (lambda done: (done + 1) / 1e6, "shorten the warm-up"),
        (lambda done: 1e-5, "optimizer = torch.optim."),
    ],
)
def test_a_rate_that_a_schedule_moves_is_cured_at_the_schedule(change, words):
    model = Dense()
    optimizer = adam(model, 1e-3)
    after = torch.optim.lr_scheduler.LambdaLR(optimizer, change)
    found = first(model, optimizer=optimizer, step=stepper(optimizer, after))
    assert found.code == "step.too-small"
    assert found.remedy.startswith(words)


def test_the_first_weights_that_are_offered_are_those_that_train():
    """Deep and narrow, by plain SGD: PyTorch's own weights are too small there."""
    torch.manual_seed(0)
    widths = (40, 32, 24, 16, 6, 16, 24, 32, 40)
    layers = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    for layer in model[::2]:
        nn.init.normal_(layer.weight, 0, 0.02)
        nn.init.zeros_(layer.bias)
    made = torch.Generator().manual_seed(0)
    x = torch.randn(256, 4, generator=made) @ torch.randn(4, 40, generator=made)
    x = (x - x.mean()) / x.std()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    found = first(model, x, optimizer=optimizer)
    assert found.code == "signal.init-scale"
    assert "kaiming_normal_" in found.remedy


def asked_back(change, copied):
    """Return a step that changes its batch, and compares with it or with a copy."""

    def make(optimizer):
        def step(model, batch):
            target = batch.clone() if copied else batch
            change(batch)
            loss = F.mse_loss(model(batch), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    return make


def hole(batch):
    batch[..., 3:7, 3:7] = 0


def noise(batch):
    batch += 0.3 * torch.randn_like(batch)


def turned(batch):
    batch.copy_(batch.flip(-1))


def centred(batch):
    batch.sub_(0.2).div_(0.6)


@pytest.mark.parametrize(
    ("change", "copied", "wrong"),
    [
        (hole, False, True),
        (noise, False, True),
        (hole, True, False),
        (noise, True, False),
        (turned, False, False),
        (centred, False, False),
    ],
)
def test_a_step_that_asks_the_corruption_back_has_the_wrong_target(
    change, copied, wrong
):
    model = Dense()
    optimizer = adam(model)
    step = asked_back(change, copied)(optimizer)
    found = faults(model, X, 1, optimizer=optimizer, step=step)
    assert ("data.target" in found) == wrong
