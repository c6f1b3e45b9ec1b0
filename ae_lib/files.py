"""Pictures and archives on disk: safe reading, and a cache of what was decoded.

Archives are read in one pass and in memory, nothing is unpacked, so no name in an
archive can reach outside of it. The cache lies in the folder AE_CACHE_DIR, else in
~/.cache/ae_lib, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np
import safetensors
import safetensors.torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ae_lib.atomic import write_atomically

PICTURES = set(".jpg .jpeg .jfif .png .bmp .gif .tif .tiff .webp".split())
# What such a file may contain. Pillow looks at the content and not at the name, and for
# PostScript it would start Ghostscript, a program for programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
MOST_PIXELS = 50_000_000  # of a picture: more is a mistake, or meant to do harm
TURN = 0x0112  # the EXIF entry that says how the camera was held
KINDS = {"L": "grey", "LA": "grey", "1": "black and white", "P": "from a palette"}
KINDS |= {"CMYK": "from CMYK", "YCbCr": "from YCbCr", "LAB": "from LAB"}
DEEP = re.compile(r";16[BLN]")  # how Pillow names the layout of 16-bit values
WHITE = 65_535  # the largest of 16 bits
MOST_BYTES = 300_000_000  # of a file in an archive; a batch of CIFAR-10 has 31 million


class Decoded(NamedTuple):
    """Hold pixels (N, C, H, W) uint8, labels (N,) int64, class names, the source."""

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    source: str


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the folders in a folder; none if there is no such."""
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        return tuple(
            sorted(e.name for e in entries if e.is_dir() and e.name[0] not in "._")
        )


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures that lie in a folder itself, sorted by name."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name[0] != "." and e.is_file()]
    return [
        folder / name
        for name in sorted(names)
        if os.path.splitext(name)[1].lower() in PICTURES
    ]


def members(archive: Path, pattern: str) -> Iterator[tuple[re.Match, bytes]]:
    """Yield (match, content) of the files of a tar whose whole path fits a pattern.

    Raises ValueError if the archive is cut off or damaged, wherever that is, or a file
    in it exceeds 300 MB.
    """
    fits = re.compile(pattern)
    try:
        with tarfile.open(archive, tarinfo=_Member) as tar:
            for member in tar:
                match = fits.fullmatch(member.name)
                if match is None or not member.isfile():
                    continue
                if member.size > MOST_BYTES:
                    raise tarfile.ReadError(
                        f"{member.name} has {member.size:,} bytes, "
                        f"expected at most {MOST_BYTES:,}"
                    )
                content = tar.extractfile(member)  # None only for what is no file
                yield match, content.read() if content else b""
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass  # at the end gzip, bzip2 and xz compare their checksums
    except Exception as error:  # each kind of compression has errors of its own
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ValueError(
            f"{archive} cannot be read ({reason}): delete it and get it again"
        ) from error


class _Member(tarfile.TarInfo):
    """A header of a tar; a cut or damaged one is an error.

    tarfile takes it for the end of the archive, so that files would be missing.
    """

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in its stubs
            raise  # a block of zeros, the proper end
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"cut or damaged at byte {tar.offset:,}") from error


def decode(file: Path | BinaryIO, size: int) -> np.ndarray:
    """Return a picture as RGB (size, size, 3) uint8, resized and centre-cropped.

    What is transparent becomes white. Raises ValueError, with the reason in a few
    words, if the picture is broken or has more than 50 million pixels.
    """
    return look(file, size)[0]


def look(
    file: Path | BinaryIO, size: int, white: int = WHITE
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a picture as `decode` does, and in words what had to be done to it.

    `white` is the value that is white in a grey picture of 16 bits: 4095 for a sensor
    with 12 bits. Larger ones become white too.
    """
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # broken EXIF data: no matter
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise Image.DecompressionBombError
                return np.asarray(_square(image, size, white, notes)), tuple(notes)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"over {MOST_PIXELS // 10**6} million pixels") from error
    except UnidentifiedImageError as error:
        raise ValueError("no picture, whatever its name says") from error
    except UnknownRange as error:
        raise ValueError("floating-point values of unknown range") from error
    except Exception as error:  # Pillow's plug-ins raise whatever they stumble over
        if isinstance(error, OSError) and error.strerror:  # not Pillow: the system
            raise ValueError(f"not readable: {error.strerror}") from error
        raise ValueError("cut off or damaged") from error


class UnknownRange(Exception):
    """Floating-point pixels: nobody knows which value is white."""


def _square(image: Image.Image, size: int, white: int, notes: list[str]) -> Image.Image:
    deep = bool(DEEP.search(str(getattr(image, "tile", ""))))  # gone with getexif()
    turn = image.getexif().get(TURN, 1)
    if image.mode == "RGB" and image.size == (size, size) and turn == 1 and not deep:
        return image
    if image.mode == "F":
        raise UnknownRange
    if getattr(image, "is_animated", False):
        notes.append("the first of several frames")
    if turn in range(2, 9):
        notes.append(f"turned upright, EXIF {turn}")
    short, long = sorted(image.size)
    image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a fraction
    kind, image = image.mode, ImageOps.exif_transpose(image)
    if kind.startswith("I"):  # 16-bit grey, which convert() would cut off at 255
        levels = np.asarray(image).astype(np.int64)
        kept = "upper 8 kept" if white == WHITE else f"{white:,} is white"
        notes.append(f"16 bit, the brightest {levels.max():,}: {kept}")
        grey = (256 * levels // (white + 1)).clip(0, 255)
        image = Image.fromarray(grey.astype(np.uint8))
    elif deep:  # Pillow keeps the upper 8 bits of colours, and does not say so
        brightest = np.asarray(image.convert("RGB")).max()
        notes.append(f"16-bit colours, the brightest {brightest} of 255: upper 8 kept")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            notes.append("transparent, now white there")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    notes += [KINDS[kind]] if kind in KINDS else []
    if short < 0.95 * long:
        notes.append(f"{1 - short / long:.0%} cropped off")
    if short < size:
        notes.append(f"enlarged {size / short:.1f} times")
    return ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS)


def cached(name: str, files: list[Path], make: Callable[[], Decoded]) -> Decoded:
    """Return make(), or what it returned before for the same, unchanged files.

    Kept as safetensors under a key of the files' paths, sizes and times of change.
    Where the cache cannot be read or written it does without.
    """
    folder = Path(os.environ.get("AE_CACHE_DIR") or Path.home() / ".cache" / "ae_lib")
    plain = re.sub(r"[^\w-]", "_", name)
    path = folder / f"{plain}-{_key(name, files)}.safetensors"
    try:
        with safetensors.safe_open(path, "pt") as stored:
            notes = stored.metadata()
            # Cloned: on Windows a mapped file could not be replaced or deleted.
            pixels = stored.get_tensor("pixels").clone()
            labels = stored.get_tensor("labels").clone()
        classes = tuple(json.loads(notes["classes"]))
        return Decoded(pixels, labels, classes, notes["source"])
    except (OSError, safetensors.SafetensorError, LookupError, TypeError, ValueError):
        made = make()
    try:
        _store(made, path)
    except (OSError, safetensors.SafetensorError):
        pass  # a read-only or full cache: slower, not wrong
    return made


def _key(name: str, files: list[Path]) -> str:
    digest = hashlib.sha256(name.encode())
    for file in files:
        stat = os.stat(file)
        line = f"{os.path.abspath(file)} {stat.st_size} {stat.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


def _store(made: Decoded, path: Path) -> None:
    tensors = {"pixels": made.pixels, "labels": made.labels}
    notes = {"classes": json.dumps(made.classes), "source": made.source}
    with write_atomically(path) as part:
        safetensors.torch.save_file(tensors, part, notes)
