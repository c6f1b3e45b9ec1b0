"""Convolutional networks as feature extractors, and a test of what features are worth.

A feature is a number that a network computes of an image. Chapter 01 builds this up
on VGG-16 and on `SmallVGG`, which trains in seconds; `linear_probe` judges the features
of any network, of PCA, or the pixels themselves, all alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.data import Images, epoch_order, to_unit
from ae_lib.devices import fast_bf16, pick_device
from ae_lib.fetch import data_folder
from ae_lib.recipe import one_cycle

PENALTIES = tuple(10.0**power for power in range(-4, 2))  # tried by the linear probe


class SmallVGG(nn.Module):
    """Do to 32×32 images what VGG-16 does to 224×224: six times fewer numbers.

    Four stages of a 3×3 convolution, batch normalisation, ReLU and 2×2 max pooling; the
    channels double from 16 to 128. `features` gives (B, 512), `forward` the logits
    of ten classes. Float images (B, 3, 32, 32) in [0, 1].

    >>> SmallVGG().features(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 512])
    """

    def __init__(self):
        super().__init__()
        widths = [3, 16, 32, 64, 128]
        self.stages = nn.Sequential(*map(_stage, widths, widths[1:]))
        self.head = nn.Linear(128 * 2 * 2, 10)

    def features(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (3, 32, 32):
            raise ValueError(f"expected images (B, 3, 32, 32), got {tuple(x.shape)}")
        return self.stages(x).flatten(1)  # (B, 128, 2, 2) -> (B, 512)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # (B, 10)


def _stage(thin: int, wide: int) -> nn.Module:
    conv = nn.Conv2d(thin, wide, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(wide), nn.ReLU(), nn.MaxPool2d(2))


def train_classifier(
    model: nn.Module, images: Images, *, epochs: int = 6, seed: int = 0
) -> list[float]:
    """Train `model` to name the classes of images; return the mean loss of each epoch.

    Adam at 3e-3 with one cycle, in batches of 128 whose order follows from `seed`;
    bfloat16 where that is faster. The model is trained in place on the fastest device
    and comes back in evaluation mode, on the device it was on.
    """
    device, home = pick_device(), next(model.parameters()).device
    model.to(device).to(memory_format=torch.channels_last).train()
    pixels, labels = images.pixels.to(device), images.labels.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    autocast = torch.autocast(device.type, torch.bfloat16, fast_bf16(device))
    losses = []
    for epoch in range(epochs):
        order = epoch_order(len(images), seed=seed, epoch=epoch).to(device).split(128)
        total = torch.zeros((), device=device)
        for step, rows in enumerate(order):
            rate = 3e-3 * one_cycle((epoch + step / len(order)) / epochs)
            optimizer.param_groups[0]["lr"] = rate
            x = to_unit(pixels[rows]).contiguous(memory_format=torch.channels_last)
            with autocast:
                logits = model(x)
            loss = F.cross_entropy(logits.float(), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        losses.append(total.item() / len(images))
    model.to(home).eval()
    return losses


def extract(encode: Callable[[Tensor], Tensor], images: Images) -> Tensor:
    """Compute a row of features for each image, (N, D), without gradients.

    `encode` takes float images (B, C, H, W) in [0, 1]: `model.features`, the `encode`
    of an autoencoder or of PCA, `torch.nn.Flatten()` for the pixels themselves. A
    network belongs on the CPU and in evaluation mode first, as training leaves it.
    """
    rows = []
    with torch.no_grad():
        for pixels in images.pixels.split(500):
            x = to_unit(pixels).contiguous(memory_format=torch.channels_last)
            rows.append(encode(x).flatten(1).float())
    return torch.cat(rows)


def few(labels: Tensor, n: int, seed: int) -> Tensor:
    """Draw n rows of each class by seed, class after class: (classes * n,).

    Fewer are part of more: the 10 of a class are the first of its 50. A class that has
    fewer than n raises ValueError.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    rows = [order[labels[order] == c][:n] for c in labels.unique()]
    if min(map(len, rows)) < n:
        raise ValueError(f"{n} of each class asked for, one has {min(map(len, rows))}")
    return torch.cat(rows)


def linear_probe(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
) -> float:
    """Return the accuracy in [0, 1] of a linear classifier on features (N, D).

    Features are standardised by the training set. The weights are those of ridge
    regression to the classes, whose penalty is chosen on a fifth of the training set:
    the test set decides nothing. All is deterministic.
    """
    mean, std = train_features.mean(dim=0), train_features.std(dim=0)
    std[train_features.amax(dim=0) == train_features.amin(dim=0)] = torch.inf
    x, x_test = (train_features - mean) / std, (test_features - mean) / std
    if not (x.isfinite().all() and x_test.isfinite().all()):
        raise ValueError("features must be finite, got NaN or infinity")
    if len(x) < x.shape[1]:  # the weights lie in the span of the rows: turn into it
        basis = torch.linalg.qr(x.T.double()).Q  # (D, N)
        x, x_test = x.double() @ basis, x_test.double() @ basis  # (N, N), (N_test, N)
    share = F.one_hot(train_labels).double().mean(dim=0)  # (classes,)
    y = F.one_hot(train_labels) - share  # (N, classes)

    def products(rows: Tensor) -> tuple[Tensor, Tensor]:
        part = x[rows].double()
        return part.T @ part, part.T @ y[rows]  # (D, D), (D, classes)

    def accuracy(w: Tensor, x: Tensor, labels: Tensor) -> float:
        return ((x.double() @ w + share).argmax(1) == labels).double().mean().item()

    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    held, kept = order[: len(x) // 5], order[len(x) // 5 :]
    xx, xy = products(kept)
    scores = [
        accuracy(_ridge(xx, xy, penalty * len(kept)), x[held], train_labels[held])
        for penalty in PENALTIES
    ]
    best = PENALTIES[scores.index(max(scores))]
    xx_held, xy_held = products(held)
    w = _ridge(xx + xx_held, xy + xy_held, best * len(x))
    return accuracy(w, x_test, test_labels)


def _ridge(xx: Tensor, xy: Tensor, penalty: float) -> Tensor:
    """Solve (xx + penalty) w = xy for the weights w (D, classes)."""
    factor = torch.linalg.cholesky(xx + penalty * torch.eye(len(xx), dtype=xx.dtype))
    return torch.cholesky_solve(xy, factor)


def local_vgg16() -> nn.Module | None:
    """Load VGG-16 with its ImageNet weights if the file is on this machine, else None.

    It is looked for in torch's hub folder and in the data folder. Nothing is
    downloaded; `torchvision.models.vgg16(weights="DEFAULT")` does that (528 MB).
    """
    from torchvision.models import VGG16_Weights, vgg16

    weights = VGG16_Weights.IMAGENET1K_V1
    for folder in (Path(torch.hub.get_dir()) / "checkpoints", data_folder()):
        if (folder / Path(weights.url).name).is_file():
            with torch.device("meta"):
                model = vgg16(weights=None)
            state = weights.get_state_dict(model_dir=str(folder), map_location="cpu")
            model.load_state_dict(state, assign=True)
            return model.eval()
    return None
