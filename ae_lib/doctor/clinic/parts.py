"""Ordinary autoencoders and losses, for programs whose fault lies elsewhere."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AE(nn.Module):
    """Join an encoder and a decoder."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def stack(widths, act=nn.ReLU) -> list[nn.Module]:
    """Return linear layers between the widths, each followed by `act`."""
    layers = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b), act()]
    return layers


def dense(shape, hidden=(128,), k=16, act=nn.ReLU, last=nn.Sigmoid) -> AE:
    """Return a fully connected autoencoder for inputs of `shape` (C, H, W) or (d,)."""
    d = torch.Size(shape).numel()
    encoder = [*stack((d, *hidden), act), nn.Linear((d, *hidden)[-1], k)]
    decoder = [*stack((k, *hidden[::-1]), act), nn.Linear((k, *hidden[::-1])[-1], d)]
    if len(shape) > 1:
        encoder.insert(0, nn.Flatten())
    decoder += [last()] if last else []
    decoder += [nn.Unflatten(1, tuple(shape))] if len(shape) > 1 else []
    return AE(nn.Sequential(*encoder), nn.Sequential(*decoder))


def conv(shape, k=32, width=16, act=nn.ReLU, last=nn.Sigmoid, norm=False) -> AE:
    """Return a convolutional autoencoder: two strides down, a dense code, two up."""
    c, size = shape[0], shape[-1] // 4
    wide = 2 * width

    def block(layer, channels):
        return [layer, *([nn.BatchNorm2d(channels)] if norm else []), act()]

    encoder = nn.Sequential(
        *block(nn.Conv2d(c, width, 3, 2, 1), width),  # (B, width, S/2, S/2)
        *block(nn.Conv2d(width, wide, 3, 2, 1), wide),  # (B, wide, S/4, S/4)
        nn.Flatten(),
        nn.Linear(wide * size * size, k),  # (B, k)
    )
    decoder = nn.Sequential(
        nn.Linear(k, wide * size * size),
        act(),
        nn.Unflatten(1, (wide, size, size)),
        *block(nn.ConvTranspose2d(wide, width, 4, 2, 1), width),
        nn.ConvTranspose2d(width, c, 4, 2, 1),  # (B, c, S, S)
        *([last()] if last else []),
    )
    return AE(encoder, decoder)


class VAE(nn.Module):
    """Put a Gaussian code between an encoder of `width` features and a decoder."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, width: int, k: int):
        super().__init__()
        self.encoder = encoder
        self.fc_mu = nn.Linear(width, k)
        self.fc_logvar = nn.Linear(width, k)
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.fc_mu(self.encoder(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


def dense_vae(shape, hidden=128, k=8, last=nn.Sigmoid) -> VAE:
    """Return a fully connected VAE."""
    d = torch.Size(shape).numel()
    encoder = nn.Sequential(nn.Flatten(), *stack((d, hidden)))
    decoder = nn.Sequential(*stack((k, hidden)), nn.Linear(hidden, d))
    if last:
        decoder.append(last())
    decoder.append(nn.Unflatten(1, tuple(shape)))
    return VAE(encoder, decoder, hidden, k)


def conv_vae(shape, k=8, width=16, last=nn.Sigmoid) -> VAE:
    """Return a convolutional VAE on the layers of `conv`."""
    plain = conv(shape, k, width, last=last)
    features = plain.encoder[-1].in_features
    return VAE(plain.encoder[:-1], plain.decoder, features, k)


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the divergence from N(0, 1), one value per sample and unit."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def elbo(beta: float = 1.0, variance: float = 0.1):
    """Return a VAE loss: squared error / (2 variance) + beta KL, mean over samples."""

    def loss(output, target: Tensor) -> Tensor:
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target)
        return error / (2 * variance) + beta * kl(mu, logvar).sum(1).mean()

    return loss


def adam(model: nn.Module, lr: float = 2e-3) -> torch.optim.Adam:
    """Return Adam over all parameters."""
    return torch.optim.Adam(model.parameters(), lr)


def sgd(model: nn.Module, lr: float, **options) -> torch.optim.SGD:
    """Return SGD over all parameters."""
    return torch.optim.SGD(model.parameters(), lr, **options)
