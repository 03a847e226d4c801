"""Is a difference between runs more than chance? The tests and intervals that the tables use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from skprune.metrics import finite_numbers
from skprune.significance import holm
from skprune.streams import draw_seed, generator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bootstrap_interval", "cohens_d", "compare"]


def compare(
    runs: Mapping[str, Any],
    baseline: str,
    *,
    confidence_level: float = 0.95,
    random_state: Any = None,
) -> pd.DataFrame:
    """Compare the runs of several methods with the runs of one of them.

    Parameters
    ----------
    runs : mapping of str to array-like of shape (n_runs,)
        One finite number per run, for instance an AUC per seed; at least two per method.
    baseline : str
        The method that the others are compared with.
    confidence_level : float, default=0.95
        Confidence level of the bootstrap interval.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the bootstrap.

    Returns
    -------
    DataFrame of one row per method, in order
        ``n``, ``median``, ``q25`` and ``q75`` describe the runs of the method. The other columns compare it
        with the baseline: the ``difference`` of the means, ``low`` and ``high`` of its bootstrap interval,
        Cohen's ``d``, Welch's ``t`` with ``df`` and the two-sided ``p``, and ``p_holm``, which is p adjusted
        for all comparisons of the table. They are NaN for the baseline itself.

    Raises
    ------
    ValueError
        If ``baseline`` is not among the methods, a method has fewer than two runs, or a number is not finite.

    Notes
    -----
    Welch's t (scipy's): ``t = (m₁ − m₂) / √(s₁²/n₁ + s₂²/n₂)``, with Satterthwaite's degrees of freedom
    ``(s₁²/n₁ + s₂²/n₂)² / (s₁⁴/(n₁²(n₁−1)) + s₂⁴/(n₂²(n₂−1)))``. If neither method varies, p is 1 for equal
    means and 0 for different means.

    Examples
    --------
    >>> table = compare({"none": [1.0, 2.0, 3.0], "ours": [3.0, 4.0, 5.0]}, "none", random_state=0)
    >>> table.loc["ours", ["difference", "d", "df", "p"]].astype(float).round(3).tolist()
    [2.0, 2.0, 4.0, 0.07]
    """
    import pandas as pd

    samples = {name: finite_numbers(values, f"runs[{name!r}]", at_least=2) for name, values in runs.items()}
    if baseline not in samples:
        raise ValueError(f"baseline={baseline!r} is not one of the methods in runs: {list(samples)}")
    reference = samples[baseline]
    rows = []
    for name, values in samples.items():
        q25, median, q75 = np.quantile(values, [0.25, 0.5, 0.75])
        row = {"n": len(values), "median": median, "q25": q25, "q75": q75}
        if name != baseline:
            low, high = bootstrap_interval(
                values,
                reference,
                statistic=_difference,
                confidence_level=confidence_level,
                random_state=random_state,
            )
            t, df, p = _welch(values, reference)
            row |= {"difference": _difference(values, reference), "low": low, "high": high}
            row |= {"d": cohens_d(values, reference), "t": t, "df": df, "p": p}
        rows.append(row)
    columns = ["n", "median", "q25", "q75", "difference", "low", "high", "d", "t", "df", "p"]
    table = pd.DataFrame(rows, index=list(samples), columns=columns)
    compared = table.index != baseline
    table["p_holm"] = np.nan
    table.loc[compared, "p_holm"] = holm(table.loc[compared, "p"])
    return table


def cohens_d(a: Any, b: Any) -> float:
    """Return Cohen's d of two samples, with the pooled standard deviation.

    ``d = (m_a − m_b) / s`` with ``s² = ((n_a − 1) s_a² + (n_b − 1) s_b²) / (n_a + n_b − 2)``.

    Parameters
    ----------
    a, b : array-like of shape (n_a,) and (n_b,)
        At least two finite numbers in each.

    Returns
    -------
    float
        Infinite if neither sample varies and the means differ, 0 if all numbers are equal.

    References
    ----------
    J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988, section 2.2.

    Examples
    --------
    >>> cohens_d([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    2.0
    """
    a, b = finite_numbers(a, "a", at_least=2), finite_numbers(b, "b", at_least=2)
    difference = _difference(a, b)
    degrees = len(a) + len(b) - 2
    pooled = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / degrees)
    if np.ptp(a) == np.ptp(b) == 0:
        return float(np.sign(difference) * np.inf) if difference else 0.0
    return float(difference / pooled)


def bootstrap_interval(
    *samples: Any,
    statistic: Callable[..., Any] = np.mean,
    paired: bool = False,
    confidence_level: float = 0.95,
    n_resamples: int = 9_999,
    random_state: Any = None,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of a statistic.

    Parameters
    ----------
    *samples : array-like of shape (n,)
        At least two finite numbers in each.
    statistic : callable, default=numpy.mean
        ``(*samples) -> float``.
    paired : bool, default=False
        Draw the same rows from all samples.
    confidence_level : float, default=0.95
        Probability that the interval covers the statistic.
    n_resamples : int, default=9999
        Number of bootstrap samples.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the resampling.

    Returns
    -------
    low, high : float
        Ends of the interval.

    Notes
    -----
    Calls :func:`scipy.stats.bootstrap` for a percentile interval: the bias-corrected interval is undefined if
    all runs agree, and a few seeds say little about bias.

    Examples
    --------
    >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0], random_state=0)
    >>> 1.0 <= low < 2.5 < high <= 4.0
    True
    """
    result = stats.bootstrap(
        [finite_numbers(values, f"samples[{i}]", at_least=2) for i, values in enumerate(samples)],
        statistic,
        paired=paired,
        vectorized=False,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        method="percentile",
        random_state=generator(draw_seed(random_state)),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    if np.ptp(a) == np.ptp(b) == 0:
        difference = _difference(a, b)
        t = np.sign(difference) * np.inf if difference else 0.0
        return float(t), np.nan, float(difference == 0)
    result = stats.ttest_ind(a, b, equal_var=False)
    return float(result.statistic), float(result.df), float(result.pvalue)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    # Rounding can make the mean of equal numbers differ from that number.
    mean_a, mean_b = (x[0] if np.ptp(x) == 0 else np.mean(x) for x in (a, b))
    return float(mean_a - mean_b)
