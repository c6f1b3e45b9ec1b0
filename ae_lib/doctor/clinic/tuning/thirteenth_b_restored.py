"""Ninth part, b: images that are cleaned, sharpened or seen with other layers."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, patches
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    Corrupted,
    cells,
    glyphs,
    made,
)


class DenoisingUNet(nn.Module):
    """Remove noise with two levels and skips, added to the input as a correction."""

    def __init__(self, c=3, width=12):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(c, width, 3, 1, 1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 2, 1), nn.ReLU())
        self.mid = nn.Sequential(nn.Conv2d(4 * width, width, 3, 1, 1), nn.ReLU())
        self.last = nn.Conv2d(2 * width, c, 3, 1, 1)

    def forward(self, x):
        a = self.one(x)
        b = self.two(a)
        h = F.interpolate(self.deep(b), scale_factor=2, mode="bilinear")
        h = self.mid(torch.cat([h, b], 1))
        h = F.interpolate(h, scale_factor=2, mode="bilinear")
        return x + self.last(torch.cat([h, a], 1))


@healthy(steps=220, bar=0.5)
def unet_denoiser_that_predicts_a_correction(seed):
    """Denoise stained cells with a U-Net; fresh noise is drawn in every epoch."""
    x, g = cells(704, seed), made(seed + 50)
    model = DenoisingUNet()

    def noisy(clean):
        return clean + 0.12 * torch.randn(clean.shape, generator=g)

    held = x[640:]
    return {
        "model": model,
        "batches": Corrupted(loader(x[:640], batch_size=32, seed=seed), noisy),
        "eval_batches": [(noisy(held), held)],
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


@healthy(steps=220, bar=0.5)
def blurred_signs_sharpened(seed):
    """Learn sharp signs from blurred ones, with sub-pixel convolutions on the way."""
    x, _ = glyphs(768, seed)
    blurred = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1)
    model = nn.Sequential(
        nn.Conv2d(1, 24, 3, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(24, 24, 3, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(24, 8, 3, 1, 1),  # (B, 8, 4, 4)
        nn.Conv2d(8, 64, 3, 1, 1),
        nn.PixelShuffle(2),
        nn.LeakyReLU(0.1),
        nn.Conv2d(16, 64, 3, 1, 1),
        nn.PixelShuffle(2),
        nn.LeakyReLU(0.1),
        nn.Conv2d(16, 1, 3, 1, 1),
    )
    return {
        "model": model,
        "batches": loader(blurred, x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


def separable(a, b, stride=1):
    """Return a depthwise and a pointwise convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(a, a, 3, stride, 1, groups=a, bias=False),
        nn.Conv2d(a, b, 1, bias=False),
        nn.BatchNorm2d(b),
        nn.PReLU(b),
    )


@healthy(steps=100, bar=0.6)
def separable_convolutions_under_nesterov(seed):
    """Train depthwise separable convolutions with Nesterov momentum."""
    x = patches(640, seed)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1),
        separable(16, 32, 2),
        separable(32, 48, 2),
        nn.Conv2d(48, 6, 1),  # (B, 6, 4, 4)
        nn.Upsample(scale_factor=2, mode="bilinear"),
        separable(6, 48),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        separable(48, 24),
        nn.Conv2d(24, 3, 3, 1, 1),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, nesterov=True)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}
