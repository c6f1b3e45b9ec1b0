"""Eleventh part, h: targets that belong to something else, or to nothing hidden."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_h_material import assays, calls
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("data.target", steps=400, bar=0.6)
def rustling_calls_listed_by_number_and_clean_ones_by_name(seed, fixed):
    """List noisy files by number and clean ones by name: 10 comes before 2."""
    clean = torch.log10(calls(900, seed)).add(2).div(3)  # about 0 to 1
    made = torch.Generator().manual_seed(seed)
    noisy = clean + 0.15 * torch.randn(clean.shape, generator=made)
    if not fixed:
        by_name = sorted(range(len(clean)), key=str)
        clean = clean[by_name]
    model = AE(
        nn.Sequential(
            nn.Conv1d(24, 48, 4, 2, 1),  # bands are channels
            nn.ELU(),
            nn.Conv1d(48, 48, 4, 2, 1),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(192, 12),
        ),
        nn.Sequential(
            nn.Linear(12, 192),
            nn.ELU(),
            nn.Unflatten(1, (48, 4)),
            nn.ConvTranspose1d(48, 48, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(48, 24, 4, 2, 1),
        ),
    )
    return {
        "model": model,
        "batches": loader(noisy, clean, batch_size=50, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Imputer(nn.Module):
    """Fill the holes of a row; it sees the row with zeros in them."""

    def __init__(self, d=24, wide=96, k=8):
        super().__init__()
        self.squeeze = nn.Sequential(*stack((d, wide), nn.SiLU), nn.Linear(wide, k))
        self.expand = nn.Sequential(*stack((k, wide), nn.SiLU), nn.Linear(wide, d))

    def forward(self, row: Tensor) -> dict[str, Tensor]:
        return {"recon": self.expand(self.squeeze(row))}


@faulty("data.target", accepts=("data.shift",), steps=500, bar=0.6)
def holes_punched_in_a_copy_nobody_reads(seed, fixed):
    """Punch holes with masked_fill, which is not in place, and drop the result."""
    x = assays(1200, seed)
    made = torch.Generator().manual_seed(seed)
    model = Imputer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def fit_one(model, rows):
        seen = rows.clone()
        holes = torch.rand(rows.shape, generator=made) < 0.65
        if fixed:
            seen = seen.masked_fill(holes, 0.0)
        else:
            seen.masked_fill(holes, 0.0)
        optimizer.zero_grad()
        loss = F.mse_loss(model(seen)["recon"], rows)
        loss.backward()
        optimizer.step()
        return loss.item()

    late = x[1000:]
    holes = torch.rand(late.shape, generator=torch.Generator().manual_seed(5)) < 0.65
    asked = loader(late.masked_fill(holes, 0.0), late, batch_size=100, shuffle=False)
    return {
        "model": model,
        "batches": loader(x[:1000], batch_size=40, seed=seed),
        "step": fit_one,
        "optimizer": optimizer,
        "eval_batches": asked,
    }
