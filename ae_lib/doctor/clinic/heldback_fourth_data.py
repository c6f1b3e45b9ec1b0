"""Mistakes in the data, rebuilt from a fourth round of public questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader

from ae_lib.doctor.clinic.heldback_fourth_material import (
    Cae,
    Fc,
    Recurrent,
    ResNet,
    Wave,
    beats,
    climate,
    cohort,
    lamps,
    lines,
)
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty


# Asked: depth maps from a stereo camera; the loss is inf from the first batch on.
@faulty("data.nonfinite", steps=150, bar=0.4)
def depth_where_the_camera_saw_nothing(seed, fixed):
    """Turn disparity into depth by division; far away the disparity is 0."""
    disparity = lamps(384, seed, channels=1)
    disparity = (disparity - 0.05).clamp(min=0)
    depth = 0.05 / (disparity + 0.05 if fixed else disparity)
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


# Asked: anomaly detection on log files; the loss is 1e18 and does not come down.
@faulty("data.scale", steps=250, bar=0.5)
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
@faulty("data.order", steps=96, bar=0.6)
def one_set_after_the_other(seed, fixed):
    """Join digits and photographs and let the loader go through them in order."""
    written, _ = digits(512, seed, size=24)
    photos = patches(512, seed, size=24).mean(1, keepdim=True)
    both = ConcatDataset([list(written), list(photos)])
    made = torch.Generator().manual_seed(seed)
    batches = DataLoader(both, batch_size=32, shuffle=fixed, generator=made)
    model = Fc((1, 24, 24), 160, 32)
    judge = [torch.cat([written, photos])]
    optimizer = torch.optim.SGD(model.parameters(), lr=4.0, momentum=0.9)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "judge": judge}


# Asked: "for i in range(n_batches): batch = x[i:i + batch_size]", why is test so bad?
@faulty("data.order", accepts=("fit.overfit",), steps=400, bar=0.7)
def i_counts_batches_and_not_rows(seed, fixed):
    """Cut batches at i instead of i times the size: most rows are never seen."""
    x, _ = digits(1200, seed, size=16)
    seen, held = x[:1000], x[1000:]
    width = 40 if fixed else 1
    batches = [seen[i * width : i * width + 40] for i in range(25)]
    model = Fc((1, 16, 16), 160, 24)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 1e-3)}
    return {**case, "eval_batches": [held]}


# Asked: np.array_split(x, 500) and loss: nan after the first epoch.
@faulty("data.order", accepts=("step.nonfinite",), steps=200, bar=0.4)
def split_into_more_parts_than_rows(seed, fixed):
    """Take the wanted batch size for the number of parts; some are empty."""
    x = lines(96, seed)
    batches = torch.tensor_split(x, 6 if fixed else 128)
    model = Fc((64,), 64, 8, last=None)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: https://github.com/aapatel09/handson-unsupervised-learning/issues/6
# Like: https://github.com/pkmital/tensorflow_tutorials/issues/21
@faulty("data.target", steps=250, bar=0.5)
def fit_of_noisy_to_noisy(seed, fixed):
    """Fit the noisy table to the noisy table, as in fit(x_noisy, x_noisy)."""
    x = lines(768, seed)
    noisy = x + 0.35 * torch.randn(x.shape)
    rows = torch.utils.data.TensorDataset(noisy, x if fixed else noisy)
    made = torch.Generator().manual_seed(seed)
    batches = DataLoader(rows, batch_size=32, shuffle=True, generator=made)
    model = Fc((64,), 96, 48, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "judge": [(noisy, x)]}


# Asked: my denoiser adds noise to clean pictures; dataset returns (clean, noisy).
@faulty("data.target", steps=200, bar=0.55)
def clean_and_noisy_taken_in_the_wrong_order(seed, fixed):
    """Unpack (clean, noisy) as (noisy, clean): learn to make noise."""
    clean = lamps(448, seed)
    noisy = (clean + 0.4 * torch.randn(clean.shape)).clamp(0, 1)
    batches = loader(clean, noisy, batch_size=32, seed=seed)
    model = Cae((3, 24, 24), 24)

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


# Asked: SVHN from a .mat file has shape (32, 32, 3, N); reshape(N, 3, 32, 32) is noise.
@faulty("data.layout", steps=200, bar=0.35)
def samples_last_in_a_mat_file(seed, fixed):
    """Reshape (H, W, C, N) to (N, C, H, W) where axes should change places."""
    x, _ = scenes(384, seed, 32)
    stored = x.permute(2, 3, 1, 0).contiguous()  # (H, W, C, N)
    x = stored.permute(3, 2, 0, 1) if fixed else stored.reshape(384, 3, 32, 32)
    model = Cae((3, 32, 32), 48)
    batches = loader(x.contiguous(), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: CIFAR pickles are stored colour by colour; reshape(-1, 32, 32, 3) has 9 ghosts.
# Like: https://github.com/Selen-Suyue/DensePolicy2D/issues/3 (reshape, not permute)
@faulty("data.layout", steps=200, bar=0.6)
def planes_of_colour_read_as_pixels(seed, fixed):
    """Read rows of three colour planes as rows of pixels, then move the colours."""
    rows = patches(448, seed, size=24).flatten(1)
    x = rows.view(-1, 3, 24, 24)
    x = x if fixed else rows.view(-1, 24, 24, 3).permute(0, 3, 1, 2).contiguous()
    model = ResNet((3, 24, 24), 48)
    return {"model": model, "batches": loader(x, batch_size=32, seed=seed)}


# Asked: https://github.com/Priyanshu-byte-coder/devtrack/issues/927 (rescaled twice)
@faulty("data.shift", steps=0, bar=0.4)
def divided_once_more_for_the_demo(seed, fixed):
    """Divide by 255 in the demo although the pictures are in [0, 1] there too."""
    x, _ = scenes(512, seed, 24)
    model = Cae((3, 24, 24), 32)
    batches = loader(x[:400], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 250)
    shown = x[400:] if fixed else x[400:] / 255
    return {**case, "eval_batches": list(shown.split(32))}


# Asked: do I call fit_transform or transform on the test set? All alarms are false.
# Like: https://github.com/pkmital/tensorflow_tutorials/issues/39 (whose mean?)
@faulty("data.shift", steps=0, bar=0.4)
def scaler_fitted_again_on_the_test(seed, fixed):
    """Fit the min-max scaler anew on the test, whose columns vary less or more."""
    x = cohort(900, seed)
    seen, held = x[:700], x[700:]
    held = held[held[:, 0] > 0.7]  # one kind of customer
    low, high = seen.min(0).values, seen.max(0).values
    model = Fc((14,), 64, 6)
    batches = loader((seen - low) / (high - low), batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 400)
    if not fixed:
        low, high = held.min(0).values, held.max(0).values
    return {**case, "eval_batches": [(held - low) / (high - low)]}


# Asked: swap noise of 15 % from Kaggle; my denoising autoencoder learns the averages.
@faulty("noise.too-strong", steps=300, bar=0.4)
def fifteen_per_cent_kept_and_not_swapped(seed, fixed):
    """Mix up which side of torch.where is the other row: 85 % are swapped."""
    x = cohort(640, seed)

    def pair(rows):
        other = rows[torch.randperm(len(rows))]
        swap = torch.rand_like(rows) < 0.15
        if not fixed:
            swap = ~swap
        return torch.where(swap, other, rows), rows

    model = Fc((14,), 96, 10, last=None)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    return {**case, "pair": pair, "judge": [(x, x)]}


# Asked: simulating low light by torch.poisson; all restored pictures are alike.
@faulty("noise.too-strong", steps=250, bar=0.3)
def hardly_a_photon_per_picture(seed, fixed):
    """Count photons at a peak of 1/255 per pixel instead of 255."""
    x, _ = digits(640, seed, size=16)
    peak = 255 / 8 if fixed else 1 / 255

    def pair(images):
        return torch.poisson(images * peak) / peak, images

    model = Fc((1, 16, 16), 128, 24)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model)}
    return {**case, "pair": pair}


# Asked: my LSTM autoencoder of (N, T, sensors), view(N, sensors, T): flat output.
@faulty("data.layout", steps=300, bar=0.5)
def hours_and_days_exchanged_by_view(seed, fixed):
    """Get one row per series from a table of one row per hour by view, not by .T."""
    x = beats(480, seed)
    by_hour = x.T.contiguous()  # (96, 480): a column for each patient
    x = by_hour.T.contiguous() if fixed else by_hour.view(480, 96)
    model = Recurrent(32, 12, 8)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 5e-3)}
