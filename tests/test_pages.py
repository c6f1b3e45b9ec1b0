"""The pages beside the chapters, held to the library and to the chapters.

They need no Sphinx; tests/test_book.py builds the book.
"""

import importlib
import re
import types
from fnmatch import fnmatch

import build
import pytest
import torch
from book import overview
from torch import nn

from ae_lib.doctor.reasoning import ORDER
from ae_lib.metrics import psnr


def page(name):
    return (build.CHAPTERS / f"{name}.md").read_text(encoding="utf-8")


def table(text, heading):
    """Return the rows below the one whose first cell is `heading`, cells stripped."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    start = [row[0] for row in cells].index(heading) + 2
    found = []
    for row in cells[start:]:
        if len(row) != len(cells[start - 2]):
            break
        found.append(row)
    return found


# ------------------------------------------------------------- the settings of the book


@pytest.fixture
def settings(root):
    """What conf.py sets, read as Sphinx does: with `tags` among its names."""
    path = root / "chapters" / "book" / "conf.py"
    code = compile(path.read_text(encoding="utf-8"), path, "exec")

    def read(*tags):
        names = {"__file__": str(path)}
        names["tags"] = types.SimpleNamespace(has=lambda tag: tag in tags)
        exec(code, names)
        return names

    return read


@pytest.mark.parametrize("tags", [(), ("slides",)])
def test_the_book_takes_every_notebook(root, settings, source, tags):
    name = source.with_suffix(".ipynb").relative_to(root).as_posix()
    assert any(
        fnmatch(name, pattern) for pattern in settings(*tags)["include_patterns"]
    )


def test_the_book_executes_nothing_and_knows_one_address(settings, address):
    for tags in [(), ("slides",)]:
        names = settings(*tags)
        assert names["nb_execution_mode"] == "off"
        assert names["address"] == address
        assert names["html_theme_options"]["repository_url"] == address


def test_the_styles_fetch_nothing(root):
    for path in (root / "chapters" / "book" / "static").glob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?:|@import|url\(", text), path.name


# --------------------------------------------------------------- the page for lecturers


def test_the_page_for_lecturers_agrees_with_the_chapters():
    text = page("teaching")
    assert overview.renewed(text) == text, "run `make notebooks`"


def test_a_page_that_has_parted_from_the_chapters_is_noticed():
    text = page("teaching")
    stale = re.sub(r"\| \d+ s \|", "| 9999 s |", text, count=1)
    assert stale != text
    assert overview.renewed(stale) == text
    with pytest.raises(ValueError, match="must hold the lines"):
        overview.renewed(text.replace(overview.END, ""))


def test_each_chapter_has_its_time_and_its_goals(chapter):
    facts = overview.read(chapter.with_suffix(".ipynb"))
    assert 3 <= len(facts["goals"]) <= 5
    assert facts["exercises"] >= 3
    row = f"| {facts['minutes']} min | {facts['seconds']} s | {facts['exercises']} |"
    assert f"]({facts['file']}) {row}" in page("teaching")
    assert facts["goals"][0].rstrip(";") in page("teaching")


def class_minutes():
    paths = build.CHAPTERS.glob("[0-9][0-9]_*.ipynb")
    return {path.name[:2]: overview.read(path)["minutes"] for path in paths}


def test_the_schedules_name_chapters_and_fit_the_day():
    text = page("teaching").partition("## Schedules")[2].partition("\n## ")[0]
    minutes = class_minutes()
    times = r"\d\d (?:to \d\d )?minutes"
    named = re.findall(r"\b\d\d\b", re.sub(times, "", text))
    assert named and set(named) <= set(minutes)
    day = text.partition("**One day**")[2].partition("**One week**")[0]
    hours = int(re.search(r"about (\d) hours", day)[1])
    taught = re.findall(r"\b\d\d\b", day.partition("Hand out")[0])
    assert 0.6 * hours < sum(minutes[c] for c in taught) / 60 <= hours
    for _, chapters, _ in table(text, "day"):
        morning = sum(minutes[c] for c in re.findall(r"\d\d", chapters))
        assert 20 <= morning <= 150, chapters


# ---------------------------------------------------------------------- the cheat sheet


def numbers(text):
    return [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", text)]


def test_the_examples_of_the_cheat_sheet_are_right():
    rows = table(page("cheatsheet"), "example, on one image")
    assert len(rows) == 3
    for code, before, after, parameters, multiplications in rows:
        layer = eval(code.strip("`"), vars(nn).copy())
        x = torch.zeros(1, *numbers(before))
        y = layer(x)
        assert list(y.shape[1:]) == numbers(after), code
        held = sum(p.numel() for p in layer.parameters())
        positions = {nn.Conv2d: y, nn.ConvTranspose2d: x}.get(type(layer))
        places = positions[0, 0].numel() if positions is not None else 1
        assert [held] == numbers(parameters), code
        assert [layer.weight.numel() * places] == numbers(multiplications), code


def test_the_decibels_of_the_cheat_sheet_are_right():
    head = next(
        li for li in page("cheatsheet").splitlines() if li.startswith("| MSE |")
    )
    errors = [float(cell) for cell in head.split("|")[2:-1]]
    ((_, *decibels),) = table(page("cheatsheet"), "MSE")
    assert len(errors) >= 8
    for error, stated in zip(errors, decibels, strict=True):
        assert f"{psnr(error):.1f}" == stated


@pytest.mark.parametrize("kind", ["keeps the size", "halves or doubles it"])
def test_the_sizes_of_the_cheat_sheet_are_right(kind):
    rows = table(page("cheatsheet"), "layer")[:2]
    column = 2 if kind == "keeps the size" else 3
    for row in rows:
        k, s, p = numbers(row[column])
        make = nn.ConvTranspose2d if "transposed" in row[0] else nn.Conv2d
        size = make(1, 1, k, s, p)(torch.zeros(1, 1, 32, 32)).shape[-1]
        factor = 1 if column == 2 else 2
        assert size in {32 * factor, 32 // factor}


def test_the_program_of_the_cheat_sheet_runs(tmp_path, monkeypatch, capsys):
    """On a tenth of the images and for one epoch, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AE_DATA_DIR", str(tmp_path))
    text = page("cheatsheet")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for long, short in {
        "5_000": "500",
        "images, 500)": "images, 100)",
        "epochs=3": "epochs=1",
    }.items():
        assert long in code
        code = code.replace(long, short)
    names = {}
    exec(code, names)
    assert names["model"].latent_dim == 200
    printed = capsys.readouterr().out
    assert "psnr" in printed and "mean image" in printed


def test_the_commands_of_the_cheat_sheet_exist(root):
    text = page("cheatsheet")
    modules = re.findall(r"python -m (ae_lib[\w.]*)", text)
    assert len(modules) >= 4
    for name in modules:
        module = importlib.import_module(name)
        package = hasattr(module, "__path__")
        assert callable((importlib.import_module(f"{name}.__main__") if package
                         else module).main)  # fmt: skip
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)`", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# ------------------------------------------------------------------ the doctor's round


def test_the_round_names_each_finding_of_the_doctor_once():
    words = re.findall(r"`([a-z]+\.[a-z-]+)`", page("diagnosis").partition("\n|")[2])
    assert sorted(words) == sorted(ORDER)


def test_the_round_goes_from_causes_to_symptoms():
    rows = table(page("diagnosis"), "")
    places = []
    for row in rows:
        words = re.findall(r"`([a-z]+\.[a-z-]+)`", row[4])
        places += [min(ORDER.index(word) for word in words)] if words else []
    assert len(places) >= 12
    assert places == sorted(places)
    assert [row[0] for row in rows] == [str(n) for n in range(len(rows))]
