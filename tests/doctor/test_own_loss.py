"""The loss that a step computes by itself, and what can be read from it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from ae_lib.doctor import own_loss
from ae_lib.doctor.program import Clock, Program
from tests.doctor.programs import Dense, Variational, adam, batches, pictures
from tests.doctor.test_mended_rules import faults

X = pictures()


def program(model, step, data=None):
    return Program(
        model,
        batches(X) if data is None else data,
        loss=None,
        optimizer=None,
        step=step,
        pair=None,
        seed=0,
        clock=Clock(20),
    )


def stepping(objective, model, calls=1):
    """Return a step that lowers `objective(model, x)`."""
    optimizer = adam(model)

    def step(model, x):
        for _ in range(calls):
            optimizer.zero_grad()
            loss = objective(model, x)
            loss.backward()
            optimizer.step()
        return loss.item()

    return step


def l1(model, x):
    return 3 * F.l1_loss(model(x), x)


def test_the_loss_of_a_step_is_that_of_any_output():
    model = Dense()
    before = [p.detach().clone() for p in model.parameters()]
    whole = program(model, stepping(l1, model))
    own_loss.learn(whole, [X[:32]])
    with whole.trial(True):
        source, target = whole.pair(X[:16])
        guess = torch.full_like(source, 0.25).requires_grad_()
        value = whole.loss_of(guess, target)
        value.backward()
    assert value.item() == pytest.approx(3 * (X[:16] - 0.25).abs().mean().item())
    assert guess.grad is not None and guess.grad.any()
    assert "forward" not in vars(model)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)
    )


def twice(model, x):
    return F.mse_loss(model(x), x) + F.mse_loss(model(0.9 * x), x)


def in_parts(model, x):
    return F.mse_loss(model.decoder(model.encoder(x)), x)


@pytest.mark.parametrize("objective", [twice, in_parts])
def test_a_step_that_does_not_pass_through_one_call_keeps_its_secret(objective):
    model = Dense()
    whole = program(model, stepping(objective, model))
    own_loss.learn(whole, [X[:32]])
    assert whole.loss is None


def test_a_step_with_two_backward_passes_keeps_its_secret():
    model = Dense()
    whole = program(model, stepping(l1, model, calls=2))
    own_loss.learn(whole, [X[:32]])
    assert whole.loss is None


def test_a_step_whose_weights_rise_keeps_its_secret():
    model, at = Dense(), {"step": 0}

    def once(model, x):
        at["step"] += 1
        x_hat = model(x)
        return F.l1_loss(x_hat, x) + 1e-3 * at["step"] * x_hat.square().mean()

    whole = program(model, stepping(once, model))
    own_loss.learn(whole, [X[:32]])
    assert whole.loss is None


def test_backward_is_itself_again_when_a_step_raises():
    real = torch.autograd.backward

    def step(model, x):
        raise RuntimeError("out of paper")

    whole = program(Dense(), step)
    own_loss.learn(whole, [X[:32]])
    assert whole.loss is None and torch.autograd.backward is real


class Recorder(nn.Module):
    """Keep the hidden layer's activation in a dict of the caller's."""

    def __init__(self, seen, cut):
        super().__init__()
        torch.manual_seed(0)
        self.seen, self.cut = seen, cut
        self.down, self.up = nn.Linear(144, 300), nn.Linear(300, 144)

    def forward(self, x):
        h = F.relu(self.down(x.flatten(1)))
        self.seen["h"] = h.detach() if self.cut else h
        return self.up(h).reshape(x.shape)


@pytest.mark.parametrize("cut", [True, False])
def test_a_penalty_of_the_step_without_its_graph_is_named(cut):
    seen = {}
    model = Recorder(seen, cut)

    def objective(model, x):
        return F.mse_loss(model(x), x) + 0.02 * seen["h"].abs().mean()

    found = faults(model, X, 5, step=stepping(objective, model), optimizer=adam(model))
    assert ("sparse.inert" in found) == cut


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_kl_of_the_step_that_is_summed_is_weighed(reduction):
    model = Variational()

    def objective(model, x):
        x_hat, mu, logvar = model(x)
        kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)
        error = (x_hat - x).square().flatten(1).sum(1)
        if reduction == "sum":
            return error.mean() / x[0].numel() + kl.sum()
        return 10 * error.mean() + kl.mean()

    found = faults(model, X, 5, step=stepping(objective, model), optimizer=adam(model))
    named = {"loss.scale", "vae.collapse"} & set(found)
    assert bool(named) == (reduction == "sum")


class Quantising(nn.Module):
    """Return the output, the code and the nearest word of a book for each code."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Flatten(), nn.Linear(144, 16))
        self.up = nn.Linear(16, 144)
        self.book = nn.Parameter(self.down(X[:32]).detach().clone())

    def forward(self, x):
        z = self.down(x)
        q = self.book[torch.cdist(z, self.book).argmin(1)]
        straight = z + (q - z).detach()
        return self.up(straight).reshape(x.shape), z, q


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_commitment_that_is_summed_beside_a_mean_error_is_named(reduction):
    model = Quantising()

    def objective(model, x):
        x_hat, z, q = model(x)
        book = F.mse_loss(q, z.detach(), reduction=reduction)
        commit = F.mse_loss(z, q.detach(), reduction=reduction)
        return F.mse_loss(x_hat, x) + book + 0.25 * commit

    found = faults(model, X, 5, step=stepping(objective, model), optimizer=adam(model))
    assert ("loss.scale" in found) == (reduction == "sum")


def test_a_head_for_labels_is_no_penalty_on_the_code():
    kinds = torch.arange(len(X)) % 5

    class Headed(Quantising):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 5)

        def forward(self, x):
            z = self.down(x)
            return self.up(z).reshape(x.shape), self.head(z)

    model = Headed()
    optimizer = adam(model)

    def step(model, batch):
        x, y = batch
        x_hat, scores = model(x)
        loss = F.mse_loss(x_hat, x) + 1e-6 * F.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = list(zip(batches(X), kinds.split(len(batches(X)[0])), strict=True))
    found = doctor.examine(model, data, step=step, optimizer=optimizer)
    assert not {"sparse.inert", "sparse.too-strong"} & set(found.faults)


def test_a_step_that_predicts_something_else_is_no_wrong_loss():
    model = Dense()

    def objective(model, x):
        return F.mse_loss(model(x), x.flip(-1))

    report = doctor.examine(
        model, batches(X), step=stepping(objective, model), optimizer=adam(model)
    )
    assert "loss.domain" not in report.codes


def test_logits_that_the_step_asks_for_are_known_from_its_loss():
    def objective(model, x):
        return F.binary_cross_entropy_with_logits(model(x), x)

    for last, named in ((nn.Sigmoid, True), (nn.Identity, False)):
        model = Dense(last=last)
        found = faults(
            model, X, 5, step=stepping(objective, model), optimizer=adam(model)
        )
        assert ("loss.domain" in found) == named


@pytest.mark.parametrize("norm", [1e-4, 100.0])
def test_a_step_that_clips_to_next_to_nothing_is_told_the_norm(norm):
    model = Dense()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def step(model, x):
        optimizer.zero_grad()
        loss = 10 * F.mse_loss(model(x), x)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
        return loss.item()

    report = doctor.examine(model, batches(X), step=step, optimizer=optimizer)
    assert (report.faults == ["step.too-small"]) == (norm < 1)
    assert "max_norm=" in report.findings[0].remedy if norm < 1 else report.ok
