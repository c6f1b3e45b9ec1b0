"""A trained network for programs without PyTorch: an ONNX file that was tried out."""

from __future__ import annotations

import copy
import importlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ae_lib.atomic import write_atomically

NEEDED = ("onnx", "onnxscript", "onnxruntime")
# part -> what it is called with, its input and its output
PARTS = {
    "whole": ("forward", "x", "x_hat"),
    "encode": ("encode", "x", "z"),
    "decode": ("decode", "z", "x_hat"),
}
RANGE = "float32 (batch, channels, height, width) in [0, 1], channels red, green, blue"


class _Part(nn.Module):
    """Make a method of a model the one that is called."""

    def __init__(self, model: nn.Module, method: str):
        super().__init__()
        self.model, self.method = model, method

    def forward(self, given: Tensor) -> Tensor:
        answer = getattr(self.model, self.method)(given)
        return answer[0] if isinstance(answer, tuple) else answer


def to_onnx(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    part: str = "whole",
    image_shape: tuple[int, int, int] | None = None,
    tolerance: float = 1e-4,
) -> Path:
    """Write a model, its encoder or its decoder as one ONNX file, after a trial.

    `part` is "whole" (x to x_hat), "encode" (x to z) or "decode" (z to x_hat); batches
    may have any size. `image_shape` is the model's own unless given. The file is read
    by onnxruntime and must answer batches of 1 and of 3 as the model does in
    evaluation mode, to `tolerance` of the largest answer, otherwise ValueError, and
    nothing is written. The model is left as it is. Takes about 10 s.
    """
    onnx, onnxruntime = _tools()
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    shape = image_shape or getattr(model, "image_shape", None)
    if shape is None:
        raise ValueError(
            "say image_shape=(channels, height, width): the model does not"
        )
    method, given, answered = PARTS[part]
    frozen = copy.deepcopy(model).cpu().eval()
    random = torch.Generator().manual_seed(0)
    x = torch.rand(3, *shape, generator=random)
    with torch.no_grad():
        if part == "decode":
            x = _Part(frozen, "encode")(x)
        called = _Part(frozen, method).eval()
        program = torch.onnx.export(
            called,
            (x,),
            dynamo=True,
            input_names=[given],
            output_names=[answered],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        assert program is not None  # as it is where the exporter writes a file
        content = _described(onnx, program.model_proto, shape)
        session = _session(onnxruntime, content)
        for batch in (x, x[:1]):
            (got,) = session.run(None, {given: batch.numpy()})
            wanted = called(batch)
            far = (torch.from_numpy(got) - wanted).abs().max().item()
            if not far <= tolerance * max(1.0, wanted.abs().max().item()):
                raise ValueError(
                    f"the exported {part} differs by {far:.2g} from the model, allowed "
                    f"is {tolerance:.2g}: nothing was written"
                )
    with write_atomically(path) as file:
        file.write_bytes(content)
    return Path(path)


def _tools() -> list[Any]:
    try:
        for name in NEEDED:
            importlib.import_module(name)
        return [importlib.import_module(name) for name in ("onnx", "onnxruntime")]
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs {', '.join(NEEDED)}; {error.name} is not installed; "
            f"run: python -m pip install {' '.join(NEEDED)}"
        ) from error


def _described(onnx: Any, proto: Any, shape: tuple[int, ...]) -> bytes:
    """Return the bytes of a model that says what images it takes."""
    about = {"image_shape": "×".join(map(str, shape)), "images": RANGE}
    onnx.helper.set_model_props(proto, about)
    return proto.SerializeToString()


def _session(onnxruntime: Any, content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more are pinned to cores, which may not be there
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
