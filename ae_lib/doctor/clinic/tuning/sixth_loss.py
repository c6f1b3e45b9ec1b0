"""Mistakes in the last activation and in the loss, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv_vae, dense, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    Gauss,
    PatchNet,
    PoolNet,
    baskets,
    block_net,
    distance,
    divergence,
    paths,
    rings,
    tiles,
    written,
)

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


# Asked: a VAE for CIFAR10 gives grey noise; images normalised, decoder ends in sigmoid.
# https://whosebug.com/question/5616116
@faulty("output.range", steps=150, bar=0.6)
def sigmoid_after_the_usual_normalisation(seed, fixed):
    """Normalise by the well-known means and deviations and end in a sigmoid."""
    x = (tiles(384, seed) - MEAN) / STD
    model = Dcgan(3, 32, last=None if fixed else nn.Sigmoid)
    return written(model, loader(x, batch_size=32, seed=seed))


class Exponential(nn.Module):
    """Return the exponential, which has no negative values."""

    def forward(self, h: Tensor) -> Tensor:
        return h.clamp(max=5).exp()


# Asked: decibels are below zero; the network's outputs never are.
@faulty("output.range", steps=200, bar=0.4)
def exponential_for_decibels(seed, fixed):
    """End in an exponential, to be safe, where the targets are logarithms."""
    x = paths(512, seed) - 3
    last = None if fixed else Exponential
    model = dense((80,), (64,), 12, act=nn.GELU, last=last)
    return written(model, loader(x, seed=seed))


class Unit(AE):
    """Scale each output to length 1, as is done with embeddings."""

    def decode(self, z: Tensor) -> Tensor:
        return F.normalize(self.decoder(z).flatten(1)).view(len(z), 1, 28, 28)


# Asked: right shapes, but nearly black pictures; F.normalize is the last line.
@faulty("output.range", steps=150, bar=0.35)
def picture_of_unit_length(seed, fixed):
    """Normalise the output as one normalises embeddings: its length is 1."""
    x, y = digits(512, seed, size=28)
    plain = dense((1, 28, 28), (128,), 24, last=nn.Sigmoid if fixed else None)
    model = plain if fixed else Unit(plain.encoder, plain.decoder)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)
    return written(model, loader(x, y, seed=seed), optimizer)


# Asked: categorical_crossentropy "works" for the autoencoder, pictures are nonsense.
@faulty("loss.domain", steps=150, bar=0.35)
def categorical_entropy_of_pixels(seed, fixed):
    """Treat each picture as one class distribution over its pixels."""
    x = rings(448, seed)
    model = block_net((1, 28, 28), 12)

    def loss(x_hat, target):
        if fixed:
            return F.binary_cross_entropy(x_hat, target)
        return F.cross_entropy(x_hat.flatten(1), target.flatten(1))

    return written(model, loader(x, seed=seed), adam(model, 4e-3), loss=loss)


# Asked: I use PSNR as the loss, "the network gets worse with each epoch".
# Like: https://github.com/by256/bpartis/pull/2 (a similarity was minimised)
@faulty("loss.domain", steps=150, bar=0.4)
def decibels_made_small(seed, fixed):
    """Minimise the peak signal-to-noise ratio itself, not its negative."""
    x = tiles(384, seed)
    model = PatchNet(3, 32, 32, last=nn.Sigmoid)

    def loss(x_hat, target):
        psnr = -10 * (F.mse_loss(x_hat, target) + 1e-8).log10()
        return -psnr if fixed else psnr

    return written(model, loader(x, seed=seed), loss=loss)


# Asked: counts of goods with binary cross-entropy; the loss goes to minus a thousand.
# Like: https://github.com/Lasagne/Recipes/issues/54 (increasingly negative loss)
@faulty("loss.domain", steps=300, bar=0.25)
def entropy_of_how_many(seed, fixed):
    """Use binary cross-entropy on numbers of goods, which go beyond 1."""
    x = baskets(640, seed)
    last = nn.Softplus() if fixed else nn.Identity()
    plain = dense((48,), (48,), 8, act=nn.Tanh, last=None)
    plain.decoder.append(last)
    loss = nn.PoissonNLLLoss(log_input=False) if fixed else nn.BCEWithLogitsLoss()
    case = written(plain, loader(x, batch_size=32, seed=seed), loss=loss)
    return case if fixed else {**case, "view": torch.sigmoid}


# Asked: tanh outputs go into a logarithm; the cost is NaN at once.
# https://github.com/pkmital/tensorflow_tutorials/issues/23
@faulty("loss.domain", accepts=("step.nonfinite",), steps=150, bar=0.35)
def logarithm_of_a_tanh(seed, fixed):
    """Write the cross-entropy by hand and feed it outputs of a tanh."""
    x, y = digits(512, seed, size=28)
    model = PoolNet(1, 4, last=torch.sigmoid if fixed else torch.tanh)

    def loss(x_hat, target):
        yes = target * (1e-6 + x_hat).log()
        no = (1 - target) * (1 + 1e-6 - x_hat).log()
        return -(yes + no).mean()

    data = loader(x, y, batch_size=32, seed=seed)
    return written(model, data, adam(model, 5e-3), loss=loss)


# Asked: the minus of the divergence was lost; total loss falls without end.
# The log-variance runs away under it: an honest reader may name that instead.
@faulty("loss.domain", accepts=("vae.logvar",), steps=300, bar=0.3)
def divergence_with_the_wrong_sign(seed, fixed):
    """Lose the minus in front of the divergence of a dense VAE."""
    x, y = digits(640, seed, size=16)
    model = Gauss((1, 16, 16), 8)
    sign = 1.0 if fixed else -1.0

    def loss(out, target):
        total = distance(out, target) / 0.2 + sign * divergence(out).sum(1)
        return total.mean()

    return written(model, loader(x, y, seed=seed), loss=loss)


# Asked: a code regulariser from a paper drowns the error, all outputs are the mean.
# A penalty on the code that drowns the error may be named as one too strong.
@faulty("loss.scale", accepts=("sparse.too-strong",), steps=200, bar=0.4)
def length_of_the_code_summed_over_all(seed, fixed):
    """Sum the squared code over batch and units beside a mean error."""
    x = tiles(384, seed)
    model = PatchNet(3, 32, 32)

    def loss(x_hat, target):
        length = model.encode(target).square()
        term = 1e-3 * length.mean() if fixed else length.sum()
        return F.mse_loss(x_hat, target) + term

    data = loader(x, batch_size=32, seed=seed)
    return written(model, data, adam(model, 3e-3), loss=loss)


class Spatial(nn.Module):
    """Keep a Gaussian code at each of 7 x 7 places."""

    def __init__(self, code: int = 4):
        super().__init__()
        self.down = nn.Conv2d(1, 16, 4, 4)
        self.heads = nn.Conv2d(16, 2 * code, 1)
        self.up = nn.ConvTranspose2d(code, 8, 4, 4)
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.heads(F.silu(self.down(x))).chunk(2, 1)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return self.out(F.silu(self.up(z))).sigmoid(), mu, logvar


# Asked: the latent is a map; KL summed over it, mse averaged, the output is one grey.
# https://github.com/YannDubs/disentangling-vae/issues/50 (axes of the two averages)
# The code collapses under the heavier term: that may be named as well.
@faulty("loss.scale", accepts=("vae.collapse",), steps=150, bar=0.35)
def map_of_codes_beside_a_mean(seed, fixed):
    """Sum the divergence over a map of codes beside a mean over pixels."""
    x, y = digits(512, seed, size=28)
    model = Spatial()

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target)
        error = error * 784 / 0.1 if fixed else error
        return error + kl(mu, logvar).sum((1, 2, 3)).mean()

    data = loader(x, y, batch_size=32, seed=seed)
    return written(model, data, adam(model, 4e-3), loss=loss)


# Asked: KL of the encoder is 0 after an epoch; loss uses reduction 'mean' and .sum().
# https://github.com/podgorskiy/VAE/issues/1
@faulty("loss.scale", accepts=("vae.collapse",), steps=250, bar=0.3)
def mean_absolute_error_and_a_sum(seed, fixed):
    """Put a mean absolute error beside a divergence summed over batch and units."""
    x = patches(384, seed, size=16)
    model: VAE = conv_vae((3, 16, 16), 10, last=None)

    def loss(output, target):
        recon, mu, logvar = output
        terms = kl(mu, logvar)
        if fixed:
            return F.l1_loss(recon, target) * 768 / 0.1 + terms.sum(1).mean()
        return F.l1_loss(recon, target) + terms.sum()

    return written(model, loader(x, batch_size=32, seed=seed), loss=loss)


# Asked: edges are compared as a sum, pixels as a mean; colours are never learned.
@faulty("loss.scale", steps=150, bar=0.4)
def gradients_of_edges_summed(seed, fixed):
    """Sum the error of edges over everything; flat colours count nothing beside it."""
    x = tiles(384, seed)
    model = block_net((3, 32, 32), 32, last=None)

    def slope(images):
        return images[..., 1:] - images[..., :-1]

    def loss(x_hat, target):
        edges = (slope(x_hat) - slope(target)).square()
        term = edges.mean() if fixed else edges.sum()
        return F.mse_loss(x_hat, target) + term

    return written(model, loader(x, batch_size=32, seed=seed), loss=loss)
