"""Healthy programs that public questions took for faulty, and a few usual ones."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, standardise
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, dense_vae, elbo
from ae_lib.doctor.clinic.parts import kl as divergence
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.material import by_column, cells, grey, spectra
from ae_lib.doctor.clinic.tuning.third_fit import logbook


# Source: https://github.com/pytorch/examples/issues/631
@healthy(steps=100)
def divergence_that_rises(seed):
    """Train a VAE whose divergence grows as its code begins to be used."""
    x, _ = digits(768, seed, size=12)
    model = dense_vae((1, 12, 12), 128, 10)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.05)}
    case |= {"optimizer": adam(model)}
    train(case, 150)
    return case


# Source: https://datascience.stackexchange.com/questions/39661
@healthy(steps=0)
def validation_below_training(seed):
    """Drop units while training: the validation loss is the lower one."""
    x, _ = digits(768, seed, size=12)
    model = dense((1, 12, 12), (256,), 24, act=nn.ELU)
    model.encoder.insert(3, nn.Dropout(0.3))
    case = {"model": model, "batches": loader(x[:640], batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model)}
    return {**case, "history": logbook(case, 30, x[640:])}


# Source: https://github.com/aimagelab/novelty-detection/issues/5
@healthy()
def linear_end_for_pixels(seed):
    """End linearly for pixels in [0, 1]: a few outputs lie outside, none is harmed."""
    model = conv((3, 16, 16), 32, act=nn.ELU, last=None)
    data = loader(patches(448, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/rll/deepul/issues/12
# Source: https://github.com/SharifiZarchi/Introduction_to_Machine_Learning/issues/55
@healthy()
def cleared_after_the_forward_pass(seed):
    """Clear the gradients after the loss is computed and before backward."""
    x, y = digits(640, seed, size=12)
    model = dense((1, 12, 12), (128,), 24, act=nn.SiLU)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch[0]), batch[0])
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


# Source: https://github.com/AntixK/PyTorch-VAE/issues/56
@healthy(steps=200)
def tiny_weight_that_is_right(seed):
    """Weigh the divergence with 0.0003, since the error is a mean over 768 values."""
    model = conv_vae((3, 16, 16), 12)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target)
        return error + 0.0003 * divergence(mu, logvar).sum(1).mean()

    data = loader(scenes(448, seed)[0], batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/eriklindernoren/Keras-GAN/issues/15
@healthy(steps=0)
def resize_and_convolve(seed):
    """Go up by nearest neighbours and convolutions; trained."""
    up = [nn.Linear(32, 512), nn.SiLU(), nn.Unflatten(1, (32, 4, 4))]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, 1, 1), nn.SiLU()]
    up += [nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, 1, 1), nn.Sigmoid()]
    model = AE(conv((3, 16, 16), 32, act=nn.SiLU).encoder, nn.Sequential(*up))
    case = {"model": model, "batches": loader(patches(384, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case


class Scaled(AE):
    """Learn one spread of the errors beside the reconstruction."""

    def __init__(self, encoder, decoder):
        super().__init__(encoder, decoder)
        self.log_sigma = nn.Parameter(torch.zeros(()))


# Source: https://github.com/orybkin/sigma-vae-pytorch/issues/10
@healthy(steps=250)
def loss_below_zero_by_right(seed):
    """Minimise a Gaussian negative log-likelihood, which may well be negative."""
    plain = dense((96,), (96,), 12, act=nn.ELU, last=None)
    model = Scaled(plain.encoder, plain.decoder)

    def loss(output, target):
        log_sigma = model.log_sigma.clamp(-6, 2)
        return (((output - target) / log_sigma.exp()).square() / 2 + log_sigma).mean()

    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/CAREamics/careamics/pull/277
@healthy(steps=250)
def free_bits(seed):
    """Let each unit have a little divergence free: no gradient below that floor."""
    x = by_column(cells(seed)[0])
    model = dense_vae((30,), 64, 6, last=None)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().sum(1).mean() / 0.4
        return error + divergence(mu, logvar).mean(0).clamp_min(0.1).sum()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/phlippe/uvadlc_notebooks/issues/77
@healthy(steps=0)
def code_without_an_activation(seed):
    """End the encoder in a linear layer, as it should be; trained."""
    x, _ = digits(640, seed, size=20)
    model = conv((1, 20, 20), 24, act=nn.GELU)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    train(case, 250)
    return case


@healthy()
def tanh_for_centred_pixels(seed):
    """Scale pixels to [-1, 1] and end in a tanh."""
    x = 2 * patches(448, seed) - 1
    model = conv((3, 16, 16), 32, act=nn.LeakyReLU, last=nn.Tanh)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy()
def photographs_standardised(seed):
    """Standardise photographs and end linearly."""
    x = standardise(grey(448, seed))
    model = conv((1, 20, 20), 24, act=nn.SiLU, norm=True, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=200)
def pretrained_encoder_frozen(seed):
    """Train a new decoder on the codes of a trained encoder that is kept."""
    x, _ = digits(640, seed, size=12)
    old = dense((1, 12, 12), (96,), 24, act=nn.ELU)
    train({"model": old, "batches": loader(x, seed=seed), "optimizer": adam(old)}, 200)
    old.encoder.requires_grad_(False)
    model = AE(old.encoder, dense((1, 12, 12), (128, 64), 24).decoder)
    optimizer = torch.optim.Adam(model.decoder.parameters(), 2e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
    }


class Half(AE):
    """Compute in bfloat16 where autocast allows it."""

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


@healthy(steps=200)
def brain_floats(seed):
    """Train under autocast to bfloat16."""
    inner = dense((3, 16, 16), (192,), 24, act=nn.ELU)
    model = Half(inner.encoder, inner.decoder)
    data = loader(scenes(448, seed)[0], batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}
