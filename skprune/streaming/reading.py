"""Reads whatever a filter is given as a pool: containers in memory, and dask frames where they are.

Only filters read dask frames; query strategies and estimators need rows. This is why the methods of
:class:`~skprune.BaseFilter` call these functions, and all other callers those of :mod:`skprune.pools`.
"""

from __future__ import annotations

from typing import Any

from skprune import pools
from skprune.containers import is_dask
from skprune.pools import Pool


def check_pool(X: Any, text: Any = None) -> Pool:
    """Return ``X`` as a checked pool; see :func:`skprune.pools.check_pool`."""
    return _dask_pool(X, text) if is_dask(X) else pools.check_pool(X, text=text)


def read_pool(X: Any, text: Any = None) -> Pool:
    """Return ``X`` as a pool that need not be checked yet; see :func:`skprune.pools.read_pool`."""
    return _dask_pool(X, text) if is_dask(X) else pools.read_pool(X, text=text)


def _dask_pool(X: Any, text: Any) -> Pool:
    from skprune.streaming.dask_pool import DaskPool

    return DaskPool(X, text=text)
