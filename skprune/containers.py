"""Containers of rows: read them as texts or numbers, and take rows in the same kind of container."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array


def take_rows(X: Any, indices: np.ndarray) -> Any:
    """Return the rows of ``X`` at ``indices``, in X's own container.

    Examples
    --------
    >>> take_rows(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if hasattr(X, "iloc"):
        return X.iloc[indices]
    if hasattr(X, "to_pylist"):  # pyarrow's Table, Array and ChunkedArray
        return X.take(np.asarray(indices))
    if hasattr(X, "select") and hasattr(X, "column_names"):  # datasets.Dataset
        return X.select(indices)
    if isinstance(X, (list, tuple)):
        rows = np.asarray(indices).tolist()
        # One call for all rows is twice as fast as one call per row.
        return type(X)(itemgetter(*rows)(X) if len(rows) > 1 else map(X.__getitem__, rows))
    if sp.issparse(X):
        return X.tocsr()[indices]
    if hasattr(X, "shape"):  # ndarray, memmap, torch.Tensor
        return X[indices]
    if not hasattr(X, "__getitem__"):  # it only converts to an array
        return np.asarray(X)[indices]
    if _is_torch_dataset(X):
        from torch.utils.data import Subset

        return Subset(X, indices.tolist())
    return [X[row] for row in np.asarray(indices).tolist()]


def read_rows(X: Any, name: str) -> Any:
    """Return the rows of a container as an object array of texts, or as an array of numbers.

    Parameters
    ----------
    X : container
        See :class:`skprune.pools.Pool`.
    name : str
        The name in error messages.

    Returns
    -------
    ndarray of object, shape (n,); or ndarray or sparse matrix of numbers, shape (n, n_features, ...)

    Raises
    ------
    TypeError, ValueError
        If ``X`` holds neither texts nor rows of numbers. The message says what to pass instead.
    """
    if isinstance(X, (str, bytes)):
        raise TypeError(f"{name} is one {type(X).__name__}; pass a list of texts")
    if hasattr(X, "iloc"):
        return _read_pandas(X, name)
    if sp.issparse(X):
        return _read_sparse(X, name)
    if hasattr(X, "__dask_graph__"):
        raise TypeError(f"{name} is a dask collection; pass {name}.compute()")
    if hasattr(X, "to_pylist"):
        return _read_arrow(X, name)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} is a masked array with masked values; drop or fill them: {name}.filled(value)"
        )
    if isinstance(X, Mapping):
        raise TypeError(f"{name} is a {type(X).__name__}; pass one of its values: {', '.join(map(repr, X))}")
    if hasattr(X, "column_names") and hasattr(X, "select"):  # datasets.Dataset
        return _read_hugging_face(X, name)
    if isinstance(X, (list, tuple)):
        return _read_sequence(X, name)
    if hasattr(X, "detach"):  # a torch.Tensor, which may need a gradient or be on a GPU
        return _read_array(X.detach().cpu().numpy(), name)
    if hasattr(X, "__array__"):
        return _read_array(np.asarray(X), name)
    if hasattr(X, "__getitem__") and hasattr(X, "__len__"):  # torch.utils.data.Dataset
        rows = (X[i] for i in range(len(X)))
        return _read_sequence([row[0] if isinstance(row, tuple) else row for row in rows], name)
    raise TypeError(f"{name} must be a list, array, Series, DataFrame or Dataset, got {type(X)}")


def _read_pandas(X: Any, name: str) -> Any:
    if X.ndim == 1:
        if X.dtype.kind in "biufc":
            raise TypeError(f"{name} is a Series of numbers; pass texts or a 2-D frame")
        return _objects(X.to_numpy(dtype=object))
    numeric = X.select_dtypes("number")
    if X.shape[1] and numeric.shape[1] == X.shape[1]:
        values = X.to_numpy()
        # Nullable numbers of pandas come as objects; a missing one becomes NaN, and the check names its row.
        return X.to_numpy(dtype=np.float64, na_value=np.nan) if values.dtype == object else values
    strings = [c for c in X.columns if c not in numeric.columns]
    column = _only_column(strings, f"{name}[[column]]", name)
    return _objects(X[column].to_numpy(dtype=object))


def _read_sparse(X: Any, name: str) -> Any:
    if X.ndim != 2:
        raise ValueError(f"{name} is a sparse array of {X.ndim} dimension; pass rows: a 2-D array")
    _check_numbers(X, name)
    rows = X.tocsr()
    if (
        rows.indices.dtype != np.int32 and max(rows.nnz, rows.shape[1]) < 2**31
    ):  # scikit-learn's k-means wants it
        parts = (rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32))
        rows = type(rows)(parts, shape=rows.shape)
    return rows


def _read_arrow(X: Any, name: str) -> Any:
    """Read a pyarrow Array, ChunkedArray, or the only column of strings of a Table."""
    if hasattr(X, "column_names"):
        kinds = {field.name: str(field.type) for field in X.schema}
        X = X[_only_column([c for c, kind in kinds.items() if "string" in kind], f"{name}[column]", name)]
    return _read_sequence(X.to_pylist(), name)


def _check_numbers(X: Any, name: str) -> None:
    """Refuse rows that are not real numbers, or have no features."""
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds values of dtype {X.dtype}; rows must be real numbers or texts")
    if 0 in X.shape[1:]:
        raise ValueError(
            f"{name} has rows of shape {X.shape[1:]}: 0 feature(s), while a minimum of 1 is required"
        )


def _is_torch_dataset(X: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.utils.data.Dataset)


def _read_hugging_face(X: Any, name: str) -> Any:
    """Read the only column of strings, or the only column of vectors; numeric columns become rows."""
    if not len(X):
        return _objects([])
    kinds = {c: str(getattr(f, "dtype", "")) for c, f in X.features.items()}
    kinds_within = {c: str(getattr(getattr(f, "feature", None), "dtype", "")) for c, f in X.features.items()}

    def numbers(column: str, kind: str) -> np.ndarray:
        # The default dtype is float32, whatever the column holds.
        return np.asarray(X.with_format("numpy", dtype=np.dtype(kind))[column][:])

    if all(map(_is_numeric, kinds.values())):
        return _read_array(np.column_stack([numbers(*item) for item in kinds.items()]), name)
    strings = [column for column, kind in kinds.items() if kind.endswith("string")]
    vectors = [column for column, kind in kinds_within.items() if _is_numeric(kind)]
    column = _only_column(strings or vectors, f"{name}.select_columns(column)", name)
    if strings:
        return _objects(X.with_format(None)[column][:])
    return _read_array(numbers(column, kinds_within[column]), name)


def _is_numeric(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "bool"))


def _only_column(columns: Sequence[Any], take_one: str, name: str) -> Any:
    if len(columns) != 1:
        found = ", ".join(map(repr, columns)) or "none"
        raise ValueError(
            f"{name} must have exactly one column of texts or of vectors, found {found}; pass {take_one}"
        )
    return columns[0]


def _read_sequence(X: Sequence[Any], name: str) -> np.ndarray:
    if len(X) and hasattr(X[0], "as_py"):  # scalars of pyarrow
        X = [value.as_py() for value in X]
    if len(X) and getattr(X[0], "ndim", 0):  # an array or tensor a row
        return _read_array(np.stack([np.asarray(x) for x in X]), name)
    if X and isinstance(X[0], (list, tuple)):
        if any(isinstance(value, str) for value in X[0]):
            raise TypeError(f"{name}[0] is a {type(X[0]).__name__} of str; a row is one text: join its parts")
        return _read_array(np.asarray(X), name)
    if X and all(isinstance(x, (int, float, np.number)) and x == x for x in X[:10]):
        raise ValueError(f"Expected 2D array, got 1D array instead: {name} must hold texts or rows")
    return _objects(X)


def _read_array(X: np.ndarray, name: str) -> np.ndarray:
    if X.ndim == 0:
        raise TypeError(f"{name} is a single value; pass rows")
    if X.dtype.kind == "S":
        raise TypeError(f"{name} holds bytes; decode it to str")
    if X.dtype.kind in "OUT" and (X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)):
        flat = X.reshape(-1)
        if X.ndim == 1 or all(isinstance(x, str) for x in flat[:10]):
            return _objects(flat)
    if X.ndim == 2 and any(isinstance(value, str) for value in X[:1].ravel()):
        raise TypeError(f"{name} has {X.shape[1]} columns with texts; pass one of them, {name}[:, i]")
    # scikit-learn has messages for 1-D numbers, complex numbers and rows without features.
    rows = check_array(
        X, dtype="numeric", ensure_all_finite=False, ensure_min_samples=0, allow_nd=True, input_name=name
    )
    _check_numbers(rows, name)
    return rows


def _objects(values: Iterable[Any]) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values.astype(object, copy=False)  # str, not np.str_
    values = list(values)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
