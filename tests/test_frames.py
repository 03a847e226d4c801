"""Frames of any library as pools: what comes in comes out, and a column of texts is named once."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import (
    ActiveLearningSimulator,
    FilterChain,
    FilterUnion,
    PerplexityFilter,
    PrunedClassifier,
    PrunedQuery,
    PruneSampler,
    RandomFilter,
    UPSFilter,
)
from skprune.containers import take_rows
from skprune.pools import Pool
from skprune.strategies import Entropy

N = 40
COLUMNS = {
    "title": [f"title {i % 3}" for i in range(N)],
    "body": [f"{'good' if i % 2 else 'bad'} film number {i} " + "really " * (i % 5) for i in range(N)],
    "stars": list(range(N)),
}
LABELS = np.arange(N) % 2
KINDS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "record batch": pa.RecordBatch.from_pydict,
    "datasets": Dataset.from_dict,
}


def by_length(texts):
    return [len(text) for text in texts]


def columns_of(frame):
    """The columns of any frame as lists."""
    if hasattr(frame, "to_pydict"):
        return frame.to_pydict()
    if hasattr(frame, "column_names"):
        return {name: frame[name][:] for name in frame.column_names}
    return frame.to_dict(orient="list") if hasattr(frame, "iloc") else frame.to_dict(as_series=False)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def frame(request):
    return request.param(COLUMNS)


def expected(rows):
    return {name: [values[row] for row in rows] for name, values in COLUMNS.items()}


def test_the_named_column_is_read_and_the_others_travel_along(frame):
    pruner = PerplexityFilter(keep=7, perplexity=by_length, text="body", random_state=0)
    kept = pruner.fit_transform(frame)
    rows = np.sort(
        PerplexityFilter(keep=7, perplexity=by_length, random_state=0)
        .fit(COLUMNS["body"])
        .select(COLUMNS["body"])
    )
    assert type(kept) is type(frame)
    assert columns_of(kept) == expected(rows)
    assert list(pruner.get_feature_names_out()) == list(COLUMNS)
    assert len(pruner.explain(frame)) == N


@pytest.mark.parametrize(
    "kind",
    [pd.Series, pl.Series, lambda texts: pa.chunked_array([texts]), pa.array, pa.StringArray.from_pandas],
)
def test_a_series_comes_out_as_it_came_in(kind):
    series = kind(COLUMNS["body"])
    kept = RandomFilter(keep=5, random_state=0).fit_transform(series)
    assert type(kept) is type(series)
    assert len(kept) == 5
    assert set(kept.to_pylist() if hasattr(kept, "to_pylist") else kept) <= set(COLUMNS["body"])


def test_a_chain_reads_the_column_that_its_first_filter_names(frame):
    short = PerplexityFilter(keep=20, perplexity=by_length, text="body", random_state=0)
    chain = FilterChain([("short", short), ("random", RandomFilter(keep=5, random_state=0))])
    kept = chain.fit_transform(frame)
    assert type(kept) is type(frame)
    assert len(columns_of(kept)["body"]) == 5


def test_a_missing_column_is_named_with_those_there_are(frame):
    with pytest.raises(ValueError, match=r"no column 'txt'.*its columns are 'title', 'body', 'stars'"):
        RandomFilter(text="txt").fit(frame)


def test_filters_of_one_chain_cannot_read_different_columns(frame):
    short = PerplexityFilter(keep=20, perplexity=by_length, text="body")
    chain = FilterChain([("short", short), ("random", RandomFilter(keep=5, text="title"))])
    with pytest.raises(ValueError, match=r"read one column, 'body', but 'random' has text='title'"):
        chain.fit(frame)


@pytest.mark.parametrize("text", [None, "body"])
def test_columns_without_texts_may_share_a_name(text):
    pandas = pd.DataFrame({"body": COLUMNS["body"], "a": COLUMNS["stars"], "b": COLUMNS["stars"]})
    pandas.columns = ["body", "stars", "stars"]
    arrow = pa.table(
        list(map(pa.array, (COLUMNS["body"], COLUMNS["stars"], COLUMNS["stars"]))), pandas.columns
    )
    shortest = PerplexityFilter(keep=5, perplexity=by_length, text=text, random_state=0)
    for frame in (pandas, arrow):
        kept = shortest.fit_transform(frame)
        assert (type(kept), kept.shape) == (type(frame), (5, 3))


def test_columns_of_texts_that_share_a_name_are_refused():
    frame = pd.DataFrame([["a", "bb"], ["cc", "d"]], columns=["body", "body"])
    with pytest.raises(ValueError, match="X has 2 columns 'body', which text= names; rename them"):
        RandomFilter(keep=1, text="body").fit(frame)
    with pytest.raises(ValueError, match=r"found 'body', 'body \(2\)'"):
        RandomFilter(keep=1).fit(frame)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: pa.chunked_array([t]), lambda t: pa.table({"t": t})])
def test_views_of_strings_come_out_as_they_came_in(wrap):
    pool = wrap(pa.array(COLUMNS["body"]).cast(pa.string_view()))
    kept = RandomFilter(keep=5, random_state=0).fit_transform(pool)
    assert type(kept) is type(pool)
    assert getattr(kept, "schema", None) == getattr(pool, "schema", None)
    rows = RandomFilter(keep=5, random_state=0).fit(COLUMNS["body"]).get_support(indices=True)
    assert kept.to_pylist() == [pool.to_pylist()[row] for row in rows]


def test_a_dict_of_datasets_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match="X is a DatasetDict; pass one of its values: 'train'"):
        RandomFilter(keep=5).fit(DatasetDict({"train": Dataset.from_dict(COLUMNS)}))


def test_a_column_of_numbers_is_not_text(frame):
    with pytest.raises(TypeError, match=r"X\['stars'\] holds \w+, not text"):
        RandomFilter(text="stars").fit(frame)


def test_two_columns_of_texts_need_a_name(frame):
    with pytest.raises(ValueError, match="found 'title', 'body'; name one with text="):
        RandomFilter().fit(frame)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_empty_cell_is_named_by_its_row(kind):
    frame = kind({**COLUMNS, "body": [*COLUMNS["body"][:3], None, *COLUMNS["body"][4:]]})
    with pytest.raises(ValueError, match=r"X\[3\] is (None|NaN): every row .* Drop the row, or fill it"):
        RandomFilter(text="body").fit(frame)


def test_lazy_frames_and_streams_are_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"lazy LazyFrame; call its .collect\(\)"):
        RandomFilter(text="body").fit(pl.DataFrame(COLUMNS).lazy())
    reader = pa.table(COLUMNS).to_reader()
    with pytest.raises(TypeError, match=r"X is a stream, which can be read once only; pass X.read_all\(\)"):
        RandomFilter(text="body").fit(reader)


def test_a_list_has_no_columns_to_name():
    assert len(RandomFilter(keep=3, text="body").fit_transform(COLUMNS["body"])) == 3


@pytest.mark.parametrize("kind", [pl.DataFrame, pa.table], ids=["polars", "pyarrow"])
def test_numeric_frames_and_columns_of_lists_are_vectors(kind):
    numbers = np.random.default_rng(0).normal(size=(N, 3))
    pool = Pool(kind({name: numbers[:, i] for i, name in enumerate("abc")}))
    np.testing.assert_array_equal(pool.vectors, numbers)
    np.testing.assert_array_equal(Pool(kind({"id": range(N), "v": numbers.tolist()})).vectors, numbers)
    kept = RandomFilter(keep=4, random_state=0).fit(pool.data)
    assert kept.feature_names_in_.tolist() == list("abc")
    assert type(kept.transform(pool.data)) is type(pool.data)


def test_a_gap_among_numbers_is_named():
    with pytest.raises(ValueError, match=r"contains NaN \(first in row 1\)"):
        RandomFilter().fit(pl.DataFrame({"a": [1, None]}))


LEARNED = ["pandas", "polars", "pyarrow", "datasets"]


def joined(table):
    """Join two columns of what scikit-learn's ColumnTransformer does not read."""
    return [f"{title} {body}" for title, body in zip(table["title"], table["body"], strict=True)]


def model(kind):
    """A learner that reads two columns of texts."""
    if kind in (pa.table, Dataset.from_dict):
        return make_pipeline(FunctionTransformer(joined), TfidfVectorizer(), LogisticRegression())
    texts = ColumnTransformer([(name, TfidfVectorizer(), name) for name in ("title", "body")])
    return make_pipeline(texts, LogisticRegression())


@pytest.mark.parametrize("kind", [KINDS[name] for name in LEARNED], ids=LEARNED)
class TestLearnersReadTheWholeFrame:
    def test_pruned_classifier(self, kind):
        frame = kind(COLUMNS)
        fitted = PrunedClassifier(model(kind), RandomFilter(keep=20, text="body", random_state=0)).fit(
            frame, LABELS
        )
        assert fitted.support_.sum() == 20
        assert fitted.predict(frame).shape == (N,)
        assert clone(fitted).set_params(filter__text=None).get_params()["filter__text"] is None

    def test_prune_sampler(self, kind):
        frame = kind(COLUMNS)
        X, y = PruneSampler(RandomFilter(keep=20, text="body", random_state=0)).fit_resample(frame, LABELS)
        assert type(X) is type(frame)
        assert len(X) == len(y) == 20

    @pytest.mark.parametrize(
        "pruner", [RandomFilter(keep=20, text="body", random_state=0), UPSFilter(text="body", random_state=0)]
    )
    def test_pruned_query_tells_the_filter_what_was_taught(self, kind, pruner):
        from skprune.modal import ActiveLearner

        frame = kind(COLUMNS)
        learner = ActiveLearner(
            model(kind),
            PrunedQuery(pruner, Entropy(random_state=0)),
            take_rows(frame, np.arange(6)),
            LABELS[:6],
        )
        pool = take_rows(frame, np.arange(6, N))
        indices, rows = learner.query(pool, n_instances=3)
        assert type(rows) is type(frame)
        learner.teach(rows, LABELS[6:][indices])
        learner.query(pool, n_instances=3)
        assert len(learner.query_strategy.filter_.labeled_.y) == 9
        assert len(learner.X_training) == 9

    def test_simulator(self, kind):
        frame = kind(COLUMNS)
        simulator = ActiveLearningSimulator(
            model(kind),
            Entropy(),
            RandomFilter(text="body"),
            n_instances=4,
            n_rounds=2,
            random_state=0,
        )
        labeled = simulator.fit(frame, LABELS).labeled_indices_
        assert len(simulator.learning_curve_) == 3
        expected = simulator.set_params(estimator=model(pd.DataFrame)).fit(pd.DataFrame(COLUMNS), LABELS)
        if kind in (pd.DataFrame, pl.DataFrame):  # the others join the columns
            assert labeled.tolist() == expected.labeled_indices_.tolist()

    def test_a_composite_filter(self, kind):
        """The first filter names the column for all of them; each container gives the same rows."""
        chain = FilterChain(
            [
                ("rare", PerplexityFilter(0.5, text="body", random_state=0)),
                ("random", RandomFilter(keep=10, random_state=0)),
            ]
        )
        union = FilterUnion([("chain", chain), ("random", RandomFilter(0.1, random_state=1))], keep=12)
        fitted = PrunedClassifier(model(kind), union).fit(kind(COLUMNS), LABELS)
        expected = PrunedClassifier(model(pd.DataFrame), union).fit(pd.DataFrame(COLUMNS), LABELS)
        assert fitted.support_.tolist() == expected.support_.tolist()
        assert fitted.support_.sum() == 12

    def test_a_grid_search(self, kind):
        if kind == Dataset.from_dict:
            pytest.skip("scikit-learn cannot take rows from a Dataset; pass dataset.to_pandas()")
        grid = {"filter__keep": [0.4, 0.8]}
        classifier = PrunedClassifier(model(kind), RandomFilter(text="body", random_state=0))
        search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(kind(COLUMNS), LABELS)
        assert search.best_params_["filter__keep"] in grid["filter__keep"]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(frame, container):
    pruner = RandomFilter(keep=5, text="body", random_state=0).set_output(transform=container)
    kept = pruner.fit_transform(frame)
    assert type(kept) is {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container]
    assert list(kept.columns) == list(COLUMNS)
