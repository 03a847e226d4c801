"""The page: the tables of docs/benchmarks-peers.md, made from the figures beside it."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from .cases import SECTIONS, all_cases
from .growth_table import growth_table
from .numbers import Figures, extrapolated, ratios, seconds, short, span
from .targets import target_table

DOCS = Path(__file__).parents[3] / "docs"
PAGE, FIGURES = DOCS / "benchmarks-peers.md", DOCS / "benchmarks-peers.json"


def figures() -> Figures:
    """Return the figures of earlier runs, by case and size."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def save(known: Figures) -> None:
    """Write the figures in one step."""
    partial = FIGURES.with_suffix(".partial")
    lines = (f"{json.dumps(key)}: {json.dumps(_rounded(known[key]))}" for key in sorted(known))
    partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    partial.replace(FIGURES)


def write(known: Figures) -> None:
    """Put the tables into the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), known), encoding="utf-8")


def filled(text: str, known: Figures) -> str:
    """Return a page with each table between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""
    tables = {section: comparison_table(known, section) for section in SECTIONS if section != "growth"}
    tables |= {"targets": target_table(known), "growth": growth_table(known), "when": _when(known)}
    for name, table in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}{end}{rest.partition(end)[2]}"
    return text


def comparison_table(known: Figures, section: str) -> str:
    """Return one line per comparison and size; peers that were not run are lines too."""
    lines = [
        "| what | peer | skprune | rows | peer, CPU s (clock) | skprune, CPU s (clock) | ratio (range) |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in sorted(_of(known, section), key=_order):
        case, _, n = key.partition("@")
        found = known[key]
        for row in found["rows"]:
            lines.append(_line(known, case, int(n), row))
        if found["failed"]:
            lines.append(f"| `{case.partition('.')[2]}` | not run: {found['failed']} | | {int(n):,} | | | |")
    return "\n".join(lines) + "\n"


def _when(known: Figures) -> str:
    if not known:
        return ""
    dates, loads = (sorted(found[name] for found in known.values()) for name in ("date", "load"))
    sizes = {
        name: [f"{n:,}" for n in case.sizes if case.key(n) not in known] for name, case in all_cases().items()
    }
    missing = [f"`{name}` ({'; '.join(rows)})" for name, rows in sizes.items() if rows]
    told = f"\nNot measured yet: {', '.join(missing)}.\n" if missing else ""
    commits = ", ".join(sorted({found.get("commit", "") for found in known.values()}))
    return (
        f"Measured from {dates[0]} to {dates[-1]}, at load averages of {loads[0]} to {loads[-1]}, "
        f"by the code of {commits}.\n{told}"
    )


def _line(known: Figures, case: str, n: int, row: dict[str, Any]) -> str:
    peer, what = row["peer_s"], row["what"]
    if said := "; ".join(filter(None, (row["note"], row["extrapolated"]))):
        what = f"{what} ({said})"
    about = "≈ " if row["extrapolated"] else ""
    cells = [what, row["peer"], row["ours"], f"{n:,}"]
    ours = about + seconds(row["our_s"])
    if peer is None:
        likely = extrapolated(known, case, n, row)
        ratio = f"≈ {short(likely / median(row['our_s']['cpu']))}" if likely else ""
        shown = f"≈ {short(likely)}, extrapolated; " if likely else ""
        cells += [f"{shown}not run: {row['not_run']}", ours, ratio]
    else:
        cells += [about + seconds(peer), ours, about + span(ratios(row))]
    return "| " + " | ".join(cells) + " |"


def _of(known: Figures, section: str) -> list[str]:
    return [key for key in known if key.startswith(f"{section}.")]


def _order(key: str) -> tuple[str, int]:
    case, _, n = key.partition("@")
    return case, int(n)


def _rounded(value: Any) -> Any:
    """Return the same with five significant digits in each number, so that the file stays small."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
