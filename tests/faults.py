"""Faults that tests inject: ways to start Python with less than it expects."""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LIMIT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, taken from what a later program may have.
DROP = """
import ctypes, os, sys
for power in (1, 2):
    ctypes.CDLL(None).prctl(24, power, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def full_disk(room):
    """Return how to start a Python for which each file is full at `room` bytes."""
    return [sys.executable, "-c", LIMIT, str(room)]


def powerless():
    """Return how to start a Python that obeys permissions, root or not."""
    if os.geteuid() != 0:
        return [sys.executable]
    if not hasattr(ctypes.CDLL(None), "prctl"):
        pytest.skip("root cannot give its power away on this system")
    python = [sys.executable, "-c", DROP]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        code = "import sys; open(sys.argv[1] + '/x', 'w', encoding='utf-8')"
        tried = subprocess.run([*python, "-c", code, folder], capture_output=True)
        Path(folder).chmod(0o755)
    if tried.returncode == 0:
        pytest.skip("root may not give its power away in this container")
    return python
