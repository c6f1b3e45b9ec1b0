"""Eighth part, a: quantised, variational and other unusual codes that work."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import adam, conv, conv_vae, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_a_material import boxes, hills, strokes


class Finite(nn.Module):
    """Quantise every entry of a code to five levels by rounding, straight through."""

    def __init__(self, c=3, code=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(c, 24, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(24, code, 4, 2, 1),
            nn.BatchNorm2d(code),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(code, 32, 3, 1, 1),
            nn.SiLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 24, 3, 1, 1),
            nn.SiLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(24, c, 3, 1, 1),
        )

    def forward(self, x):
        z = 2 * torch.tanh(self.encoder(x))
        q = z + (z.round() - z).detach()
        return self.decoder(q / 2)


@healthy(steps=300, bar=0.5)
def five_levels_without_a_codebook(seed):
    """Train a finite scalar quantiser with nothing but the squared error."""
    x = 2 * boxes(640, seed) - 1
    model = Finite()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Book(nn.Module):
    """Quantise 4 x 4 cells by a codebook that follows its members by averages."""

    def __init__(self, entries=48, dim=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, 4), nn.GELU(), nn.Conv2d(32, dim, 1)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 48, 3, 1, 1), nn.GELU(), nn.ConvTranspose2d(48, 1, 4, 4)
        )
        self.register_buffer("book", 0.3 * torch.randn(entries, dim))
        self.register_buffer("count", torch.ones(entries))
        self.register_buffer("total", self.book.clone())

    @torch.no_grad()
    def begin(self, x):
        rows = self.encoder(x).permute(0, 2, 3, 1).flatten(0, 2)
        self.book.copy_(rows[torch.randperm(len(rows))[: len(self.book)]])
        self.total.copy_(self.book)

    @torch.no_grad()
    def follow(self, rows, which):
        hot = F.one_hot(which, len(self.book)).float()
        self.count.lerp_(hot.sum(0), 0.05)
        self.total.lerp_(hot.t() @ rows, 0.05)
        some = rows[torch.randint(len(rows), (len(self.book),))]
        idle = self.count < 1  # such entries start again at a cell of the batch
        self.total[idle], self.count[idle] = 4 * some[idle], 4.0
        self.book.copy_(self.total / self.count.unsqueeze(1))

    def forward(self, x):
        z = self.encoder(x).permute(0, 2, 3, 1)
        rows = z.reshape(-1, z.shape[-1])
        which = torch.cdist(rows, self.book).argmin(1)
        q = self.book[which].view_as(z)
        if self.training:
            self.follow(rows.detach(), which)
        through = (z + (q - z).detach()).permute(0, 3, 1, 2)
        commitment = (z - q).square().mean()
        return {"reconstruction": self.decoder(through), "commitment": commitment}


@healthy(steps=400, bar=0.5)
def codebook_without_gradients(seed):
    """Move a codebook by running averages; the optimizer does not have it."""
    x = hills(1024, seed, peaks=3)
    model = Book()
    model.begin(x[:64])

    def loss(out, target):
        return F.mse_loss(out["reconstruction"], target) + 0.25 * out["commitment"]

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


@dataclass
class Result:
    """Hold what a variational model returns."""

    recon: Tensor
    mu: Tensor
    logvar: Tensor


class Named(nn.Module):
    """Return the outputs of a VAE by name."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x):
        return Result(*self.vae(x))


@healthy(steps=400, bar=0.5)
def weight_of_the_divergence_warmed_up(seed):
    """Raise the weight of the divergence from nothing over the first epochs."""
    x = hills(1024, seed, peaks=1)
    model, seen = Named(conv_vae((1, 16, 16), k=12)), [0]
    optimizer = adam(model, 3e-3)

    def loss(out, target):
        beta = min(1.0, (1 + seen[0]) / 100)
        error = (out.recon - target).square().flatten(1).sum(1) / (2 * 0.1**2)
        return (error + beta * kl(out.mu, out.logvar).sum(1)).mean()

    def step(model, batch):
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen[0] += 1
        return value.item()

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "step": step, "optimizer": optimizer}


class Told(nn.Module):
    """Tell both halves of a VAE the kind of sign, in planes behind the picture."""

    def __init__(self, kinds=10, hidden=128, k=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(256 + kinds, hidden), nn.SiLU())
        self.mean, self.spread = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k + kinds, hidden), nn.SiLU(), nn.Linear(hidden, 256)
        )
        nn.init.constant_(self.spread.bias, -3.0)

    def forward(self, both):
        kind = both[:, 1:, 0, 0]
        h = self.encoder(torch.cat([both[:, 0].flatten(1), kind], 1))
        mu, logvar = self.mean(h), self.spread(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat = self.decoder(torch.cat([z, kind], 1)).view(-1, 1, 16, 16)
        return x_hat, mu, logvar


@healthy(steps=500, bar=0.4)
def kind_of_sign_told_to_both_halves(seed):
    """Condition a VAE of logits on the label, which comes along with the input."""
    x, kind = strokes(1280, seed)
    planes = F.one_hot(kind, 10).float()[:, :, None, None].expand(-1, -1, 16, 16)
    model = Told()

    def loss(output, target):
        logits, mu, logvar = output
        error = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return error / len(target) + kl(mu, logvar).sum() / len(target)

    return {
        "model": model,
        "batches": loader(torch.cat([x, planes], 1), kind, batch_size=64, seed=seed),
        "pair": lambda batch: (batch[0], batch[0][:, :1]),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }


def _kernel(a, b):
    """Return the mean of an inverse multiquadratic kernel between two sets."""
    return (1 / (1 + torch.cdist(a, b).square() / a.shape[1])).mean()


class Coded(nn.Module):
    """Return the code beside the reconstruction."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        z = self.inner.encode(x)
        return self.inner.decode(z), {"z": z}


@healthy(steps=350, bar=0.6)
def codes_matched_to_a_normal_by_a_kernel(seed):
    """Train a Wasserstein autoencoder: the error and a kernel distance to N(0, 1)."""
    x, y = digits(1408, seed, size=16)
    model = Coded(conv((1, 16, 16), 8, norm=True))

    def loss(output, target):
        x_hat, z = output[0], output[1]["z"]
        prior = torch.randn_like(z)
        away = _kernel(z, z) + _kernel(prior, prior) - 2 * _kernel(z, prior)
        return F.mse_loss(x_hat, target) + 0.05 * away

    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }
