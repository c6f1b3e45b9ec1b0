"""Faults in the signal at initialisation: codes signal.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, waves
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty


def he(model: nn.Module) -> None:
    """Initialise every weight for ReLU, with zero biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


@faulty("signal.common-mode", steps=200, bar=0.4)
def four_sigmoid_layers(seed, fixed):
    """Put sigmoids after every layer of a convolutional encoder and decoder."""
    x, _ = digits(512, seed)
    act = nn.ReLU if fixed else nn.Sigmoid
    encoder = [nn.Conv2d(1, 16, 2, 2), act(), nn.Conv2d(16, 32, 2, 2), act()]
    encoder += [nn.Flatten(), *stack((1568, 64), act), nn.Linear(64, 20), act()]
    decoder = [*stack((20, 64, 1568), act), nn.Unflatten(1, (32, 7, 7))]
    decoder += [nn.ConvTranspose2d(32, 16, 2, 2), act()]
    decoder += [nn.ConvTranspose2d(16, 1, 2, 2), nn.Sigmoid()]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    if fixed:
        he(model)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.common-mode", bar=0.4)
def deep_sigmoid_dense(seed, fixed):
    """Stack six dense sigmoid layers."""
    x, y = digits(512, seed)
    act = nn.ReLU if fixed else nn.Sigmoid
    model = dense((1, 28, 28), (256, 128, 64), 16, act=act)
    if fixed:
        he(model)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


@faulty("signal.common-mode", steps=200, bar=0.4)
def twelve_relu_layers(seed, fixed):
    """Stack twelve ReLU layers with the default (too small) initialisation."""
    x, _ = digits(512, seed, size=8)
    model = dense((64,), (64,) * 10, 16)
    if fixed:
        he(model)
    data = loader(x.flatten(1), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


class Steep(AE):
    """Squash the code with a steep tanh."""

    slope = 1.0

    def encode(self, x):
        return torch.tanh(self.slope * self.encoder(x))


@faulty("signal.saturated", bar=0.4)
def steep_binary_code(seed, fixed):
    """Multiply by 300 before the tanh, to get a binary code."""
    inner = dense((3, 16, 16), (128,), 24)
    model = Steep(inner.encoder, inner.decoder)
    model.slope = 1.0 if fixed else 300.0
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Pooled(nn.Module):
    """Sum or average feature maps over the image before a tanh."""

    def __init__(self, average):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 32, 5, 1, 2), nn.ReLU())
        self.code, self.average = nn.Linear(512, 32), average
        self.up = conv((3, 16, 16), 32).decoder

    def encode(self, x):
        h = self.maps(x).unflatten(2, (4, 4)).unflatten(4, (4, 4))
        h = h.mean((3, 5)) if self.average else h.sum((3, 5)) * 8
        return torch.tanh(self.code(h.flatten(1)))

    def forward(self, x):
        return self.up(self.encode(x))


@faulty("signal.saturated", bar=0.4)
def tanh_after_a_sum(seed, fixed):
    """Sum over windows instead of averaging, then squash with tanh."""
    model = Pooled(fixed)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.saturated", bar=0.3)
def tanh_hidden_with_bias(seed, fixed):
    """Copy a bias of 8 from a forget gate into tanh layers."""
    x = waves(512, seed)
    model = dense((64,), (64, 64), 4, act=nn.Tanh, last=None)
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.out_features == 64:
            nn.init.constant_(layer.bias, 0.0 if fixed else 8.0)
    nn.init.zeros_(model.decoder[-1].bias)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.dead-units", bar=0.4)
def dead_output(seed, fixed):
    """Clip the output with a ReLU that starts below zero everywhere."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24, last=nn.Sigmoid if fixed else nn.ReLU)
    nn.init.constant_(model.decoder[-3].bias, -1.0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.dead-units", bar=0.4)
def dead_code(seed, fixed):
    """Start a ReLU code with a bias of -3, hoping for sparsity."""
    model = conv((3, 16, 16), 32)
    model.encoder.append(nn.ReLU())
    nn.init.constant_(model.encoder[-2].bias, 0.1 if fixed else -3.0)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.dead-units", bar=0.4)
def thresholded_relu(seed, fixed):
    """Use a thresholded ReLU with a threshold that no activation reaches."""
    x, y = digits(512, seed)
    act = nn.ReLU if fixed else lambda: nn.Threshold(3.0, 0.0)
    model = conv((1, 28, 28), 24, act=act)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.init-scale", bar=0.3)
def all_weights_equal(seed, fixed):
    """Fill every weight with 0.01."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    if not fixed:
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.01)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.init-scale", bar=0.3)
def standard_normal_weights(seed, fixed):
    """Draw all weights from N(0, 1)."""
    model = conv((3, 16, 16), 32, last=None)
    for layer in model.modules():
        if hasattr(layer, "weight") and not fixed:
            nn.init.normal_(layer.weight)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.init-scale", steps=600, bar=0.3)
def tiny_weights(seed, fixed):
    """Draw weights from N(0, 1e-6) and biases too, in a network trained with SGD."""
    x, y = digits(512, seed, size=8)
    model = dense((64,), (64, 64), 16, last=None)
    for parameter in model.parameters():
        if not fixed:
            nn.init.normal_(parameter, std=1e-4)
    data = loader(x.flatten(1), y, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 1.0, momentum=0.9)}


class Unused(nn.Module):
    """Create an activation that forward may or may not use."""

    def __init__(self, use):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 128), nn.Linear(128, 128)
        self.fc3, self.fc4 = nn.Linear(128, 3), nn.Linear(3, 128)
        self.fc5, self.fc6 = nn.Linear(128, 128), nn.Linear(128, 64)
        self.relu, self.use = nn.ReLU(), use

    def forward(self, x):
        layers = (self.fc1, self.fc2, self.fc3, self.fc4, self.fc5)
        for layer in layers:
            x = layer(x)
            if self.use and layer is not self.fc3:
                x = self.relu(x)
        return self.fc6(x)


@faulty("signal.linear", steps=600, bar=0.9)
def activation_never_called(seed, fixed):
    """Create self.relu in __init__ and forget it in forward."""
    x = waves(512, seed)
    model = Unused(fixed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.linear", steps=600, bar=0.9)
def deep_stack_without_activations(seed, fixed):
    """Write eight linear layers down and no activation between them."""
    x = waves(512, seed)
    act = nn.ELU if fixed else nn.Identity
    model = dense((64,), (128, 128, 64), 3, act=act, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class Discarded(nn.Module):
    """Call F.relu without keeping its result."""

    def __init__(self, keep):
        super().__init__()
        self.down = nn.ModuleList(
            [nn.Conv1d(1, 16, 5, 2, 2), nn.Conv1d(16, 32, 5, 2, 2)]
        )
        self.code = nn.Linear(512, 3)
        self.up = nn.ModuleList([nn.Linear(3, 128), nn.Linear(128, 128)])
        self.out, self.keep = nn.Linear(128, 64), keep

    def encode(self, x):
        h = x[:, None]
        for layer in self.down:
            h = layer(h)
            a = F.relu(h)
            h = a if self.keep else h
        return self.code(h.flatten(1))

    def forward(self, x):
        h = self.encode(x)
        for layer in self.up:
            h = layer(h)
            a = F.relu(h)
            h = a if self.keep else h
        return self.out(h)


@faulty("signal.linear", steps=400, bar=0.9)
def relu_result_discarded(seed, fixed):
    """Write F.relu(h) where h = F.relu(h) was meant."""
    x = waves(512, seed)
    model = Discarded(fixed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
