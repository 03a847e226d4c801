"""The next batch, computed while people label the one at hand."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from numbers import Integral
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import sklearn
from sklearn.utils.validation import check_scalar

from skprune.modal import ActiveLearner, Committee, check_taught, text_column
from skprune.pools import Pool, check_pool
from skprune.query import PrunedQuery


class Batch(NamedTuple):
    """Rows to label.

    Attributes
    ----------
    indices : ndarray of int, shape (n_rows,)
        Their positions in the pool, best first.
    rows : container of n_rows rows
        Of the same kind as the pool.
    scores : ndarray of shape (n_rows,)
        The metrics of the query strategy.
    reasons : ndarray of object, shape (n_rows,), or None
        Why each row was picked, if the strategy is a :class:`~skprune.PrunedQuery`.
    """

    indices: np.ndarray
    rows: Any
    scores: np.ndarray
    reasons: np.ndarray | None


class Prefetch:
    """Batches of rows to label, each computed in the background while people label the one before.

    Parameters
    ----------
    learner : skprune.modal.ActiveLearner or skprune.modal.Committee
        It is trained and queried in a thread. Do not use it while the thread works; :meth:`wait` tells when.
    X_pool : container of n_rows rows
        The pool. Do not change it. Rows that the learner was taught are never picked, nor are their copies.
    n_instances : int, default=1
        Rows per batch. The last batch may be smaller.
    pending : container of rows, default=None
        Rows that people are labeling already, for instance the batch that a program handed over before it
        was stopped. They are not picked again.

    Attributes
    ----------
    untaught : list of (X, y)
        Rows and labels that :meth:`teach` got and the learner has not learned yet.

    Raises
    ------
    TypeError
        If ``learner`` is of another kind, or ``n_instances`` is not an integer.
    ValueError
        If ``n_instances`` is less than 1.

    See Also
    --------
    skprune.loops.save_loop : Saves the learner; call :meth:`wait` first.
    skprune.annotation.write_tasks : Takes the rows, scores and reasons of a batch.

    Notes
    -----
    *The model is one batch behind.* When batch k is handed over, batch k + 1 begins to be computed, as if
    batch k were not in the pool. Its labels are not known yet, so the model that picks batch k + 1 was
    trained on the batches before k: all that :meth:`teach` was given before batch k was handed over. The
    first two batches are picked by the model as it was given.

    *Picks do not depend on time.* Training and queries happen one after another, in the order of the calls
    of ``next`` and :meth:`teach`. If a batch is not ready yet, ``next`` waits for it.

    *Errors* in the background are raised by the next call of ``next``, :meth:`wait` or :meth:`close`. The
    call after that tries the work again, and what follows it waits: no label and no batch is lost.
    :meth:`teach` takes labels in any case.

    *The thread* waits for work until :meth:`close` ends it, so use the object as a context. A thread that
    waits hands over a batch at once, also on a machine that is too busy to start a new one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import Prefetch, PrunedQuery, RandomFilter
    >>> from skprune.modal import ActiveLearner
    >>> from skprune.strategies import Margin
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> query = PrunedQuery(RandomFilter(keep=20, random_state=0), Margin(random_state=0))
    >>> learner = ActiveLearner(LogisticRegression(), query, X[:10], y[:10])
    >>> with Prefetch(learner, X[10:], n_instances=30) as batches:
    ...     for batch in batches:
    ...         batches.teach(batch.rows, y[10:][batch.indices])  # people label the rows here
    ...         print(len(batch.rows))
    30
    30
    30
    """

    def __init__(self, learner: Any, X_pool: Any, n_instances: int = 1, *, pending: Any = None) -> None:
        if not isinstance(learner, (ActiveLearner, Committee)):
            name = type(learner).__name__
            raise TypeError(f"learner must be an ActiveLearner or a Committee of skprune.modal, got {name}")
        check_scalar(n_instances, "n_instances", Integral, min_val=1)
        self._learner = learner
        self._pool = check_pool(X_pool, "X_pool", text_column(learner))
        self._n_instances = n_instances
        self._left = np.ones(len(self._pool.table.first), dtype=bool)  # by number of the distinct row
        if pending is not None:
            self._leave_out(pending)
        self._config = sklearn.get_config()  # that of this thread
        self._state = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._ready: deque[Batch | None] = deque()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._busy = self._halted = self._stopping = self._closed = False
        with self._state:
            self._jobs.append(_Job(self._pick))
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Return the next :class:`~skprune.prefetch.Batch`, and begin to compute the one after it.

        Raises
        ------
        StopIteration
            If every row of the pool has been handed over or has a label.
        """
        with self._state:
            self._begin()
            self._state.wait_for(lambda: self._ready or self._error is not None)
            self._raise_error()
            batch = self._ready[0]
            if batch is None:
                raise StopIteration
            self._ready.popleft()
            self._jobs.append(_Job(self._pick))
            self._start()
        return batch

    def teach(self, X: Any, y: Any) -> None:
        """Let the learner learn newly labeled rows in the background.

        Parameters
        ----------
        X : container of n_new rows
        y : array-like of shape (n_new,)

        Raises
        ------
        ValueError
            If a row has no label, or ``X`` and ``y`` differ in length. Nothing is learned then.
        """
        check_taught(X, y, self._learner, self._learner.y_training)
        with self._state:
            self._check_open()
            self._jobs.append(_Job(lambda: self._learner.teach(X, y), (X, y)))
            if self._error is None:
                self._start()

    def wait(self) -> Any:
        """Wait until nothing is being computed, and return the learner.

        It may be used, or saved, until the next call of ``next`` or :meth:`teach`.
        """
        with self._state:
            self._begin()
            self._state.wait_for(self._is_idle)
            self._raise_error()
        return self._learner

    def close(self) -> None:
        """Finish the teaching that was asked for, drop the batch that nobody took, and end the thread.

        If teaching fails, the error is raised, and ``untaught`` has the labels. Another call tries again.
        """
        with self._state:
            self._closed = True
            running = self._jobs[0] if self._busy else None
            self._jobs = deque(job for job in self._jobs if job is running or job.labels is not None)
            self._state.wait_for(self._is_idle)
            earlier, self._error = self._error, None
            self._jobs = deque(job for job in self._jobs if job.labels is not None)
            thread = self._start()
            self._state.wait_for(self._is_idle)
            self._stopping = True
            self._state.notify_all()
        thread.join()
        self._thread, self._stopping = None, False
        self._error = self._error or earlier
        self._raise_error()

    @property
    def untaught(self) -> list[tuple[Any, Any]]:
        """Rows and labels that the learner has not learned yet."""
        with self._state:
            return [job.labels for job in self._jobs if job.labels is not None]

    # ------------------------------------------------------------------ the thread

    def _begin(self) -> None:
        """Raise what happened in the background; else go on with what is left to do."""
        self._check_open()
        self._raise_error()
        self._start()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this Prefetch is closed")

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _start(self) -> threading.Thread:
        """Let the thread go on, also after an error."""
        self._halted = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="skprune-prefetch", daemon=True)
            self._thread.start()
        self._state.notify_all()
        return self._thread

    def _is_idle(self) -> bool:
        return not self._jobs or self._halted

    def _work(self) -> None:
        """Do the jobs in order. One that fails stays the first, and halts the thread."""
        with sklearn.config_context(**self._config):
            while (job := self._next_job()) is not None:
                error: BaseException | None = None
                try:
                    job.do()
                except BaseException as caught:
                    error = caught
                with self._state:
                    self._busy, self._halted, self._error = False, error is not None, error
                    if error is None:
                        self._jobs.popleft()
                    self._state.notify_all()

    def _next_job(self) -> _Job | None:
        """Wait for a job; None if the thread should end."""
        with self._state:
            self._state.wait_for(lambda: self._stopping or not self._is_idle())
            if self._stopping:
                return None
            self._busy = True
            return self._jobs[0]

    def _pick(self) -> None:
        """Compute a batch: None if no row is left."""
        learner, pool, strategy = self._learner, self._pool, self._learner.query_strategy
        if isinstance(strategy, PrunedQuery) and not hasattr(strategy, "filter_"):
            strategy.fit(pool.data)  # the whole pool, so that load_loop needs no other
        if learner.X_training is not None:
            self._leave_out(learner.X_training)
        rows = _worth_a_label(pool, np.flatnonzero(self._left[pool.table.row_of]))
        batch = None
        if len(rows):
            n_instances = min(self._n_instances, len(rows))
            picked, _, scores = learner.query(pool.take(rows), n_instances=n_instances, return_metrics=True)
            reasons = None
            if isinstance(strategy, PrunedQuery):
                reasons = strategy.explain()["reason"].to_numpy(dtype=object)[picked]
            indices = rows[picked]
            batch = Batch(indices, pool.take(indices), scores, reasons)
            self._left[pool.table.row_of[indices]] = False
        with self._state:
            self._ready.append(batch)

    def _leave_out(self, X: Any) -> None:
        """Never pick rows, or their copies, again."""
        rows = check_pool(X, "pending", text_column(self._learner))
        if rows.holds_texts != self._pool.holds_texts:
            raise TypeError("pending and X_pool must both hold texts, or both numeric rows")
        numbers = self._pool.table.locate(rows.contents_at(np.arange(len(rows))))
        self._left[numbers[numbers >= 0]] = False


class _Job(NamedTuple):
    """Something to do in the thread; ``labels`` are those that it teaches."""

    do: Callable[[], None]
    labels: Any = None


def _worth_a_label(pool: Pool, rows: np.ndarray) -> np.ndarray:
    """Return the first of each row's copies; blank texts only if nothing else is left."""
    different = rows[pool.distinct(rows)[0]]
    if not pool.holds_texts:
        return different
    written = different[pool.table.written[pool.table.row_of[different]]]
    return written if len(written) else different
