"""Exercises that say what is wrong: fill in a cell, run the check below it.

    exercises.check("05.1", train_epoch)    one line: right, or what is not yet
    exercises.progress("05")                how many checks of chapter 05 have passed
    exercises.reset("05")                   forget that they have

To add a checkable exercise, number K of chapter NN:

1. Pose it in the chapter, "K. **Title.** Write `name`, ...", and put a code cell below
   with the tag "exercise" and nothing but the line `# Exercise NN.K`: its place.
2. Solve it in chapters/solutions/NN_name.py, below "## Exercise K", in a cell with the
   same tag and the same first line. The signature, the docstring with the shapes and
   the lines that are given stand outside of `# --- solution` and `# --- end`. The cell
   needs nothing but `torch`, `data` and its own imports; the answer is one function or
   class. The next cell imports `exercises` and calls `exercises.check("NN.K", name)`.
3. Write `check_K` in ae_lib/exercises/chapter_NN.py (see `judge` for its tools) under
   a `@hint` with the figure to expect. It tries the answer on several cases, well below
   a second in all, raises `Wrong` with one or two plain sentences that name the
   mistake, and returns the sentence for a right answer.
4. Enter it in tests/exercises/chapter_NN.py: a right answer that is written
   differently, and two or more planted wrong ones with the words that they must meet.
5. `python chapters/build.py NN` writes both cells into the chapter, the solution
   replaced by `...  # your code here`, and builds. Never edit them there.

A check never raises, and it leaves torch's random numbers as they were.
"""

from ae_lib.exercises.checks import every, verdict
from ae_lib.exercises.record import add, bar, count, progress, reset, say

__all__ = ["check", "every", "progress", "reset"]


def check(name: str, answer: object) -> None:
    """Print one line about an answer: right, or what is wrong with it, or a hint.

    `name` is the exercise, "05.1"; `answer` the reader's function or class. A check
    that passes is remembered in the notebook's folder.
    """
    known = every()
    if name not in known:
        say(f"There is no check {name!r}; there are: {', '.join(known)}.")
        return
    symbol, text = verdict(known[name], answer)
    if symbol == "✓":
        add(name)
        text += f" {bar(name[:2])} {count(name[:2])} in this chapter."
    say(f"{symbol} {name} {text}")
