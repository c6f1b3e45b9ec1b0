"""Sizes and overlaps of convolutions: turn kernel, stride and padding, and look."""

from __future__ import annotations

import ipywidgets as widgets
import torch

from ae_lib.explore.panel import WRAP, Panel, choice, or_message, slider
from ae_lib.explore.svg import Drawing
from ae_lib.plots.style import BLUE, GREY, VERMILION
from ae_lib.plots.windows import FAINT, MARKED, MOST, places
from ae_lib.windows import Window

KINDS = [("convolution", False), ("transposed convolution", True)]
LARGEST = {"size": 16, "kernel": 7, "stride": 4, "padding": 3, "output_padding": 3}
WORDS = {
    "size": "pixels of the input along one axis",
    "kernel": "weights of the kernel along one axis",
    "stride": "steps of the window; a transposed convolution enlarges by it",
    "padding": "added at both ends; a transposed convolution cuts it off",
    "output_padding": "pixels more at one end of a transposed convolution",
}
UNIT, TOP, LOW = 26, 30, 150  # pixels: of one step along the axis; heights of the rows
START = Window(5, 3, 2, 1, 1, transposed=True)  # the usual 3×3 that doubles


def explore_windows(window: Window = START) -> widgets.Widget:
    """Return sliders for a (transposed) convolution, beginning with that of `window`.

    Lines join the output pixels to the input pixels that they see; beside them stands
    how many there are in two dimensions.
    """
    return or_message(lambda: WindowPanel(window))


class WindowPanel(Panel):
    """Show sizes, who sees whom, and the overlap, of one layer along one axis."""

    def __init__(self, window: Window = START):
        super().__init__()
        if not isinstance(window, Window):
            raise ValueError(f"expected an ae_lib.windows.Window, got {window!r}")
        self.kind = choice("layer", "which of the two layers", KINDS)
        self.kind.value = window.transposed
        self.sliders = {}
        for name, most in LARGEST.items():
            value, low = getattr(window, name), int("padding" not in name)
            most = max(most, value)
            self.sliders[name] = slider(name, WORDS[name], value, low, most)
        chosen, last = window.out // 2, window.out - 1
        words = "whose lines are drawn strongly, from 0"
        self.pixel = slider("output pixel", words, chosen, 0, last)
        self.lines, self.map = self.picture(), self.picture()
        self.text = widgets.HTML()
        self.controls = [self.kind, *self.sliders.values(), self.pixel]
        pictures = [widgets.VBox([self.lines, self.text]), self.map]
        self.children = [
            widgets.HBox([widgets.VBox(self.controls), *pictures], layout=WRAP),
            self.message,
        ]
        self._busy = False
        for control in self.controls:
            control.observe(self._draw, "value")
        self._draw()

    def window(self) -> Window:
        """Return what the sliders say, or raise ValueError where there is no such."""
        numbers = {name: control.value for name, control in self.sliders.items()}
        if not self.kind.value:
            numbers["output_padding"] = 0
        return Window(**numbers, transposed=self.kind.value)

    def _draw(self, change=None) -> None:
        if self._busy:
            return
        self.sliders["output_padding"].disabled = not self.kind.value
        with self.explained():
            window = self.window()
            self._busy = True  # a new end may move the slider, which calls this
            try:
                self.pixel.max = window.out - 1
            finally:
                self._busy = False
            text = _sentences(window, self.pixel.value)
            self.lines.show(draw_lines(window, self.pixel.value), " ".join(text))
            self.map.show(draw_map(window), window.verdict())
            self.text.value = "<br>".join(text)
        if self.message.value:
            self.text.value = ""  # it spoke of the layer before


def _sentences(window: Window, pixel: int) -> list[str]:
    """Say what the picture shows: the sizes, one pixel's view, the overlap."""
    taps = window.taps()[pixel]
    sees = (taps >= 0).nonzero()[:, 0].tolist()
    if sees:
        weights = ", ".join(str(taps[j].item()) for j in sees)
        inputs = ", ".join(map(str, sees))
        view = f"Output pixel {pixel} sees input {inputs} through weight {weights}."
    else:
        view = f"Output pixel {pixel} sees no input: it is the bias alone."
    sizes = f"{window.size} → {window.out} pixels: {window.formula()}."
    if window.forgotten:
        sizes += f" The way back needs output_padding={window.forgotten}."
    return [sizes, view, f"In 2D {window.verdict()}."]


def draw_lines(window: Window, pixel: int) -> bytes:
    """Draw input above, output below, and a line for each weight between them."""
    at_in, at_out = places(window)
    left, right = 60, UNIT * max(at_in.max(), at_out.max()) + 80
    drawing = Drawing(max(right, 300), LOW + 24)
    taps = window.taps()
    strong = [(i, j) for i, j in (taps >= 0).nonzero().tolist() if i == pixel]
    faint = [(i, j) for i, j in (taps >= 0).nonzero().tolist() if i != pixel]
    for pairs, colour, thick in (faint, FAINT, 1.0), (strong, VERMILION, 2.0):
        for i, j in pairs:
            ends = (left + UNIT * at_in[j], TOP), (left + UNIT * at_out[i], LOW)
            drawing.line(ends, colour, thick)
    sees = {j for _, j in strong}
    for label, y, at, counts, marked in (
        ("input", TOP, at_in, window.reached(), sees),
        ("output", LOW, at_out, window.seen(), {pixel}),
    ):
        drawing.text(2, y, label, colour=GREY)
        for number, (x, count) in enumerate(zip(at, counts.tolist(), strict=True)):
            fill, edge = (MARKED, VERMILION) if number in marked else ("white", BLUE)
            x = left + UNIT * x
            drawing.rect(x - 11, y - 11, 22, 22, fill, edge, 2 if fill == MARKED else 1)
            drawing.text(x, y, count, "middle")
    return drawing.data()


def draw_map(window: Window, most: int = 16) -> bytes:
    """Draw the counts in two dimensions, of at most 16×16 pixels, darker for more."""
    counts = window.overlap()[:most, :most]
    side = min(24, max(8, 170 // len(counts)))
    drawing = Drawing(side * len(counts) + 2, side * len(counts) + 22)
    where = "output" if window.transposed else "input"
    drawing.text(0, 8, f"in 2D, on the {where}", colour=GREY, size=11)
    shade = (counts / MOST).clamp(max=1)
    colours = 255 - shade[..., None] * torch.tensor([230.0, 160.0, 90.0])
    for (i, row), tints in zip(enumerate(counts.tolist()), colours.int(), strict=True):
        for j, count in enumerate(row):
            fill = "#{:02x}{:02x}{:02x}".format(*tints[j].tolist())
            drawing.rect(side * j, 20 + side * i, side, side, fill)
            if side >= 15:
                x, y = side * (j + 0.5), 20 + side * (i + 0.5)
                ink = "white" if count > 0.55 * MOST else "black"
                drawing.text(x, y, count, "middle", ink, size=10)
    return drawing.data()
