"""Eleventh part, b: parameters, gradients and their clearing, wired wrongly."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_b_material import (
    masks,
    outlines,
    sensors,
    spectra,
)
from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.parts import adam, dense, kl, stack
from ae_lib.doctor.clinic.program import faulty


class MaskEncoder(nn.Module):
    """Map a mask to the mean and the log-variance of its code."""

    def __init__(self, k=6):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(12, 24, 3, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
        )
        self.mean, self.log_var = nn.Linear(384, k), nn.Linear(384, k)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.mean(h), self.log_var(h)


class MaskVAE(nn.Module):
    """Join the encoder of masks with a decoder of its own class."""

    def __init__(self, k=6):
        super().__init__()
        self.encoder = MaskEncoder(k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 384),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (24, 4, 4)),
            nn.ConvTranspose2d(24, 12, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(12, 1, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mu, logvar = self.encoder(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return {"recon": self.decoder(z), "mu": mu, "logvar": logvar}


def _evidence(out, target):
    error = F.binary_cross_entropy(out["recon"], target, reduction="sum")
    return error / len(target) + kl(out["mu"], out["logvar"]).sum(1).mean()


@faulty("wiring.unoptimised", steps=200, bar=0.5)
def optimizer_of_a_mask_vae_knows_its_encoder_only(seed, fixed):
    """Give the optimizer of a VAE the parameters of its encoder and no others."""
    x = masks(768, seed)
    model = MaskVAE()
    taught = model if fixed else model.encoder
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": _evidence,
        "optimizer": torch.optim.Adam(taught.parameters(), lr=3e-3),
    }


class SensorHeads(nn.Module):
    """Code all sensors together and decode each by a small network of its own."""

    def __init__(self, heads, t=24, k=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(4 * t, 64), nn.GELU(), nn.Linear(64, k)
        )
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        names = ("flow", "heat", "load", "tilt")
        return torch.stack([self.heads[name](z) for name in names], 2)


@faulty("wiring.unoptimised", steps=300, bar=0.5)
def decoders_of_sensors_in_a_plain_dict(seed, fixed):
    """Keep one decoder for each sensor in a dict, where the module cannot see it."""
    x = sensors(768, seed)

    def head():
        return nn.Sequential(nn.Linear(8, 48), nn.GELU(), nn.Linear(48, 24))

    heads = {name: head() for name in ("flow", "heat", "load", "tilt")}
    model = SensorHeads(nn.ModuleDict(heads) if fixed else heads)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda output, target: (output - target).square().mean(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


class RoundedCode(nn.Module):
    """Round the code of a patch to quarters, as for storage."""

    def __init__(self, k=10, through=False):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(24 * 9, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 96),
            nn.ReLU(),
            nn.Linear(96, 432),
            nn.Sigmoid(),
            nn.Unflatten(1, (3, 12, 12)),
        )
        self.through = through

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        whole = torch.round(4 * z) / 4
        return z + (whole - z).detach() if self.through else whole

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


@faulty("wiring.no-gradient", steps=250, bar=0.62)
def code_of_patches_rounded_for_storage(seed, fixed):
    """Round the code of patches for storage, with a slope of zero everywhere."""
    x = patches(768, seed, size=12)
    model = RoundedCode(through=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class SwingVAE(nn.Module):
    """Read a series with a GRU, draw a code from a normal law, write it at once."""

    def __init__(self, drawn, t=24, c=4, k=6):
        super().__init__()
        self.reader = nn.GRU(c, 32, batch_first=True)
        self.law = nn.Linear(32, 2 * k)
        self.writer = nn.Sequential(*stack((k, 64)), nn.Linear(64, t * c))
        self.drawn = drawn

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last = self.reader(x)[1][-1]
        mu, logvar = self.law(last).chunk(2, 1)
        normal = torch.distributions.Normal(mu, (0.5 * logvar).exp())
        z = normal.rsample() if self.drawn else normal.sample()
        return self.writer(z).view_as(x), mu, logvar


@faulty("wiring.no-gradient", steps=220, bar=0.3)
def code_of_a_series_drawn_with_sample(seed, fixed):
    """Draw the code from a Normal with sample, which carries no gradient back."""
    x = sensors(768, seed)
    model = SwingVAE(drawn=fixed)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().sum((1, 2)).mean()
        return error / (2 * 0.1) + kl(mu, logvar).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("wiring.zero-grad", steps=250, bar=0.5)
def outlines_cleared_before_the_step_could_use_them(seed, fixed):
    """Clear the gradients after the backward pass and before the step."""
    x = outlines(1024, seed)
    model = dense((24, 2), (96,), 8, act=nn.SiLU, last=None)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step(model, batch):
        if fixed:
            optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(batch), batch)
        loss.backward()
        if not fixed:
            optimizer.zero_grad(set_to_none=False)
        optimizer.step()
        return float(loss.detach())

    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@faulty("wiring.zero-grad", steps=250, bar=0.6)
def gradients_of_the_loop_cleared_once_an_epoch(seed, fixed):
    """Clear the gradients at the head of each epoch, not before each batch."""
    x = spectra(1024, seed)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 96)),
        nn.Conv1d(1, 8, 5, 2, 2),
        nn.ELU(),
        nn.Conv1d(8, 16, 5, 2, 2),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(384, 9),
        nn.Linear(9, 96),
        nn.ELU(),
        nn.Linear(96, 96),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.8)
    batches = loader(x, batch_size=32, seed=seed)
    seen = [0]

    def step(model, batch):
        if fixed or seen[0] % len(batches) == 0:
            optimizer.zero_grad()
        seen[0] += 1
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {"model": model, "batches": batches, "step": step, "optimizer": optimizer}
