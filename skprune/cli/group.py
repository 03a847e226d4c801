"""How a command ends: one line for an error, and an exit code that scripts can rely on."""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

#: What messages of the library call an option, as Python writes it.
_IN_PYTHON = re.compile(r"\b(on_missing|on_conflict)='(\w+)'")
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


class Group(TyperGroup):
    """The command with its subcommands.

    The exit code is 0 if the work is done, 1 after an error, 2 if the command was used wrongly, and 130 if
    it was interrupted.
    """

    debug = False

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run a subcommand and end the process."""
        options["standalone_mode"] = False
        self.debug = False
        try:
            with _one_line_warnings():
                code = super().main(*args, **options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            code = FAILED
            _drop_output()
        except Exception as error:
            code = self._explain(error)
        if code == INTERRUPTED:
            _tell("interrupted")
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run a subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # some versions of typer turn it into exit code 1
            raise typer.Exit(INTERRUPTED) from error

    def _explain(self, error: Exception) -> int:
        if self.debug:
            traceback.print_exception(error)
            return FAILED
        if hasattr(error, "format_message"):  # typer's own errors
            context = getattr(error, "ctx", None)
            command = context.command_path if context is not None else "skprune"
            _tell(f"{error.format_message()} (see {command} --help)")
            return WRONG_USE
        message = "nothing was done" if isinstance(error, typer.Abort) else str(error)
        _tell(_IN_PYTHON.sub(_in_shell, message) or type(error).__name__)
        return FAILED


def _remember_debug(context: typer.Context, value: bool) -> None:
    group = context.find_root().command
    if isinstance(group, Group):
        group.debug = value


Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        callback=_remember_debug,
        is_eager=True,
        help="Show the traceback of an error.",
        show_default=False,
    ),
]


def _in_shell(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')} {found[2]}"


def _tell(message: str) -> None:
    sys.stderr.write(f"skprune: {' '.join(message.split())}\n")


def _drop_output() -> None:
    """Close the pipe that nobody reads, so that the interpreter does not complain at its end."""
    with suppress(OSError):  # a stream without a file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    def show(message: Any, *_: Any, **__: Any) -> None:
        _tell(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
