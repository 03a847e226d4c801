"""``skprune simulate``: what filters would have achieved on data whose labels are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.methods import STRATEGIES, class_of, make_filter
from skprune.cli.missing import DropMissing, with_texts
from skprune.cli.options import Format, Inputs, Json, Keep, Text, Verbose, number
from skprune.cli.output import print_json, print_table
from skprune.cli.pipes import as_files
from skprune.cli.values import assignments

_NONE = "none"  # the method that prunes nothing


def simulate(
    inputs: Inputs = None,
    text: Text = None,
    label: Annotated[
        str | None, typer.Option("--label", "-l", help="Column of labels.", show_default=False)
    ] = None,
    methods: Annotated[
        str, typer.Option("--methods", "-m", help="Methods to compare; none prunes nothing.")
    ] = "none,random,perplexity",
    strategy: Annotated[str, typer.Option("--strategy", help="Query strategy.")] = "entropy",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds after the first labels.")] = 10,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Labels per round.")] = 20,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each method.")] = 3,
    metric: Annotated[str, typer.Option("--metric", help="A scoring of scikit-learn.")] = "f1_macro",
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Method that the others are compared with. [default: random, else none, else the first]",
            show_default=False,
        ),
    ] = None,
    negligible: Annotated[
        float, typer.Option("--negligible", help="Largest difference of the metric that does not matter.")
    ] = 0.01,
    validation: Annotated[float, typer.Option("--validation", help="Share of rows held out.")] = 0.25,
    keep: Keep = None,
    on_missing: DropMissing = "error",
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="METHOD.NAME=VALUE",
            help="A parameter of one method: --set active-prune.quality=null. May be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="CSV file for the learning curves.", show_default=False),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option("--memory", help="Folder that keeps the rounds, to resume from.", show_default=False),
    ] = None,
    format: Format = None,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Simulate active learning with several filters on rows whose labels are known, and compare them.

    Example: skprune simulate reviews.csv -t body --label stars --methods none,random,anchor --seeds 5
    -o curves.csv

    The learner is a logistic regression on TF-IDF vectors. All methods get the same held-out rows, and
    random draws with the same seeds. The means over all rounds are compared by paired t-tests, adjusted by
    Holm's procedure.
    """
    if not inputs:
        raise typer.BadParameter("INPUTS is missing")
    if label is None:
        raise typer.BadParameter("--label is missing")
    if text is None:
        raise typer.BadParameter("--text is missing")
    filters = _filters(methods, None if keep is None else number(keep), assignments(set or []))
    reference = _baseline(baseline, list(filters))
    strategy_class = class_of(strategy, STRATEGIES, "--strategy")

    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from skprune import ActiveLearningSimulator
    from skprune.files import read_frame

    with as_files(inputs, format) as paths:
        rows = with_texts(read_frame(paths, text, columns=[text, label]), text, on_missing)
    curves = []
    for name, filter in filters.items():
        for seed in range(seeds):
            simulator = ActiveLearningSimulator(
                make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000)),
                strategy_class(),
                filter,
                n_instances=batch,
                n_rounds=rounds,
                scoring=metric,
                validation_fraction=validation,
                memory=None if memory is None else memory / f"{name}-{seed}",
                random_state=seed,
                verbose=int(verbose),
            )
            try:
                simulator.fit(rows[text].tolist(), rows[label].to_numpy())
            except ValueError as error:
                if str(error).startswith("keep="):
                    raise ValueError(f"{name}: {error}; in the shell, --set {name}.keep=0.25") from error
                raise
            curve = simulator.learning_curve_
            curve.insert(0, "method", name)
            curve.insert(1, "seed", seed)
            curves.append(curve)
    table = pd.concat(curves, ignore_index=True)
    if out is not None:
        table.to_csv(out, index=False)
    results = [_result(name, table[table["method"] == name], metric) for name in filters]
    comparisons = _comparisons(table, reference, metric, negligible) if seeds > 1 else []
    if json:
        found = {"metric": metric, "seeds": seeds, "out": out and str(out), "methods": results}
        print_json(found | {"baseline": reference, "comparisons": comparisons})
        return
    print_table(list(results[0]), [list(result.values()) for result in results])
    if comparisons:
        print_table(list(comparisons[0]), [list(row.values()) for row in comparisons])


def _filters(methods: str, keep: float | int | None, assigned: dict[str, Any]) -> dict[str, Any]:
    names = [name.strip() for name in methods.split(",") if name.strip()]
    parameters: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in assigned.items():
        method, dot, name = key.partition(".")
        if not dot or method not in parameters or method == _NONE:
            known = ", ".join(name for name in names if name != _NONE)
            message = f"{key!r} must begin with one of the methods ({known})"
            raise typer.BadParameter(message, param_hint="--set")
        parameters[method][name] = value
    if keep is not None:
        for given in parameters.values():
            given.setdefault("keep", keep)
    return {
        name: None if name == _NONE else make_filter(name, given, "--methods", besides=(_NONE,))
        for name, given in parameters.items()
    }


def _baseline(given: str | None, methods: list[str]) -> str:
    """Return the method that the others are compared with."""
    if given is not None and given not in methods:
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(methods)}", param_hint="--baseline")
    usual = [name for name in ("random", _NONE) if name in methods]
    return given or (usual or methods)[0]


def _comparisons(table: Any, baseline: str, metric: str, negligible: float) -> list[dict[str, Any]]:
    """Return one line per method but the baseline: the mean of the metric over the rounds, paired by seed."""
    from skprune.significance import holm, paired_difference, smallest_detectable

    means = table.groupby(["method", "seed"], sort=False)[metric].mean().unstack("seed")
    others = [name for name in means.index if name != baseline]
    found = [paired_difference(means.loc[name], means.loc[baseline]) for name in others]
    adjusted = holm([difference.p for difference in found]).tolist()
    return [
        {
            "method": name,
            f"mean {metric} vs {baseline}": difference.mean,
            "± 95 %": difference.margin,
            "detectable": smallest_detectable(means.loc[name], means.loc[baseline]),
            "p, Holm": p,
            "verdict": _verdict(difference, p, negligible),
        }
        for name, difference, p in zip(others, found, adjusted, strict=True)
    ]


def _verdict(difference: Any, p: float, negligible: float) -> str:
    """Return what the runs show, and which way an established difference goes."""
    from skprune.significance import verdict

    word = verdict(difference.mean, difference.margin, p, negligible)
    direction = "higher" if difference.mean > 0 else "lower"
    return f"{word}: {direction}" if word == "established" else word


def _result(name: str, curve: Any, metric: str) -> dict[str, Any]:
    """Return the line of one method: mean and standard deviation over the seeds."""
    runs = curve.groupby("seed")
    last = runs.last()
    return {
        "method": name,
        "labels": int(last["labels"].max()),
        f"last {metric}": float(last[metric].mean()),
        "SD of last": float(last[metric].std()),
        f"mean {metric}": float(runs[metric].mean().mean()),
        "SD of mean": float(runs[metric].mean().std()),
        "LLM calls": float(last["llm_calls"].mean()),
        "seconds": float(runs[["select_seconds", "train_seconds"]].sum().sum(axis=1).mean()),
    }
