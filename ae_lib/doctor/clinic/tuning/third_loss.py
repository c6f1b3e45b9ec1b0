"""Faults between output and loss: codes output.range, loss.*."""

import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, dense, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import counts, grey, spectra


@faulty("output.range", accepts=("data.scale",))
def ratings_through_a_sigmoid(seed, fixed):
    """Predict ratings from 1 to 5 with a sigmoid.

    After a question on a recommender whose predictions are all 0.99. The other
    defensible reading is that the ratings should have been scaled.
    """
    x = (3 + 1.2 * table(512, seed, d=40, rank=4)).round().clamp(1, 5)
    x = (x - 1) / 4 if fixed else x
    model = dense((40,), (64,), 8)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("output.range", bar=0.4)
def centred_at_a_half(seed, fixed):
    """Subtract 0.5 from the pixels and keep the sigmoid.

    After a question on images in [-0.5, 0.5]: "the reconstruction is too bright".
    """
    x = grey(448, seed) - 0.5
    last = None if fixed else nn.Sigmoid
    model = conv((1, 20, 20), 24, act=nn.SiLU, last=last)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("loss.domain")
def difference_without_a_square(seed, fixed):
    """Average the difference of target and output, without a square.

    After a question on a loss that falls below zero and on and on.
    """
    model = dense((96,), (64,), 10, act=nn.Tanh, last=None)

    def loss(output, target):
        error = target - output
        return error.square().mean() if fixed else error.mean()

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}


@faulty("loss.domain", steps=300)
def divergence_of_probabilities(seed, fixed):
    """Give kl_div probabilities where it expects their logarithms.

    After questions on topic shares: "kl_div is negative".
    """
    x = counts(512, seed, d=12, topics=4) + 0.5
    x = x / x.sum(1, keepdim=True)
    model = dense((12,), (48,), 5, act=nn.ELU, last=lambda: nn.Softmax(1))

    def loss(output, target):
        guess = output.log() if fixed else output
        return F.kl_div(guess, target, reduction="batchmean")

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


@faulty("loss.domain", accepts=("wiring.no-gradient",))
def classes_of_one_channel(seed, fixed):
    """Use CrossEntropyLoss on images of one channel: its softmax is always one.

    After questions on segmentation losses that are zero from the start. The other
    defensible reading is that this loss gives no gradient at all.
    """
    x, y = digits(512, seed, size=12)
    model = conv((1, 12, 12), 16)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    loss = nn.MSELoss() if fixed else nn.CrossEntropyLoss()
    return {**case, "loss": loss, "optimizer": adam(model, 4e-3)}


@faulty("loss.scale", accepts=("vae.collapse",), bar=0.3)
def divergence_times_the_pixels(seed, fixed):
    """Multiply the divergence by the number of pixels instead of the error.

    After a Keras example with `original_dim` in front of the wrong term. It acts
    like a beta of 400, so the collapse may be named as well.
    """
    x = grey(448, seed)
    plain = dense((1, 20, 20), (96,), 8, act=nn.ELU)
    model = VAE(plain.encoder[:-1], plain.decoder, 96, 8)

    def loss(output, target):
        recon, mu, logvar = output
        error, divergence = F.mse_loss(recon, target), kl(mu, logvar).sum(1).mean()
        if fixed:
            return 400 * error / 0.05 + divergence
        return error + 400 * divergence

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("loss.scale", bar=0.4)
def weights_summed(seed, fixed):
    """Sum the absolute weights of all layers next to an error averaged over pixels.

    After a question on "l1 regularization" of a network that stopped learning.
    """
    encoder = nn.Sequential(*stack((96, 64), nn.ELU), nn.Linear(64, 10))
    decoder = nn.Sequential(*stack((10, 64), nn.ELU), nn.Linear(64, 96))
    model = AE(encoder, decoder)

    def loss(output, target):
        sizes = [weight.abs() for weight in model.parameters()]
        if fixed:
            penalty = sum(size.mean() for size in sizes) / len(sizes)
        else:
            penalty = sum(size.sum() for size in sizes)
        return F.mse_loss(output, target) + 1e-2 * penalty

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}
