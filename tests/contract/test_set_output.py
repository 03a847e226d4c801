"""``set_output``: kept rows as a DataFrame with column names and an index that identifies the rows."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone

from skprune import AnchorFilter, KMeansFilter, RandomFilter

TEXTS = [f"text {i}" for i in range(8)]
INDEX = list("hgfedcba")


@pytest.mark.parametrize(
    ("X", "columns", "index"),
    [
        (TEXTS, ["text"], range(8)),
        (tuple(TEXTS), ["text"], range(8)),
        (np.array(TEXTS), ["text"], range(8)),
        (pd.Series(TEXTS, index=INDEX), ["text"], INDEX),
        (pd.Series(TEXTS, index=INDEX, name="words"), ["words"], INDEX),
        (pd.DataFrame({"n": 1, "words": TEXTS}, index=INDEX), ["n", "words"], INDEX),
        (np.arange(16.0).reshape(8, 2), ["x0", "x1"], range(8)),
        (pd.DataFrame(np.eye(8, 2), columns=["a", "b"], index=INDEX), ["a", "b"], INDEX),
    ],
)
def test_every_container_becomes_a_named_frame(X, columns, index):
    plain = RandomFilter(keep=3, random_state=0)
    rows = np.sort(plain.fit(X).select(X))
    framed = clone(plain).set_output(transform="pandas")
    with config_context(transform_output="pandas"):
        by_config = clone(plain).fit(X).transform(X)
    for kept in (framed.fit_transform(X), framed.transform(X), clone(framed).fit(X).transform(X), by_config):
        assert type(kept) is pd.DataFrame
        assert kept.columns.tolist() == columns == framed.get_feature_names_out().tolist()
        assert kept.index.tolist() == [index[i] for i in rows]
        values = np.asarray(X, dtype=object).reshape(8, -1)
        assert np.array_equal(kept.to_numpy(dtype=object), values[rows])
    assert type(plain.transform(X)) is type(X)


@pytest.mark.parametrize("pruner", [AnchorFilter(2, 3, random_state=0), KMeansFilter(keep=3, random_state=0)])
def test_the_global_setting_does_not_change_the_selected_rows(pruner):
    """The vectors come from transformers of scikit-learn, which the setting also affects."""
    texts = [f"the {color} {animal}" for color in ("red", "old") for animal in ("fox", "dog", "cat")]
    expected = clone(pruner).fit_transform(texts)
    with config_context(transform_output="pandas"):
        assert clone(pruner).fit_transform(texts)["text"].tolist() == expected


def test_sparse_rows_raise_as_in_scikit_learn():
    X = sp.csr_array(np.eye(8))
    with pytest.raises(ValueError, match="outputs a scipy sparse matrix"):
        KMeansFilter(keep=3, random_state=0).set_output(transform="pandas").fit_transform(X)


def test_input_features_are_the_output_names():
    pruner = RandomFilter(keep=3).fit(np.eye(8, 2))
    assert pruner.get_feature_names_out(["a", "b"]).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="input_features should have length"):
        pruner.get_feature_names_out(["a"])
