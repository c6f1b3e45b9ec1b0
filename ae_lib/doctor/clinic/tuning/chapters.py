"""Programs of the course's own chapters that the doctor once misjudged."""

import torch
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, standardise
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, sgd
from ae_lib.doctor.clinic.program import faulty, healthy
from ae_lib.posted import RELU, PostedAutoencoder


def deep(scale=None):
    """Return eight layers with ReLU; He's weights times `scale`, or the default."""
    same = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(4)]
    down = [nn.Conv2d(3, 16, 4, 4), nn.ReLU(), same[0], nn.ReLU(), same[1], nn.ReLU()]
    up = [nn.Linear(32, 256), nn.Unflatten(1, (16, 4, 4)), nn.ReLU()]
    up += [same[2], nn.ReLU(), same[3], nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 4)]
    down += [nn.Flatten(), nn.Linear(256, 32)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    for layer in model.modules() if scale else ():
        if hasattr(layer, "weight"):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(scale)
            nn.init.zeros_(layer.bias)
    return model


@faulty("step.too-small", accepts=("signal.init-scale",), bar=0.3)
def momentum_on_eight_layers(seed, fixed):
    """Train eight layers with their default weights by SGD with a rate of 0.1."""
    x = standardise(patches(448, seed))
    model = deep()
    optimizer = adam(model, 3e-3) if fixed else sgd(model, 0.1, momentum=0.9)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("step.too-small", bar=0.3)
def sgd_of_a_thousandth(seed, fixed):
    """Start as He does and take the rate of 1e-3 from Adam to plain SGD."""
    x = standardise(patches(448, seed))
    model = deep(1.0)
    optimizer = adam(model, 3e-3) if fixed else sgd(model, 1e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("signal.init-scale", accepts=("step.too-small",), bar=0.3)
def a_tenth_of_he_in_each_layer(seed, fixed):
    """Multiply He's weights by 0.1: harmless in one layer, not in eight."""
    x = standardise(patches(448, seed))
    model = deep(1.0 if fixed else 0.1)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 0.1, momentum=0.9)}


def posted(seed, **options):
    """Return the posted program of the chapter on the code that never changed."""
    x, y = digits(600, seed)
    model = PostedAutoencoder(**options)
    data = loader(x, y, batch_size=50, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-4)}


@faulty("signal.common-mode", steps=300, bar=0.2)
def posted_with_sigmoids(seed, fixed):
    """Stack sigmoids behind convolutions whose weights have deviation one.

    Smaller weights do not help; other activations do.
    """
    return posted(seed, **(RELU if fixed else {}))


@healthy(steps=300)
def posted_with_relus(seed):
    """Start from convolutions of deviation one, with ReLU: it learns all the same."""
    return posted(seed, **RELU)


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.3)
def two_epochs_of_threes_over_twos(seed, fixed):
    """Go up by kernels of three with stride two, and batch norm, for two epochs."""

    def twice(a, b):
        if fixed:
            return [nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1)]
        return [nn.ConvTranspose2d(a, b, 3, 2, 1, 1)]

    up = [nn.Linear(64, 32 * 16), nn.Unflatten(1, (32, 4, 4)), nn.BatchNorm2d(32)]
    up += [nn.GELU(), *twice(32, 16), nn.BatchNorm2d(16), nn.GELU(), *twice(16, 3)]
    encoder = conv((3, 16, 16), 64, act=nn.GELU, norm=True).encoder
    model = AE(encoder, nn.Sequential(*up, nn.Sigmoid()))
    data = loader(patches(600, seed), batch_size=20, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
    with torch.random.fork_rng(devices=[]):
        train(case, 60)
    return case
