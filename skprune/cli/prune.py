"""``skprune prune``: files in, the files of the rows that survive out."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import (
    Balance,
    ExplainKept,
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
    Removed,
    Seed,
    Set,
    Settings,
    Text,
    Verbose,
)
from skprune.cli.output import print_json, print_summary
from skprune.cli.pipes import PIPE, as_files, check_one_stream, output_folder
from skprune.cli.rethreshold import record
from skprune.cli.values import as_toml


def prune(
    inputs: Inputs = None,
    text: Text = None,
    method: Method = None,
    keep: Keep = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Folder for the rows that survive; - is standard output.", show_default=False
        ),
    ] = None,
    removed: Removed = None,
    id: Id = None,
    on_missing: OnMissing = None,
    explain_kept: ExplainKept = None,
    n_train: NTrain = None,
    memory: Memory = None,
    seed: Seed = None,
    group_column: GroupColumn = None,
    min_per_group: MinPerGroup = None,
    balance: Balance = None,
    label: Label = None,
    labeled: Labeled = None,
    set: Set = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML file with these options as keys.", show_default=False),
    ] = None,
    format: Format = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the configuration and what the job will cost; write nothing.",
            show_default=False,
        ),
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Keep the best rows of files, which need not fit into memory.

    Example: skprune prune pool/ -t body -m perplexity --keep 0.25 -o kept --removed removed

    If a job was interrupted, the same command resumes it. The inputs are never changed. The folder --out
    keeps the scores, hidden, for skprune rethreshold.
    """
    given = {
        "inputs": inputs or None,
        "text": text,
        "method": method,
        "keep": keep,
        "out": out,
        "removed": removed,
        "id": id,
        "on_missing": on_missing,
        "explain_kept": explain_kept,
        "n_train": n_train,
        "memory": memory,
        "seed": seed,
        "group_column": group_column,
        "min_per_group": min_per_group,
        "balance": balance,
        "label": label,
        "labeled": labeled,
        "format": format,
        "set": set,
    }
    settings = Settings(given, config)
    settings.required("inputs", "INPUTS")
    if not dry_run:
        settings.required("out", "--out")
    filter = settings.filter(verbose=verbose)
    labels = settings.labels(filter)

    from skprune import files

    with as_files(settings["inputs"], settings["format"]) as paths:
        if dry_run:
            _print_plan(settings, asdict(files.estimate(paths, filter, text=settings["text"])), json)
            return
        to_stdout = settings["out"] == PIPE
        if to_stdout:
            check_one_stream(paths)
        options = settings.given_only("text", "removed", "id", "on_missing", "explain_kept", "n_train")
        options |= labels
        try:
            with output_folder(settings["out"]) as folder:
                summary = files.prune(
                    paths, filter, out=folder, keep_scores=not to_stdout, verbose=int(verbose), **options
                )
        except KeyboardInterrupt:
            if not to_stdout:
                typer.echo("The same command resumes the job.", err=True)
            raise
    if not to_stdout:
        record(settings)
    result = asdict(summary) | {"out": settings["out"]}
    print_summary(result, json, sys.stderr if to_stdout else sys.stdout)  # the rows are on standard output


def _print_plan(settings: Settings, found: dict[str, Any], json: bool) -> None:
    if json:
        print_json({"config": settings.as_config(), "estimate": found})
        return
    print(f"# {found['rows']:,} rows; about {found['llm_calls']:,} texts for an LLM")
    if found["missing"]:
        print(f"# {found['missing']:,} rows without a text: see --on-missing")
    print(f"# about {found['seconds']:,.1f} seconds and {found['memory'] / 1e6:,.0f} MB of memory,")
    print(f"# estimated from {found['probed']:,} rows; save this as a file for --config")
    print(as_toml(settings.as_config()))
