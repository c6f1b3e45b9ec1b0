"""Write the chapters' table and learning goals into the page for lecturers.

    python chapters/book/overview.py            write teaching.md anew
    python chapters/book/overview.py --check    only say whether it is stale

All of it comes from the stored notebooks: page and chapters cannot part.
"""

import argparse
import re
import sys
from itertools import takewhile
from pathlib import Path

import nbformat

CHAPTERS = Path(__file__).resolve().parent.parent
PAGE = CHAPTERS / "teaching.md"
BEGIN, END = "<!-- chapters -->\n", "<!-- end of chapters -->\n"

# An estimate, not a measurement: reading aloud, running, discussing.
WORDS_PER_MINUTE = 130
MINUTES_PER_CELL = 0.5
MINUTES_PER_FIGURE = 1.0

LEGEND = f"""
*Class* is an estimate by rule: prose at {WORDS_PER_MINUTE} words a minute,
{60 * MINUTES_PER_CELL:.0f} seconds for a code cell,
{60 * MINUTES_PER_FIGURE:.0f} seconds for a figure to be guessed and read.
*Computes* is what the chapter states and the tests hold it to: budget `quick`,
two CPU cores.
"""


def is_figure(cell):
    """Say whether a cell shows a picture."""
    kinds = [
        kind for out in cell.get("outputs", []) for kind in out.get("data", {})
    ]
    return any(kind.startswith("image/") for kind in kinds)


def read(path):
    """Read what the table says of one chapter from its notebook."""
    notebook = nbformat.read(path, as_version=4)
    cells = notebook.cells
    text = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    lesson, _, closing = text.partition("\n## What we saw")
    taught = list(takewhile(lambda c: "## What we saw" not in c.source, cells))
    goals = lesson.partition("**You will be able to**")[2].partition(
        "**Cost:**"
    )[0]
    exercises = closing.partition("\n## Exercises")[2].partition("\n## ")[0]
    cost = re.search(r"\*\*Cost:\*\* .*?(\d+(?:\.\d+)?) (s|min)\b", lesson)
    minutes = len(lesson.split()) / WORDS_PER_MINUTE
    minutes += MINUTES_PER_CELL * sum(c.cell_type == "code" for c in taught)
    minutes += MINUTES_PER_FIGURE * sum(map(is_figure, taught))
    return {
        "file": path.name,
        "title": re.match(r"# (.+)", text)[1],
        "minutes": max(5, 5 * round(minutes / 5)),
        "seconds": round(float(cost[1]) * (60 if cost[2] == "min" else 1)),
        "exercises": len(re.findall(r"^\d+\. \*\*", exercises, re.MULTILINE)),
        "goals": [
            " ".join(g.split())
            for g in re.split(r"^- ", goals, flags=re.M)[1:]
        ],
    }


def render(folder=CHAPTERS):
    """Return the generated part of the page, as Markdown."""
    chapters = [
        read(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    ]
    lines = [
        "",
        "| chapter | class | computes | exercises |",
        "|---|---|---|---|",
    ]
    for c in chapters:
        lines.append(
            f"| [{c['title']}]({c['file']}) | {c['minutes']} min "
            f"| {c['seconds']} s | {c['exercises']} |"
        )
    total = [sum(c[key] for c in chapters) for key in ("minutes", "seconds")]
    exercises = sum(c["exercises"] for c in chapters)
    lines.append(
        f"| together | {total[0] / 60:.1f} h | {total[1] / 60:.0f} min "
        f"| {exercises} |"
    )
    lines += [
        LEGEND,
        "## Learning goals",
        "",
        "After a chapter, a student can",
        "",
    ]
    for c in chapters:
        goals = " ".join(c["goals"]).rstrip(".")
        lines.append(f"- **{c['title']}:** {goals}.")
    return "\n".join([*lines, "", ""])


def renewed(page, folder=CHAPTERS):
    """Return the text of the page with the generated part as it must be."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(
            f"{PAGE.name} must hold the lines {BEGIN!r} and {END!r}"
        )
    return before + begin + render(folder) + end + after


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description="Renew the page for lecturers."
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    text = renewed(page)
    if text == page:
        return 0
    if options.check:
        print(f"{PAGE.name} is stale: run `make notebooks`", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(f"{PAGE.name} renewed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
