"""Derive the exercise cells of a chapter from its solutions.

A checkable exercise is a pair of code cells: a task, tagged "exercise", with
the first line `# Exercise NN.K`, and the cell behind it, which calls
`exercises.check("NN.K", ...)`. Its source is the pair in the solutions. From
there it goes into the chapter, over the pair or over the one line that holds
its place; each solution, from `# --- solution` to `# --- end`, becomes a line
to fill in. ae_lib/exercises/__init__.py tells how to write one.
"""

import re
from itertools import pairwise

TAG = '# %% tags=["exercise"]'
TASK = re.compile(re.escape(TAG) + r"\n# Exercise (\d\d\.\d+)\n")
SOLUTION = re.compile(r"^( *)# --- solution\n.*?^ *# --- end\n", re.M | re.S)
TO_DO = "...  # your code here"


def cells(text):
    """Cut a percent file into its cells; joined, they are the text again."""
    return re.split(r"^(?=# %%)", text, flags=re.MULTILINE)


def pairs(text):
    """Return the exercises of a percent file: {"05.1": (task, check), ...}."""
    found = {}
    for cell, after in pairwise([*cells(text), ""]):
        if match := TASK.match(cell):
            if match[1] in found:
                raise ValueError(f"exercise {match[1]} is there twice")
            check = after if is_check(after, match[1]) else ""
            found[match[1]] = (cell, check)
    return found


def is_check(cell, name):
    """Say whether a cell is the check of an exercise."""
    return f'exercises.check("{name}", ' in cell


def blank(task):
    """Take the solution out of a task."""
    blanked, count = SOLUTION.subn(rf"\1{TO_DO}\n", task)
    if not count or "# ---" in blanked:
        raise ValueError(
            f"exercise {TASK.match(task)[1]}: a solution stands between the "
            "lines `# --- solution` and `# --- end`"
        )
    return blanked


def derive(chapter, solutions):
    """Return the text of a chapter with the exercises of its solutions.

    Raises ValueError where a place, a solution or a check is missing.
    """
    source, places = pairs(solutions), pairs(chapter)
    if lost := sorted(source.keys() ^ places.keys()):
        raise ValueError(
            f"exercise {', '.join(lost)}: it needs a solution, and a place in "
            f"the chapter, a cell {TAG} with the line `# Exercise NN.K`"
        )
    derived, last = [], None
    for cell in cells(chapter):
        if match := TASK.match(cell):
            last = match[1]
            task, check = source[last]
            if not check:
                raise ValueError(
                    f"exercise {last}: in the solutions, the next cell must "
                    f'call exercises.check("{last}", ...)'
                )
            derived += [blank(task), check.rstrip("\n") + "\n\n"]
        elif last is None or not is_check(cell, last):
            derived.append(cell)
            last = None
    return "".join(derived)


def fresh_text(chapter):
    """Return what the percent file of a chapter should be, by its solutions.

    Blank lines are left to the formatter: where nothing else differs, this is
    the text as it is.
    """
    text = chapter.read_text(encoding="utf-8")
    solutions = chapter.parent / "solutions" / chapter.name
    if not solutions.exists():
        return text
    try:
        derived = derive(text, solutions.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{chapter.name}: {error}") from None
    alike = lines_of(derived) == lines_of(text)
    return text if alike else derived


def lines_of(text):
    """List the lines of a text that are not blank."""
    return [line for line in text.splitlines() if line.strip()]
