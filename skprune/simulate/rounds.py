"""The rounds of one active-learning run: the rows labeled so far, and the model trained on them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.containers import take_rows
from skprune.pools import Labeled, Pool
from skprune.query import PrunedQuery
from skprune.streams import count_occurrences


class Learner:
    """A model and the rows it was taught, as strategies and filters see it: with the model's own methods.

    The model is trained when it is first looked at, so that retelling a round costs nothing, unless the
    filter asks for its model.
    """

    # What modAL's learners have; the first one tells strategies that the model itself is in ``estimator``.
    query_strategy = None
    on_transformed = False

    def __init__(self, estimator: Any, X_training: Any, y_training: np.ndarray) -> None:
        self.X_training = X_training
        self.y_training = y_training
        self._unfitted = estimator
        self._model: Any = None

    def train(self) -> Any:
        """Return the trained model."""
        if self._model is None:
            model = clone(self._unfitted, safe=False)
            model.fit(self.X_training, self.y_training)
            self._model = model
        return self._model

    @property
    def estimator(self) -> Any:
        """The trained model, by the name that modAL gives it."""
        return self.train()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # no model while it is unpickled
            raise AttributeError(name)
        return getattr(self.train(), name)


class Run:
    """What is labeled so far in one run, and the query that asks for more.

    Parameters
    ----------
    estimator : estimator
        Cloned and trained anew in every round.
    query : PrunedQuery
        Fitted here.
    X : container of n_rows rows
    y : ndarray of shape (n_rows,)

    Attributes
    ----------
    known : ndarray of intp
        Rows labeled so far, in order; ``news`` are those of the newest round.
    unlabeled : ndarray of intp
        Rows without a label, and no copies of a row that has one.
    learner, previous : Learner or None
        The model of the newest round, and the one before.
    """

    def __init__(self, estimator: Any, query: PrunedQuery, X: Any, y: np.ndarray) -> None:
        start = time.perf_counter()
        self.query = query.fit(X)
        self.fit_seconds = time.perf_counter() - start
        self.estimator = estimator
        self.X, self.y = X, y
        self.n_rounds = 0
        self.known = self.news = np.empty(0, dtype=np.intp)
        self.unlabeled = np.arange(len(y))
        self.learner: Any = None
        self.previous: Any = None
        self._labeled = Labeled()
        self._earlier_llm_calls = 0

    @property
    def n_llm_calls(self) -> int:
        """Texts that the filter's LLM was run on, earlier processes included."""
        return self._earlier_llm_calls + getattr(self.query.filter_, "n_llm_calls_", 0)

    def tell_news(self) -> None:
        """Tell the filter about the newest round."""
        self.query.tell(take_rows(self.X, self.news), self.y[self.news], learner=self.learner)

    def label(self, picked: np.ndarray) -> None:
        """Have rows labeled, which begins a round."""
        self.n_rounds += 1
        self.news = picked
        self.known = np.concatenate([self.known, picked])
        self._labeled.add(Pool(take_rows(self.X, picked)), self.y[picked])
        self.unlabeled = np.flatnonzero(~self.query.filter_.pool_.isin(self._labeled))
        self.previous = self.learner
        self.learner = Learner(self.estimator, take_rows(self.X, self.known), self.y[self.known])

    def retell(self, picked: np.ndarray, n_llm_calls: int) -> None:
        """Go through a recorded round: its rows, and the LLM calls made by its end."""
        if self.n_rounds:
            self.tell_news()
        self.label(picked)
        self._earlier_llm_calls += n_llm_calls - self.n_llm_calls


def draw_initial(y: np.ndarray, how: str, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the rows that are labeled before the first round.

    Parameters
    ----------
    y : ndarray of shape (n,)
    how : {"per_class", "stratified", "random"}
    n_rows : int
    rng : Generator

    Returns
    -------
    ndarray of intp, shape (n_rows,)
        Unique, ascending.

    Raises
    ------
    ValueError
        If there are not so many rows, or more classes than ``n_rows`` with ``"per_class"``.

    Examples
    --------
    >>> y = np.repeat(["a", "b"], [9, 3])
    >>> rng = np.random.default_rng(0)
    >>> y[draw_initial(y, "per_class", 2, rng)], y[draw_initial(y, "stratified", 4, rng)]
    (array(['a', 'b'], dtype='<U1'), array(['a', 'a', 'a', 'b'], dtype='<U1'))
    """
    if n_rows > len(y):
        raise ValueError(f"n_initial={n_rows} exceeds the {len(y)} rows of the pool")
    shuffled = rng.permutation(len(y))
    if how == "random":
        return np.sort(shuffled[:n_rows])
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if how == "per_class":
        if n_rows < len(classes):
            raise ValueError(f"n_initial={n_rows} is less than the {len(classes)} classes of y")
        first = np.unique(codes[shuffled], return_index=True)[1]
        others = np.delete(np.arange(len(y)), first)
        return np.sort(shuffled[np.concatenate([first, others[: n_rows - len(first)]])])
    # The largest remainders get what rounding down left; a random order breaks ties.
    shares = n_rows * counts / len(y)
    quota = np.floor(shares).astype(int)
    order = rng.permutation(len(classes))
    quota[order[np.argsort((quota - shares)[order], kind="stable")[: n_rows - quota.sum()]]] += 1
    within = count_occurrences(codes[shuffled], len(classes))
    return np.sort(shuffled[within < quota[codes[shuffled]]])
