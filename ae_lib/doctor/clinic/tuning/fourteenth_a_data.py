"""Tenth part, a: values that are not finite, of the wrong scale or in order."""

import torch
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    clients,
    column_r2,
    columns,
    counts,
    made,
    masks,
    sensors,
    spots,
)


@faulty("data.nonfinite", steps=300, bar=0.4)
def logarithm_of_counts_that_may_be_zero(seed, fixed):
    """Take the logarithm of measured values of which many are zero."""
    x, topic = counts(1024, seed)
    x = torch.log1p(x) if fixed else torch.log(x)
    model = dense((60,), (64,), 8, last=None)
    return {
        "model": model,
        "batches": loader(x, topic, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Recurrent(nn.Module):
    """Read a window with a GRU, and unroll its last state into a window again."""

    def __init__(self, c=4, hidden=48, k=12, t=24):
        super().__init__()
        self.t = t
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.narrow = nn.Linear(hidden, k)
        self.writer = nn.GRU(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)

    def encode(self, x):
        return self.narrow(self.reader(x)[1][-1])

    def forward(self, x):
        z = self.encode(x)
        return self.head(self.writer(z[:, None].expand(-1, self.t, -1))[0])


@faulty("data.nonfinite", steps=250, bar=0.4)
def readings_missing_in_a_few_windows(seed, fixed):
    """Leave missing readings as NaN in a series for a recurrent network."""
    x = sensors(768, seed)
    lost = torch.rand(768, 24, 1, generator=made(seed + 1)) < 0.002
    x = x.masked_fill(lost, float("nan"))
    if fixed:
        x = x.nan_to_num(0.0)  # the mean of every channel
    model = Recurrent()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": adam(model, 5e-3),
    }


@faulty("data.scale", steps=250, bar=0.5)
def scans_in_units_of_a_thousand(seed, fixed):
    """Feed values of about -1000 to 2000 and see answers near zero."""
    x = 3000 * spots(640, seed, number=3) - 1000
    if fixed:
        x = (x - x.mean()) / x.std()
    model = conv((1, 16, 16), 24, 8, last=None)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    }


@faulty("data.scale", steps=400, bar=0.5, measure=column_r2)
def euros_next_to_shares_in_one_table(seed, fixed):
    """Train on a raw table whose columns are years, euros and small shares."""
    x = clients(1024, seed)
    if fixed:
        x = columns(x)
    encoder = nn.Sequential(*stack((12, 64, 32), nn.ELU), nn.Linear(32, 4))
    decoder = nn.Sequential(*stack((4, 32, 64), nn.ELU), nn.Linear(64, 12))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


def _regimes(seed):
    """Return windows (3072, 32) of four regimes of a machine, and the regime."""
    rng, fixed = made(seed), made(23)
    bases = torch.randn(4, 3, 32, generator=fixed)
    kind = torch.arange(4).repeat_interleave(768)
    weights = torch.randn(3072, 3, generator=rng)
    level = torch.tensor([-2.0, -0.7, 0.7, 2.0])[kind, None]
    x = torch.einsum("nk,nkd->nd", weights, bases[kind]) + level
    x = x + 0.05 * torch.randn(3072, 32, generator=rng)
    return (x - x.mean()) / x.std(), kind


@faulty("data.order", steps=384, bar=0.85)
def one_regime_after_the_other(seed, fixed):
    """Trust a loader that does not shuffle by default, with data stored by class."""
    x, kind = _regimes(seed)
    model = dense((32,), (64,), 6, last=None)
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=16, shuffle=fixed, seed=seed),
        "optimizer": adam(model, 3e-3),
        "judge": [x],
    }


class Restarted:
    """Ask a loader for its next batch with a new iterator each time."""

    def __init__(self, batches, number):
        self.batches, self.number = batches, number

    def __len__(self):
        return self.number

    def __iter__(self):
        for _ in range(self.number):
            yield next(iter(self.batches))


@faulty("data.order", accepts=("fit.overfit",), steps=300, bar=0.65)
def next_of_a_new_iterator_each_step(seed, fixed):
    """Call next(iter(loader)) in each step, which gives the first batch each time."""
    x = masks(480, seed)
    model = conv((1, 16, 16), 16, 12)
    batches = loader(x, batch_size=16, shuffle=fixed, seed=seed)
    return {
        "model": model,
        "batches": batches if fixed else Restarted(batches, 30),
        "loss": nn.BCELoss(),
        "optimizer": adam(model, 3e-3),
        "judge": [masks(256, seed + 100)],
    }
