"""Sparsity terms that drown the error or do nothing, and pictures without detail."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.heldback.sixth_c_material import fit, spectra
from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import detail, quiet_units
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, elbo
from ae_lib.doctor.clinic.program import faulty


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


class EveryLayer(nn.Module):
    """Collect the activations of all hidden layers."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Linear(24, 48), nn.Linear(48, 12)])
        self.up = nn.ModuleList([nn.Linear(12, 48), nn.Linear(48, 24)])

    def forward(self, x):
        seen, h = [], x
        for layer in [*self.down, self.up[0]]:
            h = F.elu(layer(h))
            seen.append(h)
        return {"recon": self.up[1](h), "activations": seen}


@faulty("sparse.too-strong", steps=300, bar=0.4)
def activity_penalty_on_every_layer(seed, fixed):
    """Punish the activations of every layer with a weight of one half."""
    model = EveryLayer()
    weight = 1e-3 if fixed else 0.5

    def loss(output, target):
        penalty = sum(h.abs().mean() for h in output["activations"])
        return F.mse_loss(output["recon"], target) + weight * penalty

    case = {"model": model, "batches": loader(table(512, seed, d=24), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


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


@faulty("sparse.inert", steps=400, measure=quiet_units, bar=0.5)
def l1_of_a_softmax(seed, fixed):
    """Punish the L1 norm of a softmax code, which is one for every input."""
    model = SparseAE(48, 32, nn.ReLU() if fixed else nn.Softmax(1), hidden=64)

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 1e-3 * z.abs().sum(1).mean()

    case = {"model": model, "batches": loader(spectra(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


# Asked: https://discuss.pytorch.org/t/81990
@faulty(
    "sparse.inert",
    accepts=("sparse.too-strong",),
    steps=400,
    measure=quiet_units,
    bar=0.3,
)
def mean_activation_over_the_units(seed, fixed):
    """Average the activations over the units of a sample in place of the batch."""
    x, _ = digits(512, seed, size=8)
    model = SparseAE(64, 48, nn.Sigmoid())

    def loss(output, target):
        recon, z = output
        mean = torch.sigmoid(z).mean(1) if not fixed else z.mean(0)
        return F.mse_loss(recon, target) + 2e-3 * kl_to(0.05, mean)

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("fit.blurry", accepts=("code.too-small",), steps=0, measure=detail, bar=0.3)
def average_against_the_checkerboard(seed, fixed):
    """End the decoder in a 5 x 5 average so that no checkerboard can show."""
    x = patches(512, seed, 12)
    model = conv((3, 12, 12), 96, width=12)
    if not fixed:
        model.decoder.append(nn.AvgPool2d(5, 1, 2, count_include_pad=False))
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class Thumbnail(AE):
    """Reconstruct a small picture and enlarge it."""


@faulty("fit.blurry", accepts=("code.too-small",), steps=0, measure=detail, bar=0.3)
def enlarged_from_a_thumbnail(seed, fixed):
    """Decode to a quarter of the size and enlarge the picture bilinearly."""
    x = patches(512, seed, 12)
    encoder = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(576, 96)
    )
    if fixed:
        tail = [nn.Linear(96, 432), nn.Sigmoid(), nn.Unflatten(1, (3, 12, 12))]
    else:
        grow = nn.Upsample(size=(12, 12), mode="bilinear")
        tail = [nn.Linear(96, 27), nn.Sigmoid(), nn.Unflatten(1, (3, 3, 3)), grow]
    model = Thumbnail(encoder, nn.Sequential(*tail))
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty(
    "fit.blurry",
    accepts=("vae.collapse", "code.too-small"),
    steps=0,
    measure=detail,
    bar=0.15,
)
def smooth_faces_of_a_vae(seed, fixed):
    """Train a VAE whose likelihood is so broad that only the shading survives."""
    x = patches(512, seed, 8)
    model = conv_vae((3, 8, 8), 48, width=12)
    loss = elbo(1.0, 0.0005 if fixed else 0.05)
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, loss=loss, seed=seed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer}
