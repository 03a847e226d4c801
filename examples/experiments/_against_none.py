"""Runs with a filter against runs of the same seed without one: the tables, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from _pages import BEYOND, paired, with_beyond

from skprune.significance import holm, paired_difference, verdict

BY = ["rare", "learner"]


def with_kept(runs: pd.DataFrame, path: Path | None, key: list[str]) -> pd.DataFrame:
    """Return the rows of a CSV that exists, and after them the runs that it does not hold.

    Parameters
    ----------
    runs : DataFrame
        May be empty.
    path : Path or None
        The CSV, if there is one.
    key : list of str
        The columns that tell two runs apart.

    Returns
    -------
    DataFrame
        Rounded to four digits, as they are written.
    """
    runs = runs.round(4)
    if path is None or not path.exists():
        return runs
    kept = pd.read_csv(path)
    if runs.empty:
        return kept
    return pd.concat([kept, runs], ignore_index=True).drop_duplicates(key, keep="first", ignore_index=True)


def against_none(
    runs: pd.DataFrame, negligible: float, shares: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Compare each filter with no pruning, paired by seed.

    Each filter is a family of tests; if only one pair of a class and a learner was run, all filters are one.

    Parameters
    ----------
    runs : DataFrame
        One row per run: ``rare``, ``learner``, ``filter``, ``seed``, "F1, mean" and "found".
    negligible : float
        The largest difference that does not matter, in percent.
    shares : mapping of str to float, default=None
        The share of its collection that a test set takes, for each value of ``rare``. None: 0.

    Returns
    -------
    DataFrame
        One row per filter and pair, with numbers; `shown` formats it.
    """
    rows = []
    for name in runs["filter"].unique()[1:]:
        for (rare, learner), group in runs.groupby(BY, sort=False):
            table = group.pivot(index="seed", columns="filter", values="F1, mean")
            more = group.pivot(index="seed", columns="filter", values="found")
            differences = 100 * (table[name] - table["none"]) / table["none"].mean()
            mean, half, visible, p = paired(differences)
            share = shares[rare] if shares else 0.0
            wider = paired_difference(differences, np.zeros(len(differences)), overlap=share)
            found, found_half, _, _ = paired(more[name] - more["none"])
            rows.append(
                {"filter": name, "rare": rare, "learner": learner, "seeds": len(table)}
                | {"mean": mean, "half": half, "visible": visible, "p": p}
                | {"found": found, "found half": found_half}
                | {"half, wider": wider.margin, "p, wider": wider.p}
            )
    table = pd.DataFrame(rows)
    families = table.groupby("filter") if len(runs.groupby(BY)) > 1 else [("all", table)]
    for _, family in families:
        for column in ("p", "p, wider"):
            table.loc[family.index, column] = holm(family[column])
    columns = [("mean", "half", "p"), ("mean", "half, wider", "p, wider")]
    table["verdict"], wider = (
        [verdict(*row, negligible, "%") for row in table[list(names)].to_numpy()] for names in columns
    )
    return with_beyond(table, wider)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of `against_none` as text."""
    return pd.DataFrame(
        {
            "filter": table["filter"],
            "rare": table["rare"],
            "learner": table["learner"],
            "seeds": table["seeds"],
            "F1 of the curve, %": with_interval(table["mean"], table["half"]),
            "smallest detectable, %": table["visible"].map("{:.1f}".format),
            "p, Holm": ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in table["p"]],
            "verdict": table["verdict"],
            BEYOND: table[BEYOND],
            "rare rows found": with_interval(table["found"], table["found half"]),
        }
    )


def what_holds(table: pd.DataFrame, negligible: float) -> str:
    """Return the verdicts on each filter as a list in Markdown."""
    lines = []
    for name, family in table.groupby("filter", sort=False):
        established, excluded = (
            family["verdict"].str.startswith(word) for word in ("established", "excluded")
        )
        parts = {
            "lower, established": family[established & (family["mean"] < 0)],
            "higher, established": family[established & (family["mean"] > 0)],
            f"a difference of more than {negligible:.0f} % excluded": family[excluded],
            "not established": family[~established & ~excluded],
        }
        lines.append(f"* **{name}**, {len(family)} pairs of a class and a learner:")
        lines += [f"    * {_counted(words, part)}" for words, part in parts.items() if len(part)]
    return "\n".join(lines).replace(" 1 pairs", " 1 pair")


def _counted(words: str, part: pd.DataFrame) -> str:
    """Return how many comparisons got a verdict, and which; several without a difference as a range."""
    if "excluded" in words and len(part) > 1:
        return f"{words} in {len(part)}: {part['mean'].min():+.1f} to {part['mean'].max():+.1f} %"
    intervals = with_interval(part["mean"], part["half"])
    pairs = (
        f"{rare} with {learner} {interval} %"
        for rare, learner, interval in zip(part["rare"], part["learner"], intervals, strict=True)
    )
    return f"{words} in {len(part)}: {'; '.join(pairs)}"


def with_interval(means: pd.Series, halves: pd.Series) -> list[str]:
    """Return means with half their intervals."""
    return [f"{mean:+.1f} ± {half:.1f}" for mean, half in zip(means, halves, strict=True)]


def seeds_of(runs: pd.DataFrame) -> str:
    """Return the seeds of runs in words."""
    seeds = sorted(runs["seed"].unique())
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds."""
    columns = ["rare rows", "rare rows of the test set", "F1, mean", "F1 at the end", "found", "subpool"]
    table = runs.groupby([*BY, "filter"], sort=False)[[*columns, "CPU s selecting"]].mean()
    formats = {"F1, mean": "{:.3f}", "F1 at the end": "{:.3f}", "CPU s selecting": "{:.2f}"}
    for column in table:
        table[column] = table[column].map(formats.get(column, "{:.0f}").format)
    return table.reset_index()
