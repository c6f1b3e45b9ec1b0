import random

import numpy as np
import torch
from PIL import Image, ImageOps


def whole_groups(groups, n, seed):
    """Shuffle the groups' numbers by Python, and take until there are enough."""
    numbers = sorted(set(groups.tolist()))
    random.Random(seed).shuffle(numbers)
    held = []
    while len(held) < n:
        number = numbers.pop()
        held += [i for i, g in enumerate(groups.tolist()) if g == number]
    return [i for i in range(len(groups)) if i not in set(held)], held


def one_by_one(groups, n, seed):
    order = torch.randperm(
        len(groups), generator=torch.Generator().manual_seed(seed)
    ).tolist()
    return order[n:], order[:n]


def of_numbers(groups, n, seed):
    numbers = groups.unique()
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))
    return numbers[order[4:]], numbers[order[:4]]


def whole(change):
    """Change what is right before it is returned."""
    return lambda groups, n, seed: change(*whole_groups(groups, n, seed))


def masks(train, held):
    rows = torch.arange(60)
    return torch.isin(rows, torch.tensor(train)), torch.isin(rows, torch.tensor(held))


def column(rows):
    """Return rows as nonzero() does, (n, 1)."""
    return torch.tensor(rows)[:, None]


def of_numpy(groups, n, seed):
    """Return what comes of loops over arrays and over tensors."""
    train, held = whole_groups(groups, n, seed)
    return [np.int64(row) for row in train], [torch.tensor(row) for row in held]


def too_many(groups, n, seed):
    return whole_groups(groups, n + 20, seed)


def too_few(groups, n, seed):
    return whole_groups(groups, n - 10, seed)


def without_seed(groups, n, seed):
    return whole_groups(groups, n, 0)


def without_any(groups, n, seed):
    return whole_groups(groups, n, None)


def by_pillow(pixels, turn):
    """Store the picture with its number, and ask Pillow."""
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy().copy())
    image.getexif()[274] = turn
    image = ImageOps.exif_transpose(image)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def by_bits(pixels, turn):
    """Undo a mirror, then turn by quarters."""
    mirrored, quarters = {
        1: (False, 0),
        2: (True, 0),
        3: (False, 2),
        4: (True, 2),
        5: (True, 1),
        6: (False, -1),
        7: (True, -1),
        8: (False, 1),
    }[turn]
    pixels = pixels.flip(2) if mirrored else pixels
    return pixels.rot90(quarters, (1, 2))


def other(**turns):
    """Do for some numbers what belongs to another one."""
    swapped = {int(k[1:]): v for k, v in turns.items()}
    return lambda x, turn: by_bits(x, swapped.get(turn, turn))


def wrong_axes(x, turn):
    return x.rot90(-1) if turn == 6 else by_bits(x, turn)


RIGHT = {"20.1": [whole_groups, of_numpy], "20.2": [by_pillow, by_bits]}
WRONG = {
    "20.1": [
        (one_by_one, "are on both sides"),
        (of_numbers, "numbers of groups"),
        (whole(lambda train, held: (held, train)), "the two are swapped"),
        (whole(lambda train, held: (train[3:], held)), "in neither list"),
        (whole(lambda train, held: (train + train[:1], held)), "come twice"),
        (whole(lambda train, held: (train, [*held, 60])), "rows count from 0"),
        (whole(lambda train, held: held), "should be 2 things"),
        (whole(lambda train, held: (train, [0.5])), "whole numbers"),
        (whole(masks), "a mask of True and False"),
        (whole(lambda train, held: (column(train), column(held))), "flatten()"),
        (too_many, "stop at the first"),
        (too_few, "or more are to be held out"),
        (without_seed, "`seed` is ignored"),
        (without_any, "two different splits"),
        (lambda groups, n, seed: None, "`return`"),
    ],
    "20.2": [
        (lambda x, turn: x, "for EXIF 2 the answer is the picture as it was stored"),
        (other(_6=8, _8=6), "for EXIF 6 the answer is what EXIF 8 asks for"),
        (other(_5=7, _7=5), "for EXIF 5 the answer is what EXIF 7 asks for"),
        (other(_2=1, _4=3, _5=6, _7=8), "for EXIF 2 the answer is the picture"),
        (wrong_axes, "dims=(1, 2)"),
        (lambda x, turn: by_bits(x, turn).float() / 255, "other values than the file"),
        (lambda x, turn: by_bits(x, turn)[None], "has shape 1×3×4×6"),
        (lambda x, turn: by_bits(x, turn).roll(1, 2), "at other places"),
        (lambda x, turn: by_bits(x, turn).numpy(), "should be a tensor"),
        (lambda x, turn: None, "`return`"),
    ],
}
