"""Metrics of an active-learning loop: learning curves, rare classes, diversity, and generated text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, pairwise_distances_argmin_min
from sklearn.utils import check_consistent_length

from skprune._optional import require


def minority_f1(y_true: Any, y_pred: Any, minority: Any, *, sample_weight: Any = None) -> float:
    """Return the mean F1 of the minority classes.

    ``F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c)``, averaged over the minority classes c with equal weights. A
    class that is neither in ``y_true`` nor in ``y_pred`` counts as 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    minority : label, or sequence of labels
        The minority classes. With all labels, the result is the macro F1.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    Lesci and Vlachos, "AnchorAL", NAACL 2024, section 4.

    Examples
    --------
    >>> minority_f1(["a", "a", "a", "b"], ["a", "a", "b", "b"], "b")
    0.666...
    """
    return float(
        f1_score(
            y_true,
            y_pred,
            labels=_labels(minority),
            average="macro",
            sample_weight=sample_weight,
            zero_division=0.0,
        )
    )


def learning_curve_auc(scores: Any, x: Any = None, *, normalize: bool = False) -> float:
    """Return the area under a learning curve, by the trapezoid rule.

    ``Σ_t (x_{t+1} − x_t) (s_t + s_{t+1}) / 2``, divided by ``x_T − x_0`` if normalized.

    Parameters
    ----------
    scores : array-like of shape (n_rounds,)
        One score per round, including the score before the first query.
    x : array-like of shape (n_rounds,), default=None
        Strictly increasing, for instance the number of labels in each round. None counts rounds, as AnchorAL
        does; a perfect model then has an area of n_rounds − 1.
    normalize : bool, default=False
        Return the mean height of the curve, in the unit of the scores, by which you can compare curves of
        different lengths. For a single round, this is its score.

    Returns
    -------
    float

    References
    ----------
    Lesci and Vlachos, "AnchorAL", NAACL 2024, section 4 and Table 2.

    Examples
    --------
    >>> learning_curve_auc([0.0, 0.5, 1.0]), learning_curve_auc([0.0, 0.5, 1.0], normalize=True)
    (1.0, 0.5)
    """
    scores = finite_numbers(scores, "scores")
    x = np.arange(len(scores), dtype=float) if x is None else finite_numbers(x, "x")
    check_consistent_length(scores, x)
    if (np.diff(x) <= 0).any():
        raise ValueError("x must be strictly increasing")
    if normalize and len(scores) == 1:
        return float(scores[0])
    area = float(np.sum(np.diff(x) * (scores[:-1] + scores[1:]) / 2))
    return area / float(x[-1] - x[0]) if normalize else area


def budget_matched(curves: Sequence[Any]) -> list[np.ndarray]:
    """Cut learning curves after the last round that all of them reached.

    If a method ran out of time early, all methods are compared at the number of labels that it reached:
    ``s_0, …, s_T`` with ``T = min_i T_i``.

    Parameters
    ----------
    curves : sequence of array-like, each of shape (n_rounds, ...)
        All with the same number of labels per round.

    Returns
    -------
    list of ndarray

    References
    ----------
    Lesci and Vlachos, "AnchorAL", NAACL 2024, section 5, "Budget-Matched".

    Examples
    --------
    >>> [curve.tolist() for curve in budget_matched([[0.1, 0.2, 0.3], [0.2, 0.4]])]
    [[0.1, 0.2], [0.2, 0.4]]
    """
    if not len(curves):
        raise ValueError("curves must hold at least one curve")
    n_rounds = min(len(curve) for curve in curves)
    return [np.asarray(curve)[:n_rounds] for curve in curves]


def minority_share(y: Any, minority: Any) -> float:
    """Return the share of rows that belong to the minority classes, for instance of a subpool.

    ``(1/n) Σ_i 1[y_i ∈ minority]``.

    Parameters
    ----------
    y : array-like of shape (n,)
        At least one label.
    minority : label, or sequence of labels

    Examples
    --------
    >>> minority_share(["a", "b", "a", "c"], ["b", "c"])
    0.5
    """
    return float(np.mean(_is_minority(y, minority)))


def minority_found(y: Any, minority: Any, *, n_minority: int | None = None) -> np.ndarray:
    """Return the number of minority rows among the first 1, 2, …, n labels.

    ``found_t = Σ_{i ≤ t} 1[y_i ∈ minority]``, divided by ``n_minority`` if that is given.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels in the order in which they were given.
    minority : label, or sequence of labels
    n_minority : int, default=None
        Number of minority rows in the whole pool. If given, shares of it are returned.

    Returns
    -------
    ndarray of float64, shape (n,)

    References
    ----------
    Lesci and Vlachos, "AnchorAL", NAACL 2024, Figure 3.

    Examples
    --------
    >>> minority_found(["a", "b", "a", "b"], "b", n_minority=4)
    array([0.  , 0.25, 0.25, 0.5 ])
    """
    found = np.cumsum(_is_minority(y, minority), dtype=np.float64)
    return found if n_minority is None else found / n_minority


def diversity(unlabeled: Any, batch: Any) -> float:
    """Return how well a batch covers the unlabeled rows: the inverse of their mean distance to the batch.

    ``D = [(1/|U|) Σ_{x∈U} min_{b∈B} d(x, b)]⁻¹``.

    Parameters
    ----------
    unlabeled : array-like of shape (n,), or array or csr of shape (n, n_features)
        The set U. For numbers, such as log10 perplexities, ``d(x, b) = |x − b|``, as in ActivePrune. For
        vectors, d is the cosine distance, ``1 − cos``.
    batch : the same, of shape (n_batch,) or (n_batch, n_features)
        The set B.

    Returns
    -------
    float
        Infinite if every row of U is in B.

    Raises
    ------
    ValueError
        If either is empty, or a value is not finite. The perplexity of a blank text is not finite.

    Notes
    -----
    For numbers, this takes ``O((|U| + |B|) log |B|)`` time. For vectors, the product U·Bᵀ is computed one
    block of rows at a time.

    The result depends on the unit of d. The paper does not say whether its d is a difference of perplexities
    or of their logarithms. Compare only figures in the same unit.

    References
    ----------
    Azeemi, Qazi and Raza, "Language Model-Driven Data Pruning Enables Efficient Active Learning", Findings of
    EACL 2026, appendix D and Table 6.

    Examples
    --------
    >>> diversity([0.0, 1.0, 2.0, 3.0], [1.0, 2.0])
    2.0
    """
    if np.ndim(unlabeled) == 2:
        nearest = pairwise_distances_argmin_min(unlabeled, batch, metric="cosine")[1]
        nearest[nearest < 8 * np.finfo(nearest.dtype).eps] = 0.0  # a copy, apart from rounding
    else:
        nearest = _distance_to_nearest(finite_numbers(unlabeled, "unlabeled"), finite_numbers(batch, "batch"))
    mean = float(nearest.mean())
    return 1.0 / mean if mean > 0 else np.inf


def sacrebleu(references: Sequence[Any], hypotheses: Sequence[str]) -> float:
    """Return the corpus BLEU of translations, computed by the package sacrebleu with its defaults.

    ``BLEU = 100 · min(1, e^{1 − r/h}) · exp(¼ Σ_{n≤4} ln p_n)``, where p_n are the clipped n-gram precisions
    of the corpus, h is the length of the hypotheses and r that of the references. The settings are cased
    text, 13a tokens and exponential smoothing; see :func:`sacrebleu_signature`.

    Parameters
    ----------
    references : sequence of str, or of sequences of str
        One reference per hypothesis, or a sequence of references, each of the same length.
    hypotheses : sequence of str
        The translations.

    Returns
    -------
    float
        In [0, 100].

    References
    ----------
    M. Post, "A call for clarity in reporting BLEU scores", WMT 2018.

    Examples
    --------
    >>> sacrebleu(["der Rechner ist aus", "ja"], ["der Rechner ist aus", "ja"])
    100.0...
    """
    streams = _streams(references, hypotheses)
    return float(_bleu().corpus_score([str(text) for text in hypotheses], streams).score)


def sacrebleu_signature(n_references: int = 1) -> str:
    """Return the signature to report with :func:`sacrebleu`.

    Parameters
    ----------
    n_references : int, default=1
        Number of references per hypothesis.

    Examples
    --------
    >>> sacrebleu_signature()
    'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:...'
    """
    bleu = _bleu()
    bleu.corpus_score(["-"], [["-"]] * n_references)  # sets the number of references
    return str(bleu.get_signature())


def rouge_l(references: Sequence[str], hypotheses: Sequence[str], *, use_stemmer: bool = True) -> float:
    """Return the mean ROUGE-L F1 of summaries, computed by the package rouge-score.

    For each pair, ``F = 2PR / (P + R)`` with ``P = LCS / |hypothesis|`` and ``R = LCS / |reference|``, where
    LCS is the length of the longest common subsequence of words. The result is the mean over the pairs.

    Parameters
    ----------
    references, hypotheses : sequence of str
    use_stemmer : bool, default=True
        Compare words longer than three letters by their Porter stems, as ROUGE-1.5.5 does with ``-m``. Report
        this setting with the figure.

    Returns
    -------
    float
        In [0, 1]; papers print 100 times this value.

    Notes
    -----
    In this package, words are runs of a–z and 0–9, in lower case. Other letters separate words, so the result
    means little for languages other than English. A summary is one sequence of words and is not split into
    sentences ("rougeL", not "rougeLsum").

    References
    ----------
    C.-Y. Lin, "ROUGE: A package for automatic evaluation of summaries", 2004.

    Examples
    --------
    >>> rouge_l(["editor for text files"], ["text editor"])
    0.333...
    """
    _check_pairs(references, hypotheses)
    module = require("rouge_score.rouge_scorer", extra="generation", purpose="rouge_l")
    scorer = module.RougeScorer(["rougeL"], use_stemmer=use_stemmer)
    pairs = zip(references, hypotheses, strict=True)
    return float(np.mean([scorer.score(str(r), str(h))["rougeL"].fmeasure for r, h in pairs]))


def _labels(minority: Any) -> list[Any]:
    return (
        [minority] if np.ndim(minority) == 0 and not isinstance(minority, set | frozenset) else list(minority)
    )


def _is_minority(y: Any, minority: Any) -> np.ndarray:
    y = np.asarray(y)
    if y.ndim != 1 or not len(y):
        raise ValueError(f"y must hold at least one label, got an array of shape {y.shape}")
    return np.isin(y, _labels(minority))


def _distance_to_nearest(values: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return the distance of each value to its nearest landmark."""
    landmarks = np.sort(landmarks)
    right = np.searchsorted(landmarks, values).clip(max=len(landmarks) - 1)
    left = (right - 1).clip(min=0)
    return np.minimum(np.abs(values - landmarks[left]), np.abs(values - landmarks[right]))


def _bleu() -> Any:
    return require("sacrebleu", extra="generation", purpose="sacrebleu").BLEU()


def _streams(references: Sequence[Any], hypotheses: Sequence[str]) -> list[list[str]]:
    """Return the references as sacrebleu takes them: the first one of each hypothesis, the second, ..."""
    _check_pairs(references, hypotheses)
    rows = [[row] if isinstance(row, str) else list(row) for row in references]
    if not rows[0] or len({len(row) for row in rows}) > 1:
        raise ValueError("references must hold the same number for each hypothesis, and at least one")
    return [[str(text) for text in stream] for stream in zip(*rows, strict=True)]


def _check_pairs(references: Sequence[Any], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses) or not len(hypotheses):
        raise ValueError(
            "references and hypotheses must have the same length, and not be empty: "
            f"got {len(references)} and {len(hypotheses)}"
        )


def rarest_class(y: Any) -> Any:
    """Return the class with the fewest rows. Ties go to the class that sorts first.

    Examples
    --------
    >>> str(rarest_class(["b", "a", "b", "c"]))
    'a'
    """
    classes, counts = np.unique(y, return_counts=True)
    return classes[counts.argmin()]


def finite_numbers(values: Any, name: str, *, at_least: int = 1) -> np.ndarray:
    """Return ``values`` as a checked array of float64.

    Parameters
    ----------
    values : array-like of shape (n,)
    name : str
        What errors call ``values``.
    at_least : int, default=1
        Minimum number of values.

    Raises
    ------
    ValueError
        If there are fewer than ``at_least`` values, or one of them is not finite.

    Examples
    --------
    >>> finite_numbers([1, 2], "x")
    array([1., 2.])
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < at_least:
        raise ValueError(
            f"{name} must be one-dimensional and hold at least {at_least} values, got shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise ValueError(f"{name} must be finite: {name}[{row}] is {numbers[row]}")
    return numbers
