"""Explore a code by hand: sliders move it, and its image is decoded at once.

Runs in JupyterLab and, with ipywidgets 7.7, in Google Colab. The sliders stand for
the principal directions of the code and not for its single numbers: those have no
meaning that the training defines.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor, nn

from ae_lib.data import Images, to_unit

try:
    import ipywidgets as widgets
except ImportError as error:
    raise ImportError(
        "ae_lib.explore needs ipywidgets, which is not installed; "
        "run: python -m pip install ipywidgets"
    ) from error

CHOICES = 24  # images to choose from: as many as a list shows without scrolling far
SIDE = 160  # pixels on the screen for one image, or a little less
REACH = 3.0  # standard deviations to either side: further out there are no images
BATCH = 500


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
    What cannot be explored gives a line of text that says why, and no traceback;
    `Explorer` raises a ValueError instead.
    """
    try:
        return Explorer(model, images, dims)
    except ValueError as error:
        return widgets.HTML(_sentence(f"Nothing to explore: {error}"))


class Explorer(widgets.VBox):
    """Show an image, what its code decodes to, and what a moved code decodes to."""

    def __init__(self, model, images: Images | Tensor, dims: int = 6):
        super().__init__()
        pixels = _pixels(images)
        self.autoencoder = model
        self.codes = _encode(model, pixels)  # (N, latent_dim)
        self.directions, self.deviations = _directions(self.codes, dims)
        self.images = to_unit(pixels[:CHOICES]).float().cpu()
        _decode(model, self.codes[:1], self.images.shape[1:])  # or complain now

        total = self.codes.var(dim=0, correction=0).sum()
        self.sliders = tuple(
            _slider(f"direction {i} ({share:.0%})")
            for i, share in enumerate(self.deviations.square() / total, start=1)
        )
        self.choice = widgets.Dropdown(
            options=[(name, i) for i, name in enumerate(_names(images))],
            value=0,
            description="image",
        )
        self.reset = widgets.Button(description="Reset all directions")
        # A size that is fixed, or a narrow window squeezes each picture differently.
        size = f"{SIDE}px"
        fixed = {"width": size, "min_width": size}
        self.original, self.decoded, self.moved = (
            widgets.Image(format="png", layout=fixed) for _ in range(3)
        )
        self.message = widgets.HTML()
        captions = ["image", "its code, decoded", "moved code, decoded"]
        pictures = [self.original, self.decoded, self.moved]
        columns = [
            widgets.VBox([widgets.Label(text), picture], layout={"flex": "0 0 auto"})
            for text, picture in zip(captions, pictures, strict=True)
        ]
        wrap = {"flex_flow": "row wrap"}  # below each other in a narrow window
        self.children = [
            widgets.HBox([self.choice, self.reset], layout=wrap),
            widgets.HBox([widgets.VBox(self.sliders), *columns], layout=wrap),
            self.message,
        ]
        self._resetting = False
        self.choice.observe(self._choose, "value")
        self.reset.on_click(self._reset)
        for slider in self.sliders:
            slider.observe(self._move, "value")
        self._choose()

    def code(self) -> Tensor:
        """Return the moved code (1, latent_dim): that of the image at zero."""
        steps = torch.tensor([slider.value for slider in self.sliders])
        offset = (steps * self.deviations) @ self.directions  # (latent_dim,)
        return self.codes[self.choice.value][None] + offset

    def _choose(self, change=None) -> None:
        with self._explained():
            z = self.codes[self.choice.value][None]
            shape = self.images.shape[1:]
            self.original.value = png(self.images[self.choice.value])
            self.decoded.value = png(_decode(self.autoencoder, z, shape)[0])
        self._move()

    def _move(self, change=None) -> None:
        if self._resetting:
            return
        with self._explained():
            shape = self.images.shape[1:]
            x_hat = _decode(self.autoencoder, self.code(), shape)
            self.moved.value = png(x_hat[0])

    def _reset(self, button=None) -> None:
        self._resetting = True  # one new picture at the end, and not one per slider
        for slider in self.sliders:
            slider.value = 0.0
        self._resetting = False
        self._move()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Show what went wrong: an exception in a callback would be seen by nobody."""
        try:
            yield
            self.message.value = ""
        except Exception as error:
            name = type(error).__name__
            self.message.value = _sentence(f"This cannot be drawn. {name}: {error}")


def png(image: Tensor, side: int = SIDE) -> bytes:
    """Write an image (C, H, W) as PNG, each pixel a square, `side` large at most.

    Values outside [0, 1] are clipped. Images larger than `side` keep their size.
    """
    if not image.isfinite().all():
        raise ValueError("the decoded image holds NaN or infinity")
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


def _slider(name: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=0.0,
        min=-REACH,
        max=REACH,
        step=0.25,
        description=name,
        readout_format="+.2f",
        style={"description_width": "130px"},
        layout={"width": "350px"},
    )


def _names(images: Images | Tensor) -> Sequence[str]:
    """Name the images to choose from: number, and class where it is known."""
    count = min(len(images), CHOICES)
    if not isinstance(images, Images):
        return [str(i) for i in range(count)]
    labels = images.labels[:count].tolist()
    return [f"{i}: {images.classes[label]}" for i, label in enumerate(labels)]


def _pixels(images: Images | Tensor) -> Tensor:
    pixels = getattr(images, "pixels", images)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) < 2:
        raise ValueError(
            "expected two or more images, Images or a tensor (N, C, H, W), got "
            f"{_shape(pixels)}"
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
            f"encode must return one tensor (N, latent_dim), got {_shape(parts[0])}"
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
        raise ValueError(f"decode must return (N, {want}), got {_shape(x_hat)}")
    return x_hat.float().cpu()


def _shape(value) -> str:
    """Say what came: the shape of a tensor, the type of anything else."""
    return str(tuple(value.shape) if isinstance(value, Tensor) else type(value))


def _sentence(text: str) -> str:
    return f"<b>{html.escape(text)}</b>"
