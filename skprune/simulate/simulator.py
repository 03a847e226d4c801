"""Active learning on data whose labels are known: the simulator plays the loop and records its curve.

The file is long because the class documents twenty parameters; its parts are in the files beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skprune._progress import Progress
from skprune.base import BaseFilter
from skprune.compose import estimator_has
from skprune.filters.random import RandomFilter
from skprune.metrics import rarest_class
from skprune.pools import Pool, check_pool
from skprune.query import PrunedQuery
from skprune.settings import plain_settings
from skprune.simulate.checks import (
    check_answers,
    check_initial_labels,
    check_metrics,
    check_resumable,
    check_validation,
)
from skprune.simulate.journal import Journal, data_fingerprint
from skprune.simulate.limits import Limits
from skprune.simulate.rounds import Learner, Run
from skprune.simulate.scoring import metric_names
from skprune.simulate.splits import draw_held_out, initial_rows
from skprune.simulate.stopping import PlayedRound, as_criteria, criterion_met
from skprune.streams import draw_seed, generator, seed_open_states
from skprune.transaction import unchanged_on_error

# Streams of a run's seed.
_INITIAL, _VALIDATION, _ESTIMATOR, _STRATEGY, _FILTER = range(5)

# A resumed run may change these parameters: they change no pick, or only how long the run goes on.
_NOT_IN_SETTINGS = {
    "n_rounds",
    "label_budget",
    "time_budget",
    "keep_estimators",
    "memory",
    "callback",
    "random_state",
}


class ActiveLearningSimulator(MetaEstimatorMixin, BaseEstimator):
    """Simulate active learning on data whose labels are known, and predict with the final model.

    Some rows are labeled at the start. In each round, the filter prunes the pool, the strategy picks
    ``n_instances`` of the remaining rows, ``y`` provides their labels, and the estimator is trained anew on
    all rows labeled so far.

    Parameters
    ----------
    estimator : estimator
        Anything with ``fit`` and ``predict``: a classifier, a pipeline that reads texts, a skorch net, or a
        sequence-to-sequence model whose targets are texts.
    strategy : callable
        ``(learner, X, n_instances=...) -> (indices, metrics)``: one of :mod:`skprune.strategies`, one of
        modAL's, or your own.
    filter : BaseFilter or None, default=None
        None prunes nothing: the strategy sees every row without a label.
    n_instances : int, default=20
        Labels per round.
    n_rounds : int or None, default=10
        Number of rounds after the initial labels. None continues until a budget or a stopping criterion
        ends the run, or every row is labeled.
    initial : {"auto", "per_class", "stratified", "random", "typiclust"} or array-like of int, default="auto"
        Which rows are labeled before the first round. ``"per_class"`` draws one row of each class, and the
        others at random. ``"stratified"`` draws in proportion to the classes; a rare class may get no row.
        ``"random"`` draws at random. ``"typiclust"`` takes typical rows of different clusters, picked by
        :class:`~skprune.strategies.TypiClust` without any label; for another encoder than TF-IDF, pass the
        rows that ``TypiClust(encoder=...)(None, X, n_instances)`` returns. ``"auto"`` is ``"per_class"`` for
        classifiers, else ``"random"``. An array names the rows.
    n_initial : int or None, default=None
        How many rows to draw. None means ``n_instances``, but with ``"per_class"`` at least one per class.
        Ignored when ``initial`` is an array.
    label_budget : int or None, default=None
        Maximum number of labels, including the initial ones. The last round is smaller if necessary, so that
        the budget is met exactly.
    time_budget : float or None, default=None
        Seconds of selecting, training and predicting after which no new round begins. A resumed run counts
        the seconds of all its processes.
    stopping : callable or list of callables, default=None
        Criteria of :mod:`skprune.simulate`, or functions ``curve -> bool``. The run ends as soon as one of
        them returns True.
    scoring : str, callable, list, dict or None, default=None
        Metrics of the learning curve, as in :func:`~sklearn.model_selection.cross_validate`. None means the
        estimator's own ``score``. Requires validation data.
    validation_fraction : float or None, default=None
        Share of the rows to hold out of the pool, on which the metrics are computed. For classifiers, the
        split is stratified. Cannot be combined with ``X_val``.
    keep_estimators : bool, default=False
        Keep the model of every round in ``estimators_``, as :class:`LearningCurveScorer` requires.
    memory : path or None, default=None
        A folder where the rounds are recorded while they are played (``journal.jsonl``), to resume from. None
        keeps the rounds in this process.
    callback : callable, default=None
        Called after every round, including rounds found in ``memory``, with a dict: the round's row of
        ``learning_curve_``, and the rows ``picked``.
    random_state : int, RandomState or None, default=None
        Also seeds every ``random_state`` of the estimator, the strategy and the filter that is None.
    verbose : int, default=0
        0 shows a progress bar after two seconds, on a terminal only; 1 shows it everywhere, at once.

    Attributes
    ----------
    estimator_ : estimator
        The model of the last round.
    estimators_ : list of estimators
        The models of all rounds, with ``keep_estimators``; else empty.
    query_ : PrunedQuery
        The fitted filter and the strategy.
    learning_curve_ : DataFrame with one row per round
        ``round`` (0 is the initial labels), ``labels`` (number so far), ``pool`` (rows without a label when
        the round began), ``subpool`` (rows that the strategy saw), ``select_seconds`` (filter and strategy,
        including the model's predictions for them; in round 0, the filter's ``fit``), ``train_seconds``,
        ``llm_calls`` (texts that the filter's LLM has read so far), ``minority_found`` (share of the rarest
        class's rows that are labeled, or are copies of labeled rows), ``predict_seconds`` (for the metrics
        and the stopping criteria), the metrics, and the columns of the stopping criteria.
    labeled_indices_ : ndarray of intp, shape (n_labels,)
        The rows of ``X`` that were labeled, in order.
    subpool_counts_ : ndarray of float64, shape (n_rounds + 1, n_classes)
        Number of rows of each class that the strategy saw, per round. 0 in round 0; NaN in a resumed round
        that an earlier version of skprune played. There are no columns if the estimator is not a classifier.
    subpool_classes_ : ndarray of shape (n_classes,)
        The classes of these columns.
    minority_class_ : object
        The rarest class of ``y``; None if the estimator is not a classifier.
    stop_reason_ : str
        Why the run ended.
    seed_ : int
        The seed that ``random_state`` stands for.
    classes_ : ndarray of shape (n_classes,)
        Delegated to ``estimator_``.

    See Also
    --------
    LearningCurveScorer : For ``GridSearchCV(scoring=...)``.
    PrunedQuery : The query of one round.

    Notes
    -----
    *Which rows.* Rows are identified by their content. The rows of a batch are all different, and a copy of a
    labeled row is never picked, with or without a filter, so runs with and without a filter differ in the
    pruning only. The initial rows are drawn among the different rows too. Blank texts are labeled last.

    *Which scores.* ``score`` and the methods of prediction use the model of the last round. The metrics of
    the learning curve are computed on rows that were never in the pool. In a search, the held-out fold
    provides such rows: set ``keep_estimators=True`` and score with :class:`LearningCurveScorer`.

    *Resuming.* With ``memory``, you can start a killed run again with the same data and parameters, and it
    makes the same picks, provided that the estimator draws its random numbers from a ``random_state``. The
    filter is told about the recorded rounds one by one. The model of a recorded round is trained again only
    if the filter uses it (UPSFilter does; ProxyFilter does if its student is not linear, else the folder
    holds the student). ``n_rounds``, the budgets and ``keep_estimators`` may change, so
    you can prolong a finished run. A folder that holds another run is refused.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import ActiveLearningSimulator, AnchorFilter
    >>> from skprune.strategies import Margin
    >>> X, y = load_digits(return_X_y=True)
    >>> simulator = ActiveLearningSimulator(
    ...     LogisticRegression(max_iter=1000), Margin(), AnchorFilter(), n_rounds=3, random_state=0
    ... )
    >>> simulator.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:]).stop_reason_
    'n_rounds'
    >>> simulator.learning_curve_[["round", "labels", "pool"]]
       round  labels  pool
    0      0      20  1000
    1      1      40   980
    2      2      60   960
    3      3      80   940
    >>> bool(simulator.learning_curve_["score"].iloc[-1] > simulator.learning_curve_["score"].iloc[0])
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "strategy": [callable],
        "filter": [BaseFilter, None],
        "n_instances": [Interval(Integral, 1, None, closed="left")],
        "n_rounds": [Interval(Integral, 0, None, closed="left"), None],
        "initial": [StrOptions({"auto", "per_class", "stratified", "random", "typiclust"}), "array-like"],
        "n_initial": [Interval(Integral, 1, None, closed="left"), None],
        "label_budget": [Interval(Integral, 1, None, closed="left"), None],
        "time_budget": [Interval(Real, 0, None, closed="left"), None],
        "stopping": [callable, list, tuple, None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, list, tuple, set, dict, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "keep_estimators": ["boolean"],
        "memory": BaseFilter._parameter_constraints["memory"],
        "callback": [callable, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        strategy: Callable[..., Any],
        filter: BaseFilter | None = None,
        *,
        n_instances: int = 20,
        n_rounds: int | None = 10,
        initial: Any = "auto",
        n_initial: int | None = None,
        label_budget: int | None = None,
        time_budget: float | None = None,
        stopping: Any = None,
        scoring: Any = None,
        validation_fraction: float | None = None,
        keep_estimators: bool = False,
        memory: Any = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.strategy = strategy
        self.filter = filter
        self.n_instances = n_instances
        self.n_rounds = n_rounds
        self.initial = initial
        self.n_initial = n_initial
        self.label_budget = label_budget
        self.time_budget = time_budget
        self.stopping = stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.keep_estimators = keep_estimators
        self.memory = memory
        self.callback = callback
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> ActiveLearningSimulator:
        """Play the loop.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            The pool, and the rows that the estimator is trained on.
        y : array-like of shape (n_rows,)
            The label of every row, which the simulated oracle reveals.
        X_val, y_val : default=None
            Validation data to compute the curve's metrics on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a row has no label, the initial labels hold only one class, a parameter is out of range,
            ``memory`` holds another run, or a line of its journal is damaged. Nothing expensive has run by
            then.
        OSError
            If ``memory`` cannot be written or is in use.

        Notes
        -----
        If ``fit`` raises, or is interrupted, the simulator is what it was before the call.
        """
        self._validate_params()
        pool = check_pool(X, text=getattr(self.filter, "text", None))
        are_classes = _is_classifier(self.estimator)
        y = check_answers(y, len(pool), are_classes=are_classes)
        has_validation = check_validation(X_val, y_val, self.validation_fraction)
        check_metrics(self.scoring, as_criteria(self.stopping), has_validation=has_validation)
        if self.memory is not None:
            check_resumable(self.strategy)
        settings = {} if self.memory is None else self._settings(pool, y, X_val, y_val)
        with unchanged_on_error(self):
            seed = None if self.random_state is None else draw_seed(self.random_state)
            with closing(Journal(self.memory, settings, seed)) as journal:
                self.seed_ = journal.seed
                rows = np.arange(len(y))
                if self.validation_fraction is not None:
                    rng = generator(self.seed_, _VALIDATION)
                    held_out = draw_held_out(y, self.validation_fraction, self.initial, are_classes, rng)
                    rows = np.setdiff1d(rows, held_out)
                    X_val, y_val = pool.take(held_out), y[held_out]
                    pool, y = Pool(pool.take(rows), text=pool.text), y[rows]
                self._play(pool, y, X_val, y_val, rows, journal)
        return self

    # ------------------------------------------------------------------ the final model

    @available_if(estimator_has("predict"))
    def predict(self, X: Any) -> Any:
        """Return the final model's predictions."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the final model's class probabilities."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return the final model's decision function."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(estimator_has("score"))
    def score(self, X: Any, y: Any) -> float:
        """Return the final model's own score on held-out rows."""
        check_is_fitted(self)
        return self.estimator_.score(X, y)

    @property
    def classes_(self) -> Any:
        """The classes of the final model."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a numeric pool."""
        return self.query_.filter_.n_features_in_

    @property
    def feature_names_in_(self) -> Any:
        """Column names of a pool that came as a DataFrame."""
        return self.query_.filter_.feature_names_in_

    # ------------------------------------------------------------------ before the first round

    def _settings(self, pool: Pool, y: np.ndarray, X_val: Any, y_val: Any) -> dict[str, Any]:
        """Return what the picks of a recorded run depend on, as plain JSON."""
        settings = {k: v for k, v in plain_settings(self).items() if k not in _NOT_IN_SETTINGS}
        validation = None if X_val is None else data_fingerprint(Pool(X_val, text=pool.text), y_val)
        return {**settings, "X and y": data_fingerprint(pool, y), "X_val and y_val": validation}

    def _seeded(self, part: Any, stream: int) -> Any:
        """Return an unfitted clone whose open random states are drawn from a stream of the run's seed."""
        part = clone(part, safe=False)
        if hasattr(part, "get_params"):
            rng = generator(self.seed_, stream)
            seed_open_states(part, lambda: int(rng.integers(2**31)))
        return part

    # ------------------------------------------------------------------ the rounds

    def _play(
        self, pool: Pool, y: np.ndarray, X_val: Any, y_val: Any, rows: np.ndarray, journal: Journal
    ) -> None:
        """Replay the recorded rounds, then play the others.

        The pool consists of the ``rows`` of the data given to :meth:`fit`.
        """
        import pandas as pd

        are_classes = _is_classifier(self.estimator)
        initial = initial_rows(
            pool,
            y,
            rows,
            self.initial,
            n_initial=self.n_initial,
            n_instances=self.n_instances,
            are_classes=are_classes,
            rng=generator(self.seed_, _INITIAL),
        )
        check_initial_labels(y[initial], are_classes=are_classes, label_budget=self.label_budget)
        self._check_journal(journal, pool, rows, y, has_metrics=X_val is not None)
        estimator = self._seeded(self.estimator, _ESTIMATOR)
        scorer = None if X_val is None else check_scoring(estimator, self.scoring)
        filter = RandomFilter(keep=1.0) if self.filter is None else self.filter
        query = PrunedQuery(self._seeded(filter, _FILTER), self._seeded(self.strategy, _STRATEGY))
        self.minority_class_ = rarest_class(y) if are_classes else None
        limits = Limits(self.n_instances, self.n_rounds, self.label_budget, self.time_budget)
        run = Run(estimator, query, pool, y, self.minority_class_)
        self.subpool_classes_ = np.unique(y) if are_classes else np.empty(0, dtype=object)
        n_classes = len(self.subpool_classes_)
        learners: list[Learner] = []
        counts: list[Any] = []
        curve: list[dict[str, Any]] = []
        reason = None
        max_labels = limits.max_labels(len(initial), len(pool.table))
        with Progress("simulating", max_labels, unit="label", verbose=self.verbose) as progress:
            while reason is None:
                if len(curve) < len(journal.rounds):
                    round_ = dict(journal.rounds[len(curve)])
                    state = round_.pop("filter_state", None)
                    run.replay(np.searchsorted(rows, round_["picked"]), round_["llm_calls"], state)
                else:
                    n_instances = limits.batch_size(len(run.labeled), run.n_eligible)
                    round_ = run.play(n_instances) if run.batches else run.play_initial(initial)
                    round_ |= self._measure(run, scorer, X_val, y_val)
                    round_["picked"] = rows[run.batches[-1]].tolist()
                    if are_classes:
                        seen = np.searchsorted(self.subpool_classes_, y[run.subpool])
                        round_["subpool_counts"] = np.bincount(seen, minlength=n_classes).tolist()
                    state = run.filter_state
                    journal.append(round_ if state is None else round_ | {"filter_state": state})
                counts.append(round_.get("subpool_counts", [np.nan] * n_classes))
                round_ = {k: v for k, v in round_.items() if k != "subpool_counts"}
                curve.append({k: v for k, v in round_.items() if k != "picked"})
                if self.keep_estimators:
                    learners.append(run.learner)
                if self.callback is not None:
                    self.callback(round_)
                progress.update(len(round_["picked"]))
                frame = pd.DataFrame(curve)
                reason = limits.reached(frame) or criterion_met(self.stopping, frame)
                if not len(run.unlabeled):
                    reason = reason or "every row is labeled"
        self.learning_curve_ = frame
        self.subpool_counts_ = np.array(counts, dtype=np.float64)
        self.stop_reason_ = reason
        self.labeled_indices_ = rows[run.labeled]
        self.estimator_ = run.learner.train()
        self.estimators_ = [learner.train() for learner in learners]
        self.query_ = query

    def _check_journal(
        self, journal: Journal, pool: Pool, rows: np.ndarray, y: np.ndarray, *, has_metrics: bool
    ) -> None:
        """Refuse recorded rounds that this run could not have played."""
        metrics = metric_names(self.scoring) if has_metrics and not callable(self.scoring) else []
        for criterion in as_criteria(self.stopping):
            metrics += getattr(criterion, "columns", ())
        journal.check(
            pool,
            rows,
            y,
            n_instances=self.n_instances,
            are_classes=_is_classifier(self.estimator),
            metrics=metrics,
        )

    def _measure(self, run: Run, scorer: Any, X_val: Any, y_val: Any) -> dict[str, Any]:
        """Return the metrics of the newest model, and the columns of the stopping criteria."""
        start = time.perf_counter()
        columns = {}
        if scorer is not None:
            score = scorer(run.learner.train(), X_val, y_val)
            scores = score if isinstance(score, dict) else {metric_names(self.scoring)[0]: score}
            columns = {k: float(v) for k, v in scores.items()}
        played = PlayedRound(run.learner, run.previous, run.pool.data, run.unlabeled, self.seed_)
        for criterion in as_criteria(self.stopping):
            columns |= criterion.measure(played) if hasattr(criterion, "measure") else {}
        return {"predict_seconds": time.perf_counter() - start, **columns}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "learning_curve_" in state:  # skops cannot save a DataFrame
            state["learning_curve_"] = state["learning_curve_"].to_dict("list")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        import pandas as pd

        if "learning_curve_" in state:
            state = {**state, "learning_curve_": pd.DataFrame(state["learning_curve_"])}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self.estimator, "__sklearn_tags__"):
            inner = get_tags(self.estimator)
            tags.estimator_type = inner.estimator_type
            tags.classifier_tags = deepcopy(inner.classifier_tags)
            tags.regressor_tags = deepcopy(inner.regressor_tags)
            tags.input_tags = deepcopy(inner.input_tags)
            tags.non_deterministic = inner.non_deterministic
        return tags


def _is_classifier(estimator: Any) -> bool:
    return hasattr(estimator, "__sklearn_tags__") and is_classifier(estimator)
