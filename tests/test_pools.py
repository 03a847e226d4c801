"""Rows of any container are read, checked, taken and recognized.

The file is long because tests mirror the source: it covers all of skprune/pools.py and containers.py.
"""

import hashlib
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from skprune import KMeansFilter, RandomFilter
from skprune.containers import take_rows
from skprune.exceptions import EmptyPoolError
from skprune.labels import Labeled, check_labels
from skprune.pools import Pool, check_pool, check_texts
from skprune.row_table import RowTable, digests

TEXTS = ["red", "green", "blue", "red"]

TEXT_CONTAINERS = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "object array": np.array(TEXTS, dtype=object),
    "U array": np.array(TEXTS),
    "StringDType array": np.array(TEXTS, dtype=np.dtypes.StringDType()),
    "column": np.array(TEXTS, dtype=object)[:, None],
    "Series": pd.Series(TEXTS, index=[7, 7, 1, 0]),
    "object Series": pd.Series(TEXTS, dtype=object),
    "DataFrame": pd.DataFrame({"n": [1, 2, 3, 4], "text": TEXTS}, index=list("abcd")),
}


@pytest.mark.parametrize("kind", TEXT_CONTAINERS)
def test_text_containers_are_read_and_taken_alike(kind):
    X = TEXT_CONTAINERS[kind]
    pool = check_pool(X)
    assert pool.texts.tolist() == TEXTS
    taken = pool.take(np.array([2, 0]))
    assert type(taken) is type(X)
    assert Pool(taken).texts.tolist() == ["blue", "red"]


NUMBERS = np.array([[1.0, 0.0], [0.0, 2.0], [-0.0, 2.0]])


@pytest.mark.parametrize(
    "X",
    [NUMBERS, NUMBERS.astype(np.float32), sp.csr_array(NUMBERS), pd.DataFrame(NUMBERS, columns=["a", "b"])],
    ids=["float64", "float32", "csr", "frame"],
)
def test_numeric_containers_are_read_and_taken_alike(X):
    pool = check_pool(X)
    assert pool.vectors.shape == (3, 2)
    assert pool.keys[1] == pool.keys[2], "minus zero is zero"
    assert pool.keys[0] != pool.keys[1]
    assert type(pool.take(np.array([1]))) is type(X)


def test_images_are_flat_rows_that_know_their_shape():
    images = np.arange(48, dtype=np.float32).reshape(4, 3, 4)
    images[3] = images[1]
    pool = check_pool(images)
    assert pool.row_shape == (3, 4)
    assert pool.vectors.shape == (4, 12)
    assert np.shares_memory(pool.vectors, images)
    assert pool.keys[3] == pool.keys[1] != pool.keys[0], "known by content"
    assert pool.take(np.array([2, 0])).shape == (2, 3, 4)
    assert check_pool(np.zeros((2, 3, 4, 1))).row_shape == (3, 4, 1)
    assert check_pool(images.reshape(4, 12)).row_shape == (12,)
    assert check_pool(sp.csr_array(NUMBERS)).row_shape == (2,)
    assert check_pool(["a", "b"]).row_shape == ()


def test_memmap_is_not_copied(tmp_path):
    X = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=(5, 3))
    assert np.shares_memory(check_pool(X).vectors, X)


def test_torch_containers():
    torch = pytest.importorskip("torch", reason="torch is in an extra")
    assert check_pool(torch.ones(3, 2)).vectors.shape == (3, 2)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return TEXTS[i], i

    pool = check_pool(Rows())
    assert pool.texts.tolist() == TEXTS
    assert [text for text, _ in pool.take(np.array([1, 2]))] == ["green", "blue"]
    vectors = torch.utils.data.TensorDataset(torch.from_numpy(NUMBERS), torch.zeros(3))
    assert check_pool(vectors).vectors.tolist() == NUMBERS.tolist()
    assert check_pool(vectors).keys.tolist() == check_pool(NUMBERS).keys.tolist()


@pytest.fixture
def hugging_face():
    return pytest.importorskip("datasets", reason="datasets is in no extra: it is the user's own container")


@pytest.mark.parametrize("kind", [None, "numpy", "pandas", "torch", "arrow"])
def test_hugging_face_texts_of_any_format(hugging_face, kind):
    X = hugging_face.Dataset.from_dict({"text": TEXTS, "label": [1, 2, 3, 4]}).with_format(kind)
    pool = check_pool(X)
    assert pool.texts.tolist() == TEXTS
    assert all(type(text) is str for text in pool.texts)
    taken = pool.take(np.array([2, 0]))
    assert type(taken) is type(X)
    assert taken.format == X.format
    assert taken.with_format(None)[:] == {"text": ["blue", "red"], "label": [3, 1]}
    assert check_pool(X.shuffle(seed=0)).texts.tolist() == X.shuffle(seed=0).with_format(None)["text"][:]


def test_hugging_face_long_strings_and_vectors(hugging_face):
    text = hugging_face.Value("large_string")
    X = hugging_face.Dataset.from_dict({"t": TEXTS}, features=hugging_face.Features({"t": text}))
    assert check_pool(X).texts.tolist() == TEXTS
    for columns in ({"v": NUMBERS.tolist(), "label": [0, 1, 1]}, {"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]}):
        pool = check_pool(hugging_face.Dataset.from_dict(columns))
        assert pool.vectors.tolist() == NUMBERS.tolist()
        assert pool.keys.tolist() == check_pool(NUMBERS).keys.tolist()
    tenths = np.arange(6).reshape(3, 2) / 10  # no float32 holds them
    assert (
        check_pool(hugging_face.Dataset.from_dict({"v": tenths.tolist()})).vectors.tolist() == tenths.tolist()
    )


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"text": ["a", None]}, ValueError, r"X\[1\] is None"),
        (
            {"text": ["a"], "title": ["b"]},
            ValueError,
            r"found 'text', 'title'; name one with text=",
        ),
        ({"v": [[1.0]], "w": [[1.0]]}, ValueError, "found 'v', 'w'"),
        ({"text": []}, EmptyPoolError, "X has no rows"),
    ],
    ids=["a gap", "two texts", "two vectors", "empty"],
)
def test_hugging_face_data_that_cannot_be_a_pool(hugging_face, columns, error, message):
    with pytest.raises(error, match=message):
        check_pool(hugging_face.Dataset.from_dict(columns))


def test_rows_without_positions_are_no_pool(hugging_face):
    stream = hugging_face.Dataset.from_dict({"text": ["a", "b"]}).to_iterable_dataset()
    with pytest.raises(TypeError, match=r"X is an IterableDataset.* datasets.Dataset.from_list\(list\(X\)\)"):
        Pool(stream)
    assert Pool(hugging_face.Dataset.from_list(list(stream))).texts.tolist() == ["a", "b"]


def test_several_splits_are_no_pool():
    with pytest.raises(TypeError, match="X is a dict; pass one of its values: 'train', 'test'"):
        check_pool({"train": TEXTS, "test": TEXTS})


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (None, ValueError, r"X\[2\] is None"),
        (float("nan"), ValueError, r"X\[2\] is NaN"),
        (pd.NA, ValueError, r"X\[2\] is NaN"),
        (b"bytes", TypeError, r"X\[2\] is bytes, not text"),
        (3, TypeError, r"X\[2\] is int, not text"),
        ("half \ud800", ValueError, r"X\[2\] holds a lone surrogate at character 5"),
    ],
)
def test_a_row_that_is_no_text_is_named(row, error, message):
    with pytest.raises(error, match=message):
        check_pool(["a", "b", row, "d"])


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], EmptyPoolError, "X has no rows"),
        ("one text", TypeError, "X is one str"),
        (np.array([b"a"]), TypeError, "X holds bytes"),
        (np.array([1.0, 2.0]), ValueError, "Expected 2D array"),
        (pd.Series([1.0, 2.0]), TypeError, "X is a Series of numbers"),
        (
            pd.DataFrame({"a": ["x"], "b": ["y"]}),
            ValueError,
            "exactly one column of texts or of vectors, found 'a', 'b'; name one with text=",
        ),
        (np.array([[1.0], [np.nan]]), ValueError, r"Input X contains NaN \(first in row 1\)"),
        (np.array([[1.0], [np.inf]]), ValueError, r"Input X contains infinity \(first in row 1\)"),
        (3, TypeError, "X must be a list"),
        ([["a", "b"], ["c"]], TypeError, r"X\[0\] is a list of str; a row is one text"),
        (
            np.array([["a", "b"]]),
            TypeError,
            r"X has 2 columns with texts; pass one of them, X\[:, i\]",
        ),
        (np.array([["a", 1.0]], dtype=object), TypeError, "X has 2 columns with texts"),
    ],
    ids=str,
)
def test_bad_pools_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        check_pool(X)


def test_large_finite_numbers_pass_though_their_sum_overflows():
    assert len(check_pool(np.full((3, 2), 1e308))) == 3


def test_check_texts_refuses_numbers():
    with pytest.raises(TypeError, match="texts must hold texts"):
        check_texts(NUMBERS)
    assert check_texts([]).shape == (0,)


@pytest.mark.parametrize(
    ("y", "known"),
    [
        (None, [False, False]),
        ([-1, 3], [False, True]),
        ([np.nan, 0.0], [False, True]),
        ([None, "-1"], [False, True]),
        (np.array([-1, "cat"], dtype=object), [False, True]),
        (pd.Series(["a", None]), [True, False]),
        (np.array([[1], [-1]]), [True, False]),
        (np.ma.array([1, 2], mask=[False, True]), [True, False]),
        (np.ma.array(["a", "b"], mask=[True, False]), [False, True]),
        (np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"), [True, False]),
        ([pd.Timestamp(0), pd.NaT], [True, False]),
        ([Decimal("NaN"), Decimal(1)], [False, True]),
        (pd.Series(["a", pd.NA], dtype="string"), [True, False]),
        (pd.Series([True, pd.NA], dtype="boolean"), [True, False]),
        (pd.Series([2, pd.NA], dtype="Int64"), [True, False]),
        ([[-1, -1], [0, -1]], [False, True]),
        (sp.csr_array([[0, 1], [1, 0]]), [True, True]),
    ],
)
def test_unlabeled_marks(y, known):
    assert check_labels(y, 2)[1].tolist() == known


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match="y has 3 labels for 2 rows"):
        check_labels([0, 1, 1], 2)
    with pytest.raises(ValueError, match="one label per row"):
        check_labels(np.zeros((2, 2, 2)), 2)


def test_labels_with_several_outputs_are_tuples():
    assert check_labels([[0, 1], [1, 1]], 2)[0].tolist() == [(0, 1), (1, 1)]


class DaskLike:
    def __dask_graph__(self):
        return {}


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ma.array([[1.0], [2.0]], mask=[[False], [True]]), ValueError, "masked values; drop or fill them"),
        (np.ma.array(["a", "b"], mask=[False, True]), ValueError, "masked values"),
        (np.array([["2026-01-01"]], dtype="datetime64[D]"), TypeError, "dtype datetime64"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (sp.csr_array([[1j]]), TypeError, "dtype complex128"),
        (np.zeros((3, 0)), ValueError, "minimum of 1 is required"),
        (sp.csr_array((3, 0)), ValueError, "minimum of 1 is required"),
        (sp.coo_array(np.ones(3)), ValueError, "sparse array of 1 dimension"),
        (DaskLike(), TypeError, r"here the rows must be in memory: pass X.compute\(\)"),
        ([[1.0, np.nan]], ValueError, r"contains NaN \(first in row 0\): drop such rows, or replace"),
    ],
    ids=str,
)
def test_rows_that_cannot_be_pruned_are_refused_at_the_door(X, error, message):
    with pytest.raises(error, match=message):
        check_pool(X)


def test_a_masked_array_without_masked_values_is_an_array():
    assert len(check_pool(np.ma.array([[1.0], [2.0]]))) == 2


def test_a_tensor_that_needs_a_gradient_is_read():
    torch = pytest.importorskip("torch")
    X = torch.ones((3, 2), requires_grad=True)
    assert check_pool(X).vectors.shape == (3, 2)
    assert take_rows(X, np.array([2, 0])).shape == (2, 2)


def test_sparse_rows_with_long_indices_fit_k_means():
    X = sp.csr_array(np.arange(40.0).reshape(20, 2))
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert KMeansFilter(5, random_state=0).fit_transform(X).shape == (5, 2)
    assert X.indices.dtype == np.int64


def test_what_only_has_items_and_a_length_comes_back_as_a_list():
    class Column:
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, row):
            return self.values[row]

    assert take_rows(Column(["a", "b", "c"]), np.array([2, 0])) == ["c", "a"]


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow", reason="pyarrow is in no extra yet")


def test_arrow_containers_come_back_as_they_went_in(arrow):
    texts = ["a b", "c d", "e f", "g h"]
    forms = [
        arrow.array(texts),
        arrow.chunked_array([texts[:2], texts[2:]]),
        arrow.table({"text": texts, "n": [1, 2, 3, 4]}),
    ]
    for X in forms:
        pruner = RandomFilter(keep=2, random_state=0).fit(X)
        kept = pruner.transform(X)
        assert type(kept) is type(X)
        assert len(kept) == 2
        pruner.partial_fit(list(X["text"] if X is forms[2] else X)[:1], [0])
        assert pruner.labeled_.pool.texts.tolist() == ["a b"]


def known(rows):
    out = Labeled()
    out.add(Pool(rows), np.zeros(rows.shape[0]))
    return out


@pytest.mark.parametrize("texts", [True, False])
def test_isin_of_a_growing_set_is_isin_of_the_set_as_it_is(texts):
    rng = np.random.default_rng(0)
    X = rng.integers(3, size=(40, 2)).astype(float)  # copies, and equal first features
    rows = [str(row) for row in X] if texts else X
    pool, grown, other = Pool(rows), Labeled(), Labeled()
    other.add(Pool(rows[:3]), np.zeros(3))
    for start in (0, 2, 2, 9):
        grown.add(Pool(rows[start : start + 3]), np.zeros(3))
        expected = np.isin(pool.keys, grown.pool.keys)
        assert pool.isin(grown).tolist() == expected.tolist()
        if start == 9:  # another set in between
            assert pool.isin(other).tolist() == np.isin(pool.keys, other.pool.keys).tolist()
            assert pool.isin(grown).tolist() == expected.tolist()
    mask = pool.isin(grown)
    mask[:] = False  # the caller's own
    assert pool.isin(grown).any()


def test_isin_finds_rows_by_content_wherever_they_stand():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(200, 3)).astype(np.float32)  # many equal rows, all marks shared
    mask = Pool(X).isin(known(X[[5, 9]].astype(np.float64)))
    assert mask.tolist() == [(x == X[5]).all() or (x == X[9]).all() for x in X]
    assert Pool(sp.csr_array(X)).isin(known(sp.csr_array(X[[5, 9]]))).tolist() == mask.tolist()
    assert not Pool(X).isin(Labeled()).any()


def test_row_table_numbers_distinct_rows_in_order_of_appearance():
    table = RowTable(np.array(TEXTS, dtype=object))
    assert table.row_of.tolist() == [0, 1, 2, 0]
    assert table.locate(np.array(["blue", "pink"], dtype=object)).tolist() == [2, -1]
    assert table.digests.shape == (3, 2)


def test_digests_are_stable_across_versions_and_machines():
    # They are keys on disk: another value here orphans every store.
    expected = hashlib.blake2b("müde".encode(), digest_size=16).digest()
    assert digests(np.array(["müde"], dtype=object)).tobytes() == expected


def test_take_rows_of_a_frame_goes_by_position():
    frame = pd.DataFrame({"text": TEXTS}, index=[3, 2, 1, 0])
    assert take_rows(frame, np.array([0]))["text"].tolist() == ["red"]


def test_rows_of_what_only_converts_to_an_array_are_taken():
    class Convertible:
        def __array__(self, dtype=None, copy=None):
            return np.arange(6.0).reshape(3, 2)

    assert take_rows(Convertible(), np.array([2, 0])).tolist() == [[4.0, 5.0], [0.0, 1.0]]


def test_a_sparse_row_is_known_in_another_order_and_dtype():
    rows = sp.random_array((200, 50), density=0.3, rng=np.random.default_rng(0), dtype=np.float32).tocsr()
    shuffled = rows.copy()
    for i in range(rows.shape[0]):  # as vectorizers leave them, and learners sort them in place
        part = slice(rows.indptr[i], rows.indptr[i + 1])
        shuffled.indices[part], shuffled.data[part] = rows.indices[part][::-1], rows.data[part][::-1]
    shuffled.has_sorted_indices = False
    known = Labeled()
    known.add(Pool(rows), np.zeros(200))
    assert Pool(shuffled).isin(known).all()
    assert Pool(rows.astype(np.float64)).isin(known).all()


def test_half_precision_is_read_as_single():
    rows = (300 * np.random.default_rng(0).normal(size=(50, 4))).astype(np.float16)
    pool = check_pool(rows)
    known = Labeled()
    known.add(check_pool(rows[:5].astype(np.float32)), np.zeros(5))
    assert pool.vectors.dtype == np.float32
    assert pool.isin(known).tolist() == [True] * 5 + [False] * 45
    assert pool.take(np.array([1])).dtype == np.float16


def test_a_pool_that_lost_rows_in_place_is_read_again():
    texts = [f"t{i:02d}" for i in range(20)]
    whole = RandomFilter(keep=1.0, random_state=0).fit(texts)
    mask = whole.get_support()
    assert mask.all()
    del texts[3]
    texts.append("new")
    rows = whole.select(texts)
    assert sorted(rows) == list(range(20))
    whole.partial_fit(["t04"], [1])
    assert sorted(texts[i] for i in whole.select(texts)) == sorted(set(texts) - {"t04"})
    del texts[5:]
    assert sorted(whole.select(texts)) == [0, 1, 2, 4]
    assert whole.get_support().tolist() == [i != 4 for i in range(20)], "of the rows given to fit"


def test_sparse_rows_are_read_without_a_change_and_read_only():
    rows = sp.csr_array((np.arange(4.0), np.array([1, 0, 1, 0]), np.array([0, 2, 4])), shape=(2, 2))
    for part in (rows.data, rows.indices, rows.indptr):
        part.flags.writeable = False
    pruner = RandomFilter(keep=1.0, random_state=0).fit(rows)
    assert pruner.partial_fit(rows[:1], [0]).select(rows).tolist() == [1]
    assert rows.indices.tolist() == [1, 0, 1, 0]


def test_nullable_numbers_are_numbers():
    frame = pd.DataFrame(NUMBERS, columns=["a", "b"]).convert_dtypes()
    assert check_pool(frame).vectors.dtype == np.float64
    frame.iloc[1, 0] = pd.NA
    with pytest.raises(ValueError, match=r"Input X contains NaN \(first in row 1\)"):
        check_pool(frame)


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.lists(st.sampled_from("abcd"), max_size=3),
)
def test_texts_are_numbered_alike_whether_a_pool_shrank_or_changed(texts, keep, more):
    table = RowTable(np.array([*"abc"], dtype=object))
    pools = [texts, [t for t, kept in zip(texts, keep, strict=False) if kept], texts[::-1], texts + more]
    for rows in pools:
        array = np.array(rows, dtype=object)
        fresh = RowTable(np.array([*"abc"], dtype=object)).numbers_of(array)
        assert table.numbers_of(array).tolist() == fresh.tolist()
        assert len(set(zip(rows, fresh.tolist(), strict=True))) == len(set(rows)) == len(set(fresh.tolist()))
