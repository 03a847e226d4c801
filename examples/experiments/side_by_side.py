"""All methods side by side: the differences of every table of results, on one page.

Makes docs/results/side_by_side.md from the CSV files of the other pages, with their own tests; nothing is
played.

    python examples/experiments/side_by_side.py --page docs/results/side_by_side.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _euds_page
import pandas as pd
import query_strategies
import semiprune
import table_generation
from _activeprune_page import RANDOM_FAMILY, compare
from _anchoral_page import tests
from _pages import BEYOND, paragraphs
from _runs import make_parser, markdown
from semiprune_defaults import test_table

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FORMATS = {"established": "**{}**", "not established": "{}"}  # anything else is excluded
MARKS = {"yes": " †"}  # stays beyond the collection


def matrix(table: pd.DataFrame, rows: list[str], column: str, prefix: str = "") -> str:
    """Return the differences of a table of tests, one column per method, with a mark for each verdict."""
    columns = [prefix + name for name in ("difference", "verdict", BEYOND)]
    shown = [
        FORMATS.get(verdict, "*{}*").format(difference) + MARKS.get(beyond, "")
        for difference, verdict, beyond in table[columns].to_numpy()
    ]
    order = table[rows].drop_duplicates()
    wide = table.assign(shown=shown).pivot(index=rows, columns=column, values="shown")
    wide = wide.loc[list(order.itertuples(index=False, name=None)) if len(rows) > 1 else order[rows[0]]]
    return markdown(wide[table[column].unique()].fillna("").reset_index())


def read(name: str) -> pd.DataFrame:
    """Return the runs of a page."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def strategies() -> list[str]:
    """Return the tables about which rows to ask for."""
    runs, parts = read("query_strategies"), []
    texts = {
        "balanced": "From no label to 200, all rows of the pool. Mean accuracy against random rows",
        "rare": "Rare classes, 100 labels at first, 250 more. Mean F1 of these classes against random rows",
    }
    for name, text in texts.items():
        part = query_strategies.PARTS[name]
        table = query_strategies.against(runs[runs["part"] == name], "random", part.outcomes)
        parts += [f"{text} ([page](query_strategies.md)):", matrix(table, ["data"], "strategy")]
        if name == "rare":
            found = matrix(table, ["data"], "strategy", "rare rows found: ")
            parts += ["Rare rows found, in percent of them, against random rows:", found]
    return parts


def pruned_pools() -> list[str]:
    """Return the tables about pool filters in a loop."""
    against_random = compare(read("table_activeprune"))[RANDOM_FAMILY]
    methods = ["none", "ASK-LLM", "UPS", "k-means", "ProxyFilter", "n-gram perplexity", "ActivePrune"]
    shown = against_random[against_random["filter"].isin(methods)]
    parts = [
        "A quarter of the pool is kept. Macro F1 against a random quarter ([page](table_activeprune.md)):"
    ]
    parts.append(matrix(shown, ["strategy", "learner", "data"], "filter"))
    runs = read("table_anchoral")
    runs = runs[~runs["part"].isin(("timed", "ablation", "first"))].assign(
        share=lambda table: table["found"] / table["rare rows"]
    )
    pairs = [(name, "none") for name in ("AnchorAL", "ProxyFilter", "UPS", "SEALS", "RandSub", "random")]
    tables = [
        tests(mine, pairs, {"F1": "F1", "share": "found"}).assign(pool=name)
        for name, mine in runs.groupby("part", sort=False)
    ]
    table, rows = pd.concat(tables), ["pool", "task", "learner", "strategy"]
    parts += ["Rare classes. F1 of the rare classes against no filter ([page](table_anchoral.md)):"]
    parts += [matrix(table, rows, "filter")]
    parts += ["Rare rows found, in percent of them, against no filter:"]
    return [*parts, matrix(table, rows, "filter", "found: ")]


def training_sets() -> list[str]:
    """Return the tables about what to keep of a training set."""
    runs = read("euds")
    table = pd.concat([_euds_page.headline(runs), _euds_page.others(runs)])
    parts = ["All labels are known. Accuracy against random rows ([page](euds.md)):"]
    parts.append(matrix(table, ["data", "learner", "kept"], "method"))
    runs = read("semiprune")
    names = [name for name in runs["method"].unique() if name not in ("random", "all rows")]
    table = test_table(runs, "accuracy", [0.0, *semiprune.LABELS.values()], names)
    known = "1 % on those of 60,000 images, else 5 %; k-means uses none"
    parts.append(f"Few labels are known ({known}). Accuracy against random rows ([page](semiprune.md)):")
    for is_image, part in table.groupby(table["data"].isin(semiprune.IMAGES)):
        parts += ["On pixels:"] if is_image else []
        parts.append(matrix(part, ["data", "keep"], "method"))
    return parts


def generation() -> list[str]:
    """Return the table about texts to write."""
    family, tables = table_generation.FAMILIES["Against random rows of the whole pool"], []
    for task, mine in read("generation").groupby("task", sort=False):
        table = table_generation.against(mine, "end", family)
        tables.append(table.assign(task=f"{task}, {table_generation.METRICS[task]}"))
    text = "Points of the score against random rows of the whole pool ([page](generation.md)):"
    return [text, matrix(pd.concat(tables), ["task", "filter"], "strategy")]


def page() -> str:
    """Return the page; it depends on the CSV files only."""
    text = """
The methods of this site in the tables in which they ran; the two pages about ProxyFilter, which measure in
percent, are apart ([small](proxy_filter.md), [large](proxy_filter_large.md)). A number is the paired mean
difference in points with half its 95 % interval. **Bold**: the page's own test establishes it; the same runs
can have another verdict on a page with a smaller family. *Italics*: it is not established, and the interval
lies within the margin of its page (1 point; for rare classes 2 points of F1, 5 % of the rare rows). Plain:
not established. Empty: not run. A dagger: the verdict also stays beyond the collection, with the overlap of
the test sets counted. Commands, seeds, commits, families of tests and smallest detectable differences are on
the pages. Cells of different tables have different pools, learners and baselines: compare within a row.

**Names.** *news* and *newsgroups*: 20 Newsgroups. *LC*: least confidence. *vectors*, *terms*: logistic
regression on sentence vectors, on TF-IDF. *small*, *whole*, *rarest*: pools of 8,000 rows, of some 26,000, of
up to 42,660 with the rarest classes; *hamradio/3*, *…/2*: a third, a half of the rare rows left. *RandSub*: a
random third; *random*: as many rows as AnchorAL can retrieve, or rows of the same number. *grows*: drops more
rows as wrong labels, the more is pruned. *IGSE*, *information*, *generative*, *semantic*: the entropies of
EUDS; *words*: the control, text length. *plausible, then random*: random rows of those that
PlausibilityFilter keeps.
"""
    return (
        "\n\n".join(
            [
                "# All methods side by side",
                "Command: `python examples/experiments/side_by_side.py`, from the CSV files of other pages.",
                *paragraphs(text),
                "## Which rows to ask for",
                *strategies(),
                "## Which rows of a pool to look at",
                *pruned_pools(),
                "## What to keep of a training set",
                *training_sets(),
                "## Texts to translate or summarize",
                *generation(),
            ]
        )
        + "\n"
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser(__doc__, page=RESULTS / "side_by_side.md").parse_args(argv)


def main() -> None:
    """Write the page."""
    args = parse()
    args.page.write_text(page())


if __name__ == "__main__":
    main()
