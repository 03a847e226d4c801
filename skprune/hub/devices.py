"""The device a model runs on, the precision it multiplies in, and its random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skprune._optional import require

if TYPE_CHECKING:
    import torch


def choose_device(device: str, *, extra: str, purpose: str) -> torch.device:
    """Return the torch device that a name means.

    Parameters
    ----------
    device : str
        A torch device, or "auto": MPS if it is available, else CUDA, else the CPU.
    extra, purpose : str
        The extra that installs torch and the part that needs it, for the error message.

    Raises
    ------
    ImportError
        If torch is not installed.
    ValueError
        If the device is not available.
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
    """Return whether the device multiplies bfloat16 natively; without that, it is slower than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch inside the context; restore its generators, of the CPU and of CUDA, on leaving it."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
