"""Build the notebooks of the course from their percent files.

    python chapters/build.py              build what has changed
    python chapters/build.py 03 05        the same, for these chapters only
    python chapters/build.py --all        build anew, changed or not
    python chapters/build.py --check      build nothing, name what is stale

Each `NN_name.py` is the source of the `NN_name.ipynb` beside it, which is
executed in a fresh kernel and stored with its outputs. Only the .py is edited.
Where only the text between the code has changed, the outputs are kept.
The exercise cells of a chapter are written into its .py from its solutions;
they stand alone, and where nothing else has changed, only they are run.
"""

import argparse
import copy
import hashlib
import os
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)

import derive
from ae_lib.atomic import write_atomically

CHAPTERS = Path(__file__).resolve().parent
SIZE_LIMIT = 1_000_000  # bytes
CELL_TIMEOUT = 900  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
INSTEAD_OF_WIDGET = "Run this cell to get the controls."
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:work|home|root|tmp|Users|private|var/folders)/|[A-Za-z]:\\+Users"
)
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}
LANGUAGE = {
    "name": "python",
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "codemirror_mode": {"name": "ipython", "version": 3},
    "pygments_lexer": "ipython3",
}


def sources(folder=CHAPTERS):
    """List the percent files of chapters and solutions, in reading order."""
    return sorted(folder.glob("[0-9][0-9]_*.py")) + sorted(
        folder.glob("solutions/[0-9][0-9]_*.py")
    )


def label(source):
    """Name a percent file as people do: "03_name" or "solutions/03_name"."""
    return source.relative_to(CHAPTERS).with_suffix("").as_posix()


def source_hash(source):
    """Hash a percent file; line endings do not matter."""
    return hashlib.sha256(
        source.read_text(encoding="utf-8").encode()
    ).hexdigest()


def read_source(source):
    """Read a percent file as a notebook without outputs.

    A cell's id is a hash of its text, so an edit elsewhere leaves it alone.
    """
    parsed = jupytext.read(source, fmt="py:percent")
    seen = {}
    cells = []
    for cell in parsed.cells:
        text = cell.source
        seen[text] = seen.get(text, 0) + 1
        digest = hashlib.sha256(f"{seen[text]}\n{text}".encode()).hexdigest()
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        tags = (
            {"tags": cell.metadata["tags"]}
            if cell.metadata.get("tags")
            else {}
        )
        cells.append(make(text, id=digest[:12], metadata=tags))
    metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def why_stale(source):
    """Say why the notebook of a percent file must be built, or return None.

    Raises ValueError where an exercise lacks its solution or its place.
    """
    if derive.fresh_text(source) != source.read_text(encoding="utf-8"):
        return "an exercise is not what its solution makes of it"
    stored = source.with_suffix(".ipynb")
    if not stored.exists():
        return "not built yet"
    notebook = nbformat.read(stored, as_version=4)
    if notebook.metadata.get("ae_lib", {}).get("source_sha256") != source_hash(
        source
    ):
        return "the .py has changed since the build"
    code = [c for c in notebook.cells if c.cell_type == "code"]
    if any(cell.execution_count is None for cell in code):
        return "outputs are missing"
    return None


def output_text(output):
    """Join all that a person or a script can read in one output."""
    parts = [output.get("text", ""), output.get("evalue", "")]
    parts += output.get("traceback", [])
    parts += [
        value if isinstance(value, str) else repr(value)
        for mime, value in output.get("data", {}).items()
        if mime.startswith("text/") or mime == "image/svg+xml"
    ]
    return "\n".join(parts)


def problems(notebook):
    """Name each thing in the outputs that must not be published."""
    home, repository = str(Path.home()), str(CHAPTERS.parent)
    found = []
    if "widgets" in notebook.metadata:
        found.append(
            "metadata.widgets: GitHub refuses to show such a notebook"
        )
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            text = output_text(output)
            where = f"cell {number}"
            if output.output_type == "error":
                found.append(f"{where}: {output.ename}: {output.evalue}")
            elif output.get("name") == "stderr":
                found.append(f"{where}: text on stderr: {text.strip()}")
            if repository in text or f"{home}{os.sep}" in text:
                found.append(
                    f"{where}: a path of this machine: {text.strip()[:300]}"
                )
            elif match := MACHINE_PATH.search(text):
                near = text[max(0, match.start() - 40) : match.end() + 60]
                found.append(
                    f"{where}: a path of some machine: {near.strip()}"
                )
    size = len(nbformat.writes(notebook).encode())
    if size > SIZE_LIMIT:
        found.append(
            f"{size} bytes, more than {SIZE_LIMIT}: draw smaller pictures"
        )
    return found


def replace_widgets(notebook):
    """Put a line of text where a widget was: without a kernel it is blank."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                output.data = {"text/plain": INSTEAD_OF_WIDGET}


def kernel_environment():
    """Return the environment of a kernel that runs a notebook."""
    # MPLBACKEND: with Agg in the environment the notebooks would lose figures.
    kept = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    return kept | {"TQDM_DISABLE": "1"}


def execute(source, notebook):
    """Run all cells in a fresh kernel beside `source`; return the seconds.

    Raises ValueError when a cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(source.parent)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    start = time.perf_counter()
    # A reader's record of passed checks must not show in the notebook.
    with TemporaryDirectory() as empty:
        record = {"AE_PROGRESS_DIR": empty}
        try:
            client.execute(env=kernel_environment() | record)
        except (
            CellExecutionError,
            CellTimeoutError,
            DeadKernelError,
        ) as error:
            raise ValueError(f"{source.name}: {error}") from None
    return time.perf_counter() - start


def take_over_exercises(source):
    """Write the exercises of the solutions into the percent file."""
    fresh = derive.fresh_text(source)
    if fresh != source.read_text(encoding="utf-8"):
        with write_atomically(source) as part:
            part.write_text(fresh, encoding="utf-8", newline="\n")


def data_source():
    """Name the pictures that stand for CIFAR-10 on this machine."""
    from ae_lib import data

    return data.load("cifar10", split="test", limit=1).source


def split_code(notebook):
    """Return two lists of code cells: those of exercises, and the others."""
    code = [c for c in notebook.cells if c.cell_type == "code"]
    exercises = [
        cell
        for cell in code
        if "exercise" in cell.metadata.get("tags", [])
        or "exercises." in cell.source
    ]
    return exercises, [cell for cell in code if cell not in exercises]


def take_over_outputs(notebook, stored):
    """Copy the outputs of a stored notebook if it has the very same code.

    Returns whether it had; otherwise nothing is copied. Its exercises may
    differ; then their cells are left without outputs.
    """
    new, old = split_code(notebook), split_code(stored)
    if any(c.execution_count is None for part in old for c in part):
        return False
    if sources_of(new[1]) != sources_of(old[1]):
        return False
    for cells, before in zip(new, old, strict=True):
        if sources_of(cells) == sources_of(before):
            for cell, kept in zip(cells, before, strict=True):
                cell.outputs = kept.outputs
                cell.execution_count = kept.execution_count
    return True


def sources_of(cells):
    """List the texts of some cells."""
    return [cell.source for cell in cells]


def run_exercises(source, notebook):
    """Run the exercises that have no outputs yet; return the seconds.

    They need the set-up cell and nothing else. All cells are numbered as if
    the whole notebook had been run.
    """
    exercises, others = split_code(notebook)
    seconds = 0.0
    if any(cell.execution_count is None for cell in exercises):
        cells = [copy.deepcopy(others[0]), *exercises]
        seconds = execute(source, nbformat.v4.new_notebook(cells=cells))
    code = [c for c in notebook.cells if c.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        cell.execution_count = number
    return seconds


def run(source):
    """Execute a percent file; return its notebook and the seconds it took."""
    notebook = read_source(source)
    seconds = execute(source, notebook)
    replace_widgets(notebook)
    # Without the kernel's own, which names a version of Python.
    notebook.metadata["language_info"] = LANGUAGE
    return notebook, seconds


def build(source, data="", anew=True):
    """Store the notebook of a percent file; return the seconds it ran.

    With `anew=False` the code is not run (0 seconds) when it is what it was,
    and only the exercises are when nothing else has changed.
    Raises ValueError, and leaves the stored notebook alone, when a cell fails
    or an output must not be published.
    """
    take_over_exercises(source)
    path = source.with_suffix(".ipynb")
    seconds = 0.0
    notebook = read_source(source)
    stored = None if anew or not path.exists() else nbformat.read(path, 4)
    if stored and take_over_outputs(notebook, stored):
        seconds = run_exercises(source, notebook)
        record = dict(stored.metadata["ae_lib"])
    else:
        notebook, seconds = run(source)
        record = {"seconds": round(seconds, 1), "data": data}
    notebook.metadata["ae_lib"] = record | {
        "source_sha256": source_hash(source)
    }
    if found := problems(notebook):
        raise ValueError("\n".join([f"{source.name}: not stored", *found]))
    nbformat.validate(notebook)
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    with write_atomically(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return seconds


def select(names, folder=CHAPTERS):
    """Pick percent files by the beginning of their name; no names: all."""
    found = sources(folder)
    if not names:
        return found
    wanted = [Path(name).stem for name in names]
    for name in wanted:
        if not any(source.name.startswith(name) for source in found):
            have = ", ".join(source.stem for source in found) or "none"
            raise SystemExit(
                f"no chapter begins with {name!r}; there are: {have}"
            )
    return [
        s for s in found if any(s.name.startswith(name) for name in wanted)
    ]


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description="Build the notebooks of the course from their .py files."
    )
    parser.add_argument("names", nargs="*", help="chapters, for example 03")
    parser.add_argument(
        "--all", action="store_true", help="build anew, changed or not"
    )
    parser.add_argument(
        "--check", action="store_true", help="only say what is stale"
    )
    options = parser.parse_args(arguments)

    failures = []
    data = None
    print(f"{'notebook':<40}{'seconds':>9}{'size':>9}")
    for source in select(options.names):
        name = label(source)
        seconds, verdict = "", "unchanged"
        try:
            reason = why_stale(source)
            if options.check:
                verdict = reason or verdict
                failures += [name] if reason else []
            elif reason or options.all:
                data = data or data_source()
                spent = build(source, data, anew=options.all)
                seconds = f"{spent:.1f}" if spent else ""
                verdict = "built" if spent else "text renewed"
        except ValueError as error:
            print(error, file=sys.stderr)
            verdict = "FAILED"
            failures.append(name)
        stored = source.with_suffix(".ipynb")
        size = f"{stored.stat().st_size // 1000} kB" if stored.exists() else ""
        print(f"{name:<40}{seconds:>9}{size:>9}  {verdict}", flush=True)
    if failures:
        print(
            f"{len(failures)} to look at: {', '.join(failures)}",
            file=sys.stderr,
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
