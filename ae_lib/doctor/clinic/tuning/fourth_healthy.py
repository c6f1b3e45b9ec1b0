"""Healthy programs that look suspicious: data, outputs, losses and noise."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    scenes,
    standardise,
    table,
    waves,
)
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, kl, sgd, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourth_models import (
    DictVAE,
    RecordVAE,
    SignalAE,
    Tied,
    UNet,
    heartbeats,
    pooled,
    ratings,
    residual,
    spots,
)


@healthy(steps=200, bar=0.6)
def principal_axes_by_descent(seed):
    """Find principal axes of digits with one tied matrix and no activation."""
    x, y = digits(640, seed, size=8)
    model = Tied(64, 16)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


@healthy(steps=200, bar=0.6)
def linear_table(seed):
    """Compress a table of five causes by two linear layers, as is right for it."""
    x = table(512, seed)
    model = dense((20,), (), 5, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


@healthy(steps=250, bar=0.5)
def strong_noise_on_signals(seed):
    """Add noise larger than most of the signal, and learn to take it away."""
    x = heartbeats(768, seed)
    model = SignalAE(96, 8, act=nn.ELU)

    def pair(batch):
        return batch + 0.4 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


@healthy(steps=250, bar=0.4)
def most_pixels_hidden(seed):
    """Hide 60 % of the pixels and ask for all of them."""
    x, y = digits(960, seed, size=16)

    def pair(batch):
        clean = batch[0]
        return clean * (torch.rand_like(clean) > 0.6), clean

    model = dense((1, 16, 16), (192,), 32, act=nn.GELU)
    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


@healthy(steps=200, bar=0.6)
def skips_for_a_denoiser(seed):
    """Use a U-Net with skip connections where they belong: to remove noise."""
    clean = scenes(512, seed)[0]
    noisy = clean + 0.25 * torch.randn_like(clean)
    data = loader(noisy, clean, batch_size=32, seed=seed)
    model = UNet(3, 12, k=8)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=250, bar=0.7)
def tanh_for_minus_one_to_one(seed):
    """Move photographs to [-1, 1] and end in a tanh."""
    x = 2 * patches(512, seed) - 1
    model = residual((3, 16, 16), 32, act=nn.LeakyReLU, last=nn.Tanh)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=250, bar=0.6)
def standardised_and_free(seed):
    """Standardise colour scenes and leave the output linear."""
    x, y = scenes(512, seed)
    x = standardise(x)
    model = pooled((3, 16, 16), 32, act=nn.SiLU, last=None)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


@healthy(steps=300, bar=0.3)
def entropy_of_grey_pixels(seed):
    """Train digits by cross-entropy: the loss stays high, its floor is not zero."""
    x, y = digits(640, seed, size=16)
    model = pooled((1, 16, 16), 24, act=nn.ELU)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return {**case, "loss": nn.BCELoss(), "optimizer": adam(model, 3e-3)}


@healthy(steps=300, bar=0.4)
def logits_for_the_stable_loss(seed):
    """Return logits and use the loss that takes logits."""
    x = spots(512, seed)
    model = conv((1, 16, 16), 24, act=nn.GELU, last=None)
    case = {"model": model, "batches": loader(x, seed=seed), "view": torch.sigmoid}
    return {**case, "loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model)}


@healthy(steps=300, bar=0.5)
def counts_and_their_loss(seed):
    """Fit rates to counts by the Poisson loss, in the form that takes rates."""
    x = torch.poisson(20 * spots(512, seed, size=12)) / 5
    model = pooled((1, 12, 12), 16, last=nn.Softplus)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": nn.PoissonNLLLoss(log_input=False)}
    return {**case, "optimizer": adam(model, 3e-3)}


@healthy(steps=250, bar=0.5)
def absolute_error_on_photographs(seed):
    """Minimise the absolute error; the output is linear though pixels are in [0, 1]."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 40, act=nn.SiLU, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": nn.L1Loss(), "optimizer": adam(model)}


@healthy(steps=600, bar=0.2)
def stars_from_one_to_five(seed):
    """Fit ratings of 1 to 5 by a linear output; biases have a way to go."""
    x = ratings(512, seed)
    model = dense((40,), (32,), 6, act=nn.Tanh, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


@healthy(steps=250, bar=0.5)
def mostly_black(seed):
    """Learn images of which nine pixels in ten are nearly black."""
    x = spots(512, seed, size=20)
    model = pooled((1, 20, 20), 24, last=nn.ReLU)
    nn.init.constant_(model.decoder[-2].bias, 0.1)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=300, bar=0.5)
def sums_on_both_sides(seed):
    """Sum error and divergence over the batch, and choose the rate to suit."""
    x, y = digits(640, seed, size=12)
    decoder = nn.Sequential(*stack((10, 128)), nn.Linear(128, 144), nn.Sigmoid())
    encoder = nn.Sequential(nn.Flatten(), *stack((144, 128)))
    decoder.append(nn.Unflatten(1, (1, 12, 12)))
    model = RecordVAE(encoder, decoder, 128, 10)

    def loss(out, target):
        error = F.mse_loss(out.x_hat, target, reduction="sum") / 0.1
        return error + kl(out.mu, out.logvar).sum()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=300, bar=0.5)
def more_units_than_needed(seed):
    """Give a VAE of spots 12 units; four say where the spots are, some stay idle."""
    x = spots(640, seed, size=12)
    decoder = nn.Sequential(*stack((12, 96)), nn.Linear(96, 144), nn.Sigmoid())
    encoder = nn.Sequential(nn.Flatten(), *stack((144, 96)))
    decoder.append(nn.Unflatten(1, (1, 12, 12)))
    model = DictVAE(encoder, decoder, 96, 12)

    def loss(out, target):
        error = (out["recon"] - target).square().sum((1, 2, 3)).mean() / 0.06
        return error + kl(out["mu"], out["log_var"]).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@healthy(steps=300, bar=0.4)
def waves_at_full_height(seed):
    """Learn waves in [-1, 1] from a single tensor cut into a list of batches."""
    x = waves(512, seed)
    model = dense((64,), (96,), 12, act=nn.Tanh, last=nn.Tanh)
    case = {"model": model, "batches": list(x.split(48))}
    return {**case, "optimizer": sgd(model, 0.5, momentum=0.9)}


@healthy(steps=250, bar=0.5)
def patches_of_sixty_four(seed):
    """Cut 64 x 64 photographs into patches and mix them in a small network."""
    x = patches(160, seed, size=64)
    encoder = nn.Sequential(nn.Conv2d(3, 32, 8, 8), nn.GELU(), nn.Conv2d(32, 24, 1))
    decoder = nn.Sequential(nn.Conv2d(24, 64, 1), nn.GELU(), nn.Conv2d(64, 192, 1))
    model = AE(encoder, decoder.append(nn.PixelShuffle(8)))
    data = loader(x, batch_size=16, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=300, bar=0.4)
def square_to_be_filled_in(seed):
    """Cover a square of each image and ask for what was there, and for the rest."""
    x, y = digits(960, seed, size=16)

    def pair(batch):
        clean, _ = batch
        seen = clean.clone()
        seen[:, :, 6:10, 6:10] = 0.0
        return seen, clean

    model = pooled((1, 16, 16), 32, act=nn.ELU)
    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "loss": nn.HuberLoss(), "optimizer": adam(model, 3e-3)}


@healthy(steps=300, bar=0.5)
def mostly_one_digit(seed):
    """Train where seven images in ten show the same digit."""
    x, y = digits(1797, seed, size=12)
    rows = torch.cat([torch.where(y == 3)[0], torch.where(y != 3)[0][:75]])
    x = x[rows[torch.randperm(len(rows))]]
    model = dense((1, 12, 12), (96,), 16, act=nn.SiLU)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}
