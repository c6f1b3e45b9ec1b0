"""Eighth part, b: paths that gradients lack, paths around the code, silent units."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import kl
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    bends,
    cells,
    live_units,
    shafts,
    skies,
    stream,
)


class Words(nn.Module):
    """Quantise a map of 16 vectors and pass the gradient straight through."""

    def __init__(self, entries=16, dim=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 4), nn.ReLU(), nn.Conv2d(32, dim, 1)
        ).append(nn.BatchNorm2d(dim))
        self.book = nn.Embedding(entries, dim)
        nn.init.normal_(self.book.weight, std=0.1)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 32, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 4, 4)
        )

    def forward(self, x):
        z = self.encoder(x).movedim(1, -1)
        gap = (z.unsqueeze(-2) - self.book.weight).square().sum(-1)
        q = self.book(gap.argmin(-1))
        through = z + (q - z).detach()
        return self.decoder(through.movedim(-1, 1)), z, q, through


@torch.no_grad()
def words_fit(case: dict) -> float:
    """Return the share of the code's variance that the words of the book explain."""
    _, z, q, _ = case["model"].eval()(torch.cat(list(case["batches"])))
    return 1 - ((z - q).square().mean() / z.var((0, 1, 2)).mean()).item()


@faulty("wiring.no-gradient", steps=350, measure=words_fit, bar=0.5)
def codebook_term_of_the_straight_through_copy(seed, fixed):
    """Compute the codebook's term on the straight-through copy, cut off from it."""
    x = skies(640, seed)
    model = Words()

    def loss(output, target):
        picture, z, q, through = output
        chosen = q if fixed else through
        book = F.mse_loss(chosen, z.detach())
        commit = F.mse_loss(z, q.detach())
        return 10 * F.mse_loss(picture, target) + book + 0.25 * commit

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


class Hash(nn.Module):
    """Write a row as eight bits, for look-up by Hamming distance."""

    def __init__(self, straight, d=24, hidden=96, bits=8):
        super().__init__()
        self.reader = nn.Sequential(nn.Linear(d, hidden), nn.SiLU())
        self.to_bits = nn.Linear(hidden, bits)
        self.writer = nn.Sequential(
            nn.Linear(bits, hidden), nn.SiLU(), nn.Linear(hidden, d)
        )
        self.straight = straight

    def forward(self, x):
        soft = torch.sigmoid(self.to_bits(self.reader(x)))
        hard = (soft > 0.5).float()
        if self.straight:
            hard = soft + (hard - soft).detach()
        return {"recon": self.writer(hard), "bits": hard}


@faulty("wiring.no-gradient", steps=400, bar=0.77)
def bits_compared_without_a_surrogate(seed, fixed):
    """Threshold the code into bits by a comparison, which has no derivative."""
    x = bends(1280, seed, d=24, rank=4)
    model = Hash(straight=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Given(nn.Module):
    """Compress a row and decode it with the help of what is known in advance."""

    def __init__(self, known, d=24, hidden=96, k=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, hidden), nn.ReLU())
        self.bottleneck = nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k + known, hidden), nn.ReLU(), nn.Linear(hidden, d)
        )
        self.known = known

    def forward(self, x):
        z = self.bottleneck(self.encoder(x))
        return self.decoder(torch.cat([z, x[:, : self.known]], 1)), z


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def whole_row_given_as_its_own_condition(seed, fixed):
    """Condition the decoder on the whole row where two known columns were meant."""
    x = bends(1024, seed, d=24, rank=6)
    model = Given(2 if fixed else 24)
    case = {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 500)
    return case


class Attends(nn.Module):
    """Read a window with attention, pool it to a code, and write it by queries."""

    def __init__(self, all_tokens, t=16, c=4, width=32, k=4):
        super().__init__()
        self.embed = nn.Linear(c, width)
        self.place = nn.Parameter(torch.randn(t, width))
        self.read = nn.MultiheadAttention(width, 4, batch_first=True)
        self.write = nn.MultiheadAttention(width, 4, batch_first=True)
        self.mix = nn.Sequential(nn.Linear(width, 64), nn.GELU())
        self.bottleneck = nn.Linear(64 * t, k)
        self.expand = nn.Linear(k, width)
        self.head = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, c))
        self.all_tokens = all_tokens

    def forward(self, x):
        h = self.embed(x) + self.place
        h = h + self.read(h, h, h, need_weights=False)[0]
        z = self.bottleneck(self.mix(h).flatten(1))
        start = self.expand(z).unsqueeze(1)
        query = self.place.expand(len(x), -1, -1)
        memory = torch.cat([start, h], 1) if self.all_tokens else start
        return self.head(query + self.write(query, memory, memory)[0])


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def decoder_attends_to_every_encoder_token(seed, fixed):
    """Let the decoder attend to all tokens of the encoder besides the pooled code."""
    x = shafts(768, seed, t=16)
    x = (x - x.mean((0, 1))) / x.std((0, 1))
    model = Attends(all_tokens=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 220)
    return case


class Variational(nn.Module):
    """Put a Gaussian code at the bottom of a small U-Net."""

    def __init__(self, skip, width=8, k=8):
        super().__init__()
        self.one = nn.Conv2d(1, width, 3, 1, 1)
        self.two = nn.Conv2d(width, 2 * width, 4, 4)
        self.bottleneck = nn.Linear(32 * width, k)
        self.fc_logvar = nn.Linear(32 * width, k)
        self.expand = nn.Linear(k, 32 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 4, 4)
        self.last = nn.Conv2d(width * (1 + skip), 1, 3, 1, 1)
        self.skip = skip

    def forward(self, x):
        a = F.leaky_relu(self.one(x), 0.1)
        h = F.leaky_relu(self.two(a), 0.1).flatten(1)
        mu, logvar = self.bottleneck(h), self.fc_logvar(h).clamp(-8, 4)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        h = self.up(F.leaky_relu(self.expand(z), 0.1).view(len(x), -1, 4, 4))
        h = F.leaky_relu(torch.cat([h, a], 1) if self.skip else h, 0.1)
        return self.last(h), mu, logvar


@faulty("wiring.bypass", accepts=("vae.collapse",), steps=0, measure=code_matters)
def variational_unet_with_a_silent_code(seed, fixed):
    """Keep the skips of a U-Net in a VAE, so that nothing needs the Gaussian code."""
    x = cells(640, seed)
    model = Variational(skip=not fixed)

    def loss(output, target):
        picture, mu, logvar = output
        error = (picture - target).square().sum((1, 2, 3)) / (2 * 0.02)
        return (error + kl(mu, logvar).sum(1)).mean()

    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 160)
    return case


@faulty("signal.dead-units", steps=0, bar=0.68)
def rectified_outputs_that_stay_at_zero(seed, fixed):
    """End on a ReLU, so that pixels that start below zero never come back."""
    x, _ = digits(1024, seed, size=8)
    x = 0.15 + 0.7 * x.flatten(1)
    model = nn.Sequential(
        nn.Linear(64, 48),
        nn.Tanh(),
        nn.Linear(48, 12),
        nn.Linear(12, 48),
        nn.ReLU(),
        nn.Linear(48, 64),
        nn.Identity() if fixed else nn.ReLU(),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 400)
    return case


class Jump(nn.Module):
    """Keep the activations of a dictionary that exceed their own threshold."""

    def __init__(self, threshold, d=32, k=96):
        super().__init__()
        self.read, self.write = nn.Linear(d, k), nn.Linear(k, d)
        with torch.no_grad():
            rows = F.normalize(torch.randn(k, d), dim=1)
            self.read.weight.copy_(rows)
            self.write.weight.copy_(rows.t())
            self.read.bias.zero_()
        self.threshold = threshold

    def encode(self, x):
        h = self.read(x)
        return torch.where(h > self.threshold, h, 0.0)

    def forward(self, x):
        z = self.encode(x)
        return self.write(z), z


@faulty("signal.dead-units", steps=300, measure=live_units, bar=0.5)
def threshold_that_few_features_ever_reach(seed, fixed):
    """Set the threshold of a jump ReLU above what nearly all features ever reach."""
    x = stream(1024, seed) / 3
    model = Jump(0.15 if fixed else 0.92)

    def loss(output, target):
        picture, z = output
        return F.mse_loss(picture, target) + 1e-3 * z.abs().sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
