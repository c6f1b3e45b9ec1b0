"""The posted program of chapter 12, its loop, and the variants that stand trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

EPOCHS = 501  # passes through the outer loop of the posted program
BATCHES = 70  # of 1,000 images, in the 70,000 that it loads


def linear(x: Tensor) -> Tensor:
    """Return x: the activation of a layer that has none."""
    return x


class PostedAutoencoder(nn.Module):
    """The network of the question: two strided convolutions, two dense layers, back.

    Maps float images (B, 1, 28, 28) in [0, 1] to reconstructions of that shape. As
    posted all activations are sigmoids, convolutions start from a truncated normal of
    deviation 1 and the other layers from Xavier's uniform one. `gains` are the
    deviations of the two convolutions, `dense_gain` multiplies the dense weights,
    `tied` uses the dense weights of the encoder, transposed, in the decoder. The
    question does not give the sizes of the dense layers: 128 and 32 are ours.
    """

    def __init__(
        self,
        kernels: tuple[int, int] = (2, 2),
        hidden: Callable[[Tensor], Tensor] = torch.sigmoid,
        code: Callable[[Tensor], Tensor] = torch.sigmoid,
        gains: tuple[float, float] | None = (1.0, 1.0),  # None: Xavier
        dense_gain: float = 1.0,
        tied: bool = False,
    ):
        super().__init__()
        self.hidden, self.code, self.tied = hidden, code, tied
        (a, b), pads = kernels, [(k - 1) // 2 for k in kernels]
        self.conv1 = nn.Conv2d(1, 16, a, 2, pads[0])  # (B, 16, 14, 14)
        self.conv2 = nn.Conv2d(16, 32, b, 2, pads[1])  # (B, 32, 7, 7)
        self.fc1, self.fc2 = nn.Linear(1568, 128), nn.Linear(128, 32)
        self.fc3, self.fc4 = nn.Linear(32, 128), nn.Linear(128, 1568)
        self.up1 = nn.ConvTranspose2d(32, 16, b, 2, pads[1], b % 2)
        self.up2 = nn.ConvTranspose2d(16, 1, a, 2, pads[0], a % 2)
        for layer in self.children():
            nn.init.zeros_(layer.bias)
            dense = isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight, dense_gain if dense else 1.0)
        if gains is not None:
            for layer, std in zip((self.conv1, self.conv2), gains, strict=True):
                nn.init.trunc_normal_(layer.weight, 0, std, -2 * std, 2 * std)
        if tied:
            del self.fc3.weight, self.fc4.weight

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, 32)."""
        h = self.hidden(self.conv1(x))
        h = self.hidden(self.conv2(h)).flatten(1)  # (B, 1568)
        return self.code(self.fc2(self.hidden(self.fc1(h))))

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, 1, 28, 28) of codes."""
        w3 = self.fc2.weight.T if self.tied else self.fc3.weight
        w4 = self.fc1.weight.T if self.tied else self.fc4.weight
        h = self.hidden(F.linear(z, w3, self.fc3.bias))
        h = self.hidden(F.linear(h, w4, self.fc4.bias)).unflatten(1, (32, 7, 7))
        return torch.sigmoid(self.up2(self.hidden(self.up1(h))))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def coast(optimizer: Optimizer, steps: int) -> None:
    """Move the weights as `steps` steps of Adam with zero gradients would.

    The first moment m decays by beta1 a step and keeps pushing: the sum of
    lr * m_hat / (sqrt(v_hat) + eps) in one go. Exact but for the place of eps.
    """
    for group in optimizer.param_groups:
        (b1, b2), lr, eps = group["betas"], group["lr"], group["eps"]
        for p in group["params"]:
            state = optimizer.state.get(p)
            if not state:
                continue
            t = int(state["step"])
            push = [b1**k / (1 - b1 ** (t + k)) for k in range(1, steps + 1)]
            root = [(b2**k / (1 - b2 ** (t + k))) ** 0.5 for k in range(1, steps + 1)]
            scale = sum(push) / sum(c / s for c, s in zip(push, root, strict=True))
            m, v = state["exp_avg"], state["exp_avg_sq"]
            with torch.no_grad():
                p.sub_(lr * sum(push) * m / (scale * v.sqrt() + eps))
            m.mul_(b1**steps)
            v.mul_(b2**steps)
            state["step"] += steps


@dataclass(frozen=True)
class Variant:
    """One program: what differs from the posted network, and how it is trained."""

    network: dict = field(default_factory=dict)
    lr: float = 1e-4
    shuffle: bool = True
    empty: int = BATCHES - 1  # empty batches after each one with images
    steps: int = EPOCHS  # batches with images
    whole: bool = False  # the loop visits every batch, as it was meant to


def train(
    variant: Variant, x: Tensor, x_test: Tensor, *, batch_size: int = 50, seed: int = 0
) -> tuple[PostedAutoencoder, list[dict[str, float]]]:
    """Train on images (N, 1, 28, 28) in [0, 1]; return the network and its record.

    The record has a line for some of the steps: "step", "mse", "r2" over the mean
    image of x, and "spread", the deviation of a code unit across test images, averaged
    over units. Without `whole` each step takes the first batch of a new order.
    """
    torch.manual_seed(seed)
    model = PostedAutoencoder(**variant.network)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=variant.lr)
    generator = torch.Generator().manual_seed(seed)
    per_epoch = len(x) // batch_size if variant.whole else 1
    looks = {round(1.3**k) for k in range(45)} | {EPOCHS, variant.steps}
    record, base = [], F.mse_loss(x.mean(0).expand_as(x_test), x_test).item()
    for step in range(variant.steps):
        at = step % per_epoch
        if at == 0 and (variant.shuffle or step == 0):
            n = len(x)
            order = (
                torch.randperm(n, generator=generator)
                if variant.shuffle
                else torch.arange(n)
            )
        batch = x[order[at * batch_size : (at + 1) * batch_size]]
        batch = batch.contiguous(memory_format=torch.channels_last)
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if variant.empty:
            coast(optimizer, variant.empty)
        if step + 1 in looks:
            record.append({"step": step + 1, **measure(model, x_test, base)})
    return model, record


@torch.no_grad()
def measure(
    model: PostedAutoencoder, x: Tensor, base: float, size: int = 1000
) -> dict[str, float]:
    """Return "mse", "r2" over a baseline's error and "spread" of the codes of x."""
    codes, total = [], 0.0
    for part in x.split(size):
        codes.append(model.encode(part))
        x_hat = model.decode(codes[-1])
        total += F.mse_loss(x_hat, part).item() * len(part)
    mse, spread = total / len(x), torch.cat(codes).std(dim=0).mean().item()
    return {"mse": mse, "r2": 1 - mse / base, "spread": spread}


LARGE = (5, 3)  # the kernels that the accepted answer recommends
EQUAL_GAINS = (2.5, 1.5)  # deviation * sqrt(fan-in) of 2x2 kernels as of those of 5, 3
RELU = {"hidden": torch.relu, "code": linear}
TANH = {"hidden": torch.tanh, "code": linear}

VARIANTS = {
    "as posted": Variant(),
    "not shuffled": Variant(shuffle=False),
    "empty batches left out": Variant(empty=0),
    "kernels 5 and 3": Variant({"kernels": LARGE}),
    "kernels 2, weights as large": Variant({"gains": EQUAL_GAINS}),
    "kernels 5 and 3, Xavier": Variant({"kernels": LARGE, "gains": None}),
    "Xavier": Variant({"gains": None}),
    "dense weights times 4": Variant({"dense_gain": 4.0}),
    "tied weights": Variant({"tied": True}),
    "rate 1e-3": Variant(lr=1e-3),
    "linear code": Variant({"code": linear}),
    "ReLU, sigmoid code": Variant({"hidden": torch.relu}),
    "ReLU, linear code": Variant(RELU),
    "tanh, linear code": Variant(TANH),
    "kernels and rate": Variant({"kernels": LARGE}, lr=1e-3),
    "ReLU, Xavier": Variant(RELU | {"gains": None}),
    "ReLU, Xavier, rate 1e-3, whole loop": Variant(
        RELU | {"gains": None}, lr=1e-3, empty=0, steps=3500, whole=True
    ),
}
WHOLE = Variant(empty=0, steps=EPOCHS * BATCHES, whole=True)
