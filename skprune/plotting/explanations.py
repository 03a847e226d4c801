"""What an explanation of a filter contains: its scores, and the threshold of one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skprune.base import BaseFilter

# Columns of `explain` with other content than a score, and the pick of a query.
_NOT_SCORES = {"kept", "rank", "stage", "threshold", "reason", "picked", "pick", "strategy_score"}

_LABELS = {
    "log10_perplexity": "log10 perplexity per token",
    "reweighted": "reweighted log10 perplexity per token",
    "quality": "LLM quality score",
    "similarity": "cosine similarity",
    "draw": "random draw in [0, 1)",
    "uncertainty": "uncertainty of the learner",
    "keep_probability": "probability of being kept",
    "distance": "distance to the center",
    "confidence": "confidence of the pseudo-label",
}


def fitted_filter(estimator: Any) -> BaseFilter:
    """Return the fitted filter of an estimator: itself, or the one of a wrapper, a query or a simulator.

    Raises
    ------
    TypeError
        If it has none.
    NotFittedError
        If it is not fitted.
    """
    check_is_fitted(estimator)
    if isinstance(estimator, BaseFilter):  # some contain another filter
        return estimator
    query = getattr(estimator, "query_", estimator)
    found = getattr(query, "filter_", query)
    if not isinstance(found, BaseFilter):
        raise TypeError(f"estimator must be a filter or contain one, got {type(estimator).__name__}")
    return found


def score_columns(explained: Any) -> list[str]:
    """Return the columns of an explanation that hold scores: numbers, some of them known.

    Examples
    --------
    >>> from skprune import PerplexityFilter
    >>> lengths = PerplexityFilter(keep=1, perplexity=lambda texts: [len(t) for t in texts])
    >>> score_columns(lengths.fit(["aa", "b", "ccc"]).explain())
    ['log10_perplexity']
    """
    numeric = explained.select_dtypes("number").columns
    # In a filter made of others, the name of a filter stands in front: few__draw.
    scores = [name for name in numeric if name.rpartition("__")[2] not in _NOT_SCORES]
    return [name for name in scores if np.isfinite(explained[name]).any()]


def thresholded_column(explained: Any) -> str | None:
    """Return the score that the column ``threshold`` belongs to; None if it belongs to none.

    A threshold is the score of the last row that was kept by it, so it is among the scores of the kept rows.
    """
    columns = score_columns(explained)
    kept = explained["kept"].to_numpy()
    thresholds = explained["threshold"].to_numpy(dtype=float)[kept] if "threshold" in explained else []
    thresholds = np.unique(np.asarray(thresholds)[np.isfinite(thresholds)])
    if not len(thresholds):
        return None
    return next((c for c in columns if np.isin(thresholds, explained[c].to_numpy()[kept]).all()), None)


def threshold_of(explained: Any) -> float | None:
    """Return the threshold of the explanation if it is the same for all rows."""
    if "threshold" not in explained:
        return None
    thresholds = np.unique(explained["threshold"].dropna())
    return float(thresholds[0]) if len(thresholds) == 1 and np.isfinite(thresholds[0]) else None


def main_column(explained: Any) -> str | None:
    """Return the score to show if only one is shown: the one with the threshold, else the first."""
    columns = score_columns(explained)
    return thresholded_column(explained) or (columns[0] if columns else None)


def check_column(explained: Any, column: str, name: str) -> str:
    """Return ``column`` if it is a score of the explanation."""
    if column not in score_columns(explained):
        raise ValueError(
            f"{name}={column!r} is not a score of this filter; its scores are "
            f"{', '.join(score_columns(explained)) or 'none'}"
        )
    return column


def status_of(explained: Any) -> np.ndarray:
    """Return "kept", "removed" or "labeled" per row, object of shape (n_rows,)."""
    status = np.where(explained["kept"], "kept", "removed").astype(object)
    status[np.asarray(explained["reason"] == "already labeled")] = "labeled"
    return status


def label_of(column: str) -> str:
    """Return the label of an axis for a score, with its unit if it has one.

    Examples
    --------
    >>> label_of("log10_perplexity"), label_of("mean_p"), label_of("few__draw")
    ('log10 perplexity per token', 'mean p', 'few: random draw in [0, 1)')
    """
    filter, _, score = column.rpartition("__")
    label = _LABELS.get(score, score.replace("_", " "))
    return f"{filter.replace('__', ': ')}: {label}" if filter else label
