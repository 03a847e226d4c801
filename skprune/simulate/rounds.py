"""The rounds of one active-learning run: the rows labeled so far, and the model trained on them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.pools import Pool
from skprune.query import PrunedQuery


class Learner:
    """A model and the rows it is taught, for strategies and filters: it has the model's own methods.

    The model is trained the first time it is used. So a replayed round costs no training, unless the filter
    uses the round's model.

    Parameters
    ----------
    estimator : estimator
        Cloned, never changed.
    X_training : container of n_labels rows
    y_training : ndarray of shape (n_labels,)
    """

    # modAL's learners have this attribute, and some strategies read it: whether vectors of the estimator's
    # last step are compared rather than the rows themselves.
    on_transformed = False

    # In a replayed round: what the filter had learned from the model, if the journal holds it. The filter
    # then does not use the model.
    filter_state: Any = None

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
        """The trained model, under the name that modAL gives it."""
        return self.train()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # during unpickling there is no model yet
            raise AttributeError(name)
        return getattr(self.train(), name)


class Run:
    """The rows labeled so far in one run, the newest models, and the query that picks further rows.

    ``batches`` is the only record of what is labeled. The learner's training rows are taken from it, and the
    query compares these with the rows that it has told the filter about.

    Parameters
    ----------
    estimator : estimator
        Cloned and trained anew in every round.
    query : PrunedQuery
        Fitted here.
    pool : Pool of n_rows rows
        Validated already.
    y : ndarray of shape (n_rows,)
    minority_class : object or None
        The class whose rows are counted in ``minority_found``; None if ``y`` holds no classes.

    Attributes
    ----------
    batches : list of ndarray of intp
        The rows labeled in each round, in order.
    unlabeled : ndarray of intp
        The rows without a label, except copies of labeled rows.
    n_eligible : int
        How many different rows may be labeled next. Blank texts count only if nothing else is left.
    subpool : ndarray of intp
        The rows that the strategy saw in the newest round; empty before the first query.
    learner, previous : Learner or None
        The learners of the newest round and of the one before.
    """

    def __init__(
        self, estimator: Any, query: PrunedQuery, pool: Pool, y: np.ndarray, minority_class: Any
    ) -> None:
        start = time.perf_counter()
        self.query = query.fit(pool)
        self._fit_seconds = time.perf_counter() - start
        self.estimator = estimator
        self.pool, self.y = pool, y
        self.batches: list[np.ndarray] = []
        self.unlabeled = np.arange(len(y))
        self.subpool = np.empty(0, dtype=np.intp)
        self.learner: Any = None
        self.previous: Any = None
        self._is_minority = None if minority_class is None else y == minority_class
        self._earlier_llm_calls = 0

    @property
    def labeled(self) -> np.ndarray:
        """The rows labeled so far, in order."""
        return np.concatenate([np.empty(0, dtype=np.intp), *self.batches])

    @property
    def n_eligible(self) -> int:
        """How many different rows may be labeled next."""
        table = self.pool.table
        numbers = np.unique(table.row_of[self.unlabeled])
        return int(table.written[numbers].sum()) or len(numbers)

    @property
    def n_llm_calls(self) -> int:
        """How many texts the filter's LLM has read, earlier processes of the run included."""
        return self._earlier_llm_calls + getattr(self.query.filter_, "n_llm_calls_", 0)

    def play_initial(self, rows: np.ndarray) -> dict[str, Any]:
        """Play round 0 with the initial rows; return its part of the learning curve."""
        return self._label_and_train(rows, subpool=0, select_seconds=self._fit_seconds)

    def play(self, n_instances: int) -> dict[str, Any]:
        """Play a round: pick rows, label them and train. Return its part of the learning curve.

        Raises
        ------
        ValueError
            If the strategy does not return ``n_instances`` distinct rows.
        """
        start = time.perf_counter()
        picked, _ = self.query(self.learner, self.pool.data, n_instances=n_instances)
        n_distinct = len(set(picked.tolist()))
        if not n_distinct == len(picked) == n_instances:
            raise ValueError(
                f"strategy={self.query.strategy!r} was asked for {n_instances} rows and returned "
                f"{len(picked)}, {n_distinct} of them distinct"
            )
        seconds = time.perf_counter() - start
        self.subpool = self.query.subpool_
        return self._label_and_train(picked, subpool=len(self.subpool), select_seconds=seconds)

    @property
    def filter_state(self) -> dict[str, Any] | None:
        """What the filter has learned from the newest model, as plain JSON, if the filter provides it."""
        return getattr(self.query.filter_, "journal_state_", None)

    def replay(self, picked: np.ndarray, n_llm_calls: int, filter_state: dict[str, Any] | None) -> None:
        """Repeat a recorded round with its rows.

        When it ended, ``n_llm_calls`` had been made, and ``filter_state`` was as it is given.
        """
        if self.learner is not None:
            self.learner.filter_state = filter_state
        self.query.catch_up(self.learner)
        self._label(picked)
        self._earlier_llm_calls += n_llm_calls - self.n_llm_calls

    def _label(self, picked: np.ndarray) -> None:
        """Label rows, and make the learner of the round."""
        self.batches.append(picked)
        labeled, row_of = self.labeled, self.pool.table.row_of
        self.unlabeled = np.flatnonzero(~np.isin(row_of, row_of[labeled]))
        self.previous = self.learner
        self.learner = Learner(self.estimator, self.pool.take(labeled), self.y[labeled])

    def _label_and_train(self, picked: np.ndarray, *, subpool: int, select_seconds: float) -> dict[str, Any]:
        n_unlabeled = len(self.unlabeled)
        self._label(picked)
        start = time.perf_counter()
        self.learner.train()
        train_seconds = time.perf_counter() - start
        found = np.nan
        if self._is_minority is not None:
            n_minority = self._is_minority.sum()  # copies of labeled rows count as found
            found = float((n_minority - self._is_minority[self.unlabeled].sum()) / n_minority)
        return {
            "round": len(self.batches) - 1,
            "labels": len(self.labeled),
            "pool": n_unlabeled,
            "subpool": subpool,
            "select_seconds": select_seconds,
            "train_seconds": train_seconds,
            "llm_calls": self.n_llm_calls,
            "minority_found": found,
        }
