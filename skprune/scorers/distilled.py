"""An expensive teacher scores a few texts of the pool; a cheap student predicts the scores of the others.

The file is long because the class documents a design of our own; student and columns have files of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skprune.cost import ModelUse
from skprune.encoders import make_encoder
from skprune.fitting import check_clones_keep_fit, fitted_on, learns_from_pool, unwrapped
from skprune.hub.fingerprints import digest_of
from skprune.pools import check_texts
from skprune.row_table import RowTable, digests
from skprune.scorers.language_model import ScoreBatches, score_distinct
from skprune.scorers.student import N_FOLDS, Student, agreement, calls_needed
from skprune.scorers.text_columns import TextColumns
from skprune.selections import lowest, size_of
from skprune.store import Remembered
from skprune.streams import draw_seed, generator, row_uniforms
from skprune.transaction import unchanged_on_error

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes
_MIN_CALLS = 20  # fewer scores say nothing about the student
_TEACHER_BATCH = 32  # texts per call of a plain callable: a crash loses at most these
_BLOCK = 16_384  # texts that are predicted at a time
# Texts of which the sample is drawn, in all and per call of the teacher: their vectors are in memory at once.
_MIN_CANDIDATES, _CANDIDATES_PER_CALL = 20_000, 2
_MAX_CLUSTERS = 100
_N_ROUNDS = 4  # batches of texts near the cut
_CROWD = 4  # a batch is drawn from this many times as many texts nearest to the cut
# Random streams.
_DRAWS, _START, _CLUSTERS, _STUDENT = range(4)


class DistilledScorer(BaseEstimator):
    """Score texts as a teacher would: it scores a few of them, and a student predicts the others.

    Parameters
    ----------
    teacher : scorer or callable
        The score to imitate, ``texts -> (n,)``, in any unit: a :class:`~skprune.QualityScorer`, a
        :class:`~skprune.CausalLMScorer`, or any callable. As everywhere, a clone of an unfitted scorer is
        fitted on the pool, and a FrozenEstimator keeps its fit.
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer.
    n_calls : float or int, default=0.02
        Share or count of the distinct texts given to :meth:`fit` that the teacher scores. A share stands for
        at least 20 texts. A pool that has fewer texts than that is scored by the teacher as a whole.
    active_share : float, default=0.5
        Share of these texts that are picked close to the cut rather than at random.
    top : float, default=0.25
        Share of the pool above the cut: what you intend to keep.
    greater_is_better : bool or None, default=None
        Whether the best texts have the highest scores. None: a filter that fits the scorer as its
        ``perplexity`` sets False; otherwise True.
    student : regressor or None, default=None
        Any scikit-learn regressor. None: a ridge regression whose penalty minimizes the leave-one-out error.
    covariate : None, scorer or callable, default=None
        A cheap score of every text that becomes one more column for the student, such as ``NGramScorer()``.
    min_recall : float, default=0.8
        :meth:`fit` warns if ``recall_`` is lower. 0 never warns.
    memory : None or path, default=None
        Where the teacher's scores and the vectors are kept: in this process, or in a folder. None: a filter
        that fits the scorer passes on its own ``memory``.
    random_state : int, RandomState or None, default=0
        Seed of the sample. With an int, clones, folds and a resumed run ask about the same texts of the same
        pool. None pays the teacher anew in each fit.
    verbose : int, default=0
        1 reports the student's reliability, and the progress of an encoder that is made here.

    Attributes
    ----------
    student_ : regressor
        The fitted student.
    sample_ : ndarray of object, shape (n_judged,)
        The texts that the teacher scored. Those of the random part come first.
    sample_scores_ : ndarray of float64, shape (n_judged,)
        Their scores.
    n_calls_ : int
        Number of texts that the teacher scored in this :meth:`fit`; the store held the other scores.
    spearman_, r2_, recall_ : float
        How well predictions agree with the teacher: rank correlation, coefficient of determination, and share
        of the teacher's ``top`` that is in the student's. They are out of fold, over the random part of the
        sample. NaN if it has fewer than ten finite scores.
    n_calls_needed_ : int or None
        If ``recall_`` is below ``min_recall``: the ``n_calls`` that would reach it, extrapolated; None if the
        learning curve does not tell.

    See Also
    --------
    AskLLMFilter : ``AskLLMFilter(quality=DistilledScorer(teacher))`` keeps the best of the whole pool.
    ActivePruneFilter : Also takes it as ``quality``.
    QualityScorer : The usual teacher.

    Notes
    -----
    FineWeb-Edu [1]_ trains a regression on an LLM's scores of some texts, and scores the rest of the corpus
    with it. The choice of texts, the measures of reliability and the intervals are our own design:

    *The random part of the sample.* k-means groups the vectors, and a systematic sample runs through the
    texts in the order of their clusters, so that every cluster is represented and every text has the same
    chance. The measures and the intervals rest on this part alone: texts close to the cut are harder than
    others.

    *The part close to the cut.* In four batches, the teacher scores texts whose predicted score is closest to
    the ``1 - top`` quantile, in units of its uncertainty (uncertainty sampling with a random element, as in
    [2]_). Each batch is a random quarter of the closest texts, because the closest ones resemble each other.

    *The student* sees the vectors, divided by their root mean square length, and the standardized logarithm
    of the text's length, clipped at three standard deviations. A text that the teacher scored keeps the
    teacher's score. Infinite scores are kept but not learned from.

    *Intervals.* Out-of-fold errors, in units of a row's uncertainty, are the conformity scores of a
    cross-conformal predictor. The uncertainty adds the out-of-fold error of the sample to the delete-a-group
    jackknife variance of the prediction. Coverage holds on average over texts like those of the pool, not for
    each kind of text; with folds in place of a separate calibration set it is approximate.

    *What fits it.* A filter fits a clone on the whole pool, labeled rows included, when the filter itself is
    fitted. So in :class:`ActivePruneFilter` the sample comes from the pool, although only the candidates are
    scored afterwards. The filter's ``llm_budget`` counts the texts that this scorer is asked for; ``n_calls``
    bounds the teacher.

    *Cost.* The sample is drawn from at most 20,000 texts, or two per call if that is more, so :meth:`fit`
    does not grow with the pool. Texts are encoded and predicted 16,384 at a time.

    The sample depends on the content of the pool, not on its order or on copies. The fingerprint consists of
    the teacher's, the sample with its scores, the encoder's and the student's settings.

    References
    ----------
    .. [1] Penedo et al., "The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale", NeurIPS
       2024.
    .. [2] Lewis and Gale, "A Sequential Algorithm for Training Text Classifiers", SIGIR 1994.

    Examples
    --------
    >>> from skprune import AskLLMFilter
    >>> from skprune.scorers import DistilledScorer
    >>> pool = [f"{mood} film number {i}" for i in range(100) for mood in ("good", "bad")]
    >>> expensive = lambda texts: [float("good" in text) for text in texts]
    >>> scorer = DistilledScorer(expensive, n_calls=40, top=0.5).fit(pool)
    >>> scorer.n_calls_, scorer.recall_
    (40, 1.0)
    >>> (scorer(["good film number 101", "bad film number 102"]) > 0.5).tolist()
    [True, False]
    >>> ask = AskLLMFilter(keep=50, quality=DistilledScorer(expensive, n_calls=40, top=0.5))
    >>> {text.split()[0] for text in ask.fit_transform(pool)}
    {'good'}
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "teacher": [callable, FrozenEstimator],
        "encoder": "no_validation",  # make_encoder checks it
        "n_calls": [
            Interval(Real, 0, 1, closed="right"),
            Interval(Integral, _MIN_CALLS, None, closed="left"),
        ],
        "active_share": [Interval(Real, 0, 1, closed="left")],
        "top": [Interval(Real, 0, 1, closed="neither")],
        "greater_is_better": ["boolean", None],
        "student": [HasMethods(["fit", "predict", "get_params"]), None],
        "covariate": [callable, FrozenEstimator, None],
        "min_recall": [Interval(Real, 0, 1, closed="both")],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        teacher: Any,
        *,
        encoder: Any = None,
        n_calls: float | int = 0.02,
        active_share: float = 0.5,
        top: float = 0.25,
        greater_is_better: bool | None = None,
        student: Any = None,
        covariate: Any = None,
        min_recall: float = 0.8,
        memory: Any = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.teacher = teacher
        self.encoder = encoder
        self.n_calls = n_calls
        self.active_share = active_share
        self.top = top
        self.greater_is_better = greater_is_better
        self.student = student
        self.covariate = covariate
        self.min_recall = min_recall
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> DistilledScorer:
        """Let the teacher score a sample of the pool, and fit the student to its scores.

        Parameters
        ----------
        X : sequence of str
            The pool. Blank texts are left out.
        y : ignored
            Not used; present for API consistency.

        Returns
        -------
        DistilledScorer
            The scorer itself. If :meth:`fit` raises, it is what it was before; the scores that the teacher
            has given stay in the store, and the next fit with the same int ``random_state`` uses them.

        Raises
        ------
        ValueError
            If a text is missing, all texts are blank, the teacher returns NaN or only infinite scores, or
            ``teacher``, ``encoder`` or ``covariate`` is fitted and not frozen.

        Warns
        -----
        UserWarning
            If ``recall_`` is below ``min_recall``, or the sample is too small to measure it.
        """
        self._validate_params()
        self._check_parts()
        table = RowTable(check_texts(X, name="X"))
        by_content = table.by_content()
        rows = by_content[table.written[by_content]]
        if not len(rows):
            raise ValueError("X holds only blank texts: there is nothing for the teacher to score")
        texts, hashes = table.keys[rows], table.digests[rows]
        with unchanged_on_error(self):
            self._seed = draw_seed(self.random_state)
            self._sign = 1.0 if self.greater_is_better in (None, True) else -1.0
            encoder = fitted_on(make_encoder(self.encoder, verbose=self.verbose), texts, name="encoder")
            encode = Remembered(encoder, self.memory, name="encoder")
            covariate = None
            if self.covariate is not None:
                scorer = fitted_on(self.covariate, texts, name="covariate")
                covariate = Remembered(scorer, self.memory, name="covariate", batch_size=_BLOCK)
            teacher = fitted_on(self.teacher, texts, name="teacher")
            ask = Remembered(teacher, self.memory, name="teacher", batch_size=_TEACHER_BATCH)
            self._learn(texts, hashes, ask, encode, covariate)
            self.n_calls_ = ask.n_computed
            self._fingerprint = self._identify(ask)
        self._report(len(rows))
        return self

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the teacher's score of each text if it is in the sample, else the student's prediction.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Scores in the unit of the teacher.

        Raises
        ------
        NotFittedError
            If the scorer is not fitted.
        """
        return score_distinct(self.iter_scores, texts)

    def iter_scores(self, texts: Sequence[str]) -> ScoreBatches:
        """Yield (positions, scores) of 16,384 texts at a time; ``texts`` are checked and distinct."""
        for rows, block, located in self._blocks(texts):
            scores = self.sample_scores_[located]
            unknown = located < 0
            if unknown.any():
                scores[unknown] = self._student.predict(self._columns(block[unknown]))
            yield rows, scores

    def predict_interval(self, texts: Sequence[str], coverage: float = 0.9) -> NDArray[np.float64]:
        """Return an interval for the teacher's score of each text.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.
        coverage : float, default=0.9
            Share of texts like those of the pool whose score the interval should contain.

        Returns
        -------
        ndarray of float64, shape (n_texts, 2)
            Lower and upper bounds in the unit of the teacher. Both are the score if the teacher gave it. They
            are infinite if the random part of the sample is too small for this coverage: it needs
            ``1 / (1 - coverage) - 1`` finite scores.

        Raises
        ------
        NotFittedError
            If the scorer is not fitted.
        ValueError
            If ``coverage`` is not between 0 and 1.
        """
        check_is_fitted(self)
        check_scalar(coverage, "coverage", Real, min_val=0, max_val=1, include_boundaries="neither")
        checked = check_texts(texts)
        n = len(self._conformity)
        rank = int(np.ceil(coverage * (n + 1) - 1e-9))
        factor = self._conformity[rank - 1] if rank <= n else np.inf
        bounds = np.empty((len(checked), 2))
        for rows, block, located in self._blocks(checked):
            part = np.repeat(self.sample_scores_[located][:, None], 2, axis=1)
            unknown = located < 0
            if unknown.any():
                columns = self._columns(block[unknown])
                reach = np.full(len(columns), np.inf)
                if np.isfinite(factor):
                    reach = factor * self._student.uncertainty(columns)
                part[unknown] = self._student.predict(columns)[:, None] + np.outer(reach, [-1, 1])
            bounds[rows] = part
        return bounds

    @property
    def fingerprint(self) -> str | None:
        """Digest of the teacher, the sample with its scores, the encoder and the student.

        None if the encoder or the covariate has no fingerprint. A teacher needs none: its scores stand for
        it.
        """
        check_is_fitted(self)
        return self._fingerprint

    def _uses_of_teacher(self, rows: np.ndarray, memory: Any, name: str) -> list[ModelUse]:
        """Return what :meth:`fit` asks the teacher about distinct rows of a pool, as the filter's cost.

        ``memory`` and ``name`` are the filter's own folder and its parameter that holds the scorer.
        """
        if learns_from_pool(self.teacher):
            return []
        teacher = Remembered(
            unwrapped(self.teacher),
            memory if self.memory is None else self.memory,
            name="teacher",
            batch_size=_TEACHER_BATCH,
        )
        return [ModelUse(teacher, rows, self._n_judged(len(rows)), f"{name}__teacher")]

    def _scaled(self, share: float) -> DistilledScorer:
        """Return a clone for a sample of a pool, which shows what the pool costs and keeps nothing."""
        few = self.n_calls
        if isinstance(few, Integral):
            few = max(round(int(few) * share), _MIN_CALLS)
        return clone(self).set_params(n_calls=few, memory=None)

    # ------------------------------------------------------------------ the sample

    def _learn(
        self, texts: np.ndarray, hashes: np.ndarray, ask: Remembered, encode: Remembered, covariate: Any
    ) -> None:
        """Draw the sample, ask the teacher, and fit the student."""
        draws = row_uniforms(hashes, np.arange(len(texts)), self._seed, _DRAWS)
        n_judged = self._n_judged(len(texts))
        n_random = n_judged - int(self.active_share * n_judged)
        n_candidates = max(_MIN_CANDIDATES, _CANDIDATES_PER_CALL * n_judged)
        some = np.sort(lowest(draws, n_candidates, draws))
        texts, hashes, draws = texts[some], hashes[some], draws[some]
        self._columns = TextColumns(encode, covariate, texts, hashes)
        columns = self._columns(texts, hashes)
        vectors = columns[:, : -self._columns.n_scalars]

        judged = _systematic(self._clusters(vectors, n_random), draws, n_random, self._seed)
        scores = ask(texts[judged], hashes[judged])
        for size in np.diff(np.linspace(0, n_judged - n_random, _N_ROUNDS + 1).astype(int)):
            if size:
                self._fit_student(columns[judged], scores, draws[judged])
                batch = self._close_to_cut(columns, judged, draws, size)
                scores = np.concatenate([scores, ask(texts[batch], hashes[batch])])
                judged = np.concatenate([judged, batch])
        self.sample_, self.sample_scores_ = texts[judged], scores
        self._judged = RowTable(self.sample_)
        self._fit_student(columns[judged], scores, draws[judged])
        self._measure(columns[judged], draws[judged], n_random)

    def _n_judged(self, n_texts: int) -> int:
        """Return how many of some distinct texts the teacher scores."""
        n_judged = size_of(self.n_calls, n_texts)
        return n_judged if isinstance(self.n_calls, Integral) else min(max(n_judged, _MIN_CALLS), n_texts)

    def _clusters(self, vectors: np.ndarray, n_random: int) -> np.ndarray:
        """Return the cluster of each candidate; there are at most four per call."""
        n_clusters = min(_MAX_CLUSTERS, max(1, n_random // 4), len(vectors))
        seed = int(generator(self._seed, _CLUSTERS).integers(2**31))
        with warnings.catch_warnings():  # there may be fewer different vectors than clusters
            warnings.simplefilter("ignore", ConvergenceWarning)
            kmeans = MiniBatchKMeans(n_clusters, n_init=1, batch_size=4096, random_state=seed)
            return np.asarray(kmeans.fit_predict(vectors))

    def _close_to_cut(
        self, columns: np.ndarray, judged: np.ndarray, draws: np.ndarray, size: int
    ) -> np.ndarray:
        """Return candidates whose predicted score is close to the cut, in units of its uncertainty."""
        predicted = self._student.predict(columns)
        cut = np.quantile(predicted, 1 - self.top if self._sign > 0 else self.top)
        distance = np.abs(predicted - cut)
        uncertainty = self._student.uncertainty(columns)
        if np.isfinite(uncertainty).all() and uncertainty.all():
            distance = distance / uncertainty
        free = np.setdiff1d(np.arange(len(columns)), judged)
        crowd = free[lowest(distance[free], _CROWD * size, draws[free])]
        return crowd[lowest(draws[crowd], size, draws[crowd])]

    # ------------------------------------------------------------------ the student

    def _fit_student(self, columns: np.ndarray, scores: np.ndarray, draws: np.ndarray) -> None:
        finite = np.isfinite(scores)
        if not finite.any():
            raise ValueError(
                f"teacher returned no finite score for {len(scores)} texts: there is nothing to learn"
            )
        seed = int(generator(self._seed, _STUDENT).integers(2**31))
        folds = np.argsort(np.argsort(draws[finite])) % N_FOLDS
        self._student = Student(self.student, columns[finite], scores[finite], folds, seed)
        self.student_ = self._student.regressor
        self._folds = folds

    def _measure(self, columns: np.ndarray, draws: np.ndarray, n_random: int) -> None:
        """Set the measures of reliability and the conformity scores, from the random part of the sample."""
        finite = np.isfinite(self.sample_scores_)
        measured = np.flatnonzero(finite[:n_random])
        random = np.arange(len(measured))  # the rows of the random part among the finite ones
        scores, predicted = self.sample_scores_[finite], self._student.out_of_fold
        columns, ties = columns[finite], draws[finite]
        found = agreement(self._sign * scores[random], self._sign * predicted[random], self.top, ties[random])
        self.spearman_, self.r2_, self.recall_ = found
        self._conformity = np.empty(0)
        if not np.isnan(predicted).any():
            errors = np.abs(scores - predicted)[random]
            uncertainty = self._student.uncertainty(columns[random])
            uncertainty[uncertainty == 0] = 1.0  # every prediction was exact
            self._conformity = np.sort(errors / uncertainty)
        self.n_calls_needed_: int | None = None
        if self.recall_ < self.min_recall:
            self.n_calls_needed_ = calls_needed(
                self._student.template,
                columns,
                scores,
                self._folds,
                random,
                sign=self._sign,
                top=self.top,
                goal=self.min_recall,
                ties=ties,
                seed=self._seed,
            )

    def _report(self, n_texts: int) -> None:
        n = len(self.sample_)
        found = f"Spearman {self.spearman_:.2f}, R² {self.r2_:.2f}, recall {self.recall_:.2f}"
        if self.verbose:
            print(f"[DistilledScorer] {n} of {n_texts} texts scored by the teacher; {found}")
        if n == n_texts or self.min_recall == 0 or self.recall_ >= self.min_recall:
            return
        if np.isnan(self.recall_):
            advice = "the sample is too small to measure the recall: raise n_calls"
        elif self.n_calls_needed_ is None:
            advice = "whether more calls would help cannot be told from the learning curve"
        elif self.n_calls_needed_ >= n_texts:
            advice = (
                "by extrapolation, more calls than there are texts would be needed: use the teacher itself"
            )
        else:
            advice = f"by extrapolation, it would take n_calls={self.n_calls_needed_}"
        warnings.warn(
            f"the student of {n} scores finds {self.recall_:.0%} of the teacher's best {self.top:.0%} "
            f"(min_recall={self.min_recall:g}): {advice}",
            stacklevel=3,
        )

    # ------------------------------------------------------------------ blocks and identity

    def _blocks(self, texts: Any) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield positions, texts, and where each text is in the sample, or −1."""
        check_is_fitted(self)
        texts = np.asarray(texts, dtype=object)
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            yield np.arange(start, start + len(block)), block, self._judged.locate(block)

    def _identify(self, ask: Remembered) -> str | None:
        columns = self._columns.identity
        if columns is None:
            return None
        teacher = getattr(ask.compute, "fingerprint", None)
        settings = [_SCORE_VERSION, teacher, joblib.hash(self.student), self._seed, sklearn.__version__]
        sample = (digests(self.sample_).tobytes(), self.sample_scores_.tobytes())
        return f"distilled-{digest_of(repr(settings), columns, *sample)}"

    def _check_parts(self) -> None:
        for name in ("teacher", "encoder", "covariate"):
            check_clones_keep_fit(getattr(self, name), name)

    def __sklearn_clone__(self) -> DistilledScorer:
        self._check_parts()
        return super().__sklearn_clone__()

    def __getstate__(self) -> dict[str, Any]:
        # The table holds an index that skops cannot save.
        return {name: value for name, value in super().__getstate__().items() if name != "_judged"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "sample_" in state:
            self._judged = RowTable(self.sample_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fingerprint")


def _systematic(clusters: np.ndarray, draws: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return ``n`` positions at equal steps through the rows in the order of their clusters.

    Examples
    --------
    >>> _systematic(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]), 2, seed=0) % 2
    array([0, 1])
    """
    start = generator(seed, _START).random()
    steps = np.floor((start + np.arange(n)) * len(draws) / n).astype(np.intp)
    return np.lexsort((draws, clusters))[np.minimum(steps, len(draws) - 1)]
