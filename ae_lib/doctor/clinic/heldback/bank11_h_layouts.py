"""Eleventh part, h: axes renamed where they ought to have been moved."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_h_material import films, lanterns
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty


class Reel(nn.Module):
    """Squeeze a film with two 3d convolutions, and unroll it again."""

    def __init__(self, k=16):
        super().__init__()
        self.wind = nn.Sequential(
            nn.Conv3d(3, 16, 4, 2, 1),  # (B, 16, 4, 6, 6)
            nn.LeakyReLU(0.1),
            nn.Conv3d(16, 32, 4, 2, 1),  # (B, 32, 2, 3, 3)
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(576, k),
        )
        self.unwind = nn.Sequential(
            nn.Linear(k, 576),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (32, 2, 3, 3)),
            nn.Upsample(scale_factor=2),
            nn.Conv3d(32, 16, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Upsample(scale_factor=2, mode="trilinear"),
            nn.Conv3d(16, 3, 3, padding=1),
        )

    def forward(self, clip: Tensor) -> Tensor:
        return self.unwind(self.wind(clip)).sigmoid()


@faulty("data.layout", steps=200, bar=0.6)
def film_reels_relabelled_for_three_dimensional_convolutions(seed, fixed):
    """Reshape films of (time, height, width, colour) to colour first, and train."""
    frames = films(480, seed)  # (N, 8, 12, 12, 3)
    if fixed:
        clips = frames.permute(0, 4, 1, 2, 3).contiguous()
    else:
        clips = frames.reshape(-1, 3, 8, 12, 12)
    model = Reel()
    return {
        "model": model,
        "batches": loader(clips, batch_size=24, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("data.layout", steps=300, bar=0.75)
def planar_records_read_as_interleaved_ones(seed, fixed):
    """Read rows of all reds, greens and blues as (16, 16, 3), and move colour first."""
    records = (lanterns(800, seed).flatten(1) * 255).round().to(torch.uint8)
    if fixed:
        x = records.view(-1, 3, 16, 16)
    else:
        x = records.view(-1, 16, 16, 3).permute(0, 3, 1, 2)
    x = x.float().div(255).contiguous()
    encoder = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(24, 4, 1),  # a code of 4 x 4 x 4
    )
    decoder = nn.Sequential(
        nn.Conv2d(4, 24, 3, padding=1),
        nn.GELU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(24, 12, 3, padding=1),
        nn.GELU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(12, 3, 3, padding=1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 4e-3),
    }
