"""Programs whose data are not what their authors believe: values, scale, order."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_a_material import (
    PoolNet,
    Strided,
    Tabular,
    cancer,
    columns,
    drawn,
    spectra,
    zscore,
)


# Asked: http://dong.sh/posts/lossbreakgredients
@faulty("data.nonfinite", steps=250, bar=0.5)
def empty_cells_of_a_spreadsheet(seed, fixed):
    """Standardise a table in which half a per cent of the cells were never filled."""
    full = zscore(cancer(seed)[0])
    empty = torch.rand(full.shape, generator=drawn(seed)) < 0.005
    x = full.masked_fill(empty, torch.nan)
    x = (x - x.nanmean(0)) / (x - x.nanmean(0)).square().nanmean(0).sqrt()
    if fixed:
        x = x.nan_to_num(0.0)
    model = Tabular(30, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x[:469], batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
        "judge": [full[469:]],
    }


class SpectrumNet(nn.Module):
    """Squeeze spectrograms with strided convolutions to a small map."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 4, 1),
        )
        self.dec = nn.Sequential(
            nn.ConvTranspose2d(4, 32, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 1, 3, padding=1),
        )

    def forward(self, x):
        return self.dec(self.enc(x))


# Asked: gist: spectrogram autoencoder gives nan from the first batch, log of zero
@faulty("data.nonfinite", steps=200, bar=0.4)
def decibels_of_silence(seed, fixed):
    """Turn power spectra into decibels although some recordings begin silent."""
    power = spectra(400, seed)
    decibels = 10 * torch.log10(power + 1e-4 if fixed else power)
    x = decibels / 40
    model = SpectrumNet()
    return {
        "model": model,
        "batches": loader(x[:320], batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [10 * torch.log10(power[320:] + 1e-4) / 40],
    }


class Crops(torch.utils.data.Dataset):
    """Cut windows out of scans and stretch each to [0, 1]."""

    def __init__(self, scans: Tensor, seed: int, safe: bool):
        at = torch.randint(0, 13, (len(scans), 2), generator=drawn(seed)).tolist()
        pairs = zip(scans, at, strict=True)
        self.cuts = [scan[:, i : i + 16, j : j + 16] for scan, (i, j) in pairs]
        self.safe = safe

    def __len__(self):
        return len(self.cuts)

    def __getitem__(self, index):
        cut = self.cuts[index]
        spread = cut.max() - cut.min()
        return (cut - cut.min()) / (spread.clamp(min=1e-5) if self.safe else spread)


# Asked: gist: min-max normalising every image gives NaN for blank images
@faulty("data.nonfinite", steps=200, bar=0.4)
def every_crop_stretched_to_its_own_range(seed, fixed):
    """Divide each crop by its range, which is zero for the few blank ones."""
    scans = F.pad(digits(600, seed, 20)[0], (4, 4, 4, 4))
    scans[::75] = 0
    crops = Crops(scans, seed, fixed)
    made = torch.Generator().manual_seed(seed)
    batches = torch.utils.data.DataLoader(crops, 40, shuffle=True, generator=made)
    model = Strided(1, 16, last=nn.Sigmoid())
    return {
        "model": model,
        "batches": batches,
        "loss": lambda out, x: F.binary_cross_entropy(out, x),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": torch.stack([*Crops(scans, seed, True)]).split(100),
    }


# Asked: https://github.com/keras-team/keras/issues/3642
@faulty("data.scale", accepts=("output.range",), steps=150, bar=0.4)
def bytes_of_the_decoder_cast_to_float(seed, fixed):
    """Cast the bytes of colour pictures to float and leave them at 0 to 255."""
    pixels = (scenes(448, seed, 24)[0] * 255).byte()
    x = pixels.float() / 255 if fixed else pixels.float()
    model = PoolNet(3, 24, k=64)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Hourglass(nn.Module):
    """Send flat digits through widths 784, 128, 24 and back."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, 128), nn.ReLU(True), nn.Linear(128, 24)
        )
        self.decoder = nn.Sequential(
            nn.Linear(24, 128), nn.ReLU(True), nn.Linear(128, 784), nn.Sigmoid()
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: gist: loss is 1e-6 from the start and all reconstructions are black
@faulty("data.scale", steps=150, bar=0.3)
def divided_by_255_after_a_transform_that_had(seed, fixed):
    """Divide by 255 in the loop, although ToTensor has done so."""
    images = digits(640, seed, 28)[0].flatten(1)
    x = images if fixed else images / 255
    model = Hourglass()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
    }


# Asked: gist: autoencoder for tabular data, one feature in thousands, others below 1
@faulty("data.scale", steps=250, measure=columns, bar=0.5)
def columns_in_their_own_units(seed, fixed):
    """Feed a table of areas in the hundreds and ratios of a hundredth as it is."""
    x, _ = cancer(seed)
    x = zscore(x) if fixed else x
    model = nn.Sequential(
        nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 8), nn.Linear(8, 24), nn.ReLU()
    )
    model.append(nn.Linear(24, 30))
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


# Asked: gist: ImageFolder without shuffle, the autoencoder only redraws the last class
@faulty("data.order", steps=108, bar=0.45)
def folders_read_one_class_after_another(seed, fixed):
    """Load the images folder by folder, as they lie on the disk."""
    images, labels = digits(1728, seed, 16)
    order = labels.argsort(stable=True)
    x, y = images[order], labels[order]
    batches = loader(x, y, batch_size=32, shuffle=fixed, seed=seed)
    model = Strided(1, 16, k=24, last=nn.Sigmoid())
    return {
        "model": model,
        "batches": batches,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "labels": y,
        "judge": images[::4].split(100),
    }


class Loop:
    """Draw the batches of one epoch as the training loop does."""

    def __init__(self, batches, once: bool):
        self.batches, self.once = batches, once

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        if self.once:
            yield from self.batches
            return
        for _ in range(len(self.batches)):
            yield next(iter(self.batches))


# Asked: gist: calling next(iter(loader)) in the loop always gives the same batch
@faulty("data.order", steps=250, bar=0.5)
def a_new_iterator_for_every_step(seed, fixed):
    """Write next(iter(loader)) inside the loop, on a loader that does not shuffle."""
    x = scenes(576, seed, 16)[0]
    ordered = loader(x[:512], batch_size=16, shuffle=fixed, seed=seed)
    model = PoolNet(3, 16, k=64)
    return {
        "model": model,
        "batches": Loop(ordered, fixed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [x[512:]],
    }


class Slices:
    """Cut one epoch into slices by hand."""

    def __init__(self, x: Tensor, size: int, right: bool):
        self.x, self.size, self.right = x, size, right

    def __iter__(self):
        for i in range(0, len(self.x), self.size):
            yield self.x[i : i + self.size if self.right else self.size]


# Asked: gist: my minibatches are x[i:batch_size], loss is zero after the first one
@faulty("data.order", steps=240, bar=0.5)
def slices_that_end_where_the_first_one_ended(seed, fixed):
    """Slice minibatches as x[i:batch_size], so that all but the first are empty."""
    x = digits(900, seed, 14)[0].flatten(1)
    model = Tabular(196, 16, hidden=128)
    return {
        "model": model,
        "batches": Slices(x[:768], 32, fixed),
        "loss": lambda out, target: F.mse_loss(out, target, reduction="sum"),
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
        "judge": [x[768:]],
    }
