"""Checks of the containers that a filter must accept, and of the rows that it must reject."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from skprune.utils._samples import Sample, raises

#: A container, the type that transform must return for it, and a function that reads its rows.
Container = tuple[Any, type, Callable[[Any], Any]]


def check_text_containers(filter: Any, sample: Sample) -> None:
    """``transform`` returns rows in the same kind of container as its input."""
    expected = clone(filter).fit_transform(sample.X, sample.y)
    for X, kind, texts_of in _text_containers(sample.X):
        kept = clone(filter).fit(X, sample.y).transform(X)
        name = type(X).__name__
        assert type(kept) is kind, f"transform returned {type(kept).__name__} for {name}"
        assert list(texts_of(kept)) == expected, f"{name} and list gave different rows"


def _text_containers(texts: list[str]) -> Iterator[Container]:
    import pandas as pd

    for X in (
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        # The index has duplicates.
        pd.Series(texts, index=np.random.default_rng(0).permutation(len(texts)) // 2),
    ):
        yield X, type(X), list
    frame = pd.DataFrame({"text": texts, "n": range(len(texts))})
    yield frame, pd.DataFrame, lambda kept: kept["text"]
    if _is_installed("polars"):
        import polars as pl

        yield pl.Series(texts), pl.Series, list
        yield pl.DataFrame({"text": texts, "n": range(len(texts))}), pl.DataFrame, lambda kept: kept["text"]
    if _is_installed("pyarrow"):
        import pyarrow as pa

        yield pa.chunked_array([texts[:3], texts[3:]]), pa.ChunkedArray, lambda kept: kept.to_pylist()
        table = pa.table({"text": texts, "n": range(len(texts))})
        yield table, pa.Table, lambda kept: kept["text"].to_pylist()
    if _is_installed("torch"):
        from torch.utils.data import Subset

        yield _dataset(list(zip(texts, range(len(texts)), strict=True))), Subset, _first_of_each
    if _is_installed("datasets"):
        from datasets import Dataset

        columns = {"text": texts, "n": list(range(len(texts)))}
        yield Dataset.from_dict(columns), Dataset, lambda kept: kept["text"]


def check_numeric_containers(filter: Any, sample: Sample) -> None:
    """Every dense numeric container gives the same rows as an array.

    A sparse matrix may give other rows, because sparse rows have different digests.
    """
    import pandas as pd

    expected = sample.X[np.sort(clone(filter).fit(sample.X, sample.y).select(sample.X))]
    with tempfile.TemporaryDirectory() as folder:
        for X, kind, rows_of in _numeric_containers(sample.X, Path(folder)):
            fitted = clone(filter).fit(X, sample.y)
            kept = fitted.transform(X)
            name = type(X).__name__
            assert type(kept) is kind, f"transform returned {type(kept).__name__} for {name}"
            assert np.array_equal(rows_of(kept), expected), f"{name} and ndarray gave different rows"
            assert fitted.n_features_in_ == sample.X.shape[1], f"n_features_in_ is wrong after fit on {name}"
    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    names = clone(filter).fit(frame, sample.y).feature_names_in_
    assert names.tolist() == list("abcde"), "feature_names_in_ must hold the column names of a DataFrame"
    matrix = sp.csr_array(sample.X)
    selected = clone(filter).fit(matrix, sample.y).select(matrix)
    assert len(set(selected)) == len(selected), "select returned a row of a sparse matrix twice"
    kept = clone(filter).fit_transform(matrix, sample.y)
    assert sp.issparse(kept), f"transform returned {type(kept).__name__} for a sparse matrix"


def _numeric_containers(rows: np.ndarray, folder: Path) -> Iterator[Container]:
    import pandas as pd

    yield rows.tolist(), list, np.asarray
    yield pd.DataFrame(rows, columns=list("abcde")), pd.DataFrame, np.asarray
    if _is_installed("polars"):
        import polars as pl

        yield pl.DataFrame(rows, schema=list("abcde")), pl.DataFrame, np.asarray
    mapped = np.memmap(folder / "rows", dtype=np.float64, mode="w+", shape=rows.shape)
    mapped[:] = rows
    yield mapped, np.ndarray, np.asarray  # the kept rows are copied into memory
    if _is_installed("torch"):
        import torch
        from torch.utils.data import Subset

        yield torch.from_numpy(rows), torch.Tensor, np.asarray
        yield _dataset(list(zip(rows, range(len(rows)), strict=True))), Subset, _first_of_each
    if _is_installed("datasets"):
        from datasets import Dataset

        yield Dataset.from_dict({"vector": rows.tolist()}), Dataset, lambda kept: np.array(kept["vector"][:])


def _dataset(items: list[Any]) -> Any:
    """Return a map-style torch Dataset."""
    from torch.utils.data import Dataset

    class Items(Dataset):
        def __len__(self) -> int:
            return len(items)

        def __getitem__(self, row: int) -> Any:
            return items[row]

    return Items()


def _first_of_each(kept: Any) -> list[Any]:
    return [kept[row][0] for row in range(len(kept))]


def _is_installed(module: str) -> bool:
    """Return whether a module can be imported; a folder of that name on the path does not count."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def check_invalid_texts_raise(filter: Any, sample: Sample) -> None:
    """Rows that are not texts raise an error that names the row."""
    for row, error, words in [
        (None, ValueError, "X[1] is None"),
        (float("nan"), ValueError, "X[1] is NaN"),
        (b"b", TypeError, "X[1] is bytes"),
        ("\udc80", ValueError, "X[1] holds a lone surrogate"),
    ]:
        with raises(error, words):
            filter.fit(["a", row])
        assert not hasattr(filter, "pool_"), f"fit raised ({words}), but the filter appears to be fitted"
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with raises(ValueError, "X[1] is NaN"):
        filter.partial_fit(["a", float("nan")], [0, 1])
    with raises(ValueError, "X[0] is None"):
        filter.select([None])
    assert filter.round_ == 0, "partial_fit raised, but it began a new round"
    assert filter.select(sample.X).tolist() == before, "a call that raised changed the result of select"


def check_invalid_numeric_rows_raise(filter: Any, sample: Sample) -> None:
    """Wrong columns, NaN and infinite values raise, as in scikit-learn's own estimators."""
    import pandas as pd

    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    filter.fit(frame, sample.y)
    assert filter.n_features_in_ == 5, f"n_features_in_ is {filter.n_features_in_} for 5 columns"
    with raises(ValueError, "feature names should match"):
        filter.select(frame.rename(columns={"a": "z"}))
    filter.fit(sample.X, sample.y)
    with raises(ValueError, "X has 3 features", "is expecting 5"):
        filter.select(sample.X[:, :3])
    for value, words in ((np.nan, "contains NaN (first in row 2)"), (np.inf, "contains infinity")):
        invalid = sample.X.copy()
        invalid[2] = value
        with raises(ValueError, words):
            filter.fit(invalid)
