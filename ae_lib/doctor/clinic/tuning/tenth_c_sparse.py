"""Sparsity terms that drown the error or do nothing, and pictures without detail."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import detail, quiet_units
from ae_lib.doctor.clinic.parts import AE, adam, dense_vae, elbo
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import fit, spectra, weave


class SparseAE(nn.Module):
    """Return the reconstruction and the hidden code."""

    def __init__(self, d, k, act, hidden=None):
        super().__init__()
        first = [nn.Linear(d, hidden), nn.ReLU()] if hidden else []
        self.enc = nn.Sequential(*first, nn.Linear(hidden or d, k))
        self.act, self.dec = act, nn.Linear(k, d)

    def encode(self, x):
        return self.act(self.enc(x.flatten(1)))

    def forward(self, x):
        z = self.encode(x)
        return torch.sigmoid(self.dec(z)).view_as(x), z


def kl_to(rho, mean):
    """Return the divergence of Bernoulli(rho) from the mean activations."""
    mean = mean.clamp(1e-6, 1 - 1e-6)
    here = rho * torch.log(rho / mean)
    return (here + (1 - rho) * torch.log((1 - rho) / (1 - mean))).sum()


@faulty(
    "sparse.too-strong",
    accepts=("loss.scale", "signal.dead-units"),
    steps=250,
    bar=0.3,
)
def l1_summed_over_the_batch(seed, fixed):
    """Add 0.01 times the L1 norm of the whole batch of codes to a mean error."""
    x, _ = digits(512, seed, size=8)
    model = SparseAE(64, 64, nn.ReLU())

    def loss(output, target):
        recon, z = output
        weight = 0.01 / 64 / 64 if fixed else 0.01
        return F.mse_loss(recon, target) + weight * z.abs().sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/jatinshah/ufldl_tutorial/issues/5
@faulty("sparse.too-strong", accepts=("loss.scale",), steps=300, bar=0.4)
def three_times_the_kl_of_a_thousandth(seed, fixed):
    """Copy beta = 3 from lecture notes with a summed error and use it with the mean."""
    model = SparseAE(48, 40, nn.Sigmoid(), hidden=64)
    beta, rho = (2e-4, 0.1) if fixed else (3.0, 0.005)

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + beta * kl_to(rho, z.mean(0))

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 5e-3)}


class WinnersOnly(nn.Module):
    """Keep the k largest of 48 units of a hidden code."""

    def __init__(self, k):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 48))
        self.dec, self.k = nn.Linear(48, 48), k

    def encode(self, x):
        h = self.enc(x)
        edge = h.topk(self.k, dim=1).values[:, -1:]
        return h * (h >= edge)

    def forward(self, x):
        z = self.encode(x)
        return {"recon": self.dec(z), "z": z}


@faulty("sparse.too-strong", accepts=("code.too-small",), steps=300, bar=0.75)
def one_winner_takes_all(seed, fixed):
    """Let a single unit of the code through for each spectrum."""
    model = WinnersOnly(8 if fixed else 1)
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Asked: https://discuss.pytorch.org/t/autoencoder-sparsity-term/96005
@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=400,
    measure=quiet_units,
    bar=0.7,
)
def count_of_active_units(seed, fixed):
    """Punish the number of active units, which has no gradient."""
    x, _ = digits(512, seed, size=8)
    model = SparseAE(64, 64, nn.ReLU())

    def loss(output, target):
        recon, z = output
        active = z.sum(1).mean() if fixed else (z > 0).float().sum(1).mean()
        return F.mse_loss(recon, target) + 2e-3 * active

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.55)
def divided_by_the_batch_again(seed, fixed):
    """Divide a mean L1 term by the batch and the units once more."""
    model = SparseAE(48, 64, nn.ReLU(), hidden=64)

    def loss(output, target):
        recon, z = output
        term = z.abs().sum(1).mean() if fixed else z.abs().mean() / z.numel()
        return F.mse_loss(recon, target) + 2e-3 * term

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


@faulty("fit.blurry", steps=0, measure=detail, bar=0.5)
def average_against_the_checkerboard(seed, fixed):
    """End the decoder in a 5 x 5 average so that no checkerboard can show."""
    x = weave(512, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(432, 16)
    )
    decoder = nn.Sequential(
        nn.Linear(16, 64),
        nn.SiLU(),
        nn.Linear(64, 288),
        nn.Unflatten(1, (8, 6, 6)),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
    )
    if not fixed:
        decoder.append(nn.AvgPool2d(5, 1, 2, count_include_pad=False))
    model = AE(encoder, decoder)
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def enlarged_from_a_thumbnail(seed, fixed):
    """Decode to a quarter of the size and enlarge the picture bilinearly."""
    x = weave(512, seed, 16)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 16)
    )
    small = [nn.Linear(16, 64), nn.ReLU()]
    if fixed:
        tail = [nn.Linear(64, 256), nn.Unflatten(1, (1, 16, 16))]
    else:
        grow = nn.Upsample(size=(16, 16), mode="bilinear")
        tail = [nn.Linear(64, 16), nn.Unflatten(1, (1, 4, 4)), grow]
    model = AE(encoder, nn.Sequential(*small, *tail))
    optimizer = adam(model, 3e-3)
    fit(model, x, 30, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("fit.blurry", accepts=("vae.collapse",), steps=0, measure=detail, bar=0.4)
def smooth_cloth_of_a_vae(seed, fixed):
    """Train a VAE whose likelihood is so broad that only the shading survives."""
    x = weave(512, seed)
    model = dense_vae((1, 12, 12), 96, 8, last=None)
    loss = elbo(1.0, 0.002 if fixed else 0.15)
    optimizer = adam(model, 3e-3)
    fit(model, x, 60, optimizer, loss=loss, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer}
