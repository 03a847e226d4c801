"""A QuotaFilter takes its groups from a column of a dask DataFrame, and keeps the same rows as in memory."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("dask")

import dask
import dask.dataframe as dd

from skprune import AnchorFilter, EntropyIntervalFilter, KMeansFilter, PerplexityFilter, QuotaFilter
from skprune.dask import prune
from skprune.datasets import load_movie_snippets

# Deprecations of pandas that dask itself runs into.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")

MOVIES = load_movie_snippets()
FILTERS = {
    "perplexity": PerplexityFilter(60, text="body", random_state=0),
    "entropy": EntropyIntervalFilter(0.3, combine="information", text="body", random_state=1),
    "anchors": AnchorFilter(keep=50, text="body", random_state=2),
}


@pytest.fixture(autouse=True)
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def frame():
    """Rows of three languages, some of which have none; a few copies, blank texts and labels."""
    texts = [*MOVIES.data[:200], *MOVIES.data[:9], "", " \t"]
    rng = np.random.default_rng(0)
    languages = np.array(["en", "en", "en", "en", "en", "fr", None, "de"])[rng.integers(8, size=len(texts))]
    languages[200:209] = languages[:9]
    y = np.full(len(texts), -1)
    y[np.arange(0, 200, 20)] = MOVIES.target[np.arange(0, 200, 20)]
    return pd.DataFrame({"body": texts, "language": languages, "y": y})


@pytest.mark.parametrize(
    ("name", "quotas"),
    [
        ("perplexity", {"min_per_group": 12}),
        ("perplexity", {"balance": "equal"}),
        ("entropy", {"balance": "equal"}),
        ("anchors", {"min_per_group": 12}),
    ],
)
def test_the_same_rows_as_in_memory(name, quotas, frame):
    quota = QuotaFilter(FILTERS[name], groups="language", **quotas)
    ddf = dd.from_pandas(frame, npartitions=4)
    here = quota.__sklearn_clone__().fit(frame, frame["y"])
    there = quota.__sklearn_clone__().fit(ddf, ddf["y"])
    assert there.select(ddf).tolist() == here.select(frame).tolist()
    expected = here.explain(frame)
    result = prune(ddf, quota, label="y")
    kept = result.kept.compute()
    assert kept.index.tolist() == frame.index[expected["kept"]].tolist()
    removed = result.removed.compute()
    for column in ("group", "reason"):
        assert removed[column].tolist() == expected[column][~expected["kept"]].tolist()
        assert there.explain(ddf).compute()[column].tolist() == expected[column].tolist()
    assert kept["language"].value_counts().min() >= 12
    other = frame.iloc[50:].assign(body=[*frame["body"][50:190], *MOVIES.data[300:321]])
    assert there.select(dd.from_pandas(other, npartitions=2)).tolist() == here.select(other).tolist()
    here.partial_fit(frame.iloc[[3, 5]], [0, 1]), there.partial_fit(frame.iloc[[3, 5]], [0, 1])
    assert there.select(ddf).tolist() == here.select(frame).tolist()


@pytest.mark.parametrize("on_missing", ["drop", "keep"])
def test_groups_belong_to_their_rows_where_texts_are_missing(on_missing, frame):
    gaps = frame.assign(body=frame["body"].mask(np.arange(len(frame)) % 7 == 3))
    quota = QuotaFilter(FILTERS["perplexity"], groups="language", min_per_group=12)
    written = gaps[gaps["body"].notna()]
    expected = quota.__sklearn_clone__().fit_transform(written).index.tolist()
    kept = prune(dd.from_pandas(gaps, npartitions=4), quota, on_missing=on_missing).kept.compute()
    assert kept.index[kept["body"].notna()].tolist() == expected


def test_groups_may_be_given_to_fit(frame):
    ddf = dd.from_pandas(frame, npartitions=3)
    quota = QuotaFilter(FILTERS["perplexity"], min_per_group=12)
    here = quota.__sklearn_clone__().fit(frame, groups=frame["language"]).select(frame)
    assert quota.fit(ddf, groups=ddf["language"]).select(ddf).tolist() == here.tolist()


def never(part):
    raise AssertionError("the frame was computed")


@pytest.mark.parametrize(
    ("quota", "error", "message"),
    [
        (
            QuotaFilter(FILTERS["perplexity"], groups="source"),
            ValueError,
            "ddf has no column 'source', which",
        ),
        (QuotaFilter(FILTERS["perplexity"], groups=len), TypeError, "must name a column of the dask DataF"),
        (QuotaFilter(FILTERS["perplexity"]), TypeError, "must name a column of the dask DataFrame, got None"),
        (
            QuotaFilter(KMeansFilter(text="body"), groups="language"),
            TypeError,
            "QuotaFilter needs the pool in memory: its filter is a KMeansFilter, and it compares",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(quota, error, message, frame):
    ddf = dd.from_pandas(frame, npartitions=2).map_partitions(never, meta=frame)
    with pytest.raises(error, match=message):
        prune(ddf, quota)
    if quota.groups is len:
        with pytest.raises(TypeError, match=r"groups= is a function of single rows; name a column"):
            quota.fit(ddf)
