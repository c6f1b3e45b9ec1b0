"""Every panel with the widgets of ipywidgets 7, as Google Colab shows them.

Their page is that of the classic notebook, which JupyterLab no longer has, so the test
runs in the environment that has both: `make test-colab`. Elsewhere it is skipped.
"""

import os
import secrets
import socket
import subprocess
import sys

import ipywidgets
import pytest

from tests.test_browser import PANELS, WATCH, wait_for, write_demo

pytest.importorskip("nbclassic")
if not ipywidgets.__version__.startswith("7."):
    pytest.skip("these are the widgets of JupyterLab", allow_module_level=True)

CONNECTED = "() => !!window.Jupyter?.notebook?.kernel?.widget_manager"
RUN_ALL = "() => Jupyter.notebook.execute_all_cells()"
TROUBLE = "div.output_error, div.output_stderr"
DONE = f"""() => document.querySelector("{TROUBLE}") || Jupyter.notebook.get_cells()
    .every(cell => Number.isInteger(cell.input_prompt_number))"""


@pytest.fixture
def classic(root, tmp_path):
    """A running classic notebook on an empty folder: (folder, address, token)."""
    token, log = secrets.token_hex(16), tmp_path / "classic.log"
    folder = tmp_path / "notebooks"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "nbclassic", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ip=127.0.0.1", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    own = {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path)}
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(
            command, cwd=root, env=os.environ | own, stdout=file, stderr=file
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api/status?token={token}", server, log)
            yield folder, address, token
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def test_every_panel_follows_the_keys_in_the_classic_notebook(browser, classic):
    folder, address, token = classic
    write_demo(folder, "panels.ipynb", PANELS, *(f"shown[{i}]" for i in range(4)))
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}/nbclassic/notebooks/panels.ipynb?token={token}")
    page.wait_for_function(CONNECTED, timeout=60_000)
    page.wait_for_timeout(6_000)  # it looks for older widgets, and removes new ones
    page.evaluate(RUN_ALL)
    page.wait_for_function(DONE, timeout=120_000)
    assert page.locator(TROUBLE).all_inner_texts() == []
    handles = page.locator(".widget-slider .ui-slider-handle")
    cells = page.locator("div.code_cell").filter(has=handles)
    cells.nth(3).wait_for(timeout=60_000)
    for cell in cells.all():
        names = cell.locator("img").evaluate_all("all => all.map(i => i.alt)")
        assert names and all(names), "a picture without words"
        handle = cell.locator(".widget-slider .ui-slider-handle").first
        handle.scroll_into_view_if_needed()
        for key in ("ArrowRight", "ArrowLeft"):
            cell.evaluate(WATCH)
            handle.focus()
            page.keyboard.press(key)
            page.wait_for_function("() => window.latency !== null", timeout=15_000)
    folder = os.environ.get("AE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/classic.png", full_page=True)
    assert page.locator(TROUBLE).all_inner_texts() == []
