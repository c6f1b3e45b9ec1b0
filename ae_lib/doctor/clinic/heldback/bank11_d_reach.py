"""Eleventh part, d: ends that cannot reach, and losses that ask for something else."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import (
    clips,
    murals,
    panel,
    shares,
    tremors,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import outputs
from ae_lib.doctor.clinic.parts import AE, VAE, adam, conv, dense, stack
from ae_lib.doctor.clinic.program import faulty


class Recurrent(nn.Module):
    """Read with an LSTM, and write its last state back with one or two more."""

    def __init__(self, channels, units, steps, head):
        super().__init__()
        self.steps = steps
        self.reader = nn.LSTM(channels, units, batch_first=True)
        self.bottleneck = nn.Linear(units, 6)
        self.writer = nn.LSTM(6, units, batch_first=True)
        if head:
            self.last = nn.Linear(units, channels)
        else:
            self.last = nn.LSTM(units, channels, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        _, (state, _) = self.reader(x)
        z = self.bottleneck(state[-1])
        written, _ = self.writer(z[:, None].repeat(1, self.steps, 1))
        made = self.last(written)
        return made[0] if isinstance(made, tuple) else made


@faulty("output.range", steps=400, bar=0.8)
def hidden_state_of_the_last_lstm_as_the_record(seed, fixed):
    """Take the last LSTM's hidden state for standardised records, without a head."""
    model = Recurrent(4, 48, 24, fixed)
    return {
        "model": model,
        "batches": loader(tremors(768, seed), batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 5e-3),
    }


@faulty("output.range", steps=300, bar=0.6)
def softmax_over_indicators_that_are_no_shares(seed, fixed):
    """End in a softmax because all indicators lie between zero and one."""
    last = nn.Sigmoid() if fixed else nn.Softmax(dim=-1)
    model = AE(
        nn.Sequential(*stack((24, 48), nn.ELU), nn.Linear(48, 5)),
        nn.Sequential(*stack((5, 48), nn.ELU), nn.Linear(48, 24), last),
    )
    return {
        "model": model,
        "batches": loader(panel(1024, seed), seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@faulty("loss.domain", steps=400, bar=0.6)
def shares_given_to_the_divergence_without_logarithm(seed, fixed):
    """Give softmax shares to KLDivLoss, which wants their logarithms."""
    model = dense((12,), (48,), 4, act=nn.Tanh, last=lambda: nn.Softmax(dim=1))
    divergence = nn.KLDivLoss(reduction="batchmean")

    def loss(output, target):
        return divergence((output + 1e-9).log() if fixed else output, target)

    return {
        "model": model,
        "batches": loader(shares(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean structural similarity over windows of 5 x 5."""

    def mean(x):
        return F.avg_pool2d(x, 5, 1)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma**2, mean(b * b) - mb**2
    both = mean(a * b) - ma * mb
    top = (2 * ma * mb + 1e-4) * (2 * both + 9e-4)
    return (top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()


@faulty("loss.domain", steps=300, bar=0.5)
def structural_similarity_minimised(seed, fixed):
    """Add the structural similarity itself to the error, not one minus it."""
    model = conv((3, 16, 16), 12, 12, act=nn.LeakyReLU)

    def loss(output, target):
        alike = similarity(output, target)
        far = F.l1_loss(output, target)
        return far + 0.2 * (1 - alike if fixed else alike)

    return {
        "model": model,
        "batches": loader(murals(768, seed), batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@faulty("loss.scale", steps=300, bar=0.6)
def smoothness_summed_over_every_pixel(seed, fixed):
    """Add a total variation summed over the batch to an error averaged over it."""
    model = conv((3, 16, 16), 10, 12, act=nn.ELU)

    def rough(picture):
        down = (picture[..., 1:, :] - picture[..., :-1, :]).abs()
        right = (picture[..., 1:] - picture[..., :-1]).abs()
        if fixed:
            return down.mean() + right.mean()
        return down.sum() + right.sum()

    def loss(output, target):
        return F.mse_loss(output, target) + 1e-2 * rough(output)

    return {
        "model": model,
        "batches": loader(murals(768, seed), batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@torch.no_grad()
def near_the_prior(case: dict) -> float:
    """Return minus the mean divergence, in nats a unit, of the codes from N(0, 1)."""
    x, _, _ = outputs(case)
    _, mu, logvar = case["model"](x)
    each = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return -each.mean().item()


@faulty("loss.scale", steps=400, measure=near_the_prior, bar=-3.2)
def divergence_averaged_beneath_a_summed_error(seed, fixed):
    """Sum the error of a batch of clips, and average the divergence over all units."""
    encoder = nn.Sequential(
        nn.Conv1d(1, 12, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(12, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        *stack((512, 64)),
    )
    decoder = nn.Sequential(
        *stack((6, 64, 128)), nn.Linear(128, 128), nn.Unflatten(1, (1, 128))
    )
    model = VAE(encoder, decoder, 64, 6)

    def loss(output, target):
        made, mu, logvar = output
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp())
        error = F.mse_loss(made, target, reduction="sum")
        if fixed:
            return (error / 0.2 + kl.sum()) / len(target)
        return error / 0.2 + kl.mean()

    return {
        "model": model,
        "batches": loader(clips(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }
