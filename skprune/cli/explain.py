"""``skprune explain``: why rows went, from the files that ``prune`` or ``score`` wrote."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import Inputs, Json, Text
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
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say why rows were removed, from a folder of removed rows or a table of scores.

    Example: skprune explain removed -t body --examples 3
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
