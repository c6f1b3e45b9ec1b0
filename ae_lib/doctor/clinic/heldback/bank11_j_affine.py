"""Eleventh part, j: networks whose bends were lost on the way."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_j_material import bars, peaks
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty


class Funnel(nn.Module):
    """Narrow a curve down to three numbers over lists of layers and of bends."""

    def __init__(self, widths=(64, 96, 48, 3), bent=True):
        super().__init__()
        self.bent = bent
        down = zip(widths[:-1], widths[1:], strict=True)
        up = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.down = nn.ModuleList(nn.Linear(a, b) for a, b in down)
        self.up = nn.ModuleList(nn.Linear(a, b) for a, b in up)
        self.bend = nn.Mish()

    def walk(self, x: Tensor, rungs: nn.ModuleList) -> Tensor:
        *inner, last = rungs
        for rung in inner:
            x = self.bend(rung(x)) if self.bent else rung(x)
        return last(x)

    def encode(self, x: Tensor) -> Tensor:
        return self.walk(x, self.down)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"recon": self.walk(z, self.up), "z": z}


@faulty("signal.linear", steps=600, bar=0.92)
def mish_declared_and_never_called_on_the_way(seed, fixed):
    """Declare the activation in the constructor, and loop over the layers alone."""
    net = Funnel(bent=fixed)
    return {
        "model": net,
        "batches": loader(peaks(1024, seed), batch_size=64, seed=seed),
        "loss": lambda out, target: (out["recon"] - target).square().mean(),
        "optimizer": adam(net, 3e-3),
    }


BENDS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU}


def bend(options: dict) -> nn.Module:
    """Look the activation up by its name in a file of options."""
    return BENDS.get(options["activation"], nn.Identity)()


class Stripes(nn.Module):
    """Build a convolutional autoencoder of soft bars from a file of options."""

    def __init__(self, options: dict):
        super().__init__()
        w, k = options["width"], options["latent"]
        self.encoder = nn.Sequential(
            nn.Conv2d(1, w, 4, 2, 1),
            bend(options),
            nn.Conv2d(w, 2 * w, 4, 2, 1),
            bend(options),
            nn.Flatten(),
            nn.Linear(32 * w, 64),
            bend(options),
            nn.Linear(64, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 64),
            bend(options),
            nn.Linear(64, 32 * w),
            bend(options),
            nn.Unflatten(1, (2 * w, 4, 4)),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1),
            bend(options),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


@faulty("signal.linear", steps=300, bar=0.85)
def leaky_relu_with_a_hyphen_in_the_options(seed, fixed):
    """Spell the activation with a hyphen, where the table of names falls back."""
    name = "leaky_relu" if fixed else "leaky-relu"
    net = Stripes({"width": 12, "latent": 6, "activation": name})
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)

    def step(model, batch):
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": net,
        "batches": loader(bars(1024, seed), batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
