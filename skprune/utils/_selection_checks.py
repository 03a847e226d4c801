"""What survives, of whichever pool: sizes, labels, rows known by content, and the reasons given."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.base import size_of
from skprune.containers import take_rows
from skprune.exceptions import PoolExhaustedError
from skprune.pools import Pool
from skprune.utils._samples import Sample, content_of, refused


def check_select_and_its_companions_agree(filter: Any, sample: Sample) -> None:
    """``select``, ``transform``, ``get_support`` and ``fit_transform`` say the same."""
    kept = filter.fit(sample.X, sample.y).select(sample.X)
    assert kept.dtype.kind == "i", f"select must return integers, got {kept.dtype}"
    assert len(kept) > 0, "select returned no row"
    assert len(set(kept)) == len(kept), "select returned a row twice"
    assert 0 <= kept.min() <= kept.max() < len(sample.X), "select returned an index outside the pool"
    expected = sample.rows(np.sort(kept))
    assert np.array_equal(filter.transform(sample.X), expected), (
        "transform must give select's rows, in X's order"
    )
    assert filter.get_support(indices=True).tolist() == sorted(kept), "get_support(indices=True) disagrees"
    assert np.flatnonzero(filter.get_support()).tolist() == sorted(kept), "get_support disagrees"
    again = clone(filter).fit_transform(sample.X, sample.y)
    assert np.array_equal(again, expected), "fit_transform(X, y) must be fit(X, y).transform(X)"


def check_keep_is_hit_exactly(filter: Any, sample: Sample) -> None:
    """``keep``, where a filter has it, is a share or a count of the eligible rows."""
    if "keep" not in filter.get_params():
        return
    n_free = sample.n_free
    for keep in (1, 17, n_free, 0.01, 0.25, 0.5, 1.0):
        kept = clone(filter).set_params(keep=keep).fit(sample.X, sample.y).select(sample.X)
        wanted = size_of(keep, n_free)
        assert len(kept) == wanted, f"keep={keep} of {n_free} rows is {wanted}, got {len(kept)}"
    for wrong in (141, 0, -1, 1.5, 0.0, "half", None):
        with refused(ValueError, "keep"):
            clone(filter).set_params(keep=wrong).fit(sample.X)


def check_a_query_never_gets_too_few(filter: Any, sample: Sample) -> None:
    """``min_rows`` is honoured as far as there are rows."""
    filter.fit(sample.X, sample.y)
    for n in (1, 60, sample.n_free, 10_000):
        kept = filter.select(sample.X, min_rows=n)
        assert len(kept) >= min(n, sample.n_free), f"min_rows={n}, got {len(kept)}"
        assert len(set(kept)) == len(kept), f"min_rows={n}: a row came twice"


def check_labeled_rows_are_passed_over(filter: Any, sample: Sample) -> None:
    """A row with a known label is not selected again, round after round, nor are its copies."""
    filter.fit(sample.X, sample.y)
    known = set(Pool(sample.rows(np.flatnonzero(sample.y != -1))).keys)
    for round_ in range(4):
        kept = filter.select(sample.X)
        got = set(Pool(sample.rows(kept)).keys)
        assert not known & got, f"round {round_}: a labeled row was selected"
        reasons = filter.explain()["reason"]
        n_labeled = sum(key in known for key in Pool(sample.X).keys)
        assert (reasons == "already labeled").sum() == n_labeled, "explain must say 'already labeled'"
        fresh = sample.rows(kept[:3])
        filter.partial_fit(fresh, np.arange(len(fresh)) % 2)
        known |= set(Pool(fresh).keys)


def check_a_set_with_every_label_is_pruned_itself(filter: Any, sample: Sample) -> None:
    """With a label for every row given to ``fit``, all rows are eligible."""
    kept = filter.fit(sample.X, np.arange(140) % 2).select(sample.X)
    assert 0 < len(kept) <= 140, "no row survived"
    if "keep" in filter.get_params():
        assert len(kept) == size_of(filter.keep, 140), "keep must be hit exactly"


def check_when_all_is_labeled_the_pool_is_exhausted(filter: Any, sample: Sample) -> None:
    """Rows that were all labeled since ``fit`` raise PoolExhaustedError."""
    filter.fit(sample.X).partial_fit(sample.X, np.arange(140) % 2)
    with refused(PoolExhaustedError, "140 rows"):
        filter.select(sample.X)
    kept = filter.select(sample.joined(sample.strangers[:1], sample.X))
    assert kept.tolist() == [0], "the only row without a label must survive"


def check_a_reordered_or_shrunken_pool_is_recognized(filter: Any, sample: Sample) -> None:
    """Rows are known by content: another order, or a pool without the labeled rows, changes nothing."""
    filter.fit(sample.X, sample.y)
    kept = content_of(sample.rows(filter.select(sample.X)))
    labeled = set(Pool(sample.rows(np.flatnonzero(sample.y != -1))).keys)
    order = np.random.default_rng(1).permutation(140)
    rest = np.array([i for i in order if Pool(sample.X).keys[i] not in labeled])
    for rows, what in ((order, "reordered"), (rest, "shrunken")):
        X = sample.rows(rows)
        got = content_of(take_rows(X, filter.select(X)))
        assert got == kept, f"a {what} pool gave other rows"
    few = sample.rows(order[:70])
    chosen = filter.select(few)
    assert len(set(chosen)) == len(chosen), "half the pool: a row came twice"
    assert chosen.max() < 70, "half the pool: an index outside it"


def check_copies_are_rows_like_any_other(filter: Any, sample: Sample) -> None:
    """A pool of copies of few rows is pruned as any other: sizes count copies, and no row comes twice."""
    pool = sample.rows(np.repeat(np.arange(3), 20))
    kept = filter.fit(pool).select(pool)
    assert 0 < len(set(kept)) == len(kept) <= 60, "copies: a row came twice, or none survived"
    if "keep" in filter.get_params():
        assert len(kept) == size_of(filter.keep, 60), "keep counts copies"
    assert len(filter.select(pool, min_rows=50)) >= 50, "a query of 50 rows among copies got fewer"
    filter.partial_fit(sample.rows([0]), [1])
    assert not set(filter.select(pool)) & set(range(20)), "a copy of a labeled row was selected"


def check_rows_never_seen_take_part(filter: Any, sample: Sample) -> None:
    """Rows that were not in the pool given to ``fit`` are scored on the spot."""
    filter.fit(sample.rows(np.arange(60)), sample.y[:60])
    kept = filter.select(sample.X)
    assert len(set(kept)) == len(kept), "select returned a row twice"
    assert filter.select(sample.strangers[:1]).tolist() == [0], "a single stranger must survive"
    assert len(filter.explain(sample.X)) == 140, "explain must have one row a row"


def check_one_class_and_single_rows_of_a_class_are_fine(filter: Any, sample: Sample) -> None:
    """Few labels, of one class or two, are no obstacle."""
    y = np.full(140, -1)
    y[[0, 30]] = 1
    assert len(filter.fit(sample.X, y).select(sample.X)), "two labels of one class: no row survived"
    y[40] = 0
    assert len(filter.fit(sample.X, y).select(sample.X)), "a class with one row: no row survived"


def check_explain_agrees_with_select(filter: Any, sample: Sample) -> None:
    """One row a row, with a rank where it is kept and a reason in any case."""
    import pandas as pd

    index = [f"row{i}" for i in range(140)]
    frame = pd.DataFrame({"text": sample.X} if isinstance(sample.X, list) else sample.X, index=index)
    why = filter.fit(frame, sample.y).explain()
    assert list(why.index) == index, "explain must have X's index"
    missing = {"kept", "rank", "stage", "threshold", "reason"} - set(why)
    assert not missing, f"explain lacks the columns {sorted(missing)}"
    kept = filter.select(frame)
    assert np.flatnonzero(why["kept"]).tolist() == sorted(kept), "'kept' disagrees with select"
    assert why["rank"].to_numpy()[kept].tolist() == list(range(len(kept))), "'rank' disagrees with select"
    assert (why["rank"][~why["kept"]] == -1).all(), "'rank' must be -1 where a row is not kept"
    assert (why["reason"].str.len() > 0).all(), "a row has no reason"
    says_kept = why["reason"].str.startswith("kept")
    assert (says_kept == why["kept"]).all(), (
        "a reason begins with 'kept' where the row is kept, and only there"
    )
