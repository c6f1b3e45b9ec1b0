"""The repository as a whole: its files, its lists of dependencies, its README."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import build
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import ae_lib
from ae_lib import results

TOP_LEVEL = {
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "ae_lib",
    "chapters",
    "constraints-colab.txt",
    "constraints.txt",
    "data",
    "environment.yml",
    "images",
    "pyproject.toml",
    "tests",
}
NOT_OURS = {".git", ".venv", "__pycache__", ".ipynb_checkpoints", ".ruff_cache"}
NOT_OURS |= {".pytest_cache", ".hypothesis", "build", "dist", "runs"}
NOT_OURS |= {".venv-colab", ".mypy_cache"}
MODULE_LINES = 320


def project_files(root):
    """List the files of the project: what git tracks, or all when git cannot tell."""
    if (root / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(root), "-c", f"safe.directory={root}", "ls-files"]
        names = subprocess.run(command, capture_output=True, text=True).stdout.split()
        if names:
            return [root / name for name in names if (root / name).exists()]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        found += [Path(folder) / name for name in names]
    return found


def readme(root):
    path = root / "README.md"
    assert path.exists(), "README.md is missing"
    return path.read_text(encoding="utf-8")


def pins(root, name="constraints.txt"):
    lines = (root / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and line[0] != "#")
    return {canonicalize_name(name): version for name, version in pairs}


# ------------------------------------------------------------------------- the files


def test_top_level_is_tidy(root):
    found = {path.relative_to(root).parts[0] for path in project_files(root)}
    assert found - TOP_LEVEL == set(), "new at the top level: does it belong there?"


def test_modules_are_short(root):
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_bytes().splitlines())
        for path in (root / "ae_lib").rglob("*.py")
    }
    assert {n: size for n, size in lengths.items() if size > MODULE_LINES} == {}


def test_no_file_names_a_path_of_one_machine(root):
    """Notebooks are looked at by test_notebooks.py, their pictures being noise."""
    paths = [f"/{folder}/" for folder in ("work", "root", "opt")]
    texts = {".py", ".md", ".toml", ".txt", ".yml", ".cff", ".json", ".cfg", ""}
    for path in project_files(root):
        if path.suffix in texts:
            text = path.read_text(encoding="utf-8")
            for word in paths:
                assert not re.search(rf"(?<![\w.]){word}", text), f"{path}: {word}"


def test_import_is_fast():
    """PyTorch takes seconds to import: `import ae_lib` must not wait for it."""
    code = "import sys, ae_lib; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_front_door():
    from ae_lib.checkpoints import load_model

    assert ae_lib.load_model is load_model
    with pytest.raises(AttributeError, match="no attribute 'train_all'"):
        _ = ae_lib.train_all


# ------------------------------------------------------------------ the dependencies


def test_constraints_fit_the_requirements(root, project):
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {"course", "export", "test", "book"}
    declared = project["project"]["dependencies"] + sum(extras.values(), [])
    pinned = pins(root)
    for requirement in map(Requirement, declared):
        assert requirement.name in pinned, f"{requirement.name}: no pin"
        assert pinned[requirement.name] in requirement.specifier, str(requirement)
        operators = [bound.operator for bound in requirement.specifier]
        assert operators == [">="], f"{requirement}: a lower bound, and no other"


def test_constraints_leave_platforms_alone(root):
    names = pins(root)
    assert len(names) > 50
    assert [n for n in names if re.match("nvidia|cuda|triton|ae.lib", n)] == []


def test_conda_environment_has_no_list_of_its_own(root, project):
    text = (root / "environment.yml").read_text(encoding="utf-8")
    environment = yaml.safe_load(text)
    python, pip, section = environment["dependencies"]
    extras = ",".join(sorted({*project["project"]["optional-dependencies"]} - {"book"}))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert section == {"pip": ["-c constraints.txt", f"-e .[{extras}]"]}
    assert pip == "pip"
    version = python.removeprefix("python=")
    assert version in SpecifierSet(project["project"]["requires-python"])


def test_colab_is_not_shut_out(project):
    """Google Colab's versions, which no lower bound may exceed."""
    colab = {
        "torch": "2.11.0",
        "torchvision": "0.26.0",
        "numpy": "2.1.0",
        "matplotlib": "3.10.0",
        "ipywidgets": "7.7.1",
        "ipykernel": "6.17.1",
    }
    extras = project["project"]["optional-dependencies"]
    declared = project["project"]["dependencies"] + extras["course"]
    bounds = {r.name: r.specifier for r in map(Requirement, declared)}
    assert [n for n, version in colab.items() if version not in bounds[n]] == []


def test_the_second_environment_has_the_oldest_versions(root, project):
    """Of all that is declared; the notebook packages are exactly those of Colab."""
    extras = project["project"]["optional-dependencies"]
    declared = project["project"]["dependencies"] + extras["course"] + extras["test"]
    pinned = pins(root, "constraints-colab.txt")
    for requirement in map(Requirement, declared):
        (bound,) = requirement.specifier
        oldest = Version(pinned[canonicalize_name(requirement.name)])
        stated = Version(bound.version)
        assert oldest.release[: len(stated.release)] == stated.release, requirement
    assert pinned["ipywidgets"] == "7.7.1" and pinned["ipython"] == "7.34.0"
    assert pinned["ipykernel"].startswith("6.17.")
    assert [n for n in pinned if re.match("nvidia|cuda|triton|ae.lib", n)] == []


def test_file_names_fit_windows_and_macos(root):
    """No forbidden signs or names there, and none that differ in case alone."""
    names = [path.relative_to(root).as_posix() for path in project_files(root)]
    for name in names:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)', name), name
        assert not re.search(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", name, re.I)
        assert len(name) < 160, name
    assert len({name.lower() for name in names}) == len(names) > 100


def test_citation_agrees(root, address):
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    citation = yaml.safe_load(text)
    assert citation["repository-code"] == address
    assert citation["version"] == ae_lib.__version__


def test_jupytext_settings_keep_the_kernel(root):
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["tool"]["jupytext"] == {
        "notebook_metadata_filter": "kernelspec,-all",
        "cell_metadata_filter": "tags,-all",
    }


# ------------------------------------------------------------------------ the README


def test_readme_shows_a_picture_first(root):
    first_picture = re.search(r"!\[[^\]]+\]\((?!https?:)|<img ", readme(root))
    assert first_picture and first_picture.start() < readme(root).index("\n## ")


def test_readme_table_offers_each_chapter_in_colab(root, chapter, address):
    name = chapter.with_suffix(".ipynb").relative_to(root).as_posix()
    owner_and_name = address.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/main"
    rows = [row for row in readme(root).splitlines() if row.startswith("|")]
    (row,) = [row for row in rows if f"]({name})" in row]
    assert f"]({colab}/{name})" in row
    assert re.search(r"\d (s|min)\b", row), f"the row lacks what it costs: {row}"


def test_readme_names_no_other_repository_as_this_one(root, address):
    for clone in re.findall(r"git (?:clone|\+)\s*(\S+)", readme(root)):
        assert clone.removesuffix(".git") == address


def test_readme_tree_has_a_comment_for_each_module(root):
    """A line may speak of several: "tuning/*.py  Programs of one kind"."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme(root), re.MULTILINE | re.DOTALL)
    trees = [block for block in blocks if "ae_lib/" in block]
    assert trees, "the README lacks a tree of the files"
    named = re.findall(r"^ +([\w*/]+\.py)  *(?:# )?\S+ \S+", trees[0], re.MULTILINE)
    for path in sorted((root / "ae_lib").rglob("*.py")):
        if path.name != "__init__.py":
            either = (path.name, f"{path.parent.name}/{path.name}")
            assert any(fnmatch(e, name) for e in either for name in named), path


def test_readme_states_the_recorded_results_of_the_clinic(root):
    data = results.load("clinic_heldback")["data"]
    for name, text in (
        ("first", "{hits} of {n} broken programs | {percent:.0f} %"),
        ("first_three", "{hits} of {n} | {percent:.0f} %"),
        ("false_alarms", "{hits} of {n} healthy look-alikes | {percent:.0f} %"),
        ("repairs", "whose usual repair cures) | {hits} of {n} | {percent:.0f} %"),
        ("repairs_executed", "it cures | {hits} of {n} | {percent:.0f} %"),
    ):
        counts = data[name]
        stated = text.format(**counts, percent=100 * counts["share"])
        assert stated in readme(root), name
    assert f"| one thread | {data['median_seconds']:.1f} s |" in readme(root)


def test_readme_states_the_recorded_error_of_the_default_network(root):
    runs = results.load("default_cifar10_200")["data"]["runs"]
    (run,) = [run for run in runs if run["model"] == "ResidualAutoencoder"]
    row = "| 200 | {mse:.5f} | {psnr:.1f} dB | {seconds:.0f} s |".format(**run)
    assert row in readme(root)
    (rival,) = [run for run in runs if run["model"] == "ArticleAutoencoder"]
    assert 2 * run["mse"] < rival["mse"] and run["seconds"] < rival["seconds"]


# --------------------------------------------------------------------- the Makefile


def test_make_lab_starts_for_root_as_in_a_container(root):
    make, who = shutil.which("make"), getattr(os, "geteuid", None)
    if not make or not who:
        pytest.skip("no make, or no root")
    lines = subprocess.run(
        [make, "-n", "lab"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    (line,) = [line for line in lines if "jupyter lab" in line]
    assert ("--allow-root" in line) == (who() == 0)


def test_make_lists_its_targets(root):
    make = shutil.which("make")
    text = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)
    assert len(targets) <= 13
    assert set(re.findall(r"^\.PHONY: (.*)$", text, re.M)[0].split()) == set(targets)
    if make:  # Windows has none; the README says what to type there
        listed = subprocess.run([make], cwd=root, capture_output=True, text=True).stdout
        assert re.findall(r"make ([a-z-]+) ", listed) == targets


def test_an_old_python_is_told_so(root, tmp_path):
    """The check is in the Makefile, for a Python that cannot read pyproject.toml."""
    text = (root / "Makefile").read_text(encoding="utf-8")
    found = re.search(r'\$\(PYTHON\) -c "(import sys; .*)"$', text, re.MULTILINE)
    code = found[1].replace("$(PYTHON)", "python3")
    run = [sys.executable, "-c"]
    assert subprocess.run([*run, code]).returncode == 0
    old = code.replace("sys.version_info", "(3, 9, 6)")
    refused = subprocess.run([*run, old], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "3.11 or newer is needed, but python3 is 3.9" in refused.stderr


def test_sources_are_found(root):
    assert build.CHAPTERS == root / "chapters"
    assert Path(build.__file__).name == "build.py"
