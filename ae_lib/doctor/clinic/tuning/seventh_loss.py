"""Losses and last layers that do not fit, from a seventh round of questions."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    ConvVae,
    Fc,
    ResNet,
    Wave,
    beats,
    climate,
    kld,
    lines,
    squared,
)


class HiddenState(nn.Module):
    """Write a signal with an LSTM, with or without a layer behind it."""

    def __init__(self, step=8, k=12, layer=False):
        super().__init__()
        self.encoder = nn.LSTM(step, 40, batch_first=True)
        self.bottleneck = nn.Linear(40, k)
        self.decoder = nn.LSTM(k, 40 if layer else step, batch_first=True)
        self.output_layer = nn.Linear(40, step) if layer else nn.Identity()
        self.step = step

    def forward(self, x):
        x = x.unflatten(1, (-1, self.step))
        _, (h, _) = self.encoder(x)
        z = self.bottleneck(h[-1]).unsqueeze(1).repeat(1, x.shape[1], 1)
        return self.output_layer(self.decoder(z)[0]).flatten(1)


# Asked: the peaks of my ECG are cut off at 1 although the data is standardised.
@faulty("output.range", steps=300, bar=0.7)
def hidden_state_is_the_output(seed, fixed):
    """Return the hidden state of the second LSTM, which lies between -1 and 1."""
    x = beats(512, seed)
    x = (x - x.mean()) / x.std()
    model = HiddenState(layer=fixed)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 1e-2)}


# Asked: https://github.com/AliJalalifar/Character_Animation/issues/3 (relu, mean zero)
@faulty("output.range", accepts=("signal.dead-units",), steps=200, bar=0.4)
def decibels_behind_a_relu(seed, fixed):
    """Put a rectifier last although a spectrum in decibels is mostly negative."""
    x = (lines(512, seed) + 1e-3).log10() * 10 / 15
    model = Fc((64,), 96, 12, last=None if fixed else F.relu)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class Viewed(ResNet):
    """Clamp what the network draws, so that imshow does not complain."""

    low = 0.0

    def forward(self, x):
        return super().forward(x).clamp(self.low, 1.0)


# Asked: https://github.com/AntixK/PyTorch-VAE/issues/108 (ranges of output and data)
@faulty("output.range", steps=250, bar=0.6)
def clamped_for_the_viewer(seed, fixed):
    """Clamp the output to [0, 1]; the pictures are normalised to [-1, 1]."""
    x = (patches(448, seed, size=24) - 0.5) / 0.5
    model = Viewed((3, 24, 24), 48, last=None)
    model.low = -1.0 if fixed else 0.0
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


def _by_hand(output, target):
    p = output.clamp(1e-6, 1 - 1e-6)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


# Asked: https://github.com/keras-team/keras/issues/2841 (the loss becomes negative)
@faulty("loss.domain", accepts=("output.range",), steps=200, bar=0.4)
def cross_entropy_below_zero(seed, fixed):
    """Take a binary cross-entropy of pictures normalised to mean 0.5 and scale 0.5."""
    x, _ = digits(640, seed, size=16)
    x = x if fixed else (x - 0.5) / 0.5
    model = Cae((1, 16, 16), 24)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": _by_hand}
    return {**case, "optimizer": adam(model, 3e-3)}


# Asked: PoissonNLLLoss for counts, my output is positive but far too small.
@faulty("loss.domain", steps=250, bar=0.3)
def poisson_loss_that_expects_logarithms(seed, fixed):
    """Give rates to a Poisson loss whose default is to take logarithms of rates."""
    x = torch.poisson(12 * lines(640, seed))
    model = Fc((64,), 96, 12, last=F.softplus)
    loss = nn.PoissonNLLLoss(log_input=not fixed)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": lambda output, target: loss(output, target),
        "optimizer": adam(model, 3e-3),
    }


class ChannelKept(Wave):
    """Keep the axis of channels that convolutions want, or drop it again."""

    squeeze = False

    def forward(self, x):
        x_hat = super().forward(x).unsqueeze(1)  # (B, 1, T)
        return x_hat.squeeze(1) if self.squeeze else x_hat


# Asked: "UserWarning: Using a target size that is different to the input size"
@faulty("loss.domain", accepts=("data.target",), steps=250, bar=0.5)
def broadcast_over_the_batch(seed, fixed):
    """Compare (B, 1, T) with (B, T): each output with the signal of everybody."""
    x = climate(512, seed, 96)
    model = ChannelKept(96, 12)
    model.squeeze = fixed
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda output, target: ((output - target) ** 2).mean(),
        "optimizer": adam(model, 3e-3),
    }


# Asked: https://github.com/zdebruine/MMVAE/pull/19 (MSE is a mean, KL a sum)
@faulty("loss.scale", accepts=("vae.collapse",), steps=250, bar=0.3)
def mean_of_pixels_and_sum_of_divergences(seed, fixed):
    """Average the error over pixels and images; sum the divergence over everything."""
    x, _ = scenes(448, seed, 24)
    model = ConvVae((3, 24, 24), 12)

    def loss(output, target):
        x_hat, mu, log_var = output
        if fixed:
            return 10 * squared(x_hat, target).mean() + kld(mu, log_var).mean()
        return F.mse_loss(x_hat, target) + kld(mu, log_var).sum()

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Clustered(Fc):
    """Return the reconstruction and the code, and know some cluster centres."""

    def __init__(self, shape, k, clusters):
        super().__init__(shape, 128, k)
        self.register_buffer("centres", torch.randn(clusters, k))

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z).view_as(x), z


# Asked: deep clustering, the two losses are added and the pictures become prototypes.
# Like: https://github.com/danieltan07/dagmm/issues/25 (the sum of several losses)
@faulty("loss.scale", steps=250, bar=0.5)
def distances_to_centres_as_a_sum(seed, fixed):
    """Add distances to cluster centres, summed over the batch, to a mean error."""
    x, _ = digits(768, seed, size=16)
    model = Clustered((1, 16, 16), 16, 10)

    def loss(output, target):
        x_hat, z = output
        away = torch.cdist(z, model.centres).square().min(1).values
        if fixed:
            return F.mse_loss(x_hat, target) + 1e-4 * away.mean()
        return F.mse_loss(x_hat, target) + away.sum()

    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": adam(model)}
