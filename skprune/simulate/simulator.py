"""Active learning on data whose labels are known: the loop and its learning curve."""

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
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, column_or_1d, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skprune.base import BaseFilter
from skprune.compose import estimator_has
from skprune.containers import take_rows
from skprune.filters.random import RandomFilter
from skprune.pools import check_labels, check_pool
from skprune.query import PrunedQuery
from skprune.simulate.journal import Journal, data_fingerprint, describe
from skprune.simulate.rounds import Learner, Run, draw_initial
from skprune.simulate.stopping import PlayedRound, ValidationPlateau
from skprune.streams import draw_seed, generator

# Streams of a run's seed.
_INITIAL, _VALIDATION, _ESTIMATOR, _STRATEGY, _FILTER = range(5)
# Parameters that a run in a folder may be prolonged with, and those that change no pick.
_FREE = {"n_rounds", "label_budget", "time_budget", "keep_estimators", "folder", "callback", "random_state"}

# What a round records beside its metrics, which must not go by these names.
_COLUMNS = {
    "round",
    "labels",
    "pool",
    "subpool",
    "select_seconds",
    "train_seconds",
    "predict_seconds",
    "llm_calls",
    "minority_found",
    "picked",
}


class ActiveLearningSimulator(MetaEstimatorMixin, BaseEstimator):
    """Play active learning on data whose labels are known, and predict with the model it ends with.

    Some rows are labeled to begin with; in each round the filter prunes the pool, the strategy picks
    ``n_instances`` of what is left, ``y`` gives their labels, and the estimator is trained anew on all rows
    labeled so far.

    Parameters
    ----------
    estimator : estimator
        Anything with ``fit`` and ``predict``: a classifier, a pipeline that reads texts, a skorch net, a
        sequence-to-sequence model whose ``y`` are texts.
    strategy : callable
        ``(learner, X, n_instances=...) -> (indices, metrics)``; one of :mod:`skprune.strategies`, of modAL,
        or your own.
    filter : BaseFilter or None, default=None
        None prunes nothing: the strategy looks at every row without a label.
    n_instances : int, default=20
        Labels a round.
    n_rounds : int or None, default=10
        Rounds after the initial labels. None goes on until a budget, a criterion or the pool's end stops it.
    initial : {"auto", "per_class", "stratified", "random"} or array-like of int, default="auto"
        Which rows are labeled before the first round. ``"per_class"``: one of each class, the others at
        random. ``"stratified"``: in the classes' proportions; a rare class may get none. ``"random"``: at
        random. An array names the rows. ``"auto"`` is ``"per_class"`` for classifiers, else ``"random"``.
    n_initial : int or None, default=None
        How many. None is ``n_instances``, and with ``"per_class"`` no fewer than there are classes. An array
        knows by itself.
    label_budget : int or None, default=None
        Most labels in all, initial ones included. It is hit exactly: the last round may be a small one.
    time_budget : float or None, default=None
        Seconds of selecting, training and predicting after which no new round begins, over all the
        processes that a resumed run took.
    stopping : callable or list of callables, default=None
        Criteria of :mod:`skprune.simulate`, or functions ``curve -> bool``. The run ends when one says so.
    scoring : str, callable, list, dict or None, default=None
        Metrics of the learning curve, as in :func:`~sklearn.model_selection.cross_validate`. None is the
        estimator's own ``score``. Needs validation data.
    validation_fraction : float or None, default=None
        Share of the rows that is held out of the pool to compute the metrics on, by class for a classifier.
        Not together with ``X_val``.
    keep_estimators : bool, default=False
        Keep the model of every round in ``estimators_``. :class:`LearningCurveScorer` needs them.
    folder : path or None, default=None
        Where the rounds are written as they are played (``journal.jsonl``), to go on from after a crash.
    callback : callable, default=None
        Called after every round, also for those found in ``folder``, with a dict: the round's row of
        ``learning_curve_``, and the rows ``picked``.
    random_state : int, RandomState or None, default=None
        Also seeds every ``random_state`` of estimator, strategy and filter that is None.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    estimator_ : estimator
        The model of the last round.
    estimators_ : list of estimators
        Those of all rounds, with ``keep_estimators``.
    query_ : PrunedQuery
        The fitted filter and the strategy.
    learning_curve_ : DataFrame of one row a round
        ``round`` (0: the initial labels), ``labels`` (so far), ``pool`` (rows without a label when the round
        began), ``subpool`` (rows the strategy looked at), ``select_seconds`` (filter and strategy, the
        model's predictions for them included; in round 0 the filter's ``fit``), ``train_seconds``,
        ``llm_calls`` (texts that the filter's LLM was run on so far), ``minority_found`` (share of the rows
        of the rarest class that are labeled), ``predict_seconds`` (on the validation data, and for stopping
        criteria), the metrics, and what stopping criteria measured.
    labeled_indices_ : ndarray of intp, shape (n_labels,)
        The rows of ``X`` that were labeled, in order.
    minority_class_ : object
        The rarest class of ``y``; only for classifiers.
    stop_reason_ : str
        Why it ended.
    seed_ : int
        What ``random_state`` stands for.
    classes_ : ndarray of shape (n_classes,)
        Those of ``estimator_``.

    See Also
    --------
    LearningCurveScorer : For ``GridSearchCV(scoring=...)``.
    PrunedQuery : A round's query.

    Notes
    -----
    *Which rows.* Rows are known by content: a copy of a labeled row is not asked for again, with or
    without a filter, so that runs with and without one differ in the pruning alone. Two copies may be
    asked for in one batch, where the strategy names both: take distinct rows where that wastes labels.

    *Which scores.* ``score`` and the methods of prediction are those of the last model. The learning curve's
    metrics are computed on rows that were never in the pool. In a search the held-out fold plays that part:
    set ``keep_estimators=True`` and score with :class:`LearningCurveScorer`.

    *Resuming.* With ``folder``, a run that was killed at any point makes the same picks when it is started
    again with the same data and parameters, as long as the estimator draws its random numbers from a
    ``random_state``. The recorded rounds are told to the filter one by one; a model of a past round is
    trained again only if the filter asks for it (UPSFilter does). ``n_rounds``, the budgets and
    ``keep_estimators`` may change, so that a finished run can be prolonged. A folder of another run is
    refused.

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
        "initial": [StrOptions({"auto", "per_class", "stratified", "random"}), "array-like"],
        "n_initial": [Interval(Integral, 1, None, closed="left"), None],
        "label_budget": [Interval(Integral, 1, None, closed="left"), None],
        "time_budget": [Interval(Real, 0, None, closed="left"), None],
        "stopping": [callable, list, tuple, None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, list, tuple, set, dict, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "keep_estimators": ["boolean"],
        "folder": [str, HasMethods(["__fspath__"]), None],
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
        folder: Any = None,
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
        self.folder = folder
        self.callback = callback
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> ActiveLearningSimulator:
        """Play the loop.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            The pool, and what the estimator is trained on.
        y : array-like of shape (n_rows,)
            The label of every row: what the oracle answers.
        X_val, y_val : default=None
            Rows to compute the curve's metrics on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a row has no label, the initial labels hold one class only, a parameter is out of range, or
            ``folder`` holds another run. Nothing expensive has run by then.
        OSError
            If ``folder`` cannot be written or is in use.
        """
        self._validate_params()
        y = self._check(X, y, X_val, y_val)
        settings = {} if self.folder is None else self._settings(X, y, X_val, y_val)
        seed = None if self.random_state is None else draw_seed(self.random_state)
        with closing(Journal(self.folder, settings, seed)) as journal:
            self.seed_ = journal.seed
            rows, held_out = self._split(y)
            if len(held_out):
                X_val, y_val = take_rows(X, held_out), y[held_out]
                X, y = take_rows(X, rows), y[rows]
            self._play(X, y, X_val, y_val, rows, journal)
        return self

    # ------------------------------------------------------------------ the final model

    @available_if(estimator_has("predict"))
    def predict(self, X: Any) -> Any:
        """Return what the final model predicts."""
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
        """Classes of the final model."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Columns of a numeric pool."""
        return self.query_.filter_.n_features_in_

    @property
    def feature_names_in_(self) -> Any:
        """Their names, where the pool was a DataFrame."""
        return self.query_.filter_.feature_names_in_

    # ------------------------------------------------------------------ before the first round

    def _check(self, X: Any, y: Any, X_val: Any, y_val: Any) -> np.ndarray:
        """Validate the data, and return ``y`` as an array."""
        pool = check_pool(X)
        if isinstance(y, (list, tuple)) and y and isinstance(y[0], str):
            y = np.array(y, dtype=object)  # texts of all lengths may be labels
        y = column_or_1d(y, warn=True)
        y, known = check_labels(y, len(pool))
        if not known.all():
            row = int(np.argmin(known))
            raise ValueError(f"y[{row}] is {y[row]}, which means no label: the oracle must know every row's")
        assert_all_finite(y, input_name="y")
        if _is_classifier(self.estimator):
            check_classification_targets(y)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together")
        validates = X_val is not None or self.validation_fraction is not None
        if X_val is not None and self.validation_fraction is not None:
            raise ValueError("pass X_val and y_val, or validation_fraction, not both")
        if taken := _COLUMNS & set(self._metrics()):
            raise ValueError(f"scoring must not use names of the curve's own columns: {sorted(taken)}")
        if self.folder is not None and isinstance(
            getattr(self.strategy, "random_state", None), np.random.RandomState
        ):
            raise ValueError(
                "strategy has a RandomState, which no resumed run can bring to where it was: give it a number"
            )
        for criterion in self._criteria():
            if isinstance(criterion, ValidationPlateau) and not (validates and callable(self.scoring)):
                criterion.check(self._metrics() if validates else ())
        return y

    def _metrics(self) -> list[str]:
        """Return the names of the metrics, unless a function of the user's returns them."""
        if self.scoring is None or callable(self.scoring):
            return ["score"]
        return [self.scoring] if isinstance(self.scoring, str) else list(self.scoring)

    def _settings(self, X: Any, y: np.ndarray, X_val: Any, y_val: Any) -> dict[str, Any]:
        """Return what a recorded run depends on, as plain JSON."""
        settings = {k: v for k, v in describe(self).items() if k not in _FREE}
        validation = None if X_val is None else data_fingerprint(X_val, y_val)
        return {**settings, "X and y": data_fingerprint(X, y), "X_val and y_val": validation}

    def _split(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the pool, and those held out of it."""
        rows = np.arange(len(y))
        if self.validation_fraction is None:
            return rows, rows[:0]
        free = rows if isinstance(self.initial, str) else np.setdiff1d(rows, self.initial)
        stratify = y[free] if _is_classifier(self.estimator) else None
        if stratify is not None and np.unique(stratify, return_counts=True)[1].min() < 2:
            stratify = None  # a class of one row cannot stand on both sides
        seed = int(generator(self.seed_, _VALIDATION).integers(2**31))
        _, held_out = train_test_split(
            free, test_size=self.validation_fraction, stratify=stratify, random_state=seed
        )
        return np.setdiff1d(rows, held_out), np.sort(held_out)

    def _initial_rows(self, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return which of the pool's rows are labeled before the first round."""
        classifies = _is_classifier(self.estimator)
        if isinstance(self.initial, str):
            how = self.initial
            if how == "auto":
                how = "per_class" if classifies else "random"
            n_initial = self.n_initial
            if n_initial is None:
                n_classes = len(np.unique(y)) if how == "per_class" else 1
                n_initial = min(max(self.n_instances, n_classes), len(y))
            picked = draw_initial(y, how, n_initial, generator(self.seed_, _INITIAL))
        else:
            named = np.asarray(self.initial)
            if named.ndim != 1 or named.dtype.kind not in "iu" or not len(named):
                raise ValueError("initial must be a way to draw rows, or the positions of at least one row")
            if not np.isin(named, rows).all() or len(np.unique(named)) < len(named):
                raise ValueError("initial must name rows of X, each once")
            picked = np.searchsorted(rows, named)
        if self.label_budget is not None and len(picked) > self.label_budget:
            raise ValueError(
                f"label_budget={self.label_budget} is less than the {len(picked)} initial labels"
            )
        if classifies and len(np.unique(y[picked])) < 2:
            raise ValueError(
                f"the {len(picked)} initial labels hold one class only ({y[picked[0]]}): "
                "take initial='per_class' or a larger n_initial"
            )
        return picked

    # ------------------------------------------------------------------ the rounds

    def _play(
        self, X: Any, y: np.ndarray, X_val: Any, y_val: Any, rows: np.ndarray, journal: Journal
    ) -> None:
        """Play the rounds on the pool ``X``, the ``rows`` of what the user gave; retell the recorded ones."""
        import pandas as pd
        from tqdm import tqdm

        initial = self._initial_rows(y, rows)
        estimator = _seeded(self.estimator, self.seed_, _ESTIMATOR)
        scorer = None if X_val is None else check_scoring(estimator, self.scoring)
        query = PrunedQuery(
            _seeded(RandomFilter(keep=1.0) if self.filter is None else self.filter, self.seed_, _FILTER),
            _seeded(self.strategy, self.seed_, _STRATEGY),
        )
        self.minority_class_ = _rarest(y) if _is_classifier(self.estimator) else None
        run = Run(estimator, query, X, y)
        learners: list[Learner] = []
        curve: list[dict[str, Any]] = []
        reason = None
        with tqdm(
            total=self._most_labels(len(initial), len(y)), unit="label", disable=not self.verbose
        ) as bar:
            while reason is None:
                if len(curve) < len(journal.rounds):
                    round_ = journal.rounds[len(curve)]
                    run.retell(np.searchsorted(rows, round_["picked"]), round_["llm_calls"])
                else:
                    round_ = self._play_round(run, initial)
                    round_ |= self._measure(run, scorer, X_val, y_val)
                    round_["picked"] = rows[run.news].tolist()
                    journal.append(round_)
                curve.append({k: v for k, v in round_.items() if k != "picked"})
                if self.keep_estimators:
                    learners.append(run.learner)
                if self.callback is not None:
                    self.callback(round_)
                bar.update(len(run.news))
                frame = pd.DataFrame(curve)
                reason = self._stop_reason(frame, run)
        self.learning_curve_ = frame
        self.stop_reason_ = reason
        self.labeled_indices_ = rows[run.known]
        self.estimator_ = run.learner.train()
        self.estimators_ = [learner.train() for learner in learners]
        self.query_ = query

    def _play_round(self, run: Run, initial: np.ndarray) -> dict[str, Any]:
        """Pick rows, label them and train."""
        start = time.perf_counter()
        n_left, subpool, seconds = len(run.unlabeled), 0, run.fit_seconds
        if run.n_rounds == 0:
            picked = initial
        else:
            run.tell_news()
            n_instances = min(self.n_instances, n_left)
            if self.label_budget is not None:
                n_instances = min(n_instances, self.label_budget - len(run.known))
            picked, _ = run.query(run.learner, run.X, n_instances=n_instances)
            n_distinct = len(set(picked.tolist()))
            if not n_distinct == len(picked) == n_instances:
                raise ValueError(
                    f"strategy={self.strategy!r} was asked for {n_instances} rows and named {len(picked)}, "
                    f"of which {n_distinct} differ"
                )
            subpool, seconds = len(run.query.subpool_), time.perf_counter() - start
        run.label(picked)
        start = time.perf_counter()
        run.learner.train()
        found = np.nan
        if self.minority_class_ is not None:
            is_rare = run.y == self.minority_class_
            found = float(is_rare[run.known].sum() / is_rare.sum())
        return {
            "round": run.n_rounds - 1,
            "labels": len(run.known),
            "pool": n_left,
            "subpool": subpool,
            "select_seconds": seconds,
            "train_seconds": time.perf_counter() - start,
            "llm_calls": run.n_llm_calls,
            "minority_found": found,
        }

    def _measure(self, run: Run, scorer: Any, X_val: Any, y_val: Any) -> dict[str, Any]:
        """Return the metrics of the newest model, and what stopping criteria look at."""
        start = time.perf_counter()
        columns = {}
        if scorer is not None:
            score = scorer(run.learner.train(), X_val, y_val)
            scores = score if isinstance(score, dict) else {self._metrics()[0]: score}
            columns = {k: float(v) for k, v in scores.items()}
        played = PlayedRound(run.learner, run.previous, run.X, run.unlabeled, self.seed_)
        for criterion in self._criteria():
            columns |= criterion.measure(played) if hasattr(criterion, "measure") else {}
        return {"predict_seconds": time.perf_counter() - start, **columns}

    def _criteria(self) -> list[Callable[[Any], bool]]:
        if self.stopping is None:
            return []
        return [self.stopping] if callable(self.stopping) else list(self.stopping)

    def _stop_reason(self, curve: Any, run: Run) -> str | None:
        """Return why no further round is played, None if one is."""
        if self.n_rounds is not None and len(curve) > self.n_rounds:
            return "n_rounds"
        if self.label_budget is not None and len(run.known) >= self.label_budget:
            return "label_budget"
        if self.time_budget is not None:
            spent = curve[["select_seconds", "train_seconds", "predict_seconds"]].to_numpy().sum()
            if spent >= self.time_budget:
                return "time_budget"
        for criterion in self._criteria():
            if criterion(curve):
                return getattr(criterion, "__name__", None) or repr(criterion)
        return None if len(run.unlabeled) else "every row is labeled"

    def _most_labels(self, n_initial: int, n_rows: int) -> int:
        """Return how many labels the run may ask for at the most."""
        limits = [n_rows]
        if self.n_rounds is not None:
            limits.append(n_initial + self.n_rounds * self.n_instances)
        if self.label_budget is not None:
            limits.append(self.label_budget)
        return min(limits)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "learning_curve_" in state:  # skops can keep no frame
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


def _rarest(y: np.ndarray) -> Any:
    """Return the rarest class, the first of several in sorted order."""
    classes, counts = np.unique(y, return_counts=True)
    return classes[counts.argmin()]


def _is_classifier(estimator: Any) -> bool:
    return hasattr(estimator, "__sklearn_tags__") and is_classifier(estimator)


def _seeded(part: Any, seed: int, stream: int) -> Any:
    """Return an unfitted copy, with a seed of its own for every ``random_state`` that is None."""
    part = clone(part, safe=False)
    if hasattr(part, "get_params"):
        rng = generator(seed, stream)
        params = part.get_params()
        for name, value in sorted(params.items()):
            is_open = name.rpartition("__")[2] == "random_state" and value is None
            if is_open:
                part.set_params(**{name: int(rng.integers(2**31))})
    return part
