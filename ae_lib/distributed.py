"""Several processes that train one model, on one machine or many.

torchrun starts them, `joined` connects them, and `fit` then divides each batch among
them. A process works on its share of every batch, and gradients are added up, so that
all make the same step: the batch size is that of the job, not of a process. Batch norm
takes its mean and variance over the whole batch. The curve is that of one process, but
for rounding; a model that draws random numbers (dropout) draws others in each process.

    torchrun --nproc-per-node 2 -m ae_lib.train --out runs/200
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

PATIENCE = timedelta(minutes=10)  # with a process that does not answer


class ProcessLost(RuntimeError):
    """Another process of the job has ended or does not answer."""


def size() -> int:
    """Return the number of processes of this job: 1 unless they have been joined."""
    return dist.get_world_size() if _active() else 1


def rank() -> int:
    """Return the number of this process, from 0: process 0 writes and prints."""
    return dist.get_rank() if _active() else 0


def _active() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def joined(device: str | torch.device) -> Iterator[None]:
    """Connect the processes that torchrun started; do nothing without torchrun.

    On CUDA each takes the card of its number on its machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or _active():
        yield
        return
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    before = signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        dist.destroy_process_group()


def _told_to_stop(number: int, frame: Any) -> None:
    """Say why: torchrun may notice a lost process before the others do."""
    raise ProcessLost(f"process {rank()} of {size()} lost another one, or was stopped")


def share(rows: Tensor) -> Tensor:
    """Return this process's part of the rows: consecutive, as equal as can be."""
    return rows.tensor_split(size())[rank()]


def add_up(*tensors: Tensor) -> None:
    """Replace the tensors, float and on one device, by their sums over all processes.

    One message carries them all. Every process gets the same sums, to the last bit.
    """
    if size() == 1:
        return
    message = torch.cat([tensor.flatten().float() for tensor in tensors])
    _all_reduce(message)
    for tensor, part in zip(
        tensors, message.split([tensor.numel() for tensor in tensors]), strict=True
    ):
        tensor.copy_(part.view(tensor.shape))


def _all_reduce(message: Tensor) -> None:
    try:
        dist.all_reduce(message)
    except RuntimeError as error:  # gloo says so at once; nccl ends the process
        raise ProcessLost(
            f"process {rank()} of {size()} lost another one, which was killed or does "
            f"not answer ({str(error).splitlines()[0]})"
        ) from error


def add_gradients(model: nn.Module, *more: Tensor) -> None:
    """Add up the gradients over all processes, and `more` tensors with them."""
    if size() == 1:
        return
    wanted = [p for p in model.parameters() if p.requires_grad]
    for parameter in wanted:  # the message must look the same everywhere
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    add_up(*(p.grad for p in wanted if p.grad is not None), *more)


def from_first(value: Any) -> Any:
    """Return the value that process 0 has: a state, a number, a string."""
    if size() == 1:
        return value
    box = [value if rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def make_equal(model: nn.Module) -> None:
    """Give all processes the weights of process 0."""
    if size() > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def check_equal(**values: Any) -> None:
    """Raise ValueError in all processes unless all have the same values."""
    if size() == 1:
        return
    found: list[Any] = [None] * size()
    dist.all_gather_object(found, values)
    for number, other in enumerate(found):
        for name, value in other.items():
            if value != found[0][name]:
                raise ValueError(
                    f"process {number} has {name}={value} and process 0 has "
                    f"{found[0][name]}: all must be given the same model, images and "
                    "settings"
                )


# ----------------------------------------------------------------------- batch norm


class _Sum(torch.autograd.Function):
    """Add up over the processes, forward and backward."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        total = x.clone()
        _all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        _all_reduce(total)
        return total


@contextmanager
def shared_batch_norm(model: nn.Module) -> Iterator[None]:
    """Let the batch norms of `model` see the whole batch while the block runs.

    torch.nn.SyncBatchNorm does so on CUDA only.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    norms = norms if size() > 1 else []
    for norm in norms:  # on the object, which nn.Module allows and types do not
        norm.forward = partial(_batch_norm, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward  # the method of the class shows again


def _batch_norm(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Do what norm(x) does, with mean and variance over all processes."""
    if not norm.training or norm.momentum is None:
        return type(norm).forward(norm, x)
    values = x.float()
    shape = [1, -1] + [1] * (x.ndim - 2)  # (1, C, 1, 1)
    axes = [0, *range(2, x.ndim)]
    count = torch.full((1,), x.numel() / x.shape[1], device=x.device)
    sums = _Sum.apply(torch.cat([values.sum(axes), count]))
    n = sums[-1].detach()
    mean = sums[:-1] / n
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes)) / n
    if norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(variance * n / (n - 1), norm.momentum)
    y = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        y = y * norm.weight.view(shape) + norm.bias.view(shape)
    return y.to(x.dtype)
