"""Chapter 10 breaks one small network: its instruments and patients must be sound."""

import ast
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import claim
from ae_lib.claims import ClaimFailed

SHARED = ("network", "adam", "step", "draw", "r2", "train", "weighted", "redraw")
SHARED += ("he", "glorot", "quiet", "push", "signal", "dead")
SHARED += ("patient", "treat")
CONSTANTS = ("STEPS", "HEAVY", "HEALTHY", "CAUSES")


def parts(path):
    """Return the functions and constants of a page by name, as syntax trees."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, node)
    return found


@pytest.fixture(scope="module")
def sources(root):
    name = "10_training_fails.py"
    return root / "chapters" / name, root / "chapters" / "solutions" / name


@pytest.fixture(scope="module")
def page(sources):
    """The page's definitions, on noise of 64 images in place of photographs."""
    found = parts(sources[0])
    noise = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    names = {"torch": torch, "F": F, "nn": nn, "claim": claim, "random": random}
    names |= {"x_train": noise, "x_val": noise}
    nodes = [found[name] for name in (*CONSTANTS, *SHARED)]
    exec(compile(ast.Module(nodes, []), str(sources[0]), "exec"), names)
    return names


@pytest.mark.parametrize("name", SHARED + CONSTANTS)
def test_the_solutions_repeat_the_page(sources, name):
    chapter, solutions = (ast.unparse(parts(path)[name]) for path in sources)
    assert solutions == chapter


def test_the_network_returns_images_and_has_eight_layers(page):
    model = page["network"]()
    assert model(page["x_val"]).shape == (64, 3, 16, 16)
    assert len(page["weighted"](model)) == 8


def test_the_mean_image_scores_zero(page):
    zero = nn.Conv2d(3, 3, 1)
    nn.init.zeros_(zero.weight)
    nn.init.zeros_(zero.bias)
    assert page["r2"](zero) == pytest.approx(0, abs=1e-6)


def test_dead_counts_units_that_never_answer(page):
    layer = nn.Conv2d(3, 4, 1)
    nn.init.constant_(layer.bias, -100.0)
    layer.bias.data[0] = 100.0
    assert page["dead"](nn.Sequential(layer, nn.ReLU())) == 0.75


def test_signal_is_small_where_all_inputs_are_answered_alike(page):
    layer = nn.Linear(12, 5)
    x = torch.randn(64, 12)
    full = page["signal"](nn.Sequential(layer), x)[0]
    nn.init.constant_(layer.bias, 1000.0)
    assert full > 0.3
    assert page["signal"](nn.Sequential(layer), x)[0] < 0.01


def test_a_patient_is_the_same_each_time_and_treatment_mends_one_thing(page):
    first, again = (page["patient"](6)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    treated, _ = page["patient"](6, "dead units")
    other, _ = page["patient"](6, "rate too low")
    assert page["dead"](other) > 0.5 > page["dead"](treated)


def test_treat_fails_where_nothing_can_be_learned(page):
    """On noise no patient recovers, whatever the treatment."""
    with pytest.raises(ClaimFailed):
        page["treat"](6, "dead units")


def test_a_rate_is_mended_by_its_own_treatment_only(page):
    def rate(cause):
        _, optimizer = page["patient"](2, cause)
        return optimizer(nn.Linear(1, 1)).param_groups[0]["lr"]

    assert rate("rate too low") == pytest.approx(3e-3)
    assert rate("rate too high") < 1e-5


def test_quiet_makes_the_answer_ten_times_smaller_and_nothing_else(page):
    loud, soft = page["he"](page["network"]()), page["he"](page["network"]())
    soft.load_state_dict(loud.state_dict())
    x, soft = page["x_val"], page["quiet"](soft).eval()
    assert torch.allclose(10 * soft(x), loud.eval()(x), atol=1e-5)
    changed = [
        not torch.equal(a.weight, b.weight)
        for a, b in zip(page["weighted"](loud), page["weighted"](soft), strict=True)
    ]
    assert changed == [False] * 7 + [True]


@pytest.mark.parametrize("name", ["network", "weighted", "faint"])
def test_the_check_knows_the_program_of_the_page(root, name):
    chapter = next((root / "chapters").glob("10_*.py"))
    check = root / "ae_lib" / "exercises" / "chapter_10.py"
    solutions = chapter.parent / "solutions" / chapter.name
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in (chapter, check, solutions)
    ]
    found = [n for tree in trees for n in tree.body if getattr(n, "name", "") == name]
    assert len(found) == 3
    assert len({ast.unparse(node) for node in found}) == 1
