"""Numbers as the page shows them, and the exponents of growth."""

from __future__ import annotations

from math import log
from statistics import median
from typing import Any

from .measuring import Seconds

Figures = dict[str, dict[str, Any]]  # "section.case@rows" to what was measured


def short(value: float) -> str:
    """Return two significant digits, or a whole number."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def seconds(found: Seconds) -> str:
    """Return the median CPU seconds, and the elapsed ones in parentheses."""
    runs = "" if len(found["cpu"]) > 1 else ", one run"
    return f"{short(median(found['cpu']))} ({short(median(found['wall']))}{runs})"


def span(values: list[float]) -> str:
    """Return the median and the range."""
    if len(values) == 1:
        return f"{short(values[0])} (one run)"
    return f"{short(median(values))} ({short(min(values))} to {short(max(values))})"


def ratios(row: dict[str, Any], clock: str = "cpu") -> list[float]:
    """Return the peer's seconds divided by ours, for each pair of runs."""
    pairs = zip(row["peer_s"][clock], row["our_s"][clock], strict=True)
    return [peer / max(ours, 1e-3) for peer, ours in pairs]


def exponent(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Return the slope between two points (rows, value) on logarithmic scales."""
    return log(max(large[1], 1e-9) / max(small[1], 1e-9)) / log(large[0] / small[0])


def extrapolated(known: Figures, case: str, n: int, row: dict[str, Any]) -> float | None:
    """Return the CPU seconds that the peer would take, from its two largest sizes that were run.

    At most in proportion to the rows: a steeper growth between small sizes is often that of caches.
    """
    points = []
    for key, found in known.items():
        name, _, size = key.partition("@")
        if name == case:
            points += [
                (int(size), median(other["peer_s"]["cpu"]))
                for other in found["rows"]
                if other["peer_s"] and (other["what"], other["peer"]) == (row["what"], row["peer"])
            ]
    if len(points) < 2:
        return None
    small, large = sorted(points)[-2:]
    return large[1] * (n / large[0]) ** min(exponent(small, large), 1.0)
