"""Readers of CIFAR-10, MNIST, digits and folders of pictures.

A reader returns `Decoded`, or None where a data set may be absent. Pickled batches
are read without running any code in them.
"""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.files import (
    MOST_BYTES,
    Decoded,
    cached,
    class_names,
    decode,
    members,
    pictures_in,
)

# Alphabetical order is also the order of the original labels.
CIFAR10 = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
DIGITS = tuple("0123456789")
BATCHES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
IDX = {"train": "train", "test": "t10k"}
AGAIN = "delete it and get it again with python -m ae_lib.fetch"


def cifar10(root: Path, split: str) -> Decoded | None:
    """Read CIFAR-10 from under root, or return None if it is not there.

    Tried in this order: cifar-10-batches-py/, cifar-10-python.tar.gz, class folders
    train/<class>/ and test/<class>/ in root or root/cifar10, and cifar10*.tar* of such
    folders. Raises ValueError if what is there is damaged or incomplete.
    """
    names, cache_name = BATCHES[split], f"cifar10-{split}"
    folder = root / "cifar-10-batches-py"
    if folder.is_dir():
        found = {n: (folder / n).read_bytes() for n in names if (folder / n).is_file()}
        return _cifar_batches(folder, names, found)

    archive = root / "cifar-10-python.tar.gz"
    if archive.is_file():
        pattern = rf"(?:.*/)?({'|'.join(names)})"

        def from_batches() -> Decoded:
            found = {match[1]: data for match, data in members(archive, pattern)}
            return _cifar_batches(archive, names, found)

        return cached(cache_name, [archive], from_batches)

    for folder in (root / split, root / "cifar10" / split):
        if class_names(folder) == CIFAR10:
            files = [file for name in CIFAR10 for file in pictures_in(folder / name)]

            def from_files(files=files) -> Decoded:
                named = ((f.parent.name, f.name, f.read_bytes()) for f in files)
                return _cifar_copy(named)

            return cached(cache_name, files, from_files)

    for archive in sorted(root.glob("cifar10*.tar*")):
        pattern = rf"(?:.*/)?{split}/([^/]+)/([^/.][^/]*\.(?:jpe?g|png))"

        def from_archive(archive=archive, pattern=pattern) -> Decoded:
            found = members(archive, pattern)
            return _cifar_copy((match[1], match[2], data) for match, data in found)

        return cached(cache_name, [archive], from_archive)
    return None


def mnist(root: Path, split: str) -> Decoded | None:
    """Read MNIST from under root, or return None if it is not there.

    Tried in this order: idx files, plain or .gz, in root/MNIST/raw (where torchvision
    puts them), root/mnist and root; mnist*.tar* of such files. Raises ValueError if
    what is there is damaged or incomplete.
    """
    names = [f"{IDX[split]}-images-idx3-ubyte", f"{IDX[split]}-labels-idx1-ubyte"]
    packed = [f"{name}.gz" for name in names]
    for folder in (root / "MNIST" / "raw", root / "mnist", root):
        present = [folder / n for n in names + packed if (folder / n).is_file()]
        if present:
            return _mnist(folder, names, {f.name: f.read_bytes() for f in present})

    for archive in sorted(root.glob("mnist*.tar*")):
        pattern = rf"(?:.*/)?({'|'.join(names + packed)})"

        def from_archive(archive=archive, pattern=pattern) -> Decoded:
            found = {match[1]: data for match, data in members(archive, pattern)}
            return _mnist(archive, names, found)

        return cached(f"mnist-{split}", [archive], from_archive)
    return None


def digits(split: str) -> Decoded:
    """Return scikit-learn's 1,797 digits, upsampled from 8 x 8 to 28 x 28.

    A fixed fifth of them (359) is the test split. Pixels are (N, 1, 28, 28).
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    small = torch.from_numpy(data.images).float().unsqueeze(1) * (255 / 16)
    pixels = F.interpolate(small, size=28, mode="bilinear").round().to(torch.uint8)
    labels = torch.from_numpy(data.target).long()
    rows = _split_rows(len(pixels), split)
    return Decoded(pixels[rows], labels[rows], DIGITS, "digits (stand-in for MNIST)")


def folder(path: Path, split: str, size: int) -> Decoded:
    """Read a folder of pictures as RGB, each resized and centre-cropped to size.

    The pictures lie in path itself, or in a folder for each class, or so in path/train
    and path/test; where these two are missing, a fixed fifth is the test split.
    Pictures that are broken or too large are left out, and named in one printed line.
    Raises ValueError if no picture remains.
    """
    divided = {"train", "test"} <= set(class_names(path))
    start = path / split if divided else path
    files = pictures_in(start)
    in_classes = {name: pictures_in(start / name) for name in class_names(start)}
    classes = tuple(name for name, found in in_classes.items() if found)
    if files and classes:
        raise ValueError(
            f"{start} holds pictures beside folders of pictures "
            f"({', '.join(classes[:3])}): move the ones or the others elsewhere"
        )
    labels = [0] * len(files)
    if not files:
        files = [file for name in classes for file in in_classes[name]]
        labels = [classes.index(file.parent.name) for file in files]
    if not files:
        raise ValueError(f"{start} holds no pictures, such as .jpg or .png")

    def from_files() -> Decoded:
        return _own_pictures(files, labels, classes or (path.name,), path.name, size)

    made = cached(
        f"{path.name}-{split if divided else 'all'}-{size}", files, from_files
    )
    if divided:
        return made
    rows = _split_rows(len(made.pixels), split)
    if not len(rows):
        raise ValueError(f"{start} holds one picture: a test split needs at least 2")
    return made._replace(pixels=made.pixels[rows], labels=made.labels[rows])


def _own_pictures(
    files: list[Path], labels: list[int], classes: tuple, name: str, size: int
) -> Decoded:
    kept, left_out = [], []
    for file, label in zip(files, labels, strict=True):
        try:
            kept.append((decode(file, size), label))
        except ValueError as error:
            left_out.append(f"{file.name} ({error})")
    if left_out:
        print(
            f"folder {name}: left out {len(left_out)} of {len(files)} pictures: "
            f"{', '.join(left_out)}"
        )
    if not kept:
        raise ValueError(f"none of the {len(files)} pictures in {name} can be read")
    pictures, labels = zip(*kept, strict=True)
    return _mixed(pictures, labels, classes, f"folder {name}")


def _permutation(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))


def _split_rows(n: int, split: str) -> Tensor:
    """Return the rows of a split: a fixed fifth, at least one of two, is for test."""
    order, held_out = _permutation(n), max(n // 5, min(1, n - 1))
    return order[: n - held_out] if split == "train" else order[n - held_out :]


def _mixed(
    pictures: Iterable, labels: Iterable, classes: tuple, source: str
) -> Decoded:
    """Stack pictures (H, W, 3) in a fixed random order, as they come class by class."""
    pixels = torch.from_numpy(np.stack(list(pictures)))
    order = _permutation(len(pixels))
    pixels = pixels.permute(0, 3, 1, 2)[order].contiguous()  # (N, 3, H, W)
    return Decoded(pixels, torch.tensor(labels)[order], classes, source)


def _cifar_copy(named: Iterable[tuple[str, str, bytes]]) -> Decoded:
    """Decode a copy of CIFAR-10, given (class, file name, content)."""
    pictures = []
    for name, file, data in named:
        try:
            pictures.append((name, file, decode(io.BytesIO(data), 32)))
        except ValueError as error:
            raise ValueError(f"CIFAR-10: {name}/{file} is {error}; {AGAIN}") from error
    pictures.sort(key=lambda picture: picture[:2])
    found = tuple(sorted({name for name, _, _ in pictures}))
    if found != CIFAR10:
        raise ValueError(f"expected the classes of CIFAR-10, {CIFAR10}, got {found}")
    suffixes = {Path(file).suffix for _, file, _ in pictures}
    source = f"CIFAR-10 ({'PNG' if suffixes == {'.png'} else 'JPEG'} copy)"
    labels = [CIFAR10.index(name) for name, _, _ in pictures]
    return _mixed([array for _, _, array in pictures], labels, CIFAR10, source)


def _cifar_batches(place: Path, names: list[str], found: dict[str, bytes]) -> Decoded:
    """Join the pickled batches of the original, given by name."""
    pixels, targets = [], []
    for name in names:
        if name not in found:
            raise ValueError(f"{place} lacks {name}; {AGAIN}")
        try:
            batch = _Unpickler(io.BytesIO(found[name]), encoding="latin1").load()
            pixels.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32))
            targets.append(np.asarray(batch["labels"], np.int64).reshape(-1))
        except Exception as error:  # a damaged pickle raises anything
            raise ValueError(f"{place}: {name} is broken ({error}); {AGAIN}") from error
    joined = torch.from_numpy(np.concatenate(pixels))
    labels = torch.from_numpy(np.concatenate(targets))
    if len(joined) != len(labels):
        raise ValueError(
            f"{place}: {len(joined)} images, {len(labels)} labels; {AGAIN}"
        )
    return Decoded(joined, labels, CIFAR10, "CIFAR-10 (original)")


class _Unpickler(pickle.Unpickler):
    """Build arrays and plain values, and nothing else."""

    def find_class(self, module: str, name: str):
        if name == "_reconstruct" and module.endswith("core.multiarray"):
            core: Any = np._core  # type: ignore[attr-defined]  # private to NumPy
            return core.multiarray._reconstruct  # of numpy 1 and 2 alike
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes
            return lambda text, encoding: text.encode("latin1")
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch")


def _mnist(place: Path, names: list[str], found: dict[str, bytes]) -> Decoded:
    """Parse the idx files of images and labels, given by name, plain or .gz."""
    arrays = []
    for name in names:
        if name not in found and f"{name}.gz" not in found:
            raise ValueError(f"{place} lacks {name}; {AGAIN}")
        try:
            data = found[name] if name in found else _unpacked(found[f"{name}.gz"])
            # Two zeros, 8 for uint8, the rank; big-endian sizes; then the values.
            shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
            values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
            arrays.append(torch.from_numpy(values.reshape(shape).copy()))
        except Exception as error:
            raise ValueError(f"{place}: {name} is broken ({error}); {AGAIN}") from error
    pixels, labels = arrays
    if pixels.ndim != 3 or labels.shape != pixels.shape[:1]:
        raise ValueError(
            f"{place}: expected images (N, H, W) and labels (N,), got "
            f"{tuple(pixels.shape)} and {tuple(labels.shape)}; {AGAIN}"
        )
    return Decoded(pixels.unsqueeze(1), labels.long(), DIGITS, "MNIST")


def _unpacked(packed: bytes) -> bytes:
    """Unpack gzip, which can blow a few bytes up to any size, up to a limit."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"over {MOST_BYTES // 10**6} million bytes unpacked")
    return content
