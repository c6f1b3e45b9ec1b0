"""The stored notebooks: built from their sources, sound, and shaped as a chapter.

The parts of a chapter NN have a closed vocabulary:

- the first cell begins with "# NN · Title" and asks a question or shows a picture;
- before the first code cell: "**You will be able to**" with a list of 3 to 5 items,
  and a line "**Cost:** 40 s on 2 CPU cores ..." (s or min);
- it closes with the sections "## What we saw", "## Exercises", "## Further reading",
  in this order; the exercises are a numbered list, "1. **Fewer numbers.** ...";
- exercises that check themselves come first, each a cell to fill in, tagged "exercise",
  and a cell that calls `exercises.check`: ae_lib/exercises/__init__.py tells how;
- its solutions, in chapters/solutions/ under the same name, answer each exercise
  under a heading "## Exercise 1", optionally followed by a title.

A cell whose text is compared by nbval carries the line "# NBVAL_CHECK_OUTPUT"; those
that check a claim call `claim(...)` and print nothing else.
"""

import re
import subprocess
import sys

import build
import nbformat
import pytest

CHECKED = "# NBVAL_CHECK_OUTPUT"
CLOSING = ["## What we saw", "## Exercises", "## Further reading"]


def stored(source):
    path = source.with_suffix(".ipynb")
    assert path.exists(), f"{path.name} is not built: run `make notebooks`"
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def checked_cells(notebook):
    return [c for c in code_cells(notebook) if CHECKED in c.source.splitlines()]


def contents(notebook):
    return [
        (cell.cell_type, cell.source, cell.metadata.get("tags", []))
        for cell in notebook.cells
    ]


def section(notebook, heading):
    """Return the text from a heading to the next one of its level."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    _, found, rest = f"\n{text}\n".partition(f"\n{heading}\n")
    assert found, f"there is no section {heading!r}"
    return rest.partition("\n## ")[0]


# ---------------------------------------------------------------- the stored pairs


def test_notebook_is_up_to_date(source):
    reason = build.why_stale(source)
    assert reason is None, f"{source.name}: {reason}. Run `make notebooks`"


def test_notebook_has_the_cells_of_its_source(source):
    assert contents(stored(source)) == contents(build.read_source(source)), (
        "the .ipynb was edited: take its changes over to the .py, "
        "or drop them with `git checkout`; then run `make notebooks`"
    )


def test_notebook_can_be_published(source):
    notebook = stored(source)
    assert build.problems(notebook) == []
    assert source.with_suffix(".ipynb").stat().st_size <= build.SIZE_LIMIT
    assert notebook.metadata.kernelspec.name == "python3"


def test_checked_cells_have_something_to_check(source):
    """nbval silently checks nothing in a cell that was stored without outputs."""
    for cell in checked_cells(stored(source)):
        assert cell.execution_count, f"never executed: {cell.source}"
        texts = [build.output_text(output).strip() for output in cell.outputs]
        assert any(texts), f"checked, but prints nothing: {cell.source}"


def test_checked_markers_are_spelled_right(source):
    """A misspelled marker is a comment, and the cell goes unchecked."""
    for cell in code_cells(build.read_source(source)):
        for line in cell.source.splitlines():
            if "nbval" in line.lower():
                assert line == CHECKED


def test_every_notebook_of_the_folder_has_a_source(root):
    built = {path.with_suffix(".ipynb") for path in build.sources()}
    kept = set((root / "chapters").glob("*.ipynb"))
    kept |= set((root / "chapters" / "solutions").glob("*.ipynb"))
    assert {path for path in kept if re.match(r"\d\d_", path.name)} == built


# ---------------------------------------------------------- the parts of a chapter


def test_opening(chapter):
    cells = build.read_source(chapter).cells
    first_code = next(i for i, c in enumerate(cells) if c.cell_type == "code")
    opening = "\n".join(cell.source for cell in cells[:first_code])
    assert re.match(rf"# {chapter.name[:2]} · \S", opening), opening[:60]
    assert "?" in cells[0].source or "![" in cells[0].source
    _, found, able = opening.partition("**You will be able to**")
    assert found, "the opening lacks '**You will be able to**'"
    items = re.findall(r"^(?:-|\d\.) ", able.partition("**Cost:**")[0], re.MULTILINE)
    assert 3 <= len(items) <= 5, f"{len(items)} items under 'You will be able to'"
    assert "\n**Cost:** " in opening, "the opening lacks a line '**Cost:** ...'"


def test_stated_cost_is_kept(chapter):
    notebook = stored(chapter)
    text = "\n".join(cell.source for cell in notebook.cells)
    found = re.search(r"^\*\*Cost:\*\* [^\n]*?(\d+(?:\.\d+)?) (s|min)\b", text, re.M)
    assert found, "expected '**Cost:** 40 s on 2 CPU cores', in s or min"
    stated = float(found[1]) * (60 if found[2] == "min" else 1)
    spent = notebook.metadata.ae_lib.seconds
    assert spent <= 1.5 * stated + 10, f"the build took {spent} s, stated {stated} s"


def test_closing_sections(chapter):
    cells = build.read_source(chapter).cells
    headings = [
        line
        for cell in cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("## ")
    ]
    assert headings[-3:] == CLOSING
    assert all(section(build.read_source(chapter), h).strip() for h in CLOSING)


def test_chapter_checks_claims(chapter):
    claims = [c for c in checked_cells(stored(chapter)) if "claim(" in c.source]
    least = 0 if chapter.name.startswith("00") else 2
    assert len(claims) >= least, f"{len(claims)} checked claims, expected {least}"


def test_each_exercise_has_a_solution(chapter):
    path = chapter.parent / "solutions" / chapter.name
    assert path.exists(), f"expected solutions in {path.relative_to(build.CHAPTERS)}"
    posed = re.findall(
        r"^(\d+)\. \*\*\S",
        section(build.read_source(chapter), "## Exercises"),
        re.MULTILINE,
    )
    text = "\n".join(cell.source for cell in build.read_source(path).cells)
    solved = re.findall(r"^## Exercise (\d+)\b", text, re.MULTILINE)
    assert posed == [str(n + 1) for n in range(len(posed))]
    assert len(posed) >= 3
    assert solved == posed


def test_solutions_belong_to_chapters():
    chapters = {p.name for p in build.CHAPTERS.glob("[0-9][0-9]_*.py")}
    solutions = {p.name for p in build.CHAPTERS.glob("solutions/[0-9][0-9]_*.py")}
    assert chapters and solutions <= chapters


def test_pytest_runs_the_notebooks_and_not_their_sources(root):
    """With --doctest-modules it would import the sources, that is, run them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    run = subprocess.run(
        [*command, "--nbval-lax", "chapters"], cwd=root, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    files = {line.partition("::")[0] for line in run.stdout.splitlines()}
    collected = {name for name in files if name.startswith("chapters/")}
    kept = [*(root / "chapters").glob("*.ipynb")]
    kept += (root / "chapters" / "solutions").glob("*.ipynb")
    assert collected == {path.relative_to(root).as_posix() for path in kept}


# ------------------------------------------------------------------ the build itself


@pytest.fixture
def small(tmp_path):
    """A percent file with prose, a checked cell and a figure."""
    source = tmp_path / "01_small.py"
    source.write_text(
        "# %% [markdown]\n# # 01 · Small\n\n"
        "# %%\n# NBVAL_CHECK_OUTPUT\nprint(2 + 2)\n\n"
        '# %% tags=["figure"]\nimport matplotlib.pyplot as plt\n\n'
        "figure, axes = plt.subplots(figsize=(1, 1))\n",
        encoding="utf-8",
    )
    return source


def test_build_stores_outputs_and_nothing_of_the_machine(small):
    assert build.why_stale(small) == "not built yet"
    build.build(small, "shapes (stand-in for CIFAR-10)")
    notebook = stored(small)
    assert build.why_stale(small) is None
    assert contents(notebook) == contents(build.read_source(small))
    assert [c.execution_count for c in code_cells(notebook)] == [1, 2]
    assert notebook.cells[1].outputs[0].text == "4\n"
    assert "image/png" in notebook.cells[2].outputs[0].data
    assert notebook.cells[2].metadata == {"tags": ["figure"]}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "ae_lib"}
    assert notebook.metadata.ae_lib.data == "shapes (stand-in for CIFAR-10)"
    assert "version" not in notebook.metadata.language_info
    before = small.with_suffix(".ipynb").read_text(encoding="utf-8")
    build.build(small, "shapes (stand-in for CIFAR-10)")
    after = small.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert re.sub(r'"seconds": .*', "", before) == re.sub(r'"seconds": .*', "", after)
    assert sorted(p.name for p in small.parent.glob("*.part")) == []


def test_a_changed_source_is_noticed(small):
    build.build(small)
    text = small.read_text(encoding="utf-8")
    small.write_text(text.replace("2 + 2", "2 + 3"), encoding="utf-8")
    assert build.why_stale(small) == "the .py has changed since the build"
    assert contents(stored(small)) != contents(build.read_source(small))


def test_new_prose_keeps_the_outputs_and_new_code_does_not(small):
    build.build(small, "photographs")
    path = small.with_suffix(".ipynb")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"4\\n"', '"kept\\n"'), encoding="utf-8")
    prose = small.read_text(encoding="utf-8").replace("Small", "Little")
    small.write_text(prose, encoding="utf-8")
    assert build.build(small, "drawings", anew=False) == 0
    notebook = stored(small)
    assert build.why_stale(small) is None
    assert contents(notebook) == contents(build.read_source(small))
    assert notebook.cells[1].outputs[0].text == "kept\n"
    assert [c.execution_count for c in code_cells(notebook)] == [1, 2]
    assert notebook.metadata.ae_lib.data == "photographs"
    small.write_text(prose.replace("2 + 2", "2 + 3"), encoding="utf-8")
    assert build.build(small, "drawings", anew=False) > 0
    assert stored(small).cells[1].outputs[0].text == "5\n"
    assert stored(small).metadata.ae_lib.data == "drawings"


def test_a_new_exercise_is_run_alone(small):
    """It needs the set-up cell only, so that the others keep their outputs."""
    set_up = "# %%\nx = 1\n\n"
    text = set_up + small.read_text(encoding="utf-8") + "# %%\ny = x + 1\n"
    small.write_text(text, encoding="utf-8")
    build.build(small, "photographs")
    path = small.with_suffix(".ipynb")
    kept = path.read_text(encoding="utf-8").replace('"4\\n"', '"kept\\n"')
    path.write_text(kept, encoding="utf-8")
    exercise = '# %% tags=["exercise"]\nx += 1\nprint(x, "y" in globals())\n\n'
    small.write_text(text.replace(set_up, set_up + exercise), encoding="utf-8")
    assert build.build(small, "drawings", anew=False) > 0
    notebook = stored(small)
    assert contents(notebook) == contents(build.read_source(small))
    assert [c.execution_count for c in code_cells(notebook)] == [1, 2, 3, 4, 5]
    texts = [c.outputs[0].get("text") for c in code_cells(notebook) if c.outputs]
    assert texts == ["2 False\n", "kept\n", None]
    assert notebook.metadata.ae_lib.data == "photographs"
    assert build.why_stale(small) is None
    small.write_text(text, encoding="utf-8")
    assert build.build(small, "drawings", anew=False) == 0  # without it: nothing to run
    assert [c.execution_count for c in code_cells(stored(small))] == [1, 2, 3, 4]
    small.write_text(text.replace("2 + 2", "2 + 3"), encoding="utf-8")
    build.build(small, "drawings", anew=False)
    assert stored(small).metadata.ae_lib.data == "drawings"


def test_an_exercise_that_fails_is_not_stored(small):
    build.build(small)
    before = small.with_suffix(".ipynb").read_bytes()
    text = small.read_text(encoding="utf-8")
    exercise = '# %% tags=["exercise"]\n1 / 0\n\n'
    small.write_text(text + exercise, encoding="utf-8")
    with pytest.raises(ValueError, match="01_small.py: .*\n[^$]*ZeroDivisionError"):
        build.build(small, anew=False)
    assert small.with_suffix(".ipynb").read_bytes() == before


def test_windows_line_endings_change_nothing(small):
    before = build.source_hash(small)
    small.write_bytes(small.read_bytes().replace(b"\n", b"\r\n"))
    assert build.source_hash(small) == before


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\nwarnings.warn('old')", "text on stderr"),
        ("import os\nprint(os.getcwd() and os.path.expanduser('~/x'))", "a path of"),
        ("print('C:\\\\Users\\\\ada\\\\x')", "a path of"),
        ("display({'text/plain': 'x' * 1_100_000}, raw=True)", "draw smaller pictures"),
    ],
)
def test_a_bad_notebook_is_not_stored(tmp_path, code, message):
    source = tmp_path / "01_bad.py"
    source.write_text(f"# %%\n{code}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        build.build(source)
    assert [path.name for path in tmp_path.iterdir()] == ["01_bad.py"]


def test_a_widget_is_stored_as_a_line_of_text(tmp_path):
    source = tmp_path / "01_widget.py"
    source.write_text(
        "# %%\nfrom ipywidgets import IntSlider\n\nIntSlider()\n", encoding="utf-8"
    )
    build.build(source)
    notebook = stored(source)
    (output,) = notebook.cells[0].outputs
    assert output.data == {"text/plain": build.INSTEAD_OF_WIDGET}
    assert "widgets" not in notebook.metadata


def test_cell_ids_survive_edits_elsewhere(small):
    before = [cell.id for cell in build.read_source(small).cells]
    text = small.read_text(encoding="utf-8")
    small.write_text("# %%\nprint(2 + 2)\n\n" + text, encoding="utf-8")
    after = [cell.id for cell in build.read_source(small).cells]
    assert after[1:] == before
    assert len(set(after)) == 4


def test_select_takes_the_beginning_of_a_name(tmp_path):
    (tmp_path / "solutions").mkdir()
    for name in ["00_start", "01_data", "solutions/01_data"]:
        (tmp_path / f"{name}.py").touch()
    picked = build.select(["01"], tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in picked] == [
        "01_data.py",
        "solutions/01_data.py",
    ]
    with pytest.raises(SystemExit, match="no chapter begins with '07'.*00_start"):
        build.select(["07"], tmp_path)
