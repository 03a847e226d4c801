"""Whether a difference is more than chance: adjustment for several comparisons, and paired runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skprune.metrics import finite_numbers


class PairedDifference(NamedTuple):
    """The mean difference of paired runs.

    Attributes
    ----------
    mean : float
        Mean of the differences, in the unit of the runs.
    margin : float
        Half the width of the confidence interval of the mean.
    p : float
        Two-sided p-value of the paired t-test.
    """

    mean: float
    margin: float
    p: float


def paired_difference(
    a: Any, b: Any, *, confidence_level: float = 0.95, overlap: float = 0.0
) -> PairedDifference:
    """Compare runs that belong together in pairs, for instance two methods with the same seeds.

    Parameters
    ----------
    a, b : array-like of shape (n_runs,)
        At least two finite numbers each, in the same order.
    confidence_level : float in (0, 1), default=0.95
        Probability that the interval covers the mean.
    overlap : float in [0, 1), default=0.0
        Share ρ of the data set that the test set of a run takes, if all runs split the same data set at
        random. 0 treats the runs as independent: the result is then about splits of this data set. With ρ it
        is about data like these.

    Returns
    -------
    PairedDifference
        Of a − b.

    Raises
    ------
    ValueError
        If a and b differ in length, hold fewer than two numbers or one that is not finite, or if
        ``confidence_level`` or ``overlap`` is out of its range.

    Notes
    -----
    A paired t-test. Runs that share test rows are correlated; [1]_ replaces the variance s²/n of their mean
    by s² (1/n + ρ/(1 − ρ)), so that more runs narrow the interval only up to a point. If all differences are
    equal, the margin is 0, and p is 1 for a difference of zero and 0 otherwise.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003),
       section 3: the corrected resampled t-test.

    Examples
    --------
    >>> difference = paired_difference([1.0, 2.0, 4.0], [0.5, 1.0, 2.5])
    >>> round(difference.mean, 3), round(difference.p, 3)
    (1.0, 0.074)
    >>> round(paired_difference([1.0, 2.0, 4.0], [0.5, 1.0, 2.5], overlap=0.3).p, 3)
    0.149
    """
    from scipy import stats

    a, b = finite_numbers(a, "a", at_least=2), finite_numbers(b, "b", at_least=2)
    if len(a) != len(b):
        raise ValueError(f"a and b must hold the same runs, got {len(a)} and {len(b)} numbers")
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must lie between 0 and 1, got {confidence_level!r}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and less than 1, got {overlap!r}")
    differences = a - b
    mean = float(differences.mean())
    error = float(differences.std(ddof=1) * np.sqrt(1 / len(differences) + overlap / (1 - overlap)))
    if error < 1e-12 * max(1e-300, float(np.abs([a, b]).max())):  # rounding errors only
        return PairedDifference(mean, 0.0, float(np.allclose(a, b, rtol=1e-12, atol=0)))
    t = stats.t(len(differences) - 1)
    return PairedDifference(
        mean, float(error * t.ppf((1 + confidence_level) / 2)), float(2 * t.sf(abs(mean) / error))
    )


def smallest_detectable(a: Any, b: Any, *, power: float = 0.8) -> float:
    """Return the smallest mean difference that a paired t-test at the level 0.05 finds with some power.

    Parameters
    ----------
    a, b : array-like of shape (n_runs,)
        As for :func:`paired_difference`.
    power : float, default=0.8

    Notes
    -----
    Runs count as independent, as with ``overlap=0`` of :func:`paired_difference`.

    ``s / √n (t₀.₉₇₅ + t_power)`` with n − 1 degrees of freedom, for the standard deviation s of the
    differences: the usual approximation by a shifted t distribution, without adjustment for several tests.

    Examples
    --------
    >>> round(smallest_detectable([1.0, 2.0, 4.0], [0.5, 1.0, 2.5]), 3)
    1.548
    """
    from scipy import stats

    margin, t = paired_difference(a, b).margin, stats.t(len(a) - 1)
    return float(margin * (1 + t.ppf(power) / t.ppf(0.975)))


def verdict(mean: float, margin: float, p: float, negligible: float, unit: str = "") -> str:
    """Say in one of three words what runs show about a difference.

    Parameters
    ----------
    mean, margin : float
        The mean difference, and half the width of its interval: see :class:`PairedDifference`.
    p : float
        Its p-value, adjusted if there are several comparisons (:func:`holm`).
    negligible : float
        The largest difference that does not matter.
    unit : str, default=""
        Stands after ``negligible``, such as "%" or "points".

    Returns
    -------
    str
        "established" if p is below 0.05; "excluded beyond ± x" if the whole interval lies within the
        negligible differences; else "not established": the runs are too few to tell.

    Examples
    --------
    >>> verdict(0.03, 0.01, 0.002, negligible=0.01)
    'established'
    >>> verdict(0.001, 0.004, 1.0, negligible=0.01)
    'excluded beyond ± 0.01'
    >>> verdict(3.0, 5.0, 0.4, negligible=5.0, unit="%")
    'not established'
    """
    if p < 0.05:
        return "established"
    inside = abs(mean) + margin < negligible
    return f"excluded beyond ± {negligible:g} {unit}".rstrip() if inside else "not established"


def mean_margin(runs: Any, *, confidence_level: float = 0.95) -> Any:
    """Return half the width of the t-interval of the mean over runs; NaN for a single run.

    Parameters
    ----------
    runs : array-like of shape (n_runs, ...)
    confidence_level : float, default=0.95

    Returns
    -------
    ndarray of shape (...), or float

    Examples
    --------
    >>> round(float(mean_margin([1.0, 2.0, 3.0])), 3)
    2.484
    """
    from scipy import stats

    runs = np.asarray(runs, dtype=np.float64)
    if len(runs) < 2:
        return np.full(runs.shape[1:], np.nan)
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    return error * stats.t.ppf((1 + confidence_level) / 2, len(runs) - 1)


def holm(p_values: Any) -> np.ndarray:
    """Return p-values adjusted for multiple comparisons by Holm's step-down procedure.

    With p ascending, ``p̃_i = min(1, max_{j ≤ i} (m − j + 1) p_j)`` over the m comparisons. Rejecting the
    hypotheses with p̃ ≤ α makes at least one error with a probability of at most α, however the tests
    depend on each other.

    Parameters
    ----------
    p_values : array-like of shape (m,)
        Numbers in [0, 1].

    Returns
    -------
    ndarray of float64, shape (m,)
        Adjusted p-values, in the order of ``p_values``.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics,
    1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p_values must be one-dimensional and lie in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
