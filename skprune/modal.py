"""modAL's learners and two of its strategies, adapted to current scikit-learn and to pools of texts.

modAL's other strategies need no adaptation, alone or in a :class:`~skprune.PrunedQuery`:
``uncertainty_sampling``, ``margin_sampling`` and ``entropy_sampling`` of ``modAL.uncertainty``,
``vote_entropy_sampling``, ``consensus_entropy_sampling`` and ``max_disagreement_sampling`` of
``modAL.disagreement``.

The file is long because two learners and two strategies of modAL are documented in full, each in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_consistent_length

from skprune._optional import require
from skprune.containers import join_rows, take_rows
from skprune.labels import check_labels
from skprune.pools import Pool, check_pool
from skprune.query import PrunedQuery, as_pair
from skprune.transaction import unchanged_on_error

__all__ = [
    "ActiveLearner",
    "Committee",
    "PrunedQuery",
    "expected_error_reduction",
    "uncertainty_batch_sampling",
]

_modal = require("modAL.models", extra="modal", purpose="skprune.modal")
_batch = require("modAL.batch", extra="modal", purpose="skprune.modal")
_disagreement = require("modAL.disagreement", extra="modal", purpose="skprune.modal")
_uncertainty = require("modAL.uncertainty", extra="modal", purpose="skprune.modal")
_validation = require("modAL.utils.validation", extra="modal", purpose="skprune.modal")


class _Queries:
    """The ``query`` method that a learner and a committee share."""

    query_strategy: Callable[..., Any]

    def query(
        self, X_pool: Any, *query_args: Any, return_metrics: bool = False, **query_kwargs: Any
    ) -> tuple[Any, ...]:
        """Return the rows of ``X_pool`` that the strategy picks for labeling.

        Parameters
        ----------
        X_pool : container of n_rows rows
        *query_args, **query_kwargs
            Passed on to the strategy, for example ``n_instances``.
        return_metrics : bool, default=False
            Also return the strategy's metrics.

        Returns
        -------
        indices : ndarray of int, shape (n_instances,)
        rows : container of n_instances rows
            The rows at ``indices``, in the same kind of container as X_pool.
        metrics : ndarray, only with ``return_metrics``
        """
        pool = self._strategy_pool(X_pool)
        indices, metrics = as_pair(self.query_strategy(self, pool, *query_args, **query_kwargs))
        rows = take_rows(X_pool, indices)
        return (indices, rows, metrics) if return_metrics else (indices, rows)

    def _strategy_pool(self, X_pool: Any) -> Any:
        """Return the pool in the container that the strategy gets."""
        return X_pool


class ActiveLearner(_Queries, _modal.ActiveLearner):  # type: ignore[name-defined]
    """An estimator, the rows it was taught, and the strategy that picks further rows.

    This is a subclass of ``modAL.models.ActiveLearner``. Unlike in modAL 0.4.2,

    - ``teach`` and ``fit`` work with scikit-learn 1.8 and later, and with Series, DataFrames, lists and
      ragged object arrays;
    - rows are taken by position, whatever the pool's index;
    - a strategy is called once, and its errors reach you;
    - two indices that a strategy returns without metrics are not mistaken for indices and metrics;
    - ``clone`` and ``repr`` work, and bootstrapping can be seeded;
    - rows without a label are refused before anything changes;
    - if ``teach`` or ``fit`` raises or is interrupted, the training rows and the estimator stay what they
      were.

    Parameters
    ----------
    estimator : estimator
        The model to train. It is fitted in place, as in modAL. An estimator with ``warm_start=True`` goes on
        from its present state; it is copied before each ``teach``, in case that fails.
    query_strategy : callable, default=modAL.uncertainty.uncertainty_sampling
        ``(learner, X_pool, n_instances=..., **kwargs) -> (indices, metrics)``.
    X_training, y_training : default=None
        The rows labeled so far, and their labels. The estimator is fitted on them.
    bootstrap_init : bool, default=False
        Fit the estimator on a bootstrap sample of these rows.
    on_transformed : bool, default=False
        Whether strategies that compare rows use the vectors that the last step of a Pipeline gets.
    random_state : int, RandomState or None, default=None
        Seed of the bootstrap samples.
    **fit_kwargs
        Passed on to the estimator's first ``fit``.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedQuery, RandomFilter
    >>> from skprune.modal import ActiveLearner
    >>> from skprune.strategies import LeastConfidence
    >>> learner = ActiveLearner(
    ...     make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ...     PrunedQuery(RandomFilter(keep=3, random_state=0), LeastConfidence(random_state=0)),
    ...     X_training=["good film", "bad film"],
    ...     y_training=[1, 0],
    ... )
    >>> pool = ["a good one", "a bad one", "bad", "good", "no idea"]
    >>> indices, rows = learner.query(pool, n_instances=2)
    >>> learner.teach(rows, [1, 0])
    >>> len(learner.X_training)
    4
    """

    def __init__(
        self,
        estimator: Any,
        query_strategy: Callable[..., Any] = _uncertainty.uncertainty_sampling,
        X_training: Any = None,
        y_training: Any = None,
        bootstrap_init: bool = False,
        on_transformed: bool = False,
        random_state: Any = None,
        **fit_kwargs: Any,
    ) -> None:
        self.bootstrap_init = bootstrap_init
        self.random_state = random_state
        self.query_strategy = query_strategy
        if X_training is not None:
            check_taught(X_training, y_training, self)
        super().__init__(
            estimator,
            query_strategy,
            X_training,
            y_training,
            bootstrap_init=bootstrap_init,
            on_transformed=on_transformed,
            **fit_kwargs,
        )

    def transform_without_estimating(self, X: Any) -> Any:
        """Return the vectors that the last step of a Pipeline gets; for other estimators, ``X`` itself."""
        if isinstance(self.estimator, Pipeline):
            return Pool(self.estimator[:-1].transform(X)).vectors  # modAL cannot stack frames
        return super().transform_without_estimating(X)

    def teach(
        self, X: Any, y: Any, bootstrap: bool = False, only_new: bool = False, **fit_kwargs: Any
    ) -> None:
        """Add rows and their labels to the training data, and fit the estimator again.

        Parameters
        ----------
        X : container of n_new rows
        y : array-like of shape (n_new,)
        bootstrap : bool, default=False
            Fit on a bootstrap sample.
        only_new : bool, default=False
            Fit on these rows only, and do not add them to ``X_training``.
        **fit_kwargs
            Passed on to the estimator's ``fit``.

        Raises
        ------
        ValueError
            If a row has no label: None, NaN, or, if the strategy is a :class:`~skprune.PrunedQuery`, −1 among
            other labels than −1 and 1.
        """
        check_taught(X, y, self, None if only_new else self.y_training)
        with unchanged_on_error(self, *_parts(self.estimator)):
            if only_new:
                self._fit_on_new(X, y, bootstrap=bootstrap, **fit_kwargs)
                return
            self._add_training_data(X, y)
            self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)

    def fit(self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        """Replace the training data with these rows, and fit the estimator on them."""
        check_taught(X, y, self)
        with unchanged_on_error(self, *_parts(self.estimator)):
            self.X_training, self.y_training = X, y
            return self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)

    def _add_training_data(self, X: Any, y: Any) -> None:
        if self.X_training is None:
            self.X_training, self.y_training = X, y
        else:
            self.X_training = join_rows(self.X_training, X)
            self.y_training = join_rows(self.y_training, y)

    def _fit_to_known(self, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        return self._fit_on_new(self.X_training, self.y_training, bootstrap=bootstrap, **fit_kwargs)

    def _fit_on_new(self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        if bootstrap:
            n_rows = _num_samples(X)
            sample = check_random_state(self.random_state).randint(n_rows, size=n_rows)
            X, y = take_rows(X, sample), take_rows(y, sample)
        self.estimator.fit(X, y, **fit_kwargs)
        return self


class Committee(_Queries, _modal.Committee):  # type: ignore[name-defined]
    """Several learners that vote, and the strategy that picks the rows they disagree about.

    This is a subclass of ``modAL.models.Committee`` with the same changes as :class:`ActiveLearner`. In
    addition, pools may be lists, and labels may be strings. ``X_training`` and ``y_training`` hold the
    rows that any of the learners was taught, so that :class:`~skprune.PrunedQuery` and ranked batches know
    which rows are labeled; in modAL they stay None.

    Parameters
    ----------
    learner_list : list of ActiveLearner
        Instances of this module's class, not of modAL's.
    query_strategy : callable, default=modAL.disagreement.vote_entropy_sampling
        ``(committee, X_pool, n_instances=..., **kwargs) -> (indices, metrics)``. It gets a list of texts as
        an object array, because modAL's measures use the shape of the pool.
    on_transformed : bool, default=False
        Whether strategies that compare rows use the vectors that the last steps of Pipelines get.

    Attributes
    ----------
    classes_ : ndarray
        The classes that at least one learner knows.
    X_training, y_training
        The distinct rows that the learners were taught, and their labels; None if there are none yet.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedQuery, RandomFilter
    >>> from skprune.modal import ActiveLearner, Committee
    >>> from modAL.disagreement import vote_entropy_sampling
    >>> texts, labels = ["good film", "bad film"], ["yes", "no"]
    >>> committee = Committee(
    ...     [
    ...         ActiveLearner(make_pipeline(TfidfVectorizer(), model), X_training=texts, y_training=labels)
    ...         for model in (LogisticRegression(), MultinomialNB())
    ...     ],
    ...     PrunedQuery(RandomFilter(keep=3, random_state=0), vote_entropy_sampling),
    ... )
    >>> indices, rows = committee.query(["a good one", "a bad one", "bad", "good", "no"], n_instances=2)
    >>> committee.teach(rows, ["yes", "no"])
    >>> len(committee.X_training)
    4
    """

    def __init__(
        self,
        learner_list: list[ActiveLearner],
        query_strategy: Callable[..., Any] = _disagreement.vote_entropy_sampling,
        on_transformed: bool = False,
    ) -> None:
        super().__init__(learner_list, query_strategy, on_transformed)
        self.y_training = None
        for learner in learner_list:
            if learner.X_training is not None:
                self._add_taught(learner.X_training, learner.y_training)

    def teach(
        self, X: Any, y: Any, bootstrap: bool = False, only_new: bool = False, **fit_kwargs: Any
    ) -> None:
        """Add rows and their labels to the training data of each learner, and fit the estimators again.

        See :meth:`ActiveLearner.teach`, with two differences. Rows are added even with ``only_new``, as in
        modAL. Each learner draws its own bootstrap sample.
        """
        check_taught(X, y, self, self.y_training)
        with self._unchanged_on_error():
            super().teach(X, y, bootstrap=bootstrap, only_new=only_new, **fit_kwargs)

    def fit(self, X: Any, y: Any, **fit_kwargs: Any) -> Committee:
        """Replace the training data with these rows, and fit every learner on them."""
        check_taught(X, y, self)
        with self._unchanged_on_error():
            super().fit(X, y, **fit_kwargs)
            self.X_training = self.y_training = None
            self._add_taught(X, y)
        return self

    def rebag(self, **fit_kwargs: Any) -> None:
        """Fit each learner again, on a bootstrap sample of its training data."""
        with self._unchanged_on_error():
            super().rebag(**fit_kwargs)

    def _unchanged_on_error(self) -> AbstractContextManager[None]:
        """Restore the committee and its learners, all of them if one fails."""
        parts = [part for learner in self.learner_list for part in (learner, *_parts(learner.estimator))]
        return unchanged_on_error(self, *parts)

    def vote(self, X: Any, **predict_kwargs: Any) -> np.ndarray:
        """Return the labels that the learners predict, of shape (n_rows, n_learners)."""
        votes = [learner.predict(X, **predict_kwargs) for learner in self.learner_list]
        return np.stack(votes, axis=1)

    def vote_proba(self, X: Any, **predict_proba_kwargs: Any) -> np.ndarray:
        """Return the learners' class probabilities, of shape (n_rows, n_learners, n_classes)."""
        probabilities = [
            _validation.check_class_proba(
                learner.predict_proba(X, **predict_proba_kwargs), learner.estimator.classes_, self.classes_
            )
            for learner in self.learner_list
        ]
        return np.stack(probabilities, axis=1)

    def _strategy_pool(self, X_pool: Any) -> Any:
        if hasattr(X_pool, "shape"):
            return X_pool
        pool = Pool(X_pool)
        return pool.texts if pool.holds_texts else pool.vectors

    def _add_training_data(self, X: Any, y: Any) -> None:
        super()._add_training_data(X, y)
        self._add_taught(X, y)

    def _add_taught(self, X: Any, y: Any) -> None:
        if self.X_training is not None:
            X, y = join_rows(self.X_training, X), join_rows(self.y_training, y)
        _, first = np.unique(Pool(X, text=text_column(self)).table.row_of, return_index=True)
        self.X_training, self.y_training = take_rows(X, np.sort(first)), take_rows(y, np.sort(first))


def uncertainty_batch_sampling(
    learner: Any,
    X: Any,
    n_instances: int = 20,
    metric: str | Callable[..., Any] = "euclidean",
    n_jobs: int | None = None,
    **uncertainty_kwargs: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Pick a ranked batch: rows that are uncertain, and different from labeled rows and from each other.

    This is ``modAL.batch.uncertainty_batch_sampling`` for any pool, DataFrames included. A pool of texts
    requires a learner with ``on_transformed=True`` whose estimator is a Pipeline; the vectors that its last
    step gets are compared.

    Parameters
    ----------
    learner : ActiveLearner or Committee
    X : container of n_rows rows
    n_instances : int, default=20
        Number of rows to pick.
    metric, n_jobs
        See :func:`sklearn.metrics.pairwise_distances`.
    **uncertainty_kwargs
        Passed on to the learner's ``predict_proba``.

    Returns
    -------
    indices : ndarray of int, shape (n_instances,)
        Best first.
    uncertainty : ndarray of shape (n_instances,)
        1 − max p of each picked row.

    Raises
    ------
    ValueError
        If the pool holds texts and the learner makes no vectors of them.

    References
    ----------
    Cardoso et al., "Ranked batch-mode active learning", Information Sciences 379, 2017.
    """

    def vectors_of(rows: Any) -> Any:
        vectors = Pool(learner.transform_without_estimating(rows) if learner.on_transformed else rows).vectors
        if vectors is None:
            raise ValueError(
                "uncertainty_batch_sampling compares vectors, but the pool holds texts; use a learner with a "
                "Pipeline that makes vectors, and on_transformed=True"
            )
        return vectors

    vectors = vectors_of(X)
    known = None if learner.X_training is None else vectors_of(learner.X_training)
    uncertainty = _uncertainty.classifier_uncertainty(learner, X, **uncertainty_kwargs)
    taught = SimpleNamespace(on_transformed=False, X_training=known)
    return as_pair(_batch.ranked_batch(taught, vectors, uncertainty, n_instances, metric, n_jobs))


def expected_error_reduction(
    learner: ActiveLearner,
    X: Any,
    loss: str = "binary",
    p_subsample: float = 1.0,
    n_instances: int = 1,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pick the rows that, once labeled, leave the least expected error on the rest of the pool.

    This is ``modAL.expected_error.expected_error_reduction``, which can no longer be imported, for any pool.
    It fits the estimator once per row and class, so it is affordable only on a pruned pool.

    Parameters
    ----------
    learner : ActiveLearner
    X : container of n_rows rows
    loss : {"binary", "log"}, default="binary"
        The error that is summed over the other rows: 1 − max p, or the entropy of p in nats.
    p_subsample : float, default=1.0
        Probability with which each row is tried. At least ``n_instances`` rows are tried.
    n_instances : int, default=1
        Number of rows to pick.
    random_state : int, RandomState or None, default=None
        Seed of the draw of the rows to try.

    Returns
    -------
    indices : ndarray of int, shape (n_instances,)
        Best first.
    expected_error : ndarray of shape (n_instances,)
        The sum of the error over the other rows, in expectation over the classes of the picked row.

    References
    ----------
    Roy and McCallum, "Toward optimal active learning through sampling estimation of error reduction",
    ICML 2001.
    """
    if loss not in ("binary", "log"):
        raise ValueError(f"loss must be 'binary' or 'log', got {loss!r}")
    n_rows = _num_samples(X)
    draws = check_random_state(random_state).uniform(size=n_rows)
    tried = np.flatnonzero(draws <= max(p_subsample, np.sort(draws)[n_instances - 1]))
    probabilities = learner.predict_proba(X)
    expected = np.zeros(len(tried))
    for i, row in enumerate(tried):
        rows = join_rows(learner.X_training, take_rows(X, np.array([row])))
        rest = take_rows(X, np.delete(np.arange(n_rows), row))
        for label, probability in zip(learner.estimator.classes_, probabilities[row], strict=True):
            labels = join_rows(learner.y_training, np.array([label]))
            after = clone(learner.estimator).fit(rows, labels).predict_proba(rest)
            losses = entropy(after, axis=1) if loss == "log" else 1 - after.max(axis=1)
            expected[i] += probability * losses.sum()
    best = np.argsort(expected, kind="stable")[:n_instances]
    return tried[best], expected[best]


def _parts(estimator: Any) -> list[Any]:
    """Return an estimator and those among its parameters, all of which its ``fit`` may fit."""
    nested = estimator.get_params().values() if hasattr(estimator, "get_params") else ()
    parts = [estimator, *(value for value in nested if hasattr(value, "fit"))]
    return [part for part in parts if hasattr(part, "__dict__") and not isinstance(part, type)]


def check_taught(X: Any, y: Any, learner: ActiveLearner | Committee, y_known: Any = None) -> None:
    """Refuse rows that cannot be read, and rows without a label, before anything changes.

    Raises
    ------
    ValueError
        The message names the row.
    """
    pool = check_pool(X, text=text_column(learner))
    check_consistent_length(np.arange(len(pool)), y)
    labels, known = check_labels(y, len(pool))
    if not isinstance(learner.query_strategy, PrunedQuery):
        known |= np.array([np.array_equal(label, -1) for label in labels], dtype=bool)  # a class like others
    both = labels.tolist() + ([] if y_known is None else check_labels(y_known, len(y_known))[0].tolist())
    if not known.all() and not set(both) <= {-1, 1}:
        row = int(np.argmin(known))
        raise ValueError(
            f"y[{row}] is {labels[row]}, which means that the row has no label; teach rows with a label only"
        )


def text_column(learner: ActiveLearner | Committee) -> Any:
    """Return the column of texts that the filter of the learner's query reads, if it names one."""
    return getattr(getattr(learner.query_strategy, "filter", None), "text", None)
