"""Download CIFAR-10 and MNIST: `python -m ae_lib.fetch`.

The hosts of data sets are slow or away at times, so a download resumes where it
stopped, goes on to a mirror when a host fails or crawls, and counts only when its
checksum is right. Addresses in AE_MIRRORS, separated by spaces, are tried first:
folders, or the addresses of files. AE_OFFLINE=1 forbids the network.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from tqdm import tqdm

ABANDONED = 120  # seconds since the last byte, after which a partial file is taken over


@dataclass(frozen=True)
class RemoteFile:
    """Describe a file: its path under the data folder, checksum, bytes and host."""

    path: str
    md5: str
    size: int
    host: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
# The checksums are those that torchvision compares with.
DATA_SETS = {
    "cifar10": [
        RemoteFile(
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
            170_498_071,
            "https://www.cs.toronto.edu/~kriz",
        )
    ],
    "mnist": [
        RemoteFile(f"MNIST/raw/{name}-ubyte.gz", md5, size, _MNIST)
        for name, md5, size in [
            ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ]
    ],
}


class Patience(NamedTuple):
    """Hold the limits after which a host is given up, see `fetch`."""

    timeout: float
    minimum_speed: float
    window: float


class DownloadError(RuntimeError):
    """Say in one sentence why a file could not be had, and what to do."""


class _HostFailed(Exception):
    """Say why a host is given up."""


class _Cut(_HostFailed):
    """Say that a connection ended early, so that resuming is worth a try."""


def data_folder() -> Path:
    """Return the folder AE_DATA_DIR, else data/ of a clone, else ~/.cache/ae_lib."""
    if os.environ.get("AE_DATA_DIR"):
        return Path(os.environ["AE_DATA_DIR"]).expanduser()
    clone = Path(__file__).resolve().parent.parent
    if (clone / "pyproject.toml").is_file():
        return clone / "data"
    return Path.home() / ".cache" / "ae_lib"


def fetch(
    name: str = "cifar10",
    root: str | Path | None = None,
    mirrors: Iterable[str] = (),
    *,
    timeout: float = 30,
    minimum_speed: float = 50_000,
    window: float = 10,
) -> Path:
    """Download "cifar10" or "mnist" unless it is there, and return where it lies.

    That is the archive of CIFAR-10, or the folder of MNIST's four files, under root
    (`data_folder()` unless given). mirrors come first, then AE_MIRRORS, then the
    official host. A host is given up after timeout seconds of silence, or when
    window seconds bring less than minimum_speed bytes per second. Two processes may
    fetch at once. Raises DownloadError when no host delivers.
    """
    if name not in DATA_SETS:
        raise ValueError(f"name must be one of {', '.join(DATA_SETS)}, got {name!r}")
    root = data_folder() if root is None else Path(root)
    patience = Patience(timeout, minimum_speed, window)
    mirrors = [*mirrors, *os.environ.get("AE_MIRRORS", "").split()]
    for file in DATA_SETS[name]:
        try:
            _get(file, root / file.path, mirrors, patience)
        except OSError as error:
            raise DownloadError(
                f"{file.name} cannot be stored in {root} ({error.strerror or error}): "
                "free some space or set AE_DATA_DIR to a folder that can be written."
            ) from error
    path = root / DATA_SETS[name][0].path
    return path if len(DATA_SETS[name]) == 1 else path.parent


def _get(
    file: RemoteFile, target: Path, mirrors: list[str], patience: Patience
) -> None:
    """Download one file, from the first host that delivers it whole."""
    if target.is_file() and _md5(target) == file.md5:
        return
    if os.environ.get("AE_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(
            f"{file.name} is not downloaded because AE_OFFLINE is set: unset it, or "
            f"put the file into {target.parent} yourself."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _claim(target)
    failures = []
    try:
        for address in _addresses(file, mirrors):
            try:
                _deliver(file, address, part, patience)
                os.replace(part, target)
                return
            except _HostFailed as failure:
                failures.append(f"{urlsplit(address).hostname}: {failure}")
    finally:
        if part.is_file():  # also after Ctrl-C
            os.replace(part, _resting(target))
    raise DownloadError(
        f"{file.name} could not be downloaded ({'; '.join(failures)}): try again "
        "later, which resumes, or name another host in AE_MIRRORS."
    )


def _addresses(file: RemoteFile, mirrors: list[str]) -> list[str]:
    """Return the addresses to try: a mirror is a folder, or the file itself."""
    # One list serves both data sets: the addresses of other files do not count.
    others = {f.name for files in DATA_SETS.values() for f in files} - {file.name}
    addresses = []
    for place in [*mirrors, file.host]:
        if not re.match(r"https?://[\w.-]+(:\d+)?(/|$)", place):
            raise DownloadError(
                f"{file.name} is not downloaded because {place!r} is no mirror: name "
                "an address such as https://host/folder."
            )
        last = PurePosixPath(urlsplit(place).path).name
        if last == file.name:
            addresses.append(place)
        elif last not in others:
            addresses.append(f"{place.rstrip('/')}/{file.name}")
    return addresses


def _resting(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _claim(target: Path) -> Path:
    """Return a partial file that is this process's own, with what was left before.

    To rename is to claim: of two processes only one succeeds.
    """
    part = target.with_name(f"{target.name}.{uuid4().hex[:8]}.part")
    for left in [_resting(target), *target.parent.glob(f"{target.name}.*.part")]:
        try:
            idle = time.time() - left.stat().st_mtime
            if left == _resting(target) or idle > ABANDONED:
                left.rename(part)
                return part
        except OSError:
            continue  # not there, or just claimed by another
    return part


def _deliver(file: RemoteFile, address: str, part: Path, patience: Patience) -> None:
    """Complete the partial file from one address and compare the checksum."""
    resumed = _size(part) > 0
    while True:
        before = _size(part)
        try:
            _receive(file, address, part, patience)
        except _Cut:
            if _size(part) > before:
                continue
            raise
        if _md5(part) == file.md5:
            return
        part.unlink()
        if not resumed:
            raise _HostFailed("another content than expected (wrong checksum)")
        resumed = False  # the beginning may be to blame, which came from elsewhere


def _receive(file: RemoteFile, address: str, part: Path, patience: Patience) -> None:
    """Append what the host sends to the partial file, until it is complete."""
    headers = {"User-Agent": "ae_lib", "Accept-Encoding": "identity"}
    have = _size(part)
    if have >= file.size:
        return  # complete; if it is too long, the checksum will tell
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=patience.timeout) as response:
            span = response.headers.get("Content-Range") or ""
            if not span.startswith(f"bytes {have}-"):
                have = 0  # the host cannot resume
            if response.length not in (None, file.size - have):
                raise _HostFailed(
                    f"offers {have + response.length:,} bytes, not {file.size:,}"
                )
            _copy(file, response, part, have, patience)
    except urllib.error.HTTPError as error:
        with error:
            raise _HostFailed(f"{error.code} {error.reason}") from error
    except TimeoutError as error:
        raise _HostFailed(f"no answer within {patience.timeout:g} s") from error
    except urllib.error.URLError as error:
        raise _HostFailed(f"cannot be reached ({error.reason})") from error
    except (ConnectionError, http.client.HTTPException) as error:
        raise _Cut("the connection was cut") from error


def _copy(
    file: RemoteFile,
    response: http.client.HTTPResponse,
    part: Path,
    have: int,
    patience: Patience,
) -> None:
    since, received = time.monotonic(), 0
    with (
        open(part, "r+b" if have else "wb") as out,
        tqdm(
            total=file.size, initial=have, unit="B", unit_scale=True, desc=file.name
        ) as bar,
    ):
        out.seek(have)
        while have < file.size:
            # read1 and not read, which would wait for a full block from a slow host.
            try:
                block = response.read1(1 << 16)
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                block = b""
            if not block:
                raise _Cut("the connection was cut")
            out.write(block)
            bar.update(len(block))
            have += len(block)
            received += len(block)
            passed = time.monotonic() - since
            if passed >= patience.window:
                if received < patience.minimum_speed * passed:
                    raise _HostFailed(f"too slow, {received / passed / 1000:.1f} kB/s")
                since, received = time.monotonic(), 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Fetch the data sets that are named, all unless any is; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ae_lib.fetch", description="Download CIFAR-10 and MNIST."
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(DATA_SETS)}; or all")
    names = parser.parse_args(arguments).names or list(DATA_SETS)
    code = 0
    for name in names:
        try:
            print(f"{name}: {fetch(name)}")
        except (DownloadError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
