"""Weights on disk: written atomically, loaded without running code.

A model file is safetensors with the name and the arguments of its class in the header.
A checkpoint holds everything `fit` needs to go on as if it had never stopped.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

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
    content = save(weights, metadata=header)
    with write_atomically(path) as part:
        part.write_bytes(content)  # OSError on a full disk; save_file has its own error
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
    name = header["model"]
    try:
        arguments = int(header["latent_dim"]), tuple(json.loads(header["image_shape"]))
        with torch.device("meta"):  # without memory: a false header may ask for much
            planned = MODELS[name](*arguments).state_dict()
        if _shapes(planned) != _shapes(weights):
            raise ValueError("other weights")
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} does not hold the weights of the {name} that its header "
            "describes; save it anew with ae_lib.checkpoints.save_model"
        ) from error
    model = MODELS[name](*arguments)
    model.load_state_dict(weights)
    return model.eval()


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in weights.items()}


def save_checkpoint(state: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a training state of tensors, numbers, strings, lists and dicts."""
    content = io.BytesIO()
    torch.save(state, content)  # to a full disk it raises RuntimeError, not OSError
    with write_atomically(path) as part:
        part.write_bytes(content.getbuffer())
    return Path(path)


def load_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a training state to the CPU; no code in the file is executed.

    Raises ValueError when the file is damaged or holds more than a training state.
    """
    content = io.BytesIO(Path(path).read_bytes())  # its OSError names file and reason
    try:
        state = torch.load(content, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"a {type(state).__name__} is no training state")
        return state
    except Exception as error:  # damaged pickles raise whatever they stumble over
        raise ValueError(
            f"{path} is no checkpoint, or a damaged one; delete it to start anew "
            f"({type(error).__name__})"
        ) from error
