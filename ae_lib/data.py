"""Images of the course: load them, divide them, feed them to a network.

Images stay uint8 until a batch is needed; `to_unit` makes float32 in [0, 1] of them.
Nothing here touches the network: `python -m ae_lib.fetch` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ae_lib import shapes, sources
from ae_lib.fetch import data_folder
from ae_lib.files import Decoded

# What a data set is called in prose, and what takes its place where it is missing.
STAND_INS = {"cifar10": ("CIFAR-10", "shapes"), "mnist": ("MNIST", "digits")}
_announced: set[str] = set()


@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """Hold images with their labels and their origin.

    pixels (N, C, H, W) uint8; labels (N,) int64, indices into classes; name and source
    tell the data set, source in words for captions. Only the stand-in "shapes" knows
    its factors, name to (N,), and masks (N, H, W) bool, True on the object. An index,
    slice, list or tensor of indices selects images and returns Images.
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    source: str
    split: str
    factors: dict[str, Tensor] = field(default_factory=dict)
    masks: Tensor | None = None

    def __post_init__(self):
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise ValueError(
                "pixels must be uint8 of shape (N, C, H, W), got "
                f"{self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            )
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"{len(self.pixels)} images need labels of shape "
                f"({len(self.pixels)},), got {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows) -> Images:
        if isinstance(rows, int | np.integer):
            rows = [range(len(self))[rows]]  # counts from the end, and checks
        return replace(
            self,
            pixels=self.pixels[rows],
            labels=self.labels[rows],
            factors={name: values[rows] for name, values in self.factors.items()},
            masks=None if self.masks is None else self.masks[rows],
        )

    def __repr__(self) -> str:
        channels, height, width = self.shape
        return (
            f"Images({len(self):,} of {channels} x {height} x {width}, "
            f"{self.source}, {self.split})"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    @property
    def stand_in(self) -> bool:
        """Whether these images stand in for a data set that is not at hand."""
        return self.name in {name for _, name in STAND_INS.values()}

    def unit(self) -> Tensor:
        """Return the pixels as float32 (N, C, H, W) in [0, 1]."""
        return to_unit(self.pixels)


def load(
    name: str = "cifar10",
    split: str = "train",
    limit: int | None = None,
    *,
    seed: int = 0,
    root: str | Path | None = None,
    size: int = 32,
) -> Images:
    """Load "cifar10", "mnist", "shapes", "digits" or a folder of pictures.

    Where "cifar10" is not found under root, "shapes" takes its place, and "digits"
    that of "mnist"; a printed line says so, once. root is the folder AE_DATA_DIR
    unless given, else data/ of a clone, else ~/.cache/ae_lib. limit takes so many of
    the images, at random by seed, and fewer of them first: 100 are the first 100 of
    1,000. "shapes" are drawn by seed, at most 50,000 and 10,000 for test; "digits" has
    1,438 and 359, and gives what it has. size is the side of shapes and own pictures.
    Raises ValueError if another data set has fewer images than limit, or is damaged.

    >>> load("digits", "test", limit=5)
    Images(5 of 1 x 28 x 28, digits (stand-in for MNIST), test)
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, or None for all, got {limit}")
    if size != 32 and name in (*STAND_INS, "digits"):
        raise ValueError(f"{name} has one size only: leave out size={size}")
    if name in STAND_INS:
        place = data_folder() if root is None else Path(root)
        found = getattr(sources, name)(place, split)
        if found is not None:
            return _take(_images(found, name, split), limit, seed)
        name = _announce(name, place)
    if name == "shapes":
        return _shapes(split, limit, seed, size)
    if name == "digits":
        images = _images(sources.digits(split), name, split)
        return _take(images, min(limit or len(images), len(images)), seed)
    path = Path(name).expanduser()
    if not path.is_dir():
        raise ValueError(
            "name must be 'cifar10', 'mnist', 'shapes', 'digits' or a folder of "
            f"pictures; there is no folder {str(name)!r}"
        )
    path = path.resolve()
    found = sources.folder(path, split, size)
    return _take(_images(found, path.name, split), limit, seed)


def _images(found: Decoded, name: str, split: str) -> Images:
    return Images(*found[:3], name=name, source=found.source, split=split)


def _take(images: Images, limit: int | None, seed: int) -> Images:
    if limit is None:
        return images
    if limit > len(images):
        raise ValueError(
            f"{images.source} has {len(images):,} {images.split} images, "
            f"limit={limit:,} asks for more"
        )
    generator = torch.Generator().manual_seed(seed)
    return images[torch.randperm(len(images), generator=generator)[:limit]]


def _shapes(split: str, limit: int | None, seed: int, size: int) -> Images:
    most = shapes.SIZES[split]
    drawn = shapes.generate(min(limit or most, most), seed=seed, split=split, size=size)
    return Images(
        drawn.pixels,
        drawn.labels,
        shapes.CLASSES,
        name="shapes",
        source="shapes (stand-in for CIFAR-10)",
        split=split,
        factors=drawn.factors,
        masks=drawn.masks,
    )


def _announce(name: str, place: Path) -> str:
    """Say once that a stand-in is used, without the path, and return its name."""
    title, stand_in = STAND_INS[name]
    if name not in _announced:
        _announced.add(name)
        where = "in the data folder" if place.is_dir() else "here (no data folder)"
        print(
            f"{title} is not {where}: using the stand-in '{stand_in}' "
            f"(python -m ae_lib.fetch {name} gets the real images)"
        )
    return stand_in


def with_mirrored(images: Images) -> Images:
    """Return the images, then their mirror images (left and right changed): 2N.

    A photograph is as likely in a mirror; a digit is not. What "shapes" knows of its
    factors does not hold in a mirror and is left out.
    """
    masks = images.masks
    return replace(
        images,
        pixels=torch.cat([images.pixels, images.pixels.flip(3)]),
        labels=images.labels.repeat(2),
        factors={},
        masks=None if masks is None else torch.cat([masks, masks.flip(2)]),
    )


def hold_out(images: Images, n: int, *, seed: int = 0) -> tuple[Images, Images]:
    """Return (train, validation): n images chosen at random by seed, and the others."""
    if not isinstance(n, int) or not 0 < n < len(images):
        raise ValueError(
            f"n is a number of images, from 1 to {len(images) - 1}, got {n}; a tenth "
            f"of them is {len(images) // 10}"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    held, kept = order[:n].sort().values, order[n:].sort().values
    return images[kept], replace(images[held], split="validation")


def to_unit(pixels: Tensor) -> Tensor:
    """Return uint8 pixels, or floats in [0, 1], as float32 in [0, 1].

    Raises ValueError for anything else: no range is guessed.

    >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    if pixels.dtype == torch.uint8:
        return pixels.float() / 255
    kind = str(pixels.dtype).removeprefix("torch.")
    if not pixels.is_floating_point():
        raise ValueError(f"pixels must be uint8 or float in [0, 1], got {kind}")
    if pixels.numel():
        low, high = pixels.aminmax()
        if low.isnan():
            raise ValueError("pixels hold NaN: look where the images come from")
        if not (low >= 0 and high <= 1):
            raise ValueError(
                "pixels must be uint8 or float in [0, 1], got "
                f"{kind} in [{low:.4g}, {high:.4g}]; undo any normalisation, or divide "
                "values up to 255 by 255"
            )
    return pixels.float()


def epoch_order(n: int, *, seed: int = 0, epoch: int = 0) -> Tensor:
    """Return the permutation (n,) of 0..n-1 that belongs to a seed and an epoch."""
    # Mixed, so that epoch 1 of seed 0 is not epoch 0 of seed 1.
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    return torch.randperm(n, generator=torch.Generator().manual_seed(mixed))


def batches(
    pixels: Tensor,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
) -> Iterator[Tensor]:
    """Yield all pixels in batches, (B, C, H, W) of the dtype they have.

    The last batch may be smaller. Shuffled, the order is that of `epoch_order`.

    >>> [len(batch) for batch in batches(torch.zeros(10, 3, 32, 32), 4)]
    [4, 4, 2]
    """
    if not shuffle:
        yield from pixels.split(batch_size)
        return
    order = epoch_order(len(pixels), seed=seed, epoch=epoch).to(pixels.device)
    for rows in order.split(batch_size):
        yield pixels[rows]


class ReconstructionDataset(Dataset):
    """Serve each image as its own target: item i is (x, x), float32 (C, H, W)."""

    def __init__(self, images: Images):
        self.pixels = images.pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x = to_unit(self.pixels[i])
        return x, x


class _EpochSampler(Sampler):
    """Give another order in each epoch, that of `epoch_order`."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed, self.epoch = n, seed, 0

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self.n, seed=self.seed, epoch=self.epoch)
        self.epoch += 1
        return iter(order.tolist())


def loader(
    images: Images, batch_size: int, *, shuffle: bool = True, seed: int = 0
) -> DataLoader:
    """Return a DataLoader of (x, x), float32 (B, C, H, W) in [0, 1].

    Its k-th iteration gives the images in the order of `batches(..., epoch=k)`.
    """
    return DataLoader(
        ReconstructionDataset(images),
        batch_size=batch_size,
        sampler=_EpochSampler(len(images), seed) if shuffle else None,
        generator=torch.Generator().manual_seed(seed),  # leaves torch's own one alone
    )
