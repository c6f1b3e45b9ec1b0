"""Mistakes rebuilt from public questions and merged fixes: signal, step and fit.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train, true_penalty
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, dense, elbo
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    blobs,
    by_column,
    cells,
    with_finite_loss,
)
from ae_lib.doctor.clinic.tuning.third_fit import logbook


class Positive(AE):
    """End the encoder in a ReLU."""

    def encode(self, x):
        return F.relu(self.encoder(x))


# That the weights are all negative is the cause of it: the start may be named too.
# Source: https://github.com/MollyZhang/Multi-task-TCGA-learning/issues/16
@faulty("signal.dead-units", accepts=("signal.init-scale",), steps=250, bar=0.3)
def negative_through_and_through(seed, fixed):
    """Start from negative weights, so that no ReLU of the code ever opens."""
    x, _ = digits(640, seed, size=12)
    model = Positive(
        nn.Sequential(nn.Flatten(), nn.Linear(144, 48)),
        dense((1, 12, 12), (96,), 48).decoder,
    )
    with torch.no_grad():
        weight = model.encoder[-1].weight
        weight.copy_(torch.randn_like(weight) / 12 if fixed else -weight.abs())
        model.encoder[-1].bias.fill_(-0.05)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Sigmoids fed by such weights are on their plateaus: that may be named as well.
# Source: https://github.com/aymericdamien/TensorFlow-Examples/pull/169
@faulty("signal.init-scale", accepts=("signal.saturated",), steps=200, bar=0.4)
def unit_variance_in_wide_layers(seed, fixed):
    """Draw all weights of sigmoid layers from N(0, 1), whatever their width."""
    x, _ = digits(640, seed, size=20)
    model = dense((1, 20, 20), (192,), 64, act=nn.Sigmoid if not fixed else nn.Tanh)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            spread = layer.in_features**-0.5 if fixed else 1.0
            nn.init.normal_(layer.weight, std=spread)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/podgorskiy/ALAE/issues/44
@faulty("signal.linear", steps=400, bar=0.87)
def layers_without_activations(seed, fixed):
    """Stack linear layers and forget the activations between them."""
    act = nn.GELU if fixed else nn.Identity
    model = dense((1, 20, 20), (128, 64), 3, act=act, last=None)
    data = loader(blobs(640, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://www.tensorflow.org/api_docs/python/tf/keras/optimizers/Adadelta
@faulty("step.too-small", steps=600, bar=0.3)
def adadelta_by_default(seed, fixed):
    """Use Adadelta with 0.001, the default of one library, where 1.0 was meant."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (), 32)
    optimizer = torch.optim.Adadelta(model.parameters(), 1.0 if fixed else 0.001)
    case = {"model": model, "batches": loader(x, y, batch_size=32, seed=seed)}
    return {**case, "loss": nn.BCELoss(), "optimizer": optimizer}


class Rectified(VAE):
    """Take a ReLU, or a softplus, as the standard deviation."""

    positive = F.relu

    def forward(self, x):
        h = self.encoder(x)
        mu, deviation = self.fc_mu(h), type(self).positive(self.fc_logvar(h))
        z = mu + deviation * torch.randn_like(mu)
        return self.decoder(z), mu, 2 * deviation.log()


class Softened(Rectified):
    """Keep the standard deviation above zero."""

    positive = F.softplus


# The first infinity is this logarithm of zero: that may be named as well.
# Source: https://github.com/luigibonati/mlcolvar/pull/192
@faulty(
    "vae.logvar",
    accepts=("step.nonfinite",),
    steps=200,
    measure=with_finite_loss,
)
def deviation_of_zero(seed, fixed):
    """Let a ReLU be the standard deviation; its logarithm is minus infinity."""
    plain = dense((30,), (48,), 6, act=nn.ELU, last=None)
    kind = Softened if fixed else Rectified
    model = kind(plain.encoder[:-1], plain.decoder, 48, 6)
    data = loader(by_column(cells(seed)[0]), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.1)}
    return {**case, "optimizer": adam(model)}


class Shallow(AE):
    """Return reconstruction and sigmoid code."""

    def forward(self, x):
        h = self.encode(x)
        return {"x_hat": self.decode(h), "h": h}


# Source: https://github.com/lisa-lab/pylearn2/pull/142
@faulty("contractive.wrong", measure=true_penalty, bar=0.98)
def summed_and_then_squared(seed, fixed):
    """Sum the weights of each unit, then square, in the place of the reverse."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 24), nn.Sigmoid())
    model = Shallow(encoder, dense((1, 12, 12), (), 24).decoder)

    def loss(output, target):
        weight, h = model.encoder[1].weight, output["h"]
        size = weight.square().sum(1) if fixed else weight.sum(1).square()
        penalty = ((h * (1 - h)).square() * size).sum(1).mean()
        return F.mse_loss(output["x_hat"], target) + 0.1 * penalty

    x, _ = digits(512, seed, size=12)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/NVIDIA/pix2pixHD/issues/149
# Source: https://github.com/colemiller94/gatedgan/issues/2
@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.3)
def three_over_two(seed, fixed):
    """Go up by kernels of three with stride two, which overlap unevenly."""

    def twice(a, b):
        if fixed:
            return [nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1)]
        return [nn.ConvTranspose2d(a, b, 3, 2, 1, 1)]

    up = [nn.Linear(24, 24 * 16), nn.ReLU(), nn.Unflatten(1, (24, 4, 4))]
    up += [*twice(24, 16), nn.ReLU(), *twice(16, 3), nn.Sigmoid()]
    model = AE(conv((3, 16, 16), 24).encoder, nn.Sequential(*up))
    case = {"model": model, "batches": loader(patches(384, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 100)
    return case


# Source: https://github.com/mmeendez8/Autoencoder/issues/2
@faulty("fit.undertrained", steps=0, bar=0.6)
def blurred_after_two_epochs(seed, fixed):
    """Judge the pictures of a small network after two epochs."""
    x, _ = digits(640, seed, size=12)
    model = dense((1, 12, 12), (128, 64), 16)
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    return {**case, "history": logbook(case, 80 if fixed else 3, x[512:])}


# Source: https://github.com/deeplearning4j/deeplearning4j/issues/1863
@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=1.0)
def more_units_than_inputs(seed, fixed):
    """Use a code wider than the input, without noise or any penalty."""
    x, _ = digits(640, seed, size=8)
    model = dense((64,), (256,), 6 if fixed else 128, act=nn.ELU, last=None)
    data = loader(x.flatten(1), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}
    train(case, 1500)
    return case
