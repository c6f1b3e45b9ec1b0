"""Chapters in JupyterLab, driven by a real browser, without the network.

nbval runs every notebook already, so by default only the first chapter is driven, and
of those with a slider the quick ones: a slider's callback can fail without any test of
a kernel seeing it. One test drives every kind of panel. AE_BROWSER_ALL=1 drives every
chapter (`make test-browser`). The verdicts of the claims must be those that are stored.
Without a browser the tests are skipped, unless AE_REQUIRE_BROWSER=1. AE_SCREENSHOTS
names a folder for a picture of each notebook.
"""

import configparser
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import build
import nbformat
import pytest

START_SECONDS = 120
RUN_SECONDS = 900

# The notebook as the application has it, so that a cell out of view counts too.
READY = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    if (!panel?.context?.isReady || !panel.sessionContext.isReady) return false;
    const kernel = panel.sessionContext.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
RUN_ALL = """() => {
    window.finished = false;
    window.jupyterapp.commands.execute('notebook:run-all-cells')
        .finally(() => { window.finished = true; });
}"""
IDLE = """() => window.finished && window.jupyterapp.shell.currentWidget
    .sessionContext.session.kernel.status === 'idle'"""
OUTPUTS = """() => Array.from(window.jupyterapp.shell.currentWidget.content.model.cells)
    .filter(cell => cell.type === 'code')
    .map(cell => ({ran: cell.executionCount !== null, outputs: cell.outputs.toJSON()}))
"""
# What a page shows of errors, including those inside an Output widget.
TROUBLE = (
    ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error'],"
    ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
)
# Measures how long a picture of a cell takes to change after the next key.
WATCH = """cell => {
    window.latency = null;
    let start = null;
    const shown = () => Array.from(cell.querySelectorAll('img'), i => i.src).join();
    const before = shown();
    const options = {capture: true, once: true};
    cell.addEventListener('keydown', () => { start = performance.now(); }, options);
    const observer = new MutationObserver(() => {
        if (start === null || shown() === before) return;
        window.latency = performance.now() - start;
        observer.disconnect();
    });
    const what = {subtree: true, childList: true, attributeFilter: ['src']};
    observer.observe(cell, what);
}"""
PICTURES = """cell => Array.from(cell.querySelectorAll('.jp-OutputArea img'))
    .map(image => image.src)"""


def driven():
    """List the chapters to drive."""
    found = [source for source in build.sources() if source.parent.name == "chapters"]
    if os.environ.get("AE_BROWSER_ALL", "0") not in ("", "0"):
        return found
    return found[:1] + [s for s in found[1:] if has_slider(s) and is_quick(s)]


def has_slider(source):
    text = source.read_text(encoding="utf-8")
    return bool(re.search(r"ipywidgets|ae_lib\.explore|import .*\bexplore\b", text))


def is_quick(source, seconds=60):
    stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    return stored.metadata.ae_lib.seconds <= seconds


def verdicts(outputs):
    """Join what a cell has printed, without what depends on machine and data."""
    rules = configparser.ConfigParser(interpolation=None)
    rules.read(Path(__file__).with_name("nbval_sanitize.cfg"), encoding="utf-8")
    text = "".join(
        "".join(output["text"]) for output in outputs if output.get("name") == "stdout"
    )
    for name in rules.sections():
        text = re.sub(rules[name]["regex"], rules[name]["replace"], text)
    return text


@pytest.fixture(scope="module")
def lab(root, tmp_path_factory):
    """A running JupyterLab on a copy of the chapters: (folder, address, token).

    A copy, because JupyterLab saves what it runs; settings of its own, because those
    of the person who runs the tests may differ.
    """
    base = tmp_path_factory.mktemp("lab")
    folder = base / "chapters"
    shutil.copytree(
        root / "chapters", folder, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    settings = base / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Cells out of view stay in the page, where the tests can find their sliders.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    flags = re.search(r"^LAB_FLAGS := (.*)$", (root / "Makefile").read_text(), re.M)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--expose-app-in-browser", "--ServerApp.port_retries=0"]
    command += [f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    command += [*flags[1].split(), str(folder)]
    environment = build.kernel_environment() | {
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTER_DATA_DIR": str(base / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(base / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(base / "workspaces"),
    }
    address = f"http://127.0.0.1:{port}"
    log = base / "lab.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"{address}/api/status?token={token}", server, log)
            yield folder, address, token
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                # Jupyter Server hangs when it is stopped while a kernel starts.
                server.kill()
                server.wait()


def wait_for(url, server, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class Notebook:
    """One notebook, open in JupyterLab."""

    def __init__(self, browser, lab, name):
        _, self.address, token = lab
        self.name = name
        self.page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.outside = []
        self.page.on("request", self.note_request)
        self.page.goto(f"{self.address}/lab/tree/{name}?reset&token={token}")
        self.wait(READY, START_SECONDS)

    def note_request(self, request):
        """Note what needs the network; badges may, a reader offline loses little."""
        host = urlsplit(request.url).hostname
        if host not in ("127.0.0.1", None) and request.resource_type != "image":
            self.outside.append(request.url)

    def wait(self, condition, seconds):
        self.page.wait_for_function(condition, timeout=1000 * seconds, polling=200)

    def run(self):
        """Run all cells from the top; wait until the kernel rests."""
        self.page.evaluate(RUN_ALL)
        self.wait(IDLE, RUN_SECONDS)

    def trouble(self):
        """Collect what went wrong, in the model and on the page."""
        found = []
        for number, cell in enumerate(self.page.evaluate(OUTPUTS)):
            if not cell["ran"]:
                found.append(f"code cell {number} did not run")
            for output in cell["outputs"]:
                if output["output_type"] == "error":
                    found.append(f"code cell {number}: {output['evalue']}")
                elif output.get("name") == "stderr":
                    found.append(f"code cell {number}: {output['text']}")
        found += self.page.locator(TROUBLE).all_inner_texts()
        return found

    def other_verdicts(self, source):
        """Collect the checked cells that say something else than the stored ones."""
        stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
        cells = [cell for cell in stored.cells if cell.cell_type == "code"]
        pairs = zip(cells, self.page.evaluate(OUTPUTS), strict=True)
        found = []
        for cell, now in pairs:
            before, after = verdicts(cell.outputs), verdicts(now["outputs"])
            if "NBVAL_CHECK_OUTPUT" in cell.source and before != after:
                found.append((before, after))
        return found

    def interruptions(self):
        """Collect what asks the reader for attention: dialogs and pop-ups."""
        return self.page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()

    def cells_with_sliders(self):
        slider = self.page.locator(".widget-slider .noUi-handle")
        return self.page.locator(".jp-CodeCell").filter(has=slider).all()

    def move_slider(self, cell):
        """Move a slider by one; return whether a picture of its cell has changed."""
        handle = cell.locator(".widget-slider .noUi-handle").first
        handle.scroll_into_view_if_needed()
        before = cell.evaluate(PICTURES)
        for key in ("ArrowRight", "ArrowLeft"):  # the other one from the last value
            handle.focus()
            self.page.keyboard.press(key)
            end = time.monotonic() + 15
            while time.monotonic() < end:
                self.page.wait_for_timeout(100)
                after = cell.evaluate(PICTURES)
                # While an output is redrawn there is, for a moment, no picture.
                if len(after) == len(before) and after != before:
                    return True
                if self.page.locator(TROUBLE).count():
                    return False
        return False

    def latency(self, cell, number, key):
        """Press a key on one of a cell's sliders; return the ms until it shows."""
        handle = cell.locator(".widget-slider .noUi-handle").nth(number)
        handle.scroll_into_view_if_needed()
        cell.evaluate(WATCH)
        handle.focus()
        self.page.keyboard.press(key)
        self.wait("() => window.latency !== null", 15)
        return self.page.evaluate("() => window.latency")

    def close(self):
        folder = os.environ.get("AE_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            name = self.name.replace("/", "_").removesuffix(".ipynb")
            self.page.screenshot(path=Path(folder) / f"{name}.png")
        self.page.evaluate("""() => window.jupyterapp.shell.currentWidget
            .sessionContext.shutdown()""")
        self.page.close()


@pytest.fixture
def open_notebook(browser, lab):
    opened = []

    def open_one(name):
        opened.append(Notebook(browser, lab, name))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()


def write_demo(folder, name, *cells):
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    metadata = {"kernelspec": build.KERNEL}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    (folder / name).write_text(json.dumps(notebook), encoding="utf-8")


def test_there_are_chapters_to_drive():
    assert driven(), "no chapters found: expected chapters/NN_name.py"


@pytest.mark.parametrize("path", driven(), ids=build.label)
def test_chapter_in_the_browser(open_notebook, path):
    notebook = open_notebook(f"{build.label(path)}.ipynb")
    notebook.run()
    assert notebook.trouble() == []
    assert notebook.other_verdicts(path) == []
    if has_slider(path):
        cells = notebook.cells_with_sliders()
        assert cells, "the source has a widget, the page has no slider"
        for cell in cells:
            assert notebook.move_slider(cell), "the picture stayed when a slider moved"
        assert notebook.trouble() == []
    assert notebook.interruptions() == []
    assert notebook.outside == []


SLIDER = """import matplotlib.pyplot as plt
from ipywidgets import interact


@interact(height=(1, 3))
def draw(height=2):
    {line}
    plt.figure(figsize=(2, 1))
    plt.plot([0, height])
    plt.ylim(0, 3)
    plt.show()"""


def test_the_driver_sees_a_slider_work(open_notebook, lab):
    write_demo(lab[0], "demo.ipynb", SLIDER.format(line="print(height)"), "1 + 1")
    notebook = open_notebook("demo.ipynb")
    notebook.run()
    (cell,) = notebook.cells_with_sliders()
    assert notebook.move_slider(cell)
    assert notebook.trouble() == []
    assert notebook.interruptions() == []
    assert notebook.outside == []
    # What the check for pop-ups would find:
    notebook.page.evaluate("""() => {
        window.jupyterapp.commands.execute(
            'apputils:notify', {message: 'News!', options: {autoClose: false}});
    }""")
    notebook.page.locator(".Toastify__toast").wait_for()
    assert "News!" in notebook.interruptions()[0]


PANELS = """from ae_lib.explore.__main__ import panels

shown = [panel for panel, controls in panels()]
"""


def test_every_panel_follows_the_keys(open_notebook, lab):
    """In the browser as well, with room for a machine that does other work."""
    write_demo(lab[0], "panels.ipynb", PANELS, *(f"shown[{i}]" for i in range(4)))
    notebook = open_notebook("panels.ipynb")
    notebook.run()
    cells = notebook.cells_with_sliders()
    assert len(cells) == 4
    for cell in cells:
        names = cell.locator("img").evaluate_all("all => all.map(i => i.alt)")
        assert names and all(names), "a picture without words"
        keys = 3 * ["ArrowRight", "ArrowLeft"]
        spent = sorted(notebook.latency(cell, 0, key) for key in keys)
        print(f"{names[0][:30]}: {spent[3]:.0f} ms, at most {spent[-1]:.0f} ms")
        assert spent[3] < 500
    assert notebook.trouble() == []
    assert notebook.outside == []


def test_a_panel_says_in_the_page_what_cannot_be_drawn(open_notebook, lab):
    line = "WindowPanel(Window(2, 2, 1))"
    imports = (
        "from ae_lib.explore import WindowPanel\nfrom ae_lib.windows import Window"
    )
    write_demo(lab[0], "message.ipynb", f"{imports}\n{line}")
    notebook = open_notebook("message.ipynb")
    notebook.run()
    (cell,) = notebook.cells_with_sliders()
    kernel = cell.locator(".widget-slider .noUi-handle").nth(1)
    kernel.press("ArrowRight")  # now it is larger than the input
    alert = cell.locator("[role=alert]")
    assert "no pixel comes out" in alert.inner_text(timeout=15_000)
    assert cell.locator("img[style*=opacity]").count() == 2
    kernel.press("ArrowLeft")
    alert.wait_for(state="detached", timeout=15_000)
    assert notebook.trouble() == []


def test_the_driver_sees_a_slider_fail(open_notebook, lab):
    line = "assert height == 2, 'only two'"
    write_demo(lab[0], "broken.ipynb", SLIDER.format(line=line))
    notebook = open_notebook("broken.ipynb")
    notebook.run()
    assert notebook.trouble() == []
    (cell,) = notebook.cells_with_sliders()
    assert not notebook.move_slider(cell)
    assert "only two" in "\n".join(notebook.trouble())


def test_the_driver_sees_another_verdict(open_notebook, lab, tmp_path):
    check = "# NBVAL_CHECK_OUTPUT\nprint('{}\\n  measured 0.3 < 0.5')"
    write_demo(lab[0], "verdict.ipynb", check.format("✓ small"))
    notebook = open_notebook("verdict.ipynb")
    notebook.run()
    stored = nbformat.read(lab[0] / "verdict.ipynb", as_version=4)
    said = "✓ {}\n  measured 0.1 < 0.5\n"  # another value, which may differ
    for word in ("small", "large"):
        output = nbformat.v4.new_output("stream", text=said.format(word))
        stored.cells[0].outputs = [output]
        nbformat.write(stored, tmp_path / f"{word}.ipynb")
    assert notebook.other_verdicts(tmp_path / "small.py") == []
    assert len(notebook.other_verdicts(tmp_path / "large.py")) == 1


def test_the_driver_sees_errors_and_warnings(open_notebook, lab):
    warn = "import sys\nprint('careful', file=sys.stderr)"
    write_demo(lab[0], "errors.ipynb", warn, "1 / 0", "print('never reached')")
    notebook = open_notebook("errors.ipynb")
    notebook.run()
    trouble = "\n".join(notebook.trouble())
    assert "careful" in trouble
    assert "division by zero" in trouble
    assert "code cell 2 did not run" in trouble
