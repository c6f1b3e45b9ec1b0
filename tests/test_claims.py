import math
import os
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import torch

from ae_lib.budget import budget, pick
from ae_lib.claims import ClaimFailed, claim


def test_a_claim_prints_the_verdict_and_then_the_numbers(capsys):
    claim("PCA wins", 0.003, "<", 0.0053)
    assert capsys.readouterr().out == "✓ PCA wins\n  measured 0.003 < 0.0053\n"


@pytest.mark.parametrize(
    ("value", "op", "bound", "options", "measured"),
    [
        (25.2196, ">", 24, {"unit": "dB"}, "25.22 > 24 dB"),
        (25.2, "~", 25, {"tol": 0.5, "unit": "dB"}, "25.2 ~ 25 dB (within 0.5 dB)"),
        (3, "~", 3, {"tol": 0}, "3 ~ 3 (within 0)"),
        (1788451, "<=", 2_000_000, {}, "1,788,451 <= 2,000,000"),
        (65432.1, ">=", 10.0, {}, "65,432 >= 10"),
        (0.00529999, "<", 0.0053, {}, "0.00529999 < 0.0053"),
        (0.5, "<", 1, {"note": "3 seeds"}, "0.5 < 1  3 seeds"),
        (math.inf, ">", 60, {}, "inf > 60"),
        (torch.tensor(0.25), "<", np.float32(0.5), {}, "0.25 < 0.5"),
    ],
)
def test_how_numbers_are_written(capsys, value, op, bound, options, measured):
    claim("text", value, op, bound, **options)
    assert capsys.readouterr().out.splitlines()[1] == f"  measured {measured}"


@pytest.mark.parametrize(
    ("value", "op", "bound", "tol"),
    [
        (1, "<", 1, None),
        (2, "<=", 1, None),
        (1, ">", 1, None),
        (0, ">=", 1, None),
        (1.2, "~", 1, 0.1),
        (math.inf, "~", 1, 0.1),
        *[(math.nan, op, 1, None) for op in ("<", "<=", ">", ">=")],
        (math.nan, "~", 1, 0.1),
    ],
)
def test_a_claim_that_does_not_hold_raises(capsys, value, op, bound, tol):
    with pytest.raises(ClaimFailed, match="the text\n  measured .*\n  exactly"):
        claim("the text", value, op, bound, tol=tol)
    assert capsys.readouterr().out == ""


def test_the_failure_gives_all_digits():
    with pytest.raises(ClaimFailed, match="0.123456789 < 0.1"):
        claim("text", 0.123456789, "<", 0.1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("", 1, "<", 2), {}, "one line of text"),
        (("two\nlines", 1, "<", 2), {}, "one line of text"),
        (("text", 1, "==", 2), {}, "op must be"),
        (("text", 1, "~", 2), {}, "tol goes with"),
        (("text", 1, "<", 2), {"tol": 1}, "tol goes with"),
        (("text", 1, "~", 2), {"tol": math.nan}, "tol must be"),
        (("text", 1, "<", math.nan), {}, "bound must be"),
        (("text", 1, "<", math.inf), {}, "bound must be"),
        (("text", True, ">", 0), {}, "compares numbers"),
        (("text", "1", "<", 2), {}, "compares numbers"),
    ],
)
def test_claims_that_cannot_be_checked_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        claim(*arguments, **options)


def test_a_console_without_the_tick_gets_ok(monkeypatch, tmp_path):
    with open(tmp_path / "out.txt", "w", encoding="cp1252") as console:
        monkeypatch.setattr(sys, "stdout", console)
        claim("text", 1, "<", 2)
    assert (tmp_path / "out.txt").read_text("cp1252").startswith("ok text\n")


def test_the_notebook_check_compares_verdicts_and_not_numbers(tmp_path, root):
    """nbval passes a cell whose numbers differ, and fails one whose verdict does."""
    two = "claim('one', 1, '<', 2)\nclaim('two', 3, '<', 4)"
    cells = {
        f"# NBVAL_CHECK_OUTPUT\nfrom ae_lib.claims import claim\n{two}": (
            "✓ one\n  measured 0.9 < 2\n✓ two\n  measured 3.1 < 4 s\n"
        ),
        f"# NBVAL_CHECK_OUTPUT\n{two}": (
            "✓ one\n  measured 1 < 2\n✓ another\n  measured 3 < 4\n"
        ),
        "# NBVAL_CHECK_OUTPUT\nprint('measured 1 < 2')": "measured 0.9 < 2\n",
    }
    notebook = nbformat.v4.new_notebook()
    for number, (source, text) in enumerate(cells.items(), 1):
        stored = nbformat.v4.new_output("stream", name="stdout", text=text)
        notebook.cells.append(
            nbformat.v4.new_code_cell(source, outputs=[stored], execution_count=number)
        )
    nbformat.write(notebook, tmp_path / "tiny.ipynb")
    options = "--nbval-lax --nbval-current-env -q -p no:cacheprovider".split()
    options += [f"--nbval-sanitize-with={root / 'tests' / 'nbval_sanitize.cfg'}"]
    options += [f"--junitxml={tmp_path / 'report.xml'}", f"--rootdir={tmp_path}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tiny.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    report = ElementTree.parse(tmp_path / "report.xml")
    failed = [case.find("failure") is not None for case in report.iter("testcase")]
    assert failed == [False, True, True], run.stdout


@pytest.mark.parametrize(("value", "expected"), [("quick", 3), ("full", 30), ("", 3)])
def test_the_budget_picks_a_setting(monkeypatch, value, expected):
    monkeypatch.setenv("AE_BUDGET", value)
    assert pick(quick=3, full=30) == expected


def test_the_budget_is_quick_unless_set_and_refuses_other_words(monkeypatch):
    monkeypatch.delenv("AE_BUDGET", raising=False)
    assert budget() == "quick"
    monkeypatch.setenv("AE_BUDGET", "fast")
    with pytest.raises(ValueError, match='"quick" or "full", got \'fast\''):
        budget()
