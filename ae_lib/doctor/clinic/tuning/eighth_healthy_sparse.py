"""Healthy programs: more codes of which most entries are zero or at rest."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import grey


class NgAutoencoder(nn.Module):
    """One layer of sigmoids each way."""

    def __init__(self, visible=64, hidden=100):
        super().__init__()
        self.W1 = nn.Linear(visible, hidden)
        self.W2 = nn.Linear(hidden, visible)

    def forward(self, x):
        a = torch.sigmoid(self.W1(x))
        return torch.sigmoid(self.W2(a)), a


def average_activity(beta, rho):
    """Return the loss that asks for an average activity of rho."""

    def loss(output, target):
        x_hat, a = output
        rho_hat = a.mean(0).clamp(1e-5, 1 - 1e-5)
        kl = rho * torch.log(rho / rho_hat)
        kl = kl + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
        return F.binary_cross_entropy(x_hat, target) + beta * kl.sum()

    return loss


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.5)
def sigmoid_units_asked_to_rest(seed):
    """Ask 100 sigmoid units for an average activity of a tenth, after a lecture."""
    x, _ = digits(1500, seed, 8)
    model = NgAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return {
        "model": model,
        "batches": loader(x.flatten(1), batch_size=128, seed=seed),
        "loss": average_activity(2e-3, 0.1),
        "optimizer": optimizer,
    }


class Lista(nn.Module):
    """Learned rounds of soft thresholds."""

    def __init__(self, d, atoms, rounds=3):
        super().__init__()
        self.We = nn.Linear(d, atoms, bias=False)
        self.S = nn.Linear(atoms, atoms, bias=False)
        self.theta = nn.Parameter(torch.full((atoms,), 0.05))
        self.D = nn.Linear(atoms, d, bias=False)
        self.rounds = rounds

    def shrink(self, v):
        return torch.sign(v) * F.relu(v.abs() - self.theta)

    def forward(self, x):
        b = self.We(x)
        z = self.shrink(b)
        for _ in range(self.rounds):
            z = self.shrink(b + self.S(z))
        return self.D(z), z


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.6)
def learned_shrinkage_of_patch_codes(seed):
    """Learn sparse codes of centred patches by three rounds of soft thresholds."""
    x = grey(1024, seed, 10).flatten(1)
    x = x - x.mean(1, keepdim=True)
    x = x / x.std()
    model = Lista(100, 160)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def criterion(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + 0.2 * z.abs().mean()

    batches = loader(x, batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": criterion,
        "optimizer": optimizer,
    }


class WinnerTakeAll(nn.Module):
    """Feature maps of which a few places stay."""

    def __init__(self, maps=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, maps, 5, padding=2),
        )
        self.deconv = nn.ConvTranspose2d(maps, 1, 9, padding=4)

    def forward(self, x):
        h = self.features(x)
        flat = h.flatten(2)
        cut = flat.topk(4, dim=2).values[..., -1:]
        return self.deconv((flat * (flat >= cut)).view_as(h))


# Asked: after the list in doctor.md
@healthy(steps=180, bar=0.5)
def four_winners_in_every_map(seed):
    """Let only the four strongest places of each feature map through."""
    x, _ = digits(640, seed, 16)
    model = WinnerTakeAll()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}
