"""``skprune report``: a page that says what a method keeps, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.missing import DropMissing, with_texts
from skprune.cli.options import (
    Format,
    Inputs,
    Json,
    Keep,
    Label,
    Memory,
    Method,
    Seed,
    Set,
    Settings,
    Text,
    Verbose,
)
from skprune.cli.output import print_json
from skprune.cli.pipes import as_files


def report(
    inputs: Inputs = None,
    text: Text = None,
    method: Method = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file; its figures go beside it as JSON.", show_default=False),
    ] = None,
    keep: Keep = None,
    label: Label = None,
    groups: Annotated[
        str | None,
        typer.Option(
            "--groups",
            help="Columns by which to compare how often rows are kept: language,source.",
            show_default=False,
        ),
    ] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Leave out all texts.", show_default=False)
    ] = False,
    on_missing: DropMissing = "error",
    memory: Memory = None,
    seed: Seed = None,
    set: Set = None,
    format: Format = None,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Report what a method keeps of rows that fit into memory: counts, scores, examples, copies, costs.

    Example: skprune report pool/ -t body -m perplexity --groups source -o page.html
    """
    given = {"inputs": inputs, "text": text, "method": method, "keep": keep, "memory": memory, "seed": seed}
    settings = Settings(given | {"label": label, "set": set})
    settings.required("inputs", "INPUTS")
    if out is None:
        raise typer.BadParameter("--out is missing")
    filter = settings.filter(verbose=verbose)
    settings.labels(filter)  # warns if there are none

    import skprune
    from skprune.files import read_frame

    with as_files(settings["inputs"], format) as paths:
        rows = read_frame(paths, text)
    names = [] if groups is None else [name.strip() for name in groups.split(",")]
    for name in (*names, *(column for column in (text, label) if column is not None)):
        if name not in rows:
            known = ", ".join(map(str, rows.columns))
            raise ValueError(f"the inputs have no column {name!r}; their columns are {known}")
    others = rows.columns.drop([] if label is None else label)
    if text is not None or len(others) == 1:
        rows = with_texts(rows, text or others[0], on_missing)
    y = None if label is None else _labels(rows[label])
    pool = rows[others if text is None else text]
    made = skprune.report(
        filter.fit(pool, y), groups=rows[names] if names else None, path=out, sensitive=sensitive
    )
    summary = made.figures["summary"]
    if json:
        print_json({"out": str(out), "summary": summary})
    else:
        print(f"kept {summary['kept']:,} of {summary['rows']:,} rows; see {out}")


def _labels(column: Any) -> Any:
    """Return labels as ``prune`` reads them: CSV holds texts, and a column of numbers is recognized."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return (numbers if numbers.notna().equals(column.notna()) else column).to_numpy()
