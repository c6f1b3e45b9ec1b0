"""What all tests share: the repository, its address, and the list of notebooks."""

import os
import shutil
import tomllib
from pathlib import Path

import build
import hypothesis
import matplotlib
import pytest

ROOT = Path(__file__).resolve().parent.parent

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
BROWSER_FLAGS = [
    "--no-sandbox",  # the sandbox refuses to start as root, as in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Tests draw into memory. Set here and not in the environment, which the kernels of
# the notebook tests would inherit.
matplotlib.use("Agg")
# Tests never use the network.
os.environ["AE_OFFLINE"] = "1"
# The same examples in every run, and no failure because a machine is busy.
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


def pytest_generate_tests(metafunc):
    """Run a test that asks for a `source` or a `chapter` once for each of them.

    Without any chapter such a test fails: it must not pass by having nothing to do.
    """
    for name in {"source", "chapter"} & set(metafunc.fixturenames):
        found = build.sources()
        if name == "chapter":
            found = [path for path in found if path.parent == build.CHAPTERS]
        labels = [build.label(path) for path in found]
        metafunc.parametrize(
            name, found or [None], ids=labels or ["none"], indirect=True
        )


@pytest.fixture
def source(request):
    """A percent file of a chapter or of its solutions."""
    assert request.param, "no chapters found: expected chapters/NN_name.py"
    return request.param


@pytest.fixture
def chapter(request):
    """A percent file of a chapter."""
    assert request.param, "no chapters found: expected chapters/NN_name.py"
    return request.param


@pytest.fixture(scope="session")
def root():
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def project():
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def address(project):
    """The address of the repository, from its one place."""
    return project["project"]["urls"]["Repository"]


@pytest.fixture(scope="module")
def browser():
    """A headless browser of this machine.

    Of a module and not of the session: while it is open the thread has a running event
    loop, and other tests start their own.
    """
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = f"no browser: install one of {', '.join(BROWSERS)}"
        if os.environ.get("AE_REQUIRE_BROWSER", "0") not in ("", "0"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        yield browser
        browser.close()
