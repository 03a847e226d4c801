"""``skprune rethreshold``: another size for a job of ``skprune prune``, from its stored scores."""

from __future__ import annotations

import json as json_
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.options import PRUNE_OPTIONS, ExplainKept, Json, Removed, Settings, Verbose, number
from skprune.cli.output import print_summary
from skprune.cli.pipes import PIPE
from skprune.cli.values import as_toml

_COMMAND = "command.toml"


def rethreshold(
    earlier: Annotated[
        str | None,
        typer.Argument(help="The folder that --out of skprune prune named.", show_default=False),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", "-k", help="New share (0.25) or count (1000) of kept rows.", show_default=False
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder for the rows that survive.", show_default=False),
    ] = None,
    removed: Removed = None,
    explain_kept: ExplainKept = None,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Prune the same files to another size, with the scores of an earlier job: no text is scored again.

    Example: skprune rethreshold kept --keep 0.5 -o half --removed half-removed

    active-prune considers as candidates only the texts that its LLM has scored; perplexity picks the others.
    """
    size = number(_given(keep, "--keep"))
    target = _given(out, "--out")
    settings, job = _recorded(_given(earlier, "EARLIER"))

    from skprune import files
    from skprune.decisions import KnownLabels, scoring_filter
    from skprune.files.job import STATE
    from skprune.files.paths import find_files, state_of

    states = {name: state_of(path) for name, path in find_files(settings["inputs"]).items()}
    before = job["settings"]["files"]
    changed = [name for name in {**before, **states} if before.get(name) != states.get(name)]
    if changed:
        raise ValueError(f"{changed[0]} is not what it was when {earlier} was made; prune again")
    filter = settings.filter()
    scoring = scoring_filter(filter)
    own = scoring.get_params(deep=False)
    stored = {"memory": own.get("memory") or f"{earlier}/{STATE}/scores", "random_state": job["seed"]}
    if "memory" in own and not Path(stored["memory"]).is_dir():
        raise ValueError(
            f"{stored['memory']}, which held the scores of {earlier}, does not exist; prune again"
        )
    scoring.set_params(**{name: value for name, value in stored.items() if name in own})
    labels = settings.labels(filter)
    known = KnownLabels(labels.get("label"), labels.get("labeled"), settings["text"])
    if known.fingerprint != job["settings"]["labeled"]:
        raise ValueError(f"{settings['labeled']} is not what it was when {earlier} was made; prune again")
    summary = files.prune(
        settings["inputs"],
        filter,
        out=target,
        removed=removed,
        explain_kept=bool(explain_kept),
        rethreshold=size,
        verbose=int(verbose),
        **settings.given_only("text", "id", "on_missing", "n_train"),
        **labels,
    )
    print_summary(asdict(summary), json, sys.stdout)


def record(settings: Settings) -> None:
    """Write the options of a job into its folder, for :func:`rethreshold`."""
    from skprune._atomic import replacing
    from skprune.files.job import STATE

    options = settings.as_config()
    options["inputs"] = [path if path == PIPE else os.path.abspath(path) for path in options["inputs"]]
    for name in {"memory", "labeled"} & options.keys():
        options[name] = os.path.abspath(os.path.expanduser(options[name]))
    with replacing(Path(options["out"], STATE, _COMMAND)) as file:
        file.write(as_toml(options).encode())


def _recorded(earlier: str) -> tuple[Settings, dict[str, Any]]:
    """Return the options of a job, and the state that it left."""
    from skprune.files.job import STATE

    folder = Path(earlier, STATE)
    if not (folder / _COMMAND).exists():
        raise ValueError(f"{earlier} is not the folder --out of a finished skprune prune")
    settings = Settings(dict.fromkeys((*PRUNE_OPTIONS, "set")), folder / _COMMAND)
    if settings["inputs"] == [PIPE]:
        raise ValueError(f"{earlier} was read from a pipe, which cannot be read again; prune again")
    return settings, json_.loads((folder / "job.json").read_text(encoding="utf-8"))


def _given(value: Any, name: str) -> Any:
    if value is None:
        raise typer.BadParameter(f"{name} is missing")
    return value
