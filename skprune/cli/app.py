"""The commands, by name. None of them imports the library before it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import rich  # noqa: F401 (so that one that is missing is told at once)
import typer

import skprune
from skprune.cli.group import Group
from skprune.cli.prune import prune

app = typer.Typer(
    cls=Group,
    name="skprune",
    help="Prune texts: keep the part of a pool that is worth labeling or training on.",
    epilog="Each command has an example: skprune prune --help",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(prune)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help if no command is given."""
    if version:
        typer.echo(skprune.__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
