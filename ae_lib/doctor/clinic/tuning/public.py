"""Mistakes rebuilt from public questions and merged fixes: data, range and loss.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, standardise
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, conv_vae, dense, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import by_column, cells, each_column
from ae_lib.doctor.clinic.tuning.third_data import strided


# Source: https://github.com/keras-team/keras/issues/12371
@faulty("data.nonfinite")
def a_missing_value_in_a_column(seed, fixed):
    """Train on a table in which a few measurements are missing."""
    x, _ = cells(seed)
    x = by_column(x)
    x[torch.randperm(len(x))[:6], 4] = 0.0 if fixed else float("nan")
    model = dense((30,), (40,), 8, act=nn.SiLU, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# With a sigmoid at its end the network cannot reach 255 either: both may be named.
# Source: https://github.com/keras-team/keras/issues/3642
@faulty("data.scale", accepts=("output.range",), steps=200, bar=0.4)
def tutorial_without_the_division(seed, fixed):
    """Follow a tutorial but leave out the line that divides pixels by 255."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (96,), 32)
    data = loader(x if fixed else (255 * x).round(), y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/microsoft/CNTK/issues/2235
@faulty("data.scale", measure=each_column, bar=0.4)
def scans_in_their_own_units(seed, fixed):
    """Feed scans with values from -1000 to 2000; the output stays near zero."""
    unit = patches(384, seed)[:, :1]
    x = standardise(unit) if fixed else 3000 * unit - 1000
    model = dense((1, 16, 16), (96,), 24, act=nn.Tanh, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/aapatel09/handson-unsupervised-learning/issues/6
@faulty("data.target", steps=250, bar=0.0)
def noisy_on_both_sides(seed, fixed):
    """Add the noise once and use the sum as input and as target."""
    x, _ = digits(768, seed, size=8)
    noisy = x + 0.7 * torch.randn_like(x)
    model = dense((1, 8, 8), (128,), 64, last=None)

    def pair(batch):
        seen, clean = batch
        return seen, clean if fixed else seen

    case = {"model": model, "batches": loader(noisy, x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model), "judge": [(noisy, x)]}


# Source: https://github.com/pkmital/CADL/issues/56
@faulty("data.target", steps=250, bar=0.0)
def corruption_overwritten(seed, fixed):
    """Corrupt the input, and overwrite it by the clean image two lines later."""
    x, _ = digits(768, seed, size=8)
    noisy = x + 0.7 * torch.randn_like(x)
    model = dense((1, 8, 8), (128,), 64, act=nn.ELU, last=None)

    def pair(batch):
        seen, clean = batch
        seen = seen if fixed else clean
        return seen, clean

    case = {"model": model, "batches": loader(noisy, x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model), "judge": [(noisy, x)]}


# Source: https://github.com/Selen-Suyue/DensePolicy2D/issues/3
@faulty("data.layout", steps=200, bar=0.69)
def colours_reshaped_to_the_front(seed, fixed):
    """Reshape (N, height, width, 3) to (N, 3, height, width): colours mix."""
    stored = scenes(448, seed)[0].permute(0, 2, 3, 1).contiguous()
    x = stored.permute(0, 3, 1, 2) if fixed else stored.reshape(-1, 3, 16, 16)
    model = strided(3, 3, act=nn.ELU)
    data = loader(x.contiguous(), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/DreamtaleCore/USI3D/issues/3
@faulty("data.shift", steps=0, bar=0.5)
def normalised_in_the_test_script(seed, fixed):
    """Subtract 0.5 and divide by 0.5 in the test script only."""
    x = patches(448, seed)
    model = conv((3, 16, 16), 24, act=nn.GELU)
    case = {"model": model, "batches": loader(x[:384], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 200)
    rest = x[384:] if fixed else (x[384:] - 0.5) / 0.5
    return {**case, "eval_batches": DataLoader(rest, 32)}


# Source: https://github.com/mikesj-public/convolutional_autoencoder/pull/9
@faulty("output.range", bar=0.75)
def rectified_at_the_end(seed, fixed):
    """Centre and scale photographs, and end in a ReLU: the lower half is lost."""
    x = standardise(patches(448, seed))
    model = conv((3, 16, 16), 32, act=nn.ELU, last=None if fixed else nn.ReLU)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/yzhao062/pyod/issues/314
@faulty("output.range", bar=0.6)
def scaler_and_sigmoid(seed, fixed):
    """Standardise the columns of a table and leave the sigmoid of the default."""
    x, y = cells(seed)
    last = None if fixed else nn.Sigmoid
    model = dense((30,), (64, 32), 8, last=last)
    data = loader(by_column(x), y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Source: https://stackoverflow.com/questions/52441877
@faulty("output.range", steps=200, bar=0.3)
def shares_of_all_pixels(seed, fixed):
    """End in a softmax over all pixels, as a classifier does over its classes."""
    x, _ = digits(640, seed, size=12)
    last = nn.Sigmoid if fixed else lambda: nn.Softmax(1)
    model = dense((144,), (96,), 24, last=last)
    case = {"model": model, "batches": loader(x.flatten(1), seed=seed)}
    return {**case, "loss": nn.BCELoss(), "optimizer": adam(model)}


# Source: https://github.com/yudi-mars/daisyRec/pull/15
# Source: https://github.com/NVIDIA-Merlin/models/pull/1175
@faulty("loss.domain", steps=200, bar=0.65)
def sigmoid_in_front_of_logits(seed, fixed):
    """Keep the sigmoid at the end and choose BCEWithLogitsLoss."""
    x, _ = digits(512, seed, size=12)
    model = conv((1, 12, 12), 24, act=nn.LeakyReLU)
    loss = nn.BCELoss() if fixed else nn.BCEWithLogitsLoss()
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


# Drowned by the divergence, the code collapses: that may be named as well.
# Source: https://github.com/zdebruine/MMVAE/pull/19
@faulty("loss.scale", accepts=("vae.collapse",), steps=200, bar=0.3)
def mean_error_beside_a_sum(seed, fixed):
    """Take the mean of the squared errors and the sum of the divergence."""
    x, _ = scenes(448, seed)
    model = conv_vae((3, 16, 16), 12)

    def loss(output, target):
        recon, mu, logvar = output
        if fixed:
            error = (recon - target).square().sum((1, 2, 3)).mean() / 0.05
            return error + kl(mu, logvar).sum(1).mean()
        return F.mse_loss(recon, target) + kl(mu, logvar).sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# As above: a divergence that is 96 times too heavy also collapses the code.
# Source: https://github.com/EDAPINENUT/GNTPP/issues/4
@faulty("loss.scale", accepts=("vae.collapse",), steps=250, bar=0.3)
def divergence_over_the_whole_tensor(seed, fixed):
    """Sum the divergence over units and samples, the error over units only."""
    x, _ = digits(960, seed, size=12)
    model = conv_vae((1, 12, 12), 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().sum((1, 2, 3)) / 0.1
        terms = kl(mu, logvar)
        return (error + (terms.sum(1) if fixed else terms.sum())).mean()

    data = loader(x, batch_size=96, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}
