"""A pytest plugin that says how long each notebook took and where it failed first.

nbval goes on after a failed cell, so one mistake can fail a whole notebook: only the
first failure tells something. Use it as `pytest -p tests.notebook_report`.
"""

from collections import defaultdict

seconds = defaultdict(float)
first_failure = {}


def pytest_runtest_logreport(report):
    notebook, _, cell = report.nodeid.partition("::")
    if notebook.endswith(".ipynb"):
        seconds[notebook] += report.duration
        if report.failed:
            first_failure.setdefault(notebook, cell)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("notebooks")
    for notebook, spent in seconds.items():
        cell = first_failure.get(notebook)
        verdict = f"FAILED first at {cell}: read that failure" if cell else "passed"
        terminalreporter.line(f"{spent:8.1f} s  {notebook}  {verdict}")
    terminalreporter.line(f"{sum(seconds.values()):8.1f} s  in all")
