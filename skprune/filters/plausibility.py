"""PlausibilityFilter: drop rows whose labels a classifier does not believe."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skprune.filters.held_out import HeldOutFilter
from skprune.pools import Pool
from skprune.selections import Selection, either, lowest, mask_of

# In place of a probability: rows whose label cannot be judged survive first, rows without a label last.
_UNJUDGED = 2.0
_UNLABELED = -1.0


class PlausibilityFilter(HeldOutFilter):
    """Keep the labeled rows whose label a classifier finds most plausible; every row must have a label.

    A classifier that is trained on the other rows gives each row a probability of its label. Rows of low
    probability are often mislabeled, or belong to several classes.

    Parameters
    ----------
    keep : float or int, default=0.9
        Share or count of the eligible rows that survive.
    classifier : classifier with ``predict_proba`` or None, default=None
        Judges the labels. None is logistic regression.
    encoder : None, str, path, estimator or callable, default=None
        Maps texts to vectors for the classifier: None is TF-IDF with SVD, a string names a
        SentenceTransformer. Numeric rows are taken as they are.
    cv : int, default=5
        Number of folds of the cross-validation.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Seed of the folds, of the classifier, and of the order of equal probabilities.
    verbose : int, default=0
        1 reports the encoder's progress.

    Attributes
    ----------
    plausibility_ : ndarray of float64, shape (n_distinct,)
        Probability of the label of each distinct row of the pool, by a classifier that was trained without
        it; NaN if the row has no label or cannot be judged.
    n_encoded_ : int
        Number of texts that the encoder has processed since :meth:`fit`.

    See Also
    --------
    QuotaFilter : Keeps rows of every class.
    FilterChain : Select among the plausible rows, at random or by k-means.

    Notes
    -----
    The probability is the "self-confidence" of confident learning [1]_, which cleanlab computes from the same
    out-of-fold probabilities. cleanlab is not a dependency: the score is one element of each row of the
    result of scikit-learn's ``cross_val_predict``. Its estimate of how many labels are wrong is another way
    to choose ``keep``.

    *Small classes.* The rows of each class are dealt out to the folds one by one, so that a class with fewer
    rows than folds is missing from no training set. The only row of a class cannot be judged; it survives
    before all others. If fewer than two classes have two rows, all rows are drawn at random, and so are rows
    without a label, after the others.

    *Rare classes lose most.* A classifier believes less in rare classes, and their rows are dropped first.
    Accuracy may rise while the mean F1 over the classes falls. Wrap the filter:
    ``QuotaFilter(PlausibilityFilter(0.9), min_per_group=20)`` guarantees each class its most plausible rows.

    The best rows are those of highest probability, which are also the easiest ones. To prune further, do not
    lower ``keep``; put another filter behind this one in a :class:`FilterChain`.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
       Journal of Artificial Intelligence Research 70, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import PlausibilityFilter
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> y[:10] = 1 - y[:10]  # wrong labels
    >>> kept = PlausibilityFilter(keep=0.9, random_state=0).fit(X, y).get_support()
    >>> int(kept[:10].sum()), int(kept[10:].sum())
    (0, 180)
    """

    def __init__(
        self,
        keep: float | int = 0.9,
        *,
        classifier: Any = None,
        encoder: Any = None,
        cv: int = 5,
        text: Any = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.classifier = classifier
        self.encoder = encoder
        self.cv = cv
        self.text = text
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def plausibility_(self) -> np.ndarray:
        """Probability of the label of each distinct row of the pool."""
        return _probabilities(self._scores)

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        self._embed_pool(pool)
        self._scores = np.full(len(self._table), _UNLABELED)
        if self._excluded is self.labeled_:  # select passes over every row that has a label
            if self._minus_one_hint and set(self.labeled_.y.tolist()) == {1}:
                warnings.warn(
                    f"{type(self).__name__} judges the labels of a set in which every row has one, and here "
                    f"only rows of class 1 have a label{self._minus_one_hint}",
                    stacklevel=3,
                )
            return
        plausibility = self._judge_labels().plausibility
        self._scores = np.where(np.isnan(plausibility), _UNJUDGED, plausibility)

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_kept = self._kept_size(len(eligible), min_rows)
        scores = self._values_at(pool, eligible, self._scores, lambda unseen: _UNLABELED)
        order = lowest(-scores, n_kept, self._uniforms(pool, eligible))
        return Selection(order, lambda: _columns(order, scores))


def _probabilities(scores: np.ndarray) -> np.ndarray:
    return np.where((scores >= 0) & (scores <= 1), scores, np.nan)


def _columns(order: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    kept = mask_of(order, len(scores))
    reason = either(kept, "kept: its label is plausible", "its label is implausible")
    for score, why in ((_UNJUDGED, "its label cannot be judged"), (_UNLABELED, "it has no label to judge")):
        rows = scores == score
        reason[rows] = either(kept[rows], f"kept: drawn at random, {why}", f"not drawn, {why}")
    probability = _probabilities(scores)
    return {
        "stage": either(kept, "plausibility", ""),
        "plausibility": probability,
        "threshold": np.full(len(scores), probability[order[-1]]),
        "reason": reason,
    }
