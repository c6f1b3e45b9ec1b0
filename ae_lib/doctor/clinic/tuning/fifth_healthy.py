"""Healthy programs that look like the faults which a second look may see."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import healthy


@healthy(steps=250, bar=0.5)
def smoothed_behind_threes_over_twos(seed):
    """Go up by kernels of three with stride two, and smooth by two convolutions."""
    x, y = digits(512, seed, size=16)
    up = [nn.Linear(24, 16 * 16), nn.ELU(), nn.Unflatten(1, (16, 4, 4))]
    for _ in range(2):
        up += [nn.ConvTranspose2d(16, 16, 3, 2, 1, 1), nn.ELU()]
    up += [nn.Conv2d(16, 16, 5, padding=2), nn.ELU(), nn.Conv2d(16, 1, 5, padding=2)]
    model = AE(conv((1, 16, 16), 24).encoder, nn.Sequential(*up))
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


class WithCode(AE):
    """Return the code beside the reconstruction."""

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z).view_as(x), z


def with_code(d, k, act, last=None):
    """Return a dense autoencoder with `act` on the code it returns."""
    encoder = nn.Sequential(nn.Flatten(), *stack((d, 96)), nn.Linear(96, k), act)
    decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, d))
    return WithCode(encoder, decoder.append(last) if last else decoder)


@healthy(steps=300, bar=0.4)
def binary_codes_wanted(seed):
    """Push sigmoid units to 0 and 1 by z (1 - z), to use the code as a hash."""
    x, y = digits(640, seed, size=12)
    model = with_code(144, 32, nn.Sigmoid(), nn.Sigmoid())

    def loss(output, target):
        x_hat, z = output
        return F.mse_loss(x_hat, target) + 1e-3 * (z * (1 - z)).mean()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


@healthy(steps=300, bar=0.3)
def sharp_assignments(seed):
    """Ask for certain choices: the entropy of a softmax code has a small price."""
    x = table(512, seed, d=32, rank=4)
    model = with_code(32, 24, nn.Softmax(1))

    def loss(output, target):
        x_hat, z = output
        entropy = -(z * (z + 1e-8).log()).sum(1).mean()
        return F.mse_loss(x_hat, target) + 1e-2 * entropy

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


@healthy(steps=250, bar=0.5)
def edges_as_well_as_pixels(seed):
    """Compare the differences of neighbours besides the pixels themselves."""
    x = scenes(448, seed)[0]
    model = conv((3, 16, 16), 48, act=nn.SiLU)

    def loss(x_hat, target):
        off = x_hat - target
        across, down = off[..., 1:] - off[..., :-1], off[:, :, 1:] - off[:, :, :-1]
        return off.abs().mean() + across.abs().mean() + down.abs().mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=250, bar=0.6)
def steep_for_a_few_rows(seed):
    """Use SGD near the largest rate that the whole table allows, in big batches."""
    x = table(640, seed, d=30, rank=3)
    model = dense((30,), (), 3, last=None)
    data = loader(x, batch_size=160, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 0.8)}


@healthy(steps=0, bar=0.4)
def good_enough_and_still_learning(seed):
    """Stop when the pictures are good enough for the purpose."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 40, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    with torch.random.fork_rng(devices=[]):
        train(case, 120)
    return case
