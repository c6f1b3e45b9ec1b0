"""Measures of chapter 11 do what its page says; its solutions repeat its programs."""

import ast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import data
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, r_squared, reconstruct
from ae_lib.plots.style import PALETTE, picture, styled
from ae_lib.recipe import one_cycle

MEASURES = (
    "r2 train passed_on faded blur trade Small small rings by_ring detail ssim_loss "
    "peak verdict"
).split()
REPEATED = (
    "r2 train Small small patient_a sickness_a patient_b sickness_b share Patient "
    "patient_c sickness_c verdict"
).split()


def definitions(path):
    """Return the first definition of each name at the top level of a page."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, node)
    return found


@pytest.fixture(scope="module")
def chapter_path(root):
    return root / "chapters" / "11_reconstructions.py"


@pytest.fixture(scope="module")
def page(chapter_path):
    found = definitions(chapter_path)
    names = {"torch": torch, "nn": nn, "F": F, "one_cycle": one_cycle}
    names |= {"mse": mse, "r_squared": r_squared, "reconstruct": reconstruct}
    names |= {"PALETTE": PALETTE, "picture": picture, "styled": styled}
    names["cures"] = {"weight decay": []}
    body = [found[name] for name in MEASURES]
    exec(compile(ast.Module(body, []), str(chapter_path), "exec"), names)
    return names


@pytest.fixture(scope="module")
def x():
    return data.load("shapes", limit=80).unit()


def test_the_solutions_repeat_the_programs_of_the_page(root, chapter_path):
    theirs = definitions(chapter_path.parent / "solutions" / chapter_path.name)
    ours = definitions(chapter_path)
    for name in REPEATED:
        same = [ast.dump(_without_default(found[name])) for found in (ours, theirs)]
        assert same[0] == same[1], f"{name} differs between chapter and solutions"


def _without_default(node):
    """Leave out defaults and docstrings: `share` has a default on the page only."""
    node = ast.parse(ast.unparse(node)).body[0]
    if node.name == "share":
        node.args.defaults = []
    return node


def test_a_copy_passes_on_all_noise_and_pca_its_share(page, x):
    assert page["passed_on"](lambda t: t, x) == pytest.approx(1, abs=1e-4)
    assert page["passed_on"](page["faded"], x) == pytest.approx(0.8, abs=1e-4)
    assert page["passed_on"](lambda t: 0 * t, x) == 0
    assert page["passed_on"](page["blur"], x) == pytest.approx(0.25, abs=0.03)
    pca = PCA.fit(x, 64)
    assert page["passed_on"](pca, x) == pytest.approx(64 / 3072, rel=0.15)


def test_the_trade_draws_price_against_both_gains(page):
    scores = {"no cure": [(0.005, 0.5, 0.2)] * 3}
    scores["weight decay"] = [(0.01, 0.3, 0.1), (0.02, 0.2, 0.15)]
    left, right = page["trade"](scores, "made up").axes
    for axes, gains in (left, [0.3, 0.2]), (right, [0.1, 0.15]):
        decay, none = axes.lines
        assert list(decay.get_xdata()) == [0.01, 0.02]
        assert list(decay.get_ydata()) == gains
        assert (decay.get_linestyle(), none.get_linestyle()) == ("-", "None")
        assert axes.get_xscale() == "log"


def test_the_peak_is_that_of_a_checkerboard(page, x):
    noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert page["peak"](noise) == pytest.approx(1, abs=0.3)
    stripes = (torch.arange(32) % 2 - 0.5).expand(64, 3, 32, 32)
    assert page["peak"](noise + 0.3 * stripes) > 10
    assert page["peak"](page["blur"](noise + 0.3 * stripes)) < 1


def test_rings_lose_no_power(page, x):
    own, same, both = page["by_ring"](x, x)
    total = x.square().sum((2, 3)).mean() * 32 * 32  # Parseval
    assert own.sum().item() == pytest.approx(total.item(), rel=1e-4)
    assert torch.allclose(own, same) and torch.allclose(own, both, rtol=1e-3)


def test_a_wave_is_counted_in_its_ring(page):
    across = torch.arange(32) / 32
    wave = torch.cos(2 * torch.pi * 5 * across).expand(1, 1, 32, 32)
    own, *_ = page["by_ring"](wave, wave)
    assert own.argmax() == 5
    assert own[5] / own.sum() > 0.999


def test_power_can_be_faked_and_agreement_cannot(page, x):
    power, agreement = page["detail"](x, x)
    assert (power, agreement) == pytest.approx((1, 1), abs=1e-3)
    other = x.roll(1, 0)  # just as sharp, and another image
    power, agreement = page["detail"](x, other)
    assert power == pytest.approx(1, abs=1e-3)
    assert abs(agreement) < 0.2
    power, agreement = page["detail"](x, page["blur"](x))
    assert power < 0.5 and agreement > 0.8


def test_the_ssim_loss_is_least_at_a_perfect_reconstruction(page, x):
    loss = page["ssim_loss"]
    assert loss(x, x).item() == pytest.approx(0, abs=1e-5)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    losses = [loss(x + size * noise, x).item() for size in (0.02, 0.1, 0.3)]
    assert 0 < losses[0] < losses[1] < losses[2]


def test_training_lowers_the_error_and_repeats_itself(page, x):
    small, train, r2 = page["small"], page["train"], page["r2"]
    first, second = (train(small(8, 8), x, 12, noise=0.05) for _ in range(2))
    assert r2(first, x) > r2(small(8, 8).eval(), x) + 0.1
    assert r2(first, x) == pytest.approx(r2(second, x), abs=1e-3)
    calls = []
    train(small(8, 8), x, 3, watch=lambda model: calls.append(model.training))
    assert calls == [False] * 3


def test_weights_decide_where_the_error_goes(page, x):
    small, train = page["small"], page["train"]
    left = torch.zeros(len(x), 1, 32, 32)
    left[..., :16] = 2
    errors = []
    for weights in (left, 2 - left):
        x_hat = reconstruct(train(small(8, 8), x, 12, weights=weights), x)
        errors.append((x_hat - x)[..., :16].square().mean().item())
    assert errors[0] < errors[1]


def test_a_verdict_accepts_what_takes_a_third_of_the_sickness(page, capsys):
    def sickness(dose=0.0):
        return 1 - dose

    assert page["verdict"](sickness, dose=0.6) == pytest.approx(0.4)
    assert page["verdict"](sickness, dose=0.2) == pytest.approx(0.8)
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["accepted", "rejected"]


@pytest.mark.parametrize("name", ["dull"])
def test_the_check_knows_the_program_of_the_page(root, name):
    chapter = next((root / "chapters").glob("11_*.py"))
    check = root / "ae_lib" / "exercises" / "chapter_11.py"
    solutions = chapter.parent / "solutions" / chapter.name
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in (chapter, check, solutions)
    ]
    found = [n for tree in trees for n in tree.body if getattr(n, "name", "") == name]
    assert len(found) == 3
    assert len({ast.unparse(node) for node in found}) == 1
