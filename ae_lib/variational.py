"""A variational autoencoder: a code that is drawn, and kept near N(0, 1) by the loss.

Chapter 17 derives both. The network is that of `ConvAutoencoder` with a bottleneck
twice as wide: one half is the mean of the code, the other its log-variance.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.models import Autoencoder, Decoder, Encoder, Shape


class VariationalAutoencoder(Autoencoder):
    """Encode an image as a normal distribution over codes (Kingma and Welling 2014).

    `forward` takes float images (B, C, H, W) in [0, 1] and returns (x_hat, mu, logvar);
    in training x_hat is decoded from a draw, in evaluation from mu. `encode` returns
    mu, (B, latent_dim). Height and width must be multiples of 4. Train it with
    `fit(model, images, loss=negative_elbo(sigma))`.

    >>> model = VariationalAutoencoder(latent_dim=16).eval()
    >>> x_hat, mu, logvar = model(torch.rand(5, 3, 32, 32))
    >>> x_hat.shape, mu.shape, logvar.shape
    (torch.Size([5, 3, 32, 32]), torch.Size([5, 16]), torch.Size([5, 16]))
    """

    def __init__(self, latent_dim: int = 16, image_shape: Shape = (3, 32, 32)):
        super().__init__(latent_dim, image_shape, multiple=4)
        channels, height, width = image_shape
        features = 64 * (height // 4) * (width // 4)
        self.encoder = Encoder(image_shape)
        self.bottleneck = nn.Linear(features, 2 * latent_dim)
        self.decoder = Decoder(latent_dim, image_shape)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the code of each image, (B, latent_dim)."""
        return self.bottleneck(self.encoder(x)).float().chunk(2, dim=1)

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    # A tuple, where the class it inherits from returns the reconstruction alone.
    def forward(  # type: ignore[override]
        self, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.posterior(x)
        z = mu
        if self.training:
            z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        return self.decode(z), mu, logvar


def kl_per_unit(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, 1)) in nats, number by number: (B, k).

    >>> kl_per_unit(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)).tolist()
    [[0.0, 2.0]]
    """
    return (mu.square() + logvar.exp() - 1 - logvar) / 2


def negative_elbo(sigma: float = 0.1, beta: float = 1.0) -> Callable[..., Tensor]:
    """Return the loss of a variational autoencoder, on the scale of the MSE.

    It is -ELBO times 2·sigma²/D, less a constant, for D pixel values with a deviation
    of `sigma` around x_hat: MSE + beta · 2·sigma²/D · KL, the mean over images. `beta`
    is that of Higgins et al. 2017; it acts as a factor on sigma².
    """
    if not sigma > 0 or not beta >= 0:
        raise ValueError(
            f"sigma must be above 0 and beta 0 or more, got sigma={sigma}, beta={beta}"
        )

    def loss(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        x_hat, mu, logvar = output
        kl = kl_per_unit(mu, logvar).sum(dim=1).mean()  # nats per image
        return F.mse_loss(x_hat, x) + beta * 2 * sigma**2 / x[0].numel() * kl

    return loss
