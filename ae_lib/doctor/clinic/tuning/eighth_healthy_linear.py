"""Healthy programs: linear models that mean to be linear, and sparse codes."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import cancer, fit, grey


class LinearAE(nn.Module):
    """Two matrices and nothing between them."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Linear(n_features, n_components, bias=False)
        self.decoder = nn.Linear(n_components, n_features, bias=False)

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.75)
def principal_components_of_tumours_by_gradient(seed):
    """Trained a linear autoencoder in place of PCA on the standardised cancer table."""
    x = cancer(seed)
    model = LinearAE(30, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = loader(x[:480], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return fit(case, 60, [x[480:]])


class TiedPCA(nn.Module):
    """One matrix, used in both directions."""

    def __init__(self, mean, k):
        super().__init__()
        self.register_buffer("mean", mean)
        self.W = nn.Parameter(0.1 * torch.randn(k, mean.numel()))

    def encode(self, x):
        return (x.flatten(1) - self.mean) @ self.W.t()

    def forward(self, x):
        return (self.encode(x) @ self.W + self.mean).view_as(x)


# Asked: https://stats.stackexchange.com/questions/ on the autoencoder that equals PCA
@healthy(steps=250, bar=0.7)
def tied_matrix_on_centred_digits(seed):
    """Learn the principal subspace of 8 x 8 digits with one tied matrix and SGD."""
    x, _ = digits(1024, seed, 8)
    model = TiedPCA(x.flatten(1).mean(0), 20)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def sum_of_squares(output, target):
        return (output - target).square().flatten(1).sum(1).mean()

    batches = loader(x, batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": sum_of_squares,
        "optimizer": optimizer,
    }


class OrthogonalAE(nn.Module):
    """A projection with orthonormal rows."""

    def __init__(self, d, k):
        super().__init__()
        self.proj = orthogonal(nn.Linear(d, k, bias=False))
        self.offset = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        z = self.proj(x - self.offset)
        return z @ self.proj.weight + self.offset


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.8)
def projection_kept_orthogonal(seed):
    """Keep the rows of the only matrix orthogonal, as PCA has them, on waves."""
    x = waves(640, seed, 48)
    model = OrthogonalAE(48, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.75)
def linear_weights_set_by_pca_then_refined(seed):
    """Start a linear autoencoder from the solution of PCA and refine it gently."""
    x = grey(480, seed, 16).flatten(1)
    x = x - x.mean(0)
    _, _, v = torch.pca_lowrank(x, q=24, center=False, niter=6)
    model = LinearAE(256, 24)
    with torch.no_grad():
        model.encoder.weight.copy_(v.t())
        model.decoder.weight.copy_(v)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    batches = loader(x, batch_size=48, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return fit(case, 15)


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.85)
def block_transform_without_activations(seed):
    """Learn a linear block transform, 48 values to 12, like the one inside JPEG."""
    x = patches(512, seed, 16)
    model = nn.Sequential(
        nn.Conv2d(3, 12, kernel_size=4, stride=4),
        nn.ConvTranspose2d(12, 3, kernel_size=4, stride=4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class SparseAE(nn.Module):
    """A rectified, normalised code."""

    def __init__(self, d, k):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Flatten(), nn.Linear(d, k, bias=False), nn.BatchNorm1d(k), nn.ReLU()
        )
        self.dec = nn.Sequential(nn.Linear(k, d), nn.Sigmoid())

    def encode(self, x):
        return self.enc(x)

    def forward(self, x):
        z = self.encode(x)
        return self.dec(z).view_as(x), z


def with_l1(weight):
    """Return the squared error with an L1 term on the code."""

    def loss(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + weight * z.abs().mean()

    return loss


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.6)
def rectified_code_under_l1(seed):
    """Trained a code of 80 rectified units with an L1 term; most entries are zero."""
    x, _ = digits(1500, seed, 16)
    model = SparseAE(256, 80)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    case = {
        "model": model,
        "batches": loader(x[:1300], batch_size=64, seed=seed),
        "loss": with_l1(4e-2),
        "optimizer": optimizer,
    }
    return fit(case, 30, [x[1300:]])


class TopK(nn.Module):
    """A code of which the largest entries stay."""

    def __init__(self, mean, k=25, width=150):
        super().__init__()
        self.k = k
        self.encoder = nn.Linear(mean.numel(), width, bias=False)
        self.decoder = nn.Linear(width, mean.numel())
        with torch.no_grad():
            self.encoder.weight.copy_(F.normalize(self.encoder.weight, dim=1))
            self.decoder.weight.copy_(self.encoder.weight.t())
            self.decoder.bias.copy_(mean)

    def encode(self, x):
        h = self.encoder(x.flatten(1) - self.decoder.bias)
        kept = h.topk(self.k, dim=1)
        return torch.zeros_like(h).scatter(1, kept.indices, kept.values)

    def forward(self, x):
        return self.decoder(self.encode(x)).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def twentyfive_strongest_of_all_entries(seed):
    """Keep the 25 largest of 150 code entries for each image, the k-sparse way."""
    x, _ = scenes(768, seed, 16)
    model = TopK(x.mean(0).flatten())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class Dictionary(nn.Module):
    """A sparse dictionary with atoms of unit length."""

    def __init__(self, d, atoms):
        super().__init__()
        self.b_dec = nn.Parameter(torch.zeros(d))
        self.W_enc = nn.Linear(d, atoms)
        self.W_dec = nn.Parameter(F.normalize(torch.randn(atoms, d), dim=1))
        self.W_enc.weight.data = self.W_dec.data.clone()

    def forward(self, x):
        f = torch.relu(self.W_enc(x - self.b_dec))
        return f @ self.W_dec + self.b_dec, f


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.7)
def dictionary_of_activations_with_unit_atoms(seed):
    """Learn a sparse dictionary of a network's activations, its atoms kept at one."""
    net = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 32))
    with torch.no_grad():
        acts = net(waves(2048, seed, 48))
    acts = (acts - acts.mean(0)) / (acts - acts.mean(0)).norm(dim=1).mean() * 32**0.5
    model = Dictionary(32, 128)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.0, 0.999))

    def loss(output, target):
        x_hat, f = output
        error = (x_hat - target).square().sum(-1).mean()
        return error + 0.1 * f.sum(-1).mean()

    def train_step(model, batch):
        total = loss(model(batch), batch)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        with torch.no_grad():
            model.W_dec.div_(model.W_dec.norm(dim=1, keepdim=True))
        return total.item()

    return {
        "model": model,
        "batches": loader(acts, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": optimizer,
        "step": train_step,
    }
