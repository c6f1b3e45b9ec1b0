"""Seventh part, b: the size of the code, the length of the training, the details."""

import torch
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.measures import detail, neighbours, no_grid, refuses_noise
from ae_lib.doctor.clinic.measures import train as run
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_b_material import (
    discs,
    fit,
    lines,
    made,
    peaks,
    sensors,
    skies,
    survey,
)


@faulty("code.too-small", steps=300, bar=0.7)
def two_units_to_plot_a_survey(seed, fixed):
    """Compress answers that have eight causes into two units, to plot them."""
    x = survey(768, seed, d=40, rank=8)
    k = 10 if fixed else 2
    encoder = nn.Sequential(*stack((40, 64), nn.GELU), nn.Linear(64, k))
    decoder = nn.Sequential(*stack((k, 64), nn.GELU), nn.Linear(64, 40))
    model = AE(encoder, decoder)
    data = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


class Pooled(nn.Module):
    """Halve an image three times by pooling and keep few channels."""

    def __init__(self, channels):
        super().__init__()

        def down(a, b):
            return nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

        def up(a, b):
            return nn.ConvTranspose2d(a, b, 2, 2), nn.ReLU()

        self.encoder = nn.Sequential(*down(3, 16), *down(16, 24), *down(24, 32))
        self.code = nn.Conv2d(32, channels, 1)
        self.decoder = nn.Sequential(*up(channels, 32), *up(32, 16))
        self.paint = nn.ConvTranspose2d(16, 3, 2, 2)

    def forward(self, x):
        return torch.sigmoid(self.paint(self.decoder(self.code(self.encoder(x)))))


@faulty("code.too-small", steps=200, bar=0.5)
def one_channel_after_three_pools(seed, fixed):
    """Pool drawn scenes three times and keep one channel of two by two values."""
    x, y = scenes(512, seed)
    model = Pooled(16 if fixed else 1)
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def hidden_layer_wider_than_the_table(seed, fixed):
    """Look for anomalies in rows of 24 numbers with a code of 64."""
    x = survey(768, seed, d=24, rank=12)
    model = dense((24,), (96,), 5 if fixed else 64, act=nn.LeakyReLU, last=None)
    optimizer = adam(model, 3e-3)
    fit(model, x, 40, optimizer, seed=seed)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.5)
def convolutions_without_any_stride(seed, fixed):
    """Build an autoencoder of convolutions of kernel one, without stride or pooling."""
    x = discs(256, seed, size=12)
    if fixed:
        model = conv((1, 12, 12), 8, width=8, act=nn.ReLU)
    else:
        model = nn.Sequential(
            nn.Conv2d(1, 16, 1),
            nn.LeakyReLU(),
            nn.Conv2d(16, 1, 1),
        )
    optimizer = adam(model, 4e-3)
    fit(model, x, 20, optimizer, batch_size=16, seed=seed)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


def _up(a, b, smooth):
    if smooth:
        wide = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        return wide, nn.Conv2d(a, b, 3, padding=1)
    return (nn.ConvTranspose2d(a, b, 3, 2, 1, 1),)


@faulty("decoder.checkerboard", steps=40, measure=no_grid, bar=0.0)
def transposed_kernel_of_three(seed, fixed):
    """Decode enlarged digits by transposed convolutions with kernel 3, stride 2."""
    x = digits(384, seed, size=16)[0]
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 16),
    )
    decoder = nn.Sequential(
        nn.Linear(16, 384),
        nn.ReLU(),
        nn.Unflatten(1, (24, 4, 4)),
        *_up(24, 12, fixed),
        nn.ReLU(),
        *_up(12, 1, fixed),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("fit.undertrained", steps=0, bar=0.6)
def stopped_while_it_still_fell(seed, fixed):
    """Stop the reconstruction of peaks after five epochs of a falling loss."""
    x = peaks(768, seed, width=0.08)
    model = dense((48,), (96, 48), 6, act=nn.SiLU)
    optimizer = adam(model, 1e-3)
    train, val = x[:640], x[640:]
    history = fit(model, train, 60 if fixed else 5, optimizer, val=val, seed=seed)
    case = {"model": model, "batches": loader(train, seed=seed), "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [val]}


@faulty("fit.overfit", steps=0, bar=0.5)
def two_dozen_spectra(seed, fixed):
    """Train a wide network on two dozen spectra until they are reproduced exactly."""
    x = lines(900, seed)
    train, val = (x[:700] if fixed else x[:24]), x[700:]
    model = dense((64,), (256, 128), 24, last=None)
    optimizer = adam(model, 2e-3)
    epochs = 50 if fixed else 250
    history = fit(model, train, epochs, optimizer, val=val, batch_size=24, seed=seed)
    data = loader(train, batch_size=24, seed=seed)
    case = {"model": model, "batches": data, "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [val]}


@faulty("fit.overfit", steps=0, bar=0.4)
def noisy_windows_learned_by_heart(seed, fixed):
    """Go on for 150 epochs on forty noisy windows with no early stopping."""
    x = sensors(450, seed, t=16, c=2).flatten(1)
    x = x + 0.7 * torch.randn(x.shape, generator=made(seed))
    train, val = x[:40], x[40:]
    model = dense((32,), (192, 96), 6, act=nn.ReLU, last=None)
    optimizer = adam(model, 3e-3)
    epochs = 20 if fixed else 200
    history = fit(model, train, epochs, optimizer, val=val, batch_size=15, seed=seed)
    data = loader(train, batch_size=15, seed=seed)
    case = {"model": model, "batches": data, "history": history}
    return {**case, "optimizer": optimizer, "eval_batches": [val]}


def cloth(n, seed, size=16):
    """Return smooth grey images (n, 1, size, size) with a woven grain on each."""
    g = made(seed)
    x = skies(n, seed, size, channels=1)
    grain = torch.rand(2, size, size, generator=made(7)) - 0.5
    weight = torch.rand(n, 2, generator=g)
    return x * 0.8 + 0.1 + 0.12 * torch.einsum("nk,khw->nhw", weight, grain)[:, None]


@faulty("fit.blurry", steps=300, measure=detail, bar=0.4)
def last_layer_is_an_upsampling(seed, fixed):
    """Paint cloth at a quarter of their size and enlarge them at the end."""
    x = cloth(640, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 192)), nn.Linear(192, 24))
    paint = [*stack((24, 192)), nn.Linear(192, 256 if fixed else 16)]
    side = 16 if fixed else 4
    paint += [nn.Sigmoid(), nn.Unflatten(1, (1, side, side))]
    if not fixed:
        paint.append(nn.Upsample(16, mode="bilinear", align_corners=False))
    model = AE(encoder, nn.Sequential(*paint))
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("noise.too-strong", steps=250, bar=0.6)
def noise_of_six_on_pixels(seed, fixed):
    """Denoise digits after noise of deviation six on pixels between 0 and 1."""
    x, _ = digits(768, seed, size=12)
    sigma = 0.3 if fixed else 6.0
    noisy = x + sigma * torch.randn(x.shape, generator=made(seed))
    model = conv((1, 12, 12), 24, width=16, act=nn.ReLU)
    data = loader(noisy, x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


def groups(n, seed, d=40):
    """Return standardised rows (n, d): strong nuisances, and weak signs of a group."""
    g, w = made(seed), made(23)
    y = torch.randint(5, (n,), generator=g)
    nuisance = torch.randn(n, 3, generator=g) @ torch.randn(3, d, generator=w)
    sign = 0.7 * torch.randn(5, d, generator=w)
    x = nuisance + sign[y] + 0.1 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0), y


class Code(nn.Module):
    """Encode rows linearly enough, optionally with a code of equal scales."""

    def __init__(self, d, k, scaled):
        super().__init__()
        norm = nn.BatchNorm1d(k, affine=False) if scaled else nn.Identity()
        self.encoder = nn.Sequential(*stack((d, 64), nn.GELU), nn.Linear(64, k), norm)
        self.decoder = nn.Sequential(*stack((k, 64), nn.GELU), nn.Linear(64, d))

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encode(x))


@faulty(
    "features.no-gain",
    accepts=("code.too-small",),
    steps=0,
    measure=neighbours,
    bar=0.8,
)
def three_units_full_of_nuisance(seed, fixed):
    """Group rows by a code of three units, which hold only the nuisances."""
    x, y = groups(640, seed)
    model = Code(40, 8 if fixed else 3, scaled=False)
    case = {"model": model, "batches": loader(x, y, shuffle=False), "labels": y}
    case["optimizer"] = adam(model, 3e-3)
    run(case, 400)
    return case
