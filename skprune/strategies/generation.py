"""Query strategies for learners that generate text: translation, summarization."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import HasMethods, Interval

from skprune.encoders import make_encoder
from skprune.fitting import check_clones_keep_fit, fitted_on, is_fitted, unwrapped
from skprune.pools import check_pool
from skprune.store import Remembered
from skprune.strategies.base import Picks, Strategy, best_first, first_of_best
from skprune.strategies.capabilities import labeled_rows, sequence_scores
from skprune.vectors import dense, squared_norms


class NSP(Strategy):
    """Ask for the rows whose generated sequence is the least likely: normalized sequence probability.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    Notes
    -----
    The score is 1 − p̄, with p̄ the geometric mean probability of the tokens that the learner generates: its
    sequence probability, normalized by length. A learner that was never fitted is asked at random. The
    metrics are the scores.

    References
    ----------
    .. [1] N. Ueffing and H. Ney, "Word-level confidence estimation for machine translation", Computational
       Linguistics 33(1), 2007.

    Examples
    --------
    >>> class Translator:
    ...     def sequence_scores(self, X):
    ...         return [-0.1 * len(text.split()) for text in X]  # natural logarithm
    >>> indices, metrics = NSP(random_state=0)(Translator(), ["a cat", "a cat that sat"])
    >>> indices, metrics.round(3)
    (array([1]), array([0.33]))
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        scores = sequence_scores(learner, X_pool, needed_by="NSP")
        order = best_first(-scores, n_instances, rng)
        return order, -np.expm1(scores[order])


class IDDS(Strategy):
    """Ask for rows like the rest of the pool and unlike the labeled ones: in-domain diversity sampling.

    Parameters
    ----------
    lam : float, default=0.67
        λ, the weight of likeness to the pool, between 0 and 1.
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Vectors of a numeric
        pool are taken as they are.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder. Vectors of an encoder that is fitted on the
        texts are not kept, as it is fitted anew, on pool and labeled rows, at every query.
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.
    verbose : int, default=0

    Notes
    -----
    score(x) = λ · mean_{u ∈ U, u ≠ x} s(x, u) − (1 − λ) · mean_{l ∈ L} s(x, l), with U the pool at hand, L
    the learner's ``X_training`` and s the dot product [1]_. The best row moves from U to L before the next
    one is picked. Where L is empty, its mean is 0. Of the learner nothing else is asked.

    Ours: the row's own similarity is left out as it is (published code subtracts 1, which holds for unit
    vectors only). The sums over U and L are kept a row, so that a pick costs one pass over the vectors and no
    |U| × |U| matrix is formed. The metrics are the scores at the time of the pick.

    References
    ----------
    .. [1] A. Tsvigun et al., "Active learning for abstractive text summarization", Findings of EMNLP 2022.

    Examples
    --------
    >>> import numpy as np
    >>> pool = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-0.6, 0.8]])
    >>> indices, metrics = IDDS(random_state=0)(None, pool, n_instances=2)
    >>> indices, metrics.round(3)
    (array([2, 1]), array([ 0.411, -0.049]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "lam": [Interval(Real, 0, 1, closed="both")],
        "encoder": "no_validation",  # type: ignore[dict-item]  # make_encoder says what it takes
        "memory": [None, str, HasMethods(["__fspath__"])],
        "verbose": ["verbose"],
        **Strategy._parameter_constraints,
    }

    def __init__(
        self,
        lam: float = 0.67,
        *,
        encoder: Any = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(random_state)
        self.lam = lam
        self.encoder = encoder
        self.memory = memory
        self.verbose = verbose

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        vectors, labeled = self._vectors(X_pool, labeled_rows(learner))
        n_unlabeled, n_labeled = vectors.shape[0], labeled.shape[0]
        rank = np.argsort(rng.permutation(n_unlabeled))
        own = squared_norms(vectors)
        # Sums over the others of U, and over L.
        like_pool = _dot(vectors, _total(vectors)) - own
        like_labeled = _dot(vectors, _total(labeled))
        left = np.ones(n_unlabeled, dtype=bool)
        epsilon = 8.0 * float(np.finfo(vectors.dtype).eps)
        picked, metrics = [], []
        for _ in range(n_instances):
            typical = self.lam / max(n_unlabeled - 1, 1) * like_pool
            known = (1.0 - self.lam) / max(n_labeled, 1) * like_labeled
            scores = np.where(left, typical - known, -np.inf)
            row = first_of_best(scores, epsilon * (np.abs(typical) + np.abs(known)), rank)
            picked.append(row)
            metrics.append(scores[row])
            left[row] = False
            similarity = _dot(vectors, dense(vectors[[row]])[0])
            like_pool -= similarity
            like_labeled += similarity
            n_unlabeled, n_labeled = n_unlabeled - 1, n_labeled + 1
        return np.array(picked), np.array(metrics)

    def _vectors(self, X_pool: Any, X_labeled: Any) -> tuple[Any, Any]:
        """Return the vectors of both, float; none of the latter where there is none."""
        pool = check_pool(X_pool, "X_pool")
        labeled = None if X_labeled is None else check_pool(X_labeled, "X_training")
        if not pool.holds_texts:
            vectors = _float(pool.vectors)
            return vectors, vectors[:0] if labeled is None else _float(labeled.vectors)
        known = pool.texts[:0] if labeled is None else labeled.texts
        texts = np.concatenate([pool.texts, known])
        vectors = self._encode(texts)
        return vectors[: len(pool)], vectors[len(pool) :]

    def _encode(self, texts: np.ndarray) -> np.ndarray:
        encoder = make_encoder(self.encoder, verbose=self.verbose)
        check_clones_keep_fit(encoder, "encoder")
        if is_fitted(encoder):
            try:
                return Remembered(unwrapped(encoder), self.memory, name="encoder")(texts)
            except NotFittedError as error:  # not to be taken for a learner's
                raise ValueError(f"encoder was never fitted: {error}") from error
        distinct, row_of = np.unique(texts, return_inverse=True)  # sorted: the pool's order does not matter
        return fitted_on(encoder, distinct, name="encoder")(distinct)[row_of]


def _float(vectors: Any) -> Any:
    return vectors if vectors.dtype in (np.float32, np.float64) else vectors.astype(np.float64)


def _total(vectors: Any) -> np.ndarray:
    return np.asarray(vectors.sum(axis=0, dtype=np.float64)).ravel()


def _dot(vectors: Any, direction: np.ndarray) -> np.ndarray:
    """Return the dot product of each row with ``direction``, in the rows' own precision, as float64."""
    return np.asarray(vectors @ direction.astype(vectors.dtype), dtype=np.float64)
