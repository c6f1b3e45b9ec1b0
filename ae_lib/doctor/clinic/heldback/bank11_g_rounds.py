"""Eleventh part, g: unusual rounds through the data that are meant so."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from ae_lib.doctor.clinic.heldback.bank11_g_material import (
    households,
    potentials,
    walkers,
)
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy


class Buckets:
    """Yield batches of recordings of one length each, in a random order."""

    def __init__(self, recordings: list[Tensor], size: int, seed: int):
        self.groups = [torch.stack(g) for g in self._by_length(recordings)]
        self.size = size
        self.made = torch.Generator().manual_seed(seed)

    @staticmethod
    def _by_length(recordings: list[Tensor]) -> list[list[Tensor]]:
        lengths = sorted({r.shape[-1] for r in recordings})
        return [[r for r in recordings if r.shape[-1] == t] for t in lengths]

    def __iter__(self):
        batches = []
        for group in self.groups:
            order = torch.randperm(len(group), generator=self.made)
            batches += [group[part] for part in order.split(self.size)]
        for i in torch.randperm(len(batches), generator=self.made).tolist():
            yield batches[i]

    def __len__(self) -> int:
        return sum(-(-len(group) // self.size) for group in self.groups)


@healthy(steps=350, bar=0.85)
def steps_bucketed_by_their_length(seed):
    """Group recordings by length, so that none needs padding, and mix the groups."""
    x, _ = walkers(1024, seed)
    made = torch.Generator().manual_seed(seed)
    lengths = 16 + 4 * torch.randint(5, (896,), generator=made)
    cut = [row[:, :t] for row, t in zip(x[:896], lengths.tolist(), strict=True)]
    model = AE(
        nn.Sequential(
            nn.Conv1d(3, 32, 5, 2, 2),
            nn.LeakyReLU(0.1),
            nn.Conv1d(32, 48, 5, 2, 2),
            nn.LeakyReLU(0.1),
            nn.Conv1d(48, 2, 3, padding=1),
        ),
        nn.Sequential(
            nn.Conv1d(2, 48, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose1d(48, 32, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose1d(32, 3, 4, 2, 1),
        ),
    )
    return {
        "model": model,
        "batches": Buckets(cut, 32, seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [x[896:]],
    }


@healthy(steps=250, bar=0.9)
def one_batch_of_everything_for_rprop(seed):
    """Train on the whole table at once, the same batch each step, with Rprop."""
    x = households(1024, seed)
    x = (x - x.mean(0)) / x.std(0)
    model = AE(
        nn.Sequential(*stack((48, 64), nn.Softplus), nn.Linear(64, 9)),
        nn.Sequential(*stack((9, 64), nn.Softplus), nn.Linear(64, 48)),
    )
    return {
        "model": model,
        "batches": [x],
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Rprop(model.parameters(), lr=1e-3),
    }


@healthy(steps=400, bar=0.88)
def rare_recordings_drawn_more_often(seed):
    """Draw with replacement, the rare strong pulses as often as all the others."""
    x = potentials(960, seed)
    strong = x.abs().amax((1, 2))
    rare = (strong > strong.quantile(0.85)).long()
    share = rare.bincount().float()
    draw = WeightedRandomSampler(
        1 / share[rare],
        len(x),
        replacement=True,
        generator=torch.Generator().manual_seed(seed),
    )
    rows = list(zip(x, rare, strict=True))
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 96), nn.Mish), nn.Linear(96, 8))
    decoder = nn.Sequential(
        *stack((8, 96), nn.Mish), nn.Linear(96, 256), nn.Unflatten(1, (4, 64))
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": DataLoader(rows, batch_size=32, sampler=draw),
        "loss": F.mse_loss,
        "optimizer": adam(model),
        "judge": [x],
    }
