"""Checks of a filter's state: seeds, rounds, threads, clones, pickles and calls that raise."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skprune.exceptions import EmptyPoolError
from skprune.utils._samples import Sample, raises


def check_same_seed_gives_same_rows(filter: Any, sample: Sample) -> None:
    """Clones with the same seed select the same rows; the global random state is not read or changed.

    A filter without ``random_state`` must be deterministic. Its ``fit`` may draw an unused seed.
    """
    takes_seed = "random_state" in filter.get_params()
    if takes_seed and filter.random_state is None:
        filter.set_params(random_state=0)
    first = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
    before = np.random.get_state()  # noqa: NPY002
    try:
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            untouched = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
            again = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
            assert again == first, "a clone with the same parameters selected other rows"
            changed = (np.random.get_state()[1] != untouched).any()  # type: ignore[index]  # noqa: NPY002
            assert not (takes_seed and changed), "the filter changed the global random state of NumPy"
    finally:
        np.random.set_state(before)  # noqa: NPY002


def check_each_round_makes_new_draws(filter: Any, sample: Sample) -> None:
    """Every round makes new random draws, and replaying the rounds repeats them.

    A filter that selects the same rows for different seeds does not need new draws.
    """
    if "random_state" not in filter.get_params():
        return

    def picks(seed: int, n_rounds: int) -> frozenset[int]:
        fitted = clone(filter).set_params(random_state=seed).fit(sample.X)
        for row in range(n_rounds):
            fitted.partial_fit(sample.unseen[row : row + 1], [0])
        return frozenset(fitted.select(sample.X).tolist())

    by_round, replayed = ([picks(0, n_rounds) for n_rounds in range(5)] for _ in range(2))
    assert by_round == replayed, "replaying the rounds with the same seed selected other rows"
    if len({picks(seed, 1) for seed in range(5)}) == 5:
        assert len(set(by_round[1:])) > 1, (
            "every round made the same draws; derive the random stream from round_"
        )


def check_n_jobs_does_not_change_results(filter: Any, sample: Sample) -> None:
    """``n_jobs=1`` and ``n_jobs=2`` select the same rows."""
    if "n_jobs" not in filter.get_params():
        return
    one, two = (
        clone(filter).set_params(n_jobs=n).fit(sample.X, sample.y).select(sample.X).tolist() for n in (1, 2)
    )
    assert one == two, "n_jobs=2 selected other rows than n_jobs=1"


def check_select_is_thread_safe(filter: Any, sample: Sample) -> None:
    """``select`` gives the same result if several threads call it with different pools."""
    filter.fit(sample.X, sample.y)
    pools = [sample.X, sample.X[::-1], sample.X[:50], sample.joined(sample.X, sample.unseen[:1])] * 6
    expected = [filter.select(X).tolist() for X in pools]
    with ThreadPoolExecutor(6) as threads:
        found = [kept.tolist() for kept in threads.map(filter.select, pools)]
    assert found == expected, "select returned other rows when several threads called it"


def check_refit_resets_state(filter: Any, sample: Sample) -> None:
    """``fit`` resets everything that earlier calls of ``fit`` and ``partial_fit`` learned."""
    expected = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
    filter.fit(sample.X[::-1]).partial_fit(sample.X[:30], np.arange(30) % 2)
    found = filter.fit(sample.X, sample.y).select(sample.X).tolist()
    assert found == expected, "a second fit selected other rows than the fit of a fresh clone"
    assert filter.round_ == 0, f"round_ is {filter.round_} after fit, expected 0"


def check_partial_fit_on_unfitted_filter(filter: Any, sample: Sample) -> None:
    """``partial_fit`` on an unfitted filter is ``fit``, as in scikit-learn's incremental estimators."""
    y = np.arange(140) % 2
    expected = clone(filter).fit(sample.X, y).select(sample.X).tolist()
    assert filter.partial_fit(sample.X, y).select(sample.X).tolist() == expected, (
        "partial_fit on an unfitted filter selected other rows than fit"
    )


def check_pickle_preserves_state(filter: Any, sample: Sample) -> None:
    """A filter that is pickled in the middle of a loop continues like the original."""
    filter.fit(sample.X, sample.y).partial_fit(sample.X[1:4], [0, 1, 1])
    copy = pickle.loads(pickle.dumps(filter))
    for fitted in (filter, copy):
        fitted.partial_fit(sample.X[5:8], [0, 1, 1])
    assert copy.select(sample.X).tolist() == filter.select(sample.X).tolist(), (
        "the unpickled filter selected other rows"
    )
    assert (copy.explain()["kept"] == filter.explain()["kept"]).all(), (
        "explain of the unpickled filter keeps other rows"
    )


def check_fit_does_not_change_parameters(filter: Any, sample: Sample) -> None:
    """``fit`` does not change parameters, and ``clone`` does not copy what was learned."""
    before = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    filter.fit(sample.X, sample.y)
    after = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    changed = sorted(name for name in before if after[name] != before[name])
    assert not changed, f"fit changed the parameters {changed}"
    assert not hasattr(clone(filter), "pool_"), "a clone of a fitted filter must be unfitted"
    rebuilt = type(filter)(**filter.get_params(deep=False))
    assert repr(rebuilt) == repr(filter), "get_params must return every parameter of __init__"


def check_invalid_pools_raise(filter: Any, sample: Sample) -> None:
    """``fit`` rejects an invalid pool, and the filter stays unfitted."""
    with raises(EmptyPoolError, "X has no rows"):
        filter.fit(sample.X[:0])
    with raises(ValueError, "y has 2 labels for 140 rows"):
        filter.fit(sample.X, [0, 1])
    with raises(NotFittedError):
        filter.select(sample.X)
    assert not hasattr(filter, "pool_"), "fit raised, but the filter appears to be fitted"


def check_failed_calls_do_not_change_state(filter: Any, sample: Sample) -> None:
    """A call of ``partial_fit`` or ``select`` that raises does not change the state."""
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with raises(ValueError, "partial_fit takes labeled rows only: y[0] is -1"):
        filter.partial_fit(sample.unseen[:1], [-1])
    with raises(ValueError, "y has 1 labels for 2 rows"):
        filter.partial_fit(sample.unseen[:2], [0])
    with raises(EmptyPoolError, "X has no rows"):
        filter.partial_fit(sample.X[:0], [])
    with raises(EmptyPoolError, "X has no rows"):
        filter.select(sample.X[:0])
    assert filter.round_ == 0, "partial_fit raised, but it began a new round"
    assert filter.select(sample.X).tolist() == before, "a call that raised changed the result of select"
