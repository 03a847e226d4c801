"""Print the public API as tables: classes and functions, their parameters and defaults.

python docs/api_table.py                          # the API of this checkout
python docs/api_table.py --old COMMIT_OR_FOLDER   # what changed since, and what did not
python docs/api_table.py --old fbbd8b4 --write    # the same, into docs/api-changes.md
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE / "api-changes.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

MODULES = [
    "skprune",
    "skprune.strategies",
    "skprune.modal",
    "skprune.metrics",
    "skprune.neighbors",
    "skprune.store",
    "skprune.datasets",
    "skprune.utils.estimator_checks",
    "skprune.statistics",
    "skprune.assets",
]

#: Names that moved out of the public modules, and where they are now.
MOVED = {
    "skprune.statistics": "moved to `examples/experiments/significance.py`, outside the library",
    "skprune.assets": "moved to `skprune.datasets._assets`, private",
}

#: Parameters with a new name: {old: new}. Each is looked for where the old name went and the new one came.
RENAMED = {
    "centre": "center",
    "folder": "memory",
    "lam": "unlabeled_weight",
    "mu": "unlabeled_ratio",
    "normaliser": "normalizer",
    "quantization": "precision",
    "score": "difficulty",
    "tokeniser": "tokenizer",
    "tokens_per_batch": "batch_size",
    "unlabelled": "unlabeled",
}

Signature = dict[str, str]  # parameter -> default, "" if it has none
Api = dict[str, Signature]


def main(arguments: list[str] | None = None) -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--old", help="a commit, or a folder that holds an older skprune")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    parser.add_argument("--dump", action="store_true", help="print the API of the importable skprune as JSON")
    options = parser.parse_args(arguments)
    if options.dump:
        print(json.dumps(public_api()))
        return
    new = api_in(HERE.parent)
    tables = whole_table(new) if options.old is None else change_tables(old_api(options.old), new)
    if not options.write:
        print(tables)
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def public_api() -> Api:
    """Return the signature of every public class and function, by dotted name."""
    api: Api = {}
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for attribute in sorted(getattr(module, "__all__", None) or defined_in(module)):
            value = getattr(module, attribute)
            if callable(value):
                api[f"{name}.{attribute}"] = signature_of(value)
    return api


def defined_in(module: object) -> list[str]:
    """Return the public names that a module without ``__all__`` defines itself."""
    name = module.__name__  # type: ignore[attr-defined]
    return [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and callable(value) and getattr(value, "__module__", None) == name
    ]


def signature_of(value: object) -> Signature:
    """Return the parameters of a class or function with their defaults."""
    try:
        parameters = inspect.signature(value).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    signature: Signature = {}
    for name, parameter in parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(key.startswith("*") for key in signature):
            signature["*"] = ""
        default = "" if parameter.default is parameter.empty else show(parameter.default)
        signature[stars.get(parameter.kind, "") + name] = default
    return signature


def show(default: object) -> str:
    """Return a default as source: functions by name, addresses left out."""
    name = getattr(default, "__name__", None)
    return name if callable(default) and name else repr(default)


def old_api(commit_or_folder: str) -> Api:
    """Return the API of an older skprune."""
    if Path(commit_or_folder).is_dir():
        return api_in(Path(commit_or_folder))
    command = ["git", "-C", str(HERE.parent), "archive", commit_or_folder, "skprune"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return api_in(Path(folder))


def api_in(folder: Path) -> Api:
    """Return the API of the skprune in ``folder``, read in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--dump"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


def whole_table(api: Api) -> str:
    """Return one row per name: its parameters and defaults."""
    rows = [f"| `{short(name)}` | {as_cell(signature)} |" for name, signature in api.items()]
    return "\n".join(["| name | parameters and defaults |", "|---|---|", *rows])


def change_tables(old: Api, new: Api) -> str:
    """Return the table of changed names with both signatures, and that of the others."""
    changed, same = [], {}
    for name in [*new, *(name for name in old if name not in new)]:
        if (words := changes(name, old, new)) == "":
            same[name] = new[name]
            continue
        before = as_cell(old[name]) if name in old else "–"
        after = as_cell(new[name]) if name in new else "–"
        changed.append(f"| `{short(name)}` | {before} | {after} | {words} |")
    return "\n".join(
        [
            "## Changed",
            "",
            "| name | before | now | change |",
            "|---|---|---|---|",
            *changed,
            "",
            "## Unchanged",
            "",
            whole_table(same),
        ]
    )


def changes(name: str, old: Api, new: Api) -> str:
    """Say in words what became of a name; "" if nothing changed."""
    if name not in new:
        return MOVED.get(name.rpartition(".")[0], "removed")
    if name not in old:
        return "new"
    before, after = ({k: v for k, v in api[name].items() if k != "*"} for api in (old, new))
    gone = [parameter for parameter in before if parameter not in after]
    come = [parameter for parameter in after if parameter not in before]
    words = []
    renamed = {}
    for parameter in gone:
        if (successor := RENAMED.get(parameter)) in come:
            renamed[parameter] = successor
            words.append(f"`{parameter}` renamed to `{successor}`")
    words += [f"`{parameter}` removed" for parameter in gone if parameter not in renamed]
    words += [f"new `{parameter}`" for parameter in come if parameter not in renamed.values()]
    for parameter, default in before.items():
        successor = renamed.get(parameter, parameter)
        if successor in after and after[successor] != default:
            words.append(
                f"new default of `{successor}`: `{default or 'none'}` → `{after[successor] or 'none'}`"
            )
    order = [
        renamed.get(parameter, parameter)
        for parameter in before
        if renamed.get(parameter, parameter) in after
    ]
    if order != [parameter for parameter in after if parameter in order]:
        words.append("new order of the parameters")
    return "; ".join(words)


def as_cell(signature: Signature) -> str:
    """Return parameters and defaults as the content of a table cell."""
    shown = ", ".join(name + (f"={default}" if default else "") for name, default in signature.items())
    return f"`({shown})`".replace("|", "\\|")


def short(name: str) -> str:
    """Return the name without the package where the package itself exports it."""
    module, _, attribute = name.rpartition(".")
    return attribute if module == "skprune" else name.removeprefix("skprune.")


if __name__ == "__main__":
    main()
