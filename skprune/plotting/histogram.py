"""The distribution of a score, with the threshold and what was kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from skprune.plotting.display import STATUS_COLORS, Display
from skprune.plotting.explanations import (
    check_column,
    fitted_filter,
    label_of,
    main_column,
    status_of,
    threshold_of,
    thresholded_column,
)

_HATCHES = {"removed": "////", "kept": "", "labeled": ".."}
_MAX_BINS = 60


class ScoreHistogramDisplay(Display):
    """Histogram of a filter's score: kept, removed and labeled rows, and the threshold.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_rows,)
        Rows whose score is not finite are not drawn; the legend counts them.
    status : ndarray of object, shape (n_rows,)
        ``"kept"``, ``"removed"`` or ``"labeled"``.
    threshold : float or None
        Score of the last row that was kept by this score.
    label : str
        Label of the horizontal axis.

    Attributes
    ----------
    bars_ : dict of BarContainer
        The bars per status, stacked.
    line_ : Line2D or None
        The threshold.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skprune import PerplexityFilter
    >>> from skprune.plotting import ScoreHistogramDisplay
    >>> by_length = lambda texts: [len(t) for t in texts]
    >>> pruner = PerplexityFilter(keep=2, perplexity=by_length).fit(["a", "bb", "ccc", "dddd"])
    >>> display = ScoreHistogramDisplay.from_estimator(pruner)
    >>> display.threshold
    2.0
    """

    def __init__(self, scores: np.ndarray, status: np.ndarray, threshold: float | None, label: str) -> None:
        self.scores = scores
        self.status = status
        self.threshold = threshold
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, column: str | None = None, bins: Any = "auto", ax: Any = None
    ) -> ScoreHistogramDisplay:
        """Draw the scores of a fitted filter.

        Parameters
        ----------
        estimator : filter, or a wrapper, query or simulator with one
        X : container of n_rows rows, default=None
            By default the rows given to ``fit``.
        column : str, default=None
            Column of :meth:`~skprune.BaseFilter.explain`. By default the score with the threshold.
        bins : int, str or sequence, default="auto"
            As in :func:`numpy.histogram_bin_edges`; a rule gives at most 60 bins.
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        ScoreHistogramDisplay

        Raises
        ------
        ValueError
            If the filter has no scores, or ``column`` is not one of them.
        """
        return cls.from_explanation(fitted_filter(estimator).explain(X), column=column).plot(bins=bins, ax=ax)

    @classmethod
    def from_explanation(cls, explained: Any, *, column: str | None = None) -> ScoreHistogramDisplay:
        """Return the display of a frame that ``explain`` returned, without drawing it."""
        chosen = main_column(explained) if column is None else check_column(explained, column, "column")
        if chosen is None:
            raise ValueError("the filter has no score to draw")
        threshold = threshold_of(explained) if chosen == thresholded_column(explained) else None
        scores = explained[chosen].to_numpy(dtype=np.float64)
        return cls(scores, status_of(explained), threshold, label_of(chosen))

    def plot(self, ax: Any = None, *, bins: Any = "auto") -> ScoreHistogramDisplay:
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        bins : int, str or sequence, default="auto"

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        finite = np.isfinite(self.scores)
        edges = np.histogram_bin_edges(self.scores[finite], bins=bins)
        if isinstance(bins, str) and len(edges) > _MAX_BINS + 1:
            edges = np.histogram_bin_edges(self.scores[finite], bins=_MAX_BINS)
        self.bars_ = {}
        bottom = np.zeros(len(edges) - 1)
        for status, color in reversed(STATUS_COLORS.items()):
            rows = self.status == status
            if not rows.any():
                continue
            counts = np.histogram(self.scores[rows & finite], edges)[0]
            n_hidden = int((rows & ~finite).sum())
            label = f"{status} ({rows.sum():,}" + (f", {n_hidden:,} without a score)" if n_hidden else ")")
            self.bars_[status] = axes.bar(
                edges[:-1],
                counts,
                np.diff(edges),
                bottom,
                align="edge",
                color=color,
                hatch=_HATCHES[status],
                edgecolor="white",
                linewidth=0.3,
                label=label,
            )
            bottom += counts
        self.line_ = None
        if self.threshold is not None:
            label = f"threshold {self.threshold:.4g}"
            self.line_ = axes.axvline(self.threshold, color="#D55E00", linestyle="--", label=label)
        axes.set(xlabel=self.label, ylabel="rows")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), borderaxespad=0, ncols=2)
        return self
