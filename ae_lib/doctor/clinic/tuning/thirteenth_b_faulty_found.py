"""Ninth part, b: grids, over-long training and penalties that are not Jacobians."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import no_grid, train, true_penalty
from ae_lib.doctor.clinic.parts import AE, adam, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    Corrupted,
    clouds,
    fit,
    made,
    stations,
    terrain,
)


def resized(a, b, scale=2):
    """Return a resizing and a convolution after it."""
    return nn.Sequential(nn.Upsample(scale_factor=scale), nn.Conv2d(a, b, 3, 1, 1))


@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=-0.1)
def kernel_of_three_at_a_stride_of_two(seed, fixed):
    """Go up twice with transposed convolutions whose kernel the stride does not divide.

    The author sees a fine grid in smooth clouds.
    """
    x = clouds(512, seed)

    def up(a, b):
        odd = nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1)
        return resized(a, b) if fixed else odd

    encoder = nn.Sequential(
        nn.Conv2d(3, 12, 4, 2, 1), nn.ReLU(), nn.Conv2d(12, 12, 4, 2, 1), nn.ReLU()
    )
    decoder = nn.Sequential(up(12, 12), nn.ReLU(), up(12, 3), nn.Sigmoid())
    model = AE(encoder, decoder)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    train(case, 60)
    return case


@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=-0.4)
def last_layer_with_a_kernel_of_five_over_four(seed, fixed):
    """End a decoder of height maps with one uneven transposed convolution."""
    x = terrain(640, seed, size=12)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 96), nn.GELU())
    encoder.append(nn.Linear(96, 12))
    wide = nn.Sequential(nn.Linear(12, 72), nn.GELU(), nn.Unflatten(1, (8, 3, 3)))
    odd = nn.ConvTranspose2d(8, 1, 5, 4, 1, output_padding=1)
    model = AE(encoder, nn.Sequential(wide, resized(8, 1, 4) if fixed else odd))
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}
    train(case, 50)
    return case


@faulty("fit.overfit", steps=0, bar=0.4)
def noise_drawn_once_for_a_few_digits(seed, fixed):
    """Write seventy noisy digits to disk once and train on those for many epochs."""
    (x, _), g = digits(270, seed, size=8), made(seed + 6)

    def noisy(clean):
        return clean + 0.4 * torch.randn(clean.shape, generator=g)

    clean, val = x[:70], (noisy(x[70:]), x[70:])
    once = loader(noisy(clean), clean, batch_size=14, seed=seed)
    fresh = Corrupted(loader(clean, batch_size=14, seed=seed), noisy)
    model = dense((1, 8, 8), (256,), 32)
    case = {"model": model, "batches": fresh if fixed else once}
    case |= {"optimizer": adam(model, 3e-3), "loss": nn.BCELoss()}
    history = fit(case, 150, val)
    return {**case, "eval_batches": [val], "history": history}


@faulty("fit.overfit", steps=0, bar=0.7)
def forty_digits_shown_for_ever(seed, fixed):
    """Fit forty digits only, though a thousand were at hand, far past the turn."""
    x, _ = digits(1200, seed, size=8)
    few = 1000 if fixed else 40
    rows, val = x[:few], x[1000:]
    model = dense((1, 8, 8), (192,), 24)
    case = {"model": model, "batches": loader(rows, batch_size=20, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3), "loss": nn.BCELoss()}
    history = fit(case, 8 if fixed else 150, val)
    return {**case, "eval_batches": [val], "history": history}


class Coding(nn.Module):
    """Return the code and the input too, for a penalty on them."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        h = self.encode(x)
        return {"x_hat": self.decoder(h), "code": h, "x": x}


@faulty("contractive.wrong", steps=100, measure=true_penalty, bar=0.9)
def slope_of_a_sigmoid_for_a_code_of_tanh(seed, fixed):
    """Change the code to tanh and keep the factor h (1 - h) in the penalty."""
    x = stations(768, seed)
    linear = nn.Linear(24, 32)
    model = Coding(nn.Sequential(linear, nn.Tanh()), nn.Linear(32, 24))

    def loss(out, target):
        h = out["code"]
        slope = 1 - h**2 if fixed else h * (1 - h)
        penalty = (slope**2 @ linear.weight.square().sum(1)).mean()
        return F.mse_loss(out["x_hat"], target) + 1e-3 * penalty

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


@faulty("contractive.wrong", steps=60, measure=true_penalty, bar=0.9)
def formula_of_one_layer_for_an_encoder_of_two(seed, fixed):
    """Deepen the encoder and keep the closed formula, with the last layer's weights."""
    x, kind = digits(768, seed, size=8)
    first, second = nn.Linear(64, 48), nn.Linear(48, 16)
    encoder = nn.Sequential(nn.Flatten(), first, nn.Sigmoid(), second, nn.Sigmoid())
    nn.init.xavier_normal_(first.weight, 6.0)
    decoder = nn.Sequential(nn.Linear(16, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    model = Coding(encoder, decoder)

    def loss(out, target):
        h = out["code"]
        slope = h * (1 - h)
        if fixed:
            inner = torch.sigmoid(first(out["x"].flatten(1)))
            inner = inner * (1 - inner)
            through = torch.einsum("jk,nk,ki->nji", second.weight, inner, first.weight)
            rows = through.square().sum(2)
        else:
            rows = second.weight.square().sum(1).expand_as(h)
        penalty = (slope**2 * rows).sum(1).mean()
        return F.mse_loss(out["x_hat"], target) + 1e-3 * penalty

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
