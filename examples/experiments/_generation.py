"""The loop of translation.py and summarization.py: prune, ask for labels, fine-tune, round after round."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from _runs import make_parser
from sklearn.utils import Bunch

from skprune import ActivePruneFilter, PrunedQuery, RandomFilter, TransformerSeq2Seq
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, split_by_group
from skprune.modal import ActiveLearner
from skprune.strategies import IDDS, NSP, RandomSampling

STRATEGIES = {"random": RandomSampling, "nsp": NSP, "idds": IDDS}
COLUMNS = ("round", "labels", "pool", "subpool", "LLM calls", "select s", "train s", "score")


@dataclass
class Task:
    """A data set of source and target texts, and how to learn from it."""

    name: str  # the task, as described to the quality LLM
    data: Bunch
    learner: dict[str, Any]  # parameters of TransformerSeq2Seq


def make_filter(name: str, task: Task, args: argparse.Namespace) -> BaseFilter:
    """Return the filter that a name stands for."""
    if name == "activeprune":
        quality = args.llm or fetch_model("smollm2-135m")
        return ActivePruneFilter(
            keep=0.25, quality=quality, task=task.name, memory=args.memory, random_state=args.seed
        )
    return RandomFilter(keep=0.25 if name == "random" else 1.0, random_state=args.seed)


def play(task: Task, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Play the rounds, print a row per round, and return the rounds."""
    train, test = split_by_group(task.data, test_size=0.2, random_state=args.seed)
    rng = np.random.default_rng(args.seed)
    rows = rng.permutation(len(train.data))[: args.pool_size or None]
    texts, targets = [train.data[i] for i in rows], train.target[rows]
    test_rows = rng.permutation(len(test.data))[: args.test_size]
    test_texts, references = [test.data[i] for i in test_rows], test.target[test_rows]

    estimator = TransformerSeq2Seq(
        args.model or fetch_model("t5-small-title"),
        max_epochs=args.epochs,
        min_steps=1,
        random_state=args.seed,
        **task.learner,
    )
    query = PrunedQuery(
        make_filter(args.filter, task, args), STRATEGIES[args.strategy](random_state=args.seed)
    )
    known = np.arange(args.n_seeds)  # the pool is in random order
    clock = time.perf_counter()
    learner = ActiveLearner(estimator, query, [texts[i] for i in known], targets[known])
    round_: dict[str, Any] = {
        "subpool": 0,
        "LLM calls": 0,
        "select s": 0.0,
        "train s": time.perf_counter() - clock,
    }
    rounds = []
    print(f"filter {args.filter}, strategy {args.strategy}, seed {args.seed}")
    print(f"score: {estimator.metric} on {len(test_texts)} texts, after the round's labels")
    print("subpool: rows that the filter keeps, from which the strategy chooses; LLM calls: so far\n")
    print("  ".join(f"{title:>10}" for title in COLUMNS))
    for number in range(args.rounds + 1):
        pool = np.setdiff1d(np.arange(len(texts)), known)
        if number:
            clock = time.perf_counter()
            picked, picked_texts = learner.query([texts[i] for i in pool], n_instances=args.batch)
            asked = time.perf_counter()
            learner.teach(picked_texts, targets[pool[picked]])
            known = np.concatenate([known, pool[picked]])
            round_ = {
                "subpool": len(query.subpool_),
                "LLM calls": getattr(query.filter_, "n_llm_calls_", 0),
                "select s": asked - clock,
                "train s": time.perf_counter() - asked,
            }
        round_ |= {"round": number, "labels": len(known), "pool": len(pool)}
        round_["score"] = learner.score(test_texts, references)
        cells = (round_[column] for column in COLUMNS)
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
        print("  ".join(f"{cell:>10}" for cell in cells), flush=True)
        rounds.append(round_)
    for text, written, reference in zip(
        test_texts[:3], learner.predict(test_texts[:3]), references[:3], strict=True
    ):
        print(f"\n{text}\n     model: {written}\n reference: {reference}")
    return rounds


def parse(description: str | None, argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        description, rounds=2, batch=30, n_seeds=40, pool_size=400, llm=None, memory=None, seed=0
    )
    parser.add_argument("--filter", choices=("none", "random", "activeprune"), default="activeprune")
    parser.add_argument("--strategy", choices=STRATEGIES, default="nsp")
    parser.add_argument("--test-size", type=int, default=60, help="rows of the test set")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of training per round")
    parser.add_argument("--model", help="encoder–decoder to fine-tune, name or path (default: packaged T5)")
    return parser.parse_args(argv)
