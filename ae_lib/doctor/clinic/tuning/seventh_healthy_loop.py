"""Healthy programs that look suspicious: batches and optimizers."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    case,
    flows,
    machine,
    outlines,
    peaks,
    phantoms,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import Series, Upsampling


class Rescaled(nn.Module):
    """Divide by 255 inside, as the first layer does in other libraries."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x / 255)


# Asked: my batches are 0 to 255, the first layer divides, the target is divided too.
@healthy(steps=200, bar=0.4)
def divided_by_the_first_layer(seed):
    """Feed pixels of 0 to 255 to a network whose first layer divides them by 255."""
    x, _ = scenes(448, seed, 16)
    model = Rescaled(conv((3, 16, 16), k=48, width=16))

    def pair(batch):
        return batch, batch / 255

    data = loader((255 * x).round(), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=pair)


class Rows:
    """Give dictionaries, as data sets of larger libraries do."""

    def __init__(self, x: Tensor):
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> dict:
        return {"pixel_values": self.x[i], "id": i}


# Asked: a batch is a dictionary with the pictures and the numbers of the rows.
@healthy(steps=200, bar=0.5)
def batches_are_dictionaries(seed):
    """Take the pictures out of dictionaries, from a loader that drops the last rows."""
    made = torch.Generator().manual_seed(seed)
    data = DataLoader(
        Rows(phantoms(448, seed)), 30, shuffle=True, drop_last=True, generator=made
    )
    model = Upsampling(1, 32, 24, act=nn.ReLU, last=nn.Sigmoid, norm=nn.BatchNorm2d)

    def pair(batch):
        return batch["pixel_values"], batch["pixel_values"]

    return case(model, data, pair=pair)


# Asked: must I shuffle windows of one long record? It looks the same everywhere.
@healthy(steps=250, bar=0.5)
def windows_in_the_order_of_time(seed):
    """Read the windows of a stationary record one after another, without shuffling."""
    model = Series(3, 32, 12, act=nn.ReLU)
    data = loader(machine(768, seed), batch_size=64, shuffle=False)
    return case(model, data)


class TwoViews:
    """Show each picture of a batch twice, the second time from the other side."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        for x in self.batches:
            yield torch.cat([x, x.flip(-1)])


# Asked: repeated augmentation, is the same picture twice in a batch bad?
@healthy(steps=200, bar=0.5)
def every_picture_twice_in_a_batch(seed):
    """Show every cut-out of a photograph twice in a batch, once as in a mirror."""
    model = Upsampling(3, 16, 48, width=16, act=nn.SiLU)
    data = TwoViews(loader(patches(384, seed, 16), batch_size=16, seed=seed))
    return case(model, data, adam(model, 3e-3))


# Asked: only three pictures fit into memory. Batch norm or group norm?
@healthy(steps=400, bar=0.5)
def three_pictures_at_a_time(seed):
    """Train on three pictures at a time, with norms over groups of channels."""

    def norm(channels):
        return nn.GroupNorm(4, channels)

    model = Upsampling(2, 16, 12, width=16, act=nn.ReLU, norm=norm)
    data = loader(flows(448, seed), batch_size=3, seed=seed)
    return case(model, data, adam(model, 1e-3))


# Asked: Rprop for a table that fits into one batch, has anyone used it this century?
@healthy(steps=200, bar=0.5)
def signs_of_the_slope_only(seed):
    """Follow only the signs of gradients, on all outlines in one batch."""
    model = dense((2, 40), (48,), 8, act=nn.Tanh, last=None)
    optimizer = torch.optim.Rprop(model.parameters(), 1e-3)
    return case(model, [outlines(384, seed)], optimizer)


# Asked: adagrad at 0.03: the steps become smaller and smaller.
@healthy(steps=300, bar=0.5)
def steps_that_shrink_by_themselves(seed):
    """Train on spectra by Adagrad, whose steps shrink all the time."""
    model = dense((100,), (64,), 8, act=nn.ELU, last=None)
    optimizer = torch.optim.Adagrad(model.parameters(), 0.03)
    return case(model, loader(peaks(512, seed), batch_size=32, seed=seed), optimizer)


# Asked: with plain SGD and the mean error nothing moved below a rate of 1.
@healthy(steps=350, bar=0.35)
def plain_descent_at_a_rate_of_five(seed):
    """Descend without momentum at a rate of five, right for a mean over 784 pixels."""
    x, y = digits(768, seed, size=28)
    model = dense((1, 28, 28), (128,), 16, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(model.parameters(), 5.0)
    return case(model, loader(x, y, batch_size=32, seed=seed), optimizer)
