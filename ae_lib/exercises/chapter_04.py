"""The checks of chapter 04: a decoder that fits, and what a layer costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ae_lib.exercises.judge import (
    Wrong,
    compare,
    expect,
    hint,
    kind,
    number,
    sequence,
    size,
)


@hint("3×32×32 from 8×8: with k = 3, s = 2, p = 1 a layer gives 2n − 1, a row too few")
def check_1(decoder: Callable[[int], nn.Module]) -> str:
    """Hold decoder(latent_dim) to a network from codes to images, of 3×3 kernels."""
    for latent_dim in (10, 200):
        network = decoder(latent_dim)
        expect(network is not None, "the answer is None: is a `return` missing?")
        is_network = isinstance(network, nn.Module)
        expect(is_network, f"return one nn.Module, got {kind(network)}")
        network.eval()
        z = torch.randn(2, latent_dim)
        with torch.no_grad():
            x = _passed(network, z, latent_dim)
            _hold_shape(network, x, len(z))
            moved = (network(z)[0] - network(z)[1]).abs().max().item()
            text = "two codes give the same image: does z reach the output?"
            expect(moved > 1e-6, text)
            _hold_range(network(100 * z))
            a, b, both, none = (
                torch.logit(network(code).double(), 1e-12)
                for code in (0.1 * z[:1], 0.1 * z[1:], 0.1 * z.sum(0)[None], 0 * z[:1])
            )
        bent = ((a + b - none - both).abs().max() / (a - none).abs().max()).item()
        expect(
            bent > 1e-3,
            "there is no activation between the layers, so together they are one "
            "matrix, as PCA's decoder is",
        )
    return "(n − 1)·2 − 2 + 3 + 1 = 2n, and each layer doubles"


def _passed(network: nn.Module, z: Tensor, latent_dim: int) -> Tensor:
    try:
        return network(z)
    except (RuntimeError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:120]
        raise Wrong(
            f"a batch of codes of {latent_dim} numbers does not pass ({said}). Does "
            "each layer take what the one before it gives?"
        ) from None


def _hold_shape(network: nn.Module, x: object, n: int) -> None:
    layers = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    kernels = [layer.kernel_size[0] for layer in layers]
    expect(
        kernels == [3, 3],
        "the exercise wants two transposed convolutions with kernels of 3; yours have "
        f"{kernels}",
    )
    expect(
        isinstance(x, Tensor) and x.ndim == 4 and len(x) == n,
        f"{n} codes give {kind(x)}, expected {n}×3×32×32; nn.Unflatten makes maps of "
        "a row of numbers",
    )
    got, height = f"your decoder's output is {size(x[0].shape)}", x.shape[2]
    if height != 32 or x.shape[3] != 32:
        why = "output_padding=1 adds the row that is missing in each layer"
        if height > 32:
            why = "padding=1 takes a row away at each side"
        raise Wrong(
            f"{got}, not 3×32×32. A layer with kernel 3 and stride 2 makes "
            f"(n − 1)·2 − 2·padding + 3 + output_padding of n; {why}"
        )
    expect(x.shape[1] == 3, f"{got}, and a colour image has 3 channels")


def _hold_range(x: Tensor) -> None:
    low, high = x.min().item(), x.max().item()
    expect(
        low >= -1e-6 and high <= 1 + 1e-6,
        f"the output reaches from {low:.2f} to {high:.2f}, and pixels from 0 to 1; let "
        "it end in a sigmoid",
    )
    expect(
        low < 0.45,
        f"no pixel comes below {low:.2f}. A ReLU before the sigmoid cuts off the dark "
        "half; the sigmoid alone is enough",
    )
    expect(high > 0.55, f"no pixel comes above {high:.2f}; what bends before the end?")


@hint("(1568, 393216) for 3 → 32 channels, k = 4, stride 2 and padding 1 on 32×32")
def check_2(cost: Callable[..., tuple[int, int]]) -> str:
    """Hold cost(c_in, c_out, k, s, p, n) to what a convolution stores and computes."""
    for c_in, c_out, k, s, p, n in (
        (3, 32, 4, 2, 1, 32),
        (32, 64, 4, 2, 1, 16),
        (16, 16, 3, 1, 1, 28),
        (5, 7, 3, 2, 0, 20),
    ):
        answer = sequence(cost(c_in, c_out, k, s, p, n), 2, "the answer")
        parameters = number(answer[0], "the number of parameters")
        work = number(answer[1], "the number of multiplications")
        weights, m = c_in * c_out * k * k, (n + 2 * p - k) // s + 1
        where = f"for {c_in} → {c_out} channels, k = {k}, s = {s}, p = {p} on {n}×{n},"
        mistakes = {
            f"{where} the biases are missing: one for each output channel": weights,
            f"{where} a filter has k·k weights for each input channel, not k": (
                c_in * c_out * k + c_out
            ),
            f"{where} a filter covers all {c_in} input channels; multiply by them": (
                c_out * k * k + c_out
            ),
            f"{where} there is one bias for each output channel, not one for each "
            "input channel": weights + c_in,
            f"{where} one bias belongs to each filter, not to each of its weights": (
                2 * weights
            ),
            f"{where} the parameters do not grow with the image; its places share "
            "them": (weights + c_out) * m * m,
        }
        otherwise = f"{where} the number of parameters is off"
        compare(parameters, weights + c_out, mistakes, otherwise)
        mistakes = {
            f"{where} you count each place of the input; the filter is laid down once "
            f"for each of the {m}×{m} outputs": weights * n * n,
            f"{where} each weight works once for each of the {m}×{m} outputs, not once "
            "in all": weights,
            f"{where} each output row has {m} places as well: {m}·{m}, not {m}": (
                weights * m
            ),
            f"{where} a bias is added; it multiplies nothing": (weights + c_out)
            * m
            * m,
            f"{where} these are additions and multiplications; count the "
            "multiplications alone": 2 * weights * m * m,
        }
        otherwise = f"{where} the number of multiplications is off"
        compare(work, weights * m * m, mistakes, otherwise)
    return "cheap to store and dear to run: that is a convolution"
