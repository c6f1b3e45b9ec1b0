"""Build the notebooks of the course from their percent files.

    python chapters/build.py              build what has changed
    python chapters/build.py 03 05        the same, for these chapters only
    python chapters/build.py --all        build anew, changed or not
    python chapters/build.py --check      build nothing, name what is stale

Each `NN_name.py` is the source of the `NN_name.ipynb` beside it, which is
executed in a fresh kernel and stored with its outputs. Only the .py is edited.
Where only the text between the code has changed, the outputs are kept.
The exercise cells of a chapter are written into its .py from its solutions.
"""

import argparse
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


def execute(notebook, folder):
    """Run all cells in a fresh kernel in `folder`; return the seconds."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    start = time.perf_counter()
    with TemporaryDirectory() as empty:
        # A reader's record of passed checks must not show in the notebook.
        client.execute(env=kernel_environment() | {"AE_PROGRESS_DIR": empty})
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


def take_over_outputs(notebook, stored):
    """Copy the outputs of a stored notebook if it has the very same code.

    Returns whether it had; otherwise nothing is copied.
    """
    code = [c for c in notebook.cells if c.cell_type == "code"]
    old = [c for c in stored.cells if c.cell_type == "code"]
    if [c.source for c in code] != [c.source for c in old]:
        return False
    if any(cell.execution_count is None for cell in old):
        return False
    for cell, before in zip(code, old, strict=True):
        cell.outputs = before.outputs
        cell.execution_count = before.execution_count
    return True


def run(source):
    """Execute a percent file; return its notebook and the seconds it took."""
    notebook = read_source(source)
    try:
        seconds = execute(notebook, source.parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ValueError(f"{source.name}: {error}") from None
    replace_widgets(notebook)
    # Without the kernel's own, which names a version of Python.
    notebook.metadata["language_info"] = LANGUAGE
    return notebook, seconds


def build(source, data="", anew=True):
    """Store the notebook of a percent file; return the seconds it ran.

    With `anew=False` the code is not run (0 seconds) when it is what it was.
    Raises ValueError, and leaves the stored notebook alone, when a cell fails
    or an output must not be published.
    """
    take_over_exercises(source)
    path = source.with_suffix(".ipynb")
    seconds = 0.0
    notebook = read_source(source)
    stored = None if anew or not path.exists() else nbformat.read(path, 4)
    if stored and take_over_outputs(notebook, stored):
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
