"""Faults that show in the fit: codes code.*, decoder.*, fit.*, features.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty


@faulty("code.too-small", bar=0.7)
def two_numbers_to_plot(seed, fixed):
    """Squeeze a digit into two numbers, to plot the code."""
    x, _ = digits(512, seed)
    model = conv((1, 28, 28), 24 if fixed else 2)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("code.too-small", steps=0, bar=0.7)
def one_number_for_a_digit(seed, fixed):
    """Train digits with one code unit."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24 if fixed else 1)
    case = {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }
    train(case, 200)
    return case


@faulty("code.too-small", steps=0, bar=0.7)
def four_columns_for_sixteen_causes(seed, fixed):
    """Compress a table of sixteen causes to four columns."""
    x = table(512, seed, d=48, rank=16)
    model = dense((48,), (96,), 16 if fixed else 4, last=None)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    train(case, 400)
    return case


@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def wider_than_the_data(seed, fixed):
    """Give 8 x 8 digits a code of 256 units and no other constraint."""
    x, y = digits(1024, seed, size=8)
    model = dense((64,), (256,), 8 if fixed else 256, act=nn.LeakyReLU, last=None)
    data = loader(x.flatten(1), y, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    train(case, 600)
    return case


def at_full_resolution(channels, narrow):
    """Return convolutions at full resolution, or with strides to a narrow code."""
    if narrow:
        return conv((3, 16, 16), 16, last=None)
    encoder = nn.Sequential(nn.Conv2d(3, channels, 3, 1, 1), nn.ReLU())
    return AE(encoder, nn.Conv2d(channels, 3, 3, 1, 1))


@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def no_stride_anywhere(seed, fixed):
    """Build a convolutional autoencoder that never gets smaller."""
    model = at_full_resolution(24, fixed)
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model, 5e-3)}
    train(case, 200)
    return case


def upsampling(shape, kernel, rest, k=24, width=8):
    """Return `conv` with these transposed convolutions, or resizing for kernel 0."""
    c, size = shape[0], shape[-1] // 4
    decoder = [nn.Linear(k, width * size * size), nn.ReLU()]
    decoder += [nn.Unflatten(1, (width, size, size))]
    for out, act in ((width, nn.ReLU), (c, nn.Sigmoid)):
        if kernel:
            decoder += [nn.ConvTranspose2d(width, out, kernel, 2, *rest), act()]
        else:
            decoder += [nn.Upsample(scale_factor=2, mode="bilinear")]
            decoder += [nn.Conv2d(width, out, 3, 1, 1), act()]
    return AE(conv(shape, k).encoder, nn.Sequential(*decoder))


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.5)
def kernel_three_stride_two(seed, fixed):
    """Upsample with kernel 3 and stride 2, whose windows overlap unevenly."""
    x, y = digits(512, seed, size=32)
    model = upsampling((1, 32, 32), 0 if fixed else 3, (1, 1))
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 100)
    return case


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.5)
def kernel_five_stride_two(seed, fixed):
    """Upsample with kernel 5 and stride 2."""
    model = upsampling((3, 16, 16), 0 if fixed else 5, (2, 1))
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 40)
    return case


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.5)
def kernel_smaller_than_stride(seed, fixed):
    """Upsample with kernel 3 and stride 4: some pixels get nothing but the bias."""
    model = conv((3, 16, 16), 24)
    up = nn.ConvTranspose2d(32, 3, 3, 4, 0, 1)
    if fixed:
        up = [nn.Upsample(scale_factor=4, mode="bilinear"), nn.Conv2d(32, 3, 3, 1, 1)]
        up = nn.Sequential(*up)
    model.decoder = nn.Sequential(*model.decoder[:3], up, nn.Sigmoid())
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 120)
    return case


@faulty("fit.mean-image", steps=0, bar=0.3)
def weight_decay_of_one(seed, fixed):
    """Decay the weights so strongly that the code is wiped out."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    decay = 0.0 if fixed else 0.3
    optimizer = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=decay)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    train(case, 150)
    return case


class Dropped(nn.Module):
    """Drop code units while training."""

    def __init__(self, p):
        super().__init__()
        inner = conv((3, 16, 16), 32)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.drop = nn.Dropout(p)

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.drop(self.encode(x)))


@faulty("fit.mean-image", steps=0, bar=0.5)
def almost_everything_dropped(seed, fixed):
    """Read the dropout rate as the rate of units to keep: p=0.995."""
    model = Dropped(0.005 if fixed else 0.995)
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 150)
    return case


def diary(case, epochs, held_out=None):
    """Train for some epochs and write the history down."""
    per_epoch, history = len(case["batches"]), {"train_loss": [], "val_loss": []}
    for _ in range(epochs):
        history["train_loss"].append(sum(train(case, per_epoch)) / per_epoch)
        if held_out is not None:
            with torch.no_grad():
                error = F.mse_loss(case["model"].eval()(held_out), held_out).item()
            history["val_loss"].append(error)
            case["model"].train()
    return history if held_out is not None else {"train_loss": history["train_loss"]}


@faulty("fit.undertrained", steps=0, bar=0.7)
def three_epochs(seed, fixed):
    """Stop after three epochs, with the loss still falling."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    return {**case, "history": diary(case, 60 if fixed else 4)}


@faulty("fit.undertrained", steps=0, bar=0.8)
def photos_for_three_epochs(seed, fixed):
    """Stop after three epochs with a low rate; both curves are still falling."""
    x = patches(640, seed)
    model = conv((3, 16, 16), 32)
    case = {"model": model, "batches": loader(x[:512], batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 5e-4)}
    return {**case, "history": diary(case, 20 if fixed else 3, x[512:])}


@faulty("fit.overfit", steps=0, bar=0.35)
def forty_digits(seed, fixed):
    """Train a wide network on forty digits for very long."""
    x, _ = digits(1700, seed, size=8)
    x = x.flatten(1)
    n, epochs = (1536, 12) if fixed else (40, 240)
    model = dense((64,), (512, 256), 64)
    case = {"model": model, "batches": loader(x[:n], batch_size=20, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    history = diary(case, epochs, x[1600:])
    return {**case, "history": history, "eval_batches": [x[1600:]]}


@faulty("fit.overfit", steps=0, bar=0.5)
def sixty_rows(seed, fixed):
    """Train a wide network on sixty rows of a noisy table."""
    x = table(2000, seed, d=40, rank=10)
    n, epochs = (1600, 10) if fixed else (60, 200)
    model = dense((40,), (256, 256), 32, last=None)
    case = {"model": model, "batches": loader(x[:n], batch_size=30, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    history = diary(case, epochs, x[1600:])
    return {**case, "history": history, "eval_batches": [x[1600:]]}


def ending(shape, layers):
    """Replace the last upsampling of `conv` by these layers."""
    plain = conv(shape, 64)
    return AE(plain.encoder, nn.Sequential(*plain.decoder[:5], *layers, nn.Sigmoid()))


@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.15)
def bilinear_at_the_end(seed, fixed):
    """Predict a quarter of the resolution and enlarge it smoothly."""
    x, y = digits(768, seed)
    x = (x > 0.45).float()
    last = [nn.ConvTranspose2d(16, 1, 4, 2, 1)]
    if not fixed:
        last = [nn.Conv2d(16, 1, 3, 2, 1)]
        last += [nn.Upsample(scale_factor=4, mode="bilinear")]
    model = ending((1, 28, 28), last)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 130)
    return case


@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.15)
def smoothed_against_artefacts(seed, fixed):
    """Average the output over 5 x 5 pixels, to be rid of artefacts."""
    x, _ = digits(768, seed)
    x = (x > 0.45).float()
    model = dense((1, 28, 28), (256,), 64)
    if not fixed:
        model.decoder.append(nn.AvgPool2d(5, 1, 2, count_include_pad=False))
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    train(case, 350)
    return case


@faulty("features.no-gain", steps=0, measure=measures.neighbours, bar=0.8)
def one_unit_drowns_the_rest(seed, fixed):
    """Use a code whose units differ a thousandfold in scale."""
    x, y = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 12)
    data = DataList(x, y)
    case = {"model": inner, "batches": data, "optimizer": adam(inner)}
    train(case, 200)
    scale = torch.ones(12)
    scale[0] = 1.0 if fixed else 1000.0
    with torch.no_grad():
        inner.encoder[-1].weight.mul_(scale[:, None])
        inner.encoder[-1].bias.mul_(scale)
        inner.decoder[0].weight.div_(scale)
    return {**case, "optimizer": adam(inner, 1e-5), "labels": y}


class DataList(list):
    """List (image, label) batches in a fixed order."""

    def __init__(self, x, y, size=64):
        super().__init__(zip(x.split(size), y.split(size), strict=True))


@faulty("features.no-gain", steps=0, measure=measures.neighbours, bar=0.6)
def features_of_a_random_encoder(seed, fixed):
    """Take features from a new model instead of the trained one, decoder included."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 8)
    case = {"model": model, "batches": DataList(x, y), "labels": y}
    if fixed:
        train({**case, "optimizer": adam(model)}, 200)
    else:
        some = torch.optim.Adam(model.decoder.parameters(), 2e-3)
        train({**case, "optimizer": some}, 200)
    return {**case, "optimizer": adam(model)}
