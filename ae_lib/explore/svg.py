"""Drawings in a few lines of SVG: matplotlib is too slow to follow a hand.

A drawing stands on white, so that it can be read on a dark page, too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from ae_lib.plots.style import BLUE, GREY


class Drawing:
    """Shapes in pixels from the top left corner."""

    def __init__(self, width: float, height: float):
        self.size = (width, height)
        self.parts: list[str] = []

    def rect(self, x, y, width, height, fill=BLUE, edge="none", thick=1.0) -> None:
        self._add(
            "rect", x=x, y=y, width=width, height=height, fill=fill, stroke=edge,
            stroke_width=thick,
        )  # fmt: skip

    def line(self, points: Sequence[tuple], colour=GREY, thick=1.0, dash="") -> None:
        """Join points by straight lines."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._add(
            "polyline", points=path, fill="none", stroke=colour, stroke_width=thick,
            stroke_dasharray=dash or "none",
        )  # fmt: skip

    def text(self, x, y, text, anchor="start", colour="black", size=12) -> None:
        """Write text whose middle is at height y."""
        self._add(
            "text", html.escape(str(text)), x=x, y=y + 0.35 * size, fill=colour,
            text_anchor=anchor, font_size=size, font_family="sans-serif",
        )  # fmt: skip

    def data(self) -> bytes:
        width, height = self.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
            f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
            f'<rect width="100%" height="100%" fill="white"/>'
            f"{''.join(self.parts)}</svg>"
        ).encode()

    def _add(self, kind: str, content: str = "", **values) -> None:
        values = {
            name.replace("_", "-"): f"{v:.4g}" if isinstance(v, float) else v
            for name, v in values.items()
        }
        attributes = " ".join(f'{name}="{value}"' for name, value in values.items())
        self.parts.append(f"<{kind} {attributes}>{content}</{kind}>")


class LogScale:
    """Places of positive numbers between two ends in pixels, by their logarithms."""

    def __init__(self, low: float, high: float, start: float, stop: float):
        self.ends, self.start, self.stop = (math.log(low), math.log(high)), start, stop

    def __call__(self, value: float) -> float:
        """Return the place; what lies beyond an end is put there, NaN at the high."""
        if not value < math.inf:
            return self.stop
        low, high = self.ends
        share = (math.log(max(value, 1e-300)) - low) / ((high - low) or 1.0)
        return self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start)
