"""The methods of a filter read a dask DataFrame as they read the same frame in memory."""

import pickle

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("dask")

import dask
import dask.array as da
import dask.dataframe as dd
from sklearn.dummy import DummyClassifier

from skprune import (
    ActivePruneFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    FilterChain,
    KMeansFilter,
    PerplexityFilter,
    PrunedClassifier,
    PrunedQuery,
    RandomFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.datasets import load_movie_snippets

# Deprecations of pandas that dask itself runs into.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")

TEXTS = load_movie_snippets().data


@pytest.fixture(autouse=True)
def synchronous():
    """Most tests are about what the methods return, not about where it is computed."""
    with dask.config.set(scheduler="synchronous"):
        yield


def length(texts):
    return [len(text) for text in texts]


def vowels(texts):
    return np.array([sum(c in "aeiou" for c in text) / (1 + len(text)) for text in texts])


FILTERS = {
    "random": RandomFilter(0.3, text="body", random_state=0),
    "perplexity": PerplexityFilter(0.3, text="body", random_state=0),
    "llm": AskLLMFilter(0.2, quality=vowels, text="body", random_state=2),
    "active prune": ActivePruneFilter(0.3, quality=vowels, text="body", random_state=3),
    "entropy": EntropyIntervalFilter(0.3, combine="information", text="body", random_state=5),
}


@pytest.fixture(scope="module")
def frame():
    """Rows with copies that are far apart, blank texts, labels and an index of words."""
    texts = [*TEXTS[:130], *TEXTS[:20], "", "  \t", *TEXTS[130:140]]
    y = np.full(len(texts), -1)
    y[[3, 50, 131]] = [0, 1, 1]
    index = pd.Index([f"doc-{row:03d}" for row in range(len(texts))], name="id")
    return pd.DataFrame({"body": texts, "url": "u", "y": y}, index=index)


def check_same(lazy, expected):
    """Check a lazy frame, what it says about itself included."""
    computed = lazy.compute()
    pd.testing.assert_frame_equal(
        computed, lazy._meta.iloc[:0], check_dtype=True, obj="meta"
    ) if computed.empty else None
    assert (computed.dtypes == lazy.dtypes).all()
    pd.testing.assert_frame_equal(computed, expected, check_dtype=False, check_index_type=False)


@pytest.mark.parametrize("name", FILTERS)
def test_all_methods(name, frame):
    ddf = dd.from_pandas(frame, npartitions=3)
    here, there = (FILTERS[name].__sklearn_clone__() for _ in range(2))
    here.fit(frame, frame["y"])
    assert there.fit(ddf, ddf["y"]) is there
    assert there.select(ddf).tolist() == here.select(frame).tolist()
    assert (
        there.select(ddf, min_rows=100, copies=False).tolist()
        == here.select(frame, min_rows=100, copies=False).tolist()
    )
    kept = there.transform(ddf)
    check_same(kept, here.transform(frame))
    assert kept.divisions == ddf.divisions
    explained = there.explain(ddf)
    check_same(explained, here.explain(frame))
    assert explained.divisions == ddf.divisions
    assert there.get_support().tolist() == here.get_support().tolist()
    check_same(there.explain(), here.explain())
    check_same(there.fit_transform(ddf), here.fit_transform(frame))
    new = frame.iloc[[40, 2]].assign(y=[1, 0])
    here.partial_fit(new, new["y"]), there.partial_fit(dd.from_pandas(new, npartitions=1), new["y"])
    check_same(there.transform(ddf), here.transform(frame))
    assert there.rethreshold(9).select(ddf).tolist() == here.rethreshold(9).select(frame).tolist()
    assert "of 162 rows" in there._repr_html_()
    assert there.get_feature_names_out().tolist() == ["body", "url", "y"]


@pytest.mark.parametrize("fitted_on", ["memory", "dask"])
@pytest.mark.parametrize("name", FILTERS)
def test_another_frame_than_that_of_fit(name, fitted_on, frame):
    """Some rows are known, others new, among them a labeled one, copies and a blank one."""
    other = frame.iloc[80:].assign(body=[*frame["body"][80:150], "  ", *TEXTS[150:160], TEXTS[155]])
    expected = FILTERS[name].fit(frame, frame["y"]).partial_fit(TEXTS[152:153], [1]).transform(other)
    ddf, other_ddf = (dd.from_pandas(part, npartitions=2) for part in (frame, other))
    pruner = FILTERS[name].fit(frame if fitted_on == "memory" else ddf, frame["y"])
    pruner.partial_fit(TEXTS[152:153], [1])
    check_same(pruner.transform(other_ddf), expected)
    pd.testing.assert_frame_equal(pruner.transform(other), expected)


def test_a_series(frame):
    pruner = FILTERS["perplexity"]
    series = dd.from_pandas(frame["body"], npartitions=3)
    kept = pruner.fit_transform(series)
    expected = pruner.fit_transform(frame["body"])
    assert isinstance(kept, dd.Series)
    assert kept.compute().to_dict() == expected.to_dict()
    assert pruner.fit(series).get_feature_names_out().tolist() == ["body"]


def test_rows_that_come_back_to_this_process(frame):
    """Only the partitions that hold them are computed."""
    computed = []

    def noted(part):
        computed.append(part.index[0])
        return part

    ddf = dd.from_map(noted, [frame[:60], frame[60:100], frame[100:]], meta=frame[:0])
    pool = FILTERS["random"].fit(ddf).pool_
    computed.clear()
    pool.take(np.array([59, 3]))
    assert computed == ["doc-000"]
    pd.testing.assert_frame_equal(
        pool.take(np.array([140, 3, 60, 3])),
        frame.iloc[[140, 3, 60, 3]],
        check_dtype=False,
        check_index_type=False,
    )


def test_all_rows_have_a_label(frame):
    ddf, y = dd.from_pandas(frame, npartitions=3), np.arange(len(frame)) % 2
    pruner = FILTERS["perplexity"]
    assert pruner.fit(ddf, y).select(ddf).tolist() == pruner.fit(frame, y).select(frame).tolist()


def test_a_fitted_filter_is_pickled_and_cloned(frame):
    ddf = dd.from_pandas(frame, npartitions=3)
    pruner = FILTERS["perplexity"].fit(ddf)
    twin = pickle.loads(pickle.dumps(pruner))
    expected = FILTERS["perplexity"].fit(frame).select(frame).tolist()
    assert twin.select(ddf).tolist() == twin.select(frame).tolist() == expected
    assert np.flatnonzero(twin.get_support()).tolist() == sorted(expected)


def test_set_output(frame):
    ddf = dd.from_pandas(frame, npartitions=2)
    pruner = FILTERS["random"].__sklearn_clone__().set_output(transform="pandas")
    expected = pruner.fit_transform(frame)
    pd.testing.assert_frame_equal(
        pruner.fit_transform(ddf), expected, check_dtype=False, check_index_type=False
    )


def test_on_a_cluster(frame, client):
    with dask.config.set(scheduler=None):
        for name in ("perplexity", "active prune"):
            ddf = dd.from_pandas(frame, npartitions=4)
            check_same(
                FILTERS[name].fit(ddf, ddf["y"]).transform(ddf),
                FILTERS[name].fit_transform(frame, frame["y"]),
            )


# ---------------------------------------------------------------------- errors


def never(part):
    raise AssertionError("the frame was computed")


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (
            KMeansFilter(text="body"),
            "KMeansFilter needs the pool in memory: it compares the vectors of all rows. Prune",
        ),
        (UPSFilter(text="body"), "UPSFilter needs the pool in memory: it needs the predictions"),
        (SemiPruneFilter(text="body"), "first prune the dask DataFrame with a filter that reads"),
        (FilterChain([("a", RandomFilter(text="body"))]), "FilterChain needs the pool in memory"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_filters_that_need_the_pool_are_refused_before_any_work(pruner, message, frame):
    ddf = dd.from_pandas(frame, npartitions=2).map_partitions(never, meta=frame)
    for call in (pruner.fit, pruner.fit_transform):
        with pytest.raises(TypeError, match=message):
            call(ddf)
    assert not hasattr(pruner, "pool_")


def test_select_is_refused_by_a_filter_that_was_fitted_in_memory(frame):
    pruner = KMeansFilter(5, text="body").fit(frame)
    with pytest.raises(TypeError, match="KMeansFilter needs the pool in memory"):
        pruner.select(dd.from_pandas(frame, npartitions=2))


def test_other_collections_are_refused(frame):
    with pytest.raises(
        TypeError, match="X is a dask Array; filters read dask DataFrames and Series of texts"
    ):
        RandomFilter().fit(da.ones((5, 2)))
    with pytest.raises(TypeError, match=r"X\['text'\] holds Int64, not text"):
        RandomFilter().fit(dd.from_pandas(frame, npartitions=2)["y"])
    with pytest.raises(ValueError, match="found 'body', 'url'; name one with text="):
        RandomFilter().fit(dd.from_pandas(frame, npartitions=2))


def test_rows_without_a_text_are_named(frame):
    ddf = dd.from_pandas(frame.assign(body=frame["body"].mask(frame.index == "doc-100")), npartitions=2)
    with pytest.raises(
        ValueError, match=r"partition 1, row 19 \(index 'doc-100'\).*Drop such rows of X with dropna"
    ):
        FILTERS["random"].fit(ddf)


def test_what_needs_rows_says_so(frame):
    ddf, pruner = dd.from_pandas(frame, npartitions=2), FILTERS["random"]
    with pytest.raises(TypeError, match="here the rows must be in memory"):
        pruner.estimate_cost(ddf)
    with pytest.raises(TypeError, match=r"pass its .compute\(\)"):
        PrunedClassifier(DummyClassifier(), pruner).fit(ddf, frame["y"])
    with pytest.raises(TypeError, match=r"pass its .compute\(\)"):
        PrunedQuery(pruner, lambda learner, X, n_instances: [0])(None, ddf)
