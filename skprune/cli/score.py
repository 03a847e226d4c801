"""``skprune score``: a table with the scores of every row."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import (
    Balance,
    Format,
    GroupColumn,
    Id,
    Inputs,
    Json,
    Keep,
    Label,
    Labeled,
    Memory,
    Method,
    MinPerGroup,
    NTrain,
    OnMissing,
    Seed,
    Set,
    Settings,
    Text,
    Verbose,
)
from skprune.cli.output import print_json
from skprune.cli.pipes import PIPE, as_files

_AS_BYTES: dict[str, Callable[[Any], bytes]] = {
    ".parquet": lambda frame: frame.to_parquet(),
    ".csv": lambda frame: frame.to_csv(index=False).encode(),
    ".jsonl": lambda frame: frame.to_json(orient="records", lines=True, force_ascii=False).encode(),
}


def score(
    inputs: Inputs = None,
    text: Text = None,
    method: Method = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="File that ends in .parquet, .csv or .jsonl; - prints JSON lines.",
            show_default=False,
        ),
    ] = None,
    keep: Keep = None,
    id: Id = None,
    on_missing: OnMissing = None,
    n_train: NTrain = None,
    memory: Memory = None,
    seed: Seed = None,
    group_column: GroupColumn = None,
    min_per_group: MinPerGroup = None,
    balance: Balance = None,
    label: Label = None,
    labeled: Labeled = None,
    set: Set = None,
    format: Format = None,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the scores of every row, and whether it would be kept, to one table.

    Example: skprune score pool/ -t body -m perplexity -o scores.parquet

    Use --memory to continue after an interruption.
    """
    given = {
        "inputs": inputs,
        "text": text,
        "method": method,
        "out": out,
        "keep": keep,
        "id": id,
        "on_missing": on_missing,
        "n_train": n_train,
        "memory": memory,
        "seed": seed,
        "group_column": group_column,
        "min_per_group": min_per_group,
        "balance": balance,
        "label": label,
        "labeled": labeled,
        "set": set,
    }
    settings = Settings(given)
    settings.required("inputs", "INPUTS")
    target = settings.required("out", "--out")
    if target != PIPE and Path(target).suffix not in _AS_BYTES:
        raise typer.BadParameter(
            f"{target!r} does not end in one of {', '.join(_AS_BYTES)}", param_hint="--out"
        )
    filter = settings.filter()

    from skprune import files
    from skprune._atomic import replacing

    with as_files(settings["inputs"], format) as paths:
        options = settings.given_only("text", "id", "on_missing", "n_train")
        options |= settings.labels(filter)
        table = files.score(paths, filter, verbose=int(verbose), **options)
    if target == PIPE:
        sys.stdout.buffer.write(_AS_BYTES[".jsonl"](table))
        return
    with replacing(Path(target)) as file:
        file.write(_AS_BYTES[Path(target).suffix](table))
    if json:
        print_json({"rows": len(table), "kept": int(table["kept"].sum()), "out": target})
    else:
        print(f"scored {len(table):,} rows in {target}; {', '.join(table.columns)}")
