"""``skprune labels``: the labels that people gave in an annotation tool, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import Classes, Json, OnConflict, Question, TableOut, Text, named_classes
from skprune.cli.output import check_table_name, print_json, write_table
from skprune.cli.pipes import PIPE

_COUNTED = ("labels", "labels outside of the pool", "skipped", "disputed", "unanswered")


def labels(
    exports: Annotated[
        list[str] | None,
        typer.Argument(help="Files that the annotation tool exported.", show_default=False),
    ] = None,
    text: Text = None,
    out: TableOut = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            help="Files of the pool: the table gets all columns of its labeled rows, such as ids.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[str, typer.Option("--label", "-l", help="Name of the column of labels.")] = "label",
    classes: Classes = None,
    question: Question = None,
    on_conflict: OnConflict = "error",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the labels of an export of Label Studio or Argilla to one table, a row per text.

    Example: skprune labels export.json -t body -o labeled.csv

    The table is what --labeled of skprune prune, skprune simulate and train-lm read.
    """
    for value, name in ((exports, "EXPORTS"), (text, "--text"), (out, "--out")):
        if not value:
            raise typer.BadParameter(f"{name} is missing")
    check_table_name(str(out))
    allowed = named_classes(classes)

    from skprune import read_labels

    known = read_labels(exports, classes=allowed, on_conflict=on_conflict, text=str(text), question=question)
    if not len(known):
        raise ValueError(f"no text of {', '.join(exports or [])} has a label")
    found = {"out": out, **counts(known, allowed)}
    if pool is None:
        table = known.to_frame(str(text), label)
    else:
        table = _rows_of_pool(pool, str(text), label, known)
        found["labels outside of the pool"] = len(set(known.texts) - set(table[text]))
    write_table(table, str(out))
    if out == PIPE:
        return
    if json:
        print_json({"rows": len(table), **found})
        return
    print(f"wrote {len(table):,} labeled rows to {out}")
    print_counts(found)


def _rows_of_pool(pool: str, text: str, label: str, known: Any) -> Any:
    """Return the rows of a pool that have a label, with all columns."""
    from skprune.files import read_frame

    rows = read_frame(pool, text)
    if label in rows:
        raise typer.BadParameter(
            f"the pool has a column {label!r}; choose another name", param_hint="--label"
        )
    rows = rows[rows[text].notna()]
    rows[label] = known.for_pool(rows[text].tolist(), on_unknown="ignore")
    rows = rows[rows[label].notna()]
    if rows.empty:
        raise ValueError(f"none of the labeled texts is in {pool}; the labels may be of another project")
    return rows


def counts(known: Any, classes: Sequence[str] | None) -> dict[str, Any]:
    """Return how many texts have a label, by class too, and how many have none, by the reason."""
    import numpy as np

    return {
        "labels": len(known),
        "classes": {name: int((known.labels == name).sum()) for name in classes or np.unique(known.labels)},
        "skipped": len(known.skipped),
        "disputed": len(known.disputed),
        "unanswered": len(known.unanswered),
    }


def print_counts(found: dict[str, Any]) -> None:
    """Print these numbers for people."""
    print(", ".join(f"{name}: {found[name]:,}" for name in _COUNTED if name in found))
    if found["classes"]:
        print("classes:", ", ".join(f"{name}: {size:,}" for name, size in found["classes"].items()))
