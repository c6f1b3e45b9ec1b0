"""The first cell of the chapters on a machine that has everything but the course."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import build
import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

IMPORTS = (ast.Import, ast.ImportFrom)


def code_cells(source):
    cells = jupytext.read(source).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A Python with the packages of this environment, but without the course.

    Colab is one. All of site-packages but ae_lib is linked into an environment of its
    own, in which pip then installs.
    """
    if os.name == "nt":
        pytest.skip("Windows makes no links without a special right")
    folder = tmp_path_factory.mktemp("stranger") / "environment"
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(venv, check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        ours = "ae_lib" in entry.name or entry.name == "__pycache__"
        if not ours and not (packages / entry.name).exists():
            (packages / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def repository(root, tmp_path_factory):
    """A git repository of the files as they lie here: what the address would give."""
    folder = tmp_path_factory.mktemp("hosted") / "course"
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("ae_lib", "data/results"):
        shutil.copytree(root / name, folder / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder / name)
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    return folder


def test_the_first_cell_fetches_the_course_into_an_empty_folder(
    stranger, repository, address, tmp_path
):
    """The cell as it stands; git itself is told where the address leads."""
    cells = {code_cells(source)[0] for source in build.sources()}
    (cell,) = cells
    assert address in cell
    look = (
        "\nimport importlib.resources, ae_lib.results"
        "\nassert (importlib.resources.files('ae_lib') / 'py.typed').is_file()"
        "\nprint(ae_lib.__file__, len(ae_lib.results.names()))"
        "\nprint(data.load('digits', 'test', limit=5))"
    )
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment = inherited | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
        "PIP_NO_BUILD_ISOLATION": "0",  # so pip spells "no": hatchling is here already
        "PIP_NO_INDEX": "1",  # no network in tests
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "AE_OFFLINE": "1",
        "MPLBACKEND": "Agg",
    }
    empty = tmp_path / "empty"
    empty.mkdir()
    for _ in range(2):  # the second time it finds the course and installs nothing
        done = subprocess.run(
            [stranger, "-c", cell + look],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        place, images = done.stdout.splitlines()[-2:]
        assert Path(place.split()[0]).is_relative_to(stranger.parent.parent)
        assert int(place.split()[1]) > 0
        assert images.startswith("Images(5 of 1 x 28 x 28")
        environment["PIP_INDEX_URL"] = "http://127.0.0.1:9"
        environment["GIT_CONFIG_COUNT"] = "0"
    assert list(empty.iterdir()) == []


def test_what_the_chapters_import_is_there(source):
    """All import statements, also with the oldest versions: `make test-colab`."""
    names = {}
    for cell in code_cells(source):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, IMPORTS) and is_wanted(node):
                exec(compile(ast.Module([node], []), str(source), "exec"), names)
    assert "torch" in names


def is_wanted(node):
    """Leave out what Colab lacks and chapter 20 says how to install."""
    extra = {alias.name for alias in node.names} & {"onnx", "onnxruntime"}
    return all(importlib.util.find_spec(name) for name in extra)


def test_a_kernel_of_this_environment_runs_the_first_cell_and_a_widget(tmp_path):
    """With `make test-colab` that is the kernel of Colab."""
    cell = code_cells(build.sources()[0])[0]
    show = (
        "import IPython, ipywidgets\n"
        "from ae_lib.explore import explore\n"
        "from ae_lib.models import LinearAutoencoder\n"
        "images = data.load('digits', 'test', limit=40)\n"
        "widget = explore(LinearAutoencoder(3, images.shape), images, dims=3)\n"
        "assert isinstance(widget, ipywidgets.VBox), widget.value\n"
        "widget"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (cell, show)],
        metadata={"kernelspec": build.KERNEL},
    )
    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    (shown,) = notebook.cells[1].outputs
    assert build.WIDGET in shown["data"]
    assert list(tmp_path.iterdir()) == []
