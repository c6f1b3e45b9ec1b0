"""Faults in the data and the loader: codes data.*."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    counts,
    each_column,
    grey,
    regimes,
    sensors,
)


@faulty("data.nonfinite")
def vegetation_index(seed, fixed):
    """Divide the difference of two bands by their sum; dark borders are 0 / 0.

    After a question on satellite images whose loss is nan from the first batch.
    """
    near, red = blobs(448, seed), blobs(448, seed + 1)
    near[..., :2, :], red[..., :2, :] = 0, 0
    index = (near - red) / (near + red + (0.05 if fixed else 0))
    model = conv((1, 20, 20), 24, act=nn.ELU, last=nn.Tanh)
    data = loader(index, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.scale", measure=each_column, bar=0.4)
def cells_as_measured(seed, fixed):
    """Feed a table as it was measured: columns from thousandths to thousands.

    After questions on fraud and sensor tables: "the loss begins at 50,000".
    """
    x, y = cells(seed)
    model = dense((30,), (48,), 8, act=nn.ELU, last=None)
    data = loader(by_column(x) if fixed else x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.scale")
def one_spike_in_the_record(seed, fixed):
    """Scale by the smallest and largest value, one of which is a sensor fault.

    After questions on MinMaxScaler: "the loss is 1e-8 and the output is flat".
    """
    x = beats(512, seed)
    x[7, 11] = 4e4
    x = x.clamp(-2, 3) if fixed else x
    x = (x - x.min()) / (x.max() - x.min())
    model = dense((64,), (96,), 10, last=None)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    return {**case, "judge": [torch.cat([x[:7], x[8:]])]}


@faulty("data.order", steps=96, bar=0.5)
def one_machine_state_after_the_other(seed, fixed):
    """Read a log sorted by the state of the machine, without shuffling.

    After questions on saw-tooth losses with recordings that were concatenated.
    """
    x, state = regimes(1536, seed)
    x = x if fixed else x[state.argsort(stable=True)]
    model = dense((24,), (48,), 6, act=nn.ELU, last=None)
    data = DataLoader(x, 32, shuffle=fixed, generator=torch.Generator())
    case = {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}
    return {**case, "judge": [x]}


class Drawn:
    """Draw random batches, from a generator made once or for every batch."""

    def __init__(self, x, once):
        self.x, self.once = x, once

    def __len__(self):
        return 32

    def __iter__(self):
        made = torch.Generator().manual_seed(42)
        for _ in range(len(self)):
            made = made if self.once else torch.Generator().manual_seed(42)
            yield self.x[torch.randint(len(self.x), (10,), generator=made)]


@faulty("data.order", steps=250, bar=0.6)
def reseeded_in_the_loop(seed, fixed):
    """Seed the generator inside the loop, so every batch has the same images.

    After a merged fix: "set the seed once, not in each iteration".
    """
    x, _ = digits(512, seed, size=20)
    model = conv((1, 20, 20), 24, act=nn.ELU)
    case = {"model": model, "batches": Drawn(x, fixed), "optimizer": adam(model, 3e-3)}
    return {**case, "judge": [x]}


@faulty("data.target")
def the_noise_as_target(seed, fixed):
    """Train on the noise, as DnCNN does, and show the output as the clean signal.

    After a question on residual learning: "my denoiser returns grey images".
    """
    clean = beats(512, seed)
    noisy = clean + 0.15 * torch.randn_like(clean)
    model = dense((64,), (128,), 16, act=nn.GELU, last=None)

    def pair(batch):
        seen, wanted = batch
        return seen, wanted if fixed else seen - wanted

    case = {"model": model, "batches": loader(noisy, clean, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model), "judge": [(noisy, clean)]}


@faulty("data.target", steps=200, bar=0.4)
def masked_in_place(seed, fixed):
    """Mask the batch in place, so the target has the same holes.

    After questions on inpainting: "masked = images; masked[mask] = 0".
    """
    x = grey(448, seed)
    holes = torch.rand_like(x) < 0.5
    model = conv((1, 20, 20), 32, act=nn.LeakyReLU)

    def pair(batch):
        masked = batch.clone() if fixed else batch
        masked[torch.rand_like(batch) < 0.5] = 0
        return masked, batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    case |= {"optimizer": adam(model, 3e-3)}
    return {**case, "judge": [(x * ~holes, x)]}


def strided(channels, code, act=nn.ReLU):
    """Return convolutions down to a feature map of a sixteenth, and up again."""
    down = [nn.Conv2d(channels, 16, 3, 2, 1), act(), nn.Conv2d(16, code, 3, 2, 1)]
    up = [nn.ConvTranspose2d(code, 16, 4, 2, 1), act()]
    up += [nn.ConvTranspose2d(16, channels, 4, 2, 1), nn.Sigmoid()]
    return AE(nn.Sequential(*down), nn.Sequential(*up))


@faulty("data.layout", bar=0.75)
def height_for_width(seed, fixed):
    """Read flat images of 28 x 20 pixels as 20 x 28: each line takes in the next.

    After questions on slanted stripes: "reshape(-1, width, height)".
    """
    images, _ = digits(512, seed)
    flat = images[..., 4:24].flatten(1)
    x = flat.view(-1, 1, 28, 20) if fixed else flat.view(-1, 1, 20, 28)
    model = strided(1, 2)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.layout", bar=0.7)
def sensors_reshaped(seed, fixed):
    """Reshape (N, time, sensors) to (N, sensors, time) for Conv1d.

    After questions on Conv1d and multivariate series: "use permute, not view".
    """
    stored = sensors(448, seed)
    x = stored.permute(0, 2, 1) if fixed else stored.reshape(-1, 6, 48)
    down = [nn.Conv1d(6, 24, 5, 2, 2), nn.ELU(), nn.Conv1d(24, 6, 5, 2, 2)]
    up = [nn.ConvTranspose1d(6, 24, 4, 2, 1), nn.ELU()]
    up += [nn.ConvTranspose1d(24, 6, 4, 2, 1)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    data = loader(x.contiguous(), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.shift", steps=0, bar=0.5)
def logarithm_in_training_only(seed, fixed):
    """Train on log(1 + counts), and reconstruct plain counts.

    After a question on gene expression: "fine in training, useless in the app".
    """
    x = counts(640, seed)
    model = dense((40,), (64,), 8, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x[:512].log1p(), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 200)
    rest = x[512:].log1p() if fixed else x[512:]
    return {**case, "eval_batches": DataLoader(rest, 32)}


@faulty("data.shift", steps=0, bar=0.5)
def turned_by_the_camera(seed, fixed):
    """Train on upright digits and judge photographs that lie on their side.

    After questions on the orientation tag that some readers ignore.
    """
    x, _ = digits(768, seed, size=12)
    model = conv((1, 12, 12), 16, act=nn.ELU)
    case = {"model": model, "batches": loader(x[:640], seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 250)
    rest = x[640:] if fixed else x[640:].rot90(1, (-2, -1))
    return {**case, "eval_batches": [rest]}
