"""Weights on disk: written atomically, loaded without running code.

A model file is safetensors with the name and the arguments of its class in the header.
A checkpoint holds everything `fit` needs to go on as if it had never stopped.
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ae_lib.atomic import write_atomically
from ae_lib.models import MODELS


def save_model(model: nn.Module, path: str | os.PathLike) -> Path:
    """Save weights and configuration of a model of `ae_lib.models` as safetensors."""
    name = type(model).__name__
    if MODELS.get(name) is not type(model):
        raise ValueError(
            f"only the models of ae_lib.models can be saved with their configuration, "
            f"got {name}; for your own, use safetensors.torch.save_model"
        )
    header = {
        "model": name,
        "latent_dim": str(model.latent_dim),
        "image_shape": json.dumps(model.image_shape),
    }
    weights = {
        key: value.detach().cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    with write_atomically(path) as part:
        save_file(weights, part, metadata=header)
    return Path(path)


def load_model(path: str | os.PathLike) -> nn.Module:
    """Load a model that `save_model` wrote, on the CPU and in evaluation mode.

    `path` is the file, or the folder that `ae_lib.train` wrote. The model takes and
    returns float images (N, C, H, W) in [0, 1].
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"no model file at {path}; ae_lib.train and save_model write one. The "
            "state that fit keeps in last.pt and best.pt is read by load_checkpoint: "
            'model.load_state_dict(load_checkpoint(".../best.pt")["model"])'
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file: {error}"
        ) from None
    if header.get("model") not in MODELS:
        raise ValueError(
            f"{path} names no model of ae_lib.models in its header, got "
            f"{header.get('model')!r}; save it with ae_lib.checkpoints.save_model"
        )
    shape = tuple(json.loads(header["image_shape"]))
    model = MODELS[header["model"]](int(header["latent_dim"]), shape)
    model.load_state_dict(weights)
    return model.eval()


def save_checkpoint(state: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a training state of tensors, numbers, strings, lists and dicts."""
    with write_atomically(path) as part:
        torch.save(state, part)
    return Path(path)


def load_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a training state to the CPU; no code in the file is executed.

    Raises ValueError when the file is damaged or holds more than a training state.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, LookupError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path} is no checkpoint, or a damaged one; delete it to start anew "
            f"({type(error).__name__})"
        ) from error
