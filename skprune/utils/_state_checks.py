"""What a filter remembers and forgets: seeds, rounds, threads, clones, pickles, and refusals."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skprune.exceptions import EmptyPoolError
from skprune.utils._samples import Sample, refused


def check_same_seed_same_picks(filter: Any, sample: Sample) -> None:
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


def check_each_round_has_a_stream_of_its_own(filter: Any, sample: Sample) -> None:
    """Where another seed makes other draws, another round does too; a replay of the rounds repeats them."""
    if "random_state" not in filter.get_params():
        return

    def picks(seed: int, n_rounds: int) -> frozenset[int]:
        fitted = clone(filter).set_params(random_state=seed).fit(sample.X)
        for row in range(n_rounds):
            fitted.partial_fit(sample.strangers[row : row + 1], [0])
        return frozenset(fitted.select(sample.X).tolist())

    by_round = [picks(0, n_rounds) for n_rounds in range(5)]
    assert by_round == [picks(0, n_rounds) for n_rounds in range(5)], "replayed rounds made other draws"
    if len({picks(seed, 1) for seed in range(5)}) == 5:
        assert len(set(by_round[1:])) > 1, "every round made the same draws"


def check_n_jobs_changes_no_picks(filter: Any, sample: Sample) -> None:
    """One worker or two."""
    if "n_jobs" not in filter.get_params():
        return
    alone, together = (
        clone(filter).set_params(n_jobs=n).fit(sample.X, sample.y).select(sample.X).tolist() for n in (1, 2)
    )
    assert alone == together, "n_jobs=2 gave other rows than n_jobs=1"


def check_select_is_pure_in_any_thread(filter: Any, sample: Sample) -> None:
    """The same state gives the same answer, whatever else is asked meanwhile."""
    filter.fit(sample.X, sample.y)
    pools = [sample.X, sample.X[::-1], sample.X[:50], sample.joined(sample.X, sample.strangers[:1])] * 6
    alone = [filter.select(X).tolist() for X in pools]
    with ThreadPoolExecutor(6) as threads:
        together = [kept.tolist() for kept in threads.map(filter.select, pools)]
    assert together == alone, "select gave other rows when called from several threads"


def check_refitting_forgets(filter: Any, sample: Sample) -> None:
    """``fit`` resets whatever came before."""
    once = clone(filter).fit(sample.X, sample.y).select(sample.X).tolist()
    filter.fit(sample.X[::-1]).partial_fit(sample.X[:30], np.arange(30) % 2)
    assert filter.fit(sample.X, sample.y).select(sample.X).tolist() == once, "an earlier state shines through"
    assert filter.round_ == 0, "fit must begin with round 0"


def check_an_unfitted_partial_fit_is_a_fit(filter: Any, sample: Sample) -> None:
    """As with scikit-learn's incremental estimators."""
    y = np.arange(140) % 2
    expected = clone(filter).fit(sample.X, y).select(sample.X).tolist()
    assert filter.partial_fit(sample.X, y).select(sample.X).tolist() == expected, (
        "it gave other rows than fit"
    )


def check_a_pickle_goes_on_alike(filter: Any, sample: Sample) -> None:
    """In the middle of a loop, too."""
    filter.fit(sample.X, sample.y).partial_fit(sample.X[1:4], [0, 1, 1])
    again = pickle.loads(pickle.dumps(filter))
    for one in (filter, again):
        one.partial_fit(sample.X[5:8], [0, 1, 1])
    assert again.select(sample.X).tolist() == filter.select(sample.X).tolist(), "the copy gave other rows"
    assert (again.explain()["kept"] == filter.explain()["kept"]).all(), "the copy explains otherwise"


def check_parameters_are_untouched_by_fit(filter: Any, sample: Sample) -> None:
    """``fit`` changes no parameter, and ``clone`` takes nothing along that was learned."""
    before = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    filter.fit(sample.X, sample.y)
    after = {name: id(value) for name, value in filter.get_params(deep=False).items()}
    assert after == before, "fit changed a parameter"
    assert not hasattr(clone(filter), "pool_"), "a clone must be unfitted"
    rebuilt = type(filter)(**filter.get_params(deep=False))
    assert repr(rebuilt) == repr(filter), "get_params must hold all that __init__ takes"


def check_bad_pools_are_refused_before_work(filter: Any, sample: Sample) -> None:
    """An error names what is wrong, and the filter stays unfitted."""
    with refused(EmptyPoolError, "X has no rows"):
        filter.fit(sample.X[:0])
    with refused(ValueError, "y has 2 labels for 140 rows"):
        filter.fit(sample.X, [0, 1])
    with refused(NotFittedError):
        filter.select(sample.X)
    assert not hasattr(filter, "pool_"), "a refused pool must leave the filter unfitted"


def check_bad_rounds_are_refused_and_change_nothing(filter: Any, sample: Sample) -> None:
    """A refused ``partial_fit`` or ``select`` leaves the state as it was."""
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with refused(ValueError, "partial_fit takes labeled rows only: y[0] is -1"):
        filter.partial_fit(sample.strangers[:1], [-1])
    with refused(ValueError, "y has 1 labels for 2 rows"):
        filter.partial_fit(sample.strangers[:2], [0])
    with refused(EmptyPoolError, "X has no rows"):
        filter.partial_fit(sample.X[:0], [])
    with refused(EmptyPoolError, "X has no rows"):
        filter.select(sample.X[:0])
    assert filter.round_ == 0, "a refused partial_fit began a round"
    assert filter.select(sample.X).tolist() == before, "a refused partial_fit changed what survives"
