"""An entropy coder for codes: whole numbers in, as few bytes as their shares allow out.

Codes become whole numbers by `quantise`, `Tables` counts how often each unit takes each
value, and `encode` writes a stream of bytes for each image, which `decode` reads alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

PRECISION = 14  # bits: the frequencies of a table sum to 2**14
TOTAL = 1 << PRECISION
MOST_VALUES = TOTAL // 2  # of one unit: finer steps than that are not for images


def quantise(codes: Tensor, step: float) -> np.ndarray:
    """Round codes (N, D) to whole multiples of `step`; return the multiples, int32.

    >>> import torch
    >>> quantise(torch.tensor([[0.9, -0.3]]), 0.5).tolist()
    [[2, -1]]
    """
    if not step > 0:
        raise ValueError(f"the step must be above 0, got {step}")
    return (codes / step).round().int().numpy()


@dataclass(frozen=True)
class Tables:
    """How often each unit of a code takes each value: what both sides must know.

    `low` (D,) holds the smallest value of each unit; `frequencies` one array for each
    unit, all at least 1, whose sum is 2**14.
    """

    low: np.ndarray
    frequencies: tuple[np.ndarray, ...]

    @classmethod
    def fit(cls, symbols: np.ndarray) -> Tables:
        """Count the values (N, D) of training images, half a count for those unseen."""
        low, high = symbols.min(axis=0), symbols.max(axis=0)
        if (high - low).max() >= MOST_VALUES:
            raise ValueError(
                f"a unit takes over {MOST_VALUES} values; use a larger step"
            )
        tables = []
        for column, first, last in zip(symbols.T, low, high, strict=True):
            counts = np.bincount(column - first, minlength=last - first + 1) + 0.5
            room = TOTAL - len(counts)
            table = 1 + (counts / counts.sum() * room).astype(np.int64)
            table[table.argmax()] += TOTAL - table.sum()  # what rounding has left
            tables.append(table)
        return cls(low, tuple(tables))

    def clip(self, symbols: np.ndarray) -> np.ndarray:
        """Move values that no training image had to the nearest one that some had."""
        high = self.low + [len(table) - 1 for table in self.frequencies]
        return symbols.clip(self.low, high)

    def bits(self, symbols: np.ndarray) -> np.ndarray:
        """Sum up -log2 of the shares of the values (N, D): ideal bits per image."""
        total = np.zeros(len(symbols))
        for unit, table in enumerate(self.frequencies):
            total += PRECISION - np.log2(table[symbols[:, unit] - self.low[unit]])
        return total

    def to_bytes(self) -> bytes:
        """Write the tables down, deflated: the price of knowing them."""
        sizes = [len(table) for table in self.frequencies]
        head = [np.array([len(sizes)]), self.low, np.array(sizes)]
        parts = [*head, *self.frequencies]
        return zlib.compress(np.concatenate(parts).astype("<i2").tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> Tables:
        numbers = np.frombuffer(zlib.decompress(data), "<i2").astype(np.int64)
        units = numbers[0]
        low, sizes, rest = np.split(numbers[1:], [units, 2 * units])
        return cls(low, tuple(np.split(rest, np.cumsum(sizes)[:-1])))


def encode(symbols: np.ndarray, tables: Tables) -> list[bytes]:
    """Write the values (N, D) of each image with an arithmetic coder of the family ANS.

    The state of an image is a whole number; a value of share p makes it 1/p times as
    large, and what exceeds 22 bits is written out (Duda 2013; the variant is rANS).
    Each image costs two to three bytes more than `Tables.bits`: the state it ends with.
    Values outside of the tables raise ValueError; see `Tables.clip`.
    """
    if not np.array_equal(symbols, tables.clip(symbols)):
        raise ValueError("there are values that the tables do not know; clip them")
    n, units = symbols.shape
    state, at = np.full(n, TOTAL), np.zeros(n, np.int64)
    written = np.zeros((n, 2 * units + 3), np.uint8)

    def write(rows: np.ndarray) -> None:
        written[rows, at[rows]] = state[rows] & 255
        at[rows] += 1
        state[rows] >>= 8

    for unit in reversed(range(units)):  # the last value written is read first
        table = tables.frequencies[unit]
        value = symbols[:, unit] - tables.low[unit]
        share, below = table[value], (table.cumsum() - table)[value]
        while len(rows := np.flatnonzero(state >= share << 8)):
            write(rows)
        state = (state // share << PRECISION) + state % share + below
    for _ in range(3):
        write(np.arange(n))
    return [row[:end][::-1].tobytes() for row, end in zip(written, at, strict=True)]


def decode(streams: Sequence[bytes], tables: Tables) -> np.ndarray:
    """Read the values (N, D) back; ValueError when a stream is damaged."""
    longest = max(3, *map(len, streams)) + 2
    padded = [np.frombuffer(s.ljust(longest, b"\0"), np.uint8) for s in streams]
    data, at = np.stack(padded).astype(np.int64), np.full(len(streams), 3)
    state = data[:, 0] << 16 | data[:, 1] << 8 | data[:, 2]
    columns, last = [], longest - 1
    for low, table in zip(tables.low, tables.frequencies, strict=True):
        ends, slot = table.cumsum(), state & (TOTAL - 1)
        value = np.searchsorted(ends, slot, side="right")
        state = table[value] * (state >> PRECISION) + slot - (ends - table)[value]
        while len(rows := np.flatnonzero((state < TOTAL) & (at <= last))):
            state[rows] = state[rows] << 8 | data[rows, at[rows]]
            at[rows] += 1
        columns.append(value + low)
    if (state != TOTAL).any() or (at != [len(stream) for stream in streams]).any():
        raise ValueError("a stream is damaged, or was written with other tables")
    return np.stack(columns, axis=1).astype(np.int32)
