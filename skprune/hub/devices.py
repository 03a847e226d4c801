"""Where a model runs, and what it multiplies in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skprune._optional import require

if TYPE_CHECKING:
    import torch


def choose_device(device: str, *, extra: str, purpose: str) -> torch.device:
    """Return the device that "auto" or a name stands for; "auto" is CUDA, MPS or the CPU.

    Parameters
    ----------
    device : str
    extra, purpose : str
        Named where torch is missing.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    torch = require("torch", extra=extra, purpose=purpose)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if torch.backends.mps.is_available():
            device = "mps"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={device!r} is not available: {error}") from error


def has_native_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 natively: elsewhere it is slower than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch inside the context, and put its generators back on leaving it."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
