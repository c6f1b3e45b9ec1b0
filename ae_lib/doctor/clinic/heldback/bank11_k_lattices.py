"""Eleventh part, k: decoders that weave a grid into smooth pictures."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_k_material import lanterns
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import no_grid
from ae_lib.doctor.clinic.parts import AE, adam, kl, stack
from ae_lib.doctor.clinic.program import faulty


def down(c: int, *widths: int) -> list[nn.Module]:
    """Return convolutions of stride two with a leaky ramp."""
    layers = []
    for a, b in zip((c, *widths[:-1]), widths, strict=True):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.1)]
    return layers


@faulty("decoder.checkerboard", steps=250, measure=no_grid, bar=-0.5)
def lamps_drawn_with_three_wide_deconvolutions(seed, fixed):
    """Double the size twice with transposed kernels of three, out of habit."""
    x = lanterns(768, seed)
    if fixed:
        up = [
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(32, 16, 3, 1, 1),
            nn.LeakyReLU(0.1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(16, 1, 3, 1, 1),
        ]
    else:
        up = [
            nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(16, 1, 3, 2, 1, output_padding=1),
        ]
    encoder = [*down(1, 16, 32), nn.Flatten(), nn.Linear(512, 6)]
    decoder = [nn.Linear(6, 512), nn.LeakyReLU(0.1), nn.Unflatten(1, (32, 4, 4)), *up]
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
    }


class Atlas(nn.Module):
    """Draw maps from a Gaussian code, enlarged from four by four."""

    def __init__(self, fixed: bool, k: int = 12):
        super().__init__()
        self.survey = nn.Sequential(*down(3, 16, 32), nn.Flatten())
        self.heads = nn.ModuleList([nn.Linear(512, k), nn.Linear(512, k)])
        self.start = nn.Sequential(
            *stack((k, 512), nn.SiLU), nn.Unflatten(1, (32, 4, 4))
        )
        smooth = nn.Upsample(scale_factor=4, mode="bilinear")
        last = (
            [smooth, nn.Conv2d(16, 16, 3, 1, 1), nn.SiLU(), nn.Conv2d(16, 3, 3, 1, 1)]
            if fixed
            else [nn.ConvTranspose2d(16, 3, 3, 4, 0, output_padding=1)]
        )
        self.up = nn.Sequential(nn.Conv2d(32, 16, 3, 1, 1), nn.SiLU(), *last)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.survey(x)
        mu, logvar = (head(h) for head in self.heads)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return {"x_hat": self.up(self.start(z)), "mu": mu, "logvar": logvar}


@faulty("decoder.checkerboard", steps=600, measure=no_grid, bar=-0.7)
def an_atlas_enlarged_fourfold_by_threes(seed, fixed):
    """Enlarge a VAE's maps by four at one go, with a transposed kernel of three."""
    x = lanterns(768, seed)
    x = x * torch.rand(768, 3, 1, 1)
    model = Atlas(fixed)

    def loss(output, target):
        error = (output["x_hat"] - target).square().flatten(1).sum(1).mean()
        return error + 0.02 * kl(output["mu"], output["logvar"]).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 4e-3),
    }
