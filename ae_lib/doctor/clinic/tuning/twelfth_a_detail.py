"""Eighth part, a: grids, blur, codes that are silenced, and wrong Jacobians."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import detail, no_grid, train, true_penalty
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_a_material import (
    cloth,
    dial,
    features,
    hills,
    machine,
    strokes,
)


def _down(c, width, code, size):
    """Return an encoder with two strides and a dense code."""
    return nn.Sequential(
        nn.Conv2d(c, width, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(width, width, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * (size // 4) ** 2, code),
    )


def _local(c, width, code):
    """Return an encoder to a map of `code` channels, one cell for 4 x 4 pixels."""
    return nn.Sequential(
        nn.Conv2d(c, width, 4, 4),
        nn.BatchNorm2d(width),
        nn.GELU(),
        nn.Conv2d(width, code, 1),
    )


def _up(smooth, a, b, kernel=3):
    """Return a layer that doubles the size."""
    if smooth:
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1))
    return nn.ConvTranspose2d(a, b, kernel, 2, kernel // 2, output_padding=1)


@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=-0.6)
def kernel_of_three_with_stride_two_upwards(seed, fixed):
    """Mirror the strided 3 x 3 convolutions of the encoder in the decoder."""
    x = hills(640, seed, size=24, peaks=2, c=3)
    decoder = nn.Sequential(
        nn.Linear(24, 16 * 36),
        nn.ReLU(),
        nn.Unflatten(1, (16, 6, 6)),
        _up(fixed, 16, 16),
        nn.ReLU(),
        _up(fixed, 16, 3),
        nn.Sigmoid(),
    )
    model = AE(_down(3, 16, 24, 24), decoder)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 90)
    return case


@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=-0.1)
def kernel_of_five_with_stride_four_at_the_end(seed, fixed):
    """Leave the last enlargement to one transposed convolution, kernel 5, stride 4."""
    x = hills(640, seed, size=24, peaks=3)
    last = (
        nn.Sequential(nn.Upsample(scale_factor=4), nn.Conv2d(16, 1, 5, 1, 2))
        if fixed
        else nn.ConvTranspose2d(16, 1, 5, 4, 1, output_padding=1)
    )
    decoder = nn.Sequential(
        nn.Linear(16, 16 * 36),
        nn.SiLU(),
        nn.Unflatten(1, (16, 6, 6)),
        nn.Conv2d(16, 16, 3, 1, 1),
        nn.SiLU(),
        last,
    )
    model = AE(_down(1, 12, 16, 24), decoder)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model), "loss": nn.SmoothL1Loss(beta=0.5)}
    train(case, 120)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def picture_enlarged_from_a_quarter(seed, fixed):
    """Decode weaves at a quarter of the size and enlarge the result bilinearly."""
    x = cloth(768, seed, fine=0.1) - 0.5
    grid = nn.Conv2d(48, 16 if fixed else 1, 1)
    up = nn.PixelShuffle(4) if fixed else nn.Upsample(scale_factor=4, mode="bilinear")
    decoder = nn.Sequential(nn.Conv2d(12, 48, 1), nn.GELU(), grid, up)
    model = AE(_local(1, 32, 12), decoder)
    case = {"model": model, "batches": loader(x[:640], batch_size=32, seed=seed)}
    case |= {"eval_batches": [x[640:]], "optimizer": adam(model, 6e-3)}
    train(case, 180)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def box_filter_left_at_the_end(seed, fixed):
    """Smooth the output twice by a 5 x 5 mean, once meant against a checkerboard."""
    x = cloth(768, seed, fine=0.1) - 0.5
    decoder = nn.Sequential(
        nn.Conv2d(12, 48, 1),
        nn.GELU(),
        nn.Conv2d(48, 16, 1),
        nn.PixelShuffle(4),
    )
    if not fixed:
        soft = nn.AvgPool2d(5, 1, 2, count_include_pad=False)
        decoder.extend([soft, soft])
    model = AE(_local(1, 32, 12), decoder)
    case = {"model": model, "batches": loader(x[:640], batch_size=32, seed=seed)}
    case |= {"eval_batches": [x[640:]], "optimizer": adam(model, 6e-3)}
    train(case, 180)
    return case


class Dictionary(nn.Module):
    """Explain activations by a few of many directions: a sparse autoencoder."""

    def __init__(self, d=32, k=128):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(d))
        self.encoder, self.decoder = nn.Linear(d, k), nn.Linear(k, d, bias=False)
        nn.init.orthogonal_(self.decoder.weight)
        with torch.no_grad():
            self.decoder.weight.div_(self.decoder.weight.norm(dim=0))
            self.encoder.weight.copy_(self.decoder.weight.t())

    def encode(self, x):
        return F.relu(self.encoder(x - self.centre))

    def forward(self, x):
        z = self.encode(x)
        return self.decoder(z) + self.centre, z


@faulty("sparse.too-strong", steps=300, bar=0.4)
def dictionary_with_a_coefficient_of_five(seed, fixed):
    """Weigh the L1 norm of a dictionary code five times as much as the error."""
    x = features(1500, seed)
    model = Dictionary()
    weight = 0.1 if fixed else 5.0

    def loss(output, target):
        x_hat, z = output
        error = (x_hat - target).square().sum(1)
        return (error + weight * z.abs().sum(1)).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Rested(nn.Module):
    """Encode signs with sigmoid units that shall rest most of the time."""

    def __init__(self, d=144, k=64):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(d, k), nn.Sigmoid())
        self.decoder = nn.Sequential(nn.Linear(k, d), nn.Unflatten(1, (1, 12, 12)))

    def forward(self, x):
        z = self.encoder(x)
        return {"x_hat": self.decoder(z), "z": z}


@faulty("sparse.too-strong", accepts=("loss.scale",), steps=400, bar=0.3)
def beta_of_three_from_a_course(seed, fixed):
    """Take beta = 3 for the rest of 64 units from a course, with the error averaged."""
    x, kind = strokes(1024, seed, size=12)
    model, rho = Rested(), 0.05
    beta = 3e-4 if fixed else 3.0

    def loss(out, target):
        mean = out["z"].mean(0).clamp(1e-6, 1 - 1e-6)
        rest = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return F.mse_loss(out["x_hat"], target) + beta * rest.sum()

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 5e-3),
    }


class Contracted(nn.Module):
    """Return the code and the input beside the reconstruction, for a penalty."""

    def __init__(self, d, hidden, k, act):
        super().__init__()
        layers = [nn.Linear(d, hidden), act()] if hidden else []
        self.encoder = nn.Sequential(*layers, nn.Linear(hidden or d, k), act())
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, d))

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        x = x.detach().requires_grad_()
        z = self.encode(x)
        return self.decoder(z), z, x


@faulty("contractive.wrong", steps=0, measure=true_penalty, bar=0.95)
def gradient_of_the_sum_of_the_code(seed, fixed):
    """Differentiate the sum of the code and take its norm for the Jacobian's."""
    x = dial(896, seed)
    model = Contracted(40, 64, 8, nn.Softplus)

    def slope(z, x):
        return torch.autograd.grad(z.sum(), x, create_graph=True)[0].square().sum(1)

    def loss(output, target):
        x_hat, z, x = output
        parts = z.unbind(1) if fixed else [z]
        penalty = sum(slope(part, x) for part in parts).mean()
        return F.mse_loss(x_hat, target) + 1e-2 * penalty

    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model)}
    train(case, 60)
    return case


@faulty("contractive.wrong", steps=0, measure=true_penalty, bar=0.95)
def derivative_of_a_sigmoid_for_tanh_units(seed, fixed):
    """Keep h (1 - h) of a recipe for sigmoid units when the units are tanh."""
    x = machine(896, seed)
    model = Contracted(24, 0, 10, nn.Tanh)

    def loss(output, target):
        x_hat, h, _ = output
        bend = 1 - h.square() if fixed else h * (1 - h)
        size = model.encoder[0].weight.square().sum(1)
        penalty = (bend.square() * size).sum(1).mean()
        return F.mse_loss(x_hat, target) + 1e-3 * penalty

    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model)}
    train(case, 60)
    return case
