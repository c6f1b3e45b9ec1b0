"""Tenth bank, b: codes output.range, loss.domain and loss.scale."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import adam, conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import (
    counts,
    heartbeats,
    prior_fit,
    shares,
    weather,
)


@faulty("output.range", bar=0.2)
def classifier_head_left_on(seed, fixed):
    """Turn a classifier into an autoencoder and leave its softmax at the end."""
    x, y = digits(512, seed, size=8)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 96),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(96, 16),
        nn.ReLU(),
        nn.Linear(16, 64),
        nn.Sigmoid() if fixed else nn.Softmax(dim=1),
        nn.Unflatten(1, (1, 8, 8)),
    )
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class LastState(nn.Module):
    """Take the states of the last LSTM as the reconstruction."""

    def __init__(self, features, head):
        super().__init__()
        self.encoder = nn.LSTM(features, 24, batch_first=True)
        self.first = nn.LSTM(24, 24, batch_first=True)
        self.second = nn.LSTM(24, 24 if head else features, batch_first=True)
        self.head = nn.Linear(24, features) if head else nn.Identity()

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        z = h[-1].unsqueeze(1).repeat(1, x.size(1), 1)
        out, _ = self.first(z)
        out, _ = self.second(out)
        return {"x_hat": self.head(out), "z": h[-1]}


@faulty("output.range", steps=200, bar=0.5)
def last_state_as_the_reading(seed, fixed):
    """End a recurrent decoder in an LSTM as wide as the data, with no linear layer."""
    x = 2 * weather(512, seed, t=8, c=3)
    model = LastState(3, head=fixed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


class Clamped(nn.Module):
    """Clamp the picture, so that it can be plotted as it comes out."""

    def __init__(self, low):
        super().__init__()
        inner = conv((3, 16, 16), 32, last=None)
        self.encoder, self.decoder, self.low = inner.encoder, inner.decoder, low

    def forward(self, x):
        return self.decoder(self.encoder(x)).clamp(self.low, 1)


@faulty("output.range", bar=0.5)
def clamped_for_the_plot(seed, fixed):
    """Clamp the output to [0, 1] for plotting, with images normalised to [-1, 1]."""
    x = (patches(512, seed) - 0.5) / 0.5
    model = Clamped(-1 if fixed else 0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


def _ssim(a, b):
    def mean(t):
        return F.avg_pool2d(t, 5, 1)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma**2, mean(b * b) - mb**2
    cov = mean(a * b) - ma * mb
    top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return (top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()


@faulty("loss.domain", bar=0.0)
def similarity_as_the_loss(seed, fixed):
    """Minimise the structural similarity instead of one minus it."""
    x, _ = digits(512, seed, size=16)
    model = conv((1, 16, 16), 24)

    def loss(output, target):
        similar = _ssim(output, target)
        return 1 - similar if fixed else similar

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class CountAE(nn.Module):
    """Encode the logarithm of counts and decode to their rates."""

    def __init__(self, d):
        super().__init__()
        self.inner = dense((d,), (64,), 6, last=nn.Softplus)

    def forward(self, x):
        return self.inner(torch.log1p(x))


@faulty("loss.domain", steps=300, bar=-0.3)
def rates_taken_for_their_logarithm(seed, fixed):
    """Give rates to PoissonNLLLoss, which expects logarithms unless told otherwise."""
    x = counts(512, seed)
    model = CountAE(30)
    loss = nn.PoissonNLLLoss(log_input=not fixed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 1e-2)}


@faulty("loss.domain", steps=250, bar=0.0)
def probabilities_into_kldiv(seed, fixed):
    """Give KLDivLoss probabilities where it expects their logarithm."""
    x = shares(512, seed)
    model = dense((24,), (64,), 6, last=None)
    model.decoder.append(nn.Softmax(dim=1))
    divergence = nn.KLDivLoss(reduction="batchmean")

    def loss(output, target):
        return divergence((output + 1e-8).log() if fixed else output, target)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


# Asked: https://github.com/Lightning-Universe/lightning-bolts/issues/177
@faulty("loss.domain", bar=0.0)
def cross_entropy_of_normalised_images(seed, fixed):
    """Train a VAE with cross-entropy on images normalised by mean and deviation."""
    x = (patches(512, seed) - 0.45) / 0.25
    model = dense_vae((3, 16, 16), 128, 12, last=None)

    def loss(output, target):
        recon, mu, logvar = output
        if fixed:
            error = F.mse_loss(recon, target, reduction="sum")
        else:
            error = F.binary_cross_entropy_with_logits(recon, target, reduction="sum")
        return error / len(target) + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 1e-3)}


@faulty("loss.scale", bar=0.4)
def smoothness_summed_over_the_batch(seed, fixed):
    """Average the error over pixels and sum the total variation over the batch."""
    x, _ = scenes(512, seed)
    model = conv((3, 16, 16), 32)
    take = torch.mean if fixed else torch.sum

    def loss(recon, target):
        rows = (recon[:, :, 1:] - recon[:, :, :-1]).abs()
        columns = (recon[..., 1:] - recon[..., :-1]).abs()
        return F.mse_loss(recon, target) + 1e-3 * (take(rows) + take(columns))

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Quantised(nn.Module):
    """Replace the code of each beat by the nearest ones of a codebook."""

    def __init__(self, t):
        super().__init__()
        self.inner = dense((t,), (64,), 8, last=None)
        self.codebook = nn.Embedding(32, 2)

    def forward(self, x):
        z = self.inner.encode(x).view(-1, 2)
        near = torch.cdist(z, self.codebook.weight).argmin(1)
        q = self.codebook(near)
        through = z + (q - z).detach()
        return self.inner.decode(through.view(len(x), -1)), z, q


@faulty("loss.scale", steps=300, bar=0.9)
def commitment_summed_over_everything(seed, fixed):
    """Average the error of a VQ-VAE and sum its codebook and commitment terms."""
    x = heartbeats(512, seed)
    model = Quantised(32)
    reduction = "mean" if fixed else "sum"

    def loss(output, target):
        recon, z, q = output
        codebook = F.mse_loss(q, z.detach(), reduction=reduction)
        commitment = F.mse_loss(z, q.detach(), reduction=reduction)
        return F.mse_loss(recon, target) + codebook + 0.25 * commitment

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 4e-3)}


@faulty("loss.scale", steps=250, measure=prior_fit, bar=-40)
def divergence_averaged_to_nothing(seed, fixed):
    """Sum the error over batch and pixels and average the divergence over both axes."""
    x, _ = digits(512, seed, size=16)
    model = dense_vae((1, 16, 16), 128, 8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy(recon, target, reduction="sum")
        divergence = kl(mu, logvar)
        return error + (divergence.sum() if fixed else divergence.mean())

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}
