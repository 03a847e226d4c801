"""The loop of translation.py, summarization.py and table_generation.py: prune, ask for labels, fine-tune."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from _runs import make_parser
from sklearn.utils import Bunch

from skprune import ActivePruneFilter, PrunedQuery, RandomFilter, TransformerSeq2Seq
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, split_by_group
from skprune.modal import ActiveLearner
from skprune.strategies import IDDS, NSP, RandomSampling, TypiClust

KEEP = 0.25
FILTERS = ("none", "random", "activeprune")
STRATEGIES = {"random": RandomSampling, "nsp": NSP, "idds": IDDS, "typiclust": TypiClust}
COLUMNS = ("round", "labels", "pool", "subpool", "LLM calls", "select s", "train s", "score")


@dataclass(frozen=True)
class Task:
    """A data set of source and target texts, and how to learn from it."""

    name: str  # the task, as described to the quality LLM
    data: Bunch
    learner: dict[str, Any]  # parameters of TransformerSeq2Seq


@dataclass(frozen=True)
class Split:
    """The pool of a seed in random order, and its test set."""

    texts: list[str]
    targets: np.ndarray
    test_texts: list[str]
    references: np.ndarray


def draw(task: Task, args: argparse.Namespace) -> Split:
    """Draw the pool and the test set of a seed, from different source packages."""
    train, test = split_by_group(task.data, test_size=0.2, random_state=args.seed)
    rng = np.random.default_rng(args.seed)
    parts: list[Any] = []
    for bunch, n_rows in ((train, args.pool_size), (test, args.test_size)):
        rows = rng.permutation(len(bunch.data))[: n_rows or None]
        parts += [[bunch.data[i] for i in rows], bunch.target[rows]]
    return Split(*parts)


def make_filter(name: str, task: Task, args: argparse.Namespace) -> BaseFilter:
    """Return the filter that a name stands for."""
    if name == "activeprune":
        quality = args.llm or fetch_model("smollm2-135m")
        return ActivePruneFilter(
            KEEP, quality=quality, task=task.name, memory=args.memory, random_state=args.seed
        )
    return RandomFilter(KEEP if name == "random" else 1.0, random_state=args.seed)


def start(task: Task, split: Split, args: argparse.Namespace) -> tuple[ActiveLearner, dict[str, Any]]:
    """Train on the first labels; return the learner, which has no strategy yet, and the row of this round."""
    estimator = TransformerSeq2Seq(
        args.model or fetch_model("t5-small-title"),
        max_epochs=args.epochs,
        min_steps=1,
        random_state=args.seed,
        **task.learner,
    )
    clock = time.process_time()
    learner = ActiveLearner(
        estimator, X_training=split.texts[: args.n_seeds], y_training=split.targets[: args.n_seeds]
    )
    row = {"round": 0, "labels": args.n_seeds, "pool": len(split.texts) - args.n_seeds}
    row |= {"subpool": 0, "LLM calls": 0, "select s": 0.0, "train s": time.process_time() - clock}
    return learner, row | {"score": learner.score(split.test_texts, split.references)}


def rounds(
    learner: ActiveLearner, split: Split, pruner: BaseFilter, strategy: Callable, args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Play the rounds after the first labels, and yield a row per round. Seconds are CPU seconds."""
    learner.query_strategy = query = PrunedQuery(pruner, strategy)
    known = np.arange(args.n_seeds)
    for number in range(1, args.rounds + 1):
        pool = np.setdiff1d(np.arange(len(split.texts)), known)
        clock = time.process_time()
        picked, picked_texts = learner.query([split.texts[i] for i in pool], n_instances=args.batch)
        asked = time.process_time()
        learner.teach(picked_texts, split.targets[pool[picked]])
        trained = time.process_time()
        known = np.concatenate([known, pool[picked]])
        yield {
            "round": number,
            "labels": len(known),
            "pool": len(pool),
            "subpool": len(query.subpool_),
            "LLM calls": getattr(query.filter_, "n_llm_calls_", 0),
            "select s": asked - clock,
            "train s": trained - asked,
            "score": learner.score(split.test_texts, split.references),
        }


def play(task: Task, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Play the rounds, print a row per round, and return the rows."""
    split = draw(task, args)
    print(f"filter {args.filter}, strategy {args.strategy}, seed {args.seed}")
    print(f"score: {task.learner['metric']} on {len(split.test_texts)} texts, after the round's labels")
    print("subpool: rows that the filter keeps, from which the strategy chooses; LLM calls: so far")
    print("select s, train s: CPU seconds\n")
    print("  ".join(f"{title:>10}" for title in COLUMNS))
    learner, row = start(task, split, args)
    played = [row]
    show(row)
    strategy = STRATEGIES[args.strategy](random_state=args.seed)
    for row in rounds(learner, split, make_filter(args.filter, task, args), strategy, args):
        played.append(row)
        show(row)
    texts = split.test_texts[:3]
    for text, written, reference in zip(texts, learner.predict(texts), split.references, strict=False):
        print(f"\n{text}\n     model: {written}\n reference: {reference}")
    return played


def show(row: dict[str, Any]) -> None:
    """Print the row of a round."""
    cells = (row[column] for column in COLUMNS)
    cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
    print("  ".join(f"{cell:>10}" for cell in cells), flush=True)


def loop_parser(
    description: str | None, *, test_size: int, epochs: int, **defaults: Any
) -> argparse.ArgumentParser:
    """Return a parser with the options of the loop; the other defaults are those of ``make_parser``."""
    parser = make_parser(description, **defaults)
    parser.add_argument("--test-size", type=int, default=test_size, help="rows of the test set")
    parser.add_argument("--epochs", type=int, default=epochs, help="epochs of training per round")
    parser.add_argument("--model", help="encoder–decoder to fine-tune, name or path (default: packaged T5)")
    return parser


def parse(description: str | None, argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of a single run."""
    parser = loop_parser(
        description,
        test_size=60,
        epochs=4,
        rounds=2,
        batch=30,
        n_seeds=40,
        pool_size=400,
        llm=None,
        memory=None,
        seed=0,
    )
    parser.add_argument("--filter", choices=FILTERS, default="activeprune")
    parser.add_argument("--strategy", choices=STRATEGIES, default="nsp")
    return parser.parse_args(argv)
