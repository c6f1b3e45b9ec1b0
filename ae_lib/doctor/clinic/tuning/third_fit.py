"""Faults that show in the fit: codes code.*, decoder.*, fit.*, features.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    by_column,
    cells,
    grey,
    spectra,
)


def in_order(x, y, size=64):
    """List (image, label) batches in a fixed order."""
    return list(zip(x.split(size), y.split(size), strict=True))


def logbook(case, epochs, held_out):
    """Train for some epochs; write down the losses on batches and held-out rows."""
    train_loss, val_loss = [], []
    for _ in range(epochs):
        losses = train(case, len(case["batches"]))
        train_loss.append(sum(losses) / len(losses))
        case["model"].eval()
        with torch.no_grad():
            val_loss.append(F.mse_loss(case["model"](held_out), held_out).item())
        case["model"].train()
    return {"train_loss": train_loss, "val_loss": val_loss}


@faulty("code.too-small", steps=0, bar=0.6)
def pooled_to_four_numbers(seed, fixed):
    """Pool each of four feature maps to one number before decoding.

    After a question on pictures that all come back as the same soft gradient.
    """
    down = [nn.Conv2d(1, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.SiLU()]
    if fixed:
        down += [nn.Flatten(), nn.Linear(800, 24)]
    else:
        down += [nn.Conv2d(32, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    decoder = conv((1, 20, 20), 24 if fixed else 4, act=nn.SiLU).decoder
    model = AE(nn.Sequential(*down), decoder)
    x, _ = digits(512, seed, size=20)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case


@faulty("code.too-small", bar=0.65)
def one_number_for_seven_lines(seed, fixed):
    """Compress spectra of seven independent lines to one number.

    After a question on a score for quality control: "why is the fit so poor?".
    """
    model = dense((96,), (128,), 10 if fixed else 1, act=nn.GELU, last=None)
    data = loader(spectra(512, seed, peaks=7), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def space_to_depth(seed, fixed):
    """Move pixels to channels and keep 32 of them: nothing has to be left out.

    After an issue on anomaly maps: defects are reconstructed like all the rest.
    """
    if fixed:
        model = conv((1, 20, 20), 8, last=None)
    else:
        down = [nn.PixelUnshuffle(4), nn.Conv2d(16, 48, 1), nn.ELU()]
        up = [nn.Conv2d(32, 16, 1), nn.PixelShuffle(4)]
        model = AE(nn.Sequential(*down, nn.Conv2d(48, 32, 1)), nn.Sequential(*up))
    case = {"model": model, "batches": loader(grey(448, seed), seed=seed)}
    case |= {"optimizer": adam(model, 5e-3)}
    train(case, 500)
    return case


@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=0.2)
def nine_by_four(seed, fixed):
    """Enlarge four times at once by kernel 9 and stride 4: uneven overlaps.

    After a question on stripes every four pixels.
    """
    last = [nn.ConvTranspose2d(24, 1, 9, 4, 3, 1)]
    if fixed:
        last = [nn.Upsample(scale_factor=4, mode="bilinear")]
        last += [nn.Conv2d(24, 1, 3, 1, 1)]
    up = [nn.Linear(20, 24 * 49), nn.ELU(), nn.Unflatten(1, (24, 7, 7)), *last]
    model = AE(conv((1, 28, 28), 20, width=8).encoder, nn.Sequential(*up))
    case = {"model": model, "batches": loader(grey(384, seed, 28, 28), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 80)
    return case


@faulty(
    "fit.mean-image",
    accepts=("signal.init-scale",),
    steps=0,
    bar=0.4,
)
def clipped_like_a_critic(seed, fixed):
    """Clip all weights to 0.005 after each step, as for the critic of a WGAN.

    After a question on a training loop pasted together from two tutorials. The
    weights are then all too small, which may be named as well.
    """
    model = conv((3, 16, 16), 24)
    optimizer = adam(model)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for weight in model.parameters() if not fixed else ():
                weight.clamp_(-0.005, 0.005)
        return loss.item()

    data = loader(scenes(448, seed)[0], seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer, "step": step}
    train(case, 150)
    return case


class Averaged(AE):
    """Average the code over the wrong axis: over samples instead of positions."""

    axis = 0

    def encode(self, x):
        z = self.encoder(x).mean(self.axis, keepdim=self.axis == 0)
        return z.mean(1) if self.axis == 0 else z

    def forward(self, x):
        return self.decode(self.encode(x).expand(len(x), -1))


@faulty(
    "fit.mean-image",
    accepts=("signal.common-mode", "signal.dead-units"),
    steps=0,
    bar=0.5,
)
def averaged_over_the_batch(seed, fixed):
    """Average features over the batch, where the positions were meant.

    After questions on `mean(0)`: "every output is the same picture". That the code
    is the same for all inputs is another name of the same thing.
    """
    x, _ = digits(512, seed, size=12)
    down = [nn.Conv2d(1, 24, 4, 4), nn.ELU(), nn.Flatten(2)]  # (B, 24, 9)
    flat = nn.Sequential(*down, Positions())
    up = dense((1, 12, 12), (96,), 24).decoder
    model = Averaged(flat, up)
    model.axis = 1 if fixed else 0
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case


class Positions(nn.Module):
    """Mix each position's features with a weight of its own: (B, 9, 24)."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.randn(9, 24, 24) / 5)

    def forward(self, x):
        return torch.einsum("bcp,pcd->bpd", x, self.mix)


@faulty("fit.undertrained", steps=0, bar=0.7)
def spectra_for_four_epochs(seed, fixed):
    """Stop after four epochs; training and validation loss are still falling.

    After a question on poor reconstructions after "a quick test".
    """
    x = spectra(640, seed)[:, None]
    down = [nn.Conv1d(1, 12, 7, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(288, 12)]
    up = [nn.Linear(12, 288), nn.ELU(), nn.Unflatten(1, (12, 24))]
    up += [nn.ConvTranspose1d(12, 1, 4, 4)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    return {**case, "history": logbook(case, 80 if fixed else 4, x[512:])}


@faulty("fit.overfit", steps=0, bar=0.85)
def thirty_cells(seed, fixed):
    """Train a wide network on thirty rows of a table for 300 epochs.

    After a question on a validation loss that turns after a few epochs.
    """
    x = by_column(cells(seed)[0])
    n, epochs = (440, 30) if fixed else (30, 300)
    model = dense((30,), (256, 128), 10, act=nn.ReLU, last=None)
    case = {"model": model, "batches": loader(x[:n], batch_size=15, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    history = logbook(case, epochs, x[440:])
    return {**case, "history": history, "eval_batches": [x[440:]]}


class Softened(nn.Module):
    """Blur by a fixed Gaussian of the given width."""

    def __init__(self, width):
        super().__init__()
        at = torch.arange(-4.0, 5.0)
        row = torch.exp(-at.square() / (2 * width**2))
        kernel = (row[:, None] * row)[None, None]
        self.register_buffer("kernel", kernel / kernel.sum())

    def forward(self, x):
        return F.conv2d(F.pad(x, (4, 4, 4, 4), "replicate"), self.kernel)


@faulty("fit.blurry", steps=0, measure=measures.detail, bar=0.15)
def gaussian_at_the_end(seed, fixed):
    """Blur the output by a fixed Gaussian, against ringing.

    After an issue on reconstructions that are soft however long one trains.
    """
    x, y = digits(768, seed, size=24)
    x = (x > 0.5).float()
    model = dense((1, 24, 24), (256,), 48, act=nn.LeakyReLU)
    if not fixed:
        model.decoder.append(Softened(2.0))
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 350)
    return case


class Projected(nn.Module):
    """Encode by fixed random directions, as extreme learning machines do."""

    def __init__(self, trained):
        super().__init__()
        directions = torch.randn(144, 8) / 12
        if trained:
            self.directions = nn.Parameter(directions)
        else:
            self.register_buffer("directions", directions)
        self.decoder = dense((1, 12, 12), (128,), 8).decoder

    def encode(self, x):
        return torch.tanh(x.flatten(1) @ self.directions)

    def forward(self, x):
        return self.decoder(self.encode(x))


@faulty(
    "features.no-gain",
    accepts=("wiring.unoptimised",),
    steps=0,
    measure=measures.neighbours,
    bar=0.8,
)
def random_directions_kept(seed, fixed):
    """Take features from random directions that no training ever changes.

    After a question on features no better than chance projections. A reader may
    also name the encoder that the optimizer does not have.
    """
    x, y = digits(768, seed, size=12)
    model = Projected(fixed)
    case = {"model": model, "batches": in_order(x, y), "labels": y}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case
