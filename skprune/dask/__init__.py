"""Pruning of dask DataFrames on the scheduler or cluster that computes them."""

from skprune._optional import optional_imports

with optional_imports(extra="dask", purpose="skprune.dask"):
    from skprune.dask.pruning import PruneResult, prune

__all__ = ["PruneResult", "prune"]
