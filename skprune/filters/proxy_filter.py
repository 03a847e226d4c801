"""ProxyFilter: a cheap student of the learner scans the pool, so that the learner reads only a part of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods

from skprune.filters.vector_filter import VectorFilter
from skprune.pools import Pool
from skprune.probabilities import held_estimator, logits_of, margin_and_rare_logit, rare_columns
from skprune.selections import Selection, lowest
from skprune.streaming.vectors import by_row
from skprune.streams import generator, row_uniforms, seed_open_states
from skprune.vectors import at_least_single, squared_norms

# Rows of the pool that are predicted at a time.
_BLOCK = 16_384
# The random stream of a round that seeds the student.
_STUDENT = 1
# Stages, in the order in which they pick rows.
_STAGES = ("uncertain", "rare", "random")


class ProxyFilter(VectorFilter):
    """Keep rows that a student of the learner finds uncertain, or likely to be rare, and some random rows.

    Each round, a small regressor (the student) learns from vectors what the learner thinks about the previous
    subpool and the labeled rows. It then predicts the whole pool. The next subpool holds the rows of smallest
    predicted margin, the rows that most likely belong to a rare class, and random rows.

    Parameters
    ----------
    keep : float or int, default=1500
        Share or count of the eligible rows that survive.
    student : regressor or None, default=None
        Learns the learner's logits from vectors, and predicts the pool. None is
        :class:`~sklearn.linear_model.Ridge` with ``alpha=1``.
    shares : tuple of three floats, default=(1/3, 1/3, 1/3)
        Shares of the subpool: uncertain, rare and random rows. They sum to 1.
    encoder : None, str, path, estimator or callable, default=None
        Maps texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools
        are taken as they are.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Seed of the random rows and of the student.
    verbose : int, default=0
        1 reports the encoder's progress.

    Attributes
    ----------
    student_ : estimator or None
        The fitted student. In a round without a learner's opinion: a logistic regression on the labeled rows.
        None if fewer than two classes are known.
    rare_classes_ : list
        The rarest class by the student's predictions of the pool, and every class that is at most twice as
        frequent. Columns of the learner's probabilities, if they do not match the labeled classes.
    predicted_ : ndarray of float64, shape (n_distinct, 2), or None
        Predicted margin and predicted logit of each distinct row of the pool.
    n_asked_ : int
        Number of rows that learners have predicted for this filter since :meth:`fit`.
    n_encoded_ : int
        Number of texts that the encoder has processed since :meth:`fit`.

    See Also
    --------
    UPSFilter : Uses the learner itself, which predicts the whole pool in some rounds.
    AnchorFilter : Uses the labels only.

    Notes
    -----
    Selection via proxy [1]_ trains a small model in place of the large one. Here the small model is fitted
    again in every round to the large one's own predictions (ours).

    *The student's targets.* With two classes: the log-odds ln(p/(1 − p)), p clipped to [1e-6, 1 − 1e-6]. With
    more: one target per class, ln p minus its mean over the classes. A learner without ``predict_proba`` is
    asked for its ``decision_function``, whose values are taken as logits. The predicted margin is the
    difference between the two largest predicted logits (with two classes, the absolute log-odds). The
    predicted logit is that of the rare class, or the largest one of several rare classes.

    *Rounds without a student.* If no rows are labeled, the subpool is random. A logistic regression with
    balanced classes, on the vectors of the labeled rows, takes the student's place in the first round that
    has labels. It also does so in every round whose learner is missing, is not fitted, or has neither method.
    If the learner is not a classifier, or fewer than two classes are labeled, the subpool is random.

    *Exact sizes.* The three stages pick one after another, and none picks a row twice. Vectors are divided by
    the root mean square length of the pool's vectors, which leaves unit vectors as they are.

    Pass the learner as ``partial_fit(X, y, learner=model)``; :class:`~skprune.PrunedQuery` does so. The
    filter keeps no reference to it. The student predicts rows that :meth:`fit` has not seen.

    References
    ----------
    .. [1] Coleman et al., "Selection via Proxy: Efficient Data Selection for Deep Learning", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import ProxyFilter
    >>> pool = np.random.default_rng(0).normal(size=(1000, 8))
    >>> y = (pool[:, 0] > 1).astype(int)
    >>> pruner = ProxyFilter(keep=60, random_state=0).fit(pool, np.where(np.arange(1000) < 40, y, -1))
    >>> model = LogisticRegression().fit(pool[:60], y[:60])
    >>> kept = pruner.partial_fit(pool[40:60], y[40:60], learner=model).select(pool)
    >>> len(kept), pruner.rare_classes_, bool(y[kept[20:40]].mean() > 0.9)
    (60, [1], True)
    """

    student_: Any
    rare_classes_: list[Any]
    predicted_: Any
    _subpool: _Subpool | None

    _needs_memory = ""
    _without_labels = "the rows it keeps are random"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **VectorFilter._parameter_constraints,
        "student": [HasMethods(["fit", "predict", "get_params"]), None],
        "shares": ["array-like"],
    }

    def __init__(
        self,
        keep: float | int = 1500,
        *,
        student: Any = None,
        shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
        encoder: Any = None,
        text: Any = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.student = student
        self.shares = shares
        self.encoder = encoder
        self.text = text
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _check_sizes(self, n_rows: int) -> None:
        super()._check_sizes(n_rows)
        shares = np.asarray(self.shares, dtype=float)
        if shares.shape != (3,) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1):
            raise ValueError(
                "shares must be three numbers that are not negative and sum to 1 (uncertain, rare, random), "
                f"got {self.shares!r}"
            )

    def _fit(self, pool: Pool) -> None:
        self._embed_pool(pool)
        mean_square = float(np.mean(by_row(self._vectors, squared_norms)))
        self._scale = float(mean_square**-0.5) if mean_square > 0 else 1.0
        self._free = np.ones(len(self._table), dtype=bool)  # distinct rows that select does not pass over
        self.n_asked_ = 0
        self._forget()

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        asked = None if self._subpool is None else np.concatenate(self._subpool.stages)
        if self._excluded is self.labeled_ or self.round_ > 0:
            located = self._table.locate(pool.contents_at(np.arange(len(pool))))
            self._free = self._free.copy()
            self._free[located[located >= 0]] = False
        self._forget()  # nothing is predicted if there are no classes
        recorded = getattr(learner, "filter_state", None)
        if recorded is None:
            self.student_ = self._fit_student(learner, None if asked is None else asked[self._free[asked]])
        else:
            self.n_asked_ = recorded["n_asked"]
            self.student_ = _restored(recorded)
        if self.student_ is not None:
            self._predict_pool()
            self._subpool = self._pick_from_pool()

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_kept = self._kept_size(len(eligible), min_rows)
        known = self._subpool
        if (
            pool is self.pool_
            and known is not None
            and known.asked_for == self._asked_for(len(eligible), n_kept)
        ):
            stages = [np.searchsorted(eligible, self._table.first[numbers]) for numbers in known.stages]
        else:
            stages = self._pick(self._predicted_at(pool, eligible), self._uniforms(pool, eligible), n_kept)
        return Selection(
            np.concatenate(stages),
            lambda: _columns(stages, self._predicted_at(pool, eligible), self._uniforms(pool, eligible)),
        )

    # ------------------------------------------------------------------ the subpool

    def _pick(self, predicted: np.ndarray | None, draws: np.ndarray, n_kept: int) -> list[np.ndarray]:
        """Return the rows of each stage, best first; all rows are random if nothing is predicted."""
        if predicted is None:
            nothing = np.empty(0, dtype=np.intp)
            return [nothing, nothing, lowest(draws, n_kept, draws)]
        ends = np.floor(np.cumsum(self.shares)[:2] * n_kept + 0.5).astype(int)
        sizes = np.diff([0, *np.minimum(ends, n_kept), n_kept])
        stages: list[np.ndarray] = []
        taken = np.empty(0, dtype=np.intp)
        for values, size in zip((predicted[:, 0], -predicted[:, 1], draws), sizes, strict=True):
            best = lowest(values, size + len(taken), draws)
            stages.append(best[~np.isin(best, taken)][:size])
            taken = np.concatenate([taken, stages[-1]])
        return stages

    def _pick_from_pool(self) -> _Subpool | None:
        """Return the subpool that :meth:`select` returns for the pool given to :meth:`fit`."""
        numbers = np.flatnonzero(self._free & self._table.written)
        if not len(numbers):
            numbers = np.flatnonzero(self._free)
        if not len(numbers):
            return None
        n_kept = self._kept_size(len(numbers), 0)
        draws = row_uniforms(self._table.digests, numbers, self.seed_, self.round_)
        stages = self._pick(self.predicted_[numbers], draws, n_kept)
        return _Subpool([numbers[kept] for kept in stages], self._asked_for(len(numbers), n_kept))

    def _asked_for(self, n_rows: int, n_kept: int) -> tuple[Any, ...]:
        """Return what a subpool depends on that may change within a round."""
        return n_rows, n_kept, *self.shares

    def _predicted_at(self, pool: Pool, rows: np.ndarray) -> np.ndarray | None:
        if self.predicted_ is None:
            return None
        return self._values_at(
            pool, rows, self.predicted_, lambda unseen: self._predict(self._vectors_at(pool, unseen))
        )

    # ------------------------------------------------------------------ the student

    def _forget(self) -> None:
        self.student_ = None
        self.rare_classes_ = []
        self.predicted_ = None
        self._subpool = None

    @property
    def journal_state_(self) -> dict[str, Any] | None:
        """The student as plain JSON, so that a resumed run need not ask old learners again.

        None if the student is not linear.
        """
        if self.student_ is None:
            return {"n_asked": self.n_asked_, "coef": None}
        if not isinstance(self.student_, (Ridge, LogisticRegression)):
            return None
        weights, intercept = _linear(self.student_)
        return {"n_asked": self.n_asked_, "coef": weights.tolist(), "intercept": intercept.tolist()}

    def _fit_student(self, learner: Any, asked: np.ndarray | None) -> Any:
        """Return a student of the learner's logits, else of the labels; None if there are no classes."""
        rows: Any = self.labeled_.pool
        vectors = self._vectors_at(rows, np.arange(len(rows))) * self._scale
        logits = None
        if learner is not None and asked is not None:
            logits = logits_of(learner, rows.like(self.pool_), needed_by=type(self).__name__)
        if logits is None:
            if learner is None or _may_classify(held_estimator(learner)):
                return _classifier_of(vectors, self.labeled_.y)
            return None
        if asked is not None and len(asked):
            X = self.pool_.take(self._table.first[asked])
            more: Any = logits_of(learner, X, needed_by=type(self).__name__)
            logits = np.concatenate([logits, more])
            vectors = _stacked(vectors, self._distinct_vectors(asked) * self._scale)
        self.n_asked_ += len(logits)
        return self._imitate(vectors, logits)

    def _imitate(self, vectors: Any, logits: np.ndarray) -> Any:
        """Return a student that is fitted to the learner's logits."""
        student = Ridge(alpha=1.0) if self.student is None else clone(self.student)
        rng = generator(self.seed_, self.round_, _STUDENT)
        seed_open_states(student, lambda: int(rng.integers(2**31)))
        if logits.shape[1] == 1:
            return student.fit(vectors, logits[:, 0])
        if not get_tags(student).target_tags.multi_output:
            student = MultiOutputRegressor(student)
        return student.fit(vectors, logits)

    def _predict_pool(self) -> None:
        """Predict every distinct row of the pool, and find out which classes are rare."""
        logits = by_row(self._vectors, _logits, self.student_, self._scale)
        if not self.pool_.holds_texts:
            logits = logits[self._table.first]
        self._rare = rare_columns(logits)
        self.predicted_ = margin_and_rare_logit(logits, self._rare)
        classes = _classes_of(self.labeled_.y)
        if len(classes) != max(2, logits.shape[1]):
            classes = list(range(max(2, logits.shape[1])))
        self.rare_classes_ = [classes[column] for column in self._rare]

    def _predict(self, vectors: Any) -> np.ndarray:
        return margin_and_rare_logit(_logits(vectors, self.student_, self._scale), self._rare)

    def _distinct_vectors(self, numbers: np.ndarray) -> Any:
        rows = numbers if self.pool_.holds_texts else self._table.first[numbers]
        return at_least_single(self._vectors[rows])


@dataclass
class _Subpool:
    """A subpool of the pool given to ``fit``: numbers of distinct rows by stage, and its size and shares."""

    stages: list[np.ndarray]
    asked_for: tuple[Any, ...]


def _classifier_of(vectors: Any, labels: np.ndarray) -> Any:
    """Return a logistic regression with balanced classes, or None if there are not two classes."""
    classes = _classes_of(labels)
    if len(classes) < 2 or any(isinstance(c, float) and not c.is_integer() for c in classes):
        return None
    number = {label: i for i, label in enumerate(classes)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough ranking is enough
        model = LogisticRegression(class_weight="balanced", max_iter=1000)
        return model.fit(vectors, [number[label] for label in labels.tolist()])


def _logits(vectors: Any, student: Any, scale: float) -> np.ndarray:
    """Return the student's logits: one column for two classes, else one per class."""
    if isinstance(student, (Ridge, LogisticRegression)):  # one product, without a scaled copy
        weights, intercept = _linear(student)
        weights = (weights.T * scale).astype(np.result_type(vectors.dtype, np.float32))
        parts = [vectors] if sp.issparse(vectors) else _blocks(vectors)
        return np.concatenate([part @ weights for part in parts]) + intercept
    found = [student.predict(at_least_single(block) * scale) for block in _blocks(vectors)]
    return np.concatenate(found).reshape(vectors.shape[0], -1)


def _linear(student: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients, one row per target, and the intercepts of a linear student."""
    return np.atleast_2d(np.float64(student.coef_)), np.atleast_1d(np.float64(student.intercept_))


def _restored(state: dict[str, Any]) -> Any:
    """Return the student that :attr:`ProxyFilter.journal_state_` describes."""
    if state["coef"] is None:
        return None
    student = Ridge()
    student.coef_, student.intercept_ = np.array(state["coef"]), np.array(state["intercept"])
    student.n_features_in_ = student.coef_.shape[1]
    return student


def _classes_of(labels: np.ndarray) -> list[Any]:
    """Return the different labels in the order in which scikit-learn numbers them."""
    different = set(labels.tolist())
    try:
        return sorted(different)
    except TypeError:
        return sorted(different, key=lambda label: (type(label).__name__, repr(label)))


def _may_classify(estimator: Any) -> bool:
    """Return whether an estimator is a classifier, or does not say what it is."""
    if hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function"):
        return True
    return not hasattr(estimator, "__sklearn_tags__") or is_classifier(estimator)


def _blocks(vectors: Any) -> list[Any]:
    return [vectors[start : start + _BLOCK] for start in range(0, vectors.shape[0], _BLOCK)]


def _stacked(above: Any, below: Any) -> Any:
    if sp.issparse(above) or sp.issparse(below):
        return sp.vstack([sp.csr_array(above), sp.csr_array(below)], format="csr")
    return np.concatenate([above, below])


def _columns(stages: list[np.ndarray], predicted: np.ndarray | None, draws: np.ndarray) -> dict[str, Any]:
    n_rows = len(draws)
    values = np.full((n_rows, 2), np.nan) if predicted is None else predicted
    stage = np.full(n_rows, "", dtype=object)
    reason = np.full(n_rows, "not drawn", dtype=object)
    if predicted is not None:
        reason[:] = "neither uncertain enough, nor likely enough to be rare, nor drawn"
    threshold = np.full(n_rows, values[stages[0][-1], 0] if len(stages[0]) else np.nan)
    why = (
        "kept: among the smallest predicted margins",
        "kept: among the rows most likely to be rare",
        "kept: drawn at random",
    )
    for name, kept, because, measure in zip(_STAGES, stages, why, (*values.T, draws), strict=True):
        stage[kept], reason[kept] = name, because
        if len(kept):
            threshold[kept] = measure[kept[-1]]
    return {
        "stage": stage,
        "predicted_margin": values[:, 0],
        "predicted_logit": values[:, 1],
        "threshold": threshold,
        "reason": reason,
    }
