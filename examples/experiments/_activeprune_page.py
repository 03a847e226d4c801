"""The page of table_activeprune.py: tests within families named beforehand, costs, means."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
from _activeprune import AT_RANDOM, DATA, MIN_CLASS, N_TIMED, PARTS, TYPICAL
from _pages import BEYOND, beyond_text, collection_shares, compared, count_verdicts, origins, paragraphs
from _runs import markdown

N_TEST = 1_000  # rows of each test set
NEGLIGIBLE = 1.0  # points of macro F1; a smaller difference does not matter to us
CELL = ["part", "data", "learner", "strategy"]
TITLES = {
    "LC": "Least confidence, three learners",
    "strategies": "CAL and Coreset",
    "UHerding": "UHerding",
    "fine-tuned": "A fine-tuned transformer",
}
#: What ActivePrune itself is compared with, besides a random quarter.
RIVALS = (
    "none",
    "ASK-LLM",
    "ProxyFilter",
    "ActivePrune, β = 0",
    "ActivePrune, no reweighting",
    "ActivePrune, no LLM",
    "random numbers for the LLM",
    "text length for the LLM",
    "the LLM negated",
    "text length for perplexity",
)
DIVERSE = ("random", "ActivePrune, β = 0", "ActivePrune, no reweighting")
#: The filters whose costs are shown, and the models whose costs they bear, besides the LLM.
MODELS = {
    "none": (),
    "random": (),
    "UPS": (),
    "k-means": ("vectors",),
    "ProxyFilter": ("vectors",),
    "n-gram perplexity": ("n-grams",),
    "ActivePrune": ("n-grams",),
    "ActivePrune, no perplexity": ("n-grams",),
    "ASK-LLM": (),
}
#: The learners in whose loops costs are shown: one that reads vectors for nothing, and an expensive one.
COSTLY = ("logistic regression, sentence vectors", "fine-tuned MiniLM")
RANDOM_FAMILY = "against a random quarter"
RIVAL_FAMILY = "ActivePrune against its parts and controls"
HEADING = "## What holds"
TRANSFORMER = """
MiniLM (22.7 M parameters) as in the demo: it reads 32 tokens, in bfloat16 without dropout; three epochs or 30
steps of 12 texts, balanced classes. The last of its six layers is trained anew in each round. The output of
the other five is computed once per text, before the loop, and not counted as a cost: a whole pass costs about
six times the seconds below. To fit on one core, there are {rounds} rounds, and {test_size} rows in the test
set; these sizes were set after single runs had been timed, before any comparison was seen.
"""
STRATEGIES = """
Each strategy against least confidence with the same filter and seed. The cells of this table are one family
of tests, named before UHerding was run; the runs of the others had been seen.
"""
FIRST_LABELS = """
A random quarter of the pool in each round; the initial labels are those that TypiClust picks by sentence
vectors, without any label, against as many random rows. The cells of this table are one family of tests.
Elsewhere on this page the initial labels hold at least one row of each class, which needs labels.
"""
FILES = """
Every run: [table_activeprune.csv](table_activeprune.csv). The models' CPU seconds:
[table_activeprune_costs.csv](table_activeprune_costs.csv).
"""


def contrasts(
    runs: pd.DataFrame,
    pairs: list[tuple[str, str]],
    column: str = "F1, mean",
    scale: float = 100.0,
    family: int = len(CELL),
    n_test: int = N_TEST,
) -> pd.DataFrame:
    """Compare pairs of filters, paired by seed; pairs that a cell lacks are left out.

    Parameters
    ----------
    runs : DataFrame
    pairs : list of (filter, filter)
    column : str
        What is compared.
    scale : float
        Points per unit of the column.
    family : int
        Cells that agree in so many of the first names in ``CELL`` are one family of tests.
    n_test : int
        Rows of each test set.
    """
    families: dict[tuple, dict[tuple, pd.Series]] = {}
    for cell, group in runs.groupby(CELL, sort=False):
        table = group.pivot(index="seed", columns="filter", values=column)
        for a, b in pairs:
            if a in table and b in table:
                difference = scale * (table[a] - table[b]).dropna()
                families.setdefault(cell[:family], {})[*cell, a, b] = difference
    names = [*CELL, "filter", "against"]
    tables = []
    for cell, differences in families.items():
        shares = collection_shares(DATA, PARTS[cell[0]].changes.get("test_size", n_test))
        tables.append(compared(differences, names, NEGLIGIBLE, shares))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["part"])


def short(table: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of `contrasts` with one column per learner or strategy."""
    words = {"established": ", **established**", "not established": ""}
    name = table["learner"] if table["learner"].nunique() > 1 else table["strategy"]
    mark = table[BEYOND].map({"yes": "†"}).fillna("")
    table = table.assign(
        shown=table["difference"] + table["verdict"].map(lambda word: words.get(word, ", excluded")) + mark,
        cell=name + " (" + table["seeds"].astype(str) + " seeds)",
    )
    wide = table.pivot(index=["data", "against", "filter"], columns="cell", values="shown")
    order = table[["data", "against", "filter"]].drop_duplicates()
    wide = wide.loc[list(order.itertuples(index=False, name=None)), table["cell"].unique()].reset_index()
    one = "filter" if wide["filter"].nunique() == 1 else "against"
    wide = wide.drop(columns=one) if wide[one].nunique() == 1 else wide
    visible = table["smallest detectable"].astype(float).groupby([table["data"], table["cell"]])
    lines = visible.agg(range_of)
    lines = lines.unstack().loc[table["data"].unique(), table["cell"].unique()].reset_index()
    last = wide.columns[1]
    lines.insert(1, last, "*smallest detectable*")
    parts = [pd.concat([wide[wide["data"] == name], lines[lines["data"] == name]]) for name in lines["data"]]
    return pd.concat(parts)[wide.columns]


def range_of(values: pd.Series) -> str:
    """Return the median and the range of values."""
    between = f" ({values.min():.1f} to {values.max():.1f})" if len(values) > 1 else ""
    return f"{values.median():.1f}{between}"


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each comparison over the cells of a part."""
    groups = table.groupby(["part", "filter", "against"], sort=False)
    return pd.DataFrame(
        {"part": part, "filter": name, "against": against, "verdicts": count_verdicts(group)}
        for (part, name, against), group in groups
    )


def costs(runs: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Return what each pruning costs in a loop, and the F1 of the loop against a random quarter."""
    per_set = units.groupby("data", sort=False)[["LLM call", "n-grams", "vectors"]].mean()
    rows = []
    for (_, data, learner, _), group in runs.groupby(CELL, sort=False):
        table = group.pivot(index="seed", columns="filter", values="F1, mean")
        means = group.groupby("filter")[["LLM calls", "CPU s selecting"]].mean()
        for name, models in MODELS.items():
            if name not in means.index:
                continue
            calls, selecting = means.loc[name]
            unit = per_set.loc[data]
            asking = calls * unit["LLM call"]
            computing = sum(unit[model] for model in models)
            found = compared({(): 100 * (table[name] - table["random"])}, [], NEGLIGIBLE)
            rows.append(
                {
                    "data": data,
                    "learner": learner,
                    "filter": name,
                    "F1 against random": found["difference"][0] if name != "random" else "",
                    "LLM calls": f"{calls:.0f}",
                    "selecting, s": f"{selecting:.2f}",
                    "n-grams or vectors, s": f"{computing:.2f}",
                    "LLM, s": f"{asking:.1f}",
                    "sum, s": f"{selecting + computing + asking:.1f}",
                }
            )
    return pd.DataFrame(rows)


def described(units: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return in words how costs were counted."""
    call = units["LLM call"]
    return f"""
CPU seconds of one thread, for a whole loop over a pool of {args.pool_size:,}; the mean over the seeds.
*Selecting* is the time of the filter and the strategy in all rounds, with the learner's predictions for the
rows that are left. The n-gram model is trained and asked once; the vectors are computed once, and cost
nothing more where the learner reads them as well. *LLM* is the number of calls times the seconds of a call:
{call.min():.3f} to {call.max():.3f} s by data set. Seconds per call and per vector were measured once, on
{N_TIMED} texts of a pool of each data set. Loading the models is not counted.
"""


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds."""
    by = ["data", "learner", "strategy", "filter"]
    table = runs.groupby(by, sort=False).mean(numeric_only=True).drop(columns="seed")
    formats = {"F1, mean": "{:.3f}", "F1 at the end": "{:.3f}", "CPU s selecting": "{:.2f}"}
    for column in table:
        table[column] = table[column].map(formats.get(column, "{:.0f}").format)
    return table.reset_index()


def strategies(runs: pd.DataFrame, n_test: int = N_TEST) -> pd.DataFrame:
    """Compare the strategies with least confidence, without a filter and behind a random quarter."""
    found = {}
    learner = runs.loc[runs["strategy"] == "UHerding", "learner"]
    shown = runs[runs["learner"].isin(learner) & runs["filter"].isin(("none", "random"))]
    for (data, pruner), group in shown.groupby(["data", "filter"], sort=False):
        table = 100 * group.pivot(index="seed", columns="strategy", values="F1, mean")
        for name in table.columns.drop("LC"):
            found[data, pruner, name, "LC"] = (table[name] - table["LC"]).dropna()
    shares = collection_shares(runs["data"].unique(), n_test)
    return compared(found, ["data", "filter", "strategy", "against"], NEGLIGIBLE, shares)


def written_by_hand(page: Path) -> str:
    """Return what people wrote under "What holds" of an earlier page, with its heading."""
    text = page.read_text() if page.exists() else ""
    return HEADING + text.partition(HEADING)[2].partition("\n## ")[0].rstrip() if HEADING in text else HEADING


def compare(runs: pd.DataFrame, n_test: int = N_TEST) -> dict[str, pd.DataFrame]:
    """Return the comparisons of all parts, by family of tests."""
    against_random = [(name, "random") for name in dict.fromkeys(runs["filter"]) if name != "random"]
    diverse = [("ActivePrune", name) for name in DIVERSE]
    tests = partial(contrasts, n_test=n_test)
    return {
        RANDOM_FAMILY: tests(runs, against_random),
        RIVAL_FAMILY: tests(runs, [("ActivePrune", name) for name in RIVALS]),
        "diversity": tests(runs[runs["part"] == "LC"], diverse, "diversity", 1),
        "first labels": tests(runs, [(TYPICAL, AT_RANDOM)], family=1),
    }


def page(runs: pd.DataFrame, units: pd.DataFrame, args: argparse.Namespace, command: str, holds: str) -> str:
    """Return the page of the results; it depends on the CSV files, the command and "What holds" only."""
    found, shares = compare(runs, args.test_size), collection_shares(runs["data"].unique(), args.test_size)
    text = f"""**Data.** *movies*: film-review snippets, two classes; *newsgroups*: 20 Newsgroups; *reuters*:
the topics of Reuters-52 with at least {MIN_CLASS} texts. Texts are cut after {args.max_words} words. Each
seed draws {args.pool_size:,} rows for its pool from {args.judged:,} texts that the LLM has scored, and
{args.test_size:,} other rows for its test set. **Learners** read MiniLM sentence vectors or TF-IDF; the
transformer is described below. **Loop.** {args.n_seeds} initial labels, at least one of each class,
{args.rounds} rounds of {args.batch} labels, 1 % of the pool, as in the paper. **Filters** keep a quarter.
n-gram models are trained on the pool; "from elsewhere" means on the other data sets and on package
descriptions, "from Brown" on the 57,340 sentences of that corpus. The LLM is SmolLM2-135M in bfloat16, asked
the default question in its chat template about the first {args.max_length} tokens. "No perplexity" lets the
LLM choose the quarter out of 30 % of the pool, drawn at random each round. ProxyFilter and k-means read
MiniLM vectors.

**How to read it.** Differences are in points of macro F1, averaged over the learning curve, paired by seed:
the mean and its 95 % interval (Student's t). "Smallest detectable" is the difference that this number of
seeds detects with a probability of 80 %: the median over the comparisons above it, and the range. p is
adjusted by Holm's method over the comparisons of one data set, learner and strategy, in each family of
comparisons. *Established*: adjusted p < 0.05. *Excluded*: not established, and the interval lies within
± {NEGLIGIBLE:g} point. Without a word: not established. A verdict with † stays beyond the collection.
{beyond_text(shares, counted=True)} Every comparison with its p:
[table_activeprune_tests.csv](table_activeprune_tests.csv).
"""
    parts = [
        "# ActivePrune against a random quarter",
        *paragraphs(
            f"Command: `{command}`, {origins(runs)}. Each table says how many seeds it has, from 0 on."
        ),
        holds,
        "## Verdicts, counted over the cells",
        markdown(counts(pd.concat([found[RANDOM_FAMILY], found[RIVAL_FAMILY]]))),
        "## How it was measured",
        *paragraphs(text),
    ]
    for part, title in TITLES.items():
        if part not in set(runs["part"]):
            continue
        parts.append(f"## {title}")
        parts += paragraphs(TRANSFORMER.format(**PARTS[part].changes)) if part == "fine-tuned" else []
        for heading, name in (
            ("Each filter against a random quarter:", RANDOM_FAMILY),
            ("ActivePrune against its parts and controls:", RIVAL_FAMILY),
        ):
            parts += [heading, markdown(short(found[name][found[name]["part"] == part]))]
        if part == "LC":
            parts += ["Diversity of the labels by perplexity, the paper's score, paired differences:"]
            parts += [markdown(short(found["diversity"]))]
    if len(found["first labels"]):
        parts += ["## First labels by TypiClust", *paragraphs(FIRST_LABELS)]
        parts += [markdown(short(found["first labels"]))]
    if {"UHerding", "LC"} <= set(runs["strategy"]):
        parts += ["## Strategies against least confidence", *paragraphs(STRATEGIES)]
        parts += [markdown(strategies(runs, args.test_size))]
    shown = runs[(runs["strategy"] == "LC") & runs["learner"].isin(COSTLY)]
    parts += ["## What pruning costs", *paragraphs(described(units, args)), markdown(costs(shown, units))]
    parts += ["## Means over the seeds", markdown(levels(runs))]
    return "\n\n".join([*parts, *paragraphs(FILES)]) + "\n"
