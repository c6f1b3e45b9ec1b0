"""Files that are there completely or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED = 3600  # seconds since the last byte, after which a temporary file may go


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block succeeds.

    Whoever reads `path` finds the old file or the new one, never half a file. When the
    block raises, the old file stays and the temporary one is removed. What a process
    left that was killed while it wrote is removed by a later write, after an hour.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):  # another process may have been faster
            if time.time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def try_to_write(folder: str | os.PathLike) -> None:
    """Make a folder and a file in it, which goes again; OSError tells why it cannot."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=Path(folder)) as file:
            file.write(bytes(4096))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"the folder {folder} cannot be written ({reason}): choose another one"
        ) from error
