"""AnchorAL's Tables 2 and 3 over fresh pools: which pool filter finds rare classes, and at what cost?

Makes docs/results/table_anchoral.md and its two CSV files. Each seed draws a pool, a test set and first
labels of its own from the Debian package descriptions; the filters of a seed share them. The parts:

* small: pools of 8,000, a rare section and a task of three, entropy;
* whole: all rows outside the test side, rare classes down to 0.12 %;
* rarest: as whole, out of the whole collection with its near copies, rare classes of 0.1 %;
* terms: as small, with a learner that reads other features than the filters;
* BADGE, clusters, DIRECT: as small, with BADGE, with FT-BERTKM, which clusters the pool, and with DIRECT;
* ablation: anchor selection, A, K and M;
* first: typical first labels;
* timed: as many rounds as fit into equal CPU seconds, with a learner that reads the texts.

Vectors are computed once. A command that was killed continues where it stopped.

    python examples/experiments/table_anchoral.py  # an hour on one core, ten minutes of it MiniLM
    python examples/experiments/table_anchoral.py --parts small --seeds 80
    python examples/experiments/table_anchoral.py --parts small --learner minilm --seeds 20  # on a GPU
    python examples/experiments/table_anchoral.py --tables docs/results/table_anchoral.csv  # the page alone
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _anchoral_page import IMAGES, RAREST, THREE, draw, page
from _descriptions import QUERY, Descriptions, Split
from _pages import command, kept_by_hand, origin, publish, said_once
from _runs import Runs, make_parser, play, with_packaged_models
from demo import make_classifier
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import ActiveLearningSimulator, AnchorFilter, ProxyFilter, RandomFilter, SEALSFilter, UPSFilter
from skprune.base import BaseFilter
from skprune.datasets import BOILERPLATE_SECTIONS
from skprune.metrics import learning_curve_auc, minority_f1
from skprune.strategies import BADGE, BERTKM, DIRECT, Entropy, RandomSampling
from skprune.streams import generator

STRATEGIES = {
    "entropy": Entropy,
    "DIRECT": DIRECT,
    "BADGE": BADGE,
    "FT-BERTKM": BERTKM,
    "random labels": RandomSampling,
}
LEARNERS = ("vectors", "terms", "texts", "minilm")
A, M = 10, 1_000
#: Rows of Table 3 and beyond; every one changes AnchorAL in one place. K is relative to the part's.
VARIANTS: dict[str, dict[str, Any]] = {
    "AnchorAL, entropy for the majority": {"anchor_selection": {0: "entropy", 1: "kmeans++"}},
    "AnchorAL, entropy for both": {"anchor_selection": "entropy"},
    "AnchorAL, random anchors": {"anchor_selection": "random"},
    "AnchorAL, A = 3": {"n_anchors": 3},
    "AnchorAL, A = 50": {"n_anchors": 50},
    "AnchorAL, K ÷ 4": {"n_neighbors": 1 / 4},
    "AnchorAL, K × 10": {"n_neighbors": 10},
    "AnchorAL, M = 100": {"max_subpool": 100},
}
FILTERS = ("none", "random", "RandSub", "SEALS", "AnchorAL", "ProxyFilter", "UPS")
BUDGETS = (0.5, 1.0)  # CPU seconds


@dataclass(frozen=True)
class Part:
    """A grid of runs.

    Attributes
    ----------
    pool_size, n_neighbors, n_seeds : int
        0 rows mean all. K of AnchorAL and SEALS.
    tasks, filters : tuple of str
    cells : tuple of (learner, strategy)
    drop : tuple of str
        The sections whose descriptions are not read.
    """

    pool_size: int
    n_neighbors: int
    n_seeds: int
    tasks: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]
    filters: tuple[str, ...] = FILTERS
    drop: tuple[str, ...] = BOILERPLATE_SECTIONS


PASSIVE = ("vectors", "random labels")
PARTS = {
    "small": Part(8_000, 20, 40, ("mail", THREE), (("vectors", "entropy"), PASSIVE)),
    "whole": Part(0, 50, 20, ("mail", "hamradio/3", THREE), (("vectors", "entropy"),)),
    "rarest": Part(0, 50, 20, ("hamradio/3", RAREST), (("vectors", "entropy"),), drop=()),
    "terms": Part(8_000, 20, 20, ("mail", THREE), (("terms", "entropy"), ("terms", "random labels"))),
    "BADGE": Part(8_000, 20, 20, ("mail",), (("vectors", "BADGE"), PASSIVE)),
    "clusters": Part(8_000, 20, 20, ("mail",), (("vectors", "FT-BERTKM"), PASSIVE)),
    "DIRECT": Part(8_000, 20, 20, ("mail", THREE), (("vectors", "DIRECT"), PASSIVE)),
    "ablation": Part(
        *(8_000, 20, 20, ("mail",), (("vectors", "entropy"),)), ("random", "AnchorAL", *VARIANTS)
    ),
    "first": Part(
        *(8_000, 20, 20, ("mail", THREE), (("vectors", "entropy"),)), ("none", "none, TypiClust first")
    ),
    "timed": Part(0, 50, 20, ("hamradio/3",), (("texts", "entropy"),)),
}


def make_filter(name: str, part: Part, split: Split, encoder: Any) -> BaseFilter | None:
    """Return the filter that a name stands for."""
    n_retrieved = min(M, A * part.n_neighbors * (1 + len(split.rare)), len(split.y) // 2)
    match name.partition(",")[0]:
        case "none":
            return None
        case "random":  # as many rows as AnchorAL can retrieve
            return RandomFilter(n_retrieved)
        case "RandSub":  # about 10,000 rows of the whole pool, as in the paper
            return RandomFilter(1 / 3)
        case "SEALS":
            return SEALSFilter(part.n_neighbors, encoder=encoder)
        case "UPS":
            return UPSFilter(n_retrieved)
        case "ProxyFilter":
            return ProxyFilter(n_retrieved, encoder=encoder)
        case _:
            options = {"n_anchors": A, "n_neighbors": 1, "max_subpool": M, **VARIANTS.get(name, {})}
            options["n_neighbors"] = int(options["n_neighbors"] * part.n_neighbors)
            return AnchorFilter(**options, encoder=encoder)


def make_learner(name: str, data: Descriptions, seed: int) -> BaseEstimator:
    """Return the model that is trained anew in each round."""
    linear = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1_000)
    match name:
        case "vectors":
            return make_pipeline(FunctionTransformer(data.vectors), linear)
        case "terms":
            return make_pipeline(FunctionTransformer(data.terms, accept_sparse=True), linear)
        case "texts":
            return make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
        case _:
            return make_classifier(argparse.Namespace(model=None, seed=seed))


def play_one(data: Descriptions, settings: dict[str, Any], part: Part) -> dict[str, Any]:
    """Play one loop. The settings name the seed, the task, the learner, the strategy and the filter."""
    seed, name = settings["seed"], settings["filter"]
    split = data.draw(settings["task"], seed, settings["pool_size"], settings["n_seeds"])
    simulator = ActiveLearningSimulator(
        make_learner(settings["learner"], data, seed),
        STRATEGIES[settings["strategy"]](random_state=int(generator(seed, QUERY).integers(2**31))),
        make_filter(name, part, split, data.vectors),
        n_instances=settings["batch"],
        n_rounds=settings["rounds"],
        initial=data.typical(split, seed) if name.endswith("TypiClust first") else split.initial,
        random_state=seed,
    )
    sizes = {
        "rare rows": int((split.y > 0).sum()),
        "rare in the test set": int((split.y_test > 0).sum()),
        "pool": len(split.y),
    }
    if settings["part"] == "timed":
        return sizes | {"checkpoints": play_against_the_clock(simulator, split)}
    found, _ = play(simulator, (split.texts, split.y), (split.test_texts, split.y_test), split.rare, 0)
    return sizes | found


def play_against_the_clock(simulator: ActiveLearningSimulator, split: Split) -> list[dict[str, float]]:
    """Play until the CPU seconds of ``BUDGETS`` are spent on selection and training.

    CPU seconds of the process do not depend on what else the machine does; the simulator's ``time_budget``
    is in seconds of the clock. Predicting the test set costs nothing.

    Returns
    -------
    list of dict
        For each budget: the F1 of the last model trained within it, the labels and the rare rows it had.
    """
    reached: list[dict[str, float]] = []
    spent, since, model, n_rounds = 0.0, time.process_time(), None, 0

    def watch(trained: Any, X: Any, y: np.ndarray) -> float:
        nonlocal spent, since, model
        spent += time.process_time() - since
        while len(reached) < len(BUDGETS) and spent > BUDGETS[len(reached)]:
            if model is None:
                raise ValueError(f"the first model took {spent:.1f} CPU seconds: more than a budget")
            reached.append({"f1": minority_f1(y, model.predict(X), split.rare), "round": n_rounds - 1})
        model, since = trained, time.process_time()
        return spent

    def count(_: dict[str, Any]) -> None:
        nonlocal n_rounds
        n_rounds += 1

    simulator.set_params(
        n_rounds=None, scoring=watch, callback=count, stopping=lambda _: len(reached) == len(BUDGETS)
    )
    simulator.fit(split.texts, split.y, split.test_texts, split.y_test)
    picked = simulator.labeled_indices_
    for point in reached:
        labels = len(split.initial) + point["round"] * simulator.n_instances
        point |= {"labels": labels, "found": int((split.y[picked[:labels]] > 0).sum())}
    return reached


def jobs(args: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Part]]:
    """Yield the settings of all runs, seed by seed within each part."""
    common = {key: getattr(args, key) for key in ("texts", "max_words", "n_seeds", "batch", "rounds")}
    for name in args.parts:
        part = PARTS[name]
        size = part.pool_size if args.pool_size is None else args.pool_size
        seeds = range(part.n_seeds if args.seeds is None else args.seeds)
        tasks = args.tasks or part.tasks
        for seed, task, cell, pruner in product(seeds, tasks, part.cells, part.filters):
            if cell[1] == "random labels" and pruner != "none":
                continue
            learner = args.learner or cell[0]
            found = {"part": name, "task": task, "learner": learner, "strategy": cell[1], "filter": pruner}
            yield common | found | {"seed": seed, "pool_size": size}, part


def run_all(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Play the loops that have not been played yet; return one row per run, and means per round."""
    kept, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    without = cache(lambda drop: Descriptions(args, drop))
    runs, rounds = [], []
    names = ("part", "task", "learner", "strategy", "filter", "seed")
    for settings, part in jobs(args):
        found = kept.get(settings, lambda s=settings, p=part: play_one(without(p.drop), s, p) | now)
        run = {name: settings[name] for name in names}
        run |= {name: found[name] for name in ("origin", "pool", "rare rows", "rare in the test set")}
        if settings["part"] == "timed":
            for budget, point in zip(BUDGETS, found["checkpoints"], strict=True):
                runs.append(run | {"budget": budget, "F1 at the end": point["f1"]})
                runs[-1] |= {"labels": point["labels"], "found": point["found"]}
            continue
        curve = {
            "labels": found["labels"],
            "F1": found["f1"],
            "found": [n / found["rare rows"] for n in found["found"]],
            "subpool": found["subpool"],
            "of it rare": found["minority in subpool"],
        }
        rounds.append(pd.DataFrame({name: settings[name] for name in names[:-1]} | curve))
        runs.append(
            run
            | {"labels": found["labels"][-1], "F1": learning_curve_auc(found["f1"], normalize=True)}
            | {"F1 at the end": found["f1"][-1]}
            | {"majority F1": learning_curve_auc(found["majority f1"], normalize=True)}
            | {"found": found["found"][-1], "subpool": np.mean(found["subpool"][1:])}
            | {"of it rare": np.mean(found["minority in subpool"][1:])}
            | {"CPU s selecting": sum(found["CPU s selecting"])}
        )
        print(*list(runs[-1].values())[:6], f"F1 {runs[-1]['F1']:.3f}", flush=True)
    table = pd.DataFrame(runs)
    means = pd.concat(rounds).groupby([*names[:-1], "labels"], sort=False).mean().reset_index()
    return said_once(table).round(4), means.round(4)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        max_words=40,
        n_seeds=100,
        batch=25,
        rounds=10,
        encoder=None,
        memory=None,
        page=None,
        tables=None,
        out=Path("table_anchoral-results"),
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--tasks", nargs="+", help="rare sections, as mail+games or games/3 (default: the part's)"
    )
    parser.add_argument(
        "--learner", choices=LEARNERS, help="minilm: fine-tuned, minutes a run (default: the part's)"
    )
    parser.add_argument("--seeds", type=int, help="number of seeds (default: the part's)")
    parser.add_argument("--pool-size", type=int, help="rows of each pool; 0 for all (default: the part's)")
    parser.add_argument("--texts", type=int, default=0, help="descriptions that are read; 0 for all")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops, or read them, and write the page, its CSV files and its pictures."""
    given = parse()
    args = with_packaged_models(argparse.Namespace(**vars(given)))
    warnings.simplefilter("ignore")
    args.page = args.page or args.out / "table_anchoral.md"
    rounds_csv = args.page.with_name("table_anchoral_rounds.csv")
    if args.tables:
        runs, rounds = pd.read_csv(args.tables), pd.read_csv(args.tables.with_name(rounds_csv.name))
    else:
        runs, rounds = run_all(args)
    given.parts = list(dict.fromkeys(runs["part"]))
    text = page(runs, args, command("table_anchoral", given, parse([]))) + kept_by_hand(args.page)
    publish("table_anchoral", args, runs, text)
    rounds.to_csv(rounds_csv, index=False)
    for part in IMAGES.keys() & set(rounds["part"]):
        image = args.page.parent / IMAGES[part]
        image.parent.mkdir(parents=True, exist_ok=True)
        draw(rounds[rounds["part"] == part], image)


if __name__ == "__main__":
    main()
