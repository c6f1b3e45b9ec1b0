"""What all panels share: pictures with words, sliders, and messages for tracebacks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets as widgets
import torch
from PIL import Image
from torch import Tensor

SIDE = 160  # pixels on the screen for one image, or a little less
WRAP = {"flex_flow": "row wrap"}  # below each other in a narrow window


class Picture(widgets.HTML):
    """Show a picture, and say in words what it shows to those who cannot see it.

    `data` holds the PNG or SVG, `words` the text. ipywidgets' own Image has no text.
    """

    def __init__(self, width: int | None = None):
        super().__init__()
        self.data, self.words = b"", ""
        if width:  # or a narrow window squeezes each picture differently
            self.layout.width = self.layout.min_width = f"{width}px"

    def show(self, data: bytes, words: str) -> None:
        self.data, self.words = data, words
        self._write()

    def fade(self) -> None:
        """Turn the picture pale: it no longer shows what the controls say."""
        if self.data:
            self._write("opacity:0.25")

    def _write(self, style: str = "") -> None:
        kind = "svg+xml" if self.data.startswith(b"<svg") else "png"
        text = base64.b64encode(self.data).decode()
        self.value = (
            f'<img style="display:block;{style}" alt="{html.escape(self.words)}" '
            f'src="data:image/{kind};base64,{text}">'
        )


class Panel(widgets.VBox):
    """A box of controls and pictures, with a line for what cannot be drawn."""

    def __init__(self):
        super().__init__()
        self.message = widgets.HTML()
        self.pictures: list[Picture] = []

    def picture(self, width: int | None = None) -> Picture:
        self.pictures.append(Picture(width))
        return self.pictures[-1]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Show what went wrong: an exception in a callback would be seen by nobody."""
        try:
            yield
            self.message.value = ""
        except Exception as error:
            kind = type(error).__name__
            name = "" if isinstance(error, ValueError) else f"{kind}: "
            self.message.value = sentence(f"This cannot be drawn: {name}{error}")
            for picture in self.pictures:
                picture.fade()


def or_message(make: Callable[[], Panel]) -> widgets.Widget:
    """Return the panel that `make` makes, or a line that says why there is none."""
    try:
        return make()
    except ValueError as error:
        return widgets.HTML(sentence(f"Nothing to explore: {error}"))


def sentence(text: str) -> str:
    """Mark a message up, so that a screen reader speaks it when it appears."""
    return f'<b role="alert">{html.escape(text)}</b>'


def explain(widget: widgets.Widget, words: str) -> widgets.Widget:
    """Give a control a tooltip: ipywidgets 7 calls it otherwise than 8."""
    name = "tooltip" if widget.has_trait("tooltip") else "description_tooltip"
    setattr(widget, name, words)
    return widget


def slider(name: str, words: str, value, low, high, step=1) -> widgets.Widget:
    """Make a slider for whole numbers, or for others when one of its numbers is."""
    whole = all(isinstance(number, int) for number in (value, low, high, step))
    common = {
        "value": value,
        "min": low,
        "max": high,
        "step": step,
        "description": name,
        "style": {"description_width": "130px"},
        "layout": {"width": "350px"},
    }
    if whole:
        return explain(widgets.IntSlider(**common), words)
    return explain(widgets.FloatSlider(**common, readout_format=".2f"), words)


def choice(name: str, words: str, options) -> widgets.Dropdown:
    """Make a list to choose from; the first of the (text, value) pairs is chosen."""
    options = list(options)
    made = widgets.Dropdown(
        options=options,
        value=options[0][1],
        description=name,
        style={"description_width": "130px"},
        layout={"width": "350px"},
    )
    return explain(made, words)


def captioned(text: str, picture: Picture) -> widgets.VBox:
    """Put a caption above a picture."""
    return widgets.VBox([widgets.Label(text), picture], layout={"flex": "0 0 auto"})


def png(image: Tensor, side: int = SIDE) -> bytes:
    """Write an image (C, H, W) as PNG, each pixel a square, `side` large at most.

    Values outside [0, 1] are clipped. Images larger than `side` keep their size.
    """
    if not image.isfinite().all():
        raise ValueError("the image holds NaN or infinity")
    pixels = (image.clamp(0, 1) * 255).round().byte()
    array = pixels.permute(1, 2, 0).squeeze(-1).cpu().numpy()  # (H, W) or (H, W, 3)
    height, width = array.shape[:2]
    factor = max(1, side // max(height, width))
    large = Image.fromarray(array).resize(
        (width * factor, height * factor), Image.Resampling.NEAREST
    )
    with io.BytesIO() as buffer:
        large.save(buffer, "PNG", compress_level=1)  # speed before size
        return buffer.getvalue()


def strip(images: Tensor, side: int = 96) -> bytes:
    """Write images (N, C, H, W) side by side as one PNG, each `side` high at most."""
    gap = images.new_ones(*images.shape[1:3], 1)
    parts = [part for image in images for part in (image, gap)][:-1]
    row = torch.cat(parts, dim=2)  # (C, H, N·W + N - 1)
    factor = max(1, side // images.shape[2])
    return png(row, factor * row.shape[2])


def shape_of(value) -> str:
    """Say what came: the shape of a tensor, the type of anything else."""
    return str(tuple(value.shape) if isinstance(value, Tensor) else type(value))
