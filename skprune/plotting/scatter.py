"""Two scores of a filter against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from skprune.plotting.display import Display, scatter_by_status
from skprune.plotting.explanations import check_column, fitted_filter, label_of, score_columns, status_of


class ScoreScatterDisplay(Display):
    """Scatter plot of two scores of a filter; color and marker say what happened to each row.

    Make it with :meth:`from_estimator`. For :class:`~skprune.ActivePruneFilter` it shows perplexity and the
    quality that the LLM gave: rows that the LLM was not asked about lie on a line at the bottom.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n_rows,)
        A row without a finite ``x`` is not drawn.
    status : ndarray of object, shape (n_rows,)
        ``"kept"``, ``"removed"`` or ``"labeled"``.
    x_label, y_label : str
        Labels of the axes.

    Attributes
    ----------
    points_ : dict of PathCollection
        The points per status.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skprune import ActivePruneFilter
    >>> from skprune.plotting import ScoreScatterDisplay
    >>> pool = [f"the {c} cat sat on the mat" for c in "abcdefgh"] + ["zq xv", "!!", "kk jj", "w w w w"]
    >>> by_length = lambda texts: [len(t) for t in texts]
    >>> pruner = ActivePruneFilter(keep=4, quality=by_length, n_candidates=5, random_state=0).fit(pool)
    >>> ScoreScatterDisplay.from_estimator(pruner).y_label
    'LLM quality score'
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, status: np.ndarray, x_label: str, y_label: str) -> None:
        self.x = x
        self.y = y
        self.status = status
        self.x_label = x_label
        self.y_label = y_label

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, x: str | None = None, y: str | None = None, ax: Any = None
    ) -> ScoreScatterDisplay:
        """Draw two scores of a fitted filter.

        Parameters
        ----------
        estimator : filter, or a wrapper, query or simulator with one
        X : container of n_rows rows, default=None
            By default the rows given to ``fit``.
        x, y : str, default=None
            Columns of :meth:`~skprune.BaseFilter.explain`. By default the first and the last of its scores.
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        ScoreScatterDisplay

        Raises
        ------
        ValueError
            If the filter has only one score, or a column is not one of its scores.
        """
        return cls.from_explanation(fitted_filter(estimator).explain(X), x=x, y=y).plot(ax)

    @classmethod
    def from_explanation(
        cls, explained: Any, *, x: str | None = None, y: str | None = None
    ) -> ScoreScatterDisplay:
        """Return the display of a frame that ``explain`` returned, without drawing it."""
        scores = score_columns(explained)
        if (x is None or y is None) and len(scores) < 2:
            raise ValueError(f"the filter has {len(scores)} score(s), and a scatter plot needs two")
        x = scores[0] if x is None else check_column(explained, x, "x")
        y = scores[-1] if y is None else check_column(explained, y, "y")
        values = explained[[x, y]].to_numpy(dtype=np.float64)
        return cls(values[:, 0], values[:, 1], status_of(explained), label_of(x), label_of(y))

    def plot(self, ax: Any = None) -> ScoreScatterDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        known = np.isfinite(self.y)
        low, high = self.y[known].min(), self.y[known].max()
        unknown = low - 0.12 * ((high - low) or 1.0)  # where rows without a y are drawn
        y = np.where(known, self.y, unknown)
        drawn = np.isfinite(self.x)
        positions = np.column_stack([self.x, y])
        many = len(drawn) > 5_000
        self.points_ = scatter_by_status(axes, positions, self.status, drawn, s=18, rasterized=many)
        axes.set(xlabel=self.x_label, ylabel=self.y_label)
        if not known.all():
            axes.axhline((low + unknown) / 2, color="#7F7F7F", linewidth=0.6, linestyle=":")
            axes.annotate(
                "not asked",
                (1, unknown),
                (-2, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize="small",
            )
        axes.legend()
        return self
