"""ActivePrune's Table 1 on a small scale: which quarter of the pool should a query strategy look at?

Makes the tables of docs/results/table_activeprune.md. Two balanced data sets, two strategies and several
seeds are combined with the baseline filters, all of ActivePrune's ways to reweight, and the ablations of
its Table 3. Vectors, perplexities and the LLM's scores are computed once; every LLM call that a filter asks
for is counted. A command that was killed continues where it stopped.

    python examples/experiments/table_activeprune.py  # three to thirty minutes on one core
    python examples/experiments/table_activeprune.py --pool-size 5000 --test-size 0 --seeds 10
    python examples/experiments/table_activeprune.py --llm Qwen/Qwen2.5-1.5B-Instruct
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import (
    Runs,
    cut,
    differences,
    encode,
    make_parser,
    play,
    sections,
    spread,
    with_packaged_models,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AskLLMFilter,
    KMeansFilter,
    NGramScorer,
    PerplexityFilter,
    QualityScorer,
    RandomFilter,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.datasets import load_movie_snippets, load_newsgroups
from skprune.metrics import diversity, learning_curve_auc
from skprune.store import Remembered
from skprune.strategies import Coreset, LeastConfidence

DATA = {
    "movies": (load_movie_snippets, "sentiment classification of film reviews"),
    "newsgroups": (partial(load_newsgroups, "all"), "topic classification of newsgroup posts"),
}
STRATEGIES = {"LC": LeastConfidence, "Coreset": Coreset}
# The parameters of each variant of ActivePrune: the ways to reweight, then the ablations of Table 3.
VARIANTS: dict[str, dict[str, Any]] = {
    "ActivePrune, sample": {},
    "ActivePrune, sample, β = 0": {"beta": 0.0},  # draws by weight, but never reweights
    "ActivePrune, novelty": {"reweighting": "novelty"},
    "ActivePrune, paper": {"reweighting": "paper"},
    "ActivePrune, no reweighting": {"reweighting": None},
    "ActivePrune, no LLM": {"quality": None},
    "ActivePrune, no perplexity": {"llm_share": 1.0, "n_candidates": 0.3, "candidates": "random"},
}
FILTERS = ("none", "random", "ASK-LLM", "UPS", "k-means", "n-gram perplexity", *VARIANTS)
KEEP = 0.25


class Corpus:
    """A pool, a test set, and the scores of their texts, computed once.

    Attributes
    ----------
    train, test : (ndarray of str, ndarray of int)
        Texts and labels.
    vectors, log_perplexity, quality : callables
        ``texts -> array``, by look-up.
    """

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        load, task = DATA[name]
        bunch = load()
        texts, first = np.unique(cut(bunch.data, args.max_words), return_index=True)
        long_enough = np.array([len(text.split()) >= 4 for text in texts])
        X, X_rest, y, y_rest = train_test_split(
            texts[long_enough],
            bunch.target[first][long_enough],
            train_size=args.pool_size,
            stratify=bunch.target[first][long_enough],
            random_state=0,
        )
        if args.test_size:
            X_rest, _, y_rest, _ = train_test_split(
                X_rest, y_rest, train_size=args.test_size, stratify=y_rest, random_state=0
            )
        self.train, self.test = (X, y), (X_rest, y_rest)
        both = np.concatenate([X, X_rest])
        self.vectors = look_up(both, encode(both, args.encoder, args.memory))
        self.log_perplexity = look_up(X, NGramScorer().fit(X)(X))
        ask = QualityScorer(args.llm, task=task, chat_template=args.chat, max_length=args.max_length)
        self.quality = look_up(X, Remembered(ask, args.memory, name="llm")(X))


def look_up(texts: np.ndarray, values: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Return a function that looks up the value of each text."""
    row_of = {text: row for row, text in enumerate(texts)}
    return lambda wanted: values[[row_of[text] for text in wanted]]


def make_filter(name: str, corpus: Corpus) -> BaseFilter | None:
    """Return the filter that a name of ``FILTERS`` stands for."""
    # Filters that get the same callable share its scores. Each run gets its own, to count its own calls.
    ask = partial(corpus.quality)
    match name:
        case "none":
            return None
        case "random":
            return RandomFilter(KEEP)
        case "ASK-LLM":
            return AskLLMFilter(KEEP, quality=ask)
        case "UPS":
            return UPSFilter(KEEP)
        case "k-means":
            return KMeansFilter(KEEP, encoder=corpus.vectors)
        case "n-gram perplexity":
            return PerplexityFilter(KEEP, perplexity=corpus.log_perplexity)
        case _:
            options = {"quality": ask, **VARIANTS[name]}
            return ActivePruneFilter(KEEP, perplexity=corpus.log_perplexity, **options)


def play_one(corpus: Corpus, strategy: str, name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop, and measure how well each round's labeled rows cover the pool."""
    X, y = corpus.train
    simulator = ActiveLearningSimulator(
        make_pipeline(FunctionTransformer(corpus.vectors), LogisticRegression(C=10.0, max_iter=1_000)),
        STRATEGIES[strategy](random_state=seed),
        make_filter(name, corpus),
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial="per_class",
        n_initial=args.batch,
        random_state=seed,
    )
    found, picked = play(simulator, corpus.train, corpus.test, np.unique(y))
    found["diversity"] = {"perplexity": [], "cosine": []}
    for end in found["labels"][1:]:
        batch = X[picked[end - args.batch : end]]
        unlabeled = X[np.setdiff1d(np.arange(len(X)), picked[: end - args.batch])]
        for measure, values in (("perplexity", corpus.log_perplexity), ("cosine", corpus.vectors)):
            found["diversity"][measure].append(diversity(values(unlabeled), values(batch)))
    return found


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs = Runs(args.out / "runs.jsonl")
    common = {
        key: getattr(args, key)
        for key in ("pool_size", "test_size", "max_words", "batch", "rounds", "llm", "chat", "max_length")
    }
    corpora = {name: Corpus(name, args) for name in args.data}
    jobs = []
    for seed, data, strategy, name in product(range(args.seeds), args.data, args.strategies, args.filters):
        settings = common | {"data": data, "strategy": strategy, "filter": name, "seed": seed}
        jobs.append((settings, partial(play_one, corpora[data], strategy, name, seed, args)))
    for settings, found in runs.fill(jobs, args.n_jobs):
        named = (settings[key] for key in ("seed", "data", "strategy", "filter"))
        print(*named, f"F1 {found['f1'][-1]:.3f}", flush=True)
    return pd.DataFrame([{**settings, **runs.get(settings, run)} for settings, run in jobs])


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of each run."""
    table = runs[["data", "strategy", "filter", "seed"]].copy()
    table["F1, mean"] = [learning_curve_auc(curve, normalize=True) for curve in runs["f1"]]
    table["F1 at the end"] = [curve[-1] for curve in runs["f1"]]
    table["LLM calls"] = [calls[-1] for calls in runs["llm_calls"]]
    table["CPU s selecting"] = [sum(seconds) for seconds in runs["CPU s selecting"]]
    return table


def show(runs: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return the tables in Markdown."""
    outcome, f1, covered = [], [], []
    for (data, strategy, name), group in runs.groupby(["data", "strategy", "filter"], sort=False):
        named = {"data": data, "strategy": strategy, "filter": name}
        mine = table.loc[group.index]
        outcome.append(
            named
            | {
                "seeds": len(group),
                "F1, mean": spread(mine["F1, mean"], 3),
                "F1 at the end": spread(mine["F1 at the end"], 3),
                "LLM calls": f"{mine['LLM calls'].median():.0f}",
                "CPU s selecting": spread(mine["CPU s selecting"], 2),
            }
        )
        f1.append(named | by_round(group["f1"], 100, 1))
        for measure in ("perplexity", "cosine"):
            values = [found[measure] for found in group["diversity"]]
            covered.append(named | {"distance": measure} | by_round(values, 1, 2, first=1))
    groups = ["data", "strategy"]
    parts = {
        "Outcome": pd.DataFrame(outcome),
        "Mean F1 against a random quarter": differences(table, "F1, mean", groups, "random"),
        "F1 at the end against a random quarter": differences(table, "F1 at the end", groups, "random"),
        "100 × macro F1 by round, mean ± standard error": pd.DataFrame(f1),
        "Diversity of each round's labels, mean ± standard error": pd.DataFrame(covered),
    }
    return sections(parts)


def by_round(curves: Any, scale: float, digits: int, first: int = 0) -> dict[str, str]:
    """Return mean ± standard error of each round, as the paper prints them."""
    values = scale * np.array(list(curves))
    error = (
        values.std(axis=0, ddof=1) / np.sqrt(len(values))
        if len(values) > 1
        else np.full(values.shape[1], np.nan)
    )
    return {
        str(first + i): f"{mean:.{digits}f} ± {e:.{digits}f}"
        for i, (mean, e) in enumerate(zip(values.mean(axis=0), error, strict=True))
    }


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=8,
        max_words=60,
        rounds=5,
        encoder=None,
        llm=None,
        memory=None,
        n_jobs=1,
        out=Path("table_activeprune-results"),
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--pool-size", type=int, default=800, help="rows of each pool")
    parser.add_argument("--test-size", type=int, default=600, help="rows of each test set; 0 for all others")
    parser.add_argument("--batch", type=int, default=20, help="initial labels, and labels per round")
    parser.add_argument(
        "--chat", action=argparse.BooleanOptionalAction, default=True, help="use the LLM's chat template"
    )
    parser.add_argument("--max-length", type=int, default=48, help="tokens of each text that the LLM reads")
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the loops and print the tables."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = run_all(args)
    table = summarize(runs)
    table.to_csv(args.out / "runs.csv", index=False)
    print(f"\n{show(runs, table)}")


if __name__ == "__main__":
    main()
