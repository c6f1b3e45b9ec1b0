"""Explore a code by hand: sliders move it, and its image is decoded at once.

The sliders stand for the principal directions of the code and not for its single
numbers: those have no meaning that the training defines. A code can also go on its way
to another, and take the difference of two others along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
import torch
from torch import Tensor, nn

from ae_lib.data import Images, to_unit
from ae_lib.explore.panel import (
    SIDE,
    WRAP,
    Panel,
    captioned,
    choice,
    explain,
    or_message,
    png,
    shape_of,
    slider,
)

CHOICES = 24  # images to choose from: as many as a list shows without scrolling far
REACH = 3.0  # standard deviations to either side: further out there are no images
BATCH = 500
OF_CLASSES = 500  # images that the means of the classes are taken of


def principal_directions(codes: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Find the directions along which codes (N, latent_dim) vary most.

    Returns unit vectors (dims, latent_dim), orthogonal to each other and the strongest
    first, and the standard deviation (dims,) of the codes along each. Of v and -v the
    one is taken whose entry of largest size is positive.

    >>> line = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> direction, deviation = principal_directions(line, 1)
    >>> [round(v, 3) for v in (*direction[0].tolist(), deviation.item())]
    [0.6, 0.8, 4.082]
    """
    centred = codes - codes.mean(dim=0)
    _, lengths, directions = torch.linalg.svd(centred, full_matrices=False)
    directions, deviations = directions[:dims], lengths[:dims] / len(codes) ** 0.5
    largest = directions.abs().argmax(dim=1, keepdim=True)
    return directions * directions.gather(1, largest).sign(), deviations


def explore(model, images: Images | Tensor, dims: int = 6) -> widgets.Widget:
    """Return sliders for `dims` principal directions of the code, and what they do.

    `model` has `encode` and `decode`, as the autoencoders and PCA of this library;
    `images` are two or more, Images or (N, C, H, W) in [0, 1] or uint8. The directions
    are those of all the images, and one of the first 24 can be chosen to start from.
    Further sliders go to another image, and add the difference of two images or, for
    Images, of the means of two classes. What cannot be explored gives a line of text
    that says why, and no traceback; `Explorer` raises a ValueError instead.
    """
    return or_message(lambda: Explorer(model, images, dims))


class Explorer(Panel):
    """Show an image, what its code decodes to, and what a moved code decodes to.

    The fourth picture is made without the code: the same mixture and the same sum,
    pixel by pixel, of decoded images. With a linear decoder it is the third picture,
    as long as the directions stay at zero.
    """

    def __init__(self, model, images: Images | Tensor, dims: int = 6):
        super().__init__()
        pixels = _pixels(images)
        self.autoencoder = model
        self.codes = _encode(model, pixels)  # (N, latent_dim)
        self.directions, self.deviations = _directions(self.codes, dims)
        self.images = to_unit(pixels[:CHOICES]).float().cpu()
        shape = self.images.shape[1:]
        self.blends = _decode(model, self.codes[:CHOICES], shape)  # or complain now
        self.terms = self.codes[:CHOICES]  # and the means of classes below them
        names = [(name, i) for i, name in enumerate(_names(images))]
        means = _class_means(images)
        for rows in means.values():
            self.terms = torch.cat([self.terms, self.codes[rows].mean(0)[None]])
            mean = _decode(model, self.codes[rows], shape).mean(0)
            self.blends = torch.cat([self.blends, mean[None]])
        terms = names + [(text, len(names) + i) for i, text in enumerate(means)]

        total = self.codes.var(dim=0, correction=0).sum()
        words = "standard deviations along a principal direction of the code"
        self.sliders = tuple(
            slider(f"direction {i} ({share:.0%})", words, 0.0, -REACH, REACH, 0.25)
            for i, share in enumerate(self.deviations.square() / total, start=1)
        )
        self.choice = choice("image", "the image to start from", names)
        self.other = choice("other image", "the image to go to", names)
        self.way = slider("way to it", "0 here, 1 there", 0.0, 0.0, 1.0, 0.05)
        self.plus = choice("plus", "whose code is added", terms)
        self.minus = choice("minus", "whose code is taken away", terms)
        self.times = slider("times", "share of the difference", 0.0, 0.0, 2.0, 0.1)
        self.other.value = self.plus.value = 1
        self.reset = widgets.Button(description="Reset all sliders")
        explain(self.reset, "turn all sliders back to zero")
        pictures = [self.picture(SIDE) for _ in range(4)]
        self.original, self.decoded, self.moved, self.blend = pictures
        captions = ["image", "its code, decoded", "moved code, decoded"]
        captions += ["the same in pixels"]
        columns = map(captioned, captions, pictures)
        mixed = [self.other, self.way, self.plus, self.minus, self.times]
        self.children = [
            widgets.HBox([self.choice, self.reset], layout=WRAP),
            widgets.HBox(
                [widgets.VBox(self.sliders), widgets.VBox(mixed)], layout=WRAP
            ),
            widgets.HBox(list(columns), layout=WRAP),
            self.message,
        ]
        self._resetting = False
        self.choice.observe(self._choose, "value")
        self.reset.on_click(self._reset)
        for control in (*self.sliders, *mixed):
            control.observe(self._move, "value")
        self._choose()

    def mix(self, own: Tensor, terms: Tensor) -> Tensor:
        """Mix codes, or images, as the sliders say: own is (24, ...), terms has more.

        (1 - t) a + t b + s (p - m), with t and s the two sliders.
        """
        t, s = self.way.value, self.times.value
        a, b = own[self.choice.value], own[self.other.value]
        return (
            (1 - t) * a + t * b + s * (terms[self.plus.value] - terms[self.minus.value])
        )

    def code(self) -> Tensor:
        """Return the moved code (1, latent_dim): that of the image at zero."""
        steps = torch.tensor([slider.value for slider in self.sliders])
        offset = (steps * self.deviations) @ self.directions  # (latent_dim,)
        return self.mix(self.codes, self.terms)[None] + offset

    def _choose(self, change=None) -> None:
        with self.explained():
            i = self.choice.value
            name = self.choice.label
            self.original.show(png(self.images[i]), f"image {name}")
            x_hat = _decode(
                self.autoencoder, self.codes[i][None], self.images.shape[1:]
            )
            self.decoded.show(png(x_hat[0]), f"the code of image {name}, decoded")
        self._move()

    def _move(self, change=None) -> None:
        if self._resetting:
            return
        with self.explained():
            x_hat = _decode(self.autoencoder, self.code(), self.images.shape[1:])
            self.moved.show(png(x_hat[0]), "the moved code, decoded")
            blend = self.mix(self.blends, self.blends)
            self.blend.show(png(blend), "the same mixture of decoded images")

    def _reset(self, button=None) -> None:
        self._resetting = True  # one new picture at the end, and not one per slider
        for control in (*self.sliders, self.way, self.times):
            control.value = 0.0
        self._resetting = False
        self._move()


def _names(images: Images | Tensor) -> Sequence[str]:
    """Name the images to choose from: number, and class where it is known."""
    count = min(len(images), CHOICES)
    if not isinstance(images, Images):
        return [str(i) for i in range(count)]
    labels = images.labels[:count].tolist()
    return [f"{i}: {images.classes[label]}" for i, label in enumerate(labels)]


def _class_means(images: Images | Tensor) -> dict[str, Tensor]:
    """Say which of the first images to average for each class that they show."""
    if not isinstance(images, Images):
        return {}
    labels = images.labels[:OF_CLASSES]
    return {
        f"mean {images.classes[label]}": (labels == label).nonzero()[:, 0]
        for label in labels.unique().tolist()
    }


def _pixels(images: Images | Tensor) -> Tensor:
    pixels = getattr(images, "pixels", images)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) < 2:
        raise ValueError(
            "expected two or more images, Images or a tensor (N, C, H, W), got "
            f"{shape_of(pixels)}"
        )
    if pixels.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {pixels.shape[1]}")
    to_unit(pixels[:1])  # complains about a type or range that is no image
    return pixels


@contextmanager
def _evaluating(model) -> Iterator[torch.device]:
    """Switch off gradients and training mode for a while; yield the model's device."""
    modes, device = [], torch.device("cpu")
    if isinstance(model, nn.Module):
        modes = [(part, part.training) for part in model.modules()]
        device = next((p.device for p in model.parameters()), device)
        model.eval()
    try:
        with torch.no_grad():
            yield device
    finally:
        for part, training in modes:
            part.training = training


def _encode(model, pixels: Tensor) -> Tensor:
    """Return the codes (N, latent_dim) on the CPU, or raise ValueError."""
    for method in ("encode", "decode"):
        if not callable(getattr(model, method, None)):
            raise ValueError(
                f"the model must have encode and decode, {type(model).__name__} has "
                f"no {method}; ae_lib.models and ae_lib.baselines.PCA have both"
            )
    with _evaluating(model) as device:
        try:
            parts = [
                model.encode(to_unit(part).float().to(device))
                for part in pixels.split(BATCH)
            ]
        except RuntimeError as error:
            raise ValueError(
                f"the model cannot encode images {tuple(pixels.shape[1:])}: {error}"
            ) from error
    if not isinstance(parts[0], Tensor) or parts[0].ndim != 2:
        raise ValueError(
            f"encode must return one tensor (N, latent_dim), got {shape_of(parts[0])}"
        )
    codes = torch.cat(parts).float().cpu()
    if not codes.isfinite().all():
        raise ValueError("the codes hold NaN or infinity: did the training diverge?")
    return codes


def _directions(codes: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    most = min(codes.shape[1], len(codes) - 1)
    if not 1 <= dims <= most:
        raise ValueError(
            f"dims must be from 1 to {most} for {len(codes)} codes of "
            f"{codes.shape[1]} numbers, got {dims}"
        )
    directions, deviations = principal_directions(codes, dims)
    # What float32 leaves when a constant is subtracted is not a direction.
    if deviations[0] <= 1e-6 * codes.abs().max():
        raise ValueError("the code is the same for every image: nothing can be moved")
    return directions, deviations


def _decode(model, z: Tensor, shape: Sequence[int]) -> Tensor:
    """Return decoded images (N, C, H, W) on the CPU, or raise ValueError."""
    with _evaluating(model) as device:
        try:
            x_hat = model.decode(z.to(device))
        except RuntimeError as error:
            raise ValueError(f"the model cannot decode: {error}") from error
    if not isinstance(x_hat, Tensor) or x_hat.shape[1:] != torch.Size(shape):
        want = ", ".join(map(str, shape))
        raise ValueError(f"decode must return (N, {want}), got {shape_of(x_hat)}")
    return x_hat.float().cpu()
