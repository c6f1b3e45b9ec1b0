"""Healthy programs on pictures: variational, quantised and discrete codes."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import (
    AE,
    VAE,
    adam,
    conv,
    conv_vae,
    dense,
    dense_vae,
    kl,
)
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    cells,
    ellipses,
    faces,
    fitted,
    satellite,
)


@healthy(steps=40, bar=0.2)
def bernoulli_vae_of_the_tutorial(seed):
    """Train the VAE of PyTorch's examples, BCE and KL both summed, for ten epochs."""
    x, _ = digits(1500, seed)
    model = dense_vae((1, 28, 28), 256, 10)

    def loss(output, target):
        recon, mu, logvar = output
        bce = F.binary_cross_entropy(recon, target, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    case = {"model": model, "batches": loader(x[:1280], seed=seed), "loss": loss}
    case |= {"eval_batches": loader(x[1280:], batch_size=64, shuffle=False)}
    return fitted({**case, "optimizer": adam(model)}, 10)


class SigmaVAE(VAE):
    """Learn one noise level for all pixels together with the networks."""

    def __init__(self, plain):
        super().__init__(plain.encoder, plain.decoder, 512, 12)
        self.fc_mu, self.fc_logvar = plain.fc_mu, plain.fc_logvar
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        recon, mu, logvar = super().forward(x)
        return {"recon": recon, "mu": mu, "logvar": logvar, "s": self.log_sigma}


def sigma_loss(output, target):
    """Return the Gaussian likelihood with a learned noise level, and the KL."""
    error = (output["recon"] - target).square() / (2 * (2 * output["s"]).exp())
    nll = (error + output["s"]).flatten(1).sum(1).mean()
    return nll + kl(output["mu"], output["logvar"]).sum(1).mean()


# Asked: https://discuss.pytorch.org/t/pytorch-vae-variational-autoencoder-example-not-training-no-meaningful-model-returned/8095
@healthy(steps=400, bar=0.3)
def vae_that_learns_its_noise(seed):
    """Let a VAE find the weight of its error by a learned noise level (sigma-VAE)."""
    model = SigmaVAE(conv_vae((1, 16, 16), 12))
    data = loader(F.avg_pool2d(faces(600, seed, 32), 2), seed=seed)
    case = {"model": model, "batches": data, "loss": sigma_loss}
    return {**case, "optimizer": adam(model)}


# Asked: https://github.com/asyml/texar/issues/87
@healthy(steps=32, bar=0.3)
def kl_weight_raised_over_the_epochs(seed):
    """Raise the weight of the KL from 0 to 1 in eight epochs; 24 have passed."""
    x, y = scenes(640, seed)
    model, beta = conv_vae((3, 16, 16), 12), [0.0]

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1).mean() / 0.05
        return error + beta[0] * kl(mu, logvar).sum(1).mean()

    def before(epoch):
        beta[0] = min(1.0, epoch / 8)

    case = {
        "model": model,
        "batches": loader(x[:512], y[:512], batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(x[512:], y[512:], shuffle=False), "loss": loss}
    return fitted({**case, "optimizer": adam(model, 4e-3)}, 24, before=before)


@healthy(steps=0, bar=0.3)
def vae_with_more_units_than_it_uses(seed):
    """Give a VAE of masks sixteen units, of which it leaves some at the prior."""
    model = dense_vae((1, 16, 16), 128, 16)

    def loss(output, target):
        recon, mu, logvar = output
        bce = F.binary_cross_entropy(recon, target, reduction="none")
        return bce.flatten(1).sum(1).mean() + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(ellipses(800, seed), seed=seed)}
    case |= {"eval_batches": loader(ellipses(200, seed + 50), shuffle=False)}
    case = fitted({**case, "loss": loss, "optimizer": adam(model)}, 40)
    model.eval()
    return case


# Asked: https://github.com/valdersoul/bn-vae/issues/2
@healthy(bar=0.3)
def free_bits_for_each_unit(seed):
    """Do not count the KL of a unit below a quarter of a nat (free bits)."""
    model = conv_vae((3, 16, 16), 16)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target) / 0.04
        return error + kl(mu, logvar).mean(0).clamp(min=0.25).sum()

    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model)}


class Codebook(nn.Module):
    """Replace each vector of a map by the nearest of a learned list."""

    def __init__(self, entries, width):
        super().__init__()
        self.book = nn.Embedding(entries, width)
        nn.init.uniform_(self.book.weight, -1 / 2, 1 / 2)

    def forward(self, z):
        rows = z.permute(0, 2, 3, 1)  # (B, H, W, width)
        index = torch.cdist(rows.flatten(0, 2), self.book.weight).argmin(1)
        q = self.book(index).view_as(rows)
        loss = F.mse_loss(q, rows.detach()) + 0.25 * F.mse_loss(rows, q.detach())
        q = rows + (q - rows).detach()
        return q.permute(0, 3, 1, 2), loss


class VQ(nn.Module):
    """Quantise a small map between two convolutional halves."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(6, 32, 4, 2, 1), nn.ReLU())
        self.down += nn.Sequential(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU())
        self.down.append(nn.Conv2d(32, 8, 1))
        self.quantise = Codebook(64, 8)
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 32, 4, 2, 1), nn.ReLU())
        self.up.append(nn.ConvTranspose2d(32, 6, 4, 2, 1))

    def forward(self, x):
        q, vq_loss = self.quantise(self.down(x))
        return {"recon": self.up(q), "vq_loss": vq_loss}


# Asked: https://github.com/nadavbh12/VQ-VAE/issues/15
@healthy(steps=32, bar=0.4)
def vector_quantised_satellite_tiles(seed):
    """Quantise the code of six-band tiles; the codebook's loss grows at first."""
    x = satellite(640, seed)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x = (x - mean) / std
    model, data = VQ(), loader(x[:512], batch_size=32, seed=seed)

    def loss(output, target):
        return F.mse_loss(output["recon"], target) + output["vq_loss"]

    case = {"model": model, "batches": data, "loss": loss}
    case |= {"eval_batches": loader(x[512:], shuffle=False)}
    return fitted({**case, "optimizer": adam(model, 3e-3)}, 22)


class MovingBook(nn.Module):
    """Quantise vectors; the list follows the mean of those it is nearest to."""

    def __init__(self, entries, width):
        super().__init__()
        self.register_buffer("book", 0.3 * torch.randn(entries, width))
        self.register_buffer("count", torch.ones(entries))
        self.register_buffer("total", self.book.clone())

    def forward(self, z):
        rows = z.unflatten(1, (-1, self.book.shape[1]))  # (B, groups, width)
        flat = rows.flatten(0, 1)
        near = torch.cdist(flat, self.book).argmin(1)
        if self.training:
            with torch.no_grad():
                hot = F.one_hot(near, len(self.book)).float()
                self.count.lerp_(hot.sum(0), 0.05)
                self.total.lerp_(hot.T @ flat, 0.05)
                self.book.copy_(self.total / (self.count[:, None] + 1e-3))
        q = self.book[near].view_as(rows)
        self.commitment = F.mse_loss(rows, q)
        return (rows + (q - rows).detach()).flatten(1)


@healthy(steps=0, bar=0.3)
def codebook_that_follows_the_means(seed):
    """Keep the codebook of digits as buffers that follow moving averages."""
    x, y = digits(1400, seed)
    inner, quantise = dense((1, 28, 28), (128,), 32), MovingBook(48, 4)
    model = AE(inner.encoder.append(quantise), inner.decoder)

    def loss(output, target):
        return F.mse_loss(output, target) + 0.05 * quantise.commitment

    case = {"model": model, "batches": loader(x[:1152], y[:1152], seed=seed)}
    case |= {"eval_batches": loader(x[1152:], y[1152:], batch_size=248), "loss": loss}
    case = fitted({**case, "optimizer": adam(model, 3e-3)}, 36)
    model.eval()
    return case


@dataclass
class Guess:
    """Hold a reconstruction with a spread for every pixel, and its code."""

    x_hat: Tensor
    log_spread: Tensor
    z: Tensor


class Heteroscedastic(nn.Module):
    """Decode a mean and a spread for every pixel."""

    def __init__(self):
        super().__init__()
        self.inner = conv((1, 16, 16), 16, last=None)
        self.inner.decoder[-1] = nn.ConvTranspose2d(16, 2, 4, 2, 1)

    def forward(self, x):
        z = self.inner.encode(x)
        mean, spread = self.inner.decode(z).chunk(2, 1)
        return Guess(mean, spread.clamp(-3, 1), z)


@healthy(steps=0, bar=0.4)
def likelihood_with_a_spread_per_pixel(seed):
    """Fit micrographs with a Gaussian likelihood whose spread is learned per pixel."""
    model = Heteroscedastic()

    def loss(output, target):
        scaled = (output.x_hat - target) * (-output.log_spread).exp()
        return (0.5 * scaled.square() + output.log_spread).mean()

    case = {
        "model": model,
        "batches": loader(cells(640, seed), batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(cells(256, seed + 40), shuffle=False)}
    case = fitted({**case, "loss": loss, "optimizer": adam(model)}, 16)
    model.eval()
    return case
