"""The commands, by name. None of them imports the library before it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import rich  # noqa: F401 (so that one that is missing is told at once)
import typer

import skprune
from skprune.cli import cache
from skprune.cli.doctor import doctor
from skprune.cli.explain import explain
from skprune.cli.group import Group
from skprune.cli.labels import labels
from skprune.cli.next import next
from skprune.cli.prune import prune
from skprune.cli.report import report
from skprune.cli.rethreshold import rethreshold
from skprune.cli.score import score
from skprune.cli.simulate import simulate
from skprune.cli.train_lm import train_lm

app = typer.Typer(
    cls=Group,
    name="skprune",
    help="Prune texts: keep the part of a pool that is worth labeling or training on.",
    epilog="Each command has an example: skprune prune --help",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (prune, next, labels, rethreshold, score, explain, report, simulate, train_lm, doctor):
    app.command()(command)
app.add_typer(cache.app, name="cache")


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
