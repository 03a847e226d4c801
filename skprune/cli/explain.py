"""``skprune explain``: why rows went, from the files that ``prune`` or ``score`` wrote."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import Id, Inputs, Json, Text
from skprune.cli.output import print_json, print_table
from skprune.cli.pipes import as_files

_LONGEST = 100  # characters of an example


def explain(
    inputs: Inputs = None,
    text: Text = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples", "-n", min=0, help="Rows to show per reason: those nearest to the threshold."
        ),
    ] = 0,
    row: Annotated[
        str | None,
        typer.Option(
            "--row",
            "-r",
            metavar="FILE:NUMBER",
            help="Explain one row of the pool, counted from 0; with --id, the row that has this value there.",
            show_default=False,
        ),
    ] = None,
    id: Id = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say why rows were removed, from a folder of removed rows or a table of scores.

    Example: skprune explain removed -t body --examples 3

    With --row pool.jsonl:17, show what is known about that row alone.
    """
    if not inputs:
        raise typer.BadParameter("INPUTS is missing")
    if examples and not text:
        raise typer.BadParameter("--examples needs --text, the column to show")

    from skprune.files import read_frame

    without_reasons = f"{', '.join(inputs)}: no reasons; give the folder of --removed, or a table of scores"
    with as_files(inputs, None) as paths:
        try:
            rows = read_frame(paths, "reason")
        except ValueError as error:
            if "no column 'reason'" in str(error):
                raise ValueError(without_reasons) from error
            raise
    reason = next(iter(_called("reason", rows)), None)
    if reason is None:
        raise ValueError(without_reasons)
    if row is not None:
        _explain_one(_row(rows, row, id), row, reason, json)
        return
    if text and text not in rows:
        names = ", ".join(map(str, rows.columns))
        raise ValueError(f"the inputs have no column {text!r}; their columns are {names}")
    scores = _scores(rows, reason)
    found = []
    for words, group in rows.groupby(reason, sort=False, observed=True):
        entry: dict[str, Any] = {"reason": words, "rows": len(group)}
        entry |= {name: float(group[name].median()) for name in scores}
        if examples:
            entry["examples"] = [str(value) for value in _nearest(group, scores)[text].head(examples)]
        found.append(entry)
    found.sort(key=lambda entry: -entry["rows"])
    if json:
        print_json({"rows": len(rows), "reasons": found})
        return
    columns = ["reason", "rows", *scores]
    print_table(
        ["reason", "rows", *(f"median {name}" for name in scores)],
        [[entry[name] for name in columns] for entry in found],
    )
    for entry in found if examples else ():
        print(f"{entry['reason']}:")
        for example in entry["examples"]:
            line = " ".join(example.split())
            print(f"  {line[:_LONGEST]}{'…' if len(line) > _LONGEST else ''}")


def _row(rows: Any, wanted: str, id: str | None) -> Any:
    """Return the row that a position in a file, or the value of a column, names."""
    import pandas as pd

    if id is None:
        file, _, number = wanted.rpartition(":")
        places = _called("file", rows)[:1] + _called("row", rows)[:1]
        if not file or not number.isdecimal():
            raise typer.BadParameter(f"{wanted!r} is not FILE:NUMBER", param_hint="--row")
        if len(places) < 2:
            raise ValueError(
                "these rows do not tell their files; name the column that identifies a row as --id"
            )
        found = (rows[places[0]] == file) & (pd.to_numeric(rows[places[1]], errors="coerce") == int(number))
    elif id not in rows:
        raise ValueError(f"the inputs have no column {id!r}; their columns are {', '.join(map(str, rows))}")
    else:
        found = rows[id].astype(str) == wanted
    if not found.any():
        raise ValueError(f"{wanted} is not among these rows; if it is a row of the pool, it was kept")
    return rows[found].iloc[0]


def _explain_one(row: Any, name: str, reason: str, json: bool) -> None:
    values = {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
    if json:
        print_json(values)
        return
    print(f"{name}: {row[reason]}")
    print_table(["column", "value"], [[key, value] for key, value in values.items() if key != reason])


def _scores(rows: Any, reason: str) -> list[str]:
    """Return the scores of the method, which ``prune`` writes between the rank and the reason."""
    import pandas as pd

    names = list(rows.columns)
    rank = _called("rank", rows)
    between = names[names.index(rank[0]) + 1 : names.index(reason)] if rank else []
    numeric = []
    for name in between:
        values = pd.to_numeric(rows[name], errors="coerce")  # CSV holds texts
        if values.notna().any():
            rows[name] = values
            numeric.append(name)
    return numeric


def _nearest(group: Any, scores: list[str]) -> Any:
    """Order rows by the distance of their first score to the threshold."""
    threshold = [name for name in _called("threshold", group) if name in scores[1:]]
    if not threshold:
        return group
    distance = (group[scores[0]] - group[threshold[0]]).abs()
    return group.loc[distance.sort_values(kind="stable").index]


def _called(name: str, rows: Any) -> list[str]:
    """Return the columns that ``prune`` may have added under a name, the longest first.

    If the inputs have such a column themselves, the added one has a prefix.
    """
    return sorted((str(column) for column in rows if str(column).replace("prune_", "") == name), key=len)[
        ::-1
    ]
