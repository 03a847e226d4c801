"""The page of table_anchoral.py: tests within families named beforehand, means, a picture of the rounds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from _descriptions import N_RARE, TEST_SHARE
from _pages import beyond_text, compared, origins, paragraphs
from _runs import drawing, markdown

NEGLIGIBLE = {"F1": 2.0, "found": 5.0}  # points of F1, and percent of the rare rows, that do not matter to us
CELL = ["part", "task", "learner", "strategy"]
RIVALS = [("AnchorAL", name) for name in ("random", "RandSub", "SEALS", "ProxyFilter")]
THREE = "mail+database+hamradio"
RAREST = "vcs+hamradio+tex/2"  # some 45 rows of each in a pool of 42,000
#: The parts whose rounds are drawn, and their pictures.
IMAGES = {"whole": "../images/anchoral_rounds.svg", "rarest": "../images/anchoral_rarest.svg"}
LEARNERS = {
    "vectors": "logistic regression on the MiniLM vectors that the filters search too (*vectors*)",
    "terms": "logistic regression on TF-IDF (*terms*)",
    "minilm": "a fine-tuned MiniLM (*minilm*)",
}
PARTS = {
    "small": "Small pools, entropy",
    "whole": "Whole pools, entropy",
    "rarest": "The whole collection, rarer classes, entropy",
    "terms": "A learner that reads other features",
    "BADGE": "BADGE",
    "clusters": "FT-BERTKM, which clusters the pool",
    "first": "First labels by TypiClust",
    "DIRECT": "DIRECT",
    "ablation": "Anchor selection, A, K and M (the paper's Table 3)",
}
CAPTION = """
Means over the seeds, as in the paper's Figures 2 to 4. The subpool is that of the round before the labels. In
the first column, UPS hides ProxyFilter and *random*, which have the same number of rows.
"""
FILES = """
Every run: [table_anchoral.csv](table_anchoral.csv). Means per round:
[table_anchoral_rounds.csv](table_anchoral_rounds.csv).
"""
CLOCK = """
The learner reads the texts: TF-IDF and logistic regression in one pipeline, which tokenizes every row that it
is asked about. Rounds continue until CPU seconds of selection and training are spent, with entropy on whole
pools. Neither predicting the test set nor computing MiniLM's vectors, which the filters search, is counted.
"labels" and "found" are those of the last model trained in time, whose F1 is compared. The comparisons of a
task, all budgets together, are a family.
"""


def tests(runs: pd.DataFrame, pairs: list[tuple[str, str]], columns: dict[str, str]) -> pd.DataFrame:
    """Compare pairs of filters, paired by seed; each cell is a family, for each column.

    Parameters
    ----------
    runs : DataFrame
    pairs : list of (filter, filter)
        Those that a cell does not hold are left out.
    columns : dict
        The columns to compare, and the keys of ``NEGLIGIBLE``.
    """
    found = []
    for cell, group in runs.groupby(CELL, sort=False):
        parts = []
        for column, kind in columns.items():
            table = group.pivot(index="seed", columns="filter", values=column)
            there = [(a, b) for a, b in pairs if a in table and b in table]
            differences = {(*cell[1:], a, b): 100 * (table[a] - table[b]) for a, b in there}
            if differences:
                names = [*CELL[1:], "filter", "against"]
                parts.append(compared(differences, names, NEGLIGIBLE[kind], TEST_SHARE))
        if len(parts) == 2:
            parts[1] = parts[1].iloc[:, len(names) + 1 :].add_prefix("found: ")
        if parts:
            found.append(pd.concat(parts, axis=1))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each pair of filters over the cells."""
    rows = []
    for (name, against), group in table.groupby(["filter", "against"], sort=False):
        row: dict[str, Any] = {"filter": name, "against": against, "cells": len(group)}
        for prefix, title in (("", "F1"), ("found: ", "found")):
            sure = group[prefix + "verdict"] == "established"
            more = group[prefix + "difference"].str.startswith("+")
            row |= {f"{title} higher": (sure & more).sum(), f"{title} lower": (sure & ~more).sum()}
            row[f"{title} excluded"] = group[prefix + "verdict"].str.startswith("excluded").sum()
            row[f"{title} not est."] = (group[prefix + "verdict"] == "not established").sum()
        rows.append(row)
    return pd.DataFrame(rows)


def strategies(alone: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Compare strategies with random labels, without a filter; each task and learner is a family."""
    swapped = alone.assign(filter=alone["strategy"], strategy="")
    pairs = [(name, "random labels") for name in dict.fromkeys(alone["strategy"]) if name != "random labels"]
    return tests(swapped, pairs, columns).drop(columns="strategy").rename(columns={"filter": "strategy"})


def timed_tests(runs: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Compare pairs of filters after equal seconds; the comparisons of a task are a family."""
    found = []
    for task, group in runs.groupby("task", sort=False):
        differences = {}
        for budget, rows in group.groupby("budget"):
            table = rows.pivot(index="seed", columns="filter", values="F1 at the end")
            differences |= {
                (task, f"{budget:g} s", a, b): 100 * (table[a] - table[b])
                for a, b in pairs
                if a in table and b in table
            }
        names = ["task", "budget", "filter", "against"]
        found.append(compared(differences, names, NEGLIGIBLE["F1"], TEST_SHARE))
    return pd.concat(found, ignore_index=True)


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds."""
    columns = {
        "seeds": ("seed", "nunique"),
        "rare rows": ("rare rows", "mean"),
        "F1": ("F1", "mean"),
        "F1 at the end": ("F1 at the end", "mean"),
        "majority F1": ("majority F1", "mean"),
        "found": ("found", "mean"),
        "subpool": ("subpool", "mean"),
        "of it rare": ("of it rare", "mean"),
        "CPU s selecting": ("CPU s selecting", "mean"),
    }
    table = runs.groupby([*CELL[1:], "filter"], sort=False).agg(**columns)
    formats = {"seeds": "{:.0f}", "rare rows": "{:.0f}", "found": "{:.1f}", "subpool": "{:.0f}"}
    formats |= {"of it rare": "{:.1%}", "CPU s selecting": "{:.2f}"}
    for column in table:
        table[column] = table[column].map(formats.get(column, "{:.3f}").format)
    return table.reset_index()


def timed_levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds, per budget."""
    table = runs.groupby(["task", "budget", "filter"], sort=False)[
        ["labels", "found", "F1 at the end"]
    ].mean()
    table = table.sort_index(level=["task", "budget"], sort_remaining=False).reset_index()
    for column, form in (
        ("budget", "{:g} s"),
        ("labels", "{:.0f}"),
        ("found", "{:.1f}"),
        ("F1 at the end", "{:.3f}"),
    ):
        table[column] = table[column].map(form.format)
    return table


def draw(rounds: pd.DataFrame, path: Path) -> None:
    """Draw size and balance of the subpool, rare rows found and F1 against the labels; one line a task."""
    import matplotlib as mpl

    tasks = list(dict.fromkeys(rounds["task"]))
    titles = {
        "subpool": "rows of the subpool",
        "of it rare": "of it rare, %",
        "found": "rare rows found, %",
        "F1": "F1",
    }
    style = {"svg.hashsalt": "anchoral", "svg.fonttype": "none", "font.size": 8}
    style |= {"font.sans-serif": ["DejaVu Sans"], "axes.spines.top": False, "axes.spines.right": False}
    size = (10, 2 * len(tasks) + 0.4)
    with (
        mpl.rc_context(style),
        drawing(path, len(tasks), 4, figsize=size, sharex=True) as (figure, axes),
    ):
        for line, task in zip(axes, tasks, strict=True):
            for axis, (column, title) in zip(line, titles.items(), strict=True):
                for name, curve in rounds[rounds["task"] == task].groupby("filter", sort=False):
                    shown = curve[curve["subpool"] > 0] if column in ("subpool", "of it rare") else curve
                    scale = 100 if title.endswith("%") else 1
                    axis.plot(shown["labels"], scale * shown[column], label=name, linewidth=1.2)
                axis.set_title(f"{task}:\n{title}", fontsize=8)
            for axis in line[:2]:
                axis.set_yscale("log", subs=[2, 5])
                axis.yaxis.set_major_formatter("{x:,g}")
                axis.yaxis.set_minor_formatter("{x:,g}")
        for axis in axes[-1]:
            axis.set_xlabel("labels")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)


def page(runs: pd.DataFrame, args: argparse.Namespace, command: str) -> str:
    """Return the page of the results; it depends on the runs and the command only."""
    runs = runs.assign(share=runs["found"] / runs["rare rows"])
    pools, timed = runs[runs["part"] != "timed"], runs[runs["part"] == "timed"]
    largest = runs.groupby("part")["pool"].max()
    with_copies = (
        f"""In *the whole collection* they are not: pools have up to {largest["rarest"]:,} rows, and
K = 50. *{RAREST}* keeps half of the rows of three classes."""
        if "rarest" in largest
        else ""
    )
    filters = list(dict.fromkeys(pools["filter"]))
    against_none = [(name, "none") for name in filters if name != "none"]
    both = {"F1": "F1", "share": "found"}
    text = f"""# AnchorAL against no filter, RandSub, SEALS, ProxyFilter and UPS

Command: `{command}`, {origins(runs)}. Each table says how many seeds it has, from 0 on.

**Data.** Debian package descriptions, cut at {args.max_words} words, without copies. Each seed splits them
by source package anew (70 to 30 %), draws its pool from the larger side and its first labels from the pool,
and tests on all rows of the smaller side. The sections named are the rare classes, everything else is one
class; *{THREE}* has three rare classes, whose F1 is averaged; *hamradio/3* keeps a third of the hamradio rows
in the pool. Small pools have 8,000 rows and K = 20, whole ones up to {largest.get("whole", 0):,} and K = 50.
Ten sections are left out, nine of them for their many near copies. {with_copies}

**Loop.** {args.n_seeds} first labels, {N_RARE} of each rare class as in the paper, then {args.rounds} rounds
of {args.batch}. Split, first labels, filter and strategy draw from streams of their own; the filters of a
seed share split and first labels. **Learners**, with
balanced classes, trained anew in each round: {"; ".join(map(LEARNERS.get, pools["learner"].unique()))}.

**Filters.** AnchorAL with A = 10 and M = 1,000. *random*: as many rows as AnchorAL can retrieve. *RandSub*: a
third of the pool, on whole pools nearly the paper's 10,000. SEALS with the same K. ProxyFilter and
UPS keep as many rows as *random*; UPS asks the model about the whole pool in some rounds.

**How to read it.** F1 is that of the rare classes, averaged over the rounds (the paper's area under the
curve, budget-matched, divided by {args.rounds}). Differences are paired by seed: the mean in points, its 95 %
interval (Student's t), and the smallest difference that this number of seeds detects with a probability of
80 %. "found" is the share of the rare rows of the pool that were labeled at the end, in percent. p is
adjusted by Holm's method over a family. The families were named before the runs: one for each table,
outcome, and cell (a part, task, learner and strategy). *Established*: adjusted p < 0.05. *Excluded beyond
± x*: not established, and the interval lies within ± {NEGLIGIBLE["F1"]:g} points of F1, or
± {NEGLIGIBLE["found"]:g} of the rows found. *Not established*: neither.
{beyond_text({"these descriptions": TEST_SHARE})}
"""
    verdicts, parts = [], []
    for part, title in PARTS.items():
        mine = pools[pools["part"] == part]
        if mine.empty:
            continue
        tables = {"Each filter against none:": against_none, "AnchorAL against its rivals:": RIVALS}
        if part == "ablation":
            tables = {"Each change against AnchorAL:": [(n, "AnchorAL") for n in filters if n != "AnchorAL"]}
        parts.append(f"## {title}")
        for heading, pairs in tables.items():
            table = tests(mine, pairs, both)
            if len(table):
                parts += [heading, markdown(table)]
                verdicts += [] if part in ("ablation", "first") else [table]
        if "random labels" in set(mine["strategy"]):
            parts += ["Strategies against random labels, without a filter:"]
            parts += [markdown(strategies(mine[mine["filter"] == "none"], both))]
        if part in IMAGES:
            parts += [f"![{title}, round by round]({IMAGES[part]})", *paragraphs(CAPTION)]
        parts += ["Means over the seeds:", markdown(levels(mine))]
    if len(timed):
        parts += [
            "## Equal seconds",
            *paragraphs(CLOCK),
            markdown(timed_tests(timed, [*against_none, *RIVALS])),
        ]
        parts += ["Means over the seeds:", markdown(timed_levels(timed))]
    parts += paragraphs(FILES)
    summary = (
        ["## Verdicts, counted over the cells", markdown(counts(pd.concat(verdicts)))] if verdicts else []
    )
    return "\n\n".join([*paragraphs(text), *summary, *parts]) + "\n"
