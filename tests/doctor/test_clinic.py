"""The clinic: complete, repeatable, its healthy programs healthy."""

from collections import Counter
from importlib import import_module

import pytest
import torch

from ae_lib.doctor.clinic import CODES, PARTS, bench, measures, programs

BANK = programs()
BY_NAME = {program.name: program for program in BANK}
HEALTHY = ("linear_on_purpose", "warm_up", "strong_denoiser", "dropout_in_the_encoder")
HEALTHY += ("one_full_batch", "relu_at_the_end", "two_optimizers", "linear_for_digits")
REPAIRED = ("pascals", "never_cleared", "tanh_hidden_with_bias", "l1_weight_of_ten")
REPAIRED += ("sixteen_grey_levels", "adam_with_rate_one", "table_without_signal")


@pytest.fixture
def hurried(monkeypatch):
    """Let programs that train while they are built take a single step each time."""

    def one_step(case, steps):
        return measures.train(case, min(steps, 1))

    for module in {program.write.__module__ for program in BANK}:
        loaded = import_module(module)
        if hasattr(loaded, "train"):
            monkeypatch.setattr(loaded, "train", one_step)


def first_input(case):
    """Return the input of the first batch that is not empty."""
    for batch in case["batches"]:
        x, _ = measures.pair(case, batch)
        if len(x):
            return x


def test_every_code_has_three_variants_to_tune_on_and_some_held_back():
    assert len(CODES) == 36
    counts = Counter(program.code for program in programs("tuning"))
    assert {code for code in CODES if counts[code] < 3} == set()
    held = {program.code for program in programs("heldback")}
    assert set(CODES) - held == set()


def test_names_are_unique_and_told():
    assert len(BY_NAME) == len(BANK)
    assert [p.name for p in BANK if not p.story.endswith(".")] == []


def test_healthy_look_alikes_are_at_least_a_third_of_the_faulty():
    healthy = sum(program.code is None for program in BANK)
    assert healthy >= 35
    assert 3 * healthy >= len(BANK) - healthy


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="part must be one of"):
        programs("training")


@pytest.mark.parametrize("part", PARTS)
def test_models_run_on_their_own_batches(part, hurried):
    every = 20 if part == "tuning" else 3  # of many, which change rarely
    for program in programs(part)[::every]:
        state = torch.get_rng_state()
        case = program.build(0)
        assert torch.equal(state, torch.get_rng_state())
        x = first_input(case)
        if x.is_floating_point():
            case["model"](x)
        else:
            assert program.code == "data.scale"
        assert not set(case) & {"judge", "view"}


def test_builds_are_deterministic(hurried):
    for program in BANK[::40]:
        one, two = program.build(3), program.build(3)
        weights = two["model"].state_dict()
        for key, value in one["model"].state_dict().items():
            assert torch.equal(value, weights[key]) or not value.isfinite().all()
        if not program.code == "data.nonfinite":
            torch.manual_seed(0)  # some augment with the global generator
            x = next(iter(one["batches"]))
            torch.manual_seed(0)
            y = next(iter(two["batches"]))
            x, y = (b if torch.is_tensor(b) else b[0] for b in (x, y))
            assert torch.equal(x, y), program.name


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_programs_learn(name):
    program = BY_NAME[name]
    assert program.code is None
    assert program.outcome(0) > program.bar


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REPAIRED)
def test_remedies_work(name):
    program = BY_NAME[name]
    remedied = program.outcome(0, fixed=True)
    assert remedied > program.bar
    assert remedied > program.outcome(0)


def test_figures_of_the_benchmark():
    def row(code, *alarms, accepts=(), **more):
        row = {"expected": code, "alarms": list(alarms), "accepts": list(accepts)}
        return row | {"seconds": 1.0, "name": "a"} | more

    rows = [
        row("data.scale", "data.scale", repaired=0.5, as_found=0.1, bar=0.2),
        row("data.scale", "output.range", "data.scale", repaired=0.1, bar=0.2),
        row("loss.scale", "vae.collapse", accepts=("vae.collapse",)),
        row("step.too-large", "crash", crash="ValueError: no"),
        row("fit.blurry", codes=["signal.linear", "fit.blurry"]),
        row("fit.blurry", "data.order", codes=[*"abc", "fit.blurry"]),
        row(None),
        row(None, "data.order"),
    ]
    found = bench.summarise(rows)
    assert found["first"] == {"hits": 2, "n": 6, "share": 2 / 6}
    assert found["first_three"]["hits"] == 3
    assert found["hinted"]["hits"] == 4  # all three, and one that is information
    assert found["false_alarms"] == {"hits": 1, "n": 2, "share": 0.5}
    assert found["repairs"] == {"hits": 1, "n": 2, "share": 0.5}
    assert found["crashes"] == 1
    by_code = bench.by_code(rows)
    assert by_code["data.scale"] == {"programs": 2, "first": 1, "first_three": 2}
    assert by_code["step.too-large"]["first_three"] == 0
    assert ["healthy", "data.order", 1] in found["confusions"]
    assert "right cause first            2 of 6 (33%)" in bench.table(found)
    assert "with hints (information)   4 of 6 (67%)" in bench.table(found)
    assert "hint" in bench.line(rows[4]) and "MISS" in bench.line(rows[5])
    assert "MISS" in bench.line(rows[3])
    text = bench.line(row("data.scale", repaired=0.1, bar=0.2, applied="in words"))
    assert "in words" in text
