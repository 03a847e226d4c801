"""Every filter on the same real pools: what it keeps, what it costs, and what a model learns from it.

Makes docs/results/every_filter.md and its CSV. The pools are parts of the film-review snippets and of the
Debian descriptions with their rare class. Each filter sees the pool, then the initial labels and a linear
model trained on them, and keeps a part of the pool; another linear model is trained on the initial labels
and the kept rows with their true labels. The filters are those of demo.py: a filter added there
appears here. Finished filters are kept, so a command that was stopped continues with the next.

    python examples/experiments/every_filter.py  # two to five minutes on one core
    python examples/experiments/every_filter.py --pool-size 5000 --data debian  # an hour
    python examples/experiments/every_filter.py --filters random seals anchoral ups --pool-size 0
    python examples/experiments/every_filter.py --tables docs/results/every_filter.csv  # from the CSV
"""

from __future__ import annotations

import argparse
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _pages import command, origin, origins, paragraphs, publish, runs_or_tables, said_once
from _runs import Runs, make_parser, markdown
from demo import FILTERS, Task, load_task, make_filter
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from skprune.store import clear_process_store


def prune(task: Task, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one filter, and return its row of the table."""
    clear_process_store()  # no filter may use what an earlier one has computed
    seeds = [task.texts[i] for i in task.seeds]
    learner = linear_model().fit(seeds, task.y[task.seeds])
    start = time.perf_counter()
    pruner = make_filter(name, task, args).fit(task.texts)
    pruner.partial_fit(seeds, task.y[task.seeds], learner=learner)
    ready = time.perf_counter()
    kept = pruner.select(task.texts)
    done = time.perf_counter()
    rows = np.concatenate([task.seeds, kept])
    model = linear_model().fit([task.texts[i] for i in rows], task.y[rows])
    guess = model.predict(task.test_texts)
    weights = {"sample_weight": task.test_weights}
    rare = task.y[kept] == task.rare
    return {
        "data": task.name,
        "filter": "none" if name == "none" else type(pruner).__name__,
        "pool": len(task.texts) - len(task.seeds),
        "kept": len(kept),
        "ready, s": ready - start,
        "select, s": done - ready,
        "LLM calls": getattr(pruner, "n_llm_calls_", 0),
        "rare, %": 100 * rare.mean(),
        "rare rows": int(rare.sum()),
        "words per text": np.mean([len(task.texts[i].split()) for i in kept]),
        "F1": f1_score(task.y_test, guess, pos_label=task.rare, zero_division=0.0, **weights),
        "accuracy": accuracy_score(task.y_test, guess, **weights),
        "reasons": "; ".join(pruner.explain()["reason"].value_counts().index[:4]),
    }


def linear_model() -> Pipeline:
    """Return logistic regression on TF-IDF."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    )


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Run the filters that have not been run yet; return one row per data set and filter."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    free = ("out", "page", "tables", "memory", "data", "filters")
    common = {name: value for name, value in vars(args).items() if name not in free}
    rows = []
    for data in args.data:
        task = cache(partial(load_task, data, args))
        for name in args.filters:
            of = {"data": data, "name": name}
            rows.append(runs.get(common | of, lambda task=task, name=name: prune(task(), name, args) | now))
            print(f"{data}, {name}: {rows[-1]['kept']} rows kept", flush=True)
    return said_once(pd.DataFrame(rows))


def page(table: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    rare = table.groupby("data", sort=False)["rare rows"].max()
    shown = table.drop(columns=["reasons", "rare, %", "pool", "origin"])
    digits = {"ready, s": 1, "select, s": 2, "words per text": 0, "F1": 3, "accuracy": 3}
    for column, n in digits.items():
        shown[column] = table[column].map(f"{{:.{n}f}}".format)
    text = f"""# Every filter on the same pools

Command: `{command("every_filter", args, parse([]))}`, {origins(table)}, seed {args.seed}.

**Data.** {args.pool_size} film-review snippets (*movies*, two classes of equal size), and as many Debian
package descriptions (*debian*, where *{args.rare}* is the rare class). {args.n_seeds} rows of each are
labeled at first. Each filter keeps a part of the other {table["pool"].iloc[0]}, and logistic regression on
TF-IDF learns from the labeled rows and the rows kept. *F1* is that of the rarer class. Seconds are those of
the processor; the first filter that uses a model also pays for loading it. Perplexity is that of an n-gram
model trained on the distinct texts of the pool. PlausibilityFilter, DRoPFilter and the filters made of other
filters are not in the table.

**How to read it.** The table shows that each filter runs, what it costs, and what it keeps. It does not show
which one is best: there is one seed, and at most {rare.min()} rows of the rarer class can be kept on
*{rare.idxmin()}*. Differences in F1 and accuracy are *not established*.
"""
    parts = [
        *paragraphs(text),
        markdown(shown),
        "The most common reasons that `explain` gives are in the [CSV](every_filter.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        pool_size=300,
        test_size=2000,
        n_seeds=40,
        n_neighbors=10,
        rare="games",
        encoder=None,
        llm=None,
        memory=None,
        seed=0,
        out=Path("every_filter-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--data", nargs="+", choices=("debian", "movies"), default=["movies", "debian"])
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=list(FILTERS))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run every filter and write the page."""
    args = parse(argv)
    table = runs_or_tables(args, run_all)
    publish("every_filter", args, table, page(table, args))


if __name__ == "__main__":
    main()
