"""The checks of chapter 02: a noisy twin, and a split that does not leak."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ae_lib.data import Images
from ae_lib.exercises.judge import expect, hint, kind, sequence, show, tensor


def _images() -> Images:
    """Return 12 images: a black one, a white one, and grey ones."""
    pixels = torch.full((12, 3, 16, 16), 128, dtype=torch.uint8)
    pixels[0], pixels[1] = 0, 255
    pixels[2:, :, 4] = torch.arange(80, 160, 8)[:, None, None].byte()
    labels = torch.zeros(12, dtype=torch.long)
    return Images(pixels, labels, ("grey",), "check", "made for a check", "train")


@hint(
    "two equal readings of item 7, and about 0.1 between its noisy and its clean half"
)
def check_1(dataset: type) -> str:
    """Hold NoisyDataset(images, sigma)[i] to (noisy, x), noise by the item's number."""
    images, sigma = _images(), 0.1
    x = images.unit()
    data = dataset(images, sigma)
    before = torch.random.get_rng_state()
    pairs = [sequence(data[i], 2, f"item {i}") for i in range(len(images))]
    same_state = torch.equal(before, torch.random.get_rng_state())
    for i, pair in enumerate(pairs):
        for part, name in zip(pair, ("first", "second"), strict=True):
            what = f"the {name} part of item {i}"
            part = tensor(part, images.shape, what)
            expect(part.is_floating_point(), f"{what} holds bytes; use data.to_unit")
            expect(part.max() <= 2, f"{what} goes up to 255; divide, or data.to_unit")
    noisy = torch.stack([pair[0] for pair in pairs])  # (12, 3, 16, 16)
    clean = torch.stack([pair[1] for pair in pairs])
    swapped = torch.allclose(noisy, x, atol=1e-4)
    expect(
        not (swapped and torch.equal(noisy, clean)),
        "there is no noise: both parts are the image",
    )
    expect(not swapped, "the two are swapped: first the noisy image, then the clean")
    expect(
        torch.allclose(clean, x, atol=1e-4),
        "the second part is noisy too. It is the target: a network would be taught "
        "to draw the noise",
    )
    again = data[7][0]
    expect(
        torch.equal(noisy[7], again),
        "item 7 read twice has two noises. Draw with a generator seeded by the item's "
        "number",
    )
    noise = noisy - clean
    expect(
        not torch.allclose(noise[7], noise[8], atol=1e-4),
        "all images carry the same noise, and a network can learn it by heart. Seed "
        "the generator with the item's number",
    )
    expect(
        same_state,
        "reading an item moves the random numbers of the whole program: the next "
        "network would start elsewhere. Use a torch.Generator of your own",
    )
    expect(
        noisy.min() >= 0 and noisy.max() <= 1,
        f"the noisy image reaches from {noisy.min():.2f} to {noisy.max():.2f}; clip it "
        "to [0, 1]",
    )
    one_number = noise[7].std() < 0.1 * noise[7].abs().mean()
    expect(not one_number, "the whole image is shifted; each value needs its own noise")
    size = noise[2:].square().mean().sqrt().item()
    expect(
        abs(size - sigma) < 0.01,
        f"the noise has a root mean square of {show(size)}, expected {sigma}",
    )
    wide = dataset(images, 0.02)[7]
    size = (wide[0] - wide[1]).square().mean().sqrt().item()
    expect(abs(size - 0.02) < 0.004, "`sigma` is ignored: with 0.02 it is the same")
    return "the same twin at each reading, and nobody else's random numbers moved"


@hint("train and validation rows that are 83 and 20 of 103, all different")
def check_2(split: Callable[[int, int, int], tuple[Tensor, Tensor]]) -> str:
    """Hold split(n, held, seed) to two disjoint, complete, random lists of rows."""
    n, held = 103, 20
    rows = [_rows(split(n, held, seed)) for seed in (0, 0, 1)]
    train, validation = rows[0]
    both = set(train) & set(validation)
    expect(
        not both,
        f"{len(both)} images are in both lists: the validation error would be measured "
        "on images that the network has learned",
    )
    for name, part in ("training", train), ("validation", validation):
        expect(
            len(set(part)) == len(part),
            f"some {name} rows come twice. randint draws with replacement; shuffle all "
            "rows, and cut",
        )
    expect(
        (len(train), len(validation)) != (held, n - held),
        f"the two are swapped: {held} images are held back, the others train",
    )
    expect(
        len(validation) == held,
        f"{held} images are to be held back, got {len(validation)}",
    )
    lost = n - len(train) - len(validation)
    expect(lost == 0, f"{lost} of {n} images are in neither list")
    every = set(train) | set(validation)
    expect(every == set(range(n)), f"rows count from 0 to {n - 1}")
    run = max(validation) - min(validation) == held - 1
    expect(
        not run,
        "the validation rows lie side by side. In a collection sorted by class they "
        "would be of one class; shuffle before you cut",
    )
    steps = torch.tensor(sorted(validation)).diff().unique()
    expect(len(steps) > 1, "every k-th row is held back; draw them at random")
    expect(
        set(rows[0][1]) == set(rows[1][1]),
        "the same seed gives two different splits: the second run would validate on "
        "what the first has learned",
    )
    expect(
        set(rows[0][1]) != set(rows[2][1]),
        "another seed gives the same split: `seed` is ignored",
    )
    return "nothing in both, nothing lost, and the same at each run"


def _rows(answer: object) -> list[list[int]]:
    """Return both lists of rows as plain numbers."""
    lists = []
    parts = zip(sequence(answer, 2, "the answer"), ("train", "validation"), strict=True)
    for part, name in parts:
        part = part.tolist() if hasattr(part, "tolist") else part
        expect(
            isinstance(part, list | tuple | range)
            and all(isinstance(row, int) for row in part),
            f"the {name} rows should be whole numbers, in a tensor or a list; got "
            f"{kind(part)}",
        )
        lists.append(list(part))
    return lists
