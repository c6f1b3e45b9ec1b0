"""Programs handed over after training: mean images, short and long runs, blur."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, scenes, waves
from ae_lib.doctor.clinic.parts import conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import assays, logbook


class VectorAutoencoder(nn.Module):
    """Four dense layers on flat pictures."""

    def __init__(self, n_in, hidden=64, latent=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, latent), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, n_in), nn.Sigmoid()
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


# Asked: http://blog.shlomidom.com/Fixing-VAE-model-reconstructions (gist)
@faulty(
    "fit.mean-image",
    accepts=("step.too-large", "signal.dead-units"),
    steps=0,
    bar=0.45,
)
def one_and_the_same_average_digit(seed, fixed):
    """Train with Adam at 0.1, and get the average digit for whatever goes in."""
    x, _ = digits(512, seed, 14)
    model = VectorAutoencoder(196)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if fixed else 0.1)
    batches = loader(x.flatten(1), batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 320)
    return case


# Asked: autoencoder with L2 regularisation predicts the mean of every column
@faulty("fit.mean-image", accepts=("signal.dead-units",), steps=0, bar=0.5)
def decay_of_weights_against_overfitting(seed, fixed):
    """Set weight_decay=0.1 in Adam against overfitting, and get the column means."""
    x, _ = scenes(512, seed, 12)
    model = dense((3, 12, 12), (96,), k=16)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=2e-3, weight_decay=1e-6 if fixed else 0.1
    )
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 16, scenes(128, seed + 70, 12)[0])
    return {**case, "history": history}


# Asked: reconstructions of my first autoencoder are smeared after a few epochs
@faulty("fit.undertrained", steps=0, bar=0.75)
def eight_epochs_of_a_tutorial(seed, fixed):
    """Train on digits for eight epochs, as the tutorial did with ten times the data."""
    x, _ = digits(640, seed, 16)
    model = conv((1, 16, 16), k=24, width=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    batches = loader(x[:512], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 24 if fixed else 8, x[512:])
    return {**case, "history": history}


class GatedAutoencoder(nn.Module):
    """A GRU reads a series of load curves, a dense net writes it."""

    def __init__(self, length, width, hidden=48, latent=8):
        super().__init__()
        self.length, self.width = length, width
        self.reader = nn.GRU(width, hidden, batch_first=True)
        self.to_code = nn.Linear(hidden, latent)
        self.writer = nn.Sequential(
            nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, length * width)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.to_code(self.reader(x)[1][-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.writer(self.encode(x)).view(-1, self.length, self.width)


# Asked: sequence autoencoder for load profiles, how many epochs are enough
@faulty("fit.undertrained", steps=0, bar=0.6)
def load_curves_for_eight_epochs(seed, fixed):
    """Stop a recurrent autoencoder after eight epochs, for the curve looked good."""
    x = waves(512, seed, 32).view(-1, 8, 4)
    held = waves(96, seed + 31, 32).view(-1, 8, 4)
    model = GatedAutoencoder(8, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 60 if fixed else 8, held)
    return {**case, "history": history, "eval_batches": held.split(32)}


class WideTable(nn.Module):
    """Wide dense layers for a small table."""

    def __init__(self, n_in, hidden=96, latent=12):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, latent),
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_in),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


# Asked: validation loss of an autoencoder on patients rises while training falls
@faulty("fit.overfit", steps=0, bar=0.79)
def wide_net_for_thirty_patients(seed, fixed):
    """Train five wide layers on thirty patients for two hundred epochs."""
    x = assays(560, seed)
    rows, held = x[: 400 if fixed else 30], x[400:]
    model = WideTable(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(rows, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 24 if fixed else 200, held)
    return {**case, "history": history, "eval_batches": held.split(32)}


# Asked: training loss goes to zero and test loss grows with two dozen pictures
@faulty("fit.overfit", steps=0, bar=0.55)
def two_dozen_digits_by_heart(seed, fixed):
    """Train a dense autoencoder on 24 digits until it knows them by heart."""
    x, _ = digits(640, seed, 12)
    rows, held = x[: 512 if fixed else 24], x[512:]
    model = dense((1, 12, 12), (128, 64), k=24)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(rows, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 25 if fixed else 300, held)
    return {**case, "history": history, "eval_batches": held.split(64)}


class CoarseDecoder(nn.Module):
    """A decoder that paints at a quarter of the size and enlarges at the end."""

    def __init__(self, fine):
        super().__init__()
        self.fine = fine
        self.down = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, 2, 1)
        )
        self.up1 = nn.Conv2d(24, 32, 3, padding=1)
        self.up2 = nn.Conv2d(32, 48 if fine else 3, 3, padding=1)

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up2(F.relu(self.up1(self.encode(x))))
        if self.fine:
            return torch.sigmoid(F.pixel_shuffle(h, 4))
        h = F.interpolate(h, scale_factor=4, mode="bilinear", align_corners=False)
        return torch.sigmoid(h)


# Asked: low error but soft pictures, edges are lost although the code is large
@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.13)
def enlarged_fourfold_at_the_very_end(seed, fixed):
    """Paint at a quarter of the size and enlarge with bilinear interpolation."""
    x, _ = scenes(448, seed)
    model = CoarseDecoder(fine=fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 250)
    return case


class SmoothedAutoencoder(nn.Module):
    """Dense layers, and an averaging filter over what they paint."""

    def __init__(self, size, smooth, latent=48):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size**2, 160), nn.GELU(), nn.Linear(160, latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 160),
            nn.GELU(),
            nn.Linear(160, size**2),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, size, size)),
        )
        self.smooth = nn.AvgPool2d(3, stride=1, padding=1) if smooth else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.smooth(self.decoder(self.encode(x)))


# Asked: how to smooth the output of a decoder, mine came out noisy, now it is soft
@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.55)
def averaging_filter_over_the_output(seed, fixed):
    """Put an average of 3 x 3 pixels behind the decoder against speckles."""
    x, _ = digits(512, seed, 14)
    model = SmoothedAutoencoder(14, smooth=not fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 350)
    return case
