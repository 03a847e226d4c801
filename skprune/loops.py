"""Save an interactive labeling loop as plain JSON, and continue it without training past models."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skprune.modal import ActiveLearner
from skprune.pools import Pool, check_pool
from skprune.query import PrunedQuery
from skprune.settings import plain_settings
from skprune.simulate.journal import data_fingerprint

_FORMAT = 1


def save_loop(learner: ActiveLearner, path: Any) -> None:
    """Write the state of a labeling loop to a file of JSON, whole or not at all.

    Parameters
    ----------
    learner : skprune.modal.ActiveLearner
        Its ``query_strategy`` is a fitted :class:`~skprune.PrunedQuery`.
    path : path

    Raises
    ------
    TypeError
        If the strategy is not a PrunedQuery, or rows or labels cannot be written as JSON: sparse rows, and
        labels other than words and numbers.
    NotFittedError
        If the learner has not been queried.

    Notes
    -----
    The file holds the labeled rows, their labels, and in which round the filter was told about them. It
    holds neither the pool nor the model: pass both to :func:`load_loop`. Scores and vectors are in the
    filter's ``memory``, if that is a folder.
    """
    query = learner.query_strategy
    if not isinstance(query, PrunedQuery):
        raise TypeError(f"learner.query_strategy must be a PrunedQuery, got {type(query).__name__}")
    check_is_fitted(query, "filter_")
    known = query.filter_.labeled_
    state = {
        "format": _FORMAT,
        "pool": _fingerprint(query.filter_.pool_),
        "seed": query.filter_.seed_,
        "settings": plain_settings(query),
        "rounds": query.n_told_,
        "told": _plain(known.pool, known.y, "the labeled rows"),
        "training": _plain(Pool(learner.X_training), learner.y_training, "learner.X_training"),
    }
    file = Path(path).expanduser()
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def load_loop(path: Any, estimator: Any, query: PrunedQuery, pool: Any) -> ActiveLearner:
    """Continue a loop that :func:`save_loop` wrote.

    Parameters
    ----------
    path : path
    estimator : estimator
        The model, as it was given to the learner. It is trained once, on all labeled rows.
    query : PrunedQuery
        With the parameters of the saved one. It is cloned.
    pool : container of n_rows rows
        The pool that the filter was fitted on: the one given to the first query, or to ``query.fit``.

    Returns
    -------
    skprune.modal.ActiveLearner
        Its next query picks the rows that the saved loop would have picked, if ``estimator`` and the strategy
        draw their random numbers from a ``random_state``.

    Raises
    ------
    ValueError
        If the file is damaged, or belongs to another pool or other parameters. Nothing expensive has run by
        then.

    Notes
    -----
    The filter is fitted on the pool, which finds its values in ``memory``, and told about the rounds one by
    one. It gets no learner of a past round: :class:`~skprune.UPSFilter`, :class:`~skprune.ProxyFilter` and
    ``AnchorFilter(anchor_selection="entropy")`` start anew, and use the model from the next round on.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedQuery, RandomFilter
    >>> from skprune.loops import load_loop, save_loop
    >>> from skprune.modal import ActiveLearner
    >>> from skprune.strategies import LeastConfidence
    >>> pool = [f"a {word} film" for word in ("good", "bad", "fine", "poor", "dull", "nice")]
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> query = PrunedQuery(RandomFilter(keep=3, random_state=0), LeastConfidence(random_state=0))
    >>> learner = ActiveLearner(model, query, ["good film", "bad film"], [1, 0])
    >>> rows = learner.query(pool)[0]
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     save_loop(learner, file.name)
    ...     again = load_loop(file.name, model, query, pool)
    >>> bool(again.query(pool)[0] == rows)
    True
    """
    file = Path(path).expanduser()
    state = _read(file)
    rows = check_pool(pool)
    if state["settings"] != plain_settings(query):
        raise ValueError(f"{file} was saved with other parameters of the filter or the strategy")
    if state["pool"] != _fingerprint(rows):
        raise ValueError(f"{file} belongs to another pool; pass the rows that the filter was fitted on")
    query = clone(query)
    if "random_state" in query.filter.get_params(deep=False):
        query.filter.set_params(random_state=state["seed"])
    X, y = _rows_of(state["told"])
    n_first, *ends = state["rounds"]
    # Labels that were known at fit are not a round.
    labels = np.full(len(rows), None, dtype=object)
    if n_first:
        at_fit = Pool(X[:n_first])
        positions = {key: i for i, key in enumerate(at_fit.keys.tolist())}
        for row, key in enumerate(rows.keys.tolist()):
            labels[row] = y[positions[key]] if key in positions else None
    query.fit(rows.data, labels)
    for start, end in zip([n_first, *ends], ends, strict=False):
        query.tell(X[start:end], y[start:end])
    return ActiveLearner(estimator, query, *_rows_of(state["training"]))


def _fingerprint(pool: Pool) -> str:
    return data_fingerprint(pool, [])


def _plain(pool: Pool | None, y: Any, what: str) -> dict[str, Any]:
    """Return rows and labels as plain JSON."""
    labels = np.asarray(y).tolist()
    if not all(isinstance(label, (str, int, float)) for label in labels):
        raise TypeError(f"the labels of {what} must be words or numbers to be saved")
    if pool is None:
        return {"X": [], "y": labels, "dtype": None}
    if pool.holds_texts:
        return {"X": pool.texts.tolist(), "y": labels, "dtype": None}
    if not isinstance(pool.vectors, np.ndarray) or len(pool.row_shape) > 1:
        raise TypeError(f"{what} must be texts or a dense 2-D array to be saved")
    return {"X": pool.vectors.tolist(), "y": labels, "dtype": str(pool.vectors.dtype)}


def _rows_of(part: dict[str, Any]) -> tuple[Any, np.ndarray]:
    dtype = part["dtype"]
    return (part["X"] if dtype is None else np.array(part["X"], dtype=dtype)), np.array(part["y"])


def _read(file: Path) -> dict[str, Any]:
    """Return the state in a file, checked as far as it can be without the pool."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        parts = (state["told"], state["training"])
        rounds = state["rounds"]
        whole = (
            state["format"] == _FORMAT
            and type(state["seed"]) is int
            and all(len(part["X"]) == len(part["y"]) and part["dtype"] in _DTYPES for part in parts)
            and all(type(n) is int and n >= 0 for n in rounds)
            and rounds == sorted(rounds)
            and rounds[-1] == len(parts[0]["y"])
            and {"settings", "pool"} <= state.keys()
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"{file} is not a loop that save_loop wrote: {error!r}") from error
    if not whole:
        raise ValueError(f"{file} is not a loop that save_loop wrote, or is damaged")
    return dict(state)


_DTYPES = (None, "float64", "float32", "int64", "int32", "bool", "uint8")
