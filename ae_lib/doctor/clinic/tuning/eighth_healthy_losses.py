"""Healthy programs: other losses and penalties that are written as they should be."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.parts import conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import counts, fit, grey


def ssim(a, b, window=7):
    """Return the structural similarity of two batches."""

    def mean(t):
        return F.avg_pool2d(t, window, 1)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma * ma, mean(b * b) - mb * mb
    cov = mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * ma * mb + c1) * (2 * cov + c2)
    return (top / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean()


# Asked: after the list in doctor.md
@healthy(steps=180, bar=0.5)
def structural_similarity_and_absolute_error(seed):
    """Mix 1 - SSIM with the absolute error, as is usual for photographs."""
    x = grey(448, seed, 24)
    model = conv((1, 24, 24), k=64, width=10)

    def loss(output, target):
        return 0.5 * (1 - ssim(output, target)) + 0.5 * F.l1_loss(output, target)

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class PerceptualLoss(nn.Module):
    """Squared error of pixels and of frozen features."""

    def __init__(self, features, weight=0.1):
        super().__init__()
        self.features = features.eval()
        self.weight = weight
        for p in self.features.parameters():
            p.requires_grad = False

    def forward(self, output, target):
        distance = F.mse_loss(self.features(output), self.features(target))
        return F.mse_loss(output, target) + self.weight * distance


def figure_features(x, y):
    """Train a classifier of figures and return its features."""
    features = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU()
    )
    head = nn.Sequential(nn.Flatten(), nn.Linear(1024, 1 + int(y.max())))
    optimizer = torch.optim.Adam([*features.parameters(), *head.parameters()], 2e-3)
    for xb, yb in loader(x, y, batch_size=32):
        optimizer.zero_grad()
        F.cross_entropy(head(features(xb)), yb).backward()
        optimizer.step()
    return features


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def features_of_a_classifier_in_the_loss(seed):
    """Add the distance of frozen classifier features to the squared error."""
    x, y = scenes(448, seed, 16)
    model = conv((3, 16, 16), k=48, width=12)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": PerceptualLoss(figure_features(x, y)),
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


class ContractiveAE(nn.Module):
    """One sigmoid layer each way."""

    def __init__(self, d=64, k=40):
        super().__init__()
        self.fc1 = nn.Linear(d, k)
        self.fc2 = nn.Linear(k, d)

    def encode(self, x):
        return torch.sigmoid(self.fc1(x))

    def forward(self, x):
        h = self.encode(x)
        return torch.sigmoid(self.fc2(h)), h


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.5)
def jacobian_of_a_sigmoid_layer_in_closed_form(seed):
    """Penalise the squared Jacobian of one sigmoid layer by its closed form."""
    x, _ = digits(1500, seed, 8)
    model = ContractiveAE()

    def loss(output, target):
        recon, h = output
        slope = (h * (1 - h)).square()
        jacobian = slope @ model.fc1.weight.square().sum(1)
        return F.mse_loss(recon, target) + 1e-3 * jacobian.mean()

    return {
        "model": model,
        "batches": loader(x.flatten(1), batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class SceneCode(nn.Module):
    """Dense halves that return the code, too."""

    def __init__(self, k=16):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Flatten(), nn.Linear(768, 128), nn.ReLU(), nn.Linear(128, k)
        )
        self.dec = nn.Sequential(
            nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, 768), nn.Sigmoid()
        )

    def forward(self, x):
        z = self.enc(x)
        return self.dec(z).view_as(x), z


def mmd(a, b):
    """Return the kernel distance of two samples."""

    def kernel(u, v):
        return (1 / (1 + torch.cdist(u, v).square() / (2 * u.shape[1]))).mean()

    return kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.4)
def code_drawn_to_a_normal_by_mmd(seed):
    """Draw the code towards a normal distribution by a kernel distance."""
    x, _ = scenes(640, seed, 16)
    model = SceneCode()

    def loss(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + 0.02 * mmd(z, torch.randn_like(z))

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class TopicAE(nn.Module):
    """Word shares to log shares."""

    def __init__(self, words=60, k=10):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(words, 48), nn.Softplus(), nn.Linear(48, k))
        self.dec = nn.Linear(k, words)

    def forward(self, shares):
        return torch.log_softmax(self.dec(self.enc(60 * shares)), dim=1)


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.5)
def word_shares_by_their_log_likelihood(seed):
    """Model the shares of words in documents by a softmax and its log-likelihood."""
    x = counts(1024, seed)
    x = x / x.sum(1, keepdim=True)
    model = TopicAE()

    def loss(output, target):
        return -(target * output).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "view": torch.exp,
    }


class VectorQuantised(nn.Module):
    """A code of entries of a codebook."""

    def __init__(self, d=12, entries=64):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, d, 3, 1, 1)
        )
        self.codebook = nn.Embedding(entries, d)
        nn.init.normal_(self.codebook.weight, std=0.3)
        self.dec = nn.Sequential(
            nn.Conv2d(d, 24, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(24, 3, 4, 2, 1)
        )

    def forward(self, x):
        z = self.enc(x).permute(0, 2, 3, 1)
        flat = z.reshape(-1, z.shape[-1])
        index = torch.cdist(flat, self.codebook.weight).argmin(1)
        q = self.codebook(index).view_as(z)
        vq = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        through = z + (q - z).detach()
        return self.dec(through.permute(0, 3, 1, 2)), vq


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def codebook_with_straight_through_gradients(seed):
    """Quantise the code by a codebook and let gradients pass straight through."""
    x = patches(448, seed, 16)
    model = VectorQuantised()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda output, target: F.mse_loss(output[0], target) + output[1],
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.85)
def absolute_error_that_settled(seed):
    """Trained waves on the absolute error with exponential decay of the rate."""
    x = waves(704, seed, 48)
    model = nn.Sequential(
        nn.Linear(48, 64), nn.Mish(), nn.Linear(64, 12), nn.Linear(12, 64), nn.Mish()
    )
    model.append(nn.Linear(64, 48))
    optimizer = torch.optim.RAdam(model.parameters(), lr=6e-3)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.93)
    case = {
        "model": model,
        "batches": loader(x[:640], seed=seed),
        "loss": F.l1_loss,
        "optimizer": optimizer,
    }
    return fit(case, 60, [x[640:]], schedule=decay)
