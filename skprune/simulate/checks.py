"""Checks of what a simulator is given, before anything expensive runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skprune.labels import check_labels
from skprune.simulate.scoring import metric_names
from skprune.simulate.stopping import ValidationPlateau

# The learning curve's own columns, and the rows that each round records. Metrics must not use these names.
CURVE_COLUMNS = {
    "round",
    "labels",
    "pool",
    "subpool",
    "select_seconds",
    "train_seconds",
    "predict_seconds",
    "llm_calls",
    "minority_found",
    "picked",
}


def check_answers(y: Any, n_rows: int, *, are_classes: bool) -> np.ndarray:
    """Return the oracle's answers as an array: one label or target for every row.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    n_rows : int
    are_classes : bool
        Whether ``y`` must hold classes.

    Raises
    ------
    ValueError
        If the length of ``y`` differs from ``n_rows``, a row has no label, or a number is not finite.
    """
    if isinstance(y, (list, tuple)) and y and isinstance(y[0], str):
        y = np.array(y, dtype=object)  # labels may be long texts, which a fixed-width array would pad
    y = column_or_1d(y, warn=True)
    y, known = check_labels(y, n_rows)
    if not known.all() and not set(y.tolist()) <= {-1, 1}:  # these two are classes
        row = int(np.argmin(known))
        raise ValueError(
            f"y[{row}] is {y[row]}, which marks a row without a label; the simulator needs the label of "
            "every row"
        )
    assert_all_finite(y, input_name="y")
    if are_classes:
        check_classification_targets(y)
    return y


def check_validation(X_val: Any, y_val: Any, fraction: float | None) -> bool:
    """Return whether there is validation data: a set of its own, or a fraction of the pool.

    Raises
    ------
    ValueError
        If only one of ``X_val`` and ``y_val`` is given, or both a set and a fraction.
    """
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val must be given together")
    if X_val is not None and fraction is not None:
        raise ValueError("pass either X_val and y_val, or validation_fraction, not both")
    return X_val is not None or fraction is not None


def check_metrics(scoring: Any, criteria: list[Any], *, has_validation: bool) -> None:
    """Refuse metrics named like the curve's own columns, and criteria whose metric is not computed.

    Raises
    ------
    ValueError
    """
    names = metric_names(scoring)
    if taken := CURVE_COLUMNS & set(names):
        raise ValueError(
            f"scoring must not use the names of the learning curve's own columns: {sorted(taken)}"
        )
    if has_validation and callable(scoring):
        return  # only the first round shows the names of the metrics that a function returns
    for criterion in criteria:
        if isinstance(criterion, ValidationPlateau):
            criterion.check(names if has_validation else ())


def check_resumable(strategy: Any) -> None:
    """Refuse a strategy whose random numbers a resumed run could not repeat.

    Raises
    ------
    ValueError
    """
    if isinstance(getattr(strategy, "random_state", None), np.random.RandomState):
        raise ValueError(
            "random_state of the strategy is a RandomState, whose position a resumed run cannot restore; "
            "use an int instead"
        )


def check_initial_labels(labels: np.ndarray, *, are_classes: bool, label_budget: int | None) -> None:
    """Refuse initial labels that exceed the budget, or that no classifier can be trained on.

    Raises
    ------
    ValueError
    """
    if label_budget is not None and len(labels) > label_budget:
        raise ValueError(f"label_budget={label_budget} is less than the {len(labels)} initial labels")
    if are_classes and len(np.unique(labels)) < 2:
        raise ValueError(
            f"the {len(labels)} initial labels hold only one class ({labels[0]}); "
            "use initial='per_class' or a larger n_initial"
        )
