"""Tune a pool filter by the area under its learning curve, and plot the surface.

Makes docs/results/grid_search.md and its CSV: package descriptions with a rare class, a linear classifier
and margin sampling. All searches clone one ActiveLearningSimulator: a grid over β and the share that
ActivePrune keeps; two grids over AnchorAL's A and K, and M and K; a random search over filters, their
parameters and strategies; and successive halving, which plays more rounds with the candidates that do well
early. Scores and vectors are computed once for all searches, folds and processes. Writes the page, all
candidates as CSV, and the grids as PNG. Finished searches are kept, so a command that was stopped continues
with the next.

    python examples/experiments/grid_search.py  # two to three minutes on two cores
    python examples/experiments/grid_search.py --pool-size 4000 --rounds 10 --n-jobs 8
    python examples/experiments/grid_search.py --tables docs/results/grid_search.csv  # the page, from the CSV
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

# Workers that compete for cores are slower than one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pandas as pd
from _pages import command, origin, origins, paragraphs, publish, runs_or_tables, said_once
from _runs import Runs, cut, draw_rows, drawing, make_parser, markdown
from scipy.stats import loguniform, randint
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedGroupKFold,
)
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    LearningCurveScorer,
    NGramScorer,
    RandomFilter,
)
from skprune.datasets import fetch_model, load_debian
from skprune.strategies import Entropy, Margin, RandomSampling

BETAS = [0.1, 0.5, 1.0, 2.0]
KEEPS = [0.05, 0.1, 0.25, 0.5]
ANCHORS = [1, 3, 10, 30]
NEIGHBORS = [5, 15, 50, 150]
SUBPOOLS = [30, 100, 300, 1000]
# The grids to draw: search, title, then (parameter, axis label) of the rows and of the columns.
SURFACES = [
    ("beta-keep", "ActivePrune", ("beta", "β"), ("keep", "share kept")),
    ("anchors-neighbors", "AnchorAL, M = 500", ("n_anchors", "A"), ("n_neighbors", "K")),
    ("subpool-neighbors", "AnchorAL, A = 10", ("max_subpool", "M"), ("n_neighbors", "K")),
]


def load_pool(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return texts, labels and groups. The rare class, 1, has twice its share, because the pool is small."""
    data = load_debian(args.rare)
    n_rare = min(data.target.sum(), round(2 * args.pool_size * np.mean(data.target)))
    rows = np.sort(draw_rows(data.target, args.pool_size, n_rare, 1, args.seed))
    return cut([data.data[i] for i in rows], args.max_words), data.target[rows], data.groups[rows]


def make_filters(texts: np.ndarray, args: argparse.Namespace) -> dict[str, Any]:
    """Return the filters, with the same models in every fold, so that all folds share their scores.

    The n-gram model is fitted here and frozen. One trained on the pool would differ from fold to fold.
    """
    ngram = FrozenEstimator(NGramScorer(order=4).fit(texts))
    memory = str(args.out / "memory")
    return {
        "random": RandomFilter(),
        "activeprune": ActivePruneFilter(perplexity=ngram, quality=args.llm, memory=memory),
        "anchoral": AnchorFilter(encoder=str(fetch_model("minilm")), max_subpool=500, memory=memory),
    }


def make_simulator(args: argparse.Namespace) -> ActiveLearningSimulator:
    """Return the simulator that every candidate is a clone of."""
    classifier = make_pipeline(
        TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, class_weight="balanced")
    )
    return ActiveLearningSimulator(
        classifier,
        Margin(),
        n_instances=20,
        n_rounds=args.rounds,
        keep_estimators=True,
        random_state=args.seed,
    )


def make_searches(filters: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Return the searches by name."""
    common = {
        "scoring": LearningCurveScorer("average_precision"),
        "cv": StratifiedGroupKFold(args.folds, shuffle=True, random_state=args.seed),
        "n_jobs": args.n_jobs,
        "refit": False,
    }
    activeprune, anchoral = filters["activeprune"], filters["anchoral"]
    simulator = make_simulator(args)
    distributions = [
        {
            "filter": [activeprune],
            "filter__beta": loguniform(0.05, 5),
            "filter__keep": loguniform(0.02, 0.5),
            "filter__reweighting": ["sample", "novelty", None],
            "strategy": [Margin(), Entropy(), RandomSampling()],
        },
        {
            "filter": [anchoral],
            "filter__n_anchors": randint(1, 40),
            "filter__n_neighbors": randint(5, 200),
            "filter__max_subpool": randint(50, 600),
            "strategy": [Margin(), Entropy(), RandomSampling()],
        },
    ]
    anchors = {"filter": [anchoral], "filter__n_anchors": ANCHORS, "filter__n_neighbors": NEIGHBORS}
    subpools = {"filter": [anchoral], "filter__max_subpool": SUBPOOLS, "filter__n_neighbors": NEIGHBORS}
    return {
        "baselines": GridSearchCV(simulator, {"filter": [None, filters["random"]]}, **common),
        "beta-keep": GridSearchCV(
            simulator, {"filter": [activeprune], "filter__beta": BETAS, "filter__keep": KEEPS}, **common
        ),
        "anchors-neighbors": GridSearchCV(simulator, anchors, **common),
        "subpool-neighbors": GridSearchCV(simulator, subpools, **common),
        "randomized": RandomizedSearchCV(
            simulator, distributions, n_iter=args.candidates, random_state=args.seed, **common
        ),
        "halving": HalvingGridSearchCV(
            simulator,
            anchors,
            resource="n_rounds",
            min_resources=2,
            max_resources=2 * args.rounds,
            **common,
        ),
    }


def run(search: Any, texts: np.ndarray, y: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Fit a search and return its candidates, each a dict of plain values."""
    start = time.perf_counter()
    search.fit(texts, y, groups=groups)
    results = search.cv_results_
    n_rounds = results.get("n_resources", [search.estimator.n_rounds] * len(results["params"]))
    numbers = ("mean_test_score", "std_test_score")
    candidates = [
        {
            "candidate": describe(params),
            **{name: float(results[name][i]) for name in numbers},
            **{name.removeprefix("filter__"): float(v) for name, v in params.items() if isinstance(v, Real)},
            "n_rounds": int(n_rounds[i]),
        }
        for i, params in enumerate(results["params"])
    ]
    n_runs, seconds = len(candidates) * search.n_splits_, time.perf_counter() - start
    return {"candidates": candidates, "runs": n_runs, "seconds": seconds}


def describe(params: dict[str, Any]) -> str:
    """Return a candidate's parameters as text."""
    words = []
    for name, value in params.items():
        if name in ("filter", "strategy"):
            words.append("no filter" if value is None else type(value).__name__)
        elif name != "n_rounds":
            shown = f"{value:.3g}" if isinstance(value, float) else value
            words.append(f"{name.removeprefix('filter__')}={shown}")
    return " ".join(words)


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draw the surfaces of the grids, with the spread over folds and the scores of the baselines."""
    drawn = table[table["search"].isin([search for search, *_ in SURFACES])]
    lowest, highest = drawn["mean_test_score"].min(), drawn["mean_test_score"].max()
    n_grids = len(SURFACES)
    with drawing(path, 1, n_grids, figsize=(4.2 * n_grids, 4.2)) as (figure, axes):
        for axis, (search, title, (rows, row_label), (columns, column_label)) in zip(
            axes[0], SURFACES, strict=True
        ):
            surface = drawn[drawn["search"] == search].pivot(index=rows, columns=columns)
            means, spreads = surface["mean_test_score"], surface["std_test_score"]
            image = axis.imshow(means.to_numpy(), origin="lower", cmap="Wistia", vmin=lowest, vmax=highest)
            axis.set(title=title, xlabel=column_label, ylabel=row_label)
            axis.set_xticks(range(means.shape[1]), [f"{value:g}" for value in means.columns])
            axis.set_yticks(range(means.shape[0]), [f"{value:g}" for value in means.index])
            for (row, column), mean in np.ndenumerate(means.to_numpy()):
                axis.text(column, row, f"{mean:.3f}\n", ha="center", va="center", weight="bold")
                deviation = f"\n±{spreads.iat[row, column]:.3f}"
                axis.text(column, row, deviation, ha="center", va="center", size=8)
        figure.colorbar(image, ax=axes, label="mean height of the curve of average precision")
        baselines = table[table["search"] == "baselines"].set_index("candidate")["mean_test_score"]
        figure.suptitle(
            f"Without pruning {baselines['no filter']:.3f}, a random quarter {baselines['RandomFilter']:.3f} "
            "(mean and standard deviation over folds)"
        )


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Run the searches that have not been run yet; return one row per candidate, best first."""
    texts, y, groups = load_pool(args)
    print(f"{len(texts)} rows, {y.sum()} of them in the section {args.rare}")
    kept, now = Runs(args.out / "searches.jsonl"), {"origin": origin()}
    settings = {
        name: value for name, value in vars(args).items() if name not in ("out", "n_jobs", "page", "tables")
    }
    parts = []
    for name, search in make_searches(make_filters(texts, args), args).items():
        ran = partial(run, search, texts, y, groups)
        found = kept.get({"search": name, **settings}, lambda ran=ran: ran() | now)
        print(f"{name}: {found['runs']} runs in {found['seconds']:.0f} s", flush=True)
        parts.append(pd.DataFrame(found["candidates"]).assign(search=name, rare_rows=int(y.sum())))
        parts[-1]["origin"] = found["origin"]
    candidates = pd.concat(parts)
    best_first = candidates.sort_values("mean_test_score", ascending=False, kind="stable", ignore_index=True)
    return said_once(best_first)


def surface(table: pd.DataFrame, search: str, rows: str, columns: str) -> pd.DataFrame:
    """Return mean and standard deviation over the folds, one line and one column per value of a parameter."""
    part = table[table["search"] == search]
    cells = [
        f"{mean:.3f} ± {sd:.3f}"
        for mean, sd in zip(part["mean_test_score"], part["std_test_score"], strict=True)
    ]
    shown = (
        part.assign(cell=cells).pivot(index=rows, columns=columns, values="cell").sort_index(ascending=False)
    )
    shown.columns = [f"{value:g}" for value in shown.columns]
    shown.index = [f"{value:g}" for value in shown.index]
    return shown.rename_axis(rows).reset_index()


def best(table: pd.DataFrame, search: str, n: int) -> pd.DataFrame:
    """Return the best candidates of a search."""
    part = table[table["search"] == search].head(n)
    height = [
        f"{mean:.3f} ± {sd:.3f}"
        for mean, sd in zip(part["mean_test_score"], part["std_test_score"], strict=True)
    ]
    return part[["candidate", "n_rounds"]].assign(height=height)


def ends(table: pd.DataFrame, column: str = "mean_test_score") -> str:
    """Return the smallest and the largest value of a column as text."""
    return f"{table[column].min():.2f} to {table[column].max():.2f}"


def page(table: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    grids = table[table["search"].isin([search for search, *_ in SURFACES])]
    baselines = table[table["search"] == "baselines"].set_index("candidate")
    none, random = baselines.loc["no filter"], baselines.loc["RandomFilter"]
    ample = grids[(grids["keep"] >= 0.25) | (grids["max_subpool"] >= 300) | (grids["n_anchors"] >= 1)]
    small = {"keep = 5 %": grids[grids["keep"] == 0.05], "M = 30": grids[grids["max_subpool"] == 30]}
    text = f"""# Searching β, A, K and M

Command: `{command("grid_search", args, parse([]))}`, {origins(table)}, seed {args.seed}.

**Pool.** The first {args.max_words} words of {args.pool_size:,} Debian package descriptions,
{table["rare_rows"].iloc[0]} of them of the rare class *{args.rare}*; {args.folds} folds, with every source
package on one side only. **Loop.** {args.rounds} rounds of 20 labels by margin sampling, after 20 initial
ones; logistic regression on TF-IDF. **Score.** The mean height of the learning curve, in average precision
on the held-out fold (`LearningCurveScorer`): mean ± standard deviation over the folds. Most of the deviation
comes from folds of different difficulty. The n-gram model is trained on the distinct texts of the pool.

Without pruning the score is {none["mean_test_score"]:.3f} ± {none["std_test_score"]:.3f}, with a random
quarter {random["mean_test_score"]:.3f} ± {random["std_test_score"]:.3f}.

**What it shows.** The size of the subpool matters:
{"; ".join(f"{name} is at {ends(part)}" for name, part in small.items())}.
Where a quarter of the pool is kept, or M is at least 300, the cells are at {ends(ample)},
with standard deviations over the folds of {ends(ample, "std_test_score")}.

**What it does not show.** It does not show which β, A or K is best: that a cell beats another, or no
pruning, is *not established*, and the best of {len(grids)} cells is partly best by chance. The folds share
one pool, one seed and one rare class, so no test was made.
"""
    parts = [
        *paragraphs(text),
        "## ActivePrune with an n-gram model alone: β by the share kept",
        markdown(surface(table, "beta-keep", "beta", "keep")),
        "## AnchorAL, M = 500: A by K",
        markdown(surface(table, "anchors-neighbors", "n_anchors", "n_neighbors")),
        "## AnchorAL, A = 10: M by K",
        markdown(surface(table, "subpool-neighbors", "max_subpool", "n_neighbors")),
        f"## The random search: all {args.candidates} candidates",
        markdown(best(table, "randomized", args.candidates)),
        "## Successive halving: the best candidates",
        *paragraphs(
            f"""Halving plays two rounds with all sixteen pairs of A and K, and more with the best ones. Its
final scores are of {int(table.loc[table["search"] == "halving", "n_rounds"].max())} rounds, so they are above
those of the grids."""
        ),
        markdown(best(table, "halving", 4)),
        "Every candidate: [grid_search.csv](grid_search.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        rare="games",
        max_words=25,
        rounds=5,
        n_jobs=2,
        seed=0,
        out=Path("grid-search-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--pool-size", type=int, default=1500, help="rows of the pool")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation")
    parser.add_argument("--candidates", type=int, default=12, help="candidates of the random search")
    parser.add_argument("--llm", help="ActivePrune's quality LLM, name or path (default: perplexity alone)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the searches and write the page."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    table = runs_or_tables(args, run_all)
    plot(table, args.out / "surfaces.png")
    publish("grid_search", args, table, page(table, args))


if __name__ == "__main__":
    main()
