"""Where to compute, and at which precision."""

from __future__ import annotations

import torch


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """Return the named device, or the fastest one here: CUDA, then MPS, then the CPU.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def fast_bf16(device: str | torch.device) -> bool:
    """Tell whether bfloat16 autocast is faster than float32 on `device`.

    On a CPU only the AVX-512 BF16 and AMX instructions make it so: without them
    PyTorch emulates bfloat16, and autocast is slower than float32. On MPS the answer is
    no, because autocast there saves little.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    # Before torch 2.14 the same question has only this private answer.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
