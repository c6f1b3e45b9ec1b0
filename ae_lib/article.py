"""The article's training program of chapter 07, and repairs that are tried on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.data import Images, batches, to_unit
from ae_lib.devices import fast_bf16, pick_device
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ArticleAutoencoder

SOME = (nn.Conv2d, nn.Linear)  # the layers whose first weights the article draws
EVERY = (*SOME, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Variant:
    """One way to run the article's program; the defaults are as published."""

    signed: bool = True  # pixels in [-1, 1]; False: in [0, 1]
    layers: tuple[type, ...] = SOME  # that get the first weights
    he: bool = False  # He's first weights in place of Xavier's
    shuffled: bool = False  # a new order for each epoch
    relu_code: bool = True


VARIANTS = {
    "as published": Variant(),
    "shuffled": Variant(shuffled=True),
    "first weights for all": Variant(layers=EVERY),
    "linear code": Variant(relu_code=False),
    "all three repairs": Variant(layers=EVERY, shuffled=True, relu_code=False),
    "He's first weights": Variant(layers=EVERY, he=True),
    "pixels in [0, 1]": Variant(signed=False),
}


class Program(nn.Module):
    """The article's network with its range of pixels: [0, 1] outside, [-1, 1] inside.

    Maps float images (B, C, H, W) in [0, 1] to reconstructions of that shape.
    """

    def __init__(self, variant: Variant, image_shape=(3, 32, 32)):
        super().__init__()
        self.signed = variant.signed
        self.network = ArticleAutoencoder(200, image_shape)
        if not variant.relu_code:
            self.network.bottleneck = self.network.bottleneck[0]
        first_weights(self.network, variant.layers, variant.he)

    def inside(self, x: Tensor) -> Tensor:
        return 2 * x - 1 if self.signed else x

    def forward(self, x: Tensor) -> Tensor:
        y = self.network(self.inside(x))
        return (y + 1) / 2 if self.signed else y


def first_weights(
    network: nn.Module, layers: tuple[type, ...] = SOME, he: bool = False
) -> None:
    """Draw weights as Xavier or He do, for these layers; their biases are 0.01."""
    draw = nn.init.kaiming_uniform_ if he else nn.init.xavier_uniform_
    options = {"nonlinearity": "relu"} if he else {}
    for layer in network.modules():
        if isinstance(layer, layers):
            draw(layer.weight, **options)
            nn.init.constant_(layer.bias, 0.01)


def train(
    variant: Variant, images: Images, validation: Images, epochs: int, seed: int
) -> tuple[Program, list[float]]:
    """Train with Adam at 0.001 on batches of 64, as the article does.

    Returns the program and its MSE on the validation images, on [0, 1], after each
    epoch.
    """
    device = pick_device()
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=fast_bf16(device))
    torch.manual_seed(seed)
    program = Program(variant, images.shape)
    program.to(device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(program.parameters(), lr=1e-3)
    errors = []
    for epoch in range(epochs):
        order = {"shuffle": variant.shuffled, "seed": seed, "epoch": epoch}
        for pixels in batches(images.pixels, 64, **order):
            x = program.inside(to_unit(pixels).to(device))
            x = x.contiguous(memory_format=torch.channels_last)
            with autocast:
                y = program.network(x)
            loss = F.mse_loss(y.float(), x)
            adam.zero_grad()
            loss.backward()
            adam.step()
        errors.append(mse(validation, reconstruct(program, validation)))
    return program, errors
