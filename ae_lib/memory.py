"""Memory of the process: freed blocks that stay with it, and its largest size.

glibc gives every block of more than a few hundred kilobytes back to the system at
once. A training step frees all its activations, so that the next one gets the same
memory as new pages, which the system clears again, one fault for each 4 kB: in float32
the network of the tutorials costs 20,000 faults per step of 64 images.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import re
import sys
from pathlib import Path

LARGEST = 2**27  # blocks above this, data sets for example, still go back at once
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the parameters' numbers in malloc.h


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed, up to LARGEST bytes a block, from now on.

    The process then stays as large as it was at its largest, and no larger. Returns
    whether it was done: other C libraries (musl, macOS, Windows) are left alone, and
    so is an allocator that was loaded in glibc's place.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # Older versions of glibc refuse more than 32 MB.
    kept = mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, 2**25)
    return bool(kept and mallopt(TRIM_THRESHOLD, 2**31 - 1))


def peak_bytes() -> int | None:
    """Return the largest size that this process has had, None on Windows.

    On Linux the counter of getrusage survives the start of another program: it would
    tell the size of the parent. That of /proc starts anew.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        return int(found[1]) * 1024 if found else None
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes elsewhere
