"""The page of euds.py: tests within families named beforehand, means, correlations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import pandas as pd
from _pages import beyond_text, collection_shares, compared, count_verdicts, origins, paragraphs
from _runs import markdown

from skprune.filters.entropy_interval.filter import ENTROPIES

LEARNERS = {"terms": "SVM, TF-IDF", "vectors": "logistic, MiniLM"}
SHARES = (0.5, 0.25, 0.16)
PLAUSIBLE = 0.9  # the share that PlausibilityFilter keeps, its default
ENTROPY_METHODS = ("IGSE", *ENTROPIES, "words")
OFF_CENTER = (0.3, 0.7)  # other centers of IGSE's windows, at the smallest share
WINNERS = ("SemiPrune", "plausible, then random", "k-means")
BY_CLASS = "random by class"  # a control: random rows with the class shares of the pool
N_RANDOM = 3  # random draws whose mean is the baseline
MIN_CLASS = 50  # rows of a class; reuters has classes of three
VECTOR_WORDS = 60  # words that the sentence encoder reads
N_TEST = 3_000  # rows of each test set
NEGLIGIBLE = 1.0  # points; a smaller difference does not matter to us


def against(
    runs: pd.DataFrame,
    metric: str,
    pairs: list[tuple[str, str]],
    shares: Sequence[float] = SHARES,
    family: Sequence[str] = ("data", "learner"),
    n_test: int = N_TEST,
) -> pd.DataFrame:
    """Compare pairs of methods at each size, paired by seed, with one family of tests per ``family``."""
    tables = []
    groups = runs.groupby(list(family), sort=False) if family else [((), runs)]
    for _, group in groups:
        differences = {}
        for (data, learner), cell in group.groupby(["data", "learner"], sort=False):
            table = cell.pivot(index="seed", columns=["method", "keep"], values=metric)
            for keep in shares:
                for a, b in pairs:
                    rival = table[b, 1.0 if b == "all rows" else keep]
                    differences[data, learner, f"{keep:.0%}", a, b] = table[a, keep] - rival
        names = ["data", "learner", "kept", "method", "against"]
        tables.append(
            compared(differences, names, NEGLIGIBLE, collection_shares(runs["data"].unique(), n_test))
        )
    return pd.concat(tables, ignore_index=True)


def headline(runs: pd.DataFrame, metric: str = "accuracy", n_test: int = N_TEST) -> pd.DataFrame:
    """Compare IGSE with random rows; all cells are one family of tests."""
    return against(runs, metric, [("IGSE", "random")], family=(), n_test=n_test)


def others(runs: pd.DataFrame, n_test: int = N_TEST) -> pd.DataFrame:
    """Compare the other methods with random rows."""
    names = [name for name in (*ENTROPY_METHODS, *WINNERS) if name != "IGSE"]
    return against(runs, "accuracy", [(name, "random") for name in names], n_test=n_test)


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the seeds."""
    columns = ["accuracy", "macro F1", "trained on", "words per text", "class shift"]
    table = runs.groupby(["data", "learner", "keep", "method"], sort=False)[columns].mean()
    table["trained on"] = table["trained on"].map("{:.0f}".format)
    table = table.map(lambda value: value if isinstance(value, str) else f"{value:.1f}").reset_index()
    return table.assign(keep=table["keep"].map("{:.0%}".format))


def listed(values: pd.Series) -> str:
    """Return numbers as text."""
    return ", ".join(f"{value:.0f}" for value in values)


def page(runs: pd.DataFrame, args: argparse.Namespace, command: str) -> str:
    """Return the page of the results; it depends on the runs, the sizes and the command only."""
    tests = partial(against, n_test=args.test_size)
    on_accuracy = headline(runs, n_test=args.test_size)
    on_f1 = headline(runs, "macro F1", args.test_size)
    held = tests(runs, "accuracy", [("IGSE", "all rows")], family=())
    singles = others(runs, args.test_size)
    moved = [(f"IGSE at {center}", "random") for center in OFF_CENTER]
    shifted = tests(runs, "accuracy", moved, shares=[min(SHARES)], family=())
    rivals = tests(runs, "accuracy", [("IGSE", name) for name in ("words", *WINNERS)])
    by_class = tests(runs, "accuracy", [(BY_CLASS, "random"), ("SemiPrune", BY_CLASS)])
    cleaned = tests(runs, "accuracy", [("plausible", "random")], shares=[PLAUSIBLE], family=())
    cleaned_f1 = tests(runs, "macro F1", [("plausible", "random")], shares=[PLAUSIBLE], family=())
    least = runs[runs["keep"] == min(SHARES)]
    shift = least.groupby(["data", "method"], sort=False)["class shift"].mean().unstack(sort=False)
    linked = runs.dropna(subset=["ρ information"]).groupby("data", sort=False)[
        [f"ρ {name}" for name in ENTROPIES]
    ]
    correlations = linked.mean().map("{:+.2f}".format).reset_index()
    by_method = {name: singles[singles["method"] == name] for name in singles["method"].unique()}
    shares = collection_shares(runs["data"].unique(), args.test_size)
    text = f"""# EUDS against random rows

Command: `{command}`, {origins(runs)}, seeds 0 to {runs["seed"].max()}.

**Data.** *movies*: film-review snippets, two classes; *newsgroups*: 20 Newsgroups; *reuters*: the topics of
Reuters-52 with at least {MIN_CLASS} texts. Copies are dropped, and texts are cut after {args.max_words}
words. Each seed draws {args.pool_size:,} rows for its pool and {args.test_size:,} other rows for its test
set. All labels of the pool are known; what is pruned is a training set. **Entropies** have their cheap
forms: words, an n-gram model trained on the pool, TF-IDF with SVD. *IGSE* combines the three; the windows
lie around the median of the pool, or around the quantile after "at". *words* is a control: the same window
over the number of words. *random by class* are random rows with the class shares of the pool.
**Learners**: a linear SVM on TF-IDF, and logistic regression on MiniLM vectors of the first {VECTOR_WORDS}
words. **Other filters**: *SemiPrune* is SemiPruneFilter with its defaults on those
vectors, *plausible* is PlausibilityFilter with its default, {PLAUSIBLE:.0%}, and *plausible, then random*
draws from what it keeps. They read the labels, which EUDS does not. *k-means* is KMeansFilter, one row of
each cluster of the same vectors, without labels. The defaults of SemiPruneFilter were
chosen on these three sets, with other pools and the logistic regression: for it, this test is not
independent; [its own page](semiprune_defaults.md) has one.

**How to read it.** Differences are in points, paired by seed; a random baseline is the mean of {N_RANDOM}
draws. Each row has the paired mean, its 95 % interval (Student's t), and the smallest difference that this
number of seeds detects with a probability of 80 %. p is adjusted by Holm's method over a family that was
named before the runs: all rows of the table for the tables about IGSE alone and about *plausible*, and the
rows of one data set and learner for the others. *Established*: adjusted p < 0.05. *Excluded beyond ±
{NEGLIGIBLE:g} points*: not established, and the interval lies within. *Not established*: neither.
{beyond_text(shares, counted=True)} An earlier page showed seeds 0 to 19; all
seeds of this one were run again at one commit, with k-means added.

**What holds** (counted by the script in the tables below).
"""
    facts = [
        f"IGSE against random rows, accuracy: {count_verdicts(on_accuracy)}. Macro F1: "
        f"{count_verdicts(on_f1)}.",
        f"IGSE against all rows: {count_verdicts(held)}. At {min(SHARES):.0%}, which is 84 % dropped: "
        f"{count_verdicts(held[held['kept'] == f'{min(SHARES):.0%}'])}.",
        f"The control, a window of the number of words, against random rows: "
        f"{count_verdicts(by_method['words'])}. Single entropies. "
        + "; ".join(f"{name}: {count_verdicts(by_method[name])}" for name in ENTROPIES)
        + ".",
        f"IGSE around other quantiles at {min(SHARES):.0%}: {count_verdicts(shifted)}.",
        "The other filters against random rows: "
        + "; ".join(f"{name}: {count_verdicts(by_method[name])}" for name in WINNERS)
        + f". PlausibilityFilter at {PLAUSIBLE:.0%}: accuracy {count_verdicts(cleaned)}; macro F1 "
        f"{count_verdicts(cleaned_f1)}.",
        f"Random rows with the class shares of the pool, against random rows: "
        f"{count_verdicts(by_class[by_class['method'] == BY_CLASS])}. SemiPrune against them: "
        f"{count_verdicts(by_class[by_class['method'] == 'SemiPrune'])}.",
        f"Class shift at {min(SHARES):.0%} ({', '.join(shift.index)}): IGSE {listed(shift['IGSE'])} %, "
        f"random rows {listed(shift['random'])} %.",
        f"IGSE against SemiPrune: {count_verdicts(rivals[rivals['against'] == 'SemiPrune'])}.",
    ]
    parts = [
        *paragraphs(text),
        "\n".join(paragraphs("\n\n".join(f"* {fact}" for fact in facts))),
        "## IGSE against random rows",
        "Accuracy:",
        markdown(on_accuracy),
        "Macro F1:",
        markdown(on_f1),
        "## IGSE against all rows: is the accuracy held?",
        markdown(held),
        "## Single entropies, the control, and the other filters, against random rows",
        markdown(singles),
        f"## IGSE around other quantiles, {min(SHARES):.0%} kept",
        markdown(shifted),
        "## IGSE against the control and the other filters",
        markdown(rivals),
        "## Are the class shares the reason?",
        *paragraphs(
            """Added after the other comparisons had been seen: random rows with the class shares of the pool,
against random rows, and SemiPruneFilter, which keeps these shares too, against them."""
        ),
        markdown(by_class),
        f"## PlausibilityFilter, {PLAUSIBLE:.0%} kept",
        "Accuracy:",
        markdown(cleaned),
        "Macro F1:",
        markdown(cleaned_f1),
        "## Entropies and length",
        "Spearman's rank correlation with the number of words, mean over the seeds:",
        markdown(correlations),
        "## Means over the seeds",
        *paragraphs(
            """*Class shift* is the share of rows, in percent, that would have to change their class to
restore the class shares of the pool."""
        ),
        markdown(levels(runs)),
        "## What this does not test",
        *paragraphs(
            """The paper fine-tunes BERT and tunes its windows for each task; we know it by a summary that has
neither formulas nor windows, so the formulas are ours. Forms of the entropies with a causal language model
and a sentence encoder were not run. `interval="search"`, which tunes the window on labels, was run earlier
on movies and newsgroups with five seeds and larger pools: it kept the whole pool at every seed."""
        ),
        "Every run: [euds.csv](euds.csv).",
    ]
    return "\n\n".join(parts) + "\n"
