"""Every filter, one after the other, on the same real pools: what it keeps, what it costs, what it is worth.

A part of the film-review snippets and of the Debian descriptions with their rare class, some labels to begin
with, a linear model. Each filter sees the pool, then the labels and the model, and keeps a part; another
linear model learns from the labels and from what was kept, with its true labels. Prints a table, writes CSV.
The filters are those of demo.py: one that is added there is in the table.

    python examples/experiments/every_filter.py  # some minutes on one core
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
from demo import FILTERS, Task, load_task, make_filter
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from skprune.store import clear_process_store


def prune(task: Task, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Put one filter to work, and return its row of the table."""
    clear_process_store()  # nobody profits from what an earlier filter has computed
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
    why = pruner.explain()  # what a person would look at next
    return {
        "data": task.name,
        "filter": "none" if name == "none" else type(pruner).__name__,
        "kept": len(kept),
        "ready, s": ready - start,
        "select, s": done - ready,
        "LLM calls": getattr(pruner, "n_llm_calls_", 0),
        "rare, %": 100 * rare.mean(),
        "rare rows": int(rare.sum()),
        "words a text": np.mean([len(task.texts[i].split()) for i in kept]),
        "F1": f1_score(task.y_test, guess, pos_label=task.rare, zero_division=0.0, **weights),
        "accuracy": accuracy_score(task.y_test, guess, **weights),
        "reasons": "; ".join(why["reason"].value_counts().index[:4]),
    }


def linear_model() -> Pipeline:
    """Return logistic regression on TF-IDF."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=("debian", "movies"), default=["movies", "debian"])
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=list(FILTERS))
    parser.add_argument("--pool-size", type=int, default=300, help="rows of each pool; 0 for all")
    parser.add_argument("--test-size", type=int, default=2000, help="rows of each test set; 0 for all")
    parser.add_argument("--n-seeds", type=int, default=40, help="labels to begin with")
    parser.add_argument("--n-neighbors", type=int, default=10, help="of AnchorFilter and SEALSFilter")
    parser.add_argument("--rare", default="games", help="the Debian section that is the rare class")
    parser.add_argument("--encoder", help="sentence encoder, name or path (default: MiniLM, packaged)")
    parser.add_argument("--llm", help="quality LLM, name or path (default: SmolLM2-135M, packaged)")
    parser.add_argument("--memory", help="folder that keeps scores and embeddings from run to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("every-filter.csv"))
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
    print(f"\nWritten to {args.out}, with the commonest reasons. {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
