"""Eleventh part, f: grids of transposed convolutions, and pictures without detail."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_f_material import gratings, swells
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import detail, no_grid, outputs, train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=-0.8)
def clouds_doubled_by_a_kernel_of_one_at_stride_two(seed, fixed):
    """Double a map with the pointwise kernel of a shortcut, which leaves three gaps."""
    x = swells(704, seed, size=16)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 12),
    )
    wider = (4, 2, 1) if fixed else (1, 2, 0, 1)  # kernel, stride, padding, extra
    decoder = nn.Sequential(
        nn.Linear(12, 384),
        nn.ReLU(),
        nn.Unflatten(1, (24, 4, 4)),
        nn.ConvTranspose2d(24, 16, *wider),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    case = {
        "model": AE(encoder, decoder),
        "batches": loader(x[:640], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "eval_batches": loader(x[640:], shuffle=False),
    }
    case["optimizer"] = adam(case["model"])
    train(case, 500)
    return case


class Painter(nn.Module):
    """Draw three channels from a code, in one leap from four to sixteen pixels."""

    def __init__(self, k: int, *, resize: bool):
        super().__init__()
        self.start = nn.Linear(k, 32 * 16)
        if resize:
            self.leap = nn.Sequential(
                nn.Upsample(scale_factor=4, mode="bilinear"),
                nn.Conv2d(32, 16, 5, padding=2),
            )
        else:
            self.leap = nn.ConvTranspose2d(32, 16, 5, 4, 1, output_padding=1)
        self.finish = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = F.silu(self.start(z)).view(-1, 32, 4, 4)
        return self.finish(F.silu(self.leap(h)))


def no_quarters(case: dict) -> float:
    """Return minus log10 of the output's stripes of stride four over the target's.

    As `measures.no_grid`, at a half and a quarter of the sampling rate.
    """
    _, target, picture = outputs(case)

    def stripes(images: Tensor) -> Tensor:
        images = images - images.mean((-1, -2), keepdim=True)
        power = torch.fft.fft2(images).abs().square()
        at = torch.tensor([1, 2]) * (images.shape[-1] // 4)
        found = power[..., at, :].mean() + power[..., at].mean()
        return found / power.mean()

    return -(stripes(picture) / stripes(target)).log10().item()


@faulty("decoder.checkerboard", steps=0, measure=no_quarters, bar=-0.4)
def haze_enlarged_by_a_kernel_of_five_at_stride_four(seed, fixed):
    """Enlarge coloured haze by four in one step, with a kernel one pixel too wide."""
    x = swells(704, seed, size=16, channels=3)
    encoder = nn.Sequential(
        nn.Flatten(), *stack((768, 160), nn.SiLU), nn.Linear(160, 20)
    )
    case = {
        "model": AE(encoder, Painter(20, resize=fixed)),
        "batches": loader(x[:640], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "eval_batches": loader(x[640:], shuffle=False),
    }
    case["optimizer"] = adam(case["model"])
    train(case, 500)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def quarter_size_pictures_enlarged_as_the_last_act(seed, fixed):
    """Decode to a quarter of the size, and let a bilinear enlargement do the rest."""
    x = gratings(1088, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 24),
    )
    early = [nn.Linear(24, 512), nn.ReLU(), nn.Unflatten(1, (32, 4, 4))]
    if fixed:
        late = [
            nn.ConvTranspose2d(32, 24, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(24, 1, 4, 2, 1),
        ]
    else:
        late = [
            nn.Conv2d(32, 24, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 1, 3, padding=1),
            nn.Upsample(scale_factor=4, mode="bilinear"),
        ]
    case = {
        "model": AE(encoder, nn.Sequential(*early, *late)),
        "batches": loader(x[:1024], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "eval_batches": loader(x[1024:], shuffle=False),
    }
    case["optimizer"] = adam(case["model"])
    train(case, 700)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def pictures_pooled_by_four_before_the_first_layer(seed, fixed):
    """Average over four by four pixels to save time, and miss the fine ripple."""
    x = gratings(1088, seed, wave=4)
    first = nn.Identity() if fixed else nn.AvgPool2d(4)
    encoder = nn.Sequential(
        first,
        nn.Flatten(),
        *stack((256 if fixed else 16, 160), nn.GELU),
        nn.Linear(160, 20),
    )
    decoder = nn.Sequential(
        *stack((20, 160), nn.GELU),
        nn.Linear(160, 256),
        nn.Unflatten(1, (1, 16, 16)),
    )
    case = {
        "model": AE(encoder, decoder),
        "batches": loader(x[:1024], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "eval_batches": loader(x[1024:], shuffle=False),
    }
    case["optimizer"] = adam(case["model"])
    train(case, 800)
    return case
