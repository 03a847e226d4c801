"""Options that several commands share, and how a TOML file supplies those that were not given."""

from __future__ import annotations

import tomllib
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.values import assignments, from_toml, value_of

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help='Files, folders or patterns ("data/*.parquet"): Parquet, Arrow, JSON lines, CSV or text. '
        "- reads standard input.",
        show_default=False,
    ),
]
Text = Annotated[
    str | None,
    typer.Option("--text", "-t", help="Column of texts. [default: the only one]", show_default=False),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        help="random, perplexity, ask-llm, active-prune, entropy-interval, anchor, seals or proxy; report "
        "also takes filters that need the whole pool in memory, such as k-means.",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        help="A parameter of the method, or of its scorer: --set quality=path/to/model "
        "--set quality__precision=bfloat16. May be repeated. A value is read as TOML or JSON, else as a "
        "text; null is Python's None.",
        show_default=False,
    ),
]
Keep = Annotated[
    str | None,
    typer.Option("--keep", "-k", help="Share (0.25) or count (1000) of kept rows.", show_default=False),
]
Removed = Annotated[
    str | None,
    typer.Option("--removed", help="Folder for the removed rows, with reasons.", show_default=False),
]
ExplainKept = Annotated[
    bool | None,
    typer.Option("--explain-kept", help="Add scores and reasons to the kept rows too.", show_default=False),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        help="Column of groups, such as languages or sources, for --min-per-group and --balance.",
        show_default=False,
    ),
]
MinPerGroup = Annotated[
    int | None,
    typer.Option(
        "--min-per-group",
        min=0,
        help="Least number of different rows of each group that survive; the size stays --keep.",
        show_default=False,
    ),
]
Balance = Annotated[
    str | None,
    typer.Option("--balance", help="equal: every group gets the same number of places.", show_default=False),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        "-l",
        help="Column of labels, for methods that use them; a row whose cell is empty has none.",
        show_default=False,
    ),
]
Labeled = Annotated[
    str | None,
    typer.Option(
        "--labeled",
        help="File of labeled rows that has the columns --text and --label, instead of the inputs.",
        show_default=False,
    ),
]
NTrain = Annotated[
    int | None,
    typer.Option("--n-train", help="Most texts to train a model on. [default: 100000]", show_default=False),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", help="Folder that keeps the scores for later runs.", show_default=False),
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Seed of ties and random draws.", show_default=False)
]
Id = Annotated[str | None, typer.Option("--id", help="Column that identifies a row.", show_default=False)]
OnMissing = Annotated[
    str | None,
    typer.Option(
        "--on-missing", help="Rows without a text: error, drop or keep. [default: error]", show_default=False
    ),
]
TableOut = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="File that ends in .parquet, .csv or .jsonl; - prints JSON lines.",
        show_default=False,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Labels that may occur: good,bad. Any other label is an error.",
        show_default=False,
    ),
]
Question = Annotated[
    str | None,
    typer.Option(
        "--question", help="Name of the question. [default: the only one, or label]", show_default=False
    ),
]
OnConflict = Annotated[
    str, typer.Option("--on-conflict", help="Contradictory answers: error, majority or skip.")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="What standard input holds: jsonl, text, csv or tsv. [default: jsonl if the first line is a "
        "JSON object, else text]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", show_default=False)]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show progress at once, everywhere.", show_default=False),
]

#: The keys of a configuration file of ``skprune prune``, beside the table ``set``.
PRUNE_OPTIONS = (
    "inputs",
    "text",
    "method",
    "keep",
    "out",
    "removed",
    "id",
    "on_missing",
    "explain_kept",
    "n_train",
    "memory",
    "seed",
    "group_column",
    "min_per_group",
    "balance",
    "label",
    "labeled",
    "format",
)
_FILTER_PARAMETERS = {"keep": "keep", "memory": "memory", "seed": "random_state"}


class Settings(dict[str, Any]):
    """The options of a command by name, from the command line, else a TOML file, else the defaults.

    Parameters
    ----------
    given : dict
        Options of the command line; None for one that was not given.
    config : Path or None
        A TOML file with the same names, and a table ``set`` with parameters of the method.
    """

    def __init__(self, given: dict[str, Any], config: Path | None = None) -> None:
        parameters = assignments(given.pop("set") or [])
        if isinstance(given.get("keep"), str):
            given["keep"] = number(given["keep"])
        held = {} if config is None else _read(config, {*given, "set"})
        super().__init__({name: held.get(name) if value is None else value for name, value in given.items()})
        self.parameters = {**held.get("set", {}), **parameters}

    def required(self, name: str, option: str) -> Any:
        """Return an option that must have been given."""
        if self.get(name) in (None, []):
            raise typer.BadParameter(f"{option} is missing")
        return self[name]

    def filter(self, *, verbose: bool = False) -> Any:
        """Return the filter of the method, with all its parameters."""
        from skprune.cli.methods import make_filter, method_names

        if self["method"] is None:
            raise typer.BadParameter(f"--method is missing; it is one of {', '.join(method_names())}")
        named = {
            parameter: self[option]
            for option, parameter in _FILTER_PARAMETERS.items()
            if self.get(option) is not None
        }
        made = make_filter(self["method"], named | self.parameters)
        if verbose and "verbose" in made.get_params(deep=False):
            made.set_params(verbose=1)
        return self._with_quotas(made)

    def _with_quotas(self, filter: Any) -> Any:
        """Return the filter with the places that groups are guaranteed."""
        quotas = {name: self[name] for name in ("min_per_group", "balance") if self.get(name) is not None}
        if self.get("group_column") is None:
            if quotas:
                option = f"--{next(iter(quotas)).replace('_', '-')}"
                raise typer.BadParameter(f"{option} needs --group-column, the column of the groups")
            return filter
        if not quotas:
            raise typer.BadParameter("--group-column needs --min-per-group or --balance")
        import skprune

        return skprune.QuotaFilter(filter, groups=self["group_column"], **quotas)

    def labels(self, filter: Any) -> dict[str, Any]:
        """Return the arguments ``label`` and ``labeled`` of :func:`skprune.files.prune`.

        Warn if there are none, and the filter would need some.
        """
        from skprune.decisions import scoring_filter
        from skprune.files import read_labeled

        if self.get("labeled") is not None:
            label = self.required("label", "--label, the column of labels in --labeled,")
            return {"label": label, "labeled": read_labeled(self["labeled"], self["text"], label)}
        without = scoring_filter(filter)._without_labels
        if without and self["label"] is None:
            warnings.warn(
                f"{self['method']} knows no labels, so {without}; --label names the column that holds them",
                stacklevel=2,
            )
        return self.given_only("label")

    def given_only(self, *names: str) -> dict[str, Any]:
        """Return the options of some names that have a value."""
        return {name: self[name] for name in names if self[name] is not None}

    def as_config(self) -> dict[str, Any]:
        """Return the content of a TOML file that means the same."""
        plain = {name: value for name, value in self.items() if value not in (None, False)}
        return plain | ({"set": self.parameters} if self.parameters else {})


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise typer.BadParameter(f"{str(path)!r} does not exist", param_hint="--config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is not TOML: {error}", param_hint="--config") from error
    read = {name.replace("-", "_"): value for name, value in content.items()}
    for name in read:
        if name not in known:
            raise typer.BadParameter(
                f"{path} has an unknown key {name!r}; known are {', '.join(sorted(known))}",
                param_hint="--config",
            )
    if not isinstance(read.get("set", {}), dict):
        raise typer.BadParameter(f"{path}: set must be a table of parameters", param_hint="--config")
    if isinstance(read.get("inputs"), str):
        read["inputs"] = [read["inputs"]]
    read["set"] = {name: from_toml(value) for name, value in read.get("set", {}).items()}
    return read


def named_classes(given: str | None) -> list[str] | None:
    """Return the names in --classes."""
    return None if given is None else [name.strip() for name in given.split(",") if name.strip()]


def number(text: str) -> float | int:
    """Return the number that --keep gives."""
    value = value_of(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise typer.BadParameter(f"{text!r} is neither a share nor a count", param_hint="--keep")
    return value
