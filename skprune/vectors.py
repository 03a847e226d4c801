"""Operations on rows of vectors, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp


def dense(rows: Any) -> np.ndarray:
    """Return dense or sparse rows as an ndarray."""
    return rows.toarray() if sp.issparse(rows) else np.asarray(rows)


def at_least_single(rows: Any) -> Any:
    """Return rows as they are, or those in half precision as float32.

    Examples
    --------
    >>> at_least_single(np.ones((1, 2), np.float16)).dtype, at_least_single(np.ones((1, 2))).dtype
    (dtype('float32'), dtype('float64'))
    """
    return rows.astype(np.float32) if rows.dtype == np.float16 else rows


def squared_norms(rows: Any, dtype: Any = np.float64) -> np.ndarray:
    """Return the squared length of each row.

    Parameters
    ----------
    rows : ndarray or csr_array, shape (n, n_features)
        The vectors.
    dtype : dtype, default=float64
        The precision to compute in. It must not be a small integer type, whose squares overflow.

    Returns
    -------
    ndarray of ``dtype``, shape (n,)

    Examples
    --------
    >>> squared_norms(np.array([[3, 4], [0, 100]], dtype=np.uint8))
    array([   25., 10000.])
    """
    if sp.issparse(rows):
        rows = rows.astype(dtype, copy=False)
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows, dtype=dtype)
