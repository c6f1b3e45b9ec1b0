"""Seventh part, c: ordinary dense autoencoders of digits, tables and texts."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import (
    clothes,
    customers,
    fit,
    made,
    peaks,
    words,
)


class Staircase(nn.Module):
    """Narrow 784 pixels to twelve numbers in three stairs and widen again."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 12),
        )
        self.decoder = nn.Sequential(
            nn.Linear(12, 64),
            nn.ReLU(),
            nn.Linear(64, 128),
            nn.ReLU(),
            nn.Linear(128, 784),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@healthy(steps=400, bar=0.45)
def staircase_of_a_blog(seed):
    """Flatten digits in the collate function and use the stairs of a blog."""
    x, _ = digits(1024, seed)
    model = Staircase()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    return {
        "model": model,
        "batches": loader(x.flatten(1), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class BasicVAE(nn.Module):
    """Name the layers of a VAE as the basic example does."""

    def __init__(self, d=256, hidden=150, k=10):
        super().__init__()
        self.fc1 = nn.Linear(d, hidden)
        self.fc21, self.fc22 = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.fc3, self.fc4 = nn.Linear(k, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        h = F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


@healthy(steps=500, bar=0.4)
def basic_example_with_sums(seed):
    """Sum cross-entropy and divergence over the batch, as the basic VAE example."""
    x, y = digits(1024, seed, size=16)
    model = BasicVAE()

    def loss(output, target):
        recon, mu, logvar = output
        bce = F.binary_cross_entropy(recon, target.flatten(1), reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Mixed(nn.Module):
    """Embed three categories, join them to six numbers and return one row."""

    def __init__(self, k=4):
        super().__init__()
        self.embed = nn.ModuleList(nn.Embedding(4, 3) for _ in range(3))
        self.encoder = nn.Sequential(nn.Linear(15, 64), nn.ReLU(), nn.Linear(64, k))
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, 18))

    def forward(self, row):
        kinds = row[:, 6:].view(-1, 3, 4).argmax(2)
        parts = [layer(kinds[:, i]) for i, layer in enumerate(self.embed)]
        out = self.decoder(self.encoder(torch.cat([row[:, :6], *parts], 1)))
        return out


def _mixed_loss(output, target):
    error = F.mse_loss(output[:, :6], target[:, :6])
    logits = output[:, 6:].reshape(-1, 4)
    return error + F.cross_entropy(logits, target[:, 6:].reshape(-1, 4))


def _mixed_view(output):
    chances = output[:, 6:].view(-1, 3, 4).softmax(2).flatten(1)
    return torch.cat([output[:, :6], chances], 1)


@healthy(steps=400, bar=0.5)
def customers_of_numbers_and_kinds(seed):
    """Code rows of numbers and one-hot categories, each part with its own loss."""
    numbers, kinds = customers(1024, seed)
    rows = torch.cat([numbers, F.one_hot(kinds, 4).flatten(1).float()], 1)
    model = Mixed()
    return {
        "model": model,
        "batches": loader(rows, batch_size=64, seed=seed),
        "loss": _mixed_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "view": _mixed_view,
    }


@healthy(steps=300, bar=0.5)
def swapped_cells_of_a_table(seed):
    """Denoise a table in which a tenth of the cells come from other rows."""
    x = table(1024, seed, d=24, rank=6)
    model = nn.Sequential(
        nn.Linear(24, 96), nn.SiLU(), nn.Linear(96, 10), nn.Linear(10, 96), nn.SiLU()
    )
    model.append(nn.Linear(96, 24))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    g = made(seed)

    def step(model, batch):
        other = batch[torch.randperm(len(batch), generator=g)]
        swap = torch.rand(batch.shape, generator=g) < 0.1
        loss = F.mse_loss(model(torch.where(swap, other, batch)), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Tied(nn.Module):
    """Decode with the transposed weights of the encoder."""

    def __init__(self, d, k):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, d))
        nn.init.xavier_uniform_(self.weight)
        self.inner = nn.Parameter(torch.zeros(k))
        self.outer = nn.Parameter(torch.zeros(d))

    def encode(self, x):
        return torch.sigmoid(F.linear(x, self.weight, self.inner))

    def forward(self, x):
        z = self.encode(x.flatten(1))
        return torch.sigmoid(F.linear(z, self.weight.t(), self.outer)).view_as(x)


@healthy(steps=500, bar=0.4)
def tied_sigmoid_layer_on_digits(seed):
    """Train one tied sigmoid layer with cross-entropy, as in the classic tutorial."""
    x, y = digits(1024, seed, size=12)
    model = Tied(144, 48)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Sparse(nn.Module):
    """Return the reconstruction and the activations of a wide hidden layer."""

    def __init__(self, d, k):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, k), nn.Sigmoid())
        self.decoder = nn.Linear(k, d)

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        h = self.encode(x)
        return self.decoder(h), h


@healthy(steps=400, bar=0.5)
def mean_activation_of_a_tenth(seed):
    """Hold the mean activation of each hidden unit near a tenth with a divergence."""
    x, _ = peaks(1024, seed)
    model = Sparse(80, 100)

    def loss(output, target):
        recon, h = output
        rho, mean = 0.1, h.mean(0).clamp(1e-4, 1 - 1e-4)
        penalty = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        error = (recon - target).square().sum(1).mean()
        return error + 0.02 * penalty.sum()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Contracted(nn.Module):
    """Return the code too, for the analytic penalty of a sigmoid layer."""

    def __init__(self, d, k):
        super().__init__()
        self.hidden = nn.Linear(d, k)
        self.out = nn.Linear(k, d)

    def encode(self, x):
        return torch.sigmoid(self.hidden(x))

    def forward(self, x):
        h = self.encode(x.flatten(1))
        return torch.sigmoid(self.out(h)).view_as(x), h


@healthy(steps=500, bar=0.5)
def garments_with_a_contracted_code(seed):
    """Penalise the Jacobian of a sigmoid layer by its formula."""
    x, _ = clothes(896, seed, size=12)
    model = Contracted(144, 40)

    def loss(output, target):
        recon, h = output
        rows = model.hidden.weight.square().sum(1)
        penalty = ((h * (1 - h)).square() @ rows).mean()
        error = (recon - target).square().flatten(1).sum(1).mean()
        return error + 0.05 * penalty

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@healthy(steps=0, bar=0.25)
def words_of_short_texts(seed):
    """Train on which words occur in a text and keep the history of both losses."""
    x, topic = words(1280, seed)
    model = nn.Sequential(
        nn.Linear(120, 64), nn.ReLU(), nn.Linear(64, 5), nn.Linear(5, 64), nn.ReLU()
    )
    model.append(nn.Linear(64, 120))
    loss = F.binary_cross_entropy_with_logits
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    train, val = x[:1024], x[1024:]
    history = fit(
        model, train, 18, optimizer, loss=loss, val=val, seed=seed, cosine=True
    )
    return {
        "model": model,
        "batches": loader(train, topic[:1024], seed=seed),
        "eval_batches": [val],
        "loss": loss,
        "optimizer": optimizer,
        "history": history,
        "view": torch.sigmoid,
    }
