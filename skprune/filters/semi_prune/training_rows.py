"""The rows that SemiPrune's estimators are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import get_tags


@dataclass
class TrainingRows:
    """The distinct rows of the pool and the labeled rows from elsewhere, in an order set by content alone.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Class number of each row; −1 for an unlabeled row.
    of_pool : ndarray of int, shape (n_distinct,)
        Position of each distinct row of the pool.
    vectors : ndarray or csr matrix of shape (n, n_features)
        The vector of each row.
    texts : ndarray of str, shape (n,), or None
        The text of each row; None for numeric rows.
    row_shape : tuple of int
        Shape of a row as it was given; several dimensions for an image.
    """

    codes: np.ndarray
    of_pool: np.ndarray
    vectors: Any
    texts: np.ndarray | None
    row_shape: tuple[int, ...]

    def as_input_of(self, estimator: Any) -> Any:
        """Return the rows in the form that the estimator takes: texts, images or vectors."""
        takes = get_tags(estimator).input_tags
        if self.texts is not None and takes.string and not takes.two_d_array:
            return self.texts
        if len(self.row_shape) > 1 and takes.three_d_array:
            return self.vectors.reshape(-1, *self.row_shape)
        return self.vectors

    def hold_out(self, share: float) -> np.ndarray:
        """Return a share of the labeled rows of each class, rounded down: every class keeps a label."""
        labeled = np.flatnonzero(self.codes >= 0)
        by_class = (labeled[self.codes[labeled] == code] for code in set(self.codes))
        return np.sort(np.concatenate([rows[: int(share * len(rows))] for rows in by_class]))
