"""Mistakes in the data, rebuilt from a seventh round of public questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import outputs
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    ResNet,
    Wave,
    beats,
    climate,
    cohort,
    lamps,
    lines,
)


# Asked: depth maps from a stereo camera; the loss is inf from the first batch on.
@faulty("data.nonfinite", steps=150, bar=0.4)
def depth_where_the_camera_saw_nothing(seed, fixed):
    """Turn disparity into depth by division; far away the disparity is 0."""
    disparity = lamps(384, seed, channels=1)
    disparity = (disparity - 0.2).clamp(min=0)
    depth = 0.1 / (disparity + 0.1 if fixed else disparity)
    model = Cae((1, 24, 24), 16, norm=nn.BatchNorm2d)
    return {
        "model": model,
        "batches": loader(depth, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


# Asked: pandas pct_change before an autoencoder for prices, loss: nan.
@faulty("data.nonfinite", steps=200, bar=0.3)
def change_in_per_cent_from_nothing(seed, fixed):
    """Feed relative changes of sales; some shops sold nothing the day before."""
    sales = (climate(512, seed) + 1).clamp(min=0)
    before, after = sales[:, :-1], sales[:, 1:]
    x = (after - before) / (before + 1) if fixed else (after - before) / before
    model = Fc((47,), 64, 10, act=torch.tanh, last=None)
    return {"model": model, "batches": loader(x, batch_size=32, seed=seed)}


# Asked: https://github.com/keras-team/keras/issues/3642 (integers of 0 to 255 as input)
@faulty("data.scale", accepts=("output.range",), steps=200, bar=0.4)
def integers_as_they_come_from_the_archive(seed, fixed):
    """Copy the tutorial for digits but not the line that divides by 255."""
    x, _ = digits(768, seed, size=16)
    x = (x * 255).round().float()
    x = x / 255 if fixed else x
    model = Fc((1, 16, 16), 96, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


def each_column(case):
    """Return R² of each column, averaged; a large one does not hide the others."""
    _, target, picture = outputs(case)
    error = (picture - target).square().mean(0)
    return (1 - error / target.var(0)).clamp(min=-1).mean().item()


# Asked: anomaly detection on log files; the loss is 1e18 and does not come down.
@faulty("data.scale", steps=250, measure=each_column, bar=0.5)
def seconds_since_1970_as_a_column(seed, fixed):
    """Leave the time stamp of a purchase in the table as a number of seconds."""
    x = cohort(640, seed)
    made = torch.Generator().manual_seed(seed)
    stamp = 1.7e9 + 3e7 * torch.rand(640, 1, generator=made)
    if fixed:
        stamp = (stamp - stamp.mean()) / stamp.std()
    model = Fc((15,), 48, 6, last=None)
    batches = loader(torch.cat([x, stamp], 1), batch_size=32, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: seismograms; the loss is 1e-15 at once, and the output is a straight line.
@faulty("data.scale", steps=200, bar=0.5)
def ground_motion_in_metres(seed, fixed):
    """Feed displacements of a millionth of a metre as they are."""
    x = climate(512, seed, 96) * 2e-6
    x = x / x.std() if fixed else x
    model = Wave(96, 12)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": _mse, "optimizer": adam(model)}


def _mse(output, target):
    return nn.MSELoss()(output, target)


# Asked: two sets joined by ConcatDataset; only the second one is reconstructed.
# Like: https://github.com/joaoamcarvalho/mpd-public/issues/6 (shuffle=True is missing)
@faulty("data.order", steps=96, bar=0.65)
def one_set_after_the_other(seed, fixed):
    """Join digits and photographs and let the loader go through them in order."""
    written, _ = digits(512, seed, size=24)
    photos = patches(512, seed, size=24).mean(1, keepdim=True)
    both = ConcatDataset([list(written), list(photos)])
    made = torch.Generator().manual_seed(seed)
    batches = DataLoader(both, batch_size=32, shuffle=fixed, generator=made)
    model = Fc((1, 24, 24), 160, 32)
    judge = [torch.cat([written, photos])]
    case = {"model": model, "batches": batches, "optimizer": adam(model, 5e-3)}
    return {**case, "judge": judge}


# Asked: "for i in range(n_batches): batch = x[i:i + batch_size]", why is test so bad?
@faulty("data.order", accepts=("fit.overfit",), steps=400, bar=0.68)
def i_counts_batches_and_not_rows(seed, fixed):
    """Cut batches at i instead of i times the size: most rows are never seen."""
    x, _ = digits(720, seed, size=16)
    seen, held = x[:480], x[480:]
    width = 16 if fixed else 1
    batches = [seen[i * width : i * width + 16] for i in range(30)]
    model = Fc((1, 16, 16), 160, 24)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 1e-3)}
    return {**case, "eval_batches": [held]}


class Shards:
    """Read shards one after the other through a buffer that is shuffled."""

    def __init__(self, shards, buffer, seed):
        self.rows, self.buffer = torch.cat(shards), buffer
        self.made = torch.Generator().manual_seed(seed)

    def __len__(self):
        return len(self.rows) // 32

    def __iter__(self):
        for part in self.rows.split(self.buffer):
            order = torch.randperm(len(part), generator=self.made)
            yield from part[order].split(32)


# Asked: .shuffle(64) on my shards, one for each sensor; the first are forgotten.
@faulty("data.order", steps=96, bar=0.85)
def shuffled_in_a_small_buffer(seed, fixed):
    """Shuffle 1536 rows of three sensors, one shard each, in a buffer of 64."""
    shards = [beats(512, seed, 64), climate(512, seed, 64), lines(512, seed, 64)]
    shards = [(x - x.mean()) / x.std() for x in shards]
    batches = Shards(shards, 1536 if fixed else 64, seed)
    model = Fc((64,), 128, 24, last=None)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 5e-3)}
    return {**case, "judge": [torch.cat(shards)]}


# Asked: https://github.com/aapatel09/handson-unsupervised-learning/issues/6
# Like: https://github.com/pkmital/tensorflow_tutorials/issues/21
@faulty("data.target", steps=250, bar=0.5)
def fit_of_noisy_to_noisy(seed, fixed):
    """Fit the noisy table to the noisy table, as in fit(x_noisy, x_noisy)."""
    x, other = lines(900, seed).split([768, 132])
    noisy = x + 0.35 * torch.randn(x.shape)
    rows = torch.utils.data.TensorDataset(noisy, x if fixed else noisy)
    made = torch.Generator().manual_seed(seed)
    batches = DataLoader(rows, batch_size=32, shuffle=True, generator=made)
    model = Fc((64,), 96, 48, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "eval_batches": [(other + 0.35 * torch.randn(other.shape), other)]}


# Asked: my denoiser adds salt; the dataset returns (clean, noisy).
@faulty("data.target", steps=200, bar=0.55)
def clean_and_noisy_taken_in_the_wrong_order(seed, fixed):
    """Unpack (clean, noisy) as (noisy, clean): learn to make noise."""
    clean, _ = digits(640, seed, size=16)
    noisy = torch.where(torch.rand(clean.shape) < 0.3, 1.0, clean)
    batches = loader(clean, noisy, batch_size=32, seed=seed)
    model = Cae((1, 16, 16), 24, norm=nn.BatchNorm2d)

    def pair(batch):
        noisy, clean = batch[::-1] if fixed else batch
        return noisy, clean

    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    return {**case, "pair": pair, "judge": [(noisy, clean)]}


# Asked: os.listdir for two folders, sorted(): img_10 comes before img_2 in one of them.
@faulty("data.target", steps=250, bar=0.5)
def ten_comes_before_two(seed, fixed):
    """Sort the names of one folder as words and of the other as numbers."""
    sharp, _ = scenes(448, seed, 24)
    soft = F.interpolate(F.avg_pool2d(sharp, 4), scale_factor=4.0)
    if not fixed:
        soft = soft[sorted(range(448), key=str)]
    model = ResNet((3, 24, 24), 48)
    case = {"model": model, "batches": loader(soft, sharp, batch_size=32, seed=seed)}
    judge = [(F.interpolate(F.avg_pool2d(sharp, 4), scale_factor=4.0), sharp)]
    return {**case, "optimizer": adam(model), "judge": judge}
