"""A run as the doctor would watch it: a page after every epoch.

    book = Logbook(validation)
    for epoch in range(12):
        ...                  # your own loop
        book.note(model)

`plots.run_pages(book)` shows some of the pages, `ae_lib.explore.explore_runs` all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ae_lib.data import Images, to_unit
from ae_lib.doctor.trace import Tracer, spread
from ae_lib.doctor.units import silent_units

LOOKED_AT = 200  # images that each page is measured on: a fraction of a second
SHOWN = 8  # of them in pictures


@dataclass(frozen=True)
class Layer:
    """What the doctor measures of one layer.

    `signal` is the standard deviation across images over the root mean square: 0 when
    every image gives the same. `dead` is the share of units of which that is true; in
    maps (N, C, H, W) a unit is a channel.
    """

    name: str
    signal: float
    dead: float


@dataclass(frozen=True)
class Page:
    """The state of a network after an epoch, measured on the images of the logbook.

    `error` is the MSE; `x_hat` (n, C, H, W) are the first reconstructions in [0, 1];
    `codes` (N, latent_dim) is what the narrowest layer with weights puts out, and
    `code` is that layer.
    """

    error: float
    x_hat: Tensor
    codes: Tensor
    code: Layer
    layers: tuple[Layer, ...]


class Logbook:
    """Keep one page per epoch of a run, all on the same images.

    `images` are Images or (N, C, H, W), uint8 or in [0, 1]; the first 200 are used.
    `baselines` maps names to mean squared errors to compare with; the mean of the
    images themselves is always among them.
    """

    def __init__(
        self, images: Images | Tensor, baselines: Mapping[str, float] | None = None
    ):
        pixels = getattr(images, "pixels", images)
        if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) < 2:
            got = tuple(pixels.shape) if isinstance(pixels, Tensor) else type(pixels)
            raise ValueError(
                "expected two or more images, Images or a tensor (N, C, H, W), got "
                f"{got}"
            )
        self.x = to_unit(pixels[:LOOKED_AT]).cpu()  # (N, C, H, W)
        self.mean_error = self.x.var(dim=0, correction=0).mean().item()
        self.baselines = {"mean image": self.mean_error, **(baselines or {})}
        self.pages: list[Page] = []

    def __len__(self) -> int:
        return len(self.pages)

    @torch.no_grad()
    def note(self, model: nn.Module) -> Page:
        """Add a page: look at the model in evaluation mode, and leave it as it was."""
        modes = [(part, part.training) for part in model.modules()]
        device = next((p.device for p in model.parameters()), "cpu")
        model.eval()
        try:
            with Tracer(model, len(self.x)) as tracer:
                x_hat = model(self.x.to(device)).float().cpu()
        finally:
            for part, training in modes:
                part.training = training
        if x_hat.shape != self.x.shape:
            raise ValueError(
                f"the model must return {tuple(self.x.shape)}, got {tuple(x_hat.shape)}"
            )
        weighted = [op for op in tracer.ops if op.weighted]
        if not weighted:
            raise ValueError("the model has no layer with weights that could be found")
        narrow = min(weighted, key=lambda op: op.width)  # the first of the narrowest
        layers = [_layer(op) for op in tracer.ops if op.weighted or op.bends]
        page = Page(
            error=(x_hat - self.x).square().mean().item(),
            x_hat=x_hat[:SHOWN].nan_to_num(0, 1, 0).clamp(0, 1),
            codes=narrow.out.detach().flatten(1).float().cpu(),
            code=_layer(narrow),
            layers=tuple(layers),
        )
        self.pages.append(page)
        return page

    def relative(self, epoch: int) -> float:
        """Return the error after an epoch as a multiple of the mean image's."""
        return self.pages[epoch - 1].error / max(self.mean_error, 1e-30)

    def say(self, epoch: int) -> str:
        """Sum a page up in a sentence."""
        page = self.pages[epoch - 1]
        stuck = max(page.layers, key=lambda layer: layer.dead)
        least = min(
            page.layers, key=lambda q: q.signal if math.isfinite(q.signal) else -1
        )
        return (
            f"Epoch {epoch}: MSE {page.error:.4f}, {self.relative(epoch):.2f} times "
            f"the mean image's. Most dead units: {stuck.dead:.0%} in {stuck.name}. "
            f"Weakest signal: {least.signal:.2g} in {least.name}."
        )


def _layer(op) -> Layer:
    _, constant = silent_units(op.out)
    dead = constant.double().mean().item()
    return Layer(f"{op.where or 'model'} ({op.kind})", spread(op.out), dead)
