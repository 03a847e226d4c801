"""What we aimed at, and whether the figures reach it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from .growth_table import growths
from .numbers import Figures, extrapolated, ratios, short, span

MAX_EXPONENT = 1.05


class Target(NamedTuple):
    """An aim for the rows of a case: the least ratio, and what stands in the way where it is missed."""

    aim: str
    case: str
    least: float
    obstacle: str
    peer: str = ""  # how the row's peer, ours and what begin
    ours: str = ""
    what: str = ""
    from_rows: int = 0  # the smallest size that the aim is about


TARGETS = [
    Target(
        "n-gram scoring of given tokens, against KenLM's `query`",
        "ngram.query",
        0.9,
        "with few lines, fixed costs; else the checks of the texts and the objects that Python makes of them",
        peer="KenLM's `query`, loading left out",
    ),
    Target(
        "`AnchorFilter` against small-text's `AnchorSubsampling`, index included",
        "neighbors.small_text_anchors",
        10,
        "",
        what="first",
    ),
    Target(
        "the same in a later round",
        "neighbors.small_text_anchors",
        3,
        "k-means++ alone is a third of our round at 10,000 rows; the peer's growth rests on two sizes under "
        "different loads",
        what="a later",
    ),
    Target("`ActivePruneFilter` against ASK-LLM, in full", "llm.measured", 43, "the n-gram model and calls"),
    Target(
        "`ActivePruneFilter` against ASK-LLM",
        "llm.extrapolated",
        43,
        "the training of the n-gram model",
        ours="`ActivePrune",
    ),
    Target(
        "`DistilledScorer` against ASK-LLM, 2 % asked",
        "llm.extrapolated",
        150,
        "2 % of the calls are 50 times fewer; 150 times needs less than 0.67 %",
        ours="`AskLLMFilter` with `DistilledScorer`, 2",
    ),
    Target(
        "the same, 0.5 % asked",
        "llm.extrapolated",
        150,
        "the vectors of all texts",
        ours="`AskLLMFilter` with `DistilledScorer`, 0.5",
    ),
    Target("a round of `AnchorFilter` with MiniLM", "rounds.anchors", 80, "", "", "", "MiniLM", 1_000_000),
    Target("a round of `ProxyFilter` with MiniLM", "rounds.proxy", 80, "", "", "", "MiniLM", 1_000_000),
]


def target_table(known: Figures) -> str:
    """Return one line per aim and size, and one for the exponents."""
    lines = ["| aim | rows | least | found | |", "|---|---|---|---|---|"]
    lines += [line for target in TARGETS for line in _lines(known, target)]
    return "\n".join([*lines, *_exponents(known)]) + "\n"


def _lines(known: Figures, target: Target) -> Iterator[str]:
    keys = [key for key in known if key.partition("@")[0] == target.case]
    for key in sorted(keys, key=lambda key: int(key.partition("@")[2])):
        n = int(key.partition("@")[2])
        for row in known[key]["rows"]:
            fits = all(row[field].startswith(getattr(target, field)) for field in ("peer", "ours", "what"))
            if fits and n >= target.from_rows:
                found, shown = _ratio(known, target.case, n, row)
                if found is not None:
                    yield _line(target, n, shown, found >= target.least)


def _ratio(known: Figures, case: str, n: int, row: dict[str, Any]) -> tuple[float | None, str]:
    if row["peer_s"]:
        found = ratios(row)
        return median(found), ("≈ " if row["extrapolated"] else "") + span(found)
    likely = extrapolated(known, case, n, row)
    ratio = likely / median(row["our_s"]["cpu"]) if likely else None
    return ratio, f"≈ {short(ratio)}, the peer extrapolated" if ratio else ""


def _exponents(known: Figures) -> Iterator[str]:
    slopes = {growth: growth.exponents for growth in growths(known)}
    for place, name in enumerate(("time", "memory")):
        told = [(slope[place], growth.stage) for growth, slope in slopes.items() if slope[place] is not None]
        above = [f"{stage} {value:.2f}" for value, stage in told if value > MAX_EXPONENT]
        if told:
            shown = f"{max(told)[0]:.2f} at most" if not above else "above: " + "; ".join(above)
            aim = f"exponents of {name} of {len(told)} stages, from the second to the largest size"
            yield f"| {aim} | | {MAX_EXPONENT} at most | {shown} | {'not met' if above else 'met'} |"


def _line(target: Target, n: int, shown: str, is_met: bool) -> str:
    obstacle = f": {target.obstacle}" if target.obstacle else ""
    verdict = "met" if is_met else f"not met{obstacle}"
    return f"| {target.aim} | {n:,} | {short(target.least)} | {shown} | {verdict} |"
