"""Whatever is passed as a pool: a filter prunes it, or refuses it with a message before any work."""

import copy
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skprune import AnchorFilter, PerplexityFilter, RandomFilter
from skprune.pools import Pool

texts = st.text(max_size=8)
odd_values = st.sampled_from(
    [None, np.nan, pd.NA, pd.NaT, Decimal("NaN"), b"bytes", "\ud800", 3, 1.5, True, np.str_("np"), [], {}, ""]
)
sizes = st.integers(0, 12)


@st.composite
def numbers(draw):
    shape = draw(
        st.tuples(sizes, st.integers(0, 4)) | st.tuples(sizes) | st.tuples(sizes, st.just(2), st.just(2))
    )
    kind = draw(st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "c8", "M8[D]", "m8[s]"]))
    return draw(arrays(np.dtype(kind), shape))


def series(values):
    return pd.Series(values, dtype=object)


def frame(values):
    return pd.DataFrame({"text": pd.Series(values, dtype=object)})


def objects(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def masked(array):
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) % 3 == 0)


def table(array):
    return pd.DataFrame(array) if array.ndim == 2 else array


def sparse(array):
    plain = (
        array if array.ndim <= 2 and array.dtype.kind in "fiu?c" and array.dtype != np.float16 else np.eye(3)
    )
    return sp.coo_array(plain)


text_pools = st.lists(texts | odd_values, max_size=12).flatmap(
    lambda values: st.sampled_from([list, tuple, objects, series, frame]).map(lambda kind: kind(values))
)
number_pools = numbers().flatmap(
    lambda array: st.sampled_from([np.asarray, masked, table, sparse, list]).map(lambda kind: kind(array))
)
other_pools = st.sampled_from(
    [None, 3, "one text", b"bytes", {"a": ["x"]}, {"x", "y"}, iter(["a"]), object()]
)


def never(texts):
    raise AssertionError("a text was scored before the pool was checked")


@settings(max_examples=400)
@given(X=text_pools | number_pools | other_pools)
def test_a_pool_is_pruned_or_refused_before_any_work(X):
    before = copy.deepcopy(X) if not hasattr(X, "__next__") else None
    for pruner in (RandomFilter(0.5, random_state=0), AnchorFilter(2, 2, random_state=0)):
        refusal = None
        try:
            kept = pruner.fit(X).select(X)
        except (TypeError, ValueError) as error:
            refusal = str(error)
        if refusal is not None:
            assert refusal
            assert not hasattr(pruner, "pool_")
            continue
        n_rows = len(Pool(X))
        assert 0 < len(kept) <= n_rows
        assert len(set(kept.tolist())) == len(kept)
        rows = pruner.transform(X)
        assert type(rows) is type(X) or sp.issparse(rows)
    if isinstance(X, np.ndarray) and X.dtype != object:
        np.testing.assert_array_equal(X, before)


@given(values=st.lists(texts, min_size=1, max_size=8), odd=odd_values, place=st.integers(0, 8))
def test_a_row_that_is_not_text_is_named_before_any_score(values, odd, place):
    if isinstance(odd, str) and odd != "\ud800":
        return
    pool = [*values[:place], odd, *values[place:]]
    named = rf"\[{min(place, len(values))}\]|row|2D|one text"
    with pytest.raises((TypeError, ValueError), match=named):
        PerplexityFilter(1, perplexity=never).fit(pool)
