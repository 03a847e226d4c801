"""A dask DataFrame gives the same rows as the frame in memory, wherever its partitions are computed."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

pytest.importorskip("distributed")

import dask
import dask.dataframe as dd
from distributed import Client, LocalCluster

from skprune import (
    ActivePruneFilter,
    AskLLMFilter,
    EmptyPoolError,
    EntropyIntervalFilter,
    FilterChain,
    KMeansFilter,
    NGramScorer,
    PerplexityFilter,
    RandomFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.dask import prune
from skprune.datasets import load_movie_snippets
from skprune.store import clear_process_store

# Deprecations of pandas that dask itself runs into.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")

TEXTS = load_movie_snippets().data


def length(texts):
    return [len(text) for text in texts]


def vowels(texts):
    return np.array([sum(c in "aeiou" for c in text) / (1 + len(text)) for text in texts])


def never(texts):
    raise AssertionError("a text was scored before all rows were checked")


class InBatches:
    """A scorer that yields batches out of order, as language models do."""

    def __call__(self, texts):
        return vowels(texts)

    def iter_scores(self, texts):
        for rows in np.array_split(np.argsort(length(texts)), 3):
            yield rows, vowels(texts[rows])


FILTERS = {
    "random": RandomFilter(0.3, random_state=0),
    "perplexity": PerplexityFilter(0.3, random_state=0),
    "perplexity, a function": PerplexityFilter(40, perplexity=length, random_state=1),
    "perplexity, n_jobs": PerplexityFilter(0.3, n_jobs=2),
    "perplexity, frozen": PerplexityFilter(
        0.3, perplexity=FrozenEstimator(NGramScorer().fit(TEXTS[500:700]))
    ),
    "llm": AskLLMFilter(0.2, quality=InBatches(), random_state=2),
    "active prune": ActivePruneFilter(0.3, quality=vowels, random_state=3),
    "active prune, random candidates": ActivePruneFilter(
        0.3, quality=InBatches(), candidates="random", llm_share=0.5, llm_budget=25, random_state=4
    ),
    "entropy": EntropyIntervalFilter(0.3, combine="information", random_state=5),
}


@pytest.fixture(scope="module")
def frame():
    """Rows with copies that are far apart, blank texts, other columns and an index of words."""
    texts = [*TEXTS[:230], *TEXTS[:30], "", "  \t", *TEXTS[230:240]]
    index = pd.Index([f"doc-{row:03d}" for row in range(len(texts))], name="id")
    return pd.DataFrame({"body": texts, "url": "u", "n": np.arange(len(texts))}, index=index)


def in_partitions(frame, n):
    """Return a dask DataFrame of n partitions, without divisions."""
    parts = [frame.iloc[rows] for rows in np.array_split(np.arange(len(frame)), n)]
    return dd.from_map(part_of, parts, meta=frame[:0])


def part_of(part):
    return part


def check_same(result, frame, pruner):
    """Check a result against the filter in memory."""
    fitted = pruner.set_params(text="body").fit(frame)
    kept, removed = result.kept.compute(), result.removed.compute()
    explanation = fitted.explain(frame)
    pd.testing.assert_frame_equal(kept, fitted.transform(frame), check_dtype=False, check_index_type=False)
    expected = explanation[~explanation["kept"]].drop(columns=["kept", "stage"])
    assert removed["n"].tolist() == frame["n"][~explanation["kept"]].tolist()
    pd.testing.assert_frame_equal(
        removed[list(expected.columns)].astype({"reason": str}),
        expected.astype({"reason": str}),
        check_dtype=False,
        check_index_type=False,
    )
    assert (result.n_rows, result.n_kept, result.n_removed) == (len(frame), len(kept), len(removed))
    assert result.reasons == explanation["reason"].astype(str).value_counts().to_dict()
    return kept, removed


# ---------------------------------------------------------------------- the same rows as in memory


@pytest.mark.parametrize("n_partitions", [1, 7])
@pytest.mark.parametrize("name", FILTERS)
def test_the_same_rows_as_in_memory(name, n_partitions, frame, client):
    ddf = in_partitions(frame, n_partitions)
    result = prune(ddf, FILTERS[name], text="body")
    check_same(result, frame, FILTERS[name])
    assert result.kept.npartitions == result.removed.npartitions == n_partitions


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("name", ["perplexity", "active prune", "entropy"])
def test_schedulers_without_a_client(name, scheduler, frame):
    with dask.config.set(scheduler=scheduler):
        check_same(prune(in_partitions(frame, 5), FILTERS[name], text="body"), frame, FILTERS[name])


def process_of(texts):
    return [os.getpid() for _ in texts]


@pytest.mark.parametrize(
    ("pruner", "column"),
    [
        (PerplexityFilter(0.3, perplexity=process_of), "log10_perplexity"),
        (ActivePruneFilter(0.3, perplexity=length, quality=process_of), "quality"),
    ],
)
def test_a_scheduler_named_in_the_configuration_comes_before_the_client(pruner, column, frame, client):
    def pids():
        clear_process_store()
        removed = prune(in_partitions(frame, 3), pruner, text="body").removed.compute()
        return set(removed[column].replace(np.inf, np.nan).dropna())

    with dask.config.set(scheduler="synchronous"):
        assert pids() == {os.getpid()}
    on_cluster = pids()
    assert on_cluster
    assert on_cluster <= set(client.run(os.getpid).values())


def test_divisions_are_kept(frame, client):
    ddf = dd.from_pandas(frame, npartitions=4)
    result = prune(ddf, RandomFilter(20, random_state=0), text="body")
    assert result.kept.divisions == result.removed.divisions == ddf.divisions
    check_same(result, frame, RandomFilter(20, random_state=0))
    assert result.kept.loc["doc-000":"doc-100"].compute().index.max() <= "doc-100"


def test_empty_partitions(frame, client):
    ddf = in_partitions(frame, 6)
    ddf = ddf[ddf["n"] % 100 < 40]
    assert 0 in ddf.map_partitions(len).compute().tolist()
    part = frame[frame["n"] % 100 < 40]
    check_same(prune(ddf, FILTERS["active prune"], text="body"), part, FILTERS["active prune"])


def test_copies_in_other_partitions_share_a_fate(client):
    texts = ["same"] * 4 + [f"text {row}" for row in range(8)]
    frame = pd.DataFrame({"body": texts, "n": range(12)}).iloc[[0, 4, 5, 1, 6, 7, 2, 8, 9, 3, 10, 11]]
    result = prune(
        in_partitions(frame, 4), PerplexityFilter(3, perplexity=length, random_state=0), text="body"
    )
    kept, _ = check_same(result, frame, PerplexityFilter(3, perplexity=length, random_state=0))
    assert (kept["body"] == "same").sum() == 4
    assert kept["body"].nunique() == 3


def test_the_training_sample_is_that_of_files(frame, client, tmp_path):
    from skprune import files

    for number, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[part].to_parquet(tmp_path / f"{number}.parquet")
    pruner = PerplexityFilter(0.3, random_state=0)
    files.prune(tmp_path / "*.parquet", pruner, text="body", out=tmp_path / "out", n_train=50)
    expected = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("*.parquet")))
    ddf = dd.read_parquet(tmp_path / "*.parquet")
    assert len(ddf["body"].to_delayed()) < 3  # dask would fuse partitions, if it were let
    result = prune(ddf, pruner, text="body", n_train=50)
    assert result.kept.npartitions == 3
    assert result.kept["n"].compute().tolist() == expected["n"].tolist()
    assert expected["n"].tolist() != pruner.set_params(text="body").fit_transform(frame)["n"].tolist()
    in_memory = PerplexityFilter(
        0.3, perplexity=NGramScorer(max_train_texts=50), random_state=0, text="body"
    ).fit_transform(frame)
    assert expected["n"].tolist() == in_memory["n"].tolist()


def test_added_columns_give_way_to_those_of_the_frame(client):
    frame = pd.DataFrame({"text": [f"t {row}" for row in range(9)], "reason": "mine", "prune_rank": 1})
    result = prune(dd.from_pandas(frame, npartitions=2), RandomFilter(3, random_state=0), text="text")
    removed = result.removed.compute()
    assert list(removed) == ["text", "reason", "prune_rank", "rank", "draw", "threshold", "prune_reason"]
    assert set(removed["prune_reason"]) == {"random draw too high"}
    assert (removed.dtypes == result.removed.dtypes).all()
    assert list(result.kept.columns) == list(frame)


def test_the_filter_may_name_the_column_and_is_not_changed(frame, client):
    pruner = RandomFilter(7, text="body")
    assert prune(in_partitions(frame, 2), pruner).n_kept >= 7
    assert not hasattr(pruner, "pool_")


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_kinds_of_text_columns(kind, frame, client):
    with dask.config.set({"dataframe.convert-string": False}):
        ddf = in_partitions(frame.astype({"body": kind}), 3)
        kept = prune(ddf, FILTERS["perplexity"], text="body").kept.compute()
    assert (
        kept["n"].tolist() == FILTERS["perplexity"].set_params(text="body").fit_transform(frame)["n"].tolist()
    )
    assert kept["body"].dtype == kind


# ---------------------------------------------------------------------- rows without a text


@pytest.mark.parametrize("kind", ["object", "string"])
@pytest.mark.parametrize(("on_missing", "n_kept"), [("drop", 5), ("keep", 8)])
def test_rows_without_text_are_dropped_or_kept(on_missing, n_kept, kind, client):
    texts = [None if row in (3, 4, 11) else f"text {row}" for row in range(20)]
    frame = pd.DataFrame({"id": range(20), "text": pd.Series(texts, dtype=kind)})
    pruner = RandomFilter(5, random_state=0)
    result = prune(in_partitions(frame, 4), pruner, text="text", on_missing=on_missing)
    kept, removed = result.kept.compute(), result.removed.compute()
    written = frame.dropna()
    assert (
        kept.dropna()["id"].tolist() == pruner.set_params(text="text").fit_transform(written)["id"].tolist()
    )
    assert (result.n_kept, result.n_removed) == (n_kept, 20 - n_kept) == (len(kept), len(removed))
    assert result.reasons["missing" if on_missing == "drop" else "kept: missing"] == 3
    assert removed["reason"].tolist().count("missing") == (3 if on_missing == "drop" else 0)
    assert (removed["rank"] == -1).all()


def test_a_row_without_text_is_named(client):
    frame = pd.DataFrame({"text": ["a", "b", "c", None]}, index=list("pqrs"))
    with pytest.raises(
        ValueError, match=r"partition 1, row 1 \(index 's'\): 'text' is missing. Drop such rows of ddf"
    ):
        prune(in_partitions(frame, 2), PerplexityFilter(perplexity=never), text="text")


# ---------------------------------------------------------------------- errors before any work


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"text": "text"},
            ValueError,
            "no column 'text', which text= names; its columns are 'body', 'url', 'n'",
        ),
        ({"text": "n"}, TypeError, "ddf\\['n'\\] holds Int64, not text"),
        ({"text": None}, ValueError, "found 'body', 'url'; name one with text="),
        ({"filter": KMeansFilter()}, TypeError, "it compares the vectors of all rows. Prune a part"),
        ({"filter": UPSFilter()}, TypeError, "UPSFilter needs the pool in memory: it needs the predictions"),
        ({"filter": SemiPruneFilter()}, TypeError, "first prune the dask DataFrame with a filter"),
        ({"filter": FilterChain([("a", RandomFilter())])}, TypeError, "FilterChain needs the pool in memory"),
        ({"filter": "random"}, TypeError, "filter must be a filter of skprune, got str"),
        ({"filter": RandomFilter(keep=10_000)}, ValueError, "keep=10000 exceeds the 240 different rows"),
        ({"on_missing": "skip"}, ValueError, "on_missing must be"),
        ({"n_train": 0}, ValueError, "n_train must be at least 1"),
        ({"ddf": pd.DataFrame()}, TypeError, "ddf must be a dask DataFrame, got DataFrame"),
    ],
    ids=lambda value: "",
)
def test_bad_arguments_are_refused(arguments, error, message, frame, client):
    given = {"ddf": in_partitions(frame, 2), "filter": RandomFilter(), "text": "body", **arguments}
    with pytest.raises(error, match=message):
        prune(given.pop("ddf"), given.pop("filter"), **given)


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (b"bytes", TypeError, r"partition 1\[3\] is bytes"),
        ("\ud800", ValueError, r"partition 1\[3\] .*surrogate"),
        (3, TypeError, r"partition 1\[3\] is int"),
    ],
)
def test_a_row_that_is_not_text_is_named(cell, error, message, client):
    with dask.config.set({"dataframe.convert-string": False}):
        frame = pd.DataFrame({"text": pd.Series([f"t {row}" for row in range(8)], dtype=object)})
        frame.loc[7, "text"] = cell
        with pytest.raises(error, match=message):
            prune(in_partitions(frame, 2), PerplexityFilter(perplexity=never), text="text")


def test_a_frame_without_texts(client):
    frame = pd.DataFrame({"text": pd.Series([None, None], dtype=object)})
    with pytest.raises(EmptyPoolError, match="no row with a text"):
        prune(in_partitions(frame, 1), RandomFilter(), text="text", on_missing="drop")


@pytest.mark.parametrize("scheduler", ["synchronous", None])
def test_the_error_of_a_scorer_arrives(scheduler, frame, client):
    def fails(texts):
        raise ZeroDivisionError("inside the scorer")

    def wrong(texts):
        return [0.0]

    with dask.config.set(scheduler=scheduler) if scheduler else dask.config.set():
        with pytest.raises(ZeroDivisionError, match="inside the scorer"):
            prune(in_partitions(frame, 3), PerplexityFilter(perplexity=fails), text="body")
        with pytest.raises(ValueError, match="perplexity must return one value or vector per text"):
            prune(in_partitions(frame, 3), PerplexityFilter(perplexity=wrong), text="body")


def changing(part):
    """Return other rows in every process call: what a frame must not do."""
    return part.assign(body=[f"{text} {os.urandom(4).hex()}" for text in part["body"]])


def test_a_frame_that_changes_is_refused(frame, client):
    ddf = in_partitions(frame, 2).map_partitions(changing, meta=frame[:0])
    with pytest.raises(ValueError, match=r"held other texts when it was read before.*ddf.persist"):
        prune(ddf, PerplexityFilter(perplexity=length), text="body")
    result = prune(ddf, RandomFilter(5), text="body")
    with pytest.raises(ValueError, match="held other texts when it was read before"):
        result.kept.compute()
    assert prune(ddf.persist(), RandomFilter(5), text="body").kept.compute()["n"].nunique() == 5


# ---------------------------------------------------------------------- what runs where


class Counted:
    """A scorer that counts how often it is unpickled, and in which process."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__ = state
        (self.folder / f"{os.getpid()} {os.urandom(8).hex()}").touch()

    def __call__(self, texts):
        return length(texts)


def test_a_scorer_is_unpickled_once_per_worker(frame, client, tmp_path):
    prune(in_partitions(frame, 12), PerplexityFilter(perplexity=Counted(tmp_path)), text="body")
    pids = [int(path.name.split()[0]) for path in tmp_path.iterdir()]
    workers = [pid for pid in pids if pid != os.getpid()]  # here it is cloned
    assert 1 <= len(workers) == len(set(workers)) <= 2


def test_scores_are_kept_in_the_folder_of_the_filter(frame, client, tmp_path):
    def pruner(perplexity):
        return PerplexityFilter(0.3, perplexity=perplexity, memory=tmp_path / "scores", random_state=0)

    scorer = Identified(tmp_path / "fails")
    (tmp_path / "fails").touch()
    ddf = in_partitions(frame, 6)
    with pytest.raises(ZeroDivisionError):
        prune(ddf, pruner(scorer), text="body")
    (tmp_path / "fails").unlink()
    result = prune(ddf, pruner(scorer), text="body")
    check_same(result, frame, PerplexityFilter(0.3, perplexity=length, random_state=0))
    (tmp_path / "fails").touch()  # nothing is scored again
    check_same(
        prune(ddf, pruner(scorer), text="body"),
        frame,
        PerplexityFilter(0.3, perplexity=length, random_state=0),
    )


def test_a_scorer_that_asks_a_server_runs_here(frame, client):
    class Served:
        """Its key does not travel."""

        base_url = "http://localhost"

        def __call__(self, texts):
            assert os.getpid() == here
            return length(texts)

        def __reduce__(self):
            raise TypeError("the key must not be pickled")

        def __deepcopy__(self, memo):
            return self

    here = os.getpid()
    result = prune(
        in_partitions(frame, 3), PerplexityFilter(0.3, perplexity=Served(), random_state=0), text="body"
    )
    check_same(result, frame, PerplexityFilter(0.3, perplexity=length, random_state=0))


class Identified:
    """A scorer with a fingerprint that fails while a file exists."""

    fingerprint = "length-1"

    def __init__(self, path):
        self.path = path

    def __call__(self, texts):
        if self.path.exists():
            raise ZeroDivisionError
        return length(texts)


class Deadly:
    """A scorer that kills the first process that scores with it."""

    def __init__(self, path):
        self.path = path

    def __call__(self, texts):
        if not self.path.exists():
            self.path.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return length(texts)


def check_with_a_death(frame, folder):
    pruner = PerplexityFilter(0.3, perplexity=Deadly(folder / "dead"), random_state=0)
    result = prune(in_partitions(frame, 9), pruner, text="body")
    assert int((folder / "dead").read_text()) != os.getpid()
    check_same(result, frame, PerplexityFilter(0.3, perplexity=length, random_state=0))


def test_a_worker_that_dies_changes_nothing(frame, client, tmp_path):
    check_with_a_death(frame, tmp_path)


@pytest.mark.slow
def test_the_only_worker_dies(frame, tmp_path):
    settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    with LocalCluster(n_workers=1, **settings) as cluster, Client(cluster):
        check_with_a_death(frame, tmp_path)
