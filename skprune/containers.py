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
    if is_dask(X):
        raise TypeError("rows of a dask collection have no positions; pass its .compute()")
    if isinstance(X, (list, tuple)):
        rows = np.asarray(indices).tolist()
        # One call for all rows is twice as fast as one call per row.
        return type(X)(itemgetter(*rows)(X) if len(rows) > 1 else map(X.__getitem__, rows))
    if hasattr(X, "to_pylist"):  # whatever pyarrow has, also what narwhals does not read
        return _take_arrow(X, np.asarray(indices))
    if hasattr(X, "select") and hasattr(X, "with_format"):  # datasets.Dataset
        return X.select(indices)
    if hasattr(X, "iloc"):  # columns of pandas may share a name, which narwhals refuses
        return X.iloc[np.asarray(indices)]
    if (frame := frame_of(X)) is not None:
        return frame[np.asarray(indices)].to_native()
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


def _take_arrow(X: Any, rows: np.ndarray) -> Any:
    """Take rows of whatever pyarrow has, also of types whose rows pyarrow cannot take, such as views."""
    import pyarrow as pa

    if hasattr(X, "column_names"):
        return type(X).from_arrays([_take_arrow(column, rows) for column in X.columns], schema=X.schema)
    as_stored = {"string_view": "large_string", "binary_view": "large_binary"}.get(str(X.type))
    if as_stored is not None:
        return X.cast(as_stored).take(rows).cast(X.type)
    try:
        return X.take(rows)
    except pa.ArrowNotImplementedError:  # views within a list or struct, and runs
        whole = X.combine_chunks() if hasattr(X, "chunks") else X
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        taken = pa.concat_arrays([whole.slice(run[0] if len(run) else 0, len(run)) for run in runs])
        return pa.chunked_array([taken]) if hasattr(X, "chunks") else taken


def is_dask(X: Any) -> bool:
    """Return whether X is a collection of dask, whose rows are computed when they are needed."""
    return hasattr(X, "__dask_graph__")


def frame_of(X: Any) -> Any:
    """Return a frame or Series as narwhals reads it, whatever library made it; None for other containers.

    Raises
    ------
    TypeError
        If the frame is lazy: its rows have no positions yet.

    Examples
    --------
    >>> import pandas as pd
    >>> frame_of(pd.DataFrame({"a": [1]})).columns, frame_of(["a"])
    (['a'], None)
    """
    if not any(hasattr(type(X), name) for name in ("to_numpy", "columns", "column_names")):
        return None
    import narwhals as nw

    if hasattr(X, "with_format"):  # datasets.Dataset
        X = X.with_format("arrow")[:]
    elif hasattr(X, "to_pylist"):  # narwhals reads Tables and ChunkedArrays, not the parts of one
        import pyarrow as pa

        X = pa.table(X) if hasattr(X, "column_names") else pa.chunked_array(getattr(X, "chunks", [X]))
    frame = nw.from_native(X, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(f"the pool is a lazy {type(X).__name__}; call its .collect() or .compute() first")
    return frame if isinstance(frame, (nw.DataFrame, nw.Series)) else None


def column_names(X: Any) -> list[Any]:
    """Return the names of the columns of a frame or Hugging Face Dataset; empty for other containers."""
    if hasattr(X, "column_names") and not callable(X.column_names):  # pyarrow and datasets
        return list(X.column_names)
    return list(X.columns) if getattr(X, "ndim", 2) == 2 and hasattr(X, "columns") else []


def read_rows(X: Any, name: str, text: Any = None) -> Any:
    """Return the rows of a container as an object array of texts, or as an array of numbers.

    Parameters
    ----------
    X : container
        See :class:`skprune.pools.Pool`.
    name : str
        The name in error messages.
    text : column name, default=None
        The column of texts, if the container has columns.

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
    if isinstance(X, (list, tuple)):
        return _read_sequence(X, name)
    if sp.issparse(X):
        return _read_sparse(X, name)
    if hasattr(X, "read_next_batch"):
        raise TypeError(f"{name} is a stream, which can be read once only; pass {name}.read_all()")
    if is_dask(X):
        raise TypeError(
            f"{name} is a dask collection. Filters read dask DataFrames of texts, but here the rows must be "
            f"in memory: pass {name}.compute()"
        )
    if isinstance(X, Mapping):  # also datasets.DatasetDict
        raise TypeError(f"{name} is a {type(X).__name__}; pass one of its values: {', '.join(map(repr, X))}")
    if hasattr(X, "column_names") and hasattr(X, "with_format"):  # datasets.Dataset
        return _read_hugging_face(X, name, text)
    if (frame := frame_of(_with_unique_columns(X, name, text))) is not None:
        return _read_frame(frame, name, text)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} is a masked array with masked values; drop or fill them: {name}.filled(value)"
        )
    if hasattr(X, "detach"):  # a torch.Tensor, which may need a gradient or be on a GPU
        return _read_array(X.detach().cpu().numpy(), name)
    if hasattr(X, "__array__"):
        return _read_array(np.asarray(X), name)
    if hasattr(X, "__getitem__") and hasattr(X, "__len__"):  # torch.utils.data.Dataset
        rows = (X[i] for i in range(len(X)))
        return _read_sequence([row[0] if isinstance(row, tuple) else row for row in rows], name)
    raise TypeError(f"{name} must be a list, array, Series, DataFrame or Dataset, got {type(X)}")


def _with_unique_columns(X: Any, name: str, text: Any) -> Any:
    """Return a frame in which no two columns share a name: later ones get a number."""
    # Only pandas and pyarrow allow it.
    names = column_names(X) if hasattr(X, "iloc") or hasattr(X, "to_pylist") else []
    if len(set(names)) == len(names):
        return X
    if text is not None:
        named_column(text, names, (), name)
    occurrence = [names[:place].count(column) for place, column in enumerate(names)]
    unique = [f"{c} ({n + 1})" if n else c for c, n in zip(names, occurrence, strict=True)]
    return X.set_axis(unique, axis=1) if hasattr(X, "iloc") else X.rename_columns(unique)


def _read_frame(frame: Any, name: str, text: Any) -> Any:
    """Read a Series, numeric columns as rows, or the column of texts, else the only column of vectors."""
    import narwhals as nw

    native = frame.to_native()
    if isinstance(frame, nw.Series):
        if frame.dtype.is_numeric() or frame.dtype == nw.Boolean:
            raise TypeError(f"{name} is a Series of numbers; pass texts or a 2-D frame")
        return _objects(frame.to_numpy())
    if text is None and hasattr(native, "select_dtypes"):
        # pandas has numbers that narwhals does not know (sparse ones), and columns may share a name.
        numeric = native.select_dtypes("number")
        if native.shape[1] and numeric.shape[1] == native.shape[1]:
            # Nullable numbers come as objects; a missing one becomes NaN, and the check names its row.
            values = native.to_numpy()
            return values if values.dtype != object else native.to_numpy(dtype=np.float64, na_value=np.nan)
    kinds = dict(frame.schema)
    if text is None and kinds and all(kind.is_numeric() for kind in kinds.values()):
        return _read_array(frame.to_numpy(), name)
    texts = [column for column, kind in kinds.items() if isinstance(kind, _text_kinds())]
    vectors = [column for column, kind in kinds.items() if isinstance(kind, (nw.List, nw.Array))]
    column = named_column(text, kinds, texts or vectors, name)
    values = frame.get_column(column).to_numpy()
    if column in texts:
        return _objects(values)
    if text is not None:
        raise _not_text(name, text, kinds[text])
    return _read_sequence(list(values), name)


def column_of_texts(frame: Any, text: Any, name: str) -> Any:
    """Return the column of texts of a frame: the one that ``text`` names, or the only one.

    Raises
    ------
    ValueError, TypeError
        If the column is missing, or does not hold texts.

    Examples
    --------
    >>> import pandas as pd
    >>> column_of_texts(pd.DataFrame({"body": ["a"], "stars": [1]}), None, "X")
    'body'
    """
    kinds = dict(frame_of(frame).schema)
    texts = [column for column, kind in kinds.items() if isinstance(kind, _text_kinds())]
    column = named_column(text, kinds, texts, name)
    if column not in texts:
        raise _not_text(name, column, kinds[column])
    return column


def _not_text(name: str, column: Any, kind: Any) -> TypeError:
    return TypeError(f"{name}[{column!r}] holds {kind}, not text; text= must name a column of texts")


def _text_kinds() -> tuple[type, ...]:
    """Return the types of columns that may hold texts; that each row is one is checked later."""
    import narwhals as nw

    return nw.String, nw.Categorical, nw.Enum, nw.Object


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


def _read_hugging_face(X: Any, name: str, text: Any) -> Any:
    """Read numeric columns as rows, or the column of texts, else the only column of vectors."""
    if not len(X):
        return _objects([])
    kinds = {c: str(getattr(f, "dtype", "")) for c, f in X.features.items()}
    kinds_within = {c: str(getattr(getattr(f, "feature", None), "dtype", "")) for c, f in X.features.items()}

    def numbers(column: str, kind: str) -> np.ndarray:
        # The default dtype is float32, whatever the column holds.
        return np.asarray(X.with_format("numpy", dtype=np.dtype(kind))[column][:])

    if text is None and all(map(_is_numeric, kinds.values())):
        return _read_array(np.column_stack([numbers(*item) for item in kinds.items()]), name)
    strings = [column for column, kind in kinds.items() if kind.endswith("string")]
    vectors = [column for column, kind in kinds_within.items() if _is_numeric(kind)]
    column = named_column(text, kinds, strings or vectors, name)
    if column in strings:
        return _objects(X.with_format(None)[column][:])
    if text is not None:
        raise _not_text(name, text, kinds[text])
    return _read_array(numbers(column, kinds_within[column]), name)


def _is_numeric(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "bool"))


def named_column(text: Any, columns: Iterable[Any], candidates: Sequence[Any], name: str) -> Any:
    """Return the column that ``text`` names, or the only candidate."""
    if text is not None:
        n_found = list(columns).count(text)
        if not n_found:
            names = ", ".join(map(repr, columns)) or "none"
            raise ValueError(f"{name} has no column {text!r}, which text= names; its columns are {names}")
        if n_found > 1:
            raise ValueError(f"{name} has {n_found} columns {text!r}, which text= names; rename them")
        return text
    if len(candidates) != 1:
        found = ", ".join(map(repr, candidates)) or "none"
        raise ValueError(
            f"{name} must have exactly one column of texts or of vectors, found {found}; name one with "
            f"text=, or pass that column alone"
        )
    return candidates[0]


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
    values = values if isinstance(values, (list, tuple)) else list(values)
    return np.fromiter(values, dtype=object, count=len(values))
