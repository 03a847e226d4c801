"""Results on standard output: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import typer

from skprune.cli.pipes import PIPE

_AS_BYTES: dict[str, Callable[[Any], bytes]] = {
    ".parquet": lambda frame: frame.to_parquet(index=False),
    ".csv": lambda frame: frame.to_csv(index=False).encode(),
    ".jsonl": lambda frame: frame.to_json(orient="records", lines=True, force_ascii=False).encode(),
}


def print_json(value: Any, file: TextIO | None = None) -> None:
    """Print one JSON value. Numbers that JSON does not have become null."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2), file=file or sys.stdout)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], file: TextIO | None = None) -> None:
    """Print a table; numbers are aligned, and only the width of a terminal folds a text."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    stream = file or sys.stdout
    table = Table(box=SIMPLE, pad_edge=False)
    for number, name in enumerate(columns):
        numeric = all(isinstance(row[number], (int, float, type(None))) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row))
    width = None if stream.isatty() else 10_000
    Console(file=stream, width=width, markup=False, highlight=False, emoji=False).print(table)


def check_table_name(target: str) -> None:
    """Refuse a name that does not tell the kind of a table, before any work."""
    if target != PIPE and Path(target).suffix not in _AS_BYTES:
        raise typer.BadParameter(
            f"{target!r} does not end in one of {', '.join(_AS_BYTES)}", param_hint="--out"
        )


def write_table(frame: Any, target: str) -> None:
    """Write a DataFrame to a file whose name tells the kind, or as JSON lines to standard output ("-")."""
    if target == PIPE:
        sys.stdout.buffer.write(_AS_BYTES[".jsonl"](frame))
        return
    from skprune._atomic import replacing

    with replacing(Path(target)) as file:
        file.write(_AS_BYTES[Path(target).suffix](frame))


def print_summary(result: dict[str, Any], json: bool, stream: TextIO) -> None:
    """Print how many rows a job kept, and the reasons, as a table or as JSON."""
    if json:
        print_json(result, stream)
        return
    share = result["kept"] / result["rows"]
    print(f"kept {result['kept']:,} of {result['rows']:,} rows ({share:.1%}) in {result['out']}", file=stream)
    print_table(("reason", "rows"), list(result["reasons"].items()), stream)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
