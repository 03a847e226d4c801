"""A map of the pool in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import check_random_state

from skprune.filters.vector_filter import VectorFilter
from skprune.plotting.display import Display, scatter_by_status
from skprune.plotting.explanations import fitted_filter, status_of
from skprune.pools import Pool, check_pool


class VectorMapDisplay(Display):
    """A two-dimensional map of the pool's vectors: kept, removed and labeled rows.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    positions : ndarray of float64, shape (n_rows, 2)
    status : ndarray of object, shape (n_rows,)
        ``"kept"``, ``"removed"`` or ``"labeled"``.
    axis_labels : tuple of str
        Labels of both axes.
    n_total : int
        Number of rows of which these are a sample.

    Attributes
    ----------
    points_ : dict of PathCollection
        The points per status.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Notes
    -----
    Dense vectors are projected by PCA, sparse ones by a truncated SVD, which does not center them. Two axes
    show a part of the variance only, which the labels state: rows that are near each other on the map may be
    far apart.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import KMeansFilter
    >>> from skprune.plotting import VectorMapDisplay
    >>> pool = np.random.default_rng(0).normal(size=(50, 5))
    >>> display = VectorMapDisplay.from_estimator(KMeansFilter(keep=5, random_state=0).fit(pool))
    >>> display.positions.shape
    (50, 2)
    """

    def __init__(
        self, positions: np.ndarray, status: np.ndarray, axis_labels: tuple[str, str], n_total: int
    ) -> None:
        self.positions = positions
        self.status = status
        self.axis_labels = axis_labels
        self.n_total = n_total

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        vectors: Any = None,
        max_rows: int = 2_000,
        random_state: Any = 0,
        ax: Any = None,
    ) -> VectorMapDisplay:
        """Draw the map of a fitted filter.

        Parameters
        ----------
        estimator : filter, or a wrapper, query or simulator with one
        X : container of n_rows rows, default=None
            By default the rows given to ``fit``.
        vectors : array or csr of shape (n_rows, n_features), default=None
            Vectors of the rows. By default those of the filter, the numeric rows themselves, or TF-IDF.
        max_rows : int, default=2000
            Maximum number of rows to draw. More are sampled at random.
        random_state : int, RandomState or None, default=0
            Seed of the sample.
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        VectorMapDisplay
        """
        filter = fitted_filter(estimator)
        pool = filter.pool_ if X is None else check_pool(X)
        status = status_of(filter.explain(None if X is None else pool.data))
        rows = np.arange(len(pool))
        if len(rows) > max_rows:
            rows = np.sort(check_random_state(random_state).choice(rows, max_rows, replace=False))
        if vectors is not None and vectors.shape[0] != len(pool):
            raise ValueError(
                f"vectors must have one row for each of the {len(pool)} rows of X, got {vectors.shape[0]}"
            )
        found = _vectors(filter, pool, rows) if vectors is None else vectors[rows]
        positions, axis_labels = _projected(found)
        return cls(positions, status[rows], axis_labels, len(pool)).plot(ax)

    def plot(self, ax: Any = None) -> VectorMapDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        all_rows = np.ones(len(self.status), dtype=bool)
        self.points_ = scatter_by_status(axes, self.positions, self.status, all_rows, s=14)
        axes.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        sampled = len(self.positions) < self.n_total
        axes.legend(title=f"{len(self.positions):,} of {self.n_total:,} rows" if sampled else None)
        return self


def _vectors(filter: Any, pool: Pool, rows: np.ndarray) -> Any:
    """Return the vectors of some rows: the filter's own, the numeric rows, or TF-IDF."""
    if isinstance(filter, VectorFilter):
        return filter._vectors_at(pool, rows)
    if not pool.holds_texts:
        return pool.vectors[rows]
    return TfidfVectorizer(token_pattern=r"(?u)\S+", sublinear_tf=True).fit_transform(pool.texts[rows])


def _projected(vectors: Any) -> tuple[np.ndarray, tuple[str, str]]:
    """Return the positions on the map, and labels that state the share of the variance shown."""
    sparse = sp.issparse(vectors)
    if sparse and vectors.shape[1] <= 2:  # a truncated SVD needs more
        vectors, sparse = vectors.toarray(), False
    n_axes = min(2, *vectors.shape)
    method = TruncatedSVD(n_axes, random_state=0) if sparse else PCA(n_axes, random_state=0)
    positions = np.zeros((vectors.shape[0], 2))
    with np.errstate(invalid="ignore"):  # rows that are all alike have no variance
        positions[:, :n_axes] = method.fit_transform(vectors)
    name = "SVD" if sparse else "PCA"
    first, second = np.nan_to_num([*method.explained_variance_ratio_, 0.0])[:2]
    return positions, (f"{name} axis 1 ({first:.0%} of the variance)", f"{name} axis 2 ({second:.0%})")
