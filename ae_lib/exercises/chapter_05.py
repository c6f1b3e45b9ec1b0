"""The checks of chapter 05: an epoch of training, and one of validation."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ae_lib.exercises.judge import Wrong, compare, expect, hint, number, show

SIZE, LEFT = 4, 2  # batches of 4, 4 and 2 images


class _Watched(nn.Module):
    """A small autoencoder that notes in which mode it is called."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Dropout(0.5))
        self.seen = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_grad_enabled(), len(x)))
        return self.inner(self.norm(x)).view_as(x)


class _Plain(_Watched):
    """The same without the parts that care about the mode."""

    def __init__(self):
        super().__init__()
        self.norm, self.inner[2] = nn.Identity(), nn.Identity()


def _images() -> Tensor:
    """Return 10 images (10, 1, 2, 2), the last two much harder than the others."""
    x = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    x[-LEFT:] += 2
    return x


def _train(model: nn.Module, x: Tensor, clear: bool = True) -> list[float]:
    """Train for one epoch with plain steps; return the loss of each batch."""
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.05), []
    for batch in x.split(SIZE):
        loss = F.mse_loss(model(batch), batch)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@hint("1.6, and not 2, for losses of 1, 1 and 4 in batches of 4, 4 and 2 images")
def check_1(
    train_epoch: Callable[[nn.Module, Optimizer, Tensor, int], float],
) -> str:
    """Hold train_epoch(model, optimizer, x, batch_size) to the loop of the chapter."""
    x, start = _images(), _Plain()
    model, right, piled, short = (copy.deepcopy(start) for _ in range(4))
    losses = _train(right, x)
    _train(piled, x, clear=False)
    _train(short, x[:-LEFT])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model.eval()
    value = train_epoch(model, optimizer, x.clone(), SIZE)
    seen = [n for _, _, n in model.seen]
    expect(seen, "the model was never called")
    expect(
        max(seen) <= SIZE,
        f"a batch of {max(seen)} images came by; they should have {SIZE}",
    )
    expect(
        sum(seen) >= len(x),
        f"{sum(seen)} of {len(x)} images were shown: the last, smaller batch is "
        "missing",
    )
    expect(
        all(training for training, _, _ in model.seen),
        "the model came in evaluation mode and stayed in it; call model.train() first",
    )
    moved = _weights(model)
    if torch.equal(moved, _weights(start)):
        raise Wrong(
            "no weight has moved: backward() fills the gradients, step() moves the "
            "weights, and zero_grad() between the two empties them again"
        )
    weights = {
        "the gradients of old batches add up: optimizer.zero_grad() is missing": (
            _weights(piled)
        ),
        "the last, smaller batch moved no weight": _weights(short),
    }
    text = "the weights end elsewhere than after one step of the mean squared error for"
    compare(moved, _weights(right), weights, f"{text} each batch, in the order given")
    _hold_mean(value, losses, x)
    return "the loss of an epoch does not depend on how its images fell into batches"


def _hold_mean(value: object, losses: list[float], x: Tensor) -> None:
    """Raise Wrong unless a value is the mean of the losses over all samples."""
    if isinstance(value, Tensor) and value.requires_grad:
        raise Wrong(
            "the loss still holds the graph of its batch, and a list of them fills the "
            "memory; take its number with .item()"
        )
    value = number(value, "the loss")
    sizes = [len(batch) for batch in x.split(SIZE)]
    total = sum(loss * n for loss, n in zip(losses, sizes, strict=True))
    mistakes = {
        f"the {len(sizes)} batches count alike, though the last has {LEFT} images and "
        f"the others {SIZE}; weight each loss by its images": sum(losses) / len(losses),
        "the error is averaged over the batch twice: each loss is a mean already, and "
        "their sum is divided by the number of images": sum(losses) / len(x),
        "the sum over the images is not divided by their number": total,
        "the losses of the batches are added up; you want their mean over the "
        "images": sum(losses),
        "the last, smaller batch is added up but not counted; len(x) // batch_size "
        "leaves it out": sum(losses) / (len(x) // SIZE),
        "that is the loss of the last batch alone": losses[-1],
        "the loss of each batch was divided by its size, though it is a mean "
        "already": sum(a / n for a, n in zip(losses, sizes, strict=True)),
        f"the sum is divided by batches times {SIZE}, more images than there are": total
        / (SIZE * len(sizes)),
    }
    compare(value, total / len(x), mistakes, "the loss is off")


@hint("the same loss at each call, and each part of the model in the mode it came in")
def check_2(validate: Callable[[nn.Module, Tensor, int], float]) -> str:
    """Hold validate(model, x, batch_size) to a mean that leaves no trace."""
    x = _images()
    model = _Watched()
    with torch.no_grad():
        model.norm.running_mean += 0.5
    model.norm.eval()  # one part is frozen, as in a network that is being adapted
    frozen, before = [m.training for m in model.modules()], copy.deepcopy(model)
    value = validate(model, x.clone(), SIZE)
    expect(model.seen, "the model was never called")
    expect(
        not any(training for training, _, _ in model.seen),
        "the model measures in training mode: its dropout is at work, and its batch "
        "normalisation follows the validation images. Call model.eval() first",
    )
    expect(
        not any(grad for _, grad, _ in model.seen),
        "gradients are recorded, which costs memory and time; put it under "
        "torch.no_grad()",
    )
    expect(
        torch.equal(model.norm.running_mean, before.norm.running_mean),
        "the batch normalisation has followed the validation images; all parts must "
        "be in evaluation mode",
    )
    images = sum(n for _, _, n in model.seen)
    expect(
        images == len(x),
        f"{images} of {len(x)} images were measured: is the last, smaller batch left "
        "out?",
    )
    before.eval()
    with torch.no_grad():
        losses = [F.mse_loss(before(b), b).item() for b in x.split(SIZE)]
    _hold_mean(value, losses, x)
    modes = [m.training for m in model.modules()]
    expect(
        any(modes),
        "the model came in training mode and is left in evaluation mode: the next "
        "epoch would train without dropout",
    )
    expect(
        modes == frozen,
        "a frozen part came in evaluation mode and is left in training mode: "
        "model.train() switches all parts. Note each part's mode, and put it back",
    )
    model.eval()
    validate(model, x.clone(), SIZE)
    expect(
        not any(m.training for m in model.modules()),
        "the model came in evaluation mode and is left in training mode",
    )
    value = number(value, "the loss")
    again = number(validate(model, x.clone(), SIZE), "the loss")
    expect(value == again, f"two calls differ: {show(value)} and {show(again)}")
    return "you may call it at any moment of a training, and nothing changes"
