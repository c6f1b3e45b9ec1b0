"""Healthy programs whose signals, weights and rates look odd."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.tenth_c_material import (
    chords,
    counts,
    made,
    spectra,
)


class LastVisit(nn.Module):
    """Read padded visits with an LSTM as packed sequences."""

    def __init__(self, features, hidden):
        super().__init__()
        self.rnn = nn.LSTM(features, hidden, batch_first=True)

    def forward(self, x):
        length = (x.abs().sum(2) > 0).sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            x, length, batch_first=True, enforce_sorted=False
        )
        return self.rnn(packed)[1][0][-1]


@healthy(steps=250, bar=0.4)
def packed_visits_of_any_length(seed):
    """Pack padded series, so that the last state is that of the last visit."""
    x = table(512, seed, d=24, rank=6).view(512, 6, 4)
    there = torch.arange(6) < torch.randint(2, 7, (512, 1), generator=made(seed))
    x = F.pad(x * there.unsqueeze(2), (0, 0, 0, 10))  # (512, 16, 4)
    decoder = nn.Sequential(
        nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, 64), nn.Unflatten(1, (16, 4))
    )
    model = AE(LastVisit(4, 24), decoder)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


class TinyViT(nn.Module):
    """Read the class token of a small transformer over patches."""

    def __init__(self, width=24, k=16):
        super().__init__()
        self.patchify = nn.Conv2d(1, width, 4, 4)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos = nn.Parameter(0.02 * torch.randn(1, 10, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 48, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 96), nn.GELU(), nn.Linear(96, 144), nn.Sigmoid()
        )

    def forward(self, x):
        tokens = self.patchify(x).flatten(2).transpose(1, 2)  # (B, 9, width)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1)
        z = self.head(self.norm(self.blocks(tokens + self.pos)[:, 0]))
        return {"recon": self.decoder(z).view_as(x), "z": z}


@healthy(steps=250, bar=0.4)
def class_token_of_a_small_vit(seed):
    """Take the class token of a transformer as the code."""
    x, y = digits(512, seed, size=12)
    model = TinyViT()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=0.05)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


class BinaryCode(AE):
    """Round the code to -1 and 1, with the gradient of tanh."""

    def encode(self, x):
        soft = torch.tanh(self.encoder(x))
        return soft + (soft.sign() - soft).detach()


@healthy(steps=400, bar=0.5)
def signs_with_a_straight_gradient(seed):
    """Learn hash codes of 32 signs by the straight-through estimator."""
    inner = dense((48,), (96,), 32)
    model = BinaryCode(inner.encoder, inner.decoder)
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class TopK(nn.Module):
    """Keep the eight largest of 96 units."""

    def __init__(self, d, mean):
        super().__init__()
        self.enc, self.dec = nn.Linear(d, 96), nn.Linear(96, d)
        with torch.no_grad():
            self.enc.weight.copy_(self.dec.weight.T)
            self.dec.bias.copy_(mean)

    def encode(self, x):
        h = F.relu(self.enc(x - self.dec.bias))
        value, place = h.topk(8, 1)
        return torch.zeros_like(h).scatter(1, place, value)

    def forward(self, x):
        z = self.encode(x)
        return self.dec(z), z


@healthy(steps=300, bar=0.5)
def top_eight_of_a_dictionary(seed):
    """Keep eight of 96 units of a dictionary for activations with an offset."""
    x = table(1024, seed, d=32, rank=8) + torch.randn(32, generator=made(seed))
    model = TopK(32, x.mean(0))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


class ZeroBranch(nn.Module):
    """Add a branch whose last layer starts at zero."""

    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, h):
        return h + self.fc2(F.silu(self.fc1(h)))


@healthy(steps=200, bar=0.4)
def residual_branches_from_zero(seed):
    """Start the last layer of every residual branch at zero."""
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(192, 64), ZeroBranch(64), nn.SiLU(), nn.Linear(64, 16)
    )
    decoder = nn.Sequential(
        nn.Linear(16, 64), ZeroBranch(64), nn.SiLU(), nn.Linear(64, 192), nn.Sigmoid()
    )
    model = AE(encoder, decoder.append(nn.Unflatten(1, (3, 8, 8))))
    data = loader(patches(512, seed, 8), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=300, bar=0.5)
def orthogonal_tanh_layers(seed):
    """Initialise six tanh layers with orthogonal matrices and the gain of tanh."""
    model = dense((40,), (48, 32), 8, act=nn.Tanh, last=None)
    for layer in [*model.encoder, *model.decoder]:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, nn.init.calculate_gain("tanh"))
            nn.init.zeros_(layer.bias)
    data = loader(chords(512, seed, 40, tones=3), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class Components(nn.Module):
    """Project on learned directions that a penalty keeps orthonormal."""

    def __init__(self, d, k):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, d) / d**0.5)

    def forward(self, x):
        z = x @ self.weight.T
        gram = self.weight @ self.weight.T
        return {"x_hat": z @ self.weight, "gram": gram}


@healthy(steps=300, bar=0.5)
def components_by_gradient(seed):
    """Find principal components by gradient descent with an orthonormal penalty."""
    model = Components(24, 6)

    def loss(output, target):
        off = output["gram"] - torch.eye(6)
        return F.mse_loss(output["x_hat"], target) + 0.1 * off.square().mean()

    case = {"model": model, "batches": loader(table(512, seed, d=24), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 1e-2)}


@healthy(steps=300, bar=0.5)
def adagrad_at_a_tenth(seed):
    """Train with Adagrad at 0.1, which its sums of squares soon make small."""
    model = dense((24,), (64,), 6, act=nn.ELU, last=None)
    optimizer = torch.optim.Adagrad(model.parameters(), 0.1)
    data = loader(table(512, seed, d=24), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=300, bar=0.2)
def poisson_with_log_rates(seed):
    """Reconstruct word counts by PoissonNLLLoss on the logarithm of the rate."""
    model = dense((40,), (64,), 6, last=None)
    case = {"model": model, "batches": loader(counts(512, seed), seed=seed)}
    case |= {"loss": nn.PoissonNLLLoss(), "optimizer": adam(model)}
    return {**case, "view": torch.exp}
