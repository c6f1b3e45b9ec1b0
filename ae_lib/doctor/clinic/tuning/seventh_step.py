"""Steps that are too large, too small or not finite, from a seventh round."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    Recurrent,
    Wave,
    beats,
    climate,
    lamps,
    squared,
)


# Asked: the learning rate finder says 0.2 for Adam; a grey picture from then on.
@faulty("step.too-large", accepts=("signal.dead-units",), steps=150, bar=0.4)
def rate_of_a_finder_at_its_minimum(seed, fixed):
    """Take the rate at the minimum of the finder's curve, not a tenth of it."""
    x, _ = scenes(448, seed, 24)
    model = Cae((3, 24, 24), 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 if fixed else 0.2)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


def _summed(output, target):
    return squared(output, target).mean()


# Asked: https://github.com/keras-team/keras/issues/18919 (with SGD the loss is NaN)
@faulty("step.too-large", accepts=("step.nonfinite",), steps=200, bar=0.4)
def classifier_rate_for_a_sum_of_squares(seed, fixed):
    """Use SGD with 0.1 and momentum 0.9 for an error summed over the pixels."""
    x = patches(448, seed, size=16)
    model = Fc((3, 16, 16), 96, 24, last=None)
    rate = 3e-4 if fixed else 0.1
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": _summed}
    return {**case, "optimizer": optimizer}


# Asked: LSTM autoencoder with Adam(lr=0.3), a flat line for each of my series.
@faulty("step.too-large", steps=250, bar=0.35)
def recurrent_network_at_a_rate_for_descent(seed, fixed):
    """Keep the 0.3 of plain descent when Adam takes its place."""
    x = climate(512, seed, 48, 4)
    model = Recurrent(32, 8, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3 if fixed else 0.3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: https://github.com/keras-team/keras/issues/1604 (loss: 0.1580 in each epoch)
@faulty("step.too-small", steps=200, bar=0.3)
def sgd_of_an_old_issue(seed, fixed):
    """Train two dense layers by SGD with a rate of 0.001 and a momentum of 0.1."""
    x, _ = digits(768, seed, size=28)
    encoder, decoder = nn.Linear(784, 100), nn.Linear(100, 784)
    model = nn.Sequential(nn.Flatten(), encoder, decoder, nn.Unflatten(1, (1, 28, 28)))
    rate, momentum = (0.3, 0.9) if fixed else (0.001, 0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: https://github.com/CompVis/latent-diffusion/issues/309 (1e-6 from scratch)
@faulty("step.too-small", steps=200, bar=0.4)
def rate_for_fine_tuning_from_scratch(seed, fixed):
    """Train from scratch at 1e-6, the rate of a config for large batches."""
    x = lamps(448, seed)
    model = Cae((3, 24, 24), 24, norm=nn.BatchNorm2d, act=nn.SiLU)
    rate = 2e-3 if fixed else 1e-6
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.9))
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: ReduceLROnPlateau reduces in each epoch although the loss falls; mode="max"?
@faulty("step.too-small", accepts=("fit.undertrained",), steps=150, bar=0.55)
def plateau_that_waits_for_a_rise(seed, fixed):
    """Tell the scheduler to wait for a higher loss: the rate shrinks each epoch."""
    x, _ = digits(640, seed, size=16)
    model = Fc((1, 16, 16), 128, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="min" if fixed else "max",
        factor=0.1,
        patience=5 if fixed else 0,
    )
    seen = []

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
        if len(seen) % 10 == 0:
            scheduler.step(sum(seen[-10:]) / 10)
        return loss.item()

    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    case["step"] = step
    train(case, 100)
    return case


def _entropy(p, target):
    return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()


# Asked: https://github.com/hwalsuklee/tensorflow-mnist-VAE/issues/4 (sometimes NaN)
@faulty("step.nonfinite", accepts=("loss.domain",), steps=400, bar=0.3)
def logarithm_without_an_epsilon(seed, fixed):
    """Write the cross-entropy by hand; a white frame drives a sigmoid to exactly 1."""
    x, _ = digits(640, seed, size=12)
    x = F.pad(x, (2, 2, 2, 2), value=1.0)
    model = Fc((1, 16, 16), 128, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = loader(x, batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": F.binary_cross_entropy if fixed else _entropy,
        "optimizer": optimizer,
    }


class WithCode(Wave):
    """Return the signal and the code, for a term on the code."""

    def forward(self, x):
        z = self.encode(x)
        return self.dec(z), z


# Asked: VICReg term in my autoencoder, nan after the first epoch (385 rows).
@faulty("step.nonfinite", steps=150, bar=0.5)
def deviation_of_a_single_row(seed, fixed):
    """Take the deviation over the batch; the last batch of an epoch has one row."""
    x = beats(385, seed)
    model = WithCode(96, 8)

    def loss(output, target):
        x_hat, z = output
        hinge = F.relu(1 - z.std(dim=0)).mean()
        return F.mse_loss(x_hat, target) + 0.01 * hinge

    made = torch.Generator().manual_seed(seed)
    batches = DataLoader(x, 32, shuffle=True, drop_last=fixed, generator=made)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}
