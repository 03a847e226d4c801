"""``skprune cache``: what a folder of scores holds."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from skprune.cli.group import Debug
from skprune.cli.options import Json
from skprune.cli.output import print_json, print_table

app = typer.Typer(help="Inspect or clear the folder that --memory names.", rich_markup_mode=None)
Folder = Annotated[str, typer.Argument(metavar="PATH", help="The folder.", show_default=False)]


@app.command()
def info(path: Folder, json: Json = False, debug: Debug = False) -> None:
    """List the scorers and encoders whose values a folder holds.

    Example: skprune cache info scores
    """
    from skprune.store import open_store

    with open_store(path) as store:
        table = store.info()
    if json:
        print_json(table.to_dict("records"))
    else:
        print_table(list(table.columns), table.to_numpy(dtype=object).tolist())


@app.command()
def clear(
    path: Folder,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", help="Clear the values of this one only.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    debug: Debug = False,
) -> None:
    """Delete the values in a folder. They cannot be restored, only computed again.

    Example: skprune cache clear scores --yes
    """
    from skprune.store import open_store

    with open_store(path) as store:
        table = store.info()
        if fingerprint is not None:
            table = table[table["fingerprint"] == fingerprint]
            if table.empty:
                raise ValueError(f"{path} holds no values of --fingerprint {fingerprint}")
        n_values = int(table["values"].sum())
        if not yes:
            if not sys.stdin.isatty():
                raise typer.BadParameter("--yes is needed where nobody can be asked")
            typer.confirm(f"Delete {n_values:,} values in {path}?", abort=True, err=True)
        store.clear(fingerprint)
    print(f"deleted {n_values:,} values in {path}")
