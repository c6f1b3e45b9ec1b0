"""The clinic applies what the doctor says, and counts wrong advice as failed."""

import pytest
import torch
from torch import nn

from ae_lib.doctor.clinic import programs, remedies

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
