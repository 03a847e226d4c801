"""Rows without a text, for commands that read whole files into memory."""

from __future__ import annotations

from typing import Annotated, Any

import typer

DropMissing = Annotated[
    str,
    typer.Option("--on-missing", help="Rows without a text: error or drop."),
]


def with_texts(rows: Any, text: str, on_missing: str) -> Any:
    """Return the rows of a DataFrame that have a text.

    Raises
    ------
    ValueError
        If a row has none, unless such rows are to be dropped.

    Examples
    --------
    >>> import pandas as pd
    >>> with_texts(pd.DataFrame({"body": ["fine", None]}), "body", "drop")["body"].tolist()
    ['fine']
    """
    if on_missing not in ("error", "drop"):
        raise typer.BadParameter(f"{on_missing!r} is not one of error, drop", param_hint="--on-missing")
    missing = rows[text].isna().to_numpy()
    if missing.any() and on_missing == "error":
        raise ValueError(
            f"{text!r} is missing in {missing.sum():,} of {len(rows):,} rows, the first is row "
            f"{missing.argmax()}; --on-missing drop leaves such rows out"
        )
    return rows[~missing].reset_index(drop=True)
