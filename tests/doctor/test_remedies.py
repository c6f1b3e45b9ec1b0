"""The clinic applies what the doctor says, and counts wrong advice as failed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from ae_lib.doctor import lines
from ae_lib.doctor.clinic import programs, remedies
from tests.doctor.programs import Dense, Variational, adam, batches, elbo, pictures

BY_NAME = {program.name: program for program in programs("tuning")}


def case(**more):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 3), nn.Sigmoid(), nn.Linear(3, 8))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    x = torch.arange(32.0).reshape(4, 8)
    batches = [(x, torch.zeros(4))]
    return {"model": model, "batches": batches, "optimizer": optimizer, **more}


def test_a_line_for_the_optimizer_is_executed():
    line = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)  # now lr=0.5"
    new = remedies.execute(line, case())["optimizer"]
    assert type(new) is torch.optim.Adam
    assert new.param_groups[0]["lr"] == 1e-3


def test_an_optimizer_inside_a_step_gets_the_rate_and_stays():
    old = case(step=lambda model, batch: 0.0)
    line = "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # now 0.5"
    assert remedies.execute(line, old)["optimizer"] is old["optimizer"]
    assert old["optimizer"].param_groups[0]["lr"] == 0.01
    other = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"
    assert remedies.execute(other, old) is None


def test_an_optimizer_inside_a_step_gets_the_parameters_it_lacked():
    old = case(step=lambda model, batch: 0.0)
    last = old["model"][2]
    held = [p for p in old["model"][0].parameters()]
    old["optimizer"] = torch.optim.SGD(held, 0.5)
    line = "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)"
    new = remedies.execute(line, old)["optimizer"]
    groups = [p for group in new.param_groups for p in group["params"]]
    assert new is old["optimizer"] and len(groups) == 4
    assert {id(p) for p in last.parameters()} <= {id(p) for p in groups}


def test_a_line_for_the_model_keeps_the_settings_of_the_optimizer():
    old = case()
    old["optimizer"] = torch.optim.SGD(old["model"].parameters(), 0.5, momentum=0.9)
    new = remedies.execute("model[1] = nn.ReLU()", old)["optimizer"]
    assert new.param_groups[0]["momentum"] == 0.9
    assert new.param_groups[0]["lr"] == 0.5


def test_a_line_for_the_data_reaches_the_judged_images_and_no_labels():
    old = case(judge=[torch.ones(2, 8)])
    new = remedies.execute("x = x.float() / 2", old)
    (x, labels), *_ = list(new["batches"])
    assert torch.equal(2 * x, old["batches"][0][0]) and not labels.any()
    assert torch.equal(new["judge"][0], torch.full((2, 8), 0.5))


def test_a_line_for_the_model_may_number_its_layers():
    old = case()
    line = "model.1 = nn.LeakyReLU(0.1)  # in the place of sigmoid"
    new = remedies.execute(line, old)
    assert isinstance(new["model"][1], nn.LeakyReLU)
    assert new["model"][1].negative_slope == 0.1
    before = old["model"][2].weight.clone()
    remedies.execute("model.2.reset_parameters()", old)
    assert not torch.equal(before, old["model"][2].weight)


def test_a_line_for_the_loss_is_a_function_of_output_and_target():
    loss = remedies.execute("loss = F.l1_loss(x_hat, x)", case())["loss"]
    assert loss(torch.zeros(2, 8), torch.ones(2, 8)) == 1.0


@pytest.mark.parametrize(
    "line",
    [
        "drop the final sigmoid: the loss takes logits",
        "latent_dim = 24  # now 4",
        "x = x.permute(...)  # move the axes",
        "loss = loss_fn(model(noisy), clean)",
        "",
    ],
)
def test_words_are_not_executed(line):
    assert remedies.execute(line, case()) is None


def test_words_on_another_fault_do_not_work():
    program = BY_NAME["never_cleared"]
    row = remedies.outcome(program, "code.too-small", "latent_dim = 24")
    assert row["applied"] == "wrong" and row["repaired"] == float("-inf")
    assert remedies.outcome(program, "-", "")["applied"] == "none"
    row = remedies.outcome(program, "wiring.zero-grad", "clear the gradients")
    assert row["applied"] == "in words" and row["repaired"] > row["as_found"]


def test_a_line_that_stops_the_program_does_not_cure_it():
    program = next(p for p in programs("tuning") if p.code == "step.too-small")
    line = "loss = F.binary_cross_entropy(x_hat + 2, x)"  # outside of [0, 1]
    told = remedies.outcome(program, program.code, line)
    assert told["applied"] == "executed" and told["repaired"] == float("-inf")


X = pictures(192)


def twice(output, target):
    return F.binary_cross_entropy_with_logits(output, target)


@pytest.mark.parametrize(
    "code, model, more",
    [
        ("output.range", Dense(), {"batches": batches(2 * X - 1)}),
        ("loss.domain", Dense(), {"loss": twice}),
        ("signal.linear", Dense(act=nn.Identity), {}),
        ("signal.dead-units", Dense(last=nn.ReLU), {"batches": batches(X)}),
        ("wiring.unoptimised", Dense(), {"optimizer": "half"}),
        ("step.too-large", Dense(), {"rate": 3.0}),
        ("vae.collapse", Variational(), {"loss": elbo(3.0, "mean")}),
    ],
)
def test_a_remedy_that_is_code_ends_the_alarm(code, model, more):
    if code == "signal.dead-units":
        with torch.no_grad():
            model.decoder[2].bias.sub_(5)
    part = model.decoder if more.pop("optimizer", "") == "half" else model
    old = {"model": model, "batches": batches(X)}
    old |= {"optimizer": adam(part, more.pop("rate", 2e-3)), **more}
    found = doctor.examine(**old, budget_seconds=6).findings
    remedy = next(f.remedy for f in found if f.code == code)
    new = remedies.execute(remedy, old)
    assert new is not None, remedy
    assert new.pop("view", torch.sigmoid) is torch.sigmoid
    again = doctor.examine(**new, budget_seconds=6)
    assert code not in [f.code for f in again.findings if f.severity != "info"]


def test_infinities_get_a_value_within_the_range_of_the_others():
    x = X.clone()
    x[0, 0, 0, 0], x[1, 0, 0, 0] = -float("inf"), float("nan")
    model = Dense()
    report = doctor.examine(model, batches(x), budget_seconds=0)
    new = remedies.execute(report.findings[0].remedy, case(batches=batches(x)))
    mended = torch.cat(list(new["batches"]))
    assert torch.isfinite(mended).all()
    assert X.min() - 1e-3 <= mended.min() and mended.max() <= X.max() + 1e-3


def test_logits_are_shown_through_a_sigmoid():
    line = "model.2 = nn.Identity()  # drop the final sigmoid: the loss takes logits"
    new = remedies.execute(line, case())
    assert new["view"] is torch.sigmoid and isinstance(new["model"][2], nn.Identity)


def test_uneven_kernels_give_way_to_resizing():
    three = nn.ConvTranspose2d(6, 4, 3, 2, 1, 1)
    four = nn.ConvTranspose2d(4, 1, 5, 3, 1)
    old = case(model=nn.Sequential(three, four))
    x = torch.rand(2, 6, 5, 5)
    before = old["model"](x).shape
    line = lines.resized([("0", three), ("1", four)])
    new = remedies.execute(line, old)["model"]
    assert new(x).shape == before
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in new.modules())
    assert (
        lines.resized([("0", nn.ConvTranspose2d(6, 4, 3, 2, 1))]) == ""
    )  # another size
