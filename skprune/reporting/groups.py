"""Who is pruned: how often a filter keeps the rows of each group, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skprune.significance import holm

# A group whose rate is below this share of the highest rate is flagged: the "four-fifths rule".
FOUR_FIFTHS = 0.8
# Smaller groups do not set the highest rate: a few rows kept to meet a floor would flag all others.
SMALL = 0.02
LEVEL = 0.05
_POWER = 0.8
# More different numbers than this are cut into quarters; of more words, the most frequent are shown.
_MAX_NUMBERS = 12
_MAX_WORDS = 30


def keep_rates(kept: np.ndarray, groups: Any, decided: np.ndarray) -> Any:
    """Return how often the rows of each group are kept, compared with all other rows.

    Parameters
    ----------
    kept : ndarray of bool, shape (n_rows,)
    groups : dict of str to array-like of shape (n_rows,), or DataFrame
        Several ways to divide the rows. More than 12 different numbers are cut at their quartiles; beyond 30
        different words, the rarest are taken together. Missing values are a group.
    decided : ndarray of bool, shape (n_rows,)
        The rows that the filter decided about. Others are not counted.

    Returns
    -------
    DataFrame of one row per group, lowest ratio first
        ``by`` and ``group`` name it; ``rows``, ``kept`` and ``rate`` describe it. ``ratio`` is its rate,
        divided by the highest rate of a group of the same division; groups of less than 2 % of the rows do
        not count for that, unless all are as small. ``flagged`` is ``ratio < 0.8``. ``p`` is
        that of Fisher's exact test against all other rows, ``p_holm`` is adjusted for all groups, and
        ``detectable`` is the smallest difference of the rate from that of the other rows which the test finds
        with a probability of 0.8. ``floor`` is the number of rows to keep so that the ratio becomes 0.8, and
        ``missing`` how many more these are.

    Raises
    ------
    ValueError
        If an array has another length than ``kept``.

    Notes
    -----
    The four-fifths rule is that of the US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4
    D. It says nothing about chance; the test does. ``detectable`` uses the normal approximation, the rate of
    all rows, and Bonferroni's level, which is at most as powerful as Holm's. The test takes rows as
    independent; with many copies, p is too small.

    Examples
    --------
    >>> kept = np.array([True, True, True, True, False, False])
    >>> table = keep_rates(kept, {"site": list("aaabbb")}, np.ones(6, dtype=bool))
    >>> table[["group", "rows", "kept", "ratio", "floor"]].values.tolist()
    [['b', 3, 1, 0.333..., 3], ['a', 3, 3, 1.0, 3]]
    """
    import pandas as pd
    from scipy import stats

    n, n_kept = int(decided.sum()), int(kept[decided].sum())
    rows = []
    for name, values in divisions(groups, len(kept)).items():
        table = pd.crosstab(values[decided], kept[decided]).reindex(columns=[False, True], fill_value=0)
        counts = table.to_numpy()
        sizes, hits = counts.sum(axis=1), counts[:, 1]
        large = sizes >= SMALL * n
        highest = (hits / sizes)[large if large.any() else slice(None)].max()
        for group, size, hit in zip(table.index, sizes.tolist(), hits.tolist(), strict=True):
            others = [n_kept - hit, n - size - (n_kept - hit)]
            p = stats.fisher_exact([[hit, size - hit], others]).pvalue
            floor = int(np.ceil(FOUR_FIFTHS * highest * size - 1e-9))
            rows.append(
                {
                    "by": str(name),
                    "group": str(group),
                    "rows": size,
                    "kept": hit,
                    "rate": hit / size,
                    "ratio": hit / size / highest if highest else 1.0,
                    "p": float(p),
                    "floor": max(floor, hit),
                    "missing": max(floor - hit, 0),
                }
            )
    table = pd.DataFrame(rows)
    if not len(table):
        return table
    table["flagged"] = table["missing"] > 0  # ratio < 0.8, free of rounding errors
    table["p_holm"] = holm(table["p"])
    rate = n_kept / n
    z = stats.norm.ppf(1 - LEVEL / 2 / len(table)) + stats.norm.ppf(_POWER)
    others = n - table["rows"]
    with np.errstate(divide="ignore"):
        table["detectable"] = z * np.sqrt(rate * (1 - rate) * (1 / table["rows"] + 1 / others))
    return table.sort_values(["ratio", "by", "group"], ignore_index=True)


def divisions(groups: Any, n_rows: int) -> dict[Any, np.ndarray]:
    """Return the name of the group of every row, per division; see :func:`keep_rates`.

    Raises
    ------
    TypeError, ValueError
        If ``groups`` is neither a dict nor a DataFrame, or an array has another length than ``n_rows``.
    """
    if not isinstance(groups, Mapping) and not hasattr(groups, "columns"):
        raise TypeError(
            f"groups must be a dict of arrays or a DataFrame, got {type(groups).__name__}; "
            "pass {'name': array} for one array"
        )
    columns = {name: groups[name] for name in (groups.columns if hasattr(groups, "columns") else groups)}
    for name, values in columns.items():
        if np.ndim(values) != 1 or len(values) != n_rows:
            raise ValueError(
                f"groups[{name!r}] must hold one value for each of the {n_rows} rows, "
                f"got shape {np.shape(values)}"
            )
    return {name: _named(values) for name, values in columns.items()}


def _named(values: Any) -> np.ndarray:
    """Return the name of the group of each row, object of shape (n_rows,)."""
    import pandas as pd

    series = pd.Series(np.asarray(values, dtype=object) if isinstance(values, list | tuple) else values)
    series = series.reset_index(drop=True).infer_objects()
    missing = series.isna()
    if pd.api.types.is_numeric_dtype(series) and series.nunique() > _MAX_NUMBERS:
        named = pd.qcut(series, 4, duplicates="drop", precision=4).astype(str)
    else:
        named = series.astype(str)
        frequent = named[~missing].value_counts()
        if len(frequent) > _MAX_WORDS:
            named = named.where(named.isin(frequent.index[:_MAX_WORDS]), "(other values)")
    return named.where(~missing, "(missing)").to_numpy(dtype=object)
