"""Every filter on the same real pools: what it keeps, what it costs, and what a model learns from it.

Makes the table of docs/results/every_filter.md. The pools are parts of the film-review snippets and of the
Debian descriptions with their rare class. Each filter sees the pool, then the initial labels and a linear
model trained on them, and keeps a part of the pool; another linear model is trained on the initial labels
and the kept rows with their true labels. Prints the table and writes it as CSV. The filters are those of
demo.py: a filter added there appears here.

    python examples/experiments/every_filter.py  # two to five minutes on one core
    python examples/experiments/every_filter.py --pool-size 5000 --data debian  # an hour
    python examples/experiments/every_filter.py --filters random seals anchoral ups --pool-size 0
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import make_parser
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
    )
    parser.add_argument("--data", nargs="+", choices=("debian", "movies"), default=["movies", "debian"])
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=list(FILTERS))
    parser.add_argument("--out", type=Path, default=Path("every-filter.csv"), help="the table as CSV")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run every filter."""
    args = parse(argv)
    start = time.perf_counter()
    rows = []
    for data in args.data:
        task = load_task(data, args)
        print(
            f"{data}: {len(task.texts)} rows, {np.mean(task.y == task.rare):.1%} of the rarer class",
            flush=True,
        )
        for name in args.filters:
            rows.append(prune(task, name, args))
            print(f"  {name}: {rows[-1]['kept']} rows kept", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(args.out, index=False)
    print("\n" + table.drop(columns="reasons").to_string(index=False, float_format="{:.3f}".format))
    print(f"\nWritten to {args.out}, with the most common reasons. {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
