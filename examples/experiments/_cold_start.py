"""A loop that begins without any label, on vectors; for first_labels.py and query_strategies.py."""

from __future__ import annotations

from typing import Any

from _pools import Split
from sklearn.linear_model import LogisticRegression

from skprune import ActiveLearningSimulator
from skprune.strategies.base import Strategy


def play_cold(
    split: Split, strategy: Strategy, first: Strategy, *, seed: int, batch: int, rounds: int
) -> dict[str, list[Any]]:
    """Play a loop with logistic regression, and record its learning curve.

    Parameters
    ----------
    split : Split
    strategy : Strategy
        Picks the rows of each round.
    first : Strategy
        Picks the rows before the first round; it is given no learner.
    seed : int
    batch, rounds : int
        Labels per round, the first labels included; rounds after them.

    Returns
    -------
    dict of lists
        "labels", "accuracy" in percent, and "classes" found, after each round.
    """
    simulator = ActiveLearningSimulator(
        LogisticRegression(C=10.0, max_iter=1000),
        strategy,
        n_instances=batch,
        n_rounds=rounds,
        initial=first(None, split.X, batch)[0],
        scoring="accuracy",
        random_state=seed,
        verbose=0,
    )
    simulator.fit(split.X, split.y, split.X_test, split.y_test)
    curve, rows = simulator.learning_curve_, simulator.labeled_indices_
    return {
        "labels": curve["labels"].tolist(),
        "accuracy": [100 * score for score in curve["accuracy"]],
        "classes": [len(set(split.y[rows[:n]])) for n in curve["labels"]],
    }
