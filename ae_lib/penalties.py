"""Terms that ask more of a code than a good reconstruction: sparse, or contractive.

Each is a number to add to the error, times a weight: 0 or more, the mean over images.
All can be had cheaply by a code that is small, or varies little (the divergence looks
at means alone), for a decoder may undo any size: columns of length 1 are the cure.
Chapter 18 derives them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Encode = Callable[[Tensor], Tensor]


def l1(z: Tensor) -> Tensor:
    """Return the mean size of the numbers of codes (B, K).

    >>> l1(torch.tensor([[1.0, -3.0], [0.0, 0.0]])).item()
    1.0
    """
    return z.abs().mean()


def kl_sparsity(z: Tensor, rho: float = 0.05) -> Tensor:
    """Return how far the mean activities of sigmoid units are from rho, in nats.

    It is KL(rho || mean over the batch), averaged over the units of codes (B, K) (Ng
    2011, "Sparse autoencoder"). A code outside [0, 1] raises ValueError.

    >>> kl_sparsity(torch.full((10, 3), 0.05)).item()
    0.0
    """
    if not 0 < rho < 1:
        raise ValueError(f"rho is a share between 0 and 1, got {rho}")
    low, high = z.detach().aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"codes must be in [0, 1], got [{low:.4g}, {high:.4g}]; end the encoder "
            "with a sigmoid"
        )
    mean = z.mean(dim=0).clamp(1e-6, 1 - 1e-6)  # (K,)
    on = rho * (rho / mean).log()
    off = (1 - rho) * ((1 - rho) / (1 - mean)).log()
    return (on + off).mean()


def contractive_sigmoid(h: Tensor, weight: Tensor) -> Tensor:
    """Return ||dh/dx||² of one layer h = sigmoid(W x + b), the mean over images.

    `h` is (B, K), `weight` W is (K, D). The Jacobian is diag(h (1 - h)) W, so its
    squared Frobenius norm is a sum over units (Rifai et al. 2011).

    >>> contractive_sigmoid(torch.full((5, 1), 0.5), torch.tensor([[4.0, 0.0]])).item()
    1.0
    """
    slope = h * (1 - h)  # (B, K)
    return (slope.square() @ weight.square().sum(dim=1)).mean()


def contractive(
    encode: Encode, x: Tensor, generator: Generator | None = None
) -> Tensor:
    """Estimate ||d encode / dx||² of any encoder, the mean over images.

    For random signs v the mean of ||v J||² is ||J||² (Hutchinson 1990); one draw for
    each image costs one backward pass. It can be differentiated. `encode` must treat
    images (B, ...) one by one: batch normalisation in training mode does not.
    """
    x = x.detach().requires_grad_()
    z = encode(x)
    v = torch.rand(z.shape, generator=generator).to(z).sub(0.5).sign()  # (B, K)
    (pulled,) = torch.autograd.grad(z, x, v, create_graph=True)
    return pulled.flatten(1).square().sum(dim=1).mean()


def jacobian_norm(encode: Encode, x: Tensor) -> Tensor:
    """Return ||d encode / dx||² of each image exactly: (B,).

    It costs as many backward passes as the code has numbers.

    >>> jacobian_norm(lambda x: 3 * x.flatten(1), torch.rand(2, 1, 2, 2)).tolist()
    [36.0, 36.0]
    """

    def one(image: Tensor) -> Tensor:
        return encode(image[None])[0]

    rows = torch.func.vmap(torch.func.jacrev(one))(x)  # (B, K, C, H, W)
    return rows.flatten(1).square().sum(dim=1).detach()
