"""The table of exponents."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import NamedTuple

from .numbers import Figures, exponent, short

MIB = 2**20
# Below these, fixed costs and the resolution of the clock decide.
_LEAST_SECONDS, _LEAST_BYTES = 0.02, 4 * MIB


class Growth(NamedTuple):
    """One stage: points (rows, CPU seconds) and (rows, bytes), by rows."""

    stage: str
    times: tuple[tuple[int, float], ...]
    peaks: tuple[tuple[int, float], ...]

    @property
    def exponents(self) -> tuple[float | None, float | None]:
        """The slopes of time and memory between the last two of three sizes; None if too small to tell."""
        return _slope(self.times, _LEAST_SECONDS), _slope(self.peaks, _LEAST_BYTES)


def growths(known: Figures) -> list[Growth]:
    """Return all stages."""
    times: dict[str, list[tuple[int, float]]] = defaultdict(list)
    peaks: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for key, found in known.items():
        if key.startswith("growth."):
            for row in found["rows"]:
                n = int(key.partition("@")[2])
                times[row["stage"]].append((n, median(row["our_s"]["cpu"])))
                peaks[row["stage"]].append((n, row["peak"]))
    return [Growth(name, tuple(sorted(times[name])), tuple(sorted(peaks[name]))) for name in sorted(times)]


def growth_table(known: Figures) -> str:
    """Return one line per stage."""
    lines = [
        "| stage | rows | CPU s | exponent | peak memory, MiB | exponent | bytes a row |",
        "|---|---|---|---|---|---|---|",
    ]
    for growth in growths(known):
        in_time, in_memory = (_shown(value, len(growth.times)) for value in growth.exponents)
        cells = [
            growth.stage,
            "; ".join(f"{n:,}" for n, _ in growth.times),
            "; ".join(short(value) for _, value in growth.times),
            in_time,
            "; ".join(short(value / MIB) if value >= MIB else "< 1" for _, value in growth.peaks),
            in_memory,
            f"{growth.peaks[-1][1] / growth.peaks[-1][0]:,.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    failed = [f"`{key}`: {found['failed']}" for key, found in known.items() if found["failed"]]
    failed = [line for line in failed if line.startswith("`growth.")]
    return "\n".join([*lines, *(f"\nNot run: {line}" for line in failed)]) + "\n"


def _slope(points: tuple[tuple[int, float], ...], least: float) -> float | None:
    return exponent(*points[-2:]) if len(points) > 2 and points[-2][1] >= least else None


def _shown(value: float | None, n_sizes: int) -> str:
    if value is None:
        return "too small" if n_sizes > 2 else ""
    return f"{value:.2f}"
