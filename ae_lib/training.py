"""Train an autoencoder: `fit`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ae_lib import distributed
from ae_lib.atomic import try_to_write
from ae_lib.data import Images, to_unit
from ae_lib.devices import fast_bf16, pick_device
from ae_lib.history import History
from ae_lib.interrupts import first_ctrl_c
from ae_lib.loop import Loop, NonFiniteLoss
from ae_lib.memory import keep_freed_memory
from ae_lib.recipe import Optimizers, muon_and_adam, one_cycle

__all__ = ["NonFiniteLoss", "fit"]


def fit(
    model: nn.Module,
    images: Images | Tensor,
    *,
    validation: Images | Tensor | None = None,
    epochs: int = 3,
    batch_size: int = 128,
    loss: Callable[..., Tensor] = F.mse_loss,  # of what the model returns, and x
    optimizer: Callable[[nn.Module], Optimizers] = muon_and_adam,
    schedule: Callable[[float], float] = one_cycle,  # factor on every learning rate
    seed: int = 0,  # of the order of the images, and of dropout and the like
    out: str | os.PathLike | None = None,  # folder for last.pt and best.pt
    resume: bool = False,  # go on from last.pt in `out`, if it is there
    watch: int = 8,  # images of each split to reconstruct after each epoch
    device: str | torch.device | None = None,  # default: the fastest one here
    precision: str = "auto",  # "float32", "bf16"; auto: bf16 where that is faster
    verbose: bool = True,  # one line per epoch and a progress bar
    checkup: int = 0,  # let ae_lib.doctor look now and every so many epochs; 0: never
) -> History:
    """Train `model` to reproduce `images`, uint8 (N, C, H, W), and return the history.

    The whole data set lies on the device as uint8 and each batch becomes float in
    [0, 1] there. The model is trained in place and comes back in evaluation mode, on
    the device it was on. The same seed on the same machine gives the same curve, from
    the same first weights: call torch.manual_seed before you build the model.

    Ctrl-C ends training after the current batch and returns the history so far. With
    `out`, the state is saved then and after every epoch, and `resume=True` continues to
    the very curve of an uninterrupted run; without it, what an earlier run left there
    is renamed to last.before.pt and best.before.pt. A NaN or infinite loss puts the
    weights of the last good epoch back and raises NonFiniteLoss. What a checkup finds
    is printed; it changes nothing.

    In processes that `ae_lib.distributed` has joined, each takes its share of each
    batch, and the curve is that of one process, but for rounding.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {value!r}")
    if isinstance(optimizer, Optimizer):
        raise TypeError(
            "optimizer must be a function of the model that returns one or more "
            "optimizers, for example lambda model: torch.optim.Adam(model.parameters())"
        )
    train = _checked(images, model)
    held = None if validation is None else _checked(validation, model)
    if out is not None and distributed.rank() == 0:
        try_to_write(out)  # now, and not after an hour of training
    device = pick_device(device)
    if device.type == "cpu":
        keep_freed_memory()
    home = next(model.parameters()).device
    model.to(device).to(memory_format=torch.channels_last)
    optimizers = _as_list(optimizer(model))
    settings = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    if out is not None or distributed.size() > 1:
        settings |= _fingerprint(model, train, optimizers)
    distributed.check_equal(**settings)
    distributed.make_equal(model)
    loop = Loop(
        model=model,
        train=train.to(device),
        held=None if held is None else held.to(device),
        loss=loss,
        optimizers=optimizers,
        schedule=schedule,
        autocast=_autocast(device, precision),
        folder=None if out is None else Path(out),
        settings=settings,
        verbose=verbose,
        checkup=checkup,
    )
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda), first_ctrl_c() as interrupted:
            torch.manual_seed(seed + distributed.rank())
            loop.watch(watch)
            if resume:
                loop.restore()
            else:
                loop.set_aside()
            with distributed.shared_batch_norm(model):
                loop.run(interrupted)
    finally:
        model.to(home).eval()
    return loop.history


def _fingerprint(model: nn.Module, pixels: Tensor, optimizers: list[Optimizer]) -> dict:
    """Return what a resumed run must have in common with its beginning."""
    kinds = [type(optimizer).__name__ for optimizer in optimizers]
    return {
        "images": len(pixels),
        "checksum": zlib.crc32(pixels.cpu().contiguous().numpy().data),
        "model": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "optimizers": " and ".join(kinds),
    }


def _checked(images: Images | Tensor, model: nn.Module) -> Tensor:
    """Return the pixels, or say why the model cannot be trained on them."""
    pixels = getattr(images, "pixels", images)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or len(pixels) == 0:
        got = tuple(pixels.shape) if isinstance(pixels, Tensor) else type(pixels)
        raise ValueError(
            f"images must be ae_lib.data.Images or a tensor (N, C, H, W) with N >= 1, "
            f"got {got}; ae_lib.data.load returns some"
        )
    expected, got = getattr(model, "image_shape", None), tuple(pixels.shape[1:])
    if expected is not None and got != tuple(expected):
        last = (got[2], *got[:2]) == tuple(expected)
        advice = (
            "permute(0, 3, 1, 2) puts the channels first"
            if last
            else (f"build the model with image_shape={got}")
        )
        raise ValueError(
            f"the model takes images of {tuple(expected)}, these are {got}: {advice}"
        )
    to_unit(pixels[:1] if pixels.dtype == torch.uint8 else pixels)  # complains
    return pixels


def _as_list(optimizers: Optimizers) -> list[Optimizer]:
    return [optimizers] if isinstance(optimizers, Optimizer) else list(optimizers)


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    if precision not in ("auto", "bf16", "float32"):
        raise ValueError(
            f'precision must be "auto", "bf16" or "float32", got {precision!r}'
        )
    on = fast_bf16(device) if precision == "auto" else precision == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)
