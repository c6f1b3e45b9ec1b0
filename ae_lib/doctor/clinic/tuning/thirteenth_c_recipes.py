"""Ninth part, c: working image autoencoders with recipes people use today."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import blobs


class TiedNet(nn.Module):
    """Decode with the transposed matrices of the encoder and biases of its own."""

    def __init__(self, widths=(256, 100, 24)):
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.biases = nn.ParameterList(torch.zeros(a) for a, _ in pairs)

    def encode(self, x):
        h = self.layers[0](x.flatten(1))
        return self.layers[1](F.elu(h))

    def forward(self, x):
        h = F.linear(self.encode(x), self.layers[1].weight.t(), self.biases[1])
        h = F.linear(F.elu(h), self.layers[0].weight.t(), self.biases[0])
        return torch.sigmoid(h).view_as(x)


@healthy(steps=300, bar=0.5)
def elu_network_with_tied_weights(seed):
    """Share the matrices of encoder and decoder, with RMSprop."""
    x, y = digits(768, seed, size=16)
    model = TiedNet()
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=1e-3),
    }


@healthy(steps=300, bar=0.4)
def stochastic_gradients_at_a_rate_of_one(seed):
    """Step at a rate of one with Nesterov momentum, as the mean error needs."""
    x, _ = digits(1024, seed, size=16)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 128)), nn.Linear(128, 24))
    decoder = nn.Sequential(*stack((24, 128)), nn.Linear(128, 256), nn.Sigmoid())
    decoder.append(nn.Unflatten(1, (1, 16, 16)))
    model = AE(encoder, decoder)
    optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9, nesterov=True)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
    }


def _block(a, b, stride):
    return [nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(4, b), nn.Mish()]


@healthy(steps=0, bar=0.6)
def group_norm_and_mish_with_a_cosine_rate(seed):
    """Use group norm, Mish and AdamW, whose rate falls to nothing along a cosine."""
    x = blobs(640, seed, size=12)
    model = nn.Sequential(
        *_block(3, 16, 2),
        *_block(16, 32, 2),
        nn.Conv2d(32, 4, 1),  # (B, 4, 3, 3)
        *_block(4, 32, 1),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.GroupNorm(4, 16),
        nn.Mish(),
        nn.ConvTranspose2d(16, 3, 4, 2, 1),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 240, eta_min=1e-4)

    def step(model, batch):
        loss = F.smooth_l1_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
        return loss.item()

    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    train({**case, "step": step}, 240)
    return {**case, "loss": F.smooth_l1_loss}


class Photos(nn.Module):
    """Squeeze colour patches into 24 numbers, batch norm and PReLU in between."""

    def __init__(self, k=24):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.PReLU(),
            nn.Conv2d(16, 32, 4, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.PReLU(),
            nn.Flatten(),
            nn.Linear(288, k),
        )
        self.up = nn.Sequential(
            nn.Linear(k, 288),
            nn.PReLU(),
            nn.Unflatten(1, (32, 3, 3)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.PReLU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
        )

    def forward(self, x):
        return {"recon": torch.sigmoid(self.up(self.down(x)))}


@healthy(steps=0, bar=0.5)
def averaged_weights_of_the_last_epochs(seed):
    """Average the weights of the last epochs and renew the batch statistics."""
    x = patches(640, seed, size=12)
    model = Photos()
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 80)
    mean = copy.deepcopy(model.state_dict())
    for count in range(1, 6):
        train(case, 10)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                mean[name] += (value - mean[name]) / (count + 1)
    model.load_state_dict(mean)
    with torch.no_grad():
        for batch in x.split(64):
            model.train()(batch)
    return case


class SceneVAE(nn.Module):
    """Model colour scenes with a convolutional VAE of 16 units, leaky units inside."""

    def __init__(self, k=16):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.mu, self.logvar = nn.Linear(512, k), nn.Linear(512, k)
        self.up = nn.Sequential(
            nn.Linear(k, 512),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        h = self.down(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp() if self.training else mu
        return self.up(z), mu, logvar


@healthy(steps=0, bar=0.35)
def convolutional_vae_with_a_few_idle_units(seed):
    """Sum squared errors and divergence over a batch, and divide by its size."""
    x, y = scenes(512, seed, size=16)
    model = SceneVAE()

    def loss(output, target):
        recon, mu, logvar = output
        error = 5 * (recon - target).square().sum()
        kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
        return (error + kl) / len(target)

    case = {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": loss,
    }
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 240)
    return case
