"""Filters that compare vectors search each partition where it is, and keep the same rows as in memory."""

import os
import pickle
import signal

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("distributed")

import dask
import dask.dataframe as dd
from distributed import Client, LocalCluster, futures_of

from skprune import AnchorFilter, ProxyFilter, SEALSFilter
from skprune.dask import prune
from skprune.datasets import load_movie_snippets
from skprune.store import clear_process_store, open_store

# Deprecations of pandas that dask itself runs into.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")

MOVIES = load_movie_snippets()
TEXTS, Y = MOVIES.data[:400], np.asarray(MOVIES.target)[:400]

FILTERS = {
    "anchors": AnchorFilter(n_anchors=4, n_neighbors=10, text="body", random_state=0),
    "anchors, all": AnchorFilter(keep=0.6, aggregate="all", text="body", random_state=1),
    "seals": SEALSFilter(7, text="body", random_state=2),
    "seals, filled": SEALSFilter(3, keep=150, text="body", random_state=3),
    "proxy": ProxyFilter(60, text="body", random_state=4),
}


@pytest.fixture(scope="module")
def frame():
    """Rows with copies in other partitions, blank texts, and 24 labels."""
    texts = [*TEXTS, *TEXTS[:30], "", " \t"]
    y = np.full(len(texts), -1)
    y[np.arange(0, 384, 16)] = Y[np.arange(0, 384, 16)]
    return pd.DataFrame({"body": texts, "y": y, "n": np.arange(len(texts))})


def in_memory(pruner, frame, y=None, labeled=None):
    fitted = pruner.__sklearn_clone__().fit(frame, y)
    if labeled is not None:
        fitted.partial_fit(labeled["body"], labeled["y"])
    clear_process_store()  # nothing is found there by what is compared with it
    return fitted.transform(frame), fitted.explain(frame)


def check_same(result, kept, explanation):
    assert result.kept.compute()["n"].tolist() == kept["n"].tolist()
    removed = result.removed.compute()
    expected = explanation[~explanation["kept"]].drop(columns=["kept", "stage"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        removed[list(expected.columns)].reset_index(drop=True).astype({"reason": str}),
        expected.astype({"reason": str}),
        check_dtype=False,
        check_index_type=False,
        rtol=1e-5,  # products in single precision depend on how many rows they have at a time
    )


@pytest.mark.parametrize("labels", ["none", "column", "other rows"])
@pytest.mark.parametrize("name", FILTERS)
def test_the_same_rows_as_in_memory(name, labels, frame):
    ddf = dd.from_pandas(frame, npartitions=5)
    with dask.config.set(scheduler="synchronous"):
        if labels == "none":
            expected = in_memory(FILTERS[name], frame)
            check_same(prune(ddf, FILTERS[name]), *expected)
        elif labels == "column":
            expected = in_memory(FILTERS[name], frame, frame["y"])
            check_same(prune(ddf, FILTERS[name], label="y"), *expected)
        else:
            texts = [*MOVIES.data[500:510], TEXTS[5]]
            labeled = pd.DataFrame({"body": texts, "y": [*MOVIES.target[500:510], 1]})
            expected = in_memory(FILTERS[name], frame, labeled=labeled)
            check_same(prune(ddf, FILTERS[name], label="y", labeled=labeled), *expected)


@pytest.mark.parametrize("name", ["anchors", "seals, filled", "proxy"])
def test_on_a_cluster(name, frame, client):
    expected = in_memory(FILTERS[name], frame, frame["y"])
    check_same(prune(dd.from_pandas(frame, npartitions=5), FILTERS[name], label="y"), *expected)


@pytest.mark.parametrize("name", FILTERS)
def test_rounds(name, frame):
    """Without a client the vectors are in this process; each round searches them again."""
    ddf = dd.from_pandas(frame, npartitions=4)
    here, there = (FILTERS[name].__sklearn_clone__() for _ in range(2))
    with dask.config.set(scheduler="synchronous"):
        here.fit(frame)
        clear_process_store()
        there.fit(ddf)
        assert there.n_encoded_ == 402
        for rows in ([3, 9, 40, 41], [5, 100, 399]):
            new = frame.iloc[rows]
            here.partial_fit(new, Y[rows]), there.partial_fit(new, Y[rows])
            assert there.select(ddf).tolist() == here.select(frame).tolist()
        other = frame.iloc[100:].assign(body=[*frame["body"][100:420], *MOVIES.data[600:612]])
        expected = here.select(other).tolist()
        assert there.select(dd.from_pandas(other, npartitions=3)).tolist() == expected
        assert there.select(other).tolist() == expected
        assert pickle.loads(pickle.dumps(there)).select(ddf).tolist() == there.select(ddf).tolist()


def test_a_learner_reads_the_rows_of_the_subpool(frame):
    """They come to this process as a frame with all columns, as in memory."""

    class Learner:
        def __init__(self):
            self.read = []

        def predict_proba(self, X):
            self.read.append(X)
            share = np.array(
                [
                    text.count("e") / (1 + len(text))
                    for text in (X if isinstance(X, np.ndarray) else X["body"])
                ]
            )
            return np.column_stack([share, 1 - share])

    ddf = dd.from_pandas(frame, npartitions=4)
    here, there, learners = FILTERS["proxy"].__sklearn_clone__(), FILTERS["proxy"].__sklearn_clone__(), []
    with dask.config.set(scheduler="synchronous"):
        for pruner, pool in ((here, frame), (there, ddf)):
            learners.append(Learner())
            pruner.fit(pool, frame["y"]).partial_fit(frame.iloc[[1]], [1], learner=learners[-1])
        assert there.select(ddf).tolist() == here.select(frame).tolist()
    asked, expected = (learner.read[1] for learner in reversed(learners))
    pd.testing.assert_frame_equal(asked, expected, check_dtype=False)


class Lengths:
    """An encoder with a fingerprint that logs each process that encodes, and may kill the first one."""

    fingerprint = "lengths-1"

    def __init__(self, folder, deadly=False):
        self.folder, self.deadly = folder, deadly

    def __call__(self, texts):
        if self.deadly and not (self.folder / "dead").exists():
            (self.folder / "dead").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"{os.getpid()} {os.urandom(8).hex()}").write_text(str(len(texts)))
        return np.array([[len(text), text.count("a"), text.count(" "), 1.0] for text in texts])


def n_encoded(folder):
    return sum(int(path.read_text()) for path in folder.glob("* *"))


def test_each_text_is_encoded_once_by_the_workers(frame, client, tmp_path):
    pruner = AnchorFilter(encoder=Lengths(tmp_path), text="body", random_state=0)
    ddf = dd.from_pandas(frame, npartitions=6)
    fitted = pruner.fit(ddf, frame["y"])
    fitted.select(ddf)
    fitted.partial_fit(frame.iloc[[1, 2]], [0, 1]).select(ddf)
    assert n_encoded(tmp_path) == fitted.n_encoded_ == 402
    assert str(os.getpid()) not in {path.name.split()[0] for path in tmp_path.glob("* *")}


def test_vectors_are_kept_in_the_folder_of_the_filter(frame, client, tmp_path):
    (tmp_path / "log").mkdir()
    pruner = SEALSFilter(
        5, encoder=Lengths(tmp_path / "log"), memory=tmp_path / "store", text="body", random_state=0
    )
    ddf = dd.from_pandas(frame, npartitions=6)
    first = pruner.fit(ddf).select(ddf).tolist()
    assert open_store(tmp_path / "store").info()["values"].tolist() == [402]
    assert pruner.fit(ddf).select(ddf).tolist() == pruner.fit(frame).select(frame).tolist() == first
    assert pruner.n_encoded_ == 0
    assert n_encoded(tmp_path / "log") == 402


def test_an_encoder_that_asks_a_server_runs_here(frame, client, tmp_path):
    class Served(Lengths):
        base_url = "http://localhost"

        def __reduce__(self):
            raise TypeError("the key must not be pickled")

        def __deepcopy__(self, memo):
            return self

    pruner = AnchorFilter(encoder=Served(tmp_path), text="body", random_state=0)
    ddf = dd.from_pandas(frame, npartitions=6)
    assert pruner.fit(ddf).select(ddf).tolist() == pruner.fit(frame).select(frame).tolist()
    assert {path.name.split()[0] for path in tmp_path.glob("* *")} == {str(os.getpid())}


@pytest.mark.slow
def test_workers_that_die_change_nothing(frame, tmp_path):
    """One dies while it encodes. Another one dies later, with the vectors that it holds."""
    pruner = AnchorFilter(encoder=Lengths(tmp_path, deadly=True), text="body", random_state=0)
    expected, _ = in_memory(
        AnchorFilter(encoder=Lengths(tmp_path), text="body", random_state=0), frame, frame["y"]
    )
    settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    with LocalCluster(n_workers=2, **settings) as cluster, Client(cluster) as client:
        ddf = dd.from_pandas(frame, npartitions=6)
        fitted = pruner.fit(ddf, frame["y"])
        assert (tmp_path / "dead").exists()
        holders = client.run(os.getpid)
        os.kill(next(iter(holders.values())), signal.SIGKILL)
        assert fitted.transform(ddf).compute()["n"].tolist() == expected["n"].tolist()


def test_vectors_are_encoded_again_when_their_client_is_gone(frame):
    """Closed, restarted, or replaced by another Client."""
    expected, _ = in_memory(FILTERS["anchors"], frame, frame["y"])
    n_kept = expected["n"].tolist()
    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    ddf = dd.from_pandas(frame, npartitions=3)
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        fitted = FILTERS["anchors"].__sklearn_clone__().fit(ddf, frame["y"])
        assert fitted.transform(frame)["n"].tolist() == n_kept
        for persisted in futures_of(fitted._vectors._encoded):
            persisted.cancel()
        assert fitted.transform(frame)["n"].tolist() == n_kept
        assert not any(future.cancelled() for future in futures_of(fitted._vectors._encoded))
        assert client.status == "running"
    assert fitted.transform(frame)["n"].tolist() == n_kept
    assert fitted.transform(ddf).compute()["n"].tolist() == n_kept
    with LocalCluster(**settings) as cluster, Client(cluster):
        assert fitted.transform(ddf).compute()["n"].tolist() == n_kept


# ---------------------------------------------------------------------- errors before any work


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"filter": AnchorFilter(index="hnsw")},
            "AnchorFilter needs the pool in memory: index='hnsw' is a graph",
        ),
        (
            {"label": "stars"},
            "ddf has no column 'stars', which label= names; its columns are 'body', 'y', 'n'",
        ),
        ({"label": "none"}, "no row has a label in the column 'none', which label= names"),
        ({"labeled": pd.DataFrame({"body": ["a"]})}, "labeled= needs label="),
        ({"labeled": pd.DataFrame({"body": ["a"]}), "label": "y"}, "labeled has no column 'y', .*are 'body'"),
        ({"labeled": ["a"], "label": "y"}, "labeled has no column 'y', .* are none"),
        ({"labeled": pd.DataFrame({"b": ["a"], "y": [1]}), "label": "y"}, "labeled has no column 'body'"),
        ({"labeled": pd.DataFrame({"body": [None], "y": [1]}), "label": "y"}, r"labeled\[0\] is"),
        (
            {"labeled": pd.DataFrame({"body": ["a"], "y": [None]}), "label": "y"},
            "has no label in the column",
        ),
    ],
    ids=lambda value: "",
)
def test_bad_arguments_are_refused(arguments, message, frame):
    given = {"filter": AnchorFilter(n_neighbors=3), "text": "body", **arguments}
    if arguments.get("label") == "none":
        frame = frame.assign(none=None)
    with dask.config.set(scheduler="synchronous"), pytest.raises((ValueError, TypeError), match=message):
        prune(dd.from_pandas(frame, npartitions=2), given.pop("filter"), **given)


@pytest.mark.parametrize("on_missing", ["drop", "keep"])
def test_labels_belong_to_their_rows_where_texts_are_missing(on_missing, frame):
    texts = frame["body"].mask(np.arange(len(frame)) % 7 == 3)
    with_gaps = frame.assign(body=texts, y=frame["y"].where(frame["y"] >= 0, None))
    expected, _ = in_memory(FILTERS["anchors"], with_gaps[texts.notna()], with_gaps["y"][texts.notna()])
    with dask.config.set(scheduler="synchronous"):
        result = prune(
            dd.from_pandas(with_gaps, npartitions=4), FILTERS["anchors"], label="y", on_missing=on_missing
        )
        kept = result.kept.compute()
    assert kept["n"][kept["body"].notna()].tolist() == expected["n"].tolist()
    assert kept["body"].isna().sum() == (texts.isna().sum() if on_missing == "keep" else 0)
