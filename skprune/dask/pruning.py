"""Prune a dask DataFrame: score its partitions where they are, decide on the client, and mask them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from sklearn.base import clone

from skprune.base import BaseFilter
from skprune.decisions import Decisions, KnownLabels, by_part, check_filter, check_options, names_added
from skprune.streaming.dask_pool import DaskPool
from skprune.streaming.partitions import explained, kept_of, removed_of
from skprune.streaming.pool import N_TRAIN


@dataclass(frozen=True)
class PruneResult:
    """What :func:`prune` decided.

    Attributes
    ----------
    kept : dask.dataframe.DataFrame
        The rows that survive, with the columns, partitions, divisions and index of the frame given.
    removed : dask.dataframe.DataFrame
        The other rows, with more columns: ``rank`` (−1), the scores of the method, ``threshold`` and
        ``reason``. A name that the frame has already gets the prefix ``prune_``.
    n_rows, n_kept, n_removed : int
        Numbers of rows.
    reasons : dict of str to int
        Number of rows, kept ones too, by the reason of the decision.
    seconds : float
        Wall time of the call.
    """

    kept: dd.DataFrame
    removed: dd.DataFrame
    n_rows: int
    n_kept: int
    n_removed: int
    reasons: dict[str, int]
    seconds: float


def prune(
    ddf: dd.DataFrame,
    filter: BaseFilter,
    *,
    text: Any = None,
    label: Any = None,
    labeled: Any = None,
    on_missing: str = "error",
    n_train: int = N_TRAIN,
) -> PruneResult:
    """Prune a dask DataFrame, which need not fit into memory.

    The texts are scored by the workers of the current ``distributed.Client``, or by the scheduler that dask
    would use without one. Hashes and scores come to this process, where the filter decides about the whole
    pool: a threshold is that of all partitions together.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        Its column of texts is computed once per pass: to hash the texts, to train a model if there is one,
        and per scorer. Persist it if that is expensive.
    filter : BaseFilter
        Cloned, never changed. It must decide by scores of single rows, or by their distance to a few rows;
        see Notes.
    text : column name, default=None
        The column of texts. None: the parameter ``text`` of the filter, else the only column of texts.
    label : column name, default=None
        The column of labels known already, of ``labeled`` if that is given, else of ``ddf``. −1, NaN or null
        means that a row of ``ddf`` has none. Labeled rows are not kept, unless every row has a label: then
        the labeled set itself is pruned. The labels come to this process.
    labeled : frame, default=None
        Labeled rows in memory, as a frame of pandas, polars or pyarrow with the columns ``text`` and
        ``label``. They need not be rows of ``ddf``.
    on_missing : {"error", "drop", "keep"}, default="error"
        What happens to a row whose text is null. Such rows are never scored, and do not count in a size that
        is a share.
    n_train : int, default=100_000
        Maximum number of distinct texts that come to this process for a component that learns from the pool,
        such as the n-gram model of ``PerplexityFilter``: those with the lowest content hashes.

    Returns
    -------
    PruneResult
        With two lazy frames. Computing one of them scores nothing again.

    Raises
    ------
    TypeError
        If ``ddf`` is not a dask DataFrame, the filter needs the pool in memory, or a row is not text.
    EmptyPoolError
        If no row has a text.
    ValueError
        If there is no column ``text``, a row has no text, or a partition is not the same when it is computed
        again. The message names partition and row. Nothing is scored before all rows are checked.

    See Also
    --------
    skprune.files.prune : The same for files, without dask.
    skprune.BaseFilter.transform : The same for a pool in memory.

    Notes
    -----
    *The same rows as in memory* survive: those that ``filter.fit(frame, frame[label]).select(frame)`` gives
    for ``frame = ddf.compute()``, however it is partitioned; with ``labeled``, those after
    ``partial_fit(labeled[text], labeled[label])``. This holds for ``RandomFilter``, ``PerplexityFilter``,
    ``AskLLMFilter``, ``ActivePruneFilter``, ``EntropyIntervalFilter``, ``AnchorFilter``, ``SEALSFilter`` and
    ``ProxyFilter``. A component that is trained on the pool sees ``n_train`` texts; an
    :class:`~skprune.NGramScorer` takes the same sample in memory if its ``max_train_texts`` is not larger. A
    :class:`~skprune.QuotaFilter` around one of them takes its ``groups`` from a column, which comes to this
    process. Other filters need all vectors at once, or a learner, and are refused.

    *Vectors* stay with the workers that encode them, and each part is searched where it is. A search in
    memory is approximate from four million rows on, unless ``index="exact"``; here it is always exact.
    Products in single precision depend on how many rows they have at a time, so that a predicted margin of
    ``ProxyFilter`` may differ in its last digits.

    *Scorers* travel to the workers as one pickle. A worker scores one partition at a time, and ``n_jobs`` has
    no effect there. A model that learns from the pool is trained in this process. A scorer that asks a server
    (``base_url``) runs in this process too, because its key and its limits belong to one process.

    *A worker that dies* changes nothing: dask computes its partitions again. If the filter has a folder as
    ``memory``, this process keeps the scores there: on a Client as the partitions are done, otherwise after
    each scorer. A call that was interrupted finds them when it is repeated.

    Examples
    --------
    >>> import pandas as pd
    >>> import dask.dataframe as dd
    >>> from skprune import PerplexityFilter
    >>> from skprune.dask import prune
    >>> def length(texts):
    ...     return [len(text) for text in texts]
    >>> frame = pd.DataFrame({"body": ["ccc", "a", "bb", "dddd"], "stars": [1, 2, 3, 4]})
    >>> ddf = dd.from_pandas(frame, npartitions=2)
    >>> result = prune(ddf, PerplexityFilter(keep=2, perplexity=length), text="body")
    >>> result.kept.compute()
      body  stars
    1    a      2
    2   bb      3
    >>> result.removed.compute()[["body", "log10_perplexity", "threshold"]]
       body  log10_perplexity  threshold
    0   ccc               3.0        2.0
    3  dddd               4.0        2.0
    """
    start = time.perf_counter()
    if not isinstance(ddf, dd.DataFrame):
        raise TypeError(f"ddf must be a dask DataFrame, got {type(ddf).__name__}")
    check_options(on_missing, n_train)
    check_filter(filter, "the dask DataFrame")
    given = filter.text if text is None else text
    known = KnownLabels(label, labeled, given)
    for option, column in (("label", known.column), ("groups", getattr(filter, "groups", None))):
        if column is not None and column not in ddf.columns:
            names = ", ".join(map(repr, ddf.columns))
            raise ValueError(f"ddf has no column {column!r}, which {option}= names; its columns are {names}")
    y = None if known.column is None else np.asarray(ddf[label].compute())
    pool = DaskPool(ddf, name="ddf", text=given, on_missing=on_missing, n_train=n_train)
    fitted = known.fit(clone(filter), pool, y, pool.sizes, pool.missing)
    table = fitted._explained(pool, min_rows=0)
    return _result(pool, list(by_part(table, pool.sizes, pool.missing, on_missing == "keep")), start)


def _result(pool: DaskPool, decided: list[Decisions], start: float) -> PruneResult:
    """Return lazy frames of the rows on either side of the decision, and their numbers."""
    reasons: Counter[str] = Counter()
    masks, explanations = [], []
    n_rows = n_kept = 0
    for part in decided:
        kept, table = part.of(0, part.n_rows)
        reasons.update(table["reason"].value_counts().to_dict())
        n_rows += part.n_rows
        n_kept += int(kept.sum())
        masks.append(np.packbits(kept))
        explanations.append(table[~kept])
    words = pd.CategoricalDtype(sorted(map(str, reasons)))
    names = names_added(list(explanations[0].columns), pool.data.columns)
    explanations = [table.astype({"reason": words}).set_axis(names, axis=1) for table in explanations]
    meta = pool.data._meta
    return PruneResult(
        kept=pool.derived(kept_of, meta, masks),
        removed=pool.derived(removed_of, explained(meta, explanations[0][:0]), masks, explanations),
        n_rows=n_rows,
        n_kept=n_kept,
        n_removed=n_rows - n_kept,
        reasons=dict(reasons.most_common()),
        seconds=time.perf_counter() - start,
    )
