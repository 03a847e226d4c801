"""What every pool filter promises, as checks that anybody's filter can be put to."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skprune.base import BaseFilter, size_of
from skprune.exceptions import EmptyPoolError, PoolExhaustedError
from skprune.pools import Pool, take_rows

_WORDS = ["red", "green", "blue", "fox", "dog", "sea", "sky", "runs", "sees", "the", "a", "old"]


def check_filter(filter: BaseFilter) -> None:
    """Check that a filter keeps the promises of :class:`~skprune.BaseFilter`.

    Parameters
    ----------
    filter : BaseFilter
        Never changed: each check works on a clone. Give it a ``random_state``, and no slow model: it is
        fitted some dozen times on 140 rows.

    Raises
    ------
    AssertionError
        If a promise is broken; the message begins with the name of the check.

    See Also
    --------
    filter_checks : The same checks one by one.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> from skprune.utils.estimator_checks import check_filter
    >>> check_filter(RandomFilter(keep=0.3, random_state=0))
    """
    for name, check in filter_checks(filter):
        try:
            check()
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


def filter_checks(filter: BaseFilter) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield ``(name, check)`` pairs; a check takes nothing and raises where a promise is broken.

    For ``pytest.mark.parametrize``. A filter that reads both texts and numeric rows is checked on both.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> name, check = next(filter_checks(RandomFilter(random_state=0)))
    >>> name
    'check_select_and_its_companions_agree[texts]'
    >>> check()
    """
    tags = get_tags(filter).input_tags
    samples = []
    if tags.string:
        samples.append(("texts", _text_sample(), [*_COMMON, *_TEXT_ONLY]))
    if tags.two_d_array:
        samples.append(("vectors", _vector_sample(), [*_COMMON, *_VECTORS_ONLY]))
    for kind, sample, checks in samples:
        for check in checks:
            yield f"{check.__name__}[{kind}]", partial(_run, check, filter, sample)


@dataclass(frozen=True)
class _Sample:
    """A pool of 140 rows, the last 20 copies of the first, some of them labelled.

    Attributes
    ----------
    X : list of str or ndarray
    y : ndarray of int
        0, 1, or −1 where there is no label.
    strangers : list of str or ndarray
        Ten rows that are not in it.
    """

    X: Any
    y: np.ndarray
    strangers: Any

    def rows(self, indices: Any) -> Any:
        return take_rows(self.X, np.asarray(indices))

    def joined(self, *parts: Any) -> Any:
        if isinstance(self.X, list):
            return [row for part in parts for row in part]
        return np.concatenate(parts)

    @property
    def n_free(self) -> int:
        """Rows that neither have a label nor are copies of one that has."""
        labelled = set(Pool(self.rows(np.flatnonzero(self.y != -1))).keys)
        return sum(key not in labelled for key in Pool(self.X).keys)


def _labels() -> np.ndarray:
    rows = np.arange(140)
    return np.where(rows % 9 == 0, rows % 2, -1)


def _text_sample() -> _Sample:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) + f" n{i}" for i in range(130)]
    return _Sample([*texts[:120], *texts[:20]], _labels(), texts[120:])


def _vector_sample() -> _Sample:
    X = np.random.default_rng(0).normal(size=(130, 5)).round(3)
    return _Sample(np.vstack([X[:120], X[:20]]), _labels(), X[120:])


def _run(check: Callable[[Any, _Sample], None], filter: BaseFilter, sample: _Sample) -> None:
    check(clone(filter), sample)


@contextmanager
def _refused(error: type[Exception], *words: str) -> Iterator[None]:
    """Assert that the block raises ``error`` with these words in its message."""
    message = None
    try:
        yield
    except error as raised:
        message = str(raised)
    assert message is not None, f"{error.__name__} should be raised" + "".join(f" with {w!r}" for w in words)
    missing = [word for word in words if word not in message]
    assert not missing, f"the message should say {missing[0]!r}: {message}"


def _content(rows: Any) -> list[Any]:
    """What rows hold, in no order."""
    return sorted(Pool(rows).keys.tolist()) if len(rows) else []


# ---------------------------------------------------------------------- selection


def check_select_and_its_companions_agree(filter: Any, sample: _Sample) -> None:
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


def check_keep_is_hit_exactly(filter: Any, sample: _Sample) -> None:
    """``keep``, where a filter has it, is a share or a count of the eligible rows."""
    if "keep" not in filter.get_params():
        return
    n_free = sample.n_free
    for keep in (1, 17, n_free, 0.01, 0.25, 0.5, 1.0):
        kept = clone(filter).set_params(keep=keep).fit(sample.X, sample.y).select(sample.X)
        wanted = size_of(keep, n_free)
        assert len(kept) == wanted, f"keep={keep} of {n_free} rows is {wanted}, got {len(kept)}"
    with _refused(ValueError, "keep"):
        clone(filter).set_params(keep=141).fit(sample.X)


def check_a_query_never_gets_too_few(filter: Any, sample: _Sample) -> None:
    """``min_rows`` is honoured as far as there are rows."""
    filter.fit(sample.X, sample.y)
    for n in (1, 60, sample.n_free, 10_000):
        kept = filter.select(sample.X, min_rows=n)
        assert len(kept) >= min(n, sample.n_free), f"min_rows={n}, got {len(kept)}"
        assert len(set(kept)) == len(kept), f"min_rows={n}: a row came twice"


def check_labelled_rows_are_passed_over(filter: Any, sample: _Sample) -> None:
    """A row with a known label is not selected again, round after round, nor are its copies."""
    filter.fit(sample.X, sample.y)
    known = set(Pool(sample.rows(np.flatnonzero(sample.y != -1))).keys)
    for round_ in range(4):
        kept = filter.select(sample.X)
        got = set(Pool(sample.rows(kept)).keys)
        assert not known & got, f"round {round_}: a labelled row was selected"
        reasons = filter.explain()["reason"]
        n_labelled = sum(key in known for key in Pool(sample.X).keys)
        assert (reasons == "already labelled").sum() == n_labelled, "explain must say 'already labelled'"
        fresh = sample.rows(kept[:3])
        filter.partial_fit(fresh, np.arange(len(fresh)) % 2)
        known |= set(Pool(fresh).keys)


def check_a_set_with_every_label_is_pruned_itself(filter: Any, sample: _Sample) -> None:
    """With a label for every row given to ``fit``, all rows are eligible."""
    kept = filter.fit(sample.X, np.arange(140) % 2).select(sample.X)
    assert 0 < len(kept) <= 140, "no row survived"
    if "keep" in filter.get_params():
        assert len(kept) == size_of(filter.keep, 140), "keep must be hit exactly"


def check_when_all_is_labelled_the_pool_is_exhausted(filter: Any, sample: _Sample) -> None:
    """Rows that were all labelled since ``fit`` raise PoolExhaustedError."""
    filter.fit(sample.X).partial_fit(sample.X, np.arange(140) % 2)
    with _refused(PoolExhaustedError, "140 rows"):
        filter.select(sample.X)
    kept = filter.select(sample.joined(sample.strangers[:1], sample.X))
    assert kept.tolist() == [0], "the only row without a label must survive"


# ---------------------------------------------------------------------- rows by content


def check_a_reordered_or_shrunken_pool_is_recognised(filter: Any, sample: _Sample) -> None:
    """Rows are known by content: another order, or a pool without the labelled rows, changes nothing."""
    filter.fit(sample.X, sample.y)
    kept = _content(sample.rows(filter.select(sample.X)))
    labelled = set(Pool(sample.rows(np.flatnonzero(sample.y != -1))).keys)
    order = np.random.default_rng(1).permutation(140)
    rest = np.array([i for i in order if Pool(sample.X).keys[i] not in labelled])
    for rows, what in ((order, "reordered"), (rest, "shrunken")):
        X = sample.rows(rows)
        got = _content(take_rows(X, filter.select(X)))
        assert got == kept, f"a {what} pool gave other rows"
    few = sample.rows(order[:70])
    chosen = filter.select(few)
    assert len(set(chosen)) == len(chosen), "half the pool: a row came twice"
    assert chosen.max() < 70, "half the pool: an index outside it"


def check_rows_never_seen_take_part(filter: Any, sample: _Sample) -> None:
    """Rows that were not in the pool given to ``fit`` are scored on the spot."""
    filter.fit(sample.rows(np.arange(60)), sample.y[:60])
    kept = filter.select(sample.X)
    assert len(set(kept)) == len(kept), "select returned a row twice"
    assert filter.select(sample.strangers[:1]).tolist() == [0], "a single stranger must survive"
    assert len(filter.explain(sample.X)) == 140, "explain must have one row a row"


def check_one_class_and_single_rows_of_a_class_are_fine(filter: Any, sample: _Sample) -> None:
    """Few labels, of one class or two, are no obstacle."""
    y = np.full(140, -1)
    y[[0, 30]] = 1
    assert len(filter.fit(sample.X, y).select(sample.X)), "two labels of one class: no row survived"
    y[40] = 0
    assert len(filter.fit(sample.X, y).select(sample.X)), "a class with one row: no row survived"


# ---------------------------------------------------------------------- state


def check_same_seed_same_picks(filter: Any, sample: _Sample) -> None:
    """Clones agree, and the global random state is neither read nor moved."""
    if "random_state" in filter.get_params() and filter.random_state is None:
        filter.set_params(random_state=0)
    first = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
    before = np.random.get_state()  # noqa: NPY002
    try:
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            untouched = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
            again = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
            assert again == first, "a clone with the same random_state gave other rows"
            moved = (np.random.get_state()[1] != untouched).any()  # type: ignore[index]  # noqa: NPY002
            assert not moved, "the global random state was moved"
    finally:
        np.random.set_state(before)  # noqa: NPY002


def check_select_is_pure_in_any_thread(filter: Any, sample: _Sample) -> None:
    """The same state gives the same answer, whatever else is asked meanwhile."""
    filter.fit(sample.X, sample.y)
    pools = [sample.X, sample.X[::-1], sample.X[:50], sample.joined(sample.X, sample.strangers[:1])] * 6
    alone = [filter.select(X).tolist() for X in pools]
    with ThreadPoolExecutor(6) as threads:
        together = [kept.tolist() for kept in threads.map(filter.select, pools)]
    assert together == alone, "select gave other rows when called from several threads"


def check_refitting_forgets(filter: Any, sample: _Sample) -> None:
    """``fit`` resets whatever came before."""
    once = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
    filter.fit(sample.X[::-1]).partial_fit(sample.X[:30], np.arange(30) % 2)
    assert filter.fit(sample.X, sample.y).select(sample.X).tolist() == once, "an earlier state shines through"
    assert filter.round_ == 0, "fit must begin with round 0"


def check_an_unfitted_partial_fit_is_a_fit(filter: Any, sample: _Sample) -> None:
    """As with scikit-learn's incremental estimators."""
    y = np.arange(140) % 2
    expected = clone(filter).fit(sample.X, y).select(sample.X).tolist()
    assert filter.partial_fit(sample.X, y).select(sample.X).tolist() == expected, (
        "it gave other rows than fit"
    )


def check_a_pickle_goes_on_alike(filter: Any, sample: _Sample) -> None:
    """In the middle of a loop, too."""
    filter.fit(sample.X, sample.y).partial_fit(sample.X[1:4], [0, 1, 1])
    again = pickle.loads(pickle.dumps(filter))
    for one in (filter, again):
        one.partial_fit(sample.X[5:8], [0, 1, 1])
    assert again.select(sample.X).tolist() == filter.select(sample.X).tolist(), "the copy gave other rows"
    assert (again.explain()["kept"] == filter.explain()["kept"]).all(), "the copy explains otherwise"


def check_parameters_are_untouched_by_fit(filter: Any, sample: _Sample) -> None:
    """``fit`` changes no parameter, and ``clone`` takes nothing along that was learned."""
    before = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    filter.fit(sample.X, sample.y)
    after = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    assert after == before, "fit changed a parameter"
    assert not hasattr(clone(filter), "pool_"), "a clone must be unfitted"


# ---------------------------------------------------------------------- explanations and errors


def check_explain_agrees_with_select(filter: Any, sample: _Sample) -> None:
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


def check_bad_pools_are_refused_before_work(filter: Any, sample: _Sample) -> None:
    """An error names what is wrong, and the filter stays unfitted."""
    with _refused(EmptyPoolError, "X has no rows"):
        filter.fit(sample.X[:0])
    with _refused(ValueError, "y has 2 labels for 140 rows"):
        filter.fit(sample.X, [0, 1])
    with _refused(NotFittedError):
        filter.select(sample.X)
    assert not hasattr(filter, "pool_"), "a refused pool must leave the filter unfitted"


def check_bad_rounds_are_refused_and_change_nothing(filter: Any, sample: _Sample) -> None:
    """A refused ``partial_fit`` or ``select`` leaves the state as it was."""
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with _refused(ValueError, "partial_fit takes labelled rows only: y[0] is -1"):
        filter.partial_fit(sample.strangers[:1], [-1])
    with _refused(ValueError, "y has 1 labels for 2 rows"):
        filter.partial_fit(sample.strangers[:2], [0])
    with _refused(EmptyPoolError, "X has no rows"):
        filter.partial_fit(sample.X[:0], [])
    with _refused(EmptyPoolError, "X has no rows"):
        filter.select(sample.X[:0])
    assert filter.round_ == 0, "a refused partial_fit began a round"
    assert filter.select(sample.X).tolist() == before, "a refused partial_fit changed what survives"


# ---------------------------------------------------------------------- texts only


def check_every_text_container_gives_the_same_rows(filter: Any, sample: _Sample) -> None:
    """Rows come back in the container they came in."""
    import pandas as pd

    expected = clone(filter).fit_transform(sample.X, sample.y)
    index = np.random.default_rng(0).permutation(140)
    containers = [
        tuple(sample.X),
        np.array(sample.X),
        np.array(sample.X, dtype=object),
        pd.Series(sample.X, index=index),
        pd.DataFrame({"text": sample.X, "n": range(140)}),
    ]
    for X in containers:
        kept = clone(filter).fit(X, sample.y).transform(X)
        name = type(X).__name__
        assert type(kept) is type(X), f"{name} came back as {type(kept).__name__}"
        texts = kept["text"] if isinstance(X, pd.DataFrame) else kept
        assert list(texts) == expected, f"{name}: other rows than those of a list"


def check_rows_that_are_no_texts_are_refused(filter: Any, sample: _Sample) -> None:
    """The error names the row."""
    for row, error, words in [
        (None, ValueError, "X[1] is None"),
        (float("nan"), ValueError, "X[1] is NaN"),
        (b"b", TypeError, "X[1] is bytes"),
        ("\udc80", ValueError, "X[1] holds a lone surrogate"),
    ]:
        with _refused(error, words):
            filter.fit(["a", row])
        assert not hasattr(filter, "pool_"), f"{words}: it must leave the filter unfitted"
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with _refused(ValueError, "X[1] is NaN"):
        filter.partial_fit(["a", float("nan")], [0, 1])
    with _refused(ValueError, "X[0] is None"):
        filter.select([None])
    assert filter.round_ == 0, "a refused partial_fit began a round"
    assert filter.select(sample.X).tolist() == before, "a refused row changed what survives"


# ---------------------------------------------------------------------- numeric rows only


def check_every_numeric_container_is_taken(filter: Any, sample: _Sample) -> None:
    """A frame gives the rows that an array gives; a sparse matrix as many, for its rows hash otherwise."""
    import pandas as pd

    expected = clone(filter).fit(sample.X, sample.y).select(sample.X)
    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    fitted = clone(filter).fit(frame, sample.y)
    assert fitted.select(frame).tolist() == expected.tolist(), "a DataFrame gave other rows than an array"
    assert fitted.feature_names_in_.tolist() == list("abcde"), "feature_names_in_ must name the columns"
    assert type(fitted.transform(frame)) is pd.DataFrame, "a DataFrame must come back as one"
    matrix = sp.csr_array(sample.X)
    kept = clone(filter).fit(matrix, sample.y).select(matrix)
    assert len(set(kept)) == len(kept), "a sparse matrix: a row came twice"
    assert sp.issparse(clone(filter).fit_transform(matrix, sample.y)), "a sparse matrix must come back as one"


def check_other_columns_and_infinite_values_are_refused(filter: Any, sample: _Sample) -> None:
    """As scikit-learn's own estimators do."""
    import pandas as pd

    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    filter.fit(frame, sample.y)
    assert filter.n_features_in_ == 5, "n_features_in_ must count the columns"
    with _refused(ValueError, "feature names should match"):
        filter.select(frame.rename(columns={"a": "z"}))
    filter.fit(sample.X, sample.y)
    with _refused(ValueError, "X has 3 features", "is expecting 5"):
        filter.select(sample.X[:, :3])
    holed = sample.X.copy()
    holed[2] = np.nan
    with _refused(ValueError, "contains NaN (first in row 2)"):
        filter.fit(holed)


_COMMON = [
    check_select_and_its_companions_agree,
    check_keep_is_hit_exactly,
    check_a_query_never_gets_too_few,
    check_labelled_rows_are_passed_over,
    check_a_set_with_every_label_is_pruned_itself,
    check_when_all_is_labelled_the_pool_is_exhausted,
    check_a_reordered_or_shrunken_pool_is_recognised,
    check_rows_never_seen_take_part,
    check_one_class_and_single_rows_of_a_class_are_fine,
    check_same_seed_same_picks,
    check_select_is_pure_in_any_thread,
    check_refitting_forgets,
    check_an_unfitted_partial_fit_is_a_fit,
    check_a_pickle_goes_on_alike,
    check_parameters_are_untouched_by_fit,
    check_explain_agrees_with_select,
    check_bad_pools_are_refused_before_work,
    check_bad_rounds_are_refused_and_change_nothing,
]
_TEXT_ONLY = [check_every_text_container_gives_the_same_rows, check_rows_that_are_no_texts_are_refused]
_VECTORS_ONLY = [
    check_every_numeric_container_is_taken,
    check_other_columns_and_infinite_values_are_refused,
]
