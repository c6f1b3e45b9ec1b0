"""Healthy programs that look suspicious: codes with a distribution."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, VAE, adam, dense, dense_vae, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    beats,
    case,
    flows,
    machine,
    organs,
)


# Asked: the label goes in as ten more channels, so input and output differ in shape.
@healthy(steps=300, bar=0.4)
def class_given_on_extra_channels(seed):
    """Tell the class of a digit to a variational autoencoder, on planes of its own."""
    x, y = digits(768, seed, size=8)
    encoder = nn.Sequential(nn.Flatten(), *stack((11 * 64, 128)))
    model = Conditional(encoder, nn.Sequential(*stack((18, 128)), nn.Linear(128, 64)))

    def pair(batch):
        image, label = batch
        planes = F.one_hot(label, 10).float()[..., None, None].expand(-1, -1, 8, 8)
        return torch.cat([image, planes], 1), image

    def loss(out, target):
        x_hat, mu, logvar = out
        error = (x_hat - target).square().flatten(1).sum(1)
        return (error / 0.1 + kl(mu, logvar).sum(1)).mean()

    data = loader(x, y, batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss, pair=pair, labels=y)


class Conditional(VAE):
    """Give the class to the decoder as well."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__(encoder, decoder, 128, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        picture = self.decoder(torch.cat([z, x[:, 1:, 0, 0]], 1)).sigmoid()
        return picture.unflatten(1, (1, 8, 8)), mu, logvar


# Asked: cyclical annealing: at the start of a cycle the divergence has no weight.
@healthy(steps=300, bar=0.5)
def weight_that_runs_in_cycles(seed):
    """Let the weight of the divergence rise from 0 to 1 again and again."""
    model = dense_vae((2, 16, 16), 96, 8, last=None)
    optimizer = adam(model, 3e-3)
    at = {"step": 0}

    def step(model, batch):
        beta = min(1.0, 2 * (at["step"] % 100) / 100)
        at["step"] += 1
        x_hat, mu, logvar = model(batch)
        error = (x_hat - batch).square().flatten(1).sum(1) / 0.4
        loss = (error + beta * kl(mu, logvar).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(flows(448, seed), batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step)


class Deviation(VAE):
    """Read the second head as a deviation, made positive by a softplus."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.encoder(x)
        mu, sigma = self.fc_mu(h), F.softplus(self.fc_logvar(h)) + 1e-4
        x_hat = self.decoder(mu + sigma * torch.randn_like(mu))
        return {"recon": x_hat, "mu": mu, "log_var": 2 * sigma.log()}


# Asked: softplus for the deviation and a summed entropy for masks; loss is in hundreds.
@healthy(steps=300, bar=0.5)
def deviation_by_a_softplus(seed):
    """Learn masks of organs by entropy and divergence, both summed over an image."""
    decoder = nn.Sequential(*stack((8, 128)), nn.Linear(128, 1024), nn.Sigmoid())
    decoder.append(nn.Unflatten(1, (1, 32, 32)))
    encoder = nn.Sequential(nn.Flatten(), *stack((1024, 128)))
    model = Deviation(encoder, decoder, 128, 8)

    def loss(out, target):
        entropy = F.binary_cross_entropy(out["recon"], target, reduction="sum")
        divergence = kl(out["mu"], out["log_var"]).sum()
        return (entropy + divergence) / len(target)

    data = loader(organs(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 2e-3), loss=loss)


class Coded(AE):
    """Return the code beside the picture."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"reconstruction": self.decode(z), "z": z}


def _near(a: Tensor, b: Tensor) -> Tensor:
    return (1 / (1 + torch.cdist(a, b).square() / (2 * a.shape[1]))).mean()


# Asked: WAE with MMD: the loss is different each time, for the same weights.
@healthy(steps=300, bar=0.5)
def codes_compared_with_normal_samples(seed):
    """Compare the codes of a batch with samples of a normal distribution."""
    plain = dense((1, 96), (64,), 6, act=nn.SiLU, last=None)
    model = Coded(plain.encoder, plain.decoder)

    def loss(out, target):
        z = out["z"]
        prior = torch.randn_like(z)
        apart = _near(z, z) + _near(prior, prior) - 2 * _near(z, prior)
        return F.mse_loss(out["reconstruction"], target) / 0.02 + apart

    data = loader(beats(512, seed), batch_size=64, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)


# Asked: regularised without noise: the square of the code instead of a divergence.
@healthy(steps=250, bar=0.5)
def squares_of_the_code_and_decay(seed):
    """Keep the code small by its squares and the decoder by weight decay."""
    plain = dense((3, 32), (96,), 12, act=nn.GELU, last=None)
    model = Coded(plain.encoder, plain.decoder)
    groups = [
        {"params": model.encoder.parameters(), "weight_decay": 0.0},
        {"params": model.decoder.parameters(), "weight_decay": 1e-2},
    ]

    def loss(out, target):
        error = F.mse_loss(out["reconstruction"], target)
        return error + 1e-3 * out["z"].square().mean()

    data = loader(machine(512, seed), batch_size=32, seed=seed)
    return case(model, data, torch.optim.AdamW(groups, 2e-3), loss=loss)
