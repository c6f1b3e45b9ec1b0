"""Spoil images more and more, and look at what each denoiser answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as widgets
import torch
from torch import Tensor

from ae_lib.data import Images, to_unit
from ae_lib.explore.panel import (
    WRAP,
    Panel,
    choice,
    explain,
    or_message,
    sentence,
    shape_of,
    slider,
    strip,
)
from ae_lib.metrics import mse, psnr

MOST = 8  # images: more would keep slow denoisers from following the slider
Corruption = Callable[[Tensor, float, torch.Generator], Tensor]
Denoiser = Callable[[Tensor], Tensor]


def explore_denoising(
    images: Images | Tensor,
    corruptions: Mapping[str, tuple[Corruption, float]],
    denoisers: Mapping[str, Denoiser],
    n: int = 4,
) -> widgets.Widget:
    """Return a slider for the strength of a corruption, and what denoisers answer.

    `corruptions` maps a name to (function, largest strength); the function takes float
    images (N, C, H, W) in [0, 1], a strength and a generator, as those of
    `ae_lib.corruptions`. `denoisers` maps a name to a function from such images to such
    images. The first n images are shown, and the PSNR is that of these n alone.
    """
    return or_message(lambda: DenoisingPanel(images, corruptions, denoisers, n))


class DenoisingPanel(Panel):
    """Show images, the same spoilt, and each denoiser's answer with its PSNR."""

    def __init__(self, images, corruptions, denoisers, n: int = 4):
        super().__init__()
        self.x = _images(images, n)
        self.corruptions = _corruptions(corruptions)
        self.denoisers = _denoisers(denoisers)
        kinds = [(name, name) for name in self.corruptions]
        self.kind = choice("corruption", "how the images are spoilt", kinds)
        words = "from 0, intact, to the largest of this corruption"
        largest = float(self.corruptions[self.kind.value][1])
        self.strength = slider("strength", words, 0.0, 0.0, largest, largest / 40)
        self.again = widgets.Button(description="Other noise")
        explain(self.again, "draw the random numbers anew")
        rows = ["image", "spoilt", *self.denoisers]
        self.rows = {name: self.picture() for name in rows}
        self.labels = {name: widgets.Label() for name in rows}
        self.seed, self._busy = 0, False
        controls = [self.kind, self.strength, self.again]
        self.children = [
            widgets.HBox(controls, layout=WRAP),
            *(self._row(name) for name in rows),
            self.message,
        ]
        self.kind.observe(self._choose, "value")
        self.strength.observe(self._draw, "value")
        self.again.on_click(self._other)
        self._show("image", self.x)
        self._choose()

    def spoilt(self) -> Tensor:
        """Return the spoilt images, float (n, C, H, W).

        The seed stays while the strength moves: the same noise grows.
        """
        spoil, _ = self.corruptions[self.kind.value]
        generator = torch.Generator().manual_seed(self.seed)
        return _like(self.x, spoil(self.x, self.strength.value, generator))

    def _row(self, name: str) -> widgets.Widget:
        words = widgets.VBox([self.labels[name]], layout={"width": "260px"})
        return widgets.HBox([words, self.rows[name]], layout=WRAP)

    def _choose(self, change=None) -> None:
        """Turn to another corruption, at half of its largest strength."""
        largest = float(self.corruptions[self.kind.value][1])
        self._busy = True  # one new picture at the end, and not one per change
        self.strength.value = 0.0
        self.strength.max, self.strength.step = largest, largest / 40
        self.strength.value = largest / 2
        self._busy = False
        self._draw()

    def _other(self, button=None) -> None:
        self.seed += 1
        self._draw()

    def _draw(self, change=None) -> None:
        if self._busy:
            return
        failed = []
        with self.explained():
            spoilt = self.spoilt()
            self._show("spoilt", spoilt)
            for name, denoise in self.denoisers.items():
                try:  # one that fails must not keep the others from answering
                    with torch.no_grad():
                        answer = denoise(spoilt.clone())
                    self._show(name, _like(self.x, answer))
                except Exception as error:
                    self.labels[name].value = name
                    self.rows[name].fade()
                    failed.append(f"{name}: {type(error).__name__}: {error}")
        if failed:
            self.message.value = sentence(f"No answer. {'; '.join(failed)}")

    def _show(self, name: str, y: Tensor) -> None:
        words = name
        if name != "image":
            words = f"{name}: {psnr(mse(self.x, y.clamp(0, 1))):.1f} dB"
        self.labels[name].value = words
        self.rows[name].show(strip(y), words)


def _images(images: Images | Tensor, n: int) -> Tensor:
    pixels = getattr(images, "pixels", images)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or not len(pixels):
        raise ValueError(
            "expected one or more images, Images or a tensor (N, C, H, W), got "
            f"{shape_of(pixels)}"
        )
    if pixels.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {pixels.shape[1]}")
    if not isinstance(n, int) or not 1 <= n <= MOST:
        raise ValueError(f"n must be from 1 to {MOST}, got {n!r}")
    return to_unit(pixels[:n]).cpu()


def _corruptions(given) -> dict[str, tuple[Corruption, float]]:
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            "corruptions must be a dict from a name to (function, largest strength), "
            f"got {given!r:.80}"
        )
    for name, pair in given.items():
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0])):
            raise ValueError(
                f"corruption {name!r} must be (function, largest strength), "
                f"got {pair!r:.80}"
            )
        if not isinstance(pair[1], int | float) or not 0 < pair[1] < float("inf"):
            raise ValueError(
                f"the largest strength of {name!r} must be above 0, got {pair[1]!r}"
            )
    return dict(given)


def _denoisers(given) -> dict[str, Denoiser]:
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            f"denoisers must be a dict from a name to a function, got {given!r:.80}"
        )
    for name, function in given.items():
        if not callable(function):
            raise ValueError(f"denoiser {name!r} is no function: {function!r:.80}")
        if name in ("image", "spoilt"):
            raise ValueError(f"{name!r} is a row of its own: name the denoiser else")
    return dict(given)


def _like(x: Tensor, y) -> Tensor:
    """Return y as float on the CPU if it has the shape of x."""
    if not isinstance(y, Tensor) or y.shape != x.shape:
        raise ValueError(f"expected images {tuple(x.shape)}, got {shape_of(y)}")
    return y.detach().float().cpu()
