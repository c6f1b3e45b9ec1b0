"""What a sliding window joins: convolutions in whole numbers, along one axis.

A convolution and its transpose join the same pixels: turned upside down, the lines of
the one are those of the other. So one table tells both: `taps`. In two dimensions with
square kernels everything here holds for rows and for columns, and counts multiply.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A convolution or transposed convolution of `size` pixels along one axis.

    Raises ValueError, with the size that would come out, where no such layer exists.

    >>> Window(32, kernel=4, stride=2, padding=1).out
    16
    >>> Window(16, 3, 2, 1, output_padding=1, transposed=True).out
    32
    """

    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    transposed: bool = False

    def __post_init__(self):
        for name, least in (
            ("size", 1), ("kernel", 1), ("stride", 1), ("padding", 0),
            ("output_padding", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name} must be a whole number, {least} or more, got {value!r}"
                )
        if self.output_padding and not self.transposed:
            raise ValueError(
                "output_padding belongs to transposed convolutions, got "
                f"{self.output_padding} for a convolution"
            )
        if self.output_padding >= self.stride:
            raise ValueError(
                "output_padding must be smaller than the stride, got "
                f"{self.output_padding} with stride {self.stride}"
            )
        if self.out < 1:
            advice = "less padding" if self.transposed else "a smaller kernel"
            raise ValueError(
                f"no pixel comes out: {self.formula()}; it takes {advice} or a larger "
                "input"
            )

    @property
    def out(self) -> int:
        """The number of pixels that come out, along the axis."""
        if self.transposed:
            full = (self.size - 1) * self.stride + self.kernel
            return full - 2 * self.padding + self.output_padding
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def forgotten(self) -> int:
        """What rounding down forgets: the output_padding that the way back needs."""
        if self.transposed:
            return 0
        return (self.size + 2 * self.padding - self.kernel) % self.stride

    def formula(self) -> str:
        """Write out the size, with its numbers."""
        n, k, s, p = self.size, self.kernel, self.stride, self.padding
        if self.transposed:
            return f"({n} − 1)·{s} − 2·{p} + {k} + {self.output_padding} = {self.out}"
        return f"⌊({n} + 2·{p} − {k}) / {s}⌋ + 1 = {self.out}"

    def taps(self) -> Tensor:
        """Say which weight joins output i to input j: (out, size), -1 for none.

        Weights are numbered from 0, as in `weight[..., t]` of PyTorch's layers.
        """
        i, j = torch.arange(self.out)[:, None], torch.arange(self.size)[None]
        if self.transposed:
            t = i + self.padding - j * self.stride
        else:
            t = j + self.padding - i * self.stride
        return torch.where((t >= 0) & (t < self.kernel), t, -1)

    def seen(self) -> Tensor:
        """Count, for each output pixel, the input pixels that it sees: (out,)."""
        return (self.taps() >= 0).sum(dim=1)

    def reached(self) -> Tensor:
        """Count, for each input pixel, the output pixels that it reaches: (size,)."""
        return (self.taps() >= 0).sum(dim=0)

    def overlap(self) -> Tensor:
        """Count the lines on the side that can be uneven, in 2D: (side, side).

        The output of a transposed convolution, where stamps overlap. The input of a
        convolution: what backpropagation stamps gradients on.
        """
        counts = self.seen() if self.transposed else self.reached()
        return counts[:, None] * counts[None]

    def phases(self) -> list[int]:
        """Count the lines of each kind of pixel of that side, far from the border.

        The kinds repeat with the stride. The overlap is even when all are equal, that
        is, when the stride divides the kernel; a 0 is a pixel that nothing reaches.
        """
        return [len(range(r, self.kernel, self.stride)) for r in range(self.stride)]

    @property
    def even(self) -> bool:
        return self.kernel % self.stride == 0

    def verdict(self) -> str:
        """Say in a sentence what the overlap is in two dimensions."""
        kinds = sorted({a * b for a in self.phases() for b in self.phases()})
        counts = " or ".join(map(str, kinds))
        what = "stamps" if self.transposed else "outputs"
        if self.even:
            times = what if kinds != [1] else what.removesuffix("s")
            return f"even overlap: {counts} {times} for every inner pixel"
        holes = ", so there are holes" if kinds[0] == 0 else ""
        return f"uneven overlap: {counts} {what} for an inner pixel{holes}"
