"""ActivePrune against a random quarter of the pool: fresh pools, controls, and four kinds of learner.

Makes docs/results/table_activeprune.md and its two CSV files. Each seed draws a pool, a test set and initial
labels of its own; the filters of a seed share them. Besides the baselines of the paper, its ways to reweight
and the ablations of its Table 3, there are controls: something else in the place of the LLM, or of
perplexity. The parts:

* LC: every filter, with three learners that read vectors or TF-IDF;
* strategies: CAL and Coreset, fewer filters;
* UHerding: the strategy that gained most in query_strategies.py;
* first: typical first labels in the place of random ones;
* fine-tuned: a fine-tuned MiniLM, fewer filters.

The LLM's scores are computed once; every call that a filter asks for is counted. A command that was killed
continues where it stopped.

    python examples/experiments/table_activeprune.py  # two hours on one core, ten minutes of it the LLM
    python examples/experiments/table_activeprune.py --parts LC --data movies --seeds 80
    python examples/experiments/table_activeprune.py --llm Qwen/Qwen2.5-1.5B-Instruct
    python examples/experiments/table_activeprune.py --tables docs/results/table_activeprune.csv  # the page
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _activeprune import DATA, FIRST, PARTS, Corpus, make_filter, perplexity_of
from _activeprune_page import N_TEST, compare, page, written_by_hand
from _frozen import FrozenOnceClassifier
from _pages import command, origin, publish, said_once
from _runs import Runs, make_parser, play, with_packaged_models
from demo import make_classifier
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import ActiveLearningSimulator
from skprune.metrics import diversity, learning_curve_auc
from skprune.strategies import CAL, Coreset, LeastConfidence, TypiClust, UHerding
from skprune.strategies.base import Strategy

LEARNERS = {
    "vectors": "logistic regression, sentence vectors",
    "terms": "logistic regression, TF-IDF",
    "mlp": "neural net, sentence vectors",
    "minilm": "fine-tuned MiniLM",
}


def make_learner(name: str, corpus: Corpus) -> BaseEstimator:
    """Return the model that is trained anew in each round."""
    linear = LogisticRegression(C=10.0, max_iter=1_000)
    match name:
        case "terms":
            return make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
        case "vectors":
            return make_pipeline(FunctionTransformer(corpus.vectors), linear)
        case "mlp":
            net = MLPClassifier((32,), max_iter=60, learning_rate_init=0.01)
            return make_pipeline(FunctionTransformer(corpus.vectors), net)
        case _:  # as in the demo, but only the last of six layers is trained
            transformer = make_classifier(argparse.Namespace(model=None, seed=None))
            return FrozenOnceClassifier(**transformer.get_params() | {"frozen_layers": 5})


def make_strategy(name: str, corpus: Corpus) -> Strategy:
    """Return the strategy that a name stands for; it has its paper's settings."""
    if name == "UHerding":
        return UHerding(encoder=corpus.vectors)
    return {"LC": LeastConfidence, "CAL": CAL, "Coreset": Coreset}[name]()


@lru_cache(maxsize=1)
def run_frozen_layers(corpus: Corpus, seed: int) -> None:
    """Compute the lower layers for the pool, so that the first filter does not pay for all the others."""
    pool, _ = corpus.draw(seed, 0)
    model = make_learner("minilm", corpus).set_params(max_epochs=1, min_steps=1, random_state=0)
    model.fit(list(pool.texts[:40]), pool.y[:40]).predict(list(pool.texts))


def play_one(corpus: Corpus, settings: dict[str, Any]) -> dict[str, Any]:
    """Play one loop, and measure how well each round's labeled rows cover the pool."""
    seed, batch = settings["seed"], settings["batch"]
    pool, test = corpus.draw(seed, settings["test_size"])
    if settings["learner"] == "minilm":
        run_frozen_layers(corpus, seed)
    initial: Any = FIRST.get(settings["filter"], "per_class")
    if initial == "typiclust":
        pick = TypiClust(encoder=corpus.vectors, random_state=seed)
        initial = pick(None, pool.texts, settings["n_seeds"])[0]
    simulator = ActiveLearningSimulator(
        make_learner(settings["learner"], corpus),
        make_strategy(settings["strategy"], corpus),
        make_filter(settings["filter"], corpus, seed),
        n_instances=batch,
        n_rounds=settings["rounds"],
        initial=initial,
        n_initial=settings["n_seeds"],
        random_state=seed,
    )
    found, picked = play(simulator, (pool.texts, pool.y), (test.texts, test.y), np.unique(pool.y))
    in_pool = perplexity_of(corpus, seed)
    ends = found["labels"][1:]
    covered = [
        diversity(
            in_pool(pool.texts[np.setdiff1d(np.arange(len(pool.texts)), picked[: end - batch])]),
            in_pool(pool.texts[picked[end - batch : end]]),
        )
        for end in ends
    ]
    return {
        "F1, mean": learning_curve_auc(found["f1"], normalize=True),
        "F1 at the end": found["f1"][-1],
        "diversity": float(np.mean(covered)),
        "LLM calls": found["llm_calls"][-1],
        "CPU s selecting": sum(found["CPU s selecting"]),
    }


def jobs(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the part and the settings of all runs, seed by seed within each part."""
    common = {
        key: getattr(args, key)
        for key in (
            *("judged", "pool_size", "test_size", "max_words", "n_seeds", "batch", "rounds"),
            *("llm", "chat", "max_length"),
        )
    }
    for name in args.parts:
        part = PARTS[name]
        data = [each for each in part.data if each in args.data]
        for learner, strategy, n_seeds in part.cells:
            seeds = range(n_seeds if args.seeds is None else args.seeds)
            for seed, each, pruner in product(seeds, data, part.filters):
                named = {"data": each, "learner": learner, "strategy": strategy}
                yield name, common | part.changes | named | {"filter": pruner, "seed": seed}


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs, rows, now = Runs(args.out / "runs.jsonl"), [], {"origin": origin()}
    corpus = lru_cache(lambda name: Corpus(name, args))
    for part, settings in jobs(args):
        found = runs.get(settings, lambda s=settings: play_one(corpus(s["data"]), s) | now)
        named = {key: settings[key] for key in ("data", "learner", "strategy", "filter", "seed")}
        rows.append({"part": part} | named | {"learner": LEARNERS[named["learner"]]} | found)
        print(*named.values(), f"F1 {found['F1, mean']:.3f}", flush=True)
    table = pd.DataFrame(rows)
    return said_once(table).round(4)


def measure_costs(args: argparse.Namespace) -> pd.DataFrame:
    """Return the CPU seconds of the models that filters use, for a pool of each data set."""
    runs, rows = Runs(args.out / "costs.jsonl"), []
    common = {key: getattr(args, key) for key in ("judged", "pool_size", "max_words", "llm", "encoder")}
    for name in args.data:
        named = {"data": name, "seed": 0}
        rows.append(named | runs.get(common | named, lambda name=name: Corpus(name, args).unit_costs(0)))
    return pd.DataFrame(rows).round(4)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        pool_size=800,
        test_size=N_TEST,
        max_words=60,
        n_seeds=20,
        batch=8,
        rounds=5,
        encoder=None,
        llm=None,
        memory=None,
        tables=None,
        page=None,
        out=Path("table_activeprune-results"),
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, help="number of seeds (default: the cell's)")
    parser.add_argument("--judged", type=int, default=2_000, help="texts per data set that the LLM scores")
    parser.add_argument(
        "--chat", action=argparse.BooleanOptionalAction, default=True, help="use the LLM's chat template"
    )
    parser.add_argument("--max-length", type=int, default=48, help="tokens of each text that the LLM reads")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops, or read them, and write the page and its CSV files."""
    given = parse()
    warnings.simplefilter("ignore")
    if given.tables:
        runs, units = pd.read_csv(given.tables), pd.read_csv(beside(given.tables, "costs"))
    else:
        args = with_packaged_models(argparse.Namespace(**vars(given)))
        runs, units = run_all(args), measure_costs(args)
    target = given.page or given.out / "table_activeprune.md"
    text = page(runs, units, given, command("table_activeprune", given, parse([])), written_by_hand(target))
    publish("table_activeprune", given, runs, text)
    units.to_csv(beside(target, "costs"), index=False)
    tests = pd.concat(table.assign(family=name) for name, table in compare(runs, given.test_size).items())
    tests.to_csv(beside(target, "tests"), index=False)


def beside(path: Path, name: str) -> Path:
    """Return the CSV file beside the page."""
    return path.with_name(f"table_activeprune_{name}.csv")


if __name__ == "__main__":
    main()
