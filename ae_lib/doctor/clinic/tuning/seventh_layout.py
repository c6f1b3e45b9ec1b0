"""Scrambled, shifted and drowned data, from a seventh round of public questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    Recurrent,
    beats,
    cohort,
)


# Asked: SVHN from a .mat file has shape (32, 32, 3, N); reshape(N, 3, 32, 32) is noise.
@faulty("data.layout", steps=200, bar=0.43)
def samples_last_in_a_mat_file(seed, fixed):
    """Reshape (H, W, C, N) to (N, C, H, W) where axes should change places."""
    x, _ = scenes(384, seed, 32)
    stored = x.permute(2, 3, 1, 0).contiguous()  # (H, W, C, N)
    x = stored.permute(3, 2, 0, 1) if fixed else stored.reshape(384, 3, 32, 32)
    model = Cae((3, 32, 32), 48)
    batches = loader(x.contiguous(), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: https://github.com/Selen-Suyue/DensePolicy2D/issues/3 (reshape, not permute)
@faulty("data.layout", steps=250, bar=0.76)
def arrays_of_another_library_viewed(seed, fixed):
    """View pictures of (H, W, C) as (C, H, W), since Conv2d complained about 24."""
    x = patches(448, seed, size=24)
    array = x.permute(0, 2, 3, 1).contiguous()
    x = array.permute(0, 3, 1, 2) if fixed else array.view(-1, 3, 24, 24)
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.ConvTranspose2d(4, 16, 2, 2), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 3, 2, 2), nn.Sigmoid()),
    )
    batches = loader(x.contiguous(), batch_size=32, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return {"model": model, "batches": batches, "optimizer": optimizer}


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
@faulty("data.shift", steps=0, bar=0.87)
def scaler_fitted_again_on_the_test(seed, fixed):
    """Fit the min-max scaler anew on the test, whose columns vary less or more."""
    x = cohort(1400, seed)
    seen, held = x[:700], x[700:]
    held = held[held[:, 0] > 1.2]  # one kind of customer
    low, high = seen.min(0).values, seen.max(0).values
    model = Fc((14,), 64, 6)
    batches = loader((seen - low) / (high - low), batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 400)
    if not fixed:
        low, high = held.min(0).values, held.max(0).values
    return {**case, "eval_batches": [(held - low) / (high - low)]}


# Asked: swap noise of 15 % from Kaggle; my denoising autoencoder learns the averages.
@faulty("noise.too-strong", steps=300, bar=0.7)
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
