"""Healthy programs that look suspicious: unusual models."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    grey,
    sensors,
    spectra,
)


class TiedMaps(nn.Module):
    """Decode by the transposed convolutions of the encoder, with own biases."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 16, 4, 2, 1)
        self.two = nn.Conv2d(16, 8, 4, 2, 1)
        self.back = nn.Parameter(torch.zeros(16))
        self.last = nn.Parameter(torch.zeros(1))

    def encode(self, x):
        return self.two(F.elu(self.one(x)))

    def forward(self, x):
        h = F.conv_transpose2d(self.encode(x), self.two.weight, self.back, 2, 1)
        return F.conv_transpose2d(F.elu(h), self.one.weight, self.last, 2, 1)


@healthy(steps=200)
def tied_convolutions(seed):
    """Use each kernel twice, forwards in the encoder and backwards in the decoder."""
    model = TiedMaps()
    data = loader(grey(448, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Slow(nn.Module):
    """Carry a slow copy of the encoder for a later task; forward does not use it."""

    def __init__(self):
        super().__init__()
        inner = dense((96,), (64,), 12, act=nn.SiLU, last=None)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.slow = dense((96,), (64,), 12, act=nn.SiLU).encoder.requires_grad_(False)
        self.slow.load_state_dict(self.encoder.state_dict())

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encode(x))

    @torch.no_grad()
    def follow(self):
        """Move the slow copy towards the encoder."""
        pairs = zip(self.slow.parameters(), self.encoder.parameters(), strict=True)
        for old, new in pairs:
            old.lerp_(new, 0.01)


@healthy()
def slow_copy_inside(seed):
    """Keep a momentum encoder in the model, frozen and moved by hand in the step."""
    model = Slow()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, 3e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        model.follow()
        return loss.item()

    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


class KeptStill(AE):
    """Leave batch norm in eval mode while the rest trains."""

    def train(self, mode=True):
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self


@healthy(steps=80)
def frozen_batch_norm(seed):
    """Fine-tune a trained network whose batch norm is kept still, as in detection."""
    inner = conv((3, 16, 16), 32, norm=True)
    first = {"model": inner, "batches": loader(scenes(384, seed)[0], seed=seed)}
    train({**first, "optimizer": adam(inner, 3e-3)}, 100)
    model = KeptStill(inner.encoder, inner.decoder)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.requires_grad_(False)
    moving = [p for p in model.parameters() if p.requires_grad]
    data = loader(patches(384, seed), batch_size=32, seed=seed)
    optimizer = torch.optim.Adam(moving, 2e-3)
    return {"model": model, "batches": data, "optimizer": optimizer}


class Quantised(nn.Module):
    """Replace each of ten parts of the code by the nearest of 48 vectors."""

    def __init__(self):
        super().__init__()
        inner = conv((1, 20, 20), 40, act=nn.ELU)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.book = nn.Parameter(torch.randn(48, 4) / 4)

    def forward(self, x):
        z = self.encoder(x).unflatten(1, (10, 4))
        found = self.book[torch.cdist(z, self.book).argmin(-1)]
        pull = F.mse_loss(found, z.detach()) + 0.25 * F.mse_loss(z, found.detach())
        code = z + (found - z).detach()
        return {"recon": self.decoder(code.flatten(1)), "pull": pull}


@healthy(steps=300)
def vector_quantised(seed):
    """Quantise the code by a learned codebook with a straight-through gradient."""
    model = Quantised()

    def loss(output, target):
        return F.mse_loss(output["recon"], target) + output["pull"]

    data = loader(grey(448, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Levels(AE):
    """Round a bounded code to eleven levels, with a straight-through gradient."""

    def encode(self, x):
        z = 5 * torch.tanh(self.encoder(x))
        return (z + (z.round() - z).detach()) / 5


@healthy(steps=200)
def eleven_levels(seed):
    """Round the code, but let the gradient through."""
    inner = dense((96,), (96,), 10, act=nn.ELU, last=None)
    model = Levels(inner.encoder, inner.decoder)
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class SignalUNet(nn.Module):
    """Clean a signal, with a skip at full length, as denoisers have."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(1, 12, 5, 1, 2), nn.ELU())
        self.down = nn.Sequential(nn.Conv1d(12, 24, 4, 2, 1), nn.ELU())
        self.deep = nn.Sequential(nn.Conv1d(24, 24, 4, 2, 1), nn.ELU())
        self.up = nn.Sequential(nn.ConvTranspose1d(24, 24, 4, 2, 1), nn.ELU())
        self.top = nn.Sequential(nn.ConvTranspose1d(24, 12, 4, 2, 1), nn.ELU())
        self.last = nn.Conv1d(24, 1, 5, 1, 2)

    def forward(self, x):
        a = self.first(x)
        b = self.down(a)
        b = b + self.up(self.deep(b))
        return self.last(torch.cat([a, self.top(b)], 1))


@healthy(steps=0)
def signal_unet(seed):
    """Remove noise from beats by a U-Net, trained; its skips are what it is for."""
    model, x = SignalUNet(), beats(448, seed)[:, None]

    def pair(batch):
        return batch + 0.2 * torch.randn_like(batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 150)
    return case


class Block(nn.Module):
    """Add a branch whose strength begins at zero."""

    def __init__(self, width):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, 64), nn.SiLU())
        self.branch.append(nn.Linear(64, width))
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.strength * self.branch(x)


@healthy()
def branches_begin_at_zero(seed):
    """Begin residual branches at zero: their weights have no gradient at first."""
    x = by_column(cells(seed)[0])
    down = [nn.Linear(30, 40), Block(40), Block(40), nn.Linear(40, 8)]
    up = [nn.Linear(8, 40), Block(40), Block(40), nn.Linear(40, 30)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up))
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy()
def groups_in_tiny_batches(seed):
    """Normalise groups of channels, so that batches of four images will do."""
    down = [nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU()]
    down += [nn.Conv2d(16, 32, 3, 2, 1), nn.GroupNorm(8, 32), nn.SiLU()]
    down += [nn.Flatten(), nn.Linear(512, 32)]
    model = conv((3, 16, 16), 32, act=nn.SiLU)
    model.encoder = nn.Sequential(*down)
    data = loader(patches(320, seed), batch_size=4, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 2e-3)}


class Recurrent(nn.Module):
    """Encode a sequence by its last state and write it from a clock."""

    def __init__(self, channels):
        super().__init__()
        self.reader = nn.GRU(channels, 32, batch_first=True)
        self.code, self.first = nn.Linear(32, 10), nn.Linear(10, 32)
        self.writer = nn.GRU(2, 32, batch_first=True)
        self.out = nn.Linear(32, channels)

    def encode(self, x):
        return self.code(self.reader(x)[1][-1])

    def forward(self, x):
        time = torch.linspace(0, 6.28, x.shape[1])
        clock = torch.stack([time.sin(), time.cos()], 1).expand(len(x), -1, -1)
        return self.out(self.writer(clock, self.first(self.encode(x))[None])[0])


@healthy(steps=600)
def sequences_by_gru(seed):
    """Compress recordings (N, time, sensors) by recurrent networks, without scaling."""
    model = Recurrent(4)
    data = loader(sensors(320, seed, 16, 4), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


@healthy(steps=250)
def half_of_the_units_dropped(seed):
    """Drop half of the hidden units in encoder and decoder while training."""
    x, _ = digits(640, seed, size=12)
    model = dense((1, 12, 12), (384,), 32, act=nn.ReLU)
    model.encoder.insert(3, nn.Dropout(0.5))
    model.decoder.insert(2, nn.Dropout(0.5))
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Contracted(AE):
    """Return reconstruction, code and the input that gradients may be taken of."""

    def forward(self, x):
        x = x.detach().requires_grad_()
        h = self.encode(x)
        return {"x_hat": self.decode(h), "h": h, "x": x}


@healthy()
def exact_jacobian_of_two_layers(seed):
    """Penalise the true Jacobian of a deep encoder, row by row."""
    x = by_column(cells(seed)[0])
    encoder = nn.Sequential(*stack((30, 32, 6), nn.Tanh))
    model = Contracted(encoder, nn.Sequential(*stack((6, 32)), nn.Linear(32, 30)))

    def loss(output, target):
        rows = [
            torch.autograd.grad(unit, output["x"], create_graph=True)[0]
            for unit in output["h"].sum(0)
        ]
        penalty = torch.stack(rows).square().sum((0, 2)).mean()
        return F.mse_loss(output["x_hat"], target) + 0.01 * penalty

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 5e-3)}


@healthy()
def tiny_pictures(seed):
    """Compress pictures of 8 x 8 pixels by two convolutions."""
    x, y = digits(900, seed, size=8)
    model = conv((1, 8, 8), 12, act=nn.GELU)
    data = loader(x, y, batch_size=48, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=200)
def smooth_pictures_smooth_decoder(seed):
    """Enlarge bilinearly for pictures that have no fine detail."""
    up = [nn.Linear(10, 256), nn.ELU(), nn.Unflatten(1, (16, 4, 4))]
    up += [nn.Upsample(scale_factor=5, mode="bilinear"), nn.Conv2d(16, 12, 3, 1, 1)]
    up += [nn.ELU(), nn.Conv2d(12, 1, 3, 1, 1)]
    model = AE(conv((1, 20, 20), 10, act=nn.ELU).encoder, nn.Sequential(*up))
    data = loader(blobs(384, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}
