"""Seconds, CPU seconds and peak memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Seconds = dict[str, list[float]]  # "wall" and "cpu", one number per run


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Return elapsed seconds, and CPU seconds of this process and of children that ended meanwhile."""
    wall, cpu = time.perf_counter(), _cpu()
    function()
    return time.perf_counter() - wall, _cpu() - cpu


def alternate(repeats: int, *functions: Callable[[], Any]) -> list[Seconds]:
    """Run the functions in turn, so that other work on the machine slows all alike."""
    found: list[Seconds] = [{"wall": [], "cpu": []} for _ in functions]
    for _ in range(repeats):
        for function, seconds in zip(functions, found, strict=True):
            wall, cpu = timed(function)
            seconds["wall"].append(wall)
            seconds["cpu"].append(cpu)
    return found


def scaled(seconds: Seconds, factor: float, more: Seconds | None = None) -> Seconds:
    """Return the seconds times a factor, plus those of something else: an extrapolation."""
    more = more or {"wall": [0.0] * len(seconds["wall"]), "cpu": [0.0] * len(seconds["cpu"])}
    return {
        clock: [factor * value + extra for value, extra in zip(values, more[clock], strict=True)]
        for clock, values in seconds.items()
    }


def peak_bytes(function: Callable[[], Any]) -> int:
    """Return by how much the memory of this process grew while the function ran, at its highest."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the present size
    before = _memory("VmRSS")
    function()
    return max(_memory("VmHWM") - before, 0)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
