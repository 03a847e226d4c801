"""MaxHerding and UHerding: rows that cover the pool, weighted by the learner's uncertainty in UHerding."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.pools import Pool, check_pool
from skprune.probabilities import held_estimator, margin, predict_proba
from skprune.strategies.base import Picks, top_row
from skprune.strategies.capabilities import labeled_rows
from skprune.strategies.encoding import EncodingStrategy
from skprune.vectors import dense, squared_norms

# Covered rows and candidates in a block: 32 MB of single-precision kernel values. Products of smaller blocks
# spend their time on waiting for the other threads.
_BLOCK, _CANDIDATES = 1_024, 8_192
_HELD_OUT = 0.3  # share of the labeled rows that the temperature is fitted on
_TEMPERATURES = (0.05, 20.0)


class MaxHerding(EncodingStrategy):
    """Pick the rows that cover the pool best, given what the labeled rows cover. Uses no predictions.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors. None is TF-IDF with SVD; a string or path is the name or folder of a
        SentenceTransformer. A numeric pool needs no encoder.
    gamma : float, default=1.0
        Width of the kernel ``k(x, c) = exp(−gamma · |x − c|²)`` between vectors of unit length.
    n_reference : int, default=10_000
        Number of rows that are covered, and that are picked from: a random sample of the pool, or all of a
        smaller pool. At least ``n_instances`` are drawn.
    memory : None or path, default=None
        Where vectors are kept: None keeps them in this process, a path keeps them in that folder. Vectors of
        an unfitted encoder are not kept: it is fitted again on the pool and the labeled rows at every query.
    random_state : int, RandomState or None, default=None
        Draws the sample and breaks ties; see :class:`RandomSampling`.
    verbose : int, default=0
        If above 0, show a progress bar while encoding.

    See Also
    --------
    UHerding : Weights the covered rows by the learner's uncertainty.
    Coreset : Minimizes the largest distance to a center, not the mean coverage.

    Notes
    -----
    A row x is covered to the degree κ(x), its largest kernel value with any row that is labeled or picked.
    Each pick is the candidate c that increases the mean coverage most: argmax_c Σ_x max(k(x, c) − κ(x), 0)
    [1]_. The metrics are these increases, divided by the number of rows x. They never rise from one pick to
    the next, because the coverage is monotone and submodular. Once nothing increases the coverage, the
    remaining rows are picked at random. The strategy uses nothing of the learner but its labeled rows
    (``X_training``), so that it can pick rows before any label: pass ``learner=None``.

    As in the authors' code, both the covered rows and the candidates are a sample of a large pool. Two
    choices are ours and do not change the picks. Kernel values are computed in blocks and not kept. After a
    pick, the gains are updated from the rows whose coverage has changed: half of the rows after the second
    pick, a tenth after the tenth. So the cost grows with the square of ``n_reference``, and with the
    logarithm of the number of picks. Increases that differ by less than the rounding error are ties. The
    sample of a pool of more than ``n_reference`` rows is drawn by position, so that it depends on the order
    of the rows.

    References
    ----------
    .. [1] W. Bae, J. Noh and D. J. Sutherland, "Generalized coverage for more robust low-budget active
       learning", ECCV 2024.

    Examples
    --------
    >>> import numpy as np
    >>> angles = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 2.8, 3.0, 3.2])
    >>> pool = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> indices, metrics = MaxHerding(random_state=0)(None, pool, n_instances=2)
    >>> indices, metrics.round(2)  # the middle of each group
    (array([2, 6]), array([0.59, 0.36]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "n_reference": [Interval(Integral, 1, None, closed="left")],
        **EncodingStrategy._parameter_constraints,
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        gamma: float = 1.0,
        n_reference: int = 10_000,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(encoder, memory=memory, random_state=random_state, verbose=verbose)
        self.gamma = gamma
        self.n_reference = n_reference

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        pool = check_pool(X_pool, "X_pool")
        known = labeled_rows(learner)
        vectors, labeled = self._vectors(pool, None if known is None else check_pool(known, "X_training"))
        # The sample is in random order, so that ties between equal gains fall at random.
        sample = rng.permutation(len(pool))[: max(self.n_reference, n_instances)]
        weights = self._weights(learner, pool, sample, rng, **kwargs)
        labeled = normalize(labeled) if labeled.shape[0] else labeled
        coverage = Coverage(normalize(vectors[sample]), weights, self._gamma(labeled))
        picked, metrics = coverage.pick(labeled, n_instances)
        return sample[picked], metrics

    def _weights(
        self, learner: Any, pool: Pool, sample: np.ndarray, rng: np.random.Generator, **kwargs: Any
    ) -> np.ndarray:
        """Return the weight of each covered row."""
        return np.ones(len(sample))

    def _gamma(self, labeled: Any) -> float:
        """Return the width of the kernel, given the vectors of the labeled rows."""
        return self.gamma


class UHerding(MaxHerding):
    """Pick rows that cover the rows that the learner is unsure of: uncertainty herding.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors. None is TF-IDF with SVD; a string or path is the name or folder of a
        SentenceTransformer. A numeric pool needs no encoder.
    gamma : float or "auto", default="auto"
        Width of the kernel; see :class:`MaxHerding`. "auto" is 1 / d², where d is the smallest distance
        between two labeled rows that are not copies, and 1 if there are no two such rows.
    temperature : float or "auto", default="auto"
        The logits are divided by it. "auto" trains a clone of the learner's estimator on 70 % of the labeled
        rows, and takes the temperature with the lowest cross-entropy on the others. It is 1 if the learner
        has no ``y_training``, or too few rows to have every class in both parts.
    n_reference : int, default=10_000
        Number of rows that are covered, and that are picked from; see :class:`MaxHerding`.
    memory : None or path, default=None
        Where vectors are kept: None keeps them in this process, a path keeps them in that folder. Vectors of
        an unfitted encoder are not kept: it is fitted again on the pool and the labeled rows at every query.
    random_state : int, RandomState or None, default=None
        Draws the samples and breaks ties; see :class:`RandomSampling`.
    verbose : int, default=0
        If above 0, show a progress bar while encoding.

    See Also
    --------
    MaxHerding : Its notes apply here too.

    Notes
    -----
    Each pick is argmax_c Σ_x u(x) · max(k(x, c) − κ(x), 0), where u(x) is 1 minus the margin of the
    calibrated probabilities of the covered row x [1]_. With few labels the learner is unsure of every row and
    the kernel is wide, so that the picks are those of :class:`MaxHerding`. With many labels the kernel is
    narrow, and they are those of :class:`Margin`. Without a learner, or with an unfitted one, u(x) = 1.

    The paper takes the temperature of a grid that has the smallest calibration error (ECE). The error of a
    few dozen rows is a step function, so we minimize the cross-entropy, as in [2]_. "auto" trains one more
    model per query, on a part of the labeled rows that depends on their order; pass a number if that takes
    long. Only the sampled rows are given to ``predict_proba``.

    *When it pays.* From 20 to 200 labels, with logistic regression on sentence vectors, accuracy was higher
    than with random rows and with :class:`Margin` on two text sets with many classes; on one with two classes
    no difference is established (``docs/results/query_strategies.md``). In macro F1, with first labels of
    every class, it gained over :class:`LeastConfidence` on newsgroups; on Reuters, which has one large class,
    it lost behind a random quarter of the pool, and without a filter nothing is established
    (``docs/results/table_activeprune.md``).

    References
    ----------
    .. [1] W. Bae, G. L. Oliveira and D. J. Sutherland, "Uncertainty herding: One active learning method for
       all label budgets", ICLR 2025.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML
       2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune.modal import ActiveLearner
    >>> angles = np.linspace(0.0, 3.0, 31)
    >>> pool = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> query = UHerding(temperature=1.0, random_state=0)
    >>> learner = ActiveLearner(LogisticRegression(C=10), query, pool[[0, 30]], ["left", "right"])
    >>> indices, metrics = query(learner, pool)
    >>> indices  # the middle of the rows that the learner is unsure of
    array([15])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MaxHerding._parameter_constraints,
        "gamma": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        gamma: float | str = "auto",
        temperature: float | str = "auto",
        n_reference: int = 10_000,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            encoder, n_reference=n_reference, memory=memory, random_state=random_state, verbose=verbose
        )
        self.gamma = gamma  # type: ignore[assignment]
        self.temperature = temperature

    def _weights(
        self, learner: Any, pool: Pool, sample: np.ndarray, rng: np.random.Generator, **kwargs: Any
    ) -> np.ndarray:
        proba = None
        if learner is not None:
            proba = predict_proba(learner, pool.take(sample), needed_by="UHerding", **kwargs)
        if proba is None:
            return np.ones(len(sample))
        temperature = self.temperature
        if temperature == "auto":
            temperature = fit_temperature(learner, rng)
        return 1.0 - margin(softmax(_log(proba) / temperature, axis=1))

    def _gamma(self, labeled: Any) -> float:
        if isinstance(self.gamma, Real):
            return float(self.gamma)
        nearest = _smallest_distance(labeled)
        return 1.0 / nearest if np.isfinite(nearest) else 1.0


class Coverage:
    """The weighted mean coverage of some rows, and its greedy maximization over the same rows.

    Parameters
    ----------
    rows : ndarray or csr_array of float, shape (n, d)
        Vectors of unit length or zero, in random order: ties go to the row that comes first.
    weights : ndarray of float64, shape (n,)
        u(x): how much the coverage of each row counts.
    gamma : float
        Width of the kernel.
    """

    def __init__(self, rows: Any, weights: np.ndarray, gamma: float) -> None:
        self.rows = rows
        self.weights = (weights / len(weights)).astype(rows.dtype)
        self.gamma = gamma
        self._left, self._right = self._factors(rows)

    def pick(self, labeled: Any, n_instances: int) -> Picks:
        """Return the picked rows and the increase of the mean coverage by each.

        Parameters
        ----------
        labeled : ndarray or csr_array of float, shape (n_labeled, d)
            Vectors that cover rows already; may be empty.
        n_instances : int
        """
        n_rows = self.rows.shape[0]
        covered = self._covered_by(labeled)
        every = np.arange(n_rows)
        gains = self._gained(every, covered, np.ones_like(covered))
        epsilon, remaining = float(np.finfo(self.rows.dtype).eps), np.ones(n_rows, dtype=bool)
        total_weight = float(self.weights.sum(dtype=np.float64))
        picked, metrics = [], []
        for _ in range(n_instances):
            values = np.where(remaining, np.maximum(gains, 0.0), -np.inf)
            row = top_row(values, epsilon * (4.0 * total_weight + 16.0 * np.abs(gains)), every)
            picked.append(row)
            metrics.append(values[row])
            remaining[row] = False
            before = covered
            covered = np.maximum(before, self._kernel(self._left, self._right[[row]])[:, 0])
            changed = np.flatnonzero(covered > before)
            gains -= self._gained(changed, before[changed], covered[changed])
        return np.array(picked), np.array(metrics)

    def _gained(self, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the weighted sum over some rows of clip(k(x, c), low, high) − low, for each candidate c.

        With the coverage as ``low`` and 1 as ``high``, this is the gain of each candidate. With the coverage
        before and after a pick, it is what the pick has taken from these gains.
        """
        n_candidates = self.rows.shape[0]
        gained = np.zeros(n_candidates)
        for start in range(0, len(rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            left, weights = self._left[rows[block]], self.weights[rows[block]]
            floor = float(weights @ low[block])
            for first in range(0, n_candidates, _CANDIDATES):
                candidates = slice(first, first + _CANDIDATES)
                kernel = self._kernel(left, self._right[candidates])
                np.clip(kernel, low[block, None], high[block, None], out=kernel)
                gained[candidates] += (weights @ kernel) - floor
        return gained

    def _factors(self, rows: Any) -> tuple[Any, Any]:
        """Return two factors whose products are the exponents of the kernel.

        −γ(|x|² + |c|² − 2 x·c) is the product of (2γx, −γ|x|², 1) and (c, 1, −γ|c|²).
        """
        lengths = self.gamma * squared_norms(rows)[:, None]
        ones = np.ones_like(lengths)
        # Squared distances are shortened by what rounding may add to the distance of two copies.
        slack = self.gamma * _copies_below(rows.dtype)
        columns = ([2.0 * self.gamma * rows, slack - lengths, ones], [rows, ones, -lengths])
        if sp.issparse(rows):
            left, right = (sp.hstack(parts, format="csr", dtype=rows.dtype) for parts in columns)
            return sp.csr_array(left), sp.csr_array(right)
        left, right = (np.concatenate(parts, axis=1, dtype=rows.dtype) for parts in columns)
        return left, right

    def _kernel(self, left: Any, right: Any) -> np.ndarray:
        """Return the kernel between rows and candidates, given their factors."""
        exponents = dense(left @ right.T)
        np.minimum(exponents, 0.0, out=exponents)
        return np.exp(exponents, out=exponents)

    def _covered_by(self, labeled: Any) -> np.ndarray:
        """Return the largest kernel value of each row with any labeled row."""
        covered = np.zeros(self.rows.shape[0], dtype=self.rows.dtype)
        if labeled.shape[0]:
            labeled = self._factors(labeled)[1]
            for start in range(0, len(covered), _BLOCK):
                block = slice(start, start + _BLOCK)
                covered[block] = self._kernel(self._left[block], labeled).max(axis=1)
        return covered


def fit_temperature(learner: Any, rng: np.random.Generator) -> float:
    """Return the temperature that calibrates the learner, found on held-out labeled rows.

    Parameters
    ----------
    learner : object with ``X_training``
        Without ``y_training``, or with too few rows to hold some of each class out, the temperature is 1.
    rng : Generator
        Draws the rows that are held out.

    Returns
    -------
    float
        Between 0.05 and 20.
    """
    rows, y = labeled_rows(learner), getattr(learner, "y_training", None)
    if rows is None or y is None:
        return 1.0
    pool, y = Pool(rows), np.asarray(y)
    try:
        fitted, held_out = train_test_split(
            np.arange(len(y)), test_size=_HELD_OUT, stratify=y, random_state=int(rng.integers(2**31))
        )
    except ValueError:  # too few rows of some class
        return 1.0
    model = clone(held_estimator(learner), safe=False).fit(pool.take(fitted), y[fitted])
    proba = predict_proba(model, pool.take(held_out), needed_by="UHerding")
    classes, true = np.unique(y, return_inverse=True)
    if proba is None or proba.shape[1] != len(classes):
        return 1.0
    logits, true = _log(proba), true[held_out]

    def cross_entropy(log_temperature: float) -> float:
        log_proba = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(log_proba[np.arange(len(true)), true].mean())

    found = minimize_scalar(cross_entropy, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def _log(proba: np.ndarray) -> np.ndarray:
    """Return logarithms of probabilities, which are logits; 0 counts as the smallest positive number."""
    return np.log(np.maximum(proba, np.finfo(np.float64).tiny))


def _smallest_distance(rows: Any) -> float:
    """Return the smallest squared distance between two rows that are not copies, inf if there are none."""
    smallest, lengths = np.inf, squared_norms(rows)
    for start in range(0, rows.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        squared = lengths[block, None] + lengths - 2.0 * dense(rows[block] @ rows.T)
        distinct = squared[squared >= _copies_below(rows.dtype)]
        smallest = min(smallest, float(distinct.min(initial=np.inf)))
    return smallest


def _copies_below(dtype: Any) -> float:
    """Return the squared distance below which rounding cannot tell two unit vectors from copies."""
    return 16.0 * float(np.finfo(dtype).eps)
