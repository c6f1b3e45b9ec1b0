"""Procedural colour images that stand in for CIFAR-10 when it is not at hand.

Each image shows one object on a cloudy background, and everything that was drawn is
known: the class, the position, the colours, the texture, the light and the mask of
the object. The statistics are those of photographs in three respects that matter to
an autoencoder: neighbouring pixels agree (correlation about 0.9), the spectrum falls
off with frequency, and there is fine detail that no short code can hold.

Outlines are signed distances (negative inside, in units of the object's radius),
built from half-planes and circles by minimum and maximum. Colours are chosen in
OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), so that no hue is
brighter than another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CLASSES = tuple(
    "circle square triangle star cross ring crescent heart hexagon arrow".split()
)
TEXTURES = ("plain", "stripes", "checks", "grain")
SPLITS = {"train": 0, "test": 1}
SIZES = {"train": 50_000, "test": 10_000}  # as many as CIFAR-10 has
CHUNK = 250  # images drawn at a time: small enough for the cache of a laptop


@dataclass(frozen=True)
class Shapes:
    """Hold generated images with all that was drawn.

    pixels (N, 3, H, W) uint8; labels (N,) int64, indices into CLASSES; masks
    (N, H, W) bool, True where the centre of a pixel lies inside the object; factors
    maps a name to a tensor (N,), see `generate`.
    """

    pixels: Tensor
    labels: Tensor
    masks: Tensor
    factors: dict[str, Tensor]


def generate(n: int, *, seed: int = 0, split: str = "train", size: int = 32) -> Shapes:
    """Draw n images of size x size pixels; image i does not depend on n.

    Factors: class and texture (int64, indices into CLASSES and TEXTURES); x, y (centre
    from the top left corner) and size (radius), as fractions of the image's side;
    rotation in degrees, -30 to 30, so that it can be read off every class but circle
    and ring; hue and background_hue in [0, 1); texture_strength in [0, 1], 0 for plain;
    light (direction it comes from, in degrees, 0 right, 90 above) and light_strength
    in [0, 1]. The two splits come from different random streams.

    >>> few, more = generate(2), generate(300)
    >>> bool((few.pixels == more.pixels[:2]).all()), CLASSES[few.labels[0]]
    (True, 'crescent')
    """
    if split not in SPLITS:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if n < 1 or size < 8:
        raise ValueError(f"need n >= 1 and size >= 8, got n={n}, size={size}")
    chunks = []
    for start in range(0, n, CHUNK):
        chunk = _draw(_generator(seed, split, start // CHUNK), size)
        chunks.append({name: t[: n - start] for name, t in chunk.items()})
    joined = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
    pixels, masks = joined.pop("pixels"), joined.pop("masks")
    return Shapes(pixels, joined["class"].clone(), masks, joined)


def _generator(seed: int, split: str, chunk: int) -> torch.Generator:
    # torch's CPU generator reads 32 bits of its seed, so the three numbers are mixed.
    mixed = np.random.SeedSequence([seed, SPLITS[split], chunk]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))


def _draw(generator: torch.Generator, size: int) -> dict[str, Tensor]:
    """Draw one chunk: pixels, masks and the factors, by name."""
    f, hidden = _sample_factors(generator)
    coarse, fine = _clouds(generator, size)

    angle = torch.deg2rad(f["light"])
    to_light = torch.stack([angle.cos(), -angle.sin()])  # (2, B), y points down
    u, v = _object_frame(f, size)
    distance = _outlines(f["class"], u, v)  # (B, H, W), in radii
    pixels_per_radius = _wide(f["size"]) * size
    distance_px = distance * pixels_per_radius
    alpha = (0.5 - distance_px).clamp(0, 1)  # one pixel of antialiasing

    # Background: two colours, mixed by a cloud, from blurred to hard-edged.
    mix = torch.sigmoid(_wide(hidden["edge"]) * coarse).unsqueeze(1)  # (B, 1, H, W)
    a, b = hidden["colour_a"], hidden["colour_b"]  # (B, 3)
    image = torch.lerp(a[:, :, None, None], b[:, :, None, None], mix)
    image = image + (_wide(hidden["roughness"]) * fine).unsqueeze(1)

    # The object throws a soft shadow on what lies behind it.
    strength = _wide(f["light_strength"])
    shift = 0.28 * to_light
    shadow = _outlines(f["class"], *_object_frame(f, size, shift))
    shade = 0.55 * strength * torch.sigmoid(-6 * shadow)
    image = image * (1 - shade).unsqueeze(1)

    # Its own surface: a texture, and a rim that is bright towards the light.
    lit = _rim(distance, distance_px, to_light) * (0.25 + 0.75 * strength)
    pattern = _pattern(f["texture"], u, v, pixels_per_radius, hidden["wave"], fine)
    surface = 1 + 0.4 * lit + 0.35 * _wide(f["texture_strength"]) * pattern
    colour = hidden["colour"][:, :, None, None] * surface.unsqueeze(1)
    image = torch.lerp(image, colour, alpha.unsqueeze(1))

    # Light falls off across the picture.
    x, y = _grid(size)
    slope = to_light[0, :, None, None] * (x - 0.5) + to_light[1, :, None, None] * (
        y - 0.5
    )
    image = image * (1 + 0.7 * strength * slope).unsqueeze(1)
    pixels = image.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return {"pixels": pixels, "masks": distance < 0, **f}


def _sample_factors(generator: torch.Generator) -> tuple[dict, dict]:
    """Return the named factors and the unnamed choices of a chunk."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(CHUNK, generator=generator)

    def choice(names: tuple[str, ...]) -> Tensor:
        return torch.randint(len(names), (CHUNK,), generator=generator)

    f = {
        "class": choice(CLASSES),
        "x": uniform(0.3, 0.7),
        "y": uniform(0.3, 0.7),
        "size": uniform(0.22, 0.4),
        "rotation": uniform(-30, 30),
        "hue": uniform(0, 1),
        "background_hue": uniform(0, 1),
        "texture": choice(TEXTURES),
        "texture_strength": uniform(0.3, 1),
        "light": uniform(0, 360),
        "light_strength": uniform(0, 1),
    }
    f["texture_strength"][f["texture"] == TEXTURES.index("plain")] = 0
    # The object is lighter or darker than what lies behind it, never the same.
    behind = uniform(0.35, 0.8)
    step = uniform(0.18, 0.4)
    up = torch.rand(CHUNK, generator=generator) < (0.85 - behind) / 0.5
    front = torch.where(up, behind + step, behind - step).clamp(0.25, 0.95)
    split = uniform(-0.2, 0.2)
    second_hue = f["background_hue"] + uniform(-0.15, 0.15)
    hidden = {
        "colour": _oklab(front, uniform(0.07, 0.17), f["hue"]),
        "colour_a": _oklab(behind - split, uniform(0.0, 0.1), f["background_hue"]),
        "colour_b": _oklab(behind + split, uniform(0.0, 0.1), second_hue),
        "edge": uniform(-0.2, 1.8).exp(),
        "roughness": uniform(0.01, 0.09),
        "wave": uniform(4, 9),  # texture's wavelength, pixels at 32 x 32
    }
    return f, hidden


def _oklab(lightness: Tensor, chroma: Tensor, hue: Tensor) -> Tensor:
    """Return sRGB colours (B, 3) in [0, 1]; hue in turns."""
    a = chroma * (2 * math.pi * hue).cos()
    b = chroma * (2 * math.pi * hue).sin()
    cone = torch.tensor(
        [
            [1.0, 0.3963377774, 0.2158037573],
            [1.0, -0.1055613458, -0.0638541728],
            [1.0, -0.0894841775, -1.2914855480],
        ]
    )
    linear = torch.tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    rgb = ((torch.stack([lightness, a, b], 1) @ cone.T) ** 3 @ linear.T).clamp(0, 1)
    return torch.where(rgb < 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


def _clouds(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Return two noise fields (B, H, W), mean 0 and deviation 1 in each image.

    The amplitude falls as 1/f^1.6 in the first and as 1/f in the second.
    """
    f = torch.fft.fftfreq(size)
    radius = (f[:, None] ** 2 + f[None, : size // 2 + 1] ** 2).sqrt()
    radius[0, 0] = math.inf
    fields = []
    for power in (1.6, 1.0):
        white = torch.randn(CHUNK, size, size // 2 + 1, 2, generator=generator)
        spectrum = torch.view_as_complex(white) * radius**-power
        field = torch.fft.irfft2(spectrum, s=(size, size))
        fields.append(field / field.std((1, 2), keepdim=True))
    return fields[0], fields[1]


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None]


def _grid(size: int) -> tuple[Tensor, Tensor]:
    """Return x (1, W) and y (H, 1) of the pixels' centres, as fractions."""
    centres = (torch.arange(size) + 0.5) / size
    return centres[None, :], centres[:, None]


def _object_frame(
    f: dict[str, Tensor], size: int, shift: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return coordinates (B, H, W) where the object has radius 1, turned upright.

    u points right and v up. shift (2, B), in radii, looks that much aside.
    """
    x, y = _grid(size)
    dx = (x - _wide(f["x"])) / _wide(f["size"])  # (B, 1, W)
    dy = (y - _wide(f["y"])) / _wide(f["size"])  # (B, H, 1)
    if shift is not None:
        dx, dy = dx + _wide(shift[0]), dy + _wide(shift[1])
    turn = torch.deg2rad(f["rotation"])
    cos, sin = _wide(turn.cos()), _wide(turn.sin())
    return cos * dx - sin * dy, -(sin * dx + cos * dy)


def _outlines(labels: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return the signed distance (B, H, W) of each image's own class."""
    distance = torch.empty_like(u)
    for label, name in enumerate(CLASSES):
        rows = (labels == label).nonzero().squeeze(1)
        if len(rows):
            distance[rows] = OUTLINES[name](u[rows], v[rows])
    return distance


def _rim(distance: Tensor, distance_px: Tensor, to_light: Tensor) -> Tensor:
    """Return the light on a bevelled rim (B, H, W), -1 to 1, from the normals."""
    gx = torch.gradient(distance_px, dim=2)[0]
    gy = torch.gradient(distance_px, dim=1)[0]
    facing = gx * to_light[0, :, None, None] + gy * to_light[1, :, None, None]
    return facing.clamp_(-1, 1) * torch.exp(4.5 * distance.clamp(-1, 0))


def _pattern(
    texture: Tensor,
    u: Tensor,
    v: Tensor,
    pixels_per_radius: Tensor,
    wave: Tensor,
    grain: Tensor,
) -> Tensor:
    """Return each image's texture (B, H, W), about -1 to 1; plain ones are not 0."""
    k = 2 * math.pi * pixels_per_radius / _wide(wave * u.shape[-1] / 32)
    across = (k * u).sin()
    checks = across * (k * v).sin()
    is_stripes = _wide(texture == TEXTURES.index("stripes"))
    is_grain = _wide(texture == TEXTURES.index("grain"))
    return torch.where(is_grain, 0.7 * grain, torch.where(is_stripes, across, checks))


def _planes(u: Tensor, v: Tensor, count: int, start: float) -> list[Tensor]:
    """Return u, v projected on `count` directions, evenly spaced from start (deg)."""
    angles = [math.radians(start + 360 * k / count) for k in range(count)]
    return [math.cos(t) * u + math.sin(t) * v for t in angles]


def _largest(planes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the largest and the second largest value at each place."""
    first = torch.maximum(planes[0], planes[1])
    second = torch.minimum(planes[0], planes[1])
    for plane in planes[2:]:
        second = torch.maximum(second, torch.minimum(first, plane))
        first = torch.maximum(first, plane)
    return first, second


def _box(u: Tensor, v: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def _disc(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return torch.hypot(u, v) - radius


def _crescent(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(_disc(u + 0.15, v, 1.0), -_disc(u - 0.35, v, 0.8))


def _heart(u: Tensor, v: Tensor) -> Tensor:
    # A square on its tip, and a disc on each of its two upper sides.
    h, v = 0.58, v + 0.12
    tip = (u.abs() + v.abs()) / math.sqrt(2) - h
    return torch.minimum(tip, _disc(u.abs() - h / math.sqrt(2), v - h / 2**0.5, h))


def _arrow(u: Tensor, v: Tensor) -> Tensor:
    head = _largest(_planes(u - 0.2, v, 3, 180))[0] - 0.42
    return torch.minimum(head, _box(u + 0.55, v, 0.5, 0.24))


# A point of a pentagram is outside one of its five sides at most, hence the star.
OUTLINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": lambda u, v: _disc(u, v, 0.9),
    "square": lambda u, v: _box(u, v, 0.78, 0.78),
    "triangle": lambda u, v: _largest(_planes(u, v + 0.2, 3, 30))[0] - 0.58,
    "star": lambda u, v: _largest(_planes(u, v, 5, 54))[1] - 0.4,
    "cross": lambda u, v: torch.minimum(_box(u, v, 0.95, 0.3), _box(u, v, 0.3, 0.95)),
    "ring": lambda u, v: (torch.hypot(u, v) - 0.72).abs() - 0.24,
    "crescent": _crescent,
    "heart": _heart,
    "hexagon": lambda u, v: _largest(_planes(u, v, 6, 30))[0] - 0.82,
    "arrow": _arrow,
}
