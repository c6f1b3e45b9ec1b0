"""Faults in the signal and the step: codes signal.*, step.*."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table, waves
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, dense_vae, elbo, sgd
from ae_lib.doctor.clinic.program import faulty


def deep_convolutions(he):
    """Return an encoder of twelve convolutions with an optional He initialisation."""
    layers = [nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU()]
    layers += [nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()]
    for _ in range(10):
        layers += [nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(784, 24)]
    for layer in layers:
        if he and hasattr(layer, "weight"):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


@faulty("signal.common-mode", bar=0.3)
def twelve_default_convolutions(seed, fixed):
    """Stack twelve convolutions with ReLU and the default initialisation."""
    model = AE(deep_convolutions(fixed), conv((1, 28, 28), 24).decoder)
    data = loader(digits(512, seed)[0], batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


@faulty("signal.common-mode", bar=0.5)
def sigmoids_for_waves(seed, fixed):
    """Put a sigmoid after each of five layers on the way to the code."""
    act = nn.Tanh if fixed else nn.Sigmoid
    encoder = nn.Sequential()
    for a, b in ((48, 96), (96, 64), (64, 48), (48, 32), (32, 6)):
        encoder.extend([nn.Linear(a, b), act()])
    model = AE(encoder, dense((48,), (96,), 6, act=nn.Tanh, last=None).decoder)
    data = loader(waves(512, seed, d=48), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class RootScaled(nn.Module):
    """Scale pre-activations by the root of the width before each tanh."""

    def __init__(self, divide):
        super().__init__()
        widths = (768, 128, 24, 128)
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.out, self.divide = nn.Linear(128, 768), divide

    def forward(self, x):
        h = x.flatten(1)
        for layer in self.layers:
            root = math.sqrt(layer.in_features)
            h = torch.tanh(layer(h) if self.divide else layer(h) * root * 3)
        return torch.sigmoid(self.out(h)).view_as(x)


@faulty("signal.saturated", bar=0.4)
def multiplied_by_the_root(seed, fixed):
    """Multiply by the root of the width (as in attention, but upside down)."""
    model = RootScaled(fixed)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.saturated", bar=0.4)
def open_gates_at_twelve(seed, fixed):
    """Start sigmoid hidden units with a bias of 12, "so that they are open"."""
    x, _ = digits(512, seed, size=8)
    model = dense((64,), (96, 64), 12, act=nn.Sigmoid, last=None)
    model = model if not fixed else dense((64,), (96, 64), 12, act=nn.ELU, last=None)
    for layer in (*model.encoder, *model.decoder[:-1]):
        if isinstance(layer, nn.Linear) and not fixed:
            nn.init.constant_(layer.bias, 12.0)
    data = loader(x.flatten(1), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.dead-units", bar=0.4)
def clamp_below_zero(seed, fixed):
    """Clamp the output to [0, 1] when it starts at -2: no pixel has a gradient."""

    class Clamp(nn.Module):
        def forward(self, x):
            return torch.sigmoid(x) if fixed else x.clamp(0, 1)

    model = conv((3, 16, 16), 32, act=nn.ELU, last=Clamp)
    nn.init.constant_(model.decoder[-2].bias, -2.0)
    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.dead-units", bar=0.4)
def hidden_layer_far_below_zero(seed, fixed):
    """Carry over a hidden bias of -4 from data in another unit; ReLU gives zeros."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    nn.init.constant_(model.encoder[1].bias, 0.0 if fixed else -4.0)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.init-scale", bar=0.4)
def zeros_everywhere(seed, fixed):
    """Initialise all weights and biases with zeros."""
    model = conv((3, 16, 16), 32)
    for parameter in model.parameters():
        if not fixed:
            nn.init.zeros_(parameter)
    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("signal.init-scale", bar=0.4)
def weights_between_zero_and_one(seed, fixed):
    """Draw weights with torch.rand: all positive, and far too large."""
    x = table(512, seed, d=32)
    model = dense((32,), (64, 64), 8, last=None)
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and not fixed:
            nn.init.uniform_(layer.weight)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("signal.linear", steps=600, bar=0.9)
def slope_of_one(seed, fixed):
    """Set the slope of every LeakyReLU to 1, misreading it as a scale."""
    act = nn.LeakyReLU if fixed else lambda: nn.LeakyReLU(1.0)
    model = dense((48,), (96, 96), 3, act=act, last=None)
    data = loader(waves(512, seed, d=48), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("step.too-large", bar=0.4)
def rmsprop_with_a_tenth(seed, fixed):
    """Use RMSprop with lr=0.1."""
    x, _ = scenes(512, seed)
    model = conv((3, 16, 16), 24)
    rate = 1e-3 if fixed else 0.1
    optimizer = torch.optim.RMSprop(model.parameters(), rate)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("step.too-large", accepts=("step.nonfinite",), bar=0.2)
def vae_with_a_half(seed, fixed):
    """Train a VAE by Adam with lr=0.5; exp(logvar) soon overflows."""
    # accepts: the overflow is what the author sees
    x, y = digits(512, seed)
    model = dense_vae((1, 28, 28))
    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": elbo()}
    return {**case, "optimizer": adam(model, 2e-3 if fixed else 0.5)}


@faulty("step.too-small", bar=0.4)
def adadelta_with_a_thousandth(seed, fixed):
    """Use Adadelta with lr=0.001; its rate is meant to be 1."""
    model = conv((3, 16, 16), 32, norm=True)
    rate = 1.0 if fixed else 1e-3
    optimizer = torch.optim.Adadelta(model.parameters(), rate)
    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-small", bar=0.4)
def clipped_to_nothing(seed, fixed):
    """Clip the gradient norm to 1e-5 before SGD."""
    x = table(512, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    optimizer = sgd(model, 0.2, momentum=0.9)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0 if fixed else 1e-5)
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


class WithCode(nn.Module):
    """Return the reconstruction and the code."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        z = self.inner.encode(x)
        return self.inner.decode(z), z


@faulty("step.nonfinite", bar=0.4)
def distances_to_itself(seed, fixed):
    """Push codes apart by their distances, the zero ones to themselves included."""
    x, _ = scenes(512, seed)
    model = WithCode(dense((3, 16, 16), (128,), 16))

    def loss(output, target):
        recon, z = output
        squared = (z[:, None] - z[None]).square().sum(-1)
        distance = (squared + (1e-6 if fixed else 0)).sqrt()
        return F.mse_loss(recon, target) + 1e-2 * torch.exp(-distance).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class LocalContrast(nn.Module):
    """Normalise windows of 4 x 4 pixels by their mean and deviation."""

    def __init__(self, eps):
        super().__init__()
        self.net, self.eps = conv((1, 28, 28), 24, act=nn.ELU), eps

    def forward(self, x):
        mean = F.avg_pool2d(x, 4)
        spread = (F.avg_pool2d(x.square(), 4) - mean.square()).clamp_min(0)
        mean, spread = (F.interpolate(m, scale_factor=4) for m in (mean, spread))
        return self.net((x - mean) / (spread.sqrt() + self.eps))


@faulty("step.nonfinite", steps=200, bar=0.4)
def contrast_of_blank_windows(seed, fixed):
    """Normalise the local contrast; a blank corner is 0/0."""
    x, _ = digits(512, seed)
    model = LocalContrast(1e-1 if fixed else 0.0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
