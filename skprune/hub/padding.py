"""Token ids of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pad_right(token_ids: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows as one array, padded on the right, and the mask of the tokens that are not padding.

    Returns
    -------
    ids : ndarray of int64, shape (n_rows, length of the longest row)
    mask : ndarray of bool, same shape

    Examples
    --------
    >>> ids, mask = pad_right([[5, 6, 7], [8]])
    >>> ids
    array([[5, 6, 7],
           [8, 0, 0]])
    >>> mask[1]
    array([ True, False, False])
    """
    lengths = np.array([len(row) for row in token_ids])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in token_ids])
    return ids, mask
