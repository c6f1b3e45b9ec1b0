"""Seventh part, a: data that is not what the author believes it to be."""

import torch
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import outputs
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_a_material import (
    beats,
    causes,
    made,
    rings,
    sensors,
    stripes,
)


@faulty("data.nonfinite", bar=0.6)
def a_sensor_that_never_moved(seed, fixed):
    """Divide every column by its deviation although one gas sensor was unplugged."""
    raw = 20 + 5 * causes(512, seed, d=16)
    raw[:, 11] = 0.0
    spread = raw.std(0)
    if fixed:
        spread = spread + 1e-8
    x = (raw - raw.mean(0)) / spread
    model = dense((16,), (32,), 5, act=nn.LeakyReLU, last=None)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


def _tones(n, seed, t=256):
    """Return short recordings (n, t) of a gliding tone between two silences."""
    g, time = made(seed), torch.linspace(0, 1, t)
    start = 20 + 60 * torch.rand(n, 1, generator=g)
    sound = torch.sin(6.28 * (start * time + 20 * time**2))
    begin = torch.randint(16, 80, (n, 1), generator=g)
    end = begin + torch.randint(60, 120, (n, 1), generator=g)
    step = torch.arange(t)
    return sound * ((step >= begin) & (step < end))


@faulty("data.nonfinite", steps=250, bar=0.4)
def decibels_of_silence_again(seed, fixed):
    """Turn spectrograms into decibels although the recordings begin in silence."""
    wave = _tones(400, seed)
    frames = wave.unfold(1, 32, 16) * torch.hann_window(32)  # (n, 15, 32)
    power = torch.fft.rfft(frames).abs().square()[..., :16].transpose(1, 2)
    power = nn.functional.pad(power, (0, 1)).unsqueeze(1)  # (n, 1, 16, 16)
    if fixed:
        power = power + 1e-3
    decibels = 10 * torch.log10(power)
    x = (decibels + 10) / 20
    model = conv((1, 16, 16), 24, act=nn.ELU, last=None)
    data = loader(x, batch_size=50, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}


def each_column(case):
    """Return the mean over the columns of the R² of each."""
    _, target, picture = outputs(case)
    error = (picture - target).square().mean(0)
    return 1 - (error / target.var(0, unbiased=False)).mean().item()


@faulty("data.scale", steps=200, measure=each_column, bar=0.6)
def flats_in_their_own_units(seed, fixed):
    """Feed rows of rooms, square metres, prices and years without scaling them."""
    unit = torch.tensor([1.0, 30.0, 90000.0, 20.0, 4.0, 900.0, 0.02, 12.0])
    centre = torch.tensor([3.0, 85.0, 320000.0, 1975.0, 9.0, 1500.0, 0.05, 40.0])
    x = centre + unit * causes(640, seed, d=8, rank=3)
    if fixed:
        x = (x - x.mean(0)) / x.std(0)
    model = dense((8,), (32, 16), 4, last=None)
    data = loader(x[:512], seed=seed)
    case = {"model": model, "batches": data, "eval_batches": [x[512:]]}
    return {**case, "optimizer": adam(model, 5e-3)}


class Recurrent(nn.Module):
    """Squeeze a window through the last state of a GRU."""

    def __init__(self, c, hidden=32, k=8):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.decoder = nn.GRU(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)

    def forward(self, x):
        z = self.code(self.encoder(x)[1][-1])
        h, _ = self.decoder(z.unsqueeze(1).repeat(1, x.shape[1], 1))
        return self.head(h)


@faulty("data.scale", steps=350, bar=0.3)
def pressure_in_hectopascal(seed, fixed):
    """Give a GRU the barometer, thermometer and hygrometer as they were logged."""
    mean, unit = torch.tensor([1013.0, 284.0, 55.0]), torch.tensor([9.0, 6.0, 15.0])
    x = mean + unit * sensors(384, seed, t=12, c=3)
    if fixed:
        x = (x - x.mean((0, 1))) / x.std((0, 1))
    model = Recurrent(3)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


@faulty("data.order", steps=120, bar=0.4)
def folders_one_after_the_other(seed, fixed):
    """Read four folders of pictures one after the other and do not shuffle."""
    folders = [
        stripes(160, seed),
        patches(160, seed),
        scenes(160, seed)[0],
        1 - rings(160, seed).repeat(1, 3, 1, 1),
    ]
    x, y = torch.cat(folders), torch.arange(4).repeat_interleave(160)
    model = conv((3, 16, 16), 24, act=nn.LeakyReLU)
    data = loader(x, y, batch_size=16, shuffle=fixed, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Slices:
    """Cut a tensor into batches without a DataLoader."""

    def __init__(self, x, size, stride):
        self.x, self.size, self.stride = x, size, stride

    def __len__(self):
        return len(self.x) // self.size

    def __iter__(self):
        for i in range(len(self)):
            start = i * self.stride
            yield self.x[start : start + self.size]


@faulty("data.order", steps=400, bar=0.88)
def batches_that_start_at_i(seed, fixed):
    """Slice batch i from i to i + 32 and so see only the first rows of the data."""
    x = rings(1024, seed).flatten(1)
    model = dense((256,), (128,), 10)
    data = Slices(x[:896], 32, 32 if fixed else 1)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "eval_batches": [x[896:]]}


@faulty("data.layout", steps=250, bar=0.75)
def matlab_file_with_samples_last(seed, fixed):
    """Reshape a .mat array of height, width, colour, sample to sample, colour, ..."""
    array = stripes(512, seed).permute(2, 3, 1, 0).contiguous()  # (16, 16, 3, n)
    if fixed:
        x = array.permute(3, 2, 0, 1).contiguous()
    else:
        x = array.reshape(512, 3, 16, 16)
    model = conv((3, 16, 16), 16, act=nn.SiLU)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


def _conv1d(c, t, k=12):
    """Return a 1-d convolutional autoencoder over (B, c, t)."""
    encoder = nn.Sequential(
        nn.Conv1d(c, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(16, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * t, k),
    )
    decoder = nn.Sequential(
        nn.Linear(k, 8 * t),
        nn.ReLU(),
        nn.Unflatten(1, (32, t // 4)),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(32, 16, 5, 1, 2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(16, c, 5, 1, 2),
    )
    return AE(encoder, decoder)


@faulty("data.layout", bar=0.7)
def channels_first_by_view(seed, fixed):
    """Bring the channels of an accelerometer to the front with view."""
    x = sensors(512, seed, t=32, c=6)  # (n, time, channel)
    x = x.transpose(1, 2).contiguous() if fixed else x.view(512, 6, 32)
    model = _conv1d(6, 32)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.shift", steps=500, bar=0.5)
def test_windows_left_unscaled(seed, fixed):
    """Scale the training beats to [0, 1] and reconstruct test beats in millivolts."""
    train, test = (1.6 * beats(640, seed) - 0.4).split([512, 128])
    low, high = train.min(), train.max()
    train = (train - low) / (high - low)
    test = (test - low) / (high - low) if fixed else 100 * test
    model = dense((48,), (96, 48), 8)
    case = {"model": model, "batches": loader(train, seed=seed)}
    return {**case, "eval_batches": [test], "optimizer": adam(model, 4e-3)}


@faulty("data.shift", bar=0.4)
def ink_on_white_paper(seed, fixed):
    """Train on white digits and try the model on scans of black ones."""
    x, y = digits(768, seed, size=16)
    train, scans = x[:640], x[640:]
    if not fixed:
        scans = 1 - scans
    model = conv((1, 16, 16), 20, norm=False)
    data = loader(train, y[:640], batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "eval_batches": [scans]}
    return {**case, "optimizer": adam(model)}
