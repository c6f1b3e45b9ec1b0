"""Tenth bank, b: healthy programs whose wiring or penalty looks suspicious."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, waves
from ae_lib.doctor.clinic.measures import neighbours, train
from ae_lib.doctor.clinic.parts import VAE, adam, dense, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.tenth_b_kit import heartbeats, made, tones, weather
from ae_lib.doctor.clinic.tuning.tenth_b_nets import Contractive


class Tokens(nn.Module):
    """Cut an image of 8 x 8 pixels into four tokens and attend over them."""

    def __init__(self, dim=32, k=12):
        super().__init__()
        angle = torch.arange(4)[:, None] / 100 ** (torch.arange(0, dim, 2) / dim)
        places = torch.cat([angle.sin(), angle.cos()], 1)
        self.places = nn.Parameter(places, requires_grad=False)
        self.embed = nn.Linear(16, dim)
        self.mix = nn.TransformerEncoderLayer(dim, 4, 64, 0.0, batch_first=True)
        self.code = nn.Linear(4 * dim, k)
        self.expand = nn.Linear(k, 4 * dim)
        self.unmix = nn.TransformerEncoderLayer(dim, 4, 64, 0.0, batch_first=True)
        self.paint = nn.Linear(dim, 16)

    def forward(self, x):
        cut = F.unfold(x, 4, stride=4).transpose(1, 2)  # (B, 4, 16)
        z = self.code(self.mix(self.embed(cut) + self.places).flatten(1))
        h = self.unmix(self.expand(z).unflatten(1, (4, -1)) + self.places)
        return F.fold(self.paint(h).transpose(1, 2), (8, 8), 4, stride=4)


@healthy(steps=250, bar=0.4)
def fixed_places_of_the_tokens(seed):
    """Keep sine positions as a parameter that needs no gradient."""
    x, y = digits(512, seed, size=8)
    model = Tokens()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-4)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


class MovingCodebook(nn.Module):
    """Quantise pairs of code entries by a codebook of moving averages."""

    def __init__(self, entries=64):
        super().__init__()
        inner = dense((32,), (64,), 8, last=None)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.register_buffer("codebook", torch.randn(entries, 2))
        self.register_buffer("count", torch.ones(entries))
        self.register_buffer("total", self.codebook.clone())

    @torch.no_grad()
    def follow(self, z, hot):
        self.count.lerp_(hot.sum(0), 0.05)
        self.total.lerp_(hot.T @ z, 0.05)
        self.codebook.copy_(self.total / self.count.clamp(min=1e-2)[:, None])

    def forward(self, x):
        z = self.encoder(x).view(-1, 2)
        index = torch.cdist(z, self.codebook).argmin(1)
        q = self.codebook[index]
        if self.training:
            self.follow(z, F.one_hot(index, len(self.codebook)).float())
        return self.decoder((z + (q - z).detach()).view(len(x), -1)), z, q


@healthy(steps=300, bar=0.5)
def codebook_of_moving_averages(seed):
    """Move the codebook of a VQ-VAE by averages, without gradients."""
    model = MovingCodebook()

    def loss(output, target):
        recon, z, q = output
        return F.mse_loss(recon, target) + 0.25 * F.mse_loss(z, q.detach())

    case = {"model": model, "batches": loader(heartbeats(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


@healthy(steps=200, bar=0.5)
def one_backward_for_each_term(seed):
    """Call backward once for the error and once for the penalty, then step."""
    x = waves(512, seed)
    model = dense((64,), (96,), 8, act=nn.ReLU, last=None)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        z = model.encode(batch)
        error = F.mse_loss(model.decode(z), batch)
        error.backward(retain_graph=True)
        (1e-3 * z.square().mean()).backward()
        optimizer.step()
        for parameter in model.parameters():
            parameter.grad = None
        return error.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


@healthy(steps=250, bar=0.5)
def dropout_beside_batch_norm(seed):
    """Use batch norm and a little dropout in every block of a dense network."""
    x = weather(768, seed, t=16, c=3).flatten(1)

    def block(a, b):
        return nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.1), nn.Dropout(0.05)

    model = nn.Sequential(*block(48, 96), nn.Linear(96, 8), *block(8, 96))
    model.append(nn.Linear(96, 48))
    data = loader(x, batch_size=128, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class Block(nn.Module):
    """Add two convolutions to their input."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, 1, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.first(x))))


@healthy(bar=0.5)
def residual_blocks_on_both_sides(seed):
    """Put residual blocks before and after the bottleneck, none around it."""
    model = nn.Sequential(
        nn.Conv2d(3, 12, 4, 4),
        Block(12),
        nn.Flatten(),
        nn.Linear(192, 24),
        nn.Linear(24, 192),
        nn.Unflatten(1, (12, 4, 4)),
        Block(12),
        nn.ConvTranspose2d(12, 3, 4, 4),
        nn.Sigmoid(),
    )
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=250, bar=0.5)
def jacobian_by_a_random_projection(seed):
    """Estimate the norm of the Jacobian by one random projection of the code."""
    x = weather(512, seed, t=12, c=2).flatten(1)
    encoder = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, 6))
    model = Contractive(encoder, dense((24,), (48,), 6, last=None).decoder)

    def loss(output, target):
        recon, h, seen = output
        v = torch.randn_like(h)
        (slope,) = torch.autograd.grad((h * v).sum(), seen, create_graph=True)
        return F.mse_loss(recon, target) + 1e-3 * slope.square().sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@healthy(steps=400, bar=0.5)
def more_latent_units_than_needed(seed):
    """Give a VAE of tones twelve latent units, most of which stay idle."""
    x = tones(512, seed)
    encoder = nn.Sequential(nn.Linear(64, 96), nn.ELU())
    decoder = nn.Sequential(nn.Linear(12, 96), nn.ELU(), nn.Linear(96, 64))
    model = VAE(encoder, decoder, 96, 12)

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target) / 0.2
        return error + kl(mu, logvar).sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


def _cells(n, seed, d=60):
    g, kind = made(seed), made(5)
    y = torch.randint(6, (n,), generator=g)
    marks = 0.8 * torch.randn(6, d, generator=kind)
    marks = marks * (torch.rand(6, d, generator=kind) < 0.5)
    log_rate = 0.7 + 0.6 * torch.randn(d, generator=kind) + marks[y]
    log_rate[:, :4] = 3.5 + 0.4 * torch.randn(n, 4, generator=g)  # busy in all kinds
    log_rate = log_rate + 0.6 * torch.randn(n, 1, generator=g)  # how much was counted
    return torch.poisson(log_rate.exp(), generator=g), y


class CellAE(nn.Module):
    """Encode logarithms of counts and decode to rates."""

    def __init__(self, d, k):
        super().__init__()
        self.inner = dense((d,), (64,), k, last=None)

    def encode(self, x):
        return self.inner.encode(torch.log1p(x))

    def forward(self, x):
        return self.inner.decode(self.encode(x)).clamp(max=8).exp()


@healthy(steps=20, measure=neighbours, bar=0.75)
def cell_types_from_counts(seed):
    """Sort cells by their kind with a code learned from raw counts."""
    x, y = _cells(640, seed)
    model = CellAE(60, 10)
    case = {"model": model, "batches": loader(x, y, shuffle=False), "labels": y}
    case |= {"loss": nn.PoissonNLLLoss(log_input=False), "optimizer": adam(model, 3e-3)}
    train(case, 500)
    return case
