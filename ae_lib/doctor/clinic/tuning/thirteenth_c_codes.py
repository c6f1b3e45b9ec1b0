"""Ninth part, c: dead units, narrow codes, lost detail, collapse and idle penalties."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import (
    codes,
    detail,
    neighbours,
    quiet_units,
    train,
    used_units,
)
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, conv_vae, dense, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import (
    accounts,
    blobs,
    days,
    grain,
    made,
    schedule,
)


@faulty("signal.dead-units", accepts=("signal.common-mode",), steps=300, bar=0.35)
def bias_of_minus_two_to_make_the_code_sparse(seed, fixed):
    """Start the biases of the ReLU code at minus two, hoping for a sparse code."""
    x, y = digits(768, seed, size=12)
    encoder = nn.Sequential(
        nn.Flatten(), *stack((144, 96)), nn.Linear(96, 32), nn.ReLU()
    )
    decoder = nn.Sequential(*stack((32, 96)), nn.Linear(96, 144), nn.Sigmoid())
    model = AE(encoder, decoder.append(nn.Unflatten(1, (1, 12, 12))))
    nn.init.constant_(encoder[3].bias, 0.0 if fixed else -2.0)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.dead-units", steps=300, bar=0.55)
def rectifier_after_the_last_layer(seed, fixed):
    """End the decoder in a ReLU, since loads are never negative."""
    x, _ = days(896, seed)
    model = dense((48,), (96, 64), k=8, last=None if fixed else nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": loader(x[:768], batch_size=32, seed=seed)}
    return {**case, "eval_batches": [x[768:]], "optimizer": optimizer}


@faulty("code.too-small", steps=0, bar=0.7)
def two_numbers_for_six_habits(seed, fixed):
    """Compress accounts, which have about six causes, to two numbers for a plot."""
    x = accounts(1024, seed)
    model = dense((24,), (64,), k=8 if fixed else 2, act=nn.GELU, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 350)
    return case


@faulty("code.too-small", steps=300, bar=0.8)
def two_numbers_for_a_map_of_ellipses(seed, fixed):
    """Narrow the code of coloured ellipses to two numbers, to draw a map of them."""
    x = blobs(512, seed, size=12)
    model = conv((3, 12, 12), 24 if fixed else 2, act=nn.GELU)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


def _soft_end(sharp):
    last = [nn.Linear(64, 256), nn.Unflatten(1, (1, 16, 16))]
    soft = [nn.Linear(64, 16), nn.Unflatten(1, (1, 4, 4))]
    soft.append(nn.Upsample(scale_factor=4, mode="bilinear"))
    return last if sharp else soft


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def picture_enlarged_four_times_at_the_end(seed, fixed):
    """Decode to four by four pixels and enlarge the picture smoothly."""
    x = grain(768, seed, contrast=0.09)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 128)), nn.Linear(128, 16))
    model = AE(encoder, nn.Sequential(*stack((16, 64)), *_soft_end(fixed)))
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 450)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def weight_decay_washes_out_the_weave(seed, fixed):
    """Regularise with an L2 weight decay that costs more than the weave is worth."""
    x = grain(768, seed, contrast=0.09)
    model = dense((1, 16, 16), (128,), k=16, last=None)
    decay = 0.0 if fixed else 1e-3
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=decay)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    train(case, 450)
    return case


@faulty(
    "vae.collapse", accepts=("loss.scale",), steps=300, measure=used_units, bar=0.25
)
def error_averaged_and_divergence_summed(seed, fixed):
    """Average the squared error over pixels too, but sum the divergence over units."""
    x = blobs(640, seed, size=12)
    model = conv_vae((3, 12, 12), k=8)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum" if fixed else "mean")
        error = error * 5 / len(target) if fixed else error
        kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), 1).mean()
        return error + kl

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("vae.collapse", steps=0, measure=used_units, bar=0.35)
def warm_up_that_never_stops(seed, fixed):
    """Raise the weight of the divergence after every batch, without an end."""
    x = accounts(896, seed, d=20, rank=5)
    encoder = nn.Sequential(*stack((20, 64), nn.SiLU))
    decoder = nn.Sequential(*stack((6, 64), nn.SiLU), nn.Linear(64, 20))
    model = VAE(encoder, decoder, 64, 6)
    optimizer = adam(model, 3e-3)
    seen = [0]

    def loss(output, target):
        recon, mu, logvar = output
        beta = 0.1 * seen[0]
        beta = min(beta, 1.0) if fixed else beta
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
        return ((recon - target).square().sum(1) + beta * kl).mean()

    def step(model, batch):
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen[0] += 1
        return value.item()

    schedule(model, x, 25, step, seed)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "step": step, "optimizer": optimizer}


class Sparse(nn.Module):
    """Return the reconstruction and the code of a wide layer."""

    def __init__(self, d=144, k=96, act=torch.sigmoid):
        super().__init__()
        self.enc, self.dec, self.act = nn.Linear(d, k), nn.Linear(k, d), act

    def encode(self, x):
        return self.act(self.enc(x.flatten(1)))

    def forward(self, x):
        h = self.encode(x)
        return torch.sigmoid(self.dec(h)).view_as(x), h


def calm(case):
    """Return one minus the mean activation of the code, which is in [0, 1]."""
    return 1 - codes(case).mean().item()


def _divergence(rho, mean):
    mean = mean.clamp(1e-4, 1 - 1e-4)
    return rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()


@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=400,
    measure=calm,
    bar=0.75,
)
def active_units_counted_for_the_divergence(seed, fixed):
    """Count how often a unit exceeds a half, and put the share into the penalty."""
    x, _ = digits(768, seed, size=12)
    model = Sparse()

    def loss(output, target):
        recon, h = output
        mean = h.mean(0) if fixed else (h > 0.5).float().mean(0)
        error = (recon - target).square().flatten(1).sum(1).mean()
        return error + 0.5 * _divergence(0.05, mean).sum()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


@faulty(
    "sparse.inert",
    accepts=("loss.scale",),
    steps=400,
    measure=quiet_units,
    bar=0.75,
)
def absolute_code_averaged_beside_a_summed_error(seed, fixed):
    """Weigh the mean absolute code by a thousandth beside an error that is a sum."""
    x, y = digits(768, seed, size=12)
    model = Sparse(act=F.relu)

    def loss(output, target):
        recon, h = output
        penalty = 0.1 * h.abs().sum() if fixed else 1e-3 * h.abs().mean()
        return F.mse_loss(recon, target, reduction="sum") + penalty

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Tagged(nn.Module):
    """Append the mean grey value of the image to its code."""

    def __init__(self, unit, k=12):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), *stack((144, 96)), nn.Linear(96, k))
        self.back = nn.Sequential(*stack((k, 96)), nn.Linear(96, 144), nn.Sigmoid())
        self.unit = unit

    def encode(self, x):
        grey = self.unit * x.flatten(1).mean(1, keepdim=True)
        return torch.cat([self.net(x), grey], 1)

    def forward(self, x):
        z = self.encode(x)
        return {"recon": self.back(z[:, :-1]).view_as(x), "code": z}


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.77)
def grey_value_of_255_appended_to_the_code(seed, fixed):
    """Append the mean grey value, from 0 to 255, to the code that neighbours use."""
    x, y = digits(768, seed, size=12)
    x = x * (0.5 + 0.5 * torch.rand(768, 1, 1, 1, generator=made(seed + 3)))
    model = Tagged(unit=1.0 if fixed else 255.0)
    case = {"model": model, "batches": loader(x, y, shuffle=False)}
    case |= {"optimizer": adam(model, 3e-3), "labels": y}
    train(case, 300)
    return case


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.75)
def lighting_left_in_before_the_features(seed, fixed):
    """Learn features of digits under lamps whose light says nothing about them."""
    g = made(seed + 4)
    x, y = digits(768, seed, size=12)
    side = torch.linspace(-1, 1, 12)
    a, b, c = (torch.randn(3, 768, 1, 1, 1, generator=g)).unbind(0)
    light = a + b * side + c * side[:, None]
    x = 0.4 * x + (0 if fixed else 0.8 * light)
    x = (x - x.mean()) / x.std()
    model = dense((1, 12, 12), (96,), k=6, last=None)
    case = {"model": model, "batches": loader(x, y, shuffle=False)}
    case |= {"optimizer": adam(model, 3e-3), "labels": y}
    train(case, 350)
    return case
