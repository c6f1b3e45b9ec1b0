"""Healthy programs on tables, counts, ratings, embeddings and point sets."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.measures import outputs, x_hat
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_e_material import (
    answers,
    chamfer,
    drawn,
    epochs,
    rings,
)

LEVELS = (3, 4, 5, 4, 6)


def softmaxes(logits):
    """Turn the logits of each question into probabilities."""
    return torch.cat([part.softmax(1) for part in logits.split(LEVELS, 1)], 1)


# Asked: https://morioh.com/a/f727020dd537/building-autoencoders-on-sparse-one-hot-encoded-data
@healthy(steps=300, bar=0.45)
def survey_with_one_cross_entropy_each(seed):
    """Sum one cross entropy per question over one-hot answers of a survey."""
    d = sum(LEVELS)
    model = nn.Sequential(
        *(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 6)),
        *(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, d)),
    )

    def loss(logits, target):
        parts = zip(logits.split(LEVELS, 1), target.split(LEVELS, 1), strict=True)
        return sum(F.cross_entropy(a, b.argmax(1)) for a, b in parts)

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    case = {"model": model, "batches": loader(answers(768, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": optimizer, "view": softmaxes}


class MixedTable(nn.Module):
    """Give numbers and yes/no columns a head each."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 8)
        )
        self.shared = nn.Sequential(nn.Linear(8, 64), nn.ReLU())
        self.numbers, self.flags = nn.Linear(64, 12), nn.Linear(64, 8)

    def forward(self, x):
        h = self.shared(self.encoder(x))
        return torch.cat([self.numbers(h), self.flags(h)], 1)


@healthy(steps=300, bar=0.45)
def customers_with_numbers_and_flags(seed):
    """Add MSE on scaled numbers and BCE with logits on yes/no columns."""
    x = table(768, seed)
    x[:, 12:] = (x[:, 12:] > 0.3).float()
    model = MixedTable()

    def criterion(out, target):
        mse = F.mse_loss(out[:, :12], target[:, :12])
        bce = F.binary_cross_entropy_with_logits(out[:, 12:], target[:, 12:])
        return mse + bce

    def view(out):
        return torch.cat([out[:, :12], out[:, 12:].sigmoid()], 1)

    case = {"model": model, "batches": loader(x[128:], seed=seed)}
    case |= {"loss": criterion, "optimizer": torch.optim.Adam(model.parameters(), 2e-3)}
    return epochs({**case, "view": view}, 45, x[:128])


class WordVectors(nn.Module):
    """Compress unit vectors and return unit vectors."""

    def __init__(self, d=64, k=16):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(d, 96), nn.GELU(), nn.Linear(96, k))
        self.up = nn.Sequential(nn.Linear(k, 96), nn.GELU(), nn.Linear(96, d))

    def forward(self, x):
        return F.normalize(self.up(self.down(x)), dim=-1)


@healthy(steps=300, bar=0.45)
def sentence_embeddings_by_cosine(seed):
    """Compress unit-norm sentence embeddings under 1 - cosine similarity."""
    x = F.normalize(table(768, seed, d=64, rank=12), dim=-1)
    model = WordVectors()

    def loss(out, target):
        return 1 - F.cosine_similarity(out, target).mean()

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer}


class PointAE(nn.Module):
    """Pool features of the points by maximum and decode all points at once."""

    def __init__(self, points=48, k=16):
        super().__init__()
        self.mlp = nn.Sequential(
            *(nn.Conv1d(3, 32, 1), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.ReLU())
        )
        self.code = nn.Linear(64, k)
        self.decoder = nn.Sequential(
            *(nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, points * 3))
        )

    def forward(self, p):
        h = self.mlp(p.transpose(1, 2)).amax(2)  # (B, 64)
        return self.decoder(self.code(h)).view_as(p)


def nearer(case):
    """Return 1 - Chamfer distance / Chamfer distance to the next set."""
    _, target, out = outputs(case)
    return 1 - (chamfer(out, target) / chamfer(target.roll(1, 0), target)).item()


# Asked: https://davidstutz.de/pointnet-auto-encoder-in-torch/
@healthy(steps=300, measure=nearer, bar=0.15)
def ellipsoids_as_unordered_points(seed):
    """Reconstruct unordered points with a PointNet encoder and Chamfer distance."""
    model = PointAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": loader(rings(384, seed), seed=seed)}
    return {**case, "loss": chamfer, "optimizer": optimizer}


class CountAE(nn.Module):
    """Take log(1 + counts) in, give the logarithm of a rate out."""

    def __init__(self, genes=60, k=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(genes, 64), nn.ReLU(), nn.Linear(64, k))
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, genes))

    def forward(self, counts):
        return self.decoder(self.encoder(torch.log1p(counts)))


@healthy(steps=300, bar=0.3)
def gene_counts_with_a_poisson_loss(seed):
    """Model raw gene counts by a Poisson rate in logarithms."""
    rate = (0.6 * table(768, seed, d=60, rank=5) + 1.0).exp()
    counts = torch.poisson(rate.clamp(max=60), generator=drawn(seed))
    model = CountAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    case = {"model": model, "batches": loader(counts, seed=seed)}
    case["loss"] = nn.PoissonNLLLoss(log_input=True)
    return {**case, "optimizer": optimizer, "view": torch.exp}


def observed(case):
    """Return R² over the ratings that are there."""
    _, target, out = outputs(case)
    there = target != 0
    error = (out - target)[there].square().mean()
    mean = target.sum(0) / there.sum(0).clamp(min=1)
    return 1 - (error / (target - mean)[there].square().mean()).item()


# Asked: http://classic.d2l.ai/chapter_recommender-systems/autorec.html
@healthy(steps=300, measure=observed, bar=0.5)
def film_ratings_with_holes(seed):
    """Reconstruct centred ratings, two thirds missing, on the observed ones only."""
    g = drawn(seed)
    taste = torch.randn(768, 3, generator=g) @ torch.randn(3, 80, generator=g)
    x = (0.8 * taste + 0.3 * torch.randn(768, 80, generator=g)).clamp(-2, 2)
    x = x * (torch.rand(x.shape, generator=g) < 0.35)
    model = nn.Sequential(nn.Linear(80, 40), nn.Tanh(), nn.Linear(40, 80))

    def masked_mse(out, target):
        mask = target != 0
        return ((out - target).square() * mask).sum() / mask.sum()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
    case = {"model": model, "batches": loader(x[96:], seed=seed), "loss": masked_mse}
    return epochs({**case, "optimizer": optimizer}, 30, x[:96])


@healthy(steps=300, bar=0.5)
def swap_noise_on_a_table(seed):
    """Clean rows in which a tenth of the cells came from other rows."""
    x = table(768, seed, d=32, rank=6)
    model = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
    model.append(nn.Linear(128, 32))

    def swap(batch):
        swapped = torch.rand_like(batch) < 0.1
        return torch.where(swapped, batch[torch.randperm(len(batch))], batch), batch

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    case = {"model": model, "batches": loader(x, seed=seed), "pair": swap}
    return {**case, "optimizer": optimizer}


class Molecules(nn.Module):
    """Read one-hot strings with a GRU and write the logits of every character."""

    def __init__(self, vocabulary=8, length=12, k=24):
        super().__init__()
        self.gru = nn.GRU(vocabulary, 64, batch_first=True)
        self.latent = nn.Linear(64, k)
        self.out = nn.Sequential(nn.Linear(k, 128), nn.ReLU())
        self.logits = nn.Linear(128, vocabulary * length)

    def forward(self, x):
        _, h = self.gru(x)
        z = self.latent(h[0])
        return self.logits(self.out(z)).view_as(x), z


@healthy(steps=50, bar=0.5)
def one_hot_strings_of_a_grammar(seed):
    """Read one-hot strings by a GRU and compare characters by cross entropy."""
    g = drawn(seed)
    parts = torch.randint(8, (10, 4), generator=drawn(0))
    text = parts[torch.randint(10, (768, 3), generator=g)].flatten(1)
    x = F.one_hot(text, 8).float()  # (N, 12, 8)
    model = Molecules()

    def loss(output, target):
        logits = x_hat(output).transpose(1, 2)
        return F.cross_entropy(logits, target.argmax(-1))

    def view(logits):
        return logits.softmax(-1)

    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    case = {"model": model, "batches": loader(x[128:], seed=seed), "loss": loss}
    return epochs({**case, "optimizer": optimizer, "view": view}, 45, x[:128])
