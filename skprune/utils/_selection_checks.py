"""Checks of what a filter selects: sizes, labels, rows identified by content, and explanations."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.containers import take_rows
from skprune.exceptions import PoolExhaustedError
from skprune.pools import Pool
from skprune.selections import size_of
from skprune.utils._samples import Sample, raises, sorted_keys


def check_transform_and_get_support_match_select(filter: Any, sample: Sample) -> None:
    """``transform``, ``fit_transform`` and ``get_support`` give the same rows as ``select``."""
    kept = filter.fit(sample.X, sample.y).select(sample.X)
    assert kept.dtype.kind == "i", f"select must return integers, got {kept.dtype}"
    assert len(kept) > 0, "select returned no rows"
    assert len(set(kept)) == len(kept), "select returned a row twice"
    assert 0 <= kept.min() <= kept.max() < len(sample.X), "select returned an index outside the pool"
    expected = sample.rows(np.sort(kept))
    assert np.array_equal(filter.transform(sample.X), expected), (
        "transform must return the rows of select, in the order of X"
    )
    assert filter.get_support(indices=True).tolist() == sorted(kept), (
        "get_support(indices=True) must return the indices of select, sorted"
    )
    assert np.flatnonzero(filter.get_support()).tolist() == sorted(kept), (
        "get_support() must be True for the rows of select only"
    )
    again = clone(filter).fit_transform(sample.X, sample.y)
    assert np.array_equal(again, expected), "fit_transform(X, y) must equal fit(X, y).transform(X)"


def check_keep_is_exact(filter: Any, sample: Sample) -> None:
    """``keep``, if the filter has it, is an exact share or count of the different eligible rows."""
    if "keep" not in filter.get_params():
        return
    n_eligible = sample.n_eligible
    for keep in (1, 17, n_eligible, 0.01, 0.25, 0.5, 1.0):
        kept = clone(filter).set_params(keep=keep).fit(sample.X, sample.y).select(sample.X)
        expected = size_of(keep, n_eligible)
        n_kept = sample.n_different(kept)
        assert n_kept == expected, (
            f"keep={keep} must select {expected} of {n_eligible} different eligible rows, got {n_kept}"
        )
    invalid_sizes = [141, 0, -1, 1.5, 0.0, "half"]
    if signature(type(filter)).parameters["keep"].default is not None:
        invalid_sizes.append(None)
    for invalid in invalid_sizes:
        with raises(ValueError, "keep"):
            clone(filter).set_params(keep=invalid).fit(sample.X)


def check_min_rows_is_respected(filter: Any, sample: Sample) -> None:
    """``select(X, min_rows=n)`` returns at least n different rows, or all eligible ones."""
    filter.fit(sample.X, sample.y)
    for n in (1, 60, sample.n_eligible, 10_000):
        kept = filter.select(sample.X, min_rows=n)
        expected = min(n, sample.n_eligible)
        n_kept = sample.n_different(kept)
        assert n_kept >= expected, f"min_rows={n} must select at least {expected} rows, got {n_kept}"
        assert len(set(kept)) == len(kept), f"select with min_rows={n} returned a row twice"


def check_labeled_rows_are_never_selected(filter: Any, sample: Sample) -> None:
    """Labeled rows and their copies are not selected, in any round."""
    filter.fit(sample.X, sample.y)
    labeled = sample.labeled_keys
    for round_ in range(4):
        kept = filter.select(sample.X)
        selected = set(Pool(sample.rows(kept)).keys)
        assert not labeled & selected, f"select returned a labeled row in round {round_}"
        n_labeled = sum(key in labeled for key in Pool(sample.X).keys)
        n_explained = (filter.explain()["reason"] == "already labeled").sum()
        assert n_explained == n_labeled, (
            f"explain must give {n_labeled} rows the reason 'already labeled', got {n_explained}"
        )
        new = sample.rows(kept[:3])
        filter.partial_fit(new, np.arange(len(new)) % 2)
        labeled |= set(Pool(new).keys)


def check_fully_labeled_set_is_pruned(filter: Any, sample: Sample) -> None:
    """If ``fit`` gets a label for every row, all rows are eligible."""
    kept = filter.fit(sample.X, np.arange(140) % 2).select(sample.X)
    assert 0 < len(kept) <= 140, f"select returned {len(kept)} of 140 labeled rows"
    _check_keep(filter, sample.n_different(kept), 120)


def check_exhausted_pool_raises(filter: Any, sample: Sample) -> None:
    """``select`` raises PoolExhaustedError once all rows were labeled after ``fit``."""
    filter.fit(sample.X).partial_fit(sample.X, np.arange(140) % 2)
    with raises(PoolExhaustedError, "140 rows"):
        filter.select(sample.X)
    kept = filter.select(sample.joined(sample.unseen[:1], sample.X))
    assert kept.tolist() == [0], "select must return the only row without a label"


def check_rows_are_identified_by_content(filter: Any, sample: Sample) -> None:
    """Reordering the pool, or removing its labeled rows, does not change which rows are selected."""
    filter.fit(sample.X, sample.y)
    expected = sorted_keys(sample.rows(filter.select(sample.X)))
    labeled = sample.labeled_keys
    order = np.random.default_rng(1).permutation(140)
    unlabeled = np.array([i for i in order if Pool(sample.X).keys[i] not in labeled])
    for rows, change in ((order, "reordering the pool"), (unlabeled, "removing the labeled rows")):
        X = sample.rows(rows)
        selected = sorted_keys(take_rows(X, filter.select(X)))
        assert selected == expected, f"{change} changed which rows are selected"
    half = sample.rows(order[:70])
    kept = filter.select(half)
    assert len(set(kept)) == len(kept), "select returned a row twice for half of the pool"
    assert kept.max() < 70, "select returned an index outside the half of the pool it was given"


def check_duplicate_rows(filter: Any, sample: Sample) -> None:
    """Copies survive with their first row, do not count, and are left out with ``copies=False``."""
    pool = sample.rows(np.repeat(np.arange(3), 20))
    kept = filter.fit(pool).select(pool)
    n_kept = len({row // 20 for row in kept})
    assert len(set(kept)) == len(kept), "select returned a row twice in a pool of duplicates"
    assert len(kept) == 20 * n_kept, (
        f"select must return all 20 copies of {n_kept} rows, got {len(kept)} rows"
    )
    _check_keep(filter, n_kept, 3)
    first = filter.select(pool, copies=False)
    assert len({row // 20 for row in first}) == len(first) == n_kept, (
        "select with copies=False must return one row per content"
    )
    n_kept = len(filter.select(pool, min_rows=3, copies=False))
    assert n_kept == 3, f"min_rows=3 in a pool of 3 different rows must select all of them, got {n_kept}"
    filter.partial_fit(sample.rows([0]), [1])
    assert not set(filter.select(pool)) & set(range(20)), "select returned a copy of a labeled row"


def check_unseen_rows_are_scored(filter: Any, sample: Sample) -> None:
    """``select`` and ``explain`` accept rows that were not in the pool given to ``fit``."""
    filter.fit(sample.rows(np.arange(60)), sample.y[:60])
    kept = filter.select(sample.X)
    assert len(set(kept)) == len(kept), "select returned a row twice"
    assert filter.select(sample.unseen[:1]).tolist() == [0], "select must return a single unseen row"
    n_explained = len(filter.explain(sample.X))
    assert n_explained == 140, f"explain must return one line per row, got {n_explained} for 140 rows"


def check_few_labels(filter: Any, sample: Sample) -> None:
    """Labels of a single class, and a class with a single label, are accepted."""
    y = np.full(140, -1)
    y[[0, 30]] = 0  # not 1: a y of 1 and -1 looks like two classes, of which a filter may warn
    assert len(filter.fit(sample.X, y).select(sample.X)), "select returned no rows for labels of one class"
    y[40] = 1
    assert len(filter.fit(sample.X, y).select(sample.X)), "select returned no rows for a class with one label"


def check_explain_matches_select(filter: Any, sample: Sample) -> None:
    """``explain`` returns one line per row, with a reason, and a rank if ``select`` returns the row."""
    import pandas as pd

    index = [f"row{i}" for i in range(140)]
    frame = pd.DataFrame({"text": sample.X} if isinstance(sample.X, list) else sample.X, index=index)
    why = filter.fit(frame, sample.y).explain()
    assert list(why.index) == index, "explain must have the index of X"
    missing = {"kept", "rank", "stage", "threshold", "reason"} - set(why)
    assert not missing, f"explain lacks the columns {sorted(missing)}"
    kept = filter.select(frame)
    assert np.flatnonzero(why["kept"]).tolist() == sorted(kept), (
        "the column 'kept' of explain must be True for the rows of select only"
    )
    assert why["rank"].to_numpy()[kept].tolist() == list(range(len(kept))), (
        "the column 'rank' of explain must be the position in the result of select"
    )
    assert (why["rank"][~why["kept"]] == -1).all(), "the column 'rank' must be -1 for rows that are not kept"
    assert (why["reason"].str.len() > 0).all(), "explain gives no reason for some rows"
    says_kept = why["reason"].str.startswith("kept")
    assert (says_kept == why["kept"]).all(), "the reason must start with 'kept' for the kept rows only"


def _check_keep(filter: Any, n_kept: int, n_eligible: int) -> None:
    """Assert that ``keep`` is exact, if the filter has it and it is not None."""
    keep = getattr(filter, "keep", None)
    if keep is not None:
        expected = size_of(keep, n_eligible)
        assert n_kept == expected, f"keep={keep} must select {expected} of {n_eligible} rows, got {n_kept}"
