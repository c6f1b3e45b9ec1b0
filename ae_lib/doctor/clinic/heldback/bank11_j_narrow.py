"""Eleventh part, j: codes with fewer numbers than the data have causes."""

import torch
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_j_material import chords, panel
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("code.too-small", steps=400, bar=0.75)
def two_axes_of_a_scatter_plot_for_ten_causes(seed, fixed):
    """Squeeze a table of ten causes into two numbers, as the report has a plot."""
    axes = 10 if fixed else 2
    down = nn.Sequential(*stack((30, 64, 32), nn.GELU), nn.Linear(32, axes))
    up = nn.Sequential(*stack((axes, 32, 64), nn.GELU), nn.Linear(64, 30))
    net = AE(down, up)
    return {
        "model": net,
        "batches": loader(panel(1536, seed), batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(net, 4e-3),
    }


class Listener(nn.Module):
    """Listen to a frame, cut into slices, with a GRU, and sing it from its summary."""

    def __init__(self, pieces=6, wide=48, summary=8):
        super().__init__()
        self.pieces = pieces
        self.ear = nn.GRU(48 // pieces, wide, batch_first=True)
        self.summary = nn.Linear(wide, summary)
        self.voice = nn.Sequential(*stack((summary, 96), nn.SiLU), nn.Linear(96, 48))

    def encode(self, x: Tensor) -> Tensor:
        heard, _ = self.ear(x.unflatten(1, (self.pieces, -1)))
        return self.summary(heard[:, -1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.voice(z), z


@faulty("code.too-small", steps=500, bar=0.6)
def one_number_per_frame_of_eight_tones(seed, fixed):
    """Keep one number of each frame of eight tones, to reach a boasted ratio."""
    net = Listener(summary=8 if fixed else 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)

    def step(model, frames):
        model.train()
        sung, _ = model(frames)
        loss = (sung - frames).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        return loss.item()

    return {
        "model": net,
        "batches": loader(chords(1536, seed), batch_size=64, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
