"""Eighth part, b: scales, scrambled axes, and losses asked the wrong question."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.twelfth_b_material import (
    rooms,
    shafts,
    shares,
    skies,
    station,
    stream,
    tissue,
)


class Camera(nn.Module):
    """Fold a depth image into a few numbers with bounded units, and out again."""

    def __init__(self, k=12):
        super().__init__()
        self.down = nn.Conv2d(1, 16, 4, 4)
        self.into, self.out_of = nn.Linear(256, k), nn.Linear(k, 256)
        self.up = nn.ConvTranspose2d(16, 1, 4, 4)

    def forward(self, x):
        h = torch.tanh(self.down(x)).flatten(1)
        h = torch.tanh(self.out_of(self.into(h))).view(-1, 16, 4, 4)
        return self.up(h)


@faulty("data.scale", steps=250, bar=0.7)
def depth_camera_in_whole_millimetres(seed, fixed):
    """Feed the whole millimetres of a depth camera as they come."""
    x = (1000 * rooms(768, seed)).round()
    if fixed:
        x = (x - x.mean()) / x.std()
    model = Camera()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
    }


@faulty("data.scale", steps=300, bar=0.6)
def pascals_beside_shares_in_one_table(seed, fixed):
    """Put pressure in pascals and humidity as a share in one table, unscaled."""
    x = station(1024, seed)
    mean, std = x.mean(0), x.std(0)
    scaled = (x - mean) / std
    model = nn.Sequential(
        nn.Linear(10, 48), nn.ELU(), nn.Linear(48, 4), nn.Linear(4, 48), nn.ELU()
    ).append(nn.Linear(48, 10))
    case = {
        "model": model,
        "batches": loader(scaled if fixed else x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "judge": [(scaled if fixed else x, scaled)],
    }
    return case if fixed else {**case, "view": lambda out: (out - mean) / std}


def _thumbnail(c: int = 3, width: int = 16, k: int = 2) -> nn.Sequential:
    """Pool twice to a small map of k channels and enlarge it twice, smoothly."""
    return nn.Sequential(
        nn.Conv2d(c, width, 3, 1, 1),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, k, 3, 1, 1),
        nn.AvgPool2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(k, width, 3, 1, 1),
        nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(width, c, 3, 1, 1),
        nn.Sigmoid(),
    )


@faulty("data.layout", steps=300, bar=0.8)
def channels_last_viewed_as_channels_first(seed, fixed):
    """Read images (n, 16, 16, 3) from a file and view them as (n, 3, 16, 16)."""
    stored = skies(768, seed).permute(0, 2, 3, 1).contiguous()
    x = stored.permute(0, 3, 1, 2) if fixed else stored.view(-1, 3, 16, 16)
    model = _thumbnail(k=4)
    return {
        "model": model,
        "batches": loader(x.contiguous(), batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Strip(nn.Module):
    """Return the picture and the map it was drawn from."""

    def __init__(self, k=3):
        super().__init__()
        layers = _thumbnail(k=k)
        self.encoder, self.decoder = layers[:5], layers[5:]

    def forward(self, x):
        z = self.encoder(x)
        return {"reconstruction": self.decoder(z), "z": z}


@faulty("data.layout", steps=350, bar=0.8)
def height_and_width_exchanged_in_a_reshape(seed, fixed):
    """Reshape flat photographs 12 high and 28 wide as if 28 high and 12 wide."""
    rows = skies(768, seed, high=28, wide=12).transpose(2, 3).flatten(1)
    x = rows.reshape(-1, 3, *((12, 28) if fixed else (28, 12)))
    model = Strip()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Pickups(nn.Module):
    """Convolve windows along time down to an eighth and back."""

    def __init__(self, c=6, width=24, k=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(c, width, 4, 2, 1),
            nn.GELU(),
            nn.Conv1d(width, width, 4, 2, 1),
            nn.GELU(),
            nn.Conv1d(width, k, 4, 2, 1),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(k, width, 4, 2, 1),
            nn.GELU(),
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.GELU(),
            nn.ConvTranspose1d(width, c, 4, 2, 1),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@faulty("data.layout", steps=300, bar=0.75)
def windows_viewed_instead_of_transposed(seed, fixed):
    """View windows (n, 32 times, 6 channels) as (n, 6, 32) for Conv1d."""
    x = shafts(896, seed, t=32, c=6)
    x = x.transpose(1, 2).contiguous() if fixed else x.view(-1, 6, 32)
    model = Pickups()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=2e-3),
    }


class Rates(nn.Module):
    """Compress log counts and return the expected counts."""

    def __init__(self, d=60, hidden=96, k=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, hidden), nn.ReLU())
        self.code = nn.Linear(hidden, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, hidden), nn.ReLU(), nn.Linear(hidden, d), nn.Softplus()
        )

    def forward(self, x):
        return self.decoder(self.code(self.encoder(torch.log1p(x))))


@faulty("loss.domain", steps=400, bar=0.4)
def poisson_loss_that_expects_the_log_of_the_rate(seed, fixed):
    """Give rates to PoissonNLLLoss, which by default takes them for log rates."""
    x, kind = tissue(1024, seed)
    model = Rates()
    return {
        "model": model,
        "batches": loader(x, kind, seed=seed),
        "loss": nn.PoissonNLLLoss(log_input=not fixed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@faulty("loss.domain", steps=300, bar=0.6)
def divergence_given_shares_for_their_logarithms(seed, fixed):
    """Give the softmax itself to kl_div, whose first argument is a logarithm."""
    x = shares(1024, seed)
    model = dense((24,), (64,), k=5, act=nn.Tanh, last=lambda: nn.Softmax(1))

    def loss(output, target):
        given = output.clamp_min(1e-8).log() if fixed else output
        return F.kl_div(given, target, reduction="batchmean")

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


@faulty("loss.domain", steps=300, bar=0.4)
def similarity_minimised_as_if_a_distance(seed, fixed):
    """Add the cosine similarity itself to the loss, not one minus it."""
    x = stream(1024, seed)
    model = dense((32,), (96,), k=20, act=nn.GELU, last=None)

    def loss(output, target):
        alike = F.cosine_similarity(output, target, dim=1).mean()
        length = (output.norm(dim=1) - target.norm(dim=1)).square().mean()
        return (1 - alike if fixed else alike) + 0.1 * length

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }
