"""Programs with a wrong target, scrambled axes, or a test unlike the training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_a_material import (
    PoolNet,
    Recurrent,
    Series,
    Strided,
    Tabular,
    cancer,
    drawn,
    sensors,
)


def noisy(x: Tensor, strength: float, seed: int) -> Tensor:
    """Return x with Gaussian noise, the same for each seed."""
    return x + strength * torch.randn(x.shape, generator=drawn(seed))


class Denoiser(nn.Module):
    """Clean small colour pictures at their full size, without a narrow code."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, 24, 3, padding=1)
        self.out = nn.Conv2d(24, 3, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.out(F.relu(self.conv3(x)))


# Asked: https://github.com/pkmital/tensorflow_tutorials/issues/21
@faulty("data.target", steps=150, bar=0.5)
def compared_with_what_went_in(seed, fixed):
    """Train a denoiser on noisy pictures and compute the loss against those."""
    x = scenes(448, seed, 16)[0]
    made = drawn(seed)

    def pair(batch):
        grainy = batch + 0.4 * torch.randn(batch.shape, generator=made)
        return grainy, batch if fixed else grainy

    model = Denoiser()
    return {
        "model": model,
        "batches": loader(x[:384], batch_size=32, seed=seed),
        "pair": pair,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [(noisy(x[384:], 0.4, seed + 1), x[384:])],
    }


class Zipped:
    """Walk through two loaders side by side."""

    def __init__(self, *loaders):
        self.loaders = loaders

    def __len__(self):
        return len(self.loaders[0])

    def __iter__(self):
        return zip(*self.loaders, strict=True)


# Asked: gist: two DataLoaders, degraded and clean, both with shuffle=True, in a zip
@faulty("data.target", steps=200, bar=0.35)
def two_folders_each_with_its_own_shuffle(seed, fixed):
    """Zip a loader of dirty scans with one of clean scans; each shuffles for itself."""
    clean = digits(700, seed, 16)[0]
    dirty = noisy(clean, 0.3, seed).clamp(0, 1)
    inputs = loader(dirty[:600], batch_size=30, seed=seed)
    targets = loader(clean[:600], batch_size=30, seed=seed if fixed else seed + 1)
    model = PoolNet(1, 16, k=32)
    return {
        "model": model,
        "batches": Zipped(inputs, targets),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [(dirty[600:], clean[600:])],
    }


# Asked: gist: my denoising autoencoder does not denoise, the loop passes the clean one
@faulty("data.target", steps=300, bar=0.7)
def masked_series_that_the_model_never_saw(seed, fixed):
    """Blank out stretches of sensor series, then hand the whole series to the model."""
    x = sensors(460, seed, d=4, length=32).transpose(1, 2).contiguous()
    start = torch.randint(0, 15, (len(x), 1, 1), generator=drawn(seed))
    time = torch.arange(32)
    gaps = x * ((time < start) | (time >= start + 17))
    model = Series(4, 32, k=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(model, batch):
        masked, whole = batch
        optimizer.zero_grad()
        out = model(masked if fixed else whole)
        loss = F.mse_loss(out, whole)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(gaps[:400], x[:400], batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": step,
        "judge": [(gaps[400:], x[400:])],
    }


# Asked: gist: images as numpy HWC, net wants CHW, x.reshape(-1, 3, 32, 32)
@faulty("data.layout", steps=150, bar=0.8)
def channels_last_reshaped_to_channels_first(seed, fixed):
    """Reshape photographs stored (N, H, W, 3) to (N, 3, H, W)."""
    right = patches(480, seed, 24)
    stored = right.permute(0, 2, 3, 1).contiguous()
    x = stored.permute(0, 3, 1, 2) if fixed else stored.reshape(-1, 3, 24, 24)
    model = Strided(3, 24, k=48, last=nn.Sigmoid())
    return {
        "model": model,
        "batches": loader(x[:416].contiguous(), batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "judge": [right[416:]],
    }


# Asked: gist: SVHN .mat file has shape (32, 32, 3, N), how to feed it to PyTorch
@faulty("data.layout", steps=150, bar=0.4)
def samples_on_the_last_axis_of_a_matlab_file(seed, fixed):
    """Reshape an array (H, W, 3, N) from a .mat file to (N, 3, H, W)."""
    right = scenes(480, seed, 16)[0]
    stored = right.permute(2, 3, 1, 0).contiguous()
    x = stored.permute(3, 2, 0, 1) if fixed else stored.reshape(480, 3, 16, 16)
    model = PoolNet(3, 16, k=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x[:416].contiguous(), batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": optimizer,
        "judge": [right[416:]],
    }


# Asked: gist: LSTM autoencoder, array is (samples, features, time), view to batch_first
@faulty("data.layout", steps=250, bar=0.35)
def sensors_and_time_swapped_by_a_view(seed, fixed):
    """View windows (N, sensors, time) as (N, time, sensors) for an LSTM."""
    right = sensors(440, seed, d=6, length=24)
    stored = right.transpose(1, 2).contiguous()
    x = stored.transpose(1, 2).contiguous() if fixed else stored.view(-1, 24, 6)
    model = Recurrent(6, hidden=48, k=12)
    return {
        "model": model,
        "batches": loader(x[:384], batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "judge": [right[384:]],
    }


# Asked: gist: MNIST autoencoder fails on my own handwriting, black ink on white paper
@faulty("data.shift", steps=150, bar=0.5)
def own_handwriting_on_white_paper(seed, fixed):
    """Train on white strokes on black, then show it scans of black ink on paper."""
    x = digits(700, seed, 28)[0]
    scans = 1 - x[600:]
    model = PoolNet(1, 28, k=32)
    return {
        "model": model,
        "batches": loader(x[:600], batch_size=32, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "eval_batches": (1 - scans if fixed else scans).split(50),
    }


class Mirror(nn.Module):
    """Reconstruct normalised digits with a linear last layer."""

    def __init__(self, k: int = 24):
        super().__init__()
        self.flatten = nn.Flatten()
        self.encoder = nn.Sequential(nn.Linear(784, 160), nn.ReLU(), nn.Linear(160, k))
        self.decoder = nn.Sequential(nn.Linear(k, 160), nn.ReLU(), nn.Linear(160, 784))

    def forward(self, x):
        return self.decoder(self.encoder(self.flatten(x))).view_as(x)


# Asked: gist: test images look washed out, Normalize only in the train transform
@faulty("data.shift", steps=200, bar=0.5)
def normalised_only_in_the_training_transform(seed, fixed):
    """Normalise by mean and deviation for training, not in the test transform."""
    x, labels = digits(800, seed, 28)
    mean, std = x[:640].mean(), x[:640].std()
    test = (x[640:] - mean) / std if fixed else x[640:]
    model = Mirror()
    return {
        "model": model,
        "batches": loader((x[:640] - mean) / std, labels[:640], seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
        "eval_batches": test.split(40),
    }


# Asked: https://github.com/NetManAIOps/OmniAnomaly/issues/39
@faulty("data.shift", steps=300, bar=0.5)
def a_second_scaler_for_the_test_rows(seed, fixed):
    """Fit a new min-max scaler on a test set that has the sick patients in it."""
    x, benign = cancer(seed)
    well = x[benign == 1]
    train, test = well[:257], torch.cat([well[257:], x[benign == 0]])
    low, high = train.amin(0), train.amax(0)
    scaled = (train - low) / (high - low)
    if not fixed:
        low, high = test.amin(0), test.amax(0)
    judged = ((test - low) / (high - low))[:100]
    model = Tabular(30, 8)
    return {
        "model": model,
        "batches": loader(scaled, batch_size=16, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "eval_batches": judged.split(50),
    }
