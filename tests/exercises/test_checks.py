"""Each check accepts what is right, however it is written, and names each mistake.

`PYTHONPATH=.:chapters python -m tests.exercises.table` prints what these tests hold.
"""

import re
import time

import build
import derive
import nbformat
import pytest
import torch

from ae_lib import exercises
from ae_lib.exercises import checks, judge
from tests.exercises import table

CHECKS = exercises.every()
RIGHT = [(n, i) for n, all_ in table.planted("RIGHT").items() for i in range(len(all_))]
WRONG = [(n, i) for n, all_ in table.planted("WRONG").items() for i in range(len(all_))]


def ids(pairs):
    return [f"{name}-{i}" for name, i in pairs]


# ------------------------------------------------------------------ the planted answers


@pytest.mark.parametrize("name", CHECKS)
def test_the_worked_solution_is_right(name):
    solution = table.answer(name, table.worked()[name])
    symbol, text = checks.verdict(CHECKS[name], solution)
    assert symbol == "✓", text
    start = time.thread_time()  # the first call may import parts of torch
    assert checks.verdict(CHECKS[name], solution) == (symbol, text)
    assert time.thread_time() - start < 5  # a check is waited for; machines differ


@pytest.mark.parametrize(("name", "i"), RIGHT, ids=ids(RIGHT))
def test_a_right_answer_may_be_written_differently(name, i):
    symbol, text = checks.verdict(CHECKS[name], table.planted("RIGHT")[name][i])
    assert symbol == "✓", text


@pytest.mark.parametrize(("name", "i"), WRONG, ids=ids(WRONG))
def test_a_mistake_is_named(name, i):
    answer, words = table.planted("WRONG")[name][i]
    symbol, text = checks.verdict(CHECKS[name], answer)
    assert symbol == "✗", text
    assert words in text
    assert "\n" not in text and len(text) < 300
    assert len(re.findall(r"[.?!](?= [A-Z])", text)) <= 2, "one or two sentences"


@pytest.mark.parametrize(("name", "i"), WRONG, ids=ids(WRONG))
def test_no_other_mistake_explains_the_same_value(name, i, monkeypatch):
    """Two mistakes can agree in one case by chance, and the check would name either."""

    def compare(value, right, mistakes, otherwise):
        fits = [text for text, v in mistakes.items() if judge.same(value, v)]
        assert judge.same(value, right) or len(fits) <= 1, fits
        judge.compare(value, right, mistakes, otherwise)

    module = f"ae_lib.exercises.chapter_{name[:2]}"
    monkeypatch.setattr(f"{module}.compare", compare, raising=False)
    _, text = checks.verdict(CHECKS[name], table.planted("WRONG")[name][i][0])
    assert "AssertionError" not in text, text


@pytest.mark.parametrize("name", CHECKS)
def test_an_empty_cell_gets_the_figure_to_expect(name):
    symbol, text = checks.verdict(CHECKS[name], table.answer(name, table.posed()[name]))
    assert symbol == "○"
    assert text == f"Not filled in yet. Expect {CHECKS[name].hint}."
    assert re.search(r"\d|same", text), "a hint says what comes out"


def test_every_check_has_planted_answers_a_solution_and_a_place():
    right, wrong = table.planted("RIGHT"), table.planted("WRONG")
    assert set(right) == set(wrong) == set(CHECKS)
    assert set(table.worked()) == set(table.posed()) == set(CHECKS)
    for name in CHECKS:
        assert len(right[name]) >= 1, name
        assert len({words for _, words in wrong[name]}) >= 2, name
        assert len({id(answer) for answer, _ in wrong[name]}) >= 2, name


def test_no_planted_answer_is_left_without_a_check():
    for module in {name[:2] for name in CHECKS}:
        planted = __import__(f"tests.exercises.chapter_{module}", fromlist=["RIGHT"])
        names = {name for name in CHECKS if name[:2] == module}
        assert set(planted.RIGHT) == set(planted.WRONG) == names


def test_every_chapter_has_two_checks_or_more():
    for chapter in table.chapters():
        assert len(checks.names(chapter.name[:2])) >= 2, chapter.name


# --------------------------------------------------------- the cells of both notebooks


def test_the_chapter_poses_what_the_solutions_solve(chapter):
    fresh = derive.fresh_text(chapter)
    assert fresh == chapter.read_text(encoding="utf-8"), "run `make notebooks`"


def test_stored_checks_wait_in_the_chapter_and_pass_in_the_solutions(chapter):
    solutions = build.CHAPTERS / "solutions" / chapter.name
    for source, symbol in ((chapter, "○"), (solutions, "✓")):
        notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
        said = [
            (match[1], build.output_text(cell.outputs[0]).strip())
            for cell in notebook.cells
            if (match := re.search(r'exercises\.check\("(\S+)", ', cell.source))
        ]
        assert [name for name, _ in said] == checks.names(chapter.stem[:2])
        for name, line in said:
            assert line.startswith(f"{symbol} {name} ") and "\n" not in line


SOLVED = """\
# %% [markdown]
# ## Exercise 1

# %% tags=["exercise"]
# Exercise 03.1
def f(x):
    \"\"\"Double x.\"\"\"
    # --- solution
    return 2 * x
    # --- end


# %%
exercises.check("03.1", f)
"""
PLACE = '# %%\nx = 1\n\n# %% tags=["exercise"]\n# Exercise 03.1\n\n# %%\nprint(x)\n'


def test_a_place_is_filled_and_filled_anew():
    filled = derive.derive(PLACE, SOLVED)
    assert "return" not in filled and "# ---" not in filled
    assert '"""Double x."""\n    ...  # your code here\n' in filled
    assert filled.count('exercises.check("03.1", f)') == 1
    assert filled.startswith("# %%\nx = 1\n") and filled.endswith("# %%\nprint(x)\n")
    assert derive.derive(filled, SOLVED) == filled
    other = SOLVED.replace("Double", "Twice")
    assert derive.derive(filled, other) == filled.replace("Double", "Twice")


@pytest.mark.parametrize(
    ("page", "solutions", "message"),
    [
        (PLACE, "", "03.1: it needs a solution"),
        ("", SOLVED, "03.1: it needs a solution, and a place"),
        (PLACE, SOLVED.replace("# --- end", "# the end"), "stands between the lines"),
        (PLACE, SOLVED.replace("# --- solution", "#"), "stands between the lines"),
        (PLACE, SOLVED.replace("check(", "test("), "the next cell must call"),
        (PLACE + PLACE, SOLVED, "is there twice"),
    ],
)
def test_what_does_not_fit_together_is_told(page, solutions, message):
    with pytest.raises(ValueError, match=message):
        derive.derive(page, solutions)


def test_the_build_writes_the_exercise_and_notices_when_it_parts(tmp_path):
    (tmp_path / "solutions").mkdir()
    chapter, solutions = tmp_path / "03_a.py", tmp_path / "solutions" / "03_a.py"
    chapter.write_text(PLACE.replace("print(x)", "print(x, f)"), encoding="utf-8")
    checked = SOLVED.replace(
        "\nexercises.", "\nfrom ae_lib import exercises\n\nexercises."
    )
    solutions.write_text(checked, encoding="utf-8")
    assert "what its solution makes" in build.why_stale(chapter)
    build.build(chapter)
    assert build.why_stale(chapter) is None
    assert "your code here" in chapter.read_text(encoding="utf-8")
    assert list(tmp_path.glob("**/.exercises.json")) == []
    solutions.write_text(checked.replace("Double", "Twice"), encoding="utf-8")
    assert "what its solution makes" in build.why_stale(chapter)


# ----------------------------------------------------------------------- a check's line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for the record."""
    monkeypatch.setenv("AE_PROGRESS_DIR", str(tmp_path))
    exercises.record._unwritten.clear()
    yield tmp_path
    exercises.record._unwritten.clear()


def solution(name):
    return table.answer(name, table.worked()[name])


def line_of(capsys, name, answer):
    assert exercises.check(name, answer) is None
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    return out.rstrip("\n")


def defined(code, name="f"):
    task = f'# %% tags=["exercise"]\n# Exercise 00.2\n{code}\n'
    return table.answer("00.2", (task, f'exercises.check("00.2", {name})'))


def test_a_right_answer_counts(folder, capsys):
    line = line_of(capsys, "00.2", solution("00.2"))
    assert line.startswith("✓ 00.2 Right: ")
    assert line.endswith(" □■ 1 of 2 in this chapter.")


def test_an_exception_becomes_a_sentence_with_its_line(folder, capsys):
    f = defined("def f(x, x_hat):\n    y = 2 * x\n    return y @ torch.ones(7)")
    line = line_of(capsys, "00.2", f)
    assert line.startswith(
        "✗ 00.2 Your code stopped in line 4, `return y @ torch.ones(7)`"
    )
    assert "(RuntimeError: " in line


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit", "Your code stopped in line 3, `raise SystemExit`"),
        ("raise KeyboardInterrupt", "Stopped before it came to an end"),
        ("return f(x, x_hat)", "RecursionError"),
        ("raise ValueError('a\\nb' * 999)", "(ValueError: a ba b"),
        ("raise type('Odd', (Exception,), {'__str__': lambda s: 1 / 0})", "(Odd)"),
        ("import warnings; warnings.warn('old'); return 1.0", "the PSNR is off"),
        ("return 'a number'", "should be a number, got str"),
        ("pass", "is a `return` missing?"),
        ("return ...", "Not filled in yet"),
        ("y = ...; return y", "Not filled in yet"),
        ("return -10 * (x - x_hat)[..., :].square().mean().log10()", "Right"),
    ],
)
def test_whatever_the_answer_does_it_is_one_line(folder, capsys, body, said):
    line = line_of(capsys, "00.2", defined(f"def f(x, x_hat):\n    {body}"))
    assert said in line and len(line) < 400


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (0.5, "Give the check your function itself, without calling it; got 0.5."),
        (None, "got NoneType."),
        (torch.zeros(2, 3), "got a tensor of shape 2×3."),
        (lambda: 1, "cannot be used as the text asks (TypeError: "),
        (dict, "cannot be used as the text asks (TypeError: "),
    ],
)
def test_what_is_no_answer_is_told_so(folder, capsys, answer, said):
    assert said in line_of(capsys, "00.2", answer)


def test_an_unknown_exercise_is_told_so(folder, capsys):
    line = line_of(capsys, "99.1", solution("00.2"))
    assert "no check '99.1'" in line and "00.1, 00.2" in line


def test_a_check_leaves_random_numbers_and_modes_alone(folder):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    for name in CHECKS:
        exercises.check(name, solution(name))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.is_grad_enabled()


def test_two_runs_say_the_same(folder, capsys):
    for name in CHECKS:
        exercises.check(name, solution(name))
    capsys.readouterr()
    first = [line_of(capsys, name, solution(name)) for name in CHECKS]
    assert first == [line_of(capsys, name, solution(name)) for name in CHECKS]


def test_a_console_without_the_symbols_gets_question_marks(folder, monkeypatch):
    import io

    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", console)
    exercises.check("00.2", solution("00.2"))
    exercises.progress("00")
    console.flush()
    assert b"? 00.2 Right: " in console.buffer.getvalue()


# --------------------------------------------------------------------------- the record


def test_progress_is_kept_in_the_folder_and_reset(folder, capsys):
    exercises.progress("00")
    assert capsys.readouterr().out == "Chapter 00  □□  0 of 2 checks passed\n"
    assert list(folder.iterdir()) == []
    exercises.check("00.1", solution("00.1"))
    exercises.check("05.2", solution("05.2"))
    exercises.check("00.1", lambda x, x_hat, mean: 0.0)  # passed stays passed
    capsys.readouterr()
    exercises.progress("00")
    assert capsys.readouterr().out == "Chapter 00  ■□  1 of 2 checks passed\n"
    assert [path.name for path in folder.iterdir()] == [".exercises.json"]
    exercises.progress()
    lines = capsys.readouterr().out.splitlines()
    assert [line[8:10] for line in lines] == sorted({name[:2] for name in CHECKS})
    exercises.reset("00")
    assert exercises.record.passed() == {"05.2"}
    exercises.reset()
    assert exercises.record.passed() == set()


def test_by_default_the_record_lies_beside_the_notebook(tmp_path, monkeypatch):
    monkeypatch.delenv("AE_PROGRESS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    exercises.check("00.1", solution("00.1"))
    assert [path.name for path in tmp_path.iterdir()] == [".exercises.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"passed": 3}', '{"passed": [1]}', "\xff"]
)
def test_a_broken_record_is_begun_anew(folder, capsys, text):
    (folder / ".exercises.json").write_bytes(text.encode("latin-1"))
    exercises.progress("00")
    assert "0 of 2" in capsys.readouterr().out
    assert "1 of 2" in line_of(capsys, "00.1", solution("00.1"))
    assert exercises.record.passed() == {"00.1"}


def test_a_folder_that_cannot_be_written_fails_nothing(folder, capsys, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("AE_PROGRESS_DIR", str(folder / "file"))
    assert "1 of 2" in line_of(capsys, "00.1", solution("00.1"))
    exercises.progress("00")
    bar, note = capsys.readouterr().out.splitlines()
    assert bar == "Chapter 00  ■□  1 of 2 checks passed"
    assert note == "(Not kept: this folder cannot be written.)"
    exercises.reset()
    assert exercises.record.passed() == set()
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_record_that_cannot_be_changed_is_told_so(folder, capsys, monkeypatch):
    exercises.check("00.1", solution("00.1"))
    monkeypatch.setattr("os.replace", refuse)
    capsys.readouterr()
    exercises.reset()
    assert "delete it by hand" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == [".exercises.json"]


def refuse(*_):
    raise PermissionError("read-only")


def test_an_unknown_chapter_is_told_so(folder, capsys):
    exercises.progress("77")
    assert "No checks in chapter '77'; there are: 00, " in capsys.readouterr().out


def test_the_record_is_ignored_by_git(root):
    assert ".exercises.json" in (root / ".gitignore").read_text().splitlines()


# -------------------------------------------------------------------------- the tools


def test_an_unexplained_value_gets_both_numbers():
    with pytest.raises(judge.Wrong, match="off: expected 2, got 3"):
        judge.compare(3.0, 2.0, {"half": 1.0}, "off")
    with pytest.raises(judge.Wrong, match="^half$"):
        judge.compare(1.0, 2.0, {"half": 1.0}, "off")
    judge.compare(2.0001, 2.0, {"half": 1.0}, "off")


def test_a_mistake_that_gives_the_right_value_is_none():
    judge.compare(2.0, 2.0, {"not a mistake here": 2.0}, "off")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge.number("a", "it"), "it should be a number, got str"),
        (lambda: judge.number(True, "it"), "should be a number"),
        (lambda: judge.number(float("nan"), "it"), "it is NaN"),
        (lambda: judge.number(torch.ones(2), "it"), "should be one number"),
        (lambda: judge.tensor([1], (1,), "it"), "should be a tensor, got a list of 1"),
        (lambda: judge.tensor(torch.ones(2), (3,), "it"), r"\(2,\), expected \(3,\)"),
        (lambda: judge.tensor(torch.tensor([float("nan")]), (1,), "it"), "holds NaN"),
        (lambda: judge.sequence((1,), 2, "it"), "should be 2 things"),
        (lambda: judge.sequence(None, 2, "it"), "it is None"),
    ],
)
def test_what_is_not_of_its_kind_is_told(call, message):
    with pytest.raises(judge.Wrong, match=message):
        call()
