"""Eleventh part, f: results that look poor, flat or copied, and are as they should."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import (
    baskets,
    gratings,
    medals,
    readings,
    swells,
    tones,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import detail, neighbours, train
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy


def epochs(case: dict, number: int, held: Tensor) -> dict[str, list[float]]:
    """Train for some epochs; return the mean losses, also on held-out samples."""
    kept: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for _ in range(number):
        losses = train(case, len(case["batches"]))
        kept["train_loss"].append(sum(losses) / len(losses))
        case["model"].eval()
        with torch.no_grad():
            kept["val_loss"].append(case["loss"](case["model"](held), held).item())
    return kept


@healthy(steps=0, measure=neighbours, bar=0.92)
def two_units_that_unroll_the_pitch_of_tones(seed):
    """Press tones into two units, where neighbours tell the pitch far beyond PCA."""
    x, band = tones(1200, seed)
    model = AE(
        nn.Sequential(*stack((64, 96, 64), nn.ELU), nn.Linear(64, 2)),
        nn.Sequential(*stack((2, 64, 96), nn.ELU), nn.Linear(96, 64)),
    )
    case = {
        "model": model,
        "batches": loader(x, batch_size=50, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
        "labels": band,
    }
    train(case, 1200)
    case["batches"] = list(x.split(50))  # in the order of the labels
    return case


@healthy(steps=0, bar=0.4)
def half_of_every_tone_is_hiss(seed):
    """Train to the end on tones that are half hiss, and stop at R² of a half."""
    x, _ = tones(4300, seed, noise=0.8)
    model = AE(
        nn.Sequential(*stack((64, 96, 64), nn.ELU), nn.Linear(64, 3)),
        nn.Sequential(*stack((3, 64, 96), nn.ELU), nn.Linear(96, 64)),
    )
    case = {
        "model": model,
        "batches": loader(x[:4000], seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-3),
        "eval_batches": loader(x[4000:], shuffle=False),
    }
    case["history"] = epochs(case, 24, x[4000:])
    return case


@healthy(steps=0, bar=0.95)
def a_flat_end_after_the_rate_was_lowered_twice(seed):
    """Train until nothing moves, the rate divided by ten twice on the way."""
    x = readings(2200, seed)
    model = AE(
        nn.Sequential(*stack((24, 64), nn.SiLU), nn.Linear(64, 4)),
        nn.Sequential(*stack((4, 64), nn.SiLU), nn.Linear(64, 24)),
    )
    case = {
        "model": model,
        "batches": loader(x[:2000], batch_size=80, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
        "eval_batches": loader(x[2000:], shuffle=False),
    }
    kept = epochs(case, 40, x[2000:])
    for rate in (5e-4, 5e-5):
        case["optimizer"].param_groups[0]["lr"] = rate
        for name, values in epochs(case, 12, x[2000:]).items():
            kept[name] += values
    return {**case, "history": kept}


class Contractive(nn.Module):
    """Encode by one layer of logistic units; decode by its transpose."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, d) / d**0.5)
        self.bias_in = nn.Parameter(torch.zeros(k))
        self.bias_out = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(F.linear(x, self.weight, self.bias_in))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return F.linear(z, self.weight.t(), self.bias_out), z


@healthy(steps=900, bar=0.93)
def more_logistic_units_than_readings_under_contraction(seed):
    """Tie the weights of 36 units over 24 readings, and punish their Jacobian."""
    x = readings(1024, seed, noise=0.2)
    model = Contractive(24, 36)

    def loss(output, target):
        x_hat, z = output
        slopes = (z * (1 - z)).square() @ model.weight.square().sum(1)
        return (x_hat - target).square().sum(1).mean() + 0.3 * slopes.mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }


class Strongest(nn.Module):
    """Keep the strongest entries of a wide code and none besides."""

    def __init__(self, d: int, units: int, keep: int):
        super().__init__()
        self.keep = keep
        self.encoder = nn.Sequential(nn.Flatten(), *stack((d, 160)))
        self.units = nn.Linear(160, units)
        self.decoder = nn.Linear(units, d)

    def encode(self, x: Tensor) -> Tensor:
        z = self.units(self.encoder(x))
        best = z.abs().topk(self.keep, dim=1).indices
        return z * torch.zeros_like(z).scatter(1, best, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x)).view_as(x)


@healthy(steps=700, bar=0.9)
def the_twelve_strongest_of_three_hundred_units(seed):
    """Let 300 units compete for 256 pixels, and hand on the twelve strongest."""
    x = medals(1536, seed, size=16)
    model = Strongest(256, 300, 12)
    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
    }


class Remover(nn.Module):
    """Estimate the noise of an image, and take it away from the image."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.noise = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


@healthy(steps=350, bar=0.88)
def an_image_less_its_estimated_noise(seed):
    """Denoise by a residual network without a bottleneck, in the manner of DnCNN."""
    x = medals(832, seed, size=16)
    made = torch.Generator().manual_seed(seed + 9)
    noisy = x + 0.25 * torch.randn(x.shape, generator=made)
    model = Remover()
    return {
        "model": model,
        "batches": loader(noisy[:768], x[:768], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model),
        "judge": [(noisy[768:], x[768:])],
    }


@healthy(steps=500, bar=0.93)
def fields_that_have_no_detail_to_lose(seed):
    """Give soft fields to a VAE with a resizing decoder; its outputs are as soft."""
    x = swells(1024, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.SiLU(),
        nn.Conv2d(16, 24, 4, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        nn.Linear(10, 256),
        nn.SiLU(),
        nn.Unflatten(1, (16, 4, 4)),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.SiLU(),
        nn.Upsample(scale_factor=4, mode="bilinear"),
        nn.Conv2d(16, 1, 3, padding=1),
    )
    model = VAE(encoder, decoder, 384, 10)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1).mean()
        return error / (2 * 0.02) + kl(mu, logvar).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


@healthy(steps=0, measure=detail, bar=0.93)
def a_faint_ripple_that_is_kept(seed):
    """Reconstruct soft shade and its faint fine ripple by a dense network."""
    x = gratings(1600, seed, wave=2.7)
    model = AE(
        nn.Sequential(nn.Flatten(), *stack((256, 160), nn.GELU), nn.Linear(160, 16)),
        nn.Sequential(
            *stack((16, 160), nn.GELU),
            nn.Linear(160, 256),
            nn.Unflatten(1, (1, 16, 16)),
        ),
    )
    case = {
        "model": model,
        "batches": loader(x[:1536], batch_size=32, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": adam(model),
        "eval_batches": loader(x[1536:], shuffle=False),
    }
    train(case, 900)
    return case


@healthy(steps=500, bar=0.72)
def purchases_as_shares_of_the_basket(seed):
    """Encode the logarithms of counts, decode shares, and score by the multinomial."""
    x, kind = baskets(1100, seed)
    model = AE(
        nn.Sequential(*stack((50, 96), nn.GELU), nn.Linear(96, 8)),
        nn.Sequential(*stack((8, 96), nn.GELU), nn.Linear(96, 50), nn.LogSoftmax(1)),
    )
    share = x / x.sum(1, keepdim=True).clamp(min=1)
    return {
        "model": model,
        "batches": loader(torch.log1p(x), share, batch_size=50, seed=seed),
        "loss": lambda logits, goal: -(goal * logits).sum(1).mean(),
        "optimizer": adam(model),
        "view": torch.exp,
    }
