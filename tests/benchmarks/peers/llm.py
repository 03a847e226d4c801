"""ASK-LLM, which asks about every text, against filters that ask about a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, row
from .measuring import alternate, scaled

TASK = "sentiment analysis of film reviews"
N_CANDIDATES = 0.023
N_ASKED = 100  # texts that measure the seconds of one call
_MEASURED = 1_000  # rows that the LLM really scores; it takes about a minute


def _scorer() -> Any:
    import torch

    from skprune import QualityScorer
    from skprune.datasets import fetch_model

    torch.set_num_threads(1)
    return QualityScorer(fetch_model("smollm2-135m"), task=TASK, precision="bfloat16")


def free_score(texts: Sequence[str]) -> np.ndarray:
    """Return a score that costs nothing and that a student can learn in part: the length, and noise."""
    lengths = np.array([len(text) for text in texts], dtype=float)
    return lengths + np.random.default_rng(0).normal(scale=20.0, size=len(texts))


def _prune(make: Any, texts: list[str]) -> Any:
    from skprune.store import clear_process_store

    clear_process_store()
    pruner = make().fit(texts)
    pruner.select(texts)
    return pruner


@case(_MEASURED)
def measured(n: int) -> Iterator[Row]:
    """Both filters in full, with the LLM."""
    from skprune import ActivePruneFilter, AskLLMFilter

    texts, scorer = inputs.snippets(n), _scorer()
    scorer(texts[:20])

    def active_prune() -> Any:
        return ActivePruneFilter(n_candidates=N_CANDIDATES, quality=scorer, random_state=0)

    peer, ours = alternate(
        3,
        lambda: _prune(lambda: AskLLMFilter(quality=scorer, random_state=0), texts),
        lambda: _prune(active_prune, texts),
    )
    calls = _prune(active_prune, texts).n_llm_calls_
    note = f"calls: {n:,} and {calls}, {n / calls:.0f} times fewer"
    yield row(
        "film reviews, measured in full", "`AskLLMFilter`", peer, "`ActivePruneFilter`", ours, note=note
    )


@case()
def extrapolated(n: int) -> Iterator[Row]:
    """Seconds of a call, measured, times the number of calls, plus the measured rest."""
    from skprune import ActivePruneFilter, AskLLMFilter, DistilledScorer

    texts, scorer = inputs.texts(n), _scorer()
    scorer(texts[-20:])
    sample = texts[:N_ASKED]
    call = scaled(alternate(3, lambda: scorer(sample))[0], 1 / N_ASKED)
    repeats = 3 if n < 100_000 else 1

    def costs(make: Any) -> tuple[Any, int]:
        calls = []
        rest = alternate(repeats, lambda: calls.append(_prune(make, texts).n_llm_calls_))[0]
        middle = {clock: [float(np.median(values))] * 3 for clock, values in rest.items()}
        return scaled(call, calls[0], middle), calls[0]

    peer, peer_calls = costs(lambda: AskLLMFilter(quality=free_score, random_state=0))

    def active_prune() -> Any:
        return ActivePruneFilter(n_candidates=N_CANDIDATES, quality=free_score, random_state=0)

    def distilled(n_calls: float) -> Any:
        student = DistilledScorer(free_score, n_calls=n_calls, min_recall=0)
        return AskLLMFilter(quality=student, random_state=0)

    shown = f"{1e3 * np.median(call['cpu']):.0f} ms a call, measured on {N_ASKED} texts"
    for name, make in {
        "`ActivePruneFilter`": active_prune,
        "`AskLLMFilter` with `DistilledScorer`, 2 % asked": lambda: distilled(0.02),
        "`AskLLMFilter` with `DistilledScorer`, 0.5 % asked": lambda: distilled(0.005),
    }.items():
        ours, calls = costs(make)
        yield row(
            "pairs of sentences",
            "`AskLLMFilter`",
            peer,
            name,
            ours,
            extrapolated=shown,
            note=f"calls: {peer_calls:,} and {calls:,}, {peer_calls / calls:.0f} times fewer",
        )
