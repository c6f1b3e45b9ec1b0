"""Faults of the variants: codes vae.*, sparse.*, noise.*, contractive.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import quiet_units, train, true_penalty
from ae_lib.doctor.clinic.parts import (
    AE,
    VAE,
    adam,
    conv_vae,
    dense,
    dense_vae,
    elbo,
    kl,
    stack,
)
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    spectra,
)


@faulty("vae.collapse", accepts=("loss.scale",), bar=0.3)
def both_terms_averaged(seed, fixed):
    """Average the error over 400 pixels and the divergence over four units.

    After an issue on a world model: the divergence is 4e-7, all images are alike.
    The two means are reductions over different axes, so that may be named too.
    """
    model = conv_vae((1, 20, 20), 4)

    def loss(output, target):
        recon, mu, logvar = output
        if fixed:
            error = (recon - target).square().sum((1, 2, 3)).mean() / 0.1
            return error + kl(mu, logvar).sum(1).mean()
        return F.mse_loss(recon, target) + kl(mu, logvar).mean()

    data = loader(blobs(448, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("vae.collapse", steps=0, bar=0.3)
def beta_from_a_paper_on_faces(seed, fixed):
    """Use beta = 250, found in a paper on faces, for a table of 30 columns.

    After a question on a latent space that is a perfect round cloud of noise.
    """
    x = by_column(cells(seed)[0])
    model = dense_vae((30,), 48, 6, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": elbo(1.0 if fixed else 250.0, 0.5), "optimizer": adam(model)}
    train(case, 250)
    return case


class PlainVariance(VAE):
    """Use a linear head as the variance itself; its logarithm is for the loss."""

    positive = False

    def forward(self, x):
        h = self.encoder(x)
        mu, variance = self.fc_mu(h), self.fc_logvar(h)
        variance = F.softplus(variance) if self.positive else variance
        z = mu + variance.abs().sqrt() * torch.randn_like(mu)
        return self.decoder(z), mu, variance.log()


@faulty("vae.logvar", accepts=("step.nonfinite", "loss.domain"), bar=0.2)
def logarithm_of_a_negative_variance(seed, fixed):
    """Let a linear head be the variance, and take its logarithm.

    After questions on "KL loss nan": half of these variances are negative. That the
    first nan is this logarithm, or that a logarithm is fed negative values, may be
    named as well.
    """
    plain = dense((96,), (64,), 6, act=nn.Tanh, last=None)
    model = PlainVariance(plain.encoder[:-1], plain.decoder, 64, 6)
    model.positive = fixed
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.01)}
    return {**case, "optimizer": adam(model)}


@faulty("vae.logvar")
def log_deviation_times_a_hundred(seed, fixed):
    """Multiply the log-variance head by 100 to speed its learning up.

    After a question on infinities in `torch.exp(logvar)`.
    """

    class Fast(VAE):
        def forward(self, x):
            h = self.encoder(x)
            mu = self.fc_mu(h)
            logvar = self.fc_logvar(h) * (1 if fixed else 100) + (0 if fixed else 60)
            z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
            return self.decoder(z), mu, logvar

    plain = dense((64,), (64,), 6, act=nn.ELU, last=None)
    model = Fast(plain.encoder[:-1], plain.decoder, 64, 6)
    data = loader(beats(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": elbo(1.0, 0.02)}
    return {**case, "optimizer": adam(model)}


class Coded(AE):
    """Return the reconstruction and the code, or the input by mistake."""

    right = True

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z if self.right else x


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=250, bar=0.3)
def weight_of_three_from_the_lecture(seed, fixed):
    """Weigh the activity penalty with 3, as a lecture does whose error is a sum.

    After questions on the lecture notes on sparse autoencoders. Read the other way,
    the error is averaged where the lecture sums it.
    """
    x, _ = digits(512, seed, size=12)
    plain = dense((1, 12, 12), (96,), 48)
    model = Coded(plain.encoder.append(nn.Sigmoid()), plain.decoder)

    def loss(output, target):
        recon, h = output
        mean = h.mean(0).clamp(1e-5, 1 - 1e-5)
        rho, weight = (0.1, 1e-4) if fixed else (0.01, 3.0)
        active = rho * (rho / mean).log()
        silent = (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return F.mse_loss(recon, target) + weight * (active + silent).sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.7)
def penalty_of_the_input(seed, fixed):
    """Return the input in the place of the code, so its size is what is penalised.

    After a merged fix in a tutorial: the penalty was a constant.
    """
    plain = dense((96,), (96,), 48, last=None)
    model = Coded(plain.encoder.append(nn.ReLU()), plain.decoder)
    model.right = fixed

    def loss(output, target):
        recon, code = output
        return F.mse_loss(recon, target) + 1e-2 * code.abs().mean()

    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def decibels_with_the_wrong_sign(seed, fixed):
    """Mix noise at -26 dB where +26 dB was meant: twenty times the signal.

    After a question on a denoiser of recordings that returns the average beat.
    """
    x = beats(512, seed)
    ratio = 26 if fixed else -26
    model = dense((64,), (96,), 12, act=nn.GELU, last=None)

    def pair(batch):
        spread = (batch.square().mean() / 10 ** (ratio / 10)).sqrt()
        return batch + spread * torch.randn_like(batch), batch

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "pair": pair}
    return {**case, "optimizer": adam(model)}


@faulty("noise.too-strong", bar=0.4)
def hole_almost_as_large_as_the_picture(seed, fixed):
    """Cut a hole of 19 x 19 out of pictures of 20 x 20.

    After a question on cutout with its size given in the wrong unit.
    """
    x, _ = digits(448, seed, size=20)
    size = 6 if fixed else 19
    model = dense((1, 20, 20), (128,), 24, act=nn.ELU)

    def pair(batch):
        top, left = torch.randint(0, 21 - size, (2,)).tolist()
        seen = batch.clone()
        seen[..., top : top + size, left : left + size] = 0
        return seen, batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model)}


class Deep(AE):
    """Return reconstruction, code and the input that gradients may be taken of."""

    def forward(self, x):
        x = x.detach().requires_grad_()
        h = self.encode(x)
        return {"x_hat": self.decode(h), "h": h, "x": x}


@faulty("contractive.wrong", measure=true_penalty, bar=0.98)
def gradient_of_the_sum(seed, fixed):
    """Differentiate the sum of the code, which adds up the rows of the Jacobian.

    After a forum thread on deep contractive autoencoders: `h.backward(ones)`.
    """
    x = by_column(cells(seed)[0])
    encoder = nn.Sequential(*stack((30, 24, 8), nn.Sigmoid))
    model = Deep(encoder, nn.Sequential(*stack((8, 24), nn.Tanh), nn.Linear(24, 30)))

    def contractive_loss(output, target):
        h, seen = output["h"], output["x"]
        wholes = h.sum(0) if fixed else [h.sum()]
        slopes = [
            torch.autograd.grad(whole, seen, create_graph=True)[0] for whole in wholes
        ]
        penalty = torch.stack(slopes).square().sum((0, 2)).mean()
        return F.mse_loss(output["x_hat"], target) + 0.1 * penalty

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "loss": contractive_loss, "optimizer": adam(model, 5e-3)}
