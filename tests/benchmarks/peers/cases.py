"""The list of cases: functions that measure for one size, each in a process of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .measuring import Seconds

Row = dict[str, Any]  # what a case yields; see `row` and `stage`
Measure = Callable[[int], Iterator[Row]]

SECTIONS = ("ngram", "neighbors", "strategies", "llm", "rounds", "growth")  # modules, in the page's order
SIZES = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Case:
    """A function that measures, and the sizes it takes."""

    section: str
    name: str
    sizes: tuple[int, ...]
    measure: Measure

    def key(self, n: int) -> str:
        """Name the case and a size."""
        return f"{self.section}.{self.name}@{n}"


_CASES: dict[str, Case] = {}


def case(*sizes: int) -> Callable[[Measure], Measure]:
    """Register a function as a case; without sizes it takes ``SIZES``."""

    def register(measure: Measure) -> Measure:
        section = measure.__module__.rpartition(".")[2]
        found = Case(section, measure.__name__, sizes or SIZES, measure)
        _CASES[f"{section}.{found.name}"] = found
        return measure

    return register


def all_cases() -> dict[str, Case]:
    """Return the cases by name, in the page's order."""
    for section in SECTIONS:
        importlib.import_module(f".{section}", __package__)
    return _CASES


def row(
    what: str,
    peer: str,
    peer_seconds: Seconds | None,
    ours: str,
    our_seconds: Seconds,
    *,
    extrapolated: str = "",
    not_run: str = "",
    note: str = "",
) -> Row:
    """Return a comparison: a peer, ourselves, and the seconds of both.

    ``extrapolated`` says from what, if either side was computed and not run; ``not_run`` says why the peer
    was not run.
    """
    found = {"what": what, "peer": peer, "peer_s": peer_seconds, "ours": ours, "our_s": our_seconds}
    return found | {"extrapolated": extrapolated, "not_run": not_run, "note": note}


def stage(name: str, seconds: Seconds, peak: int) -> Row:
    """Return the time and the peak memory of one stage."""
    return {"stage": name, "our_s": seconds, "peak": peak}
