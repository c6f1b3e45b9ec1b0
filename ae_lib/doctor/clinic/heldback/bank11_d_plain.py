"""Eleventh part, d: plain programs of real life, with nothing the matter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import clips, tremors
from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=400, bar=0.82)
def thirty_measures_of_a_biopsy_in_six_numbers(seed):
    """Standardise the columns of a small medical table, and compress them to six."""
    from sklearn.datasets import load_breast_cancer

    rows, kinds = load_breast_cancer(return_X_y=True)
    x = torch.tensor(rows, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    model = dense((30,), (32,), 6, last=None)
    return {
        "model": model,
        "batches": loader(x, torch.tensor(kinds), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), 3e-3, weight_decay=1e-5),
    }


@healthy(steps=300, bar=0.85)
def cut_outs_of_photographs_with_batch_norm(seed):
    """Compress colour cut-outs with batch norm and an absolute error."""
    model = conv((3, 16, 16), 48, 16, act=nn.LeakyReLU, norm=True)
    return {
        "model": model,
        "batches": loader(patches(768, seed), batch_size=64, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": adam(model, 2e-3),
    }


class Gated(nn.Module):
    """Read a record with a GRU, and write it from one state and the time."""

    def __init__(self, c=4, t=24, units=48, k=6):
        super().__init__()
        self.read = nn.GRU(c, units, batch_first=True)
        self.to_code = nn.Linear(units, k)
        self.write = nn.GRU(k + 1, units, batch_first=True)
        self.head = nn.Linear(units, c)
        self.register_buffer("clock", torch.linspace(-1, 1, t)[None, :, None])

    def encode(self, x: Tensor) -> Tensor:
        return self.to_code(self.read(x)[1][0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        clock = self.clock.expand(len(x), -1, -1)
        told = torch.cat([z[:, None].expand(-1, clock.shape[1], -1), clock], 2)
        return self.head(self.write(told)[0]), z


@healthy(steps=350, bar=0.8)
def gates_with_a_clock_and_clipped_gradients(seed):
    """Train two GRUs with clipped gradients; the second is told the time."""
    model = Gated()
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        optimizer.zero_grad()
        made, _ = model(batch)
        loss = F.smooth_l1_loss(made, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(tremors(1024, seed), batch_size=32, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=400, bar=0.85)
def clips_through_three_strided_layers(seed):
    """Compress clips by three strided convolutions, with a tanh at the end."""
    encoder = nn.Sequential(
        nn.Conv1d(1, 16, 7, 2, 3),
        nn.ReLU(),
        nn.Conv1d(16, 24, 7, 2, 3),
        nn.ReLU(),
        nn.Conv1d(24, 32, 7, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    decoder = nn.Sequential(
        nn.Linear(10, 256),
        nn.ReLU(),
        nn.Unflatten(1, (32, 8)),
        nn.ConvTranspose1d(32, 24, 8, 4, 2),
        nn.ReLU(),
        nn.ConvTranspose1d(24, 16, 8, 2, 3),
        nn.ReLU(),
        nn.ConvTranspose1d(16, 1, 8, 2, 3),
        nn.Tanh(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(clips(1024, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
