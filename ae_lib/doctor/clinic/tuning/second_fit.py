"""Faults that show in the fit: codes code.*, decoder.*, fit.*, features.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, scenes, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty


def maps(channels):
    """Return an autoencoder whose code is a feature map of 2 x 2 positions."""
    encoder = [nn.Conv2d(3, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 4, 2, 1)]
    encoder += [nn.ReLU(), nn.Conv2d(48, channels, 4, 2, 1)]
    decoder = [nn.ConvTranspose2d(channels, 48, 4, 2, 1), nn.ReLU()]
    decoder += [nn.ConvTranspose2d(48, 24, 4, 2, 1), nn.ReLU()]
    decoder += [nn.ConvTranspose2d(24, 3, 4, 2, 1), nn.Sigmoid()]
    return AE(nn.Sequential(*encoder), nn.Sequential(*decoder))


@faulty("code.too-small", steps=0, bar=0.65)
def one_channel_at_the_waist(seed, fixed):
    """Narrow the feature map to a single channel of 2 x 2."""
    x, y = scenes(512, seed)
    model = maps(24 if fixed else 1)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 250)
    return case


@faulty("code.too-small", bar=0.6)
def three_numbers_for_twenty_causes(seed, fixed):
    """Compress twenty independent causes to three numbers."""
    x = table(768, seed, d=64, rank=20)
    model = dense((64,), (128,), 24 if fixed else 3, act=nn.Tanh, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def channels_make_up_for_strides(seed, fixed):
    """Halve the resolution twice but give the code sixty channels."""
    if fixed:
        model = conv((3, 16, 16), 12, last=None)
    else:
        encoder = nn.Sequential(nn.Conv2d(3, 60, 4, 4), nn.LeakyReLU(0.5))
        model = AE(encoder, nn.ConvTranspose2d(60, 3, 4, 4))
    case = {"model": model, "batches": loader(scenes(512, seed)[0], seed=seed)}
    case |= {"optimizer": adam(model, 5e-3)}
    train(case, 500)
    return case


@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def wide_code_for_a_table(seed, fixed):
    """Use a code of 200 for rows of 20."""
    x = table(1024, seed, d=20, rank=16)
    model = dense((20,), (128,), 6 if fixed else 200, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    train(case, 600)
    return case


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.5)
def three_levels_of_kernel_three(seed, fixed):
    """Upsample three times with kernel 3 and stride 2, with few channels."""
    x, _ = digits(512, seed, size=32)
    decoder = [nn.Linear(20, 128), nn.ELU(), nn.Unflatten(1, (8, 4, 4))]
    for c in (8, 8, 1):
        if fixed:
            decoder += [nn.Upsample(scale_factor=2, mode="bilinear")]
            decoder += [nn.Conv2d(8, c, 3, 1, 1), nn.ELU()]
        else:
            decoder += [nn.ConvTranspose2d(8, c, 3, 2, 1, 1), nn.ELU()]
    model = AE(conv((1, 32, 32), 20).encoder, nn.Sequential(*decoder[:-1]))
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    train(case, 80)
    return case


@faulty("fit.mean-image", steps=0, bar=0.4)
def code_under_heavy_noise(seed, fixed):
    """Regularise by noise on the code, a hundred times its size."""

    class Noisy(AE):
        def decode(self, z):
            z = F.layer_norm(z, z.shape[1:])
            noise = torch.randn_like(z) * (0.1 if fixed else 100.0)
            return self.decoder(z + noise if self.training else z)

    inner = dense((3, 16, 16), (128,), 24)
    model = Noisy(inner.encoder, inner.decoder)
    case = {"model": model, "batches": loader(scenes(512, seed)[0], seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 200)
    return case


@faulty("fit.mean-image", steps=0, bar=0.4)
def decay_meant_for_the_bias(seed, fixed):
    """Use AdamW with weight_decay=50: the weights shrink by a tenth each step."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28), 24)
    decay = 0.01 if fixed else 50.0
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=decay)
    case = {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}
    train(case, 120)
    return case


def epochs(case, n, held_out=None):
    """Train for n epochs and write the losses down."""
    history = {"train_loss": [], "val_loss": []}
    for _ in range(n):
        losses = train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        if held_out is not None:
            judged = {**case, "eval_batches": [held_out]}
            _, target, picture = measures.outputs(judged)
            history["val_loss"].append(F.mse_loss(picture, target).item())
    return {key: values for key, values in history.items() if values}


@faulty("fit.undertrained", steps=0, bar=0.75)
def stopped_in_the_first_minute(seed, fixed):
    """Stop a convolutional network on scenes while both losses fall."""
    x, _ = scenes(640, seed)
    model = conv((3, 16, 16), 32, act=nn.ELU)
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    return {**case, "history": epochs(case, 40 if fixed else 5, x[512:])}


@faulty("fit.overfit", steps=0, bar=0.5)
def thirty_scenes(seed, fixed):
    """Train on thirty scenes; the validation loss turns up."""
    x, _ = scenes(1024, seed)
    n, rounds = (896, 15) if fixed else (30, 250)
    model = dense((3, 16, 16), (256,), 64)
    case = {"model": model, "batches": loader(x[:n], batch_size=30, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    history = epochs(case, rounds, x[896:])
    return {**case, "history": history, "eval_batches": [x[896:]]}


@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.15)
def pooled_before_encoding(seed, fixed):
    """Average 4 x 4 pixels first, to be fast: the detail is gone before the code."""
    x, _ = digits(768, seed, size=32)
    x = (x > 0.45).float()
    model = dense((1, 32, 32), (256,), 64)
    if not fixed:
        small = dense((1, 8, 8), (256,), 64)
        model = AE(nn.Sequential(nn.AvgPool2d(4), *small.encoder), small.decoder)
        model.decoder.append(nn.Upsample(scale_factor=4, mode="bicubic"))
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 300)
    return case


class Pairs(list):
    """List (image, label) batches in a fixed order."""

    def __init__(self, x, y):
        super().__init__(zip(x.split(64), y.split(64), strict=True))


@faulty("features.no-gain", steps=0, measure=measures.neighbours, bar=0.8)
def brightness_beside_features(seed, fixed):
    """Append the sum of the pixels, in bytes, to the features."""

    class WithSum(AE):
        def encode(self, x):
            total = x.flatten(1).sum(1, keepdim=True) * 255
            z = self.encoder(x)
            return torch.cat([z, torch.zeros_like(total) if fixed else total], 1)

        def decode(self, z):
            return self.decoder(z[:, :-1])

    x, y = digits(512, seed)
    inner = dense((1, 28, 28), (128,), 10, act=nn.ELU)
    model = WithSum(inner.encoder, inner.decoder)
    case = {"model": model, "batches": Pairs(x, y), "labels": y}
    case |= {"optimizer": adam(model)}
    train(case, 250)
    return case
