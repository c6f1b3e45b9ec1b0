"""Score how odd an image is, and measure how well a score tells odd from normal.

A score is one number per image, (N,), larger for odder. Which sign that takes must be
decided before odd images are seen: an AUROC of 0.2 is a score that is wrong, not a
score of 0.8.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ae_lib.data import Images

Scores = Tensor | np.ndarray


def compressed_size(images: Images | Tensor) -> Tensor:
    """Count the bytes of each image after lossless compression: float (N,).

    `images` are Images or uint8 (N, C, H, W). Each row of pixels is stored as the
    differences from its left neighbour, as PNG's filter 1 does, and deflated, as PNG
    does, without PNG's headers.

    >>> flat = torch.full((1, 3, 32, 32), 7, dtype=torch.uint8)
    >>> bool(compressed_size(flat) < 60)
    True
    """
    pixels = images.pixels if isinstance(images, Images) else images
    if pixels.dtype != torch.uint8 or pixels.ndim != 4:
        raise ValueError(
            "compressed_size needs uint8 pixels (N, C, H, W), got "
            f"{pixels.dtype} {tuple(pixels.shape)}; use (255 * x).round().byte()"
        )
    rows = pixels.cpu().numpy()
    filtered = rows.copy()
    filtered[..., 1:] -= rows[..., :-1]  # uint8 wraps around, as in PNG
    sizes = [len(zlib.compress(image.tobytes(), 9)) for image in filtered]
    return torch.tensor(sizes, dtype=torch.float32)


@dataclass(frozen=True)
class CodeDistance:
    """Measure how far a code lies from the codes of normal images (Mahalanobis).

    Called with codes (N, latent_dim) it returns squared distances (N,), whose mean
    over the codes it was fitted to is about latent_dim.
    """

    mean: Tensor  # (latent_dim,)
    precision: Tensor  # (latent_dim, latent_dim), inverse of the covariance

    @classmethod
    def fit(cls, codes: Tensor) -> CodeDistance:
        """Estimate mean and covariance from codes (N, latent_dim), N >= 2.

        The covariance is that of Ledoit and Wolf (2004), shrunk towards a sphere, so
        that a unit that never changes does not divide by zero.
        """
        from sklearn.covariance import LedoitWolf

        if codes.ndim != 2 or len(codes) < 2:
            raise ValueError(
                f"codes must be (N, latent_dim) with N >= 2, got {tuple(codes.shape)}"
            )
        if not codes.isfinite().all():
            raise ValueError("codes must be finite, got NaN or infinity")
        estimate = LedoitWolf().fit(codes.detach().cpu().double().numpy())
        return cls(
            torch.from_numpy(estimate.location_).float(),
            torch.from_numpy(np.asarray(estimate.precision_)).float(),
        )

    def __call__(self, codes: Tensor) -> Tensor:
        away = codes - self.mean  # (N, latent_dim)
        return ((away @ self.precision) * away).sum(dim=1)  # (N,)


def auroc(normal: Scores, odd: Scores) -> float:
    """Return the chance that an odd image scores above a normal one; ties count half.

    `normal` (N,) and `odd` (M,) are scores. 1 is perfect, 0.5 is a coin, and below
    0.5 the normal images look odder than the odd ones.

    >>> auroc(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.5]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    low, high = _scores("normal", normal), _scores("odd", odd)
    truth = np.r_[np.zeros(len(low)), np.ones(len(high))]
    return float(roc_auc_score(truth, np.r_[low, high]))


def auroc_spread(
    normal: Scores, odd: Scores, *, draws: int = 200, seed: int = 0
) -> list[float]:
    """Return the AUROC of `draws` bootstrap samples of the images, sorted.

    It is the spread that other test images would give, not that of another training.
    """
    random = np.random.default_rng(seed)
    low, high = _scores("normal", normal), _scores("odd", odd)
    return sorted(
        auroc(random.choice(low, len(low)), random.choice(high, len(high)))
        for _ in range(draws)
    )


def threshold_at(validation: Scores, false_alarms: float) -> float:
    """Return the score that this share of normal validation images exceeds.

    Counted in images it is the share or one image less, never more.

    `validation` (N,) are scores of normal images that the model was not fitted to;
    `false_alarms` is a share between 0 and 1, at least 1 / N.
    """
    scores = _scores("validation", validation)
    if not 1 / len(scores) <= false_alarms < 1:
        raise ValueError(
            f"false_alarms must be from 1/{len(scores)}, one image, to below 1, got "
            f"{false_alarms}; a rarer alarm needs more validation images"
        )
    return float(np.quantile(scores, 1 - false_alarms, method="higher"))


def _scores(name: str, given: Scores) -> np.ndarray:
    values = torch.as_tensor(given).detach().cpu().double().numpy()
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must be scores (N,), N >= 1, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity: which image gave it?")
    return values
