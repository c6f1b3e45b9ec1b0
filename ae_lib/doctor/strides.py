"""What the kernels of transposed convolutions leave, whatever the weights are."""

import math

import torch

from . import lines


def gaps(case, uneven):
    """Report kernels narrower than their stride, if no convolution closes the gaps."""
    every = list(case.program.model.named_modules())
    for name, m in uneven:
        axes = list(zip(m.kernel_size, m.stride, strict=True))
        k, s = min(axes, key=lambda axis: axis[0] / axis[1])
        reached = math.prod(min(1.0, k / s) for k, s in axes)
        after = every[[n for n, _ in every].index(name) + 1 :]
        closed = any(
            isinstance(other, torch.nn.Conv2d) and max(other.kernel_size) > 1
            for _, other in after
        )
        if k >= s or closed:
            continue
        case.find(
            "decoder.checkerboard",
            "error",
            {
                "statistic": "share of the pixels that no input reaches",
                "value": 1 - reached,
                "threshold": 0,
                "where": name,
                "kernel": k,
                "stride": s,
            },
            f"Not texture: a kernel of {k} with stride {s} writes nothing but the bias "
            "between its places, whatever the weights.",
            f"a kernel of {2 * s} with stride {s} and padding {s // 2} in {name}",
            "Every pixel after this layer depends on the input.",
        )
        return True
    return False


def may_leave_a_grid(case, name, m, uneven):
    """Hint at a last upsampling that covers pixels unevenly, without a grid as yet."""
    k, s = m.kernel_size[0], m.stride[0]
    case.find(
        "decoder.checkerboard",
        "info",
        {
            "statistic": "remainder of the kernel's width by the stride",
            "value": k % s,
            "threshold": 0,
            "where": name,
            "kernel": k,
            "stride": s,
        },
        "Not seen in the output so far, or hidden by its grain; training may bring it "
        "out, for neighbouring pixels are sums of different numbers of products.",
        f"a kernel of {2 * s} with stride {s} in {name}, or "
        + (lines.resized(uneven) or "nn.Upsample and a convolution"),
        "An enlarged smooth picture shows no grid.",
    )
