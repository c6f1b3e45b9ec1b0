"""Healthy programs: autoencoders of tables."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import cancer, fit


class Bounded(nn.Module):
    """Dense halves that end in tanh."""

    def __init__(self, d, k=10):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, 48), nn.SiLU(), nn.Linear(48, k))
        self.dec = nn.Sequential(nn.Linear(k, 48), nn.SiLU(), nn.Linear(48, d))

    def forward(self, x):
        return torch.tanh(self.dec(self.enc(x)))


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.7)
def columns_scaled_to_minus_one_and_one(seed):
    """Scaled each column of a table to [-1, 1] and trained a tanh output on it."""
    x = cancer(seed)
    low, high = x.min(0).values, x.max(0).values
    x = 2 * (x - low) / (high - low) - 1
    model = Bounded(30)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
    case = {
        "model": model,
        "batches": loader(x[:480], batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 50, [x[480:]], schedule=schedule)


class TabularAE(nn.Module):
    """Dense halves with SELU."""

    def __init__(self, n_features, latent):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, 64),
            nn.SELU(),
            nn.Linear(64, 32),
            nn.SELU(),
            nn.Linear(32, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 32),
            nn.SELU(),
            nn.Linear(32, 64),
            nn.SELU(),
            nn.Linear(64, n_features),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.7)
def tumour_table_with_decayed_weights(seed):
    """Compress a table of 30 columns to 8 with SELU layers and weight decay."""
    x = cancer(seed)
    model = TabularAE(30, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class MixedColumns(nn.Module):
    """Numbers and a category out of one code."""

    def __init__(self, numbers=16, choices=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(numbers + choices, 48),
            nn.ReLU(),
            nn.Linear(48, 8),
            nn.Linear(8, 48),
            nn.ReLU(),
        )
        self.number = nn.Linear(48, numbers)
        self.choice = nn.Linear(48, choices)

    def forward(self, x):
        h = self.net(x)
        return torch.cat([self.number(h), self.choice(h).softmax(1)], 1)


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.6)
def numbers_and_a_category_in_one_row(seed):
    """Join 16 scaled numbers and a one-hot category; squared error for both."""
    x = table(1024, seed)
    kind = F.one_hot(x[:, 16:].argmax(1), 4).float()
    model = MixedColumns()
    return {
        "model": model,
        "batches": loader(torch.cat([x[:, :16], kind], 1), seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.5)
def missing_cells_left_out_of_the_error(seed):
    """Fill missing cells with zero and score only what was observed."""
    x = table(1024, seed, 24, 4)
    seen = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) > 0.2
    rows = x * seen
    model = nn.Sequential(nn.Linear(24, 64), nn.ELU(), nn.Linear(64, 8), nn.ELU())
    model.extend([nn.Linear(8, 64), nn.ELU(), nn.Linear(64, 24)])

    def observed_error(output, target):
        mask = (target != 0).float()
        return ((output - target).square() * mask).sum() / mask.sum()

    return {
        "model": model,
        "batches": loader(rows, seed=seed),
        "loss": observed_error,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "judge": [(rows, x)],
    }
