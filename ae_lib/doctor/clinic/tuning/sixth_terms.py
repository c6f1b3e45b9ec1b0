"""Mistakes in further terms of the loss, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import quiet_units, true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, conv_vae, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Gauss,
    PoolNet,
    distance,
    divergence,
    hills,
    paths,
    rings,
    written,
)


def _weighed(beta, variance):
    def loss(out, target):
        error = distance(out, target) / (2 * variance)
        return (error + beta * divergence(out).sum(1)).mean()

    return loss


# Asked: beta from a paper on faces of 64 x 64, mine are curves; the code has no effect.
# Like: https://github.com/1Konny/Beta-VAE/issues/4
@faulty("vae.collapse", steps=250, bar=0.3)
def beta_of_250_for_curves(seed, fixed):
    """Weigh the divergence by 250 on curves of a few causes."""
    x = paths(512, seed, causes=5)
    model = Gauss((80,), 6, last=None)
    loss = _weighed(1.0 if fixed else 250.0, 0.1)
    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


# Asked: unit variance is assumed for pixels that vary by 0.1; KL is 0 from the start.
# Like: https://github.com/AppliedDataSciencePartners/WorldModels/issues/12
@faulty("vae.collapse", steps=200, bar=0.3)
def unit_variance_for_faint_pictures(seed, fixed):
    """Sum both terms correctly, but for a variance of 1 where pixels vary by 0.05."""
    x = 0.5 + 0.15 * (patches(384, seed, size=16) - 0.5)
    model = conv_vae((3, 16, 16), 12, last=None)
    variance = 0.001 if fixed else 1.0

    def loss(output, target):
        recon, mu, logvar = output
        out = {"x_hat": recon, "mu": mu, "logvar": logvar}
        return _weighed(1.0, variance)(out, target)

    return written(model, loader(x, batch_size=32, seed=seed), adam(model), loss=loss)


# Asked: KL annealing: the weight grows by 1 each step, and never stops growing.
@faulty("vae.collapse", steps=300, bar=0.3)
def annealing_without_a_ceiling(seed, fixed):
    """Raise the weight of the divergence by 1 per step, and hold it nowhere."""
    x = rings(448, seed, size=16)
    model = Gauss((1, 16, 16), 6)
    optimizer = adam(model)
    weight = [20.0]

    def step(model, batch):
        weight[0] = 1.0 if fixed else weight[0] + 1.0
        out = model(batch)
        loss = (distance(out, batch) / 0.2 + weight[0] * divergence(out).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def loss(out, target):
        return _weighed(weight[0], 0.1)(out, target)

    case = written(model, loader(x, seed=seed), optimizer, loss=loss)
    return {**case, "step": step}


class Softly(Gauss):
    """Make a deviation by softplus of the raw head and take its logarithm."""

    shift = 0.0

    def spread(self, raw: Tensor) -> Tensor:
        return 2 * F.softplus(raw - self.shift).log()


# Asked: log of a softplus in my encoder is -inf for some inputs, then all is NaN.
# Like: https://github.com/kvfrans/variational-autoencoder/issues/5 (log of nearly 0)
@faulty("vae.logvar", steps=250, bar=0.3)
def logarithm_of_a_vanished_deviation(seed, fixed):
    """Take the logarithm of a softplus so far to the left that it is exactly zero."""
    x, y = digits(512, seed, size=16)
    model = Softly((1, 16, 16), 8)
    model.shift = 1.0 if fixed else 130.0
    data = loader(x, y, seed=seed)
    return written(model, data, loss=_weighed(1.0, 0.1))


class Precise(Gauss):
    """Read the head as a precision and turn it into a log-variance."""

    right = False

    def spread(self, raw: Tensor) -> Tensor:
        return raw if self.right else -100 * raw.sinh()


# Asked: kld grows from 2000 to 1e35 to inf to nan in five steps.
# https://github.com/AntixK/PyTorch-VAE/issues/16
@faulty("vae.logvar", steps=250, bar=0.3)
def exponential_of_a_hyperbolic_sine(seed, fixed):
    """Stretch the head by a steep function before it is taken for a log-variance."""
    model = Precise((3, 16, 16), 8, last=None)
    model.right = fixed
    x = patches(448, seed, size=16)
    return written(model, loader(x, seed=seed), loss=_weighed(1.0, 0.05))


class Open(AE):
    """Return all hidden layers beside the output, as hooks would collect them."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen, h = [], x
        for layer in [*self.encoder, *self.decoder]:
            h = layer(h)
            if isinstance(layer, nn.ReLU | nn.Sigmoid | nn.Tanh):
                seen.append(h)
        return h, seen

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)


def opened(d, k, act=nn.ReLU, hidden=96):
    """Return a dense network whose code has an activation and that shows its layers."""
    encoder = nn.Sequential(*stack((d, hidden)), nn.Linear(hidden, k), act())
    return Open(encoder, nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, d)))


# Asked: why is the penalty on all layers, decoder included? Mine outputs a constant.
# https://github.com/syorami/Autoencoders-Variants/issues/4
@faulty("sparse.too-strong", steps=250, bar=0.35)
def penalty_on_every_layer(seed, fixed):
    """Sum absolute activations of all layers and units, decoder included."""
    x = hills(512, seed)
    model = opened(64, 32)

    def loss(output, target):
        x_hat, layers = output
        sizes = [h.abs().sum(1).mean() for h in layers]
        term = 1e-4 * sizes[1] if fixed else 0.05 * sum(sizes)
        return F.mse_loss(x_hat, target) + term

    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


class Maps(PoolNet):
    """Return the maps of the code beside the picture."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": self.decode(z), "maps": z}


# Asked: convolutional sparse autoencoder: with lambda 0.1 all maps are zero.
# Like: https://github.com/hamed-zamani/snrm/issues/7
# A sum beside a mean: that the terms are reduced over other axes is right as well.
@faulty("sparse.too-strong", accepts=("loss.scale",), steps=150, bar=0.35)
def lambda_for_the_sum_over_maps(seed, fixed):
    """Sum absolute values over all places of all maps; the weight suits a mean."""
    x = rings(448, seed)
    model = Maps(1, 8)

    def loss(out, target):
        size = out["maps"].abs()
        term = size.mean() if fixed else size.sum((1, 2, 3)).mean()
        return F.mse_loss(out["recon"], target) + 0.01 * term

    return written(model, loader(x, seed=seed), adam(model, 4e-3), loss=loss)


# Asked: L1 "on the weights" through .data: any lambda gives the same curve.
# Like: https://github.com/syorami/Autoencoders-Variants/issues/1
# A term of the loss without a gradient is a fault of the wiring, too.
@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    measure=quiet_units,
    steps=400,
    bar=0.7,
)
def penalty_through_the_data_of_a_layer(seed, fixed):
    """Take the code's absolute values from .data, where gradients end."""
    x, y = digits(640, seed, size=12)
    model = opened(144, 64)

    def loss(output, target):
        x_hat, layers = output
        z = layers[1] if fixed else layers[1].data
        return F.mse_loss(x_hat, target) + 2e-3 * z.abs().sum(1).mean()

    data = loader(x.flatten(1), y, seed=seed)
    return written(model, data, adam(model, 3e-3), loss=loss)


# Asked: a hook collects activations for the sparsity term, from the copy made for EMA.
# As above, the term has no path to the network.
@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    measure=quiet_units,
    steps=400,
    bar=0.75,
)
def code_of_the_averaged_copy(seed, fixed):
    """Penalise the code of a copy of the network, which nobody trains."""
    x = hills(512, seed)
    model = opened(64, 48)
    other = copy.deepcopy(model).requires_grad_(False)

    def loss(output, target):
        x_hat, layers = output
        z = layers[1] if fixed else other(target)[1][1]
        return F.mse_loss(x_hat, target) + 1e-3 * z.abs().sum(1).mean()

    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


# Asked: contractive penalty with the weights of the decoder, which are not tied.
# Like: https://github.com/CunmeiJi/AEMDA/issues/3 (which weights belong there?)
@faulty("contractive.wrong", measure=true_penalty, steps=150, bar=0.9)
def weights_of_the_other_half(seed, fixed):
    """Weigh the slopes of sigmoid units by the weights of the decoder."""
    x = paths(512, seed, causes=5)
    model = opened(80, 16, nn.Sigmoid)
    model.encoder = nn.Sequential(nn.Linear(80, 16), nn.Sigmoid())
    model.decoder = nn.Sequential(nn.Linear(16, 80))
    with torch.no_grad():
        model.encoder[0].weight.mul_(torch.linspace(0.2, 8, 16)[:, None])

    def loss(output, target):
        x_hat, (z,) = output
        one, two = model.encoder[0].weight, model.decoder[0].weight.T
        rows = (one if fixed else two).square().sum(1)
        penalty = ((z - z.square()).square() * rows).sum(1).mean()
        return F.mse_loss(x_hat, target) + 1e-4 * penalty

    return written(model, loader(x, seed=seed), loss=loss)


# Asked: the formula of one layer is used for an encoder of two; is that the Jacobian?
# https://github.com/tensorflow/tensorflow/issues/30747
@faulty("contractive.wrong", measure=true_penalty, steps=150, bar=0.95)
def formula_of_one_layer_for_two(seed, fixed):
    """Use the last layer's slope and weights for an encoder of two layers."""
    x, y = digits(512, seed, size=8)
    model = Open(
        nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 8), nn.Tanh()),
        nn.Sequential(nn.Linear(8, 64)),
    )
    with torch.no_grad():
        model.encoder[0].weight.mul_(4.0)

    def loss(output, target):
        x_hat, (h, z) = output
        last = (1 - z.square())[:, :, None] * model.encoder[2].weight  # (B, 8, 24)
        if fixed:
            last = (last * (1 - h.square())[:, None]) @ model.encoder[0].weight
        penalty = last.square().sum((1, 2)).mean()
        return F.mse_loss(x_hat, target) + 1e-3 * penalty

    return written(model, loader(x.flatten(1), y, seed=seed), loss=loss)
