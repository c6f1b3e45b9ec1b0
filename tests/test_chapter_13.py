"""Chapter 13: its program, its chart and its checklist belong together."""

import ast
import re
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import data, plots

PROGRAM = ["Net", "prepare", "start", "epoch_slices", "step", "relative", "run"]


def path(root, folder=""):
    return root / "chapters" / folder / "13_method.py"


def definitions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name: n for n in tree.body if getattr(n, "name", "") in PROGRAM}


def assigned(path, name):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (value,) = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == name
    ]
    return ast.literal_eval(value)


@pytest.fixture(scope="module")
def page(root):
    """What the chapter defines, on 120 drawn digits."""
    found = definitions(path(root))
    assert list(found) == PROGRAM
    digits = data.load("digits", "train", 120)
    names = {"torch": torch, "nn": nn, "F": F, "cache": cache}
    names |= {"train": digits[:100], "validation": digits[100:]}
    exec(compile(ast.Module(list(found.values()), []), "page", "exec"), names)
    return names


def test_the_solutions_have_the_same_program(root):
    chapter, solutions = path(root), path(root, "solutions")
    ours, theirs = definitions(chapter), definitions(solutions)
    assert list(ours) == list(theirs)
    for name in PROGRAM:
        assert ast.dump(ours[name]) == ast.dump(theirs[name]), name
    assert assigned(chapter, "NAMES") == assigned(solutions, "NAMES")


def test_each_name_is_a_fault_of_its_own(root, page):
    names = assigned(path(root), "NAMES")
    seen = {}
    for state in [names, *(tuple(set(names) - {name}) for name in names)]:
        net, optimizer = page["start"](state)
        x = page["prepare"](page["train"], state)
        rows = [range(100)[s] for s in page["epoch_slices"](100, state)]
        seen[state] = {
            "range": (x.min().item(), x.max().item()),
            "code": net.encoder(x).shape,
            "batches": len({i for batch in rows for i in batch}),
            "register": len(optimizer.param_groups[0]["params"]),
            "rate": optimizer.param_groups[0]["lr"],
        }
    sound = seen.pop(names)
    assert sound["range"] == (0, 1) and sound["batches"] == 100
    for state, measured in seen.items():
        differ = {key for key, value in measured.items() if value != sound[key]}
        assert differ == set(names) - set(state)


def test_a_run_can_be_repeated(page):
    first = page["run"](("range",), seed=1, epochs=1)[0]
    page["run"].cache_clear()
    assert page["run"](("range",), seed=1, epochs=1)[0] == first


def test_chart_checklist_and_sections_ask_the_same_questions(root):
    text = path(root).read_text(encoding="utf-8")
    sections = re.findall(r"^# ## (\d)\. (.+)$", text, re.MULTILINE)
    checklist = (root / "chapters" / "checklist.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| \*\*(.+?)\.\*\*", checklist, re.MULTILINE)
    assert rows[0] == ("0", "Start simple")
    assert rows[1:] == sections
    stages = assigned(path(root), "STAGES")
    assert sum(map(len, stages.values())) == len(sections)


def test_the_words_of_the_chart_fit_their_boxes(root):
    figure = plots.flow_chart(assigned(path(root), "STAGES"), "Train longer.")
    assert all(text.get_text().count("\n") <= 1 for text in figure.axes[0].texts)


@pytest.mark.parametrize("name", ["Net", "pairs"])
def test_the_check_knows_the_program_of_the_page(root, name):
    chapter = next((root / "chapters").glob("13_*.py"))
    check = root / "ae_lib" / "exercises" / "chapter_13.py"
    solutions = chapter.parent / "solutions" / chapter.name
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in (chapter, check, solutions)
    ]
    found = [n for tree in trees for n in tree.body if getattr(n, "name", "") == name]
    assert len(found) == 3
    assert len({ast.unparse(node) for node in found}) == 1
