"""The house style of chapters, measured.

A line counts when it is neither blank nor the nbval marker. Prose is the text, without
tables, between the first code cell and the closing section "## What we saw". A figure
is a code cell with a picture among its outputs.
"""

import re
import statistics

import build
import nbformat

MARKER = "# NBVAL_CHECK_OUTPUT"


def lines(cell):
    kept = (line.rstrip() for line in cell.source.splitlines())
    return [line for line in kept if line and line != MARKER]


def code_cells(source):
    return [c for c in build.read_source(source).cells if c.cell_type == "code"]


def prose_words(source):
    """Count the words of each text cell between the code cells."""
    counts = []
    cells = build.read_source(source).cells
    kinds = [cell.cell_type for cell in cells]
    for cell in cells[kinds.index("code") :]:
        if cell.cell_type == "markdown":
            text, closing, _ = f"\n{cell.source}".partition("\n## What we saw")
            prose = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
            counts.append(len(prose.split()))
            if closing:
                break
    return [count for count in counts if count]


def is_figure(cell):
    return any(
        mime.startswith("image/")
        for output in cell.get("outputs", [])
        for mime in output.get("data", {})
    )


def test_code_cells_are_short(source):
    sizes = sorted(len(lines(cell)) for cell in code_cells(source))
    assert statistics.median(sizes) <= 8, sizes
    assert sum(size <= 20 for size in sizes) >= 0.9 * len(sizes), sizes
    assert max(sizes) <= 35, sizes


def test_code_fits_the_column(source):
    wide = [
        line
        for cell in code_cells(source)
        for line in cell.source.splitlines()
        if len(line) > 79
    ]
    assert wide == []


def test_prose_fits_the_column(source):
    """Tables and links cannot be broken; everything else can."""
    wide = [
        line
        for line in source.read_text(encoding="utf-8").splitlines()
        if len(line) > 79 and not line.startswith("# |") and "](" not in line
    ]
    assert wide == []


def test_no_text_hides_in_the_comments_of_code(source):
    """A lost marker turns the text below it into comments of the cell above."""
    hidden = [
        line
        for cell in code_cells(source)
        for line in cell.source.splitlines()
        if re.match(r"# #+ |#$", line)
    ]
    assert hidden == []


def test_code_is_interrupted_by_prose(source):
    run = 0
    for cell in build.read_source(source).cells:
        run = run + 1 if cell.cell_type == "code" else 0
        assert run <= 3, f"four code cells in a row, the last one: {cell.source}"


def test_prose_between_code_is_brief(chapter):
    words = prose_words(chapter)
    assert 15 <= statistics.median(words) <= 90, words
    assert max(words) <= 180, words


def test_figures_are_announced_and_read(source):
    path = source.with_suffix(".ipynb")
    assert path.exists(), f"{path.name} is not built: run `make notebooks`"
    cells = nbformat.read(path, as_version=4).cells
    kinds = ["none", *(cell.cell_type for cell in cells), "none"]
    for number, cell in enumerate(cells):
        if is_figure(cell):
            around = (kinds[number], kinds[number + 2])
            assert around == ("markdown", "markdown"), (
                f"a figure needs a text cell before (what to look for) and after "
                f"(what is seen): {cell.source}"
            )


# ------------------------------------------------------------------- the set-up cell


def test_set_up_cell_is_the_same_everywhere(source):
    first = build.sources()[0]
    assert code_cells(source)[0].source == code_cells(first)[0].source, (
        f"the first code cell must be that of {first.name}"
    )


def test_set_up_cell_fetches_this_project(chapter, address):
    cell = code_cells(chapter)[0]
    code = [line for line in lines(cell) if not line.lstrip().startswith("#")]
    assert len(code) <= 8, f"{len(code)} lines: {cell.source}"
    assert f'"git+{address}"' in cell.source
    assert "--no-deps" in cell.source, "without it pip may replace Colab's PyTorch"


def test_set_up_happens_once(source):
    for cell in code_cells(source)[1:]:
        assert not re.search(r"\bpip\b", cell.source)


def begins_a_list_by_accident(text):
    """Find lines of a sentence that begin as an item of a list would: "2015. As"."""
    found, number, before = [], 0, ""
    for line in text.splitlines():
        counted = re.match(r"\s*(\d+)[.)]\s", line)
        if counted:
            if before.strip() and int(counted[1]) not in (1, number + 1):
                found.append(line)
            number = int(counted[1])
        if re.match(r"\s*\+\s", line):  # lists have dashes here
            found.append(line)
        before = line
    return found


def test_no_sentence_begins_a_list(source):
    for cell in build.read_source(source).cells:
        if cell.cell_type == "markdown":
            assert begins_a_list_by_accident(cell.source) == []


def test_a_year_at_the_beginning_of_a_line_is_found():
    assert begins_a_list_by_accident("- A. Author, *Title*, Journal\n  2015. Good.")
    assert begins_a_list_by_accident("2,000 = 31 · 64\n+ 16. And")
    assert begins_a_list_by_accident("3. Three\n4. Four\n\n6. Six\n- dash") == []
