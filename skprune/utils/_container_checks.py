"""Every container that rows may come in, and rows that no container may hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from skprune.utils._samples import Sample, refused

#: A container, what it comes back as, and how its rows are read.
Container = tuple[Any, type, Callable[[Any], Any]]


def check_every_text_container_gives_the_same_rows(filter: Any, sample: Sample) -> None:
    """Rows come back in the container they came in."""
    expected = clone(filter).fit_transform(sample.X, sample.y)
    for X, kind, texts_of in _text_containers(sample.X):
        kept = clone(filter).fit(X, sample.y).transform(X)
        name = type(X).__name__
        assert type(kept) is kind, f"{name} came back as {type(kept).__name__}"
        assert list(texts_of(kept)) == expected, f"{name}: other rows than those of a list"


def _text_containers(texts: list[str]) -> Iterator[Container]:
    import pandas as pd

    for X in (
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        # An index of its own, in which labels come twice.
        pd.Series(texts, index=np.random.default_rng(0).permutation(len(texts)) // 2),
    ):
        yield X, type(X), list
    frame = pd.DataFrame({"text": texts, "n": range(len(texts))})
    yield frame, pd.DataFrame, lambda kept: kept["text"]
    if find_spec("torch"):
        from torch.utils.data import Subset

        yield _dataset(list(zip(texts, range(len(texts)), strict=True))), Subset, _first_of_each
    if find_spec("datasets"):
        from datasets import Dataset

        columns = {"text": texts, "n": list(range(len(texts)))}
        yield Dataset.from_dict(columns), Dataset, lambda kept: kept["text"]


def check_every_numeric_container_is_taken(filter: Any, sample: Sample) -> None:
    """Each gives the rows that an array gives; a sparse matrix as many, for its rows hash otherwise."""
    import pandas as pd

    expected = sample.X[np.sort(clone(filter).fit(sample.X, sample.y).select(sample.X))]
    with tempfile.TemporaryDirectory() as folder:
        for X, kind, rows_of in _numeric_containers(sample.X, Path(folder)):
            fitted = clone(filter).fit(X, sample.y)
            kept = fitted.transform(X)
            name = type(X).__name__
            assert type(kept) is kind, f"{name} came back as {type(kept).__name__}"
            assert np.array_equal(rows_of(kept), expected), f"{name}: other rows than those of an array"
            assert fitted.n_features_in_ == sample.X.shape[1], f"{name}: n_features_in_ counts the columns"
    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    names = clone(filter).fit(frame, sample.y).feature_names_in_
    assert names.tolist() == list("abcde"), "feature_names_in_ must name the columns"
    matrix = sp.csr_array(sample.X)
    selected = clone(filter).fit(matrix, sample.y).select(matrix)
    assert len(set(selected)) == len(selected), "a sparse matrix: a row came twice"
    assert sp.issparse(clone(filter).fit_transform(matrix, sample.y)), "a sparse matrix must come back as one"


def _numeric_containers(rows: np.ndarray, folder: Path) -> Iterator[Container]:
    import pandas as pd

    yield rows.tolist(), list, np.asarray
    yield pd.DataFrame(rows, columns=list("abcde")), pd.DataFrame, np.asarray
    mapped = np.memmap(folder / "rows", dtype=np.float64, mode="w+", shape=rows.shape)
    mapped[:] = rows
    yield mapped, np.ndarray, np.asarray  # the few rows that are kept are in memory
    if find_spec("torch"):
        import torch
        from torch.utils.data import Subset

        yield torch.from_numpy(rows), torch.Tensor, np.asarray
        yield _dataset(list(zip(rows, range(len(rows)), strict=True))), Subset, _first_of_each
    if find_spec("datasets"):
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


def check_rows_that_are_no_texts_are_refused(filter: Any, sample: Sample) -> None:
    """The error names the row."""
    for row, error, words in [
        (None, ValueError, "X[1] is None"),
        (float("nan"), ValueError, "X[1] is NaN"),
        (b"b", TypeError, "X[1] is bytes"),
        ("\udc80", ValueError, "X[1] holds a lone surrogate"),
    ]:
        with refused(error, words):
            filter.fit(["a", row])
        assert not hasattr(filter, "pool_"), f"{words}: it must leave the filter unfitted"
    filter.fit(sample.X, sample.y)
    before = filter.select(sample.X).tolist()
    with refused(ValueError, "X[1] is NaN"):
        filter.partial_fit(["a", float("nan")], [0, 1])
    with refused(ValueError, "X[0] is None"):
        filter.select([None])
    assert filter.round_ == 0, "a refused partial_fit began a round"
    assert filter.select(sample.X).tolist() == before, "a refused row changed what survives"


def check_other_columns_and_infinite_values_are_refused(filter: Any, sample: Sample) -> None:
    """As scikit-learn's own estimators do."""
    import pandas as pd

    frame = pd.DataFrame(sample.X, columns=list("abcde"))
    filter.fit(frame, sample.y)
    assert filter.n_features_in_ == 5, "n_features_in_ counts the columns"
    with refused(ValueError, "feature names should match"):
        filter.select(frame.rename(columns={"a": "z"}))
    filter.fit(sample.X, sample.y)
    with refused(ValueError, "X has 3 features", "is expecting 5"):
        filter.select(sample.X[:, :3])
    holed = sample.X.copy()
    holed[2] = np.nan
    with refused(ValueError, "contains NaN (first in row 2)"):
        filter.fit(holed)
