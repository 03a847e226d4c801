"""``skprune score``: a table with the scores of every row."""

from __future__ import annotations

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
    TableOut,
    Text,
    Verbose,
)
from skprune.cli.output import check_table_name, print_json, write_table
from skprune.cli.pipes import PIPE, as_files


def score(
    inputs: Inputs = None,
    text: Text = None,
    method: Method = None,
    out: TableOut = None,
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
    check_table_name(target)
    filter = settings.filter()

    from skprune import files

    with as_files(settings["inputs"], format) as paths:
        options = settings.given_only("text", "id", "on_missing", "n_train")
        options |= settings.labels(filter)
        table = files.score(paths, filter, verbose=int(verbose), **options)
    write_table(table, target)
    if target == PIPE:
        return
    if json:
        print_json({"rows": len(table), "kept": int(table["kept"].sum()), "out": target})
    else:
        print(f"scored {len(table):,} rows in {target}; {', '.join(table.columns)}")
