"""A folder of pictures before it is data: what each file is, and which are alike.

`ae_lib.data.load` reads a folder in one line. This module is for the look before that:
it says of every file what became of it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.data import Images, to_unit
from ae_lib.files import PICTURES, WHITE, look

NUMBER = re.compile(r"\d+(?:[.,]\d+)*%?")


@dataclass(frozen=True, eq=False)
class Folder:
    """Hold the pictures of a folder, and what became of each of its files.

    images are those that could be read, in the order of names, their files. notes
    tells for some names what had to be done to the picture, left_out for all other
    files why they are not among the images. print(folder) lists both.
    """

    images: Images
    names: tuple[str, ...]
    notes: dict[str, tuple[str, ...]]
    left_out: dict[str, str]

    def __str__(self) -> str:
        size, count = self.images.shape[1], len(self.names) + len(self.left_out)
        lines = [
            f"{count:,} files: {len(self.names):,} pictures read at {size}×{size}, "
            f"{len(self.left_out):,} files left out, "
            f"{self.images.pixels.nbytes / 1e6:,.0f} MB"
        ]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            lines.append(f"  left out: {reason}: {_few(names)}")
        kinds: dict[str, list[tuple[str, str]]] = {}  # alike but for their numbers
        for name, notes in self.notes.items():
            for note in notes:
                kinds.setdefault(NUMBER.sub("#", note), []).append((note, name))
        lines += [f"  {_together(told)}" for told in kinds.values()]
        return "\n".join(lines)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 2:,} more" if len(names) > 3 else ""
    return ", ".join(names[:2] if more else names) + more


def _together(told: list[tuple[str, str]]) -> str:
    """Write notes that differ in their numbers as one, with the extremes' names."""
    by_note = dict(reversed(told))  # of equal notes the first name
    if len(by_note) == 1:
        return f"{told[0][0]}: {_few([name for _, name in told])}"
    columns = zip(*(NUMBER.findall(note) for note in by_note), strict=True)
    place, column = next((k, c) for k, c in enumerate(columns) if len({*c}) > 1)
    size = dict(zip(by_note, column, strict=True))
    by_size = sorted(size, key=lambda note: float(re.sub(r"[,%]", "", size[note])))
    low, high = (f"{size[n]} ({by_note[n]})" for n in (by_size[0], by_size[-1]))
    parts = NUMBER.split(told[0][0])
    numbers = NUMBER.findall(told[0][0])
    numbers[place] = f"{low} to {high}"
    text = "".join(a + b for a, b in zip(parts, [*numbers, ""], strict=True))
    return f"{text}, {len(told):,} pictures"


def read(folder: str | Path, size: int = 64, *, white: int = WHITE) -> Folder:
    """Read all pictures in and below a folder, RGB, resized and cropped to size×size.

    No file stops the reading. A picture in a folder of its own has the label of that
    folder. Hidden files are passed over. `white` is the value that is white in grey
    pictures of 16 bits: 4095 if they come from a sensor with 12. Raises ValueError if
    there is no picture.
    """
    start = Path(folder).expanduser()
    if not start.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}")
    if size < 8:
        raise ValueError(f"size is a number of pixels, 8 or more, got {size}")
    if not 0 < white <= WHITE:
        raise ValueError(f"white is a value of 16 bits, 1 to {WHITE:,}, got {white}")
    files = [
        file
        for file in sorted(start.rglob("*"))
        if file.is_file()
        and not any(p[0] == "." for p in file.relative_to(start).parts)
    ]
    # All the memory at once: what does not fit should fail now, not half way.
    pixels = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    names: list[str] = []
    parents: list[str] = []
    notes: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for file in files:
        name = file.relative_to(start).as_posix()
        try:
            picture, done = _look(file, size, white)
        except ValueError as error:
            left_out[name] = str(error)
            continue
        pixels[len(names)] = torch.from_numpy(picture.copy()).permute(2, 0, 1)
        names.append(name)
        parents.append(file.parent.relative_to(start).as_posix())
        if done:
            notes[name] = done
    own = start.resolve().name or "pictures"
    if not names:
        why = [f"{n:,} × {r}" for r, n in Counter(left_out.values()).most_common(3)]
        raise ValueError(
            f"{own} holds {len(files)} files and no picture to be read"
            + (f" ({'; '.join(why)})" if why else "")
        )
    classes = sorted(set(parents))
    images = Images(
        pixels[: len(names)],
        torch.tensor([classes.index(parent) for parent in parents]),
        tuple(own if name == "." else name for name in classes),
        name=own,
        source=f"folder {own}",
        split="all",
    )
    return Folder(images, tuple(names), notes, left_out)


def _look(file: Path, size: int, white: int):
    if file.suffix.lower() not in PICTURES:
        raise ValueError(
            f"{file.suffix.lower() or 'no ending'} is no kind that is read"
        )
    return look(file, size, white)


def alike(
    images: Images | Tensor, tolerance: float | None = None, side: int = 16
) -> Tensor:
    """Return a group number for each image (N,); images that look alike share one.

    Compared are thumbnails of side×side, by root mean square difference on [0, 1]: at
    most tolerance is alike. Unless given, it is a sixth of how far the thumbnails are
    from their mean, at most 0.02 (5 of 255 steps), so that small things on one and the
    same ground are told apart. The number is the index of the group's first image. A
    copy that was stored anew, at another size or quality, is found; one that was
    cropped, turned or mirrored is not.

    >>> x = torch.rand(3, 3, 32, 32)
    >>> alike(torch.cat([x, x + 0.001]).clamp(0, 1))
    tensor([0, 1, 2, 0, 1, 2])
    """
    pixels: Any = getattr(images, "pixels", images)
    parts = pixels.split(500)
    small = torch.cat([F.adaptive_avg_pool2d(to_unit(x), side) for x in parts])
    small = small.flatten(1)  # (N, C·side·side)
    if tolerance is None:
        spread = (small - small.mean(0)).square().mean().sqrt().item()
        tolerance = min(0.02, max(0.002, spread / 6))
    reach = tolerance * small.shape[1] ** 0.5
    groups = torch.arange(len(small))
    for start in range(0, len(small), 500):
        rows = small[start : start + 500]
        near = torch.cdist(rows, small, compute_mode="donot_use_mm_for_euclid_dist")
        for i, j in (near <= reach).nonzero().tolist():
            a, b = groups[start + i], groups[j]
            if a != b:
                groups[groups == torch.maximum(a, b)] = torch.minimum(a, b)
    return groups


def hold_out(
    images: Images, groups: Tensor, n: int, *, seed: int = 0
) -> tuple[Images, Images]:
    """Return (train, validation) so that no group is in both.

    groups (N,) has a number for each image: copies of one picture (`alike`), or
    pictures of one scene. Whole groups, drawn by seed, are held out until there are n
    images, or a few more. Raises ValueError if none would be left to train on.
    """
    if groups.shape != (len(images),):
        raise ValueError(
            f"groups needs one number for each of {len(images)} images, got shape "
            f"{tuple(groups.shape)}"
        )
    if not 0 < n < len(images):
        raise ValueError(
            f"n is from 1 to {len(images) - 1}, a number of images, got {n}"
        )
    _, members, sizes = groups.unique(return_inverse=True, return_counts=True)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    enough = int((sizes[order].cumsum(0) < n).sum()) + 1  # groups
    held = torch.isin(members, order[:enough])
    if held.all():
        raise ValueError(
            f"no image is left to train on: {n} images take all {len(sizes)} groups, "
            f"of which the largest has {int(sizes.max())}"
        )
    return images[~held], replace(images[held], split="validation")
