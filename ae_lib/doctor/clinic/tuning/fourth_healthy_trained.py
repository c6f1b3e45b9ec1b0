"""Healthy programs that look suspicious: trained models, codes and penalties."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, conv_vae, dense, elbo, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourth_fit import epochs
from ae_lib.doctor.clinic.tuning.fourth_models import (
    DictVAE,
    SignalAE,
    Tied,
    heartbeats,
    pooled,
    residual,
    spots,
)


def coded(d, k, act, hidden=96, last=nn.Sigmoid):
    """Return a dense autoencoder that hands out its code as well."""
    encoder = nn.Sequential(nn.Flatten(), *stack((d, hidden)), nn.Linear(hidden, k))
    decoder = nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, d), last())
    return Coded(encoder.append(act()), decoder)


class Coded(AE):
    """Return the code beside the reconstruction."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z).view_as(x), z


class Largest(nn.Module):
    """Keep the largest values of each code and set the others to zero."""

    def __init__(self, keep: int):
        super().__init__()
        self.keep = keep

    def forward(self, z: Tensor) -> Tensor:
        value, place = z.topk(self.keep, 1)
        return torch.zeros_like(z).scatter(1, place, value.relu())


@healthy(steps=0, bar=0.5)
def two_thirds_zeros(seed):
    """Penalise a rectified code until most of its entries are zero."""
    x, y = digits(768, seed, size=12)
    model = coded(144, 64, nn.ReLU)

    def loss(output, target):
        recon, z = output
        return F.mse_loss(recon, target) + 5e-4 * z.abs().sum(1).mean()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 500)
    return case


@healthy(steps=300, bar=0.5)
def eight_largest_of_ninety_six(seed):
    """Keep the 8 largest of 96 units for each image."""
    x = scenes(512, seed)[0]
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(768, 96), Largest(8))
    decoder = nn.Sequential(nn.Linear(96, 768), nn.Unflatten(1, (3, 16, 16)))
    model = AE(encoder, decoder)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@healthy(steps=400, bar=0.4)
def mean_activity_of_a_tenth(seed):
    """Ask sigmoid units for a mean activity of 0.1, unit by unit over the batch."""
    x, y = digits(640, seed, size=12)
    model = coded(144, 48, nn.Sigmoid)

    def loss(output, target):
        recon, z = output
        mean = z.mean(0)
        off = 0.1 * (0.1 / mean).log() + 0.9 * (0.9 / (1 - mean)).log()
        return F.mse_loss(recon, target) + 3e-3 * off.mean()

    data = loader(x, y, batch_size=128, seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}


@healthy(steps=300, bar=0.5)
def norm_of_the_jacobian(seed):
    """Penalise the squared norm of the Jacobian of one layer of tanh units."""
    x = heartbeats(512, seed)
    encoder = nn.Sequential(nn.Linear(96, 12), nn.Tanh())
    model = Coded(encoder, nn.Sequential(*stack((12, 64)), nn.Linear(64, 96)))

    def loss(output, target):
        recon, z = output
        rows = model.encoder[0].weight.square().sum(1)
        penalty = ((1 - z.square()).square() * rows).sum(1).mean()
        return F.mse_loss(recon, target) + 1e-4 * penalty

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


@healthy(steps=0, bar=0.8)
def flat_since_long(seed):
    """Train until the loss no longer falls, and show the flat history."""
    x = table(512, seed, d=24, rank=4)
    model = dense((24,), (), 4, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 1e-2)}
    return {**case, "history": epochs(case, 60, 8)}


@healthy(steps=0, bar=0.5)
def small_gap_that_stays(seed):
    """Show a validation loss a little above the training loss, both settled."""
    x, _ = digits(1200, seed, size=8)
    x, rest = x[:1000], x[1000:]
    model = dense((1, 8, 8), (64,), 12, act=nn.ELU)
    case = {"model": model, "batches": loader(x, seed=seed), "eval_batches": [rest]}
    case |= {"optimizer": adam(model, 3e-3)}
    history = epochs(case, 50, 16, rest)
    case["optimizer"].param_groups[0]["lr"] = 3e-4
    more = epochs(case, 20, 16, rest)
    return {**case, "history": {k: history[k] + more[k] for k in more}}


# Source: https://github.com/keras-team/keras/issues/3189
@healthy(steps=0, bar=0.4)
def easier_to_validate(seed):
    """Drop units in training only: the validation loss is the lower one."""
    x, _ = digits(1000, seed, size=12)
    x, rest = x[:800], x[800:]
    model = dense((1, 12, 12), (128,), 16)
    model.encoder.insert(3, nn.Dropout(0.2))
    case = {"model": model, "batches": loader(x, seed=seed), "eval_batches": [rest]}
    case |= {"optimizer": adam(model, 2e-3)}
    return {**case, "history": epochs(case, 70, 13, rest)}


@healthy(steps=0, bar=0.6)
def last_steps_at_a_low_rate(seed):
    """Finish a long training at a hundredth of the first rate."""
    x = heartbeats(512, seed)
    model = SignalAE(96, 8, act=nn.SiLU)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case["optimizer"] = adam(model, 3e-3)
    losses = epochs(case, 60, 8)["train_loss"]
    case["optimizer"].param_groups[0]["lr"] = 3e-5
    return {
        **case,
        "history": {"train_loss": losses + epochs(case, 20, 8)["train_loss"]},
    }


@healthy(steps=0, bar=0.6)
def six_numbers_for_two_spots(seed):
    """Describe two spots by six numbers: the code is small and enough."""
    x = spots(768, seed, size=12)
    model = dense((1, 12, 12), (192, 96), 6, act=nn.ELU)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 900)
    return case


@healthy(steps=0, bar=0.5)
def new_images_of_the_same_kind(seed):
    """Judge a trained network on images it has not seen, prepared as the others."""
    x, y = scenes(640, seed)
    model = pooled((3, 16, 16), 32, width=20, act=nn.ELU)
    case = {"model": model, "batches": loader(x[:512], y[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return {**case, "eval_batches": loader(x[512:], y[512:], shuffle=False)}


@healthy(steps=0, bar=0.5)
def small_beta_on_purpose(seed):
    """Give the divergence a small weight and end with a VAE that reconstructs well."""
    x = patches(384, seed)
    model = conv_vae((3, 16, 16), 16, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"loss": elbo(0.1, 0.01), "optimizer": adam(model)}
    train(case, 300)
    return case


class Clamped(DictVAE):
    """Keep the log-variance between -8 and 4."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h).clamp(-8, 4)
        z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        return {"reconstruction": self.decoder(z), "mu": mu, "logvar": logvar}


@healthy(steps=350, bar=0.4)
def clamped_for_safety(seed):
    """Clamp the log-variance, which no value ever reaches."""
    x = heartbeats(512, seed)
    decoder = nn.Sequential(*stack((8, 96)), nn.Linear(96, 96))
    model = Clamped(nn.Sequential(*stack((96, 96))), decoder, 96, 8)

    def loss(out, target):
        error = (out["reconstruction"] - target).square().sum(1).mean() / 0.02
        divergence = 1 + out["logvar"] - out["mu"].square() - out["logvar"].exp()
        return error - 0.5 * divergence.sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


@healthy(steps=0, bar=0.6)
def trained_axes_with_labels(seed):
    """Train a tied linear code of orthogonal start and pass the labels along."""
    x, y = digits(768, seed, size=8)
    model = Tied(64, 20)
    nn.init.orthogonal_(model.weight)
    case = {"model": model, "batches": loader(x, y, shuffle=False), "labels": y}
    case |= {"optimizer": adam(model)}
    train({**case, "batches": loader(x, seed=seed)}, 300)
    return case


@healthy(steps=0, bar=0.6)
def wide_code_under_noise(seed):
    """Use more units than pixels but train on noisy input: it cannot just copy."""
    x, y = digits(768, seed, size=8)

    def pair(batch):
        return batch[0] + 0.3 * torch.randn_like(batch[0]), batch[0]

    model = dense((1, 8, 8), (128,), 96, act=nn.ReLU, last=None)
    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    case |= {"optimizer": adam(model)}
    train(case, 500)
    return case


@healthy(steps=0, bar=0.6)
def normalised_batches_trained(seed):
    """Train a residual network with batch norm long enough for its statistics."""
    x = patches(512, seed)
    model = residual((3, 16, 16), 48, width=24, act=nn.SiLU)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": torch.optim.AdamW(model.parameters(), 2e-3)}
    train(case, 300)
    return case


@healthy(steps=0, bar=0.6)
def grain_that_stays_behind(seed):
    """Train a wide code on photographs; what is missing is noise-like."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 128, width=24, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 350)
    return case
