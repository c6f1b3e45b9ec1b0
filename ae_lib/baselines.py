"""What any autoencoder has to beat: the mean image, and principal components.

Both are called like an autoencoder: `encode`, `decode`, and the object itself for a
reconstruction, on float images (N, C, H, W) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ae_lib.data import Images, to_unit

CHUNK = 5_000  # images held as float32 at a time: 61 MB for 3 x 32 x 32


@dataclass(frozen=True)
class MeanImage:
    """Answer every image with the mean of the training images: a code of length 0."""

    mean: Tensor  # (C, H, W)

    @classmethod
    def fit(cls, images: Images | Tensor) -> MeanImage:
        """Average Images, uint8 or float images in [0, 1], (N, C, H, W)."""
        pixels = _pixels(images)
        parts = (to_unit(part).double().sum(dim=0) for part in pixels.split(CHUNK))
        total = sum(parts, torch.zeros(()))
        return cls((total / len(pixels)).float())

    def encode(self, x: Tensor) -> Tensor:
        return _checked(x, self.mean).new_empty(len(x), 0)  # (N, 0)

    def decode(self, z: Tensor) -> Tensor:
        return self.mean.expand(len(z), *self.mean.shape)  # (N, C, H, W)

    def __call__(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@dataclass(frozen=True)
class PCA:
    """Reconstruct from the directions of largest variance: the best linear code.

    No linear autoencoder with codes of the same length has a smaller mean squared
    error on the training images. That error is the sum of the variances left out,
    divided by C*H*W.
    """

    mean: Tensor  # (C, H, W)
    components: Tensor  # (latent_dim, C*H*W), orthonormal rows
    variances: Tensor  # (latent_dim,), largest first, divided by N and not N - 1

    @classmethod
    def fit(
        cls, images: Images | Tensor, latent_dim: int, *, mirrored: bool = False
    ) -> PCA:
        """Fit to Images, uint8 or float images in [0, 1], (N, C, H, W).

        `latent_dim` is at most N - 1 and at most C*H*W, otherwise ValueError. With
        50,000 images of 3 x 32 x 32 it takes about 10 to 20 seconds on two cores.
        `mirrored` counts the mirror image of each image too: for photographs, of which
        either is as likely, that is twice the data, and twice the seconds.
        """
        pixels = _pixels(images)
        if mirrored:
            pixels = torch.cat([pixels, pixels.flip(3)])
        n, d = len(pixels), pixels[0].numel()
        if not 1 <= latent_dim <= min(n - 1, d):
            raise ValueError(
                f"latent_dim must be from 1 to {min(n - 1, d)} for {n} images of "
                f"{d} values, got {latent_dim}"
            )
        mean = MeanImage.fit(pixels).mean
        principal = _from_covariance if d <= n else _from_inner_products
        components, variances = principal(pixels, mean, latent_dim)
        return cls(mean, components.float(), variances.float())

    def encode(self, x: Tensor) -> Tensor:
        x = _checked(x, self.mean)
        return (x - self.mean).flatten(1) @ self.components.T  # (N, latent_dim)

    def decode(self, z: Tensor) -> Tensor:
        x_hat = z @ self.components  # (N, C*H*W)
        return x_hat.unflatten(1, self.mean.shape) + self.mean  # (N, C, H, W)

    def __call__(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def truncate(self, latent_dim: int) -> PCA:
        """Keep the first components: the PCA that a fit of that length would give."""
        if not 1 <= latent_dim <= len(self.components):
            raise ValueError(
                f"latent_dim must be from 1 to {len(self.components)}, the number of "
                f"components that were fitted, got {latent_dim}"
            )
        k = latent_dim
        return PCA(self.mean, self.components[:k], self.variances[:k])


def _from_covariance(pixels: Tensor, mean: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Take the leading eigenvectors of the (D, D) covariance matrix."""
    d = mean.numel()
    covariance = torch.zeros(d, d, dtype=torch.float64)
    for part in pixels.split(CHUNK):
        x = (to_unit(part).float() - mean).flatten(1)  # (B, D)
        covariance += x.T @ x
    values, vectors = torch.linalg.eigh(covariance / len(pixels))  # smallest first
    return _fix_signs(vectors.T.flip(0)[:k]), values.flip(0)[:k].clamp(min=0)


def _from_inner_products(pixels: Tensor, mean: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Do the same with the (N, N) matrix of inner products: cheaper when N < D."""
    x = (to_unit(pixels) - mean).flatten(1).double()  # (N, D)
    values, vectors = torch.linalg.eigh(x @ x.T / len(x))
    values, vectors = values.flip(0)[:k].clamp(min=0), vectors.flip(1)[:, :k]
    # The columns of x.T @ vectors are orthogonal, of length 0 where the data have no
    # variance left; the QR decomposition fills those with any orthonormal direction.
    components, _ = torch.linalg.qr(x.T @ vectors)  # (D, k)
    return _fix_signs(components.T), values


def _fix_signs(components: Tensor) -> Tensor:
    """Make the entry of largest size of each row positive: alike on all machines."""
    largest = components.abs().argmax(dim=1, keepdim=True)
    return components * components.gather(1, largest).sign()


def _pixels(images: Images | Tensor) -> Tensor:
    pixels: Any = getattr(images, "pixels", images)
    if pixels.ndim != 4 or len(pixels) < 2:
        raise ValueError(
            "fit needs at least two images as Images or a tensor (N, C, H, W), got "
            f"{tuple(pixels.shape)}"
        )
    return pixels


def _checked(x: Tensor, mean: Tensor) -> Tensor:
    """Return x if it is a batch of float images as large as the fitted ones."""
    if not x.is_floating_point() or x.ndim != 4 or x.shape[1:] != mean.shape:
        raise ValueError(
            f"expected float images (N, {', '.join(map(str, mean.shape))}), got "
            f"{x.dtype} {tuple(x.shape)}; see ae_lib.data.to_unit"
        )
    return x
