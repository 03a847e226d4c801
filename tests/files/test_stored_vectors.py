"""Filters that compare vectors read those of files part by part, and keep the same rows as in memory."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from skprune import AnchorFilter, PerplexityFilter, ProxyFilter, SEALSFilter
from skprune.datasets import load_movie_snippets
from skprune.files import prune, score
from skprune.store import clear_process_store

MOVIES = load_movie_snippets()

FILTERS = {
    "anchors": AnchorFilter(n_anchors=4, n_neighbors=10, random_state=0),
    "anchors, all": AnchorFilter(keep=0.6, aggregate="all", random_state=1),
    "seals": SEALSFilter(7, random_state=2),
    "seals, filled": SEALSFilter(3, keep=150, random_state=3),
    "proxy": ProxyFilter(60, random_state=4),
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Two Parquet files, with copies, a blank text, and 24 labels."""
    folder = tmp_path_factory.mktemp("pool")
    texts = [*MOVIES.data[:400], *MOVIES.data[:30], ""]
    y = np.full(len(texts), -1)
    y[np.arange(0, 384, 16)] = np.asarray(MOVIES.target)[np.arange(0, 384, 16)]
    frame = pd.DataFrame({"text": texts, "y": y, "n": np.arange(len(texts))})
    for name, part in (("a", frame[:150]), ("b", frame[150:])):
        part.to_parquet(folder / f"{name}.parquet")
    return folder, frame


@pytest.fixture
def small_parts(monkeypatch):
    """Several parts, of which one holds no row that may be searched."""
    monkeypatch.setattr("skprune.streaming.vectors._BLOCK", 64)


def rows_of(folder):
    return [n for path in sorted(folder.glob("*.parquet")) for n in pq.read_table(path)["n"].to_pylist()]


@pytest.mark.parametrize("labels", ["none", "column", "other rows"])
@pytest.mark.parametrize("name", FILTERS)
def test_the_same_rows_as_in_memory(name, labels, pool, tmp_path, small_parts):
    folder, frame = pool
    labeled = pa.table({"text": MOVIES.data[500:510], "y": MOVIES.target[500:510]})
    given = {"none": {}, "column": {"label": "y"}, "other rows": {"label": "y", "labeled": labeled}}[labels]
    summary = prune(
        folder, FILTERS[name], text="text", out=tmp_path / "out", removed=tmp_path / "gone", **given
    )
    clear_process_store()
    pruner = FILTERS[name].__sklearn_clone__().fit(frame["text"], frame["y"] if labels == "column" else None)
    if labels == "other rows":
        pruner.partial_fit(labeled["text"].to_pylist(), labeled["y"].to_numpy())
    explained = pruner.explain(frame["text"])
    assert rows_of(tmp_path / "out") == np.flatnonzero(explained["kept"]).tolist()
    assert summary.reasons == explained["reason"].value_counts().to_dict()
    column = "predicted_margin" if name == "proxy" else "similarity"
    gone = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "gone").glob("*.parquet")))
    expected = explained[column][~explained["kept"]].to_numpy()
    np.testing.assert_allclose(gone[column].to_numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_labels_in_files_of_texts(kind, pool, tmp_path):
    """A cell without quotes and an absent key mean that a row has no label; words are classes."""
    _, frame = pool
    words = [None if y < 0 else "good" if y else "bad" for y in frame["y"]]
    if kind == "csv":
        pacsv.write_csv(pa.table({"text": frame["text"], "y": words}), tmp_path / "pool.csv")
    else:
        lines = ({"text": t} | ({"y": w} if w else {}) for t, w in zip(frame["text"], words, strict=True))
        (tmp_path / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = score(tmp_path / f"pool.{kind}", FILTERS["anchors"], text="text", label="y")
    clear_process_store()
    pruner = FILTERS["anchors"].__sklearn_clone__().fit(frame["text"], np.array(words, dtype=object))
    assert found["kept"].tolist() == pruner.get_support().tolist()
    assert found["reason"].tolist() == pruner.explain()["reason"].tolist()


class Failing:
    """An encoder that encodes some texts, and then fails while a file exists."""

    fingerprint = "lengths-1"
    n_texts = 0  # of all copies of it

    def __init__(self, path):
        self.path = path

    def __call__(self, texts):
        if self.path.exists() and Failing.n_texts >= 200:
            raise ZeroDivisionError
        Failing.n_texts += len(texts)
        return np.array([[len(text), text.count("a"), text.count(" "), 1.0] for text in texts])


def test_an_interrupted_job_continues_with_the_vectors_it_has(pool, tmp_path, small_parts):
    folder, frame = pool
    (tmp_path / "fails").touch()
    encoder = Failing(tmp_path / "fails")

    def run():
        pruner = AnchorFilter(encoder=encoder, random_state=0)
        return prune(folder, pruner, text="text", label="y", out=tmp_path / "out")

    with pytest.raises(ZeroDivisionError):
        run()
    (tmp_path / "fails").unlink()
    assert Failing.n_texts >= 200
    run()
    assert Failing.n_texts == 401  # each different text once
    expected = AnchorFilter(encoder=encoder, random_state=0).fit(frame["text"], frame["y"]).get_support(True)
    assert rows_of(tmp_path / "out") == expected.tolist()


def test_other_labels_are_another_job(pool, tmp_path):
    folder, _ = pool
    labeled = pd.DataFrame({"text": ["fine", "poor"], "y": [1, 0]})
    settings = {"text": "text", "label": "y", "out": tmp_path / "out"}
    prune(folder, FILTERS["seals"], labeled=labeled, **settings)
    with pytest.raises(FileExistsError, match="holds another job: labeled"):
        prune(folder, FILTERS["seals"], labeled=labeled.assign(y=[0, 1]), **settings)
    assert prune(folder, FILTERS["seals"], labeled=labeled, **settings).kept


def test_bad_labels_are_refused_before_any_work(pool, tmp_path):
    folder, _ = pool

    def never(texts):
        raise AssertionError("encoded before the labels were checked")

    pruner = AnchorFilter(encoder=never)
    for given, message in (
        (
            {"label": "stars"},
            "a.parquet has no column 'stars', which label= names; its columns are 'text', 'y', 'n'",
        ),
        ({"labeled": pd.DataFrame({"text": ["a"]})}, "labeled= needs label="),
    ):
        with pytest.raises(ValueError, match=message):
            prune(folder, pruner, text="text", out=tmp_path / "out", **given)
    with pytest.raises(TypeError, match="needs the pool in memory: index='hnsw' is a graph of all rows"):
        prune(folder, AnchorFilter(index="hnsw"), text="text", out=tmp_path / "out")


@pytest.mark.parametrize("none", ["-1", "NaN", ""])
def test_a_row_of_csv_without_a_label_has_none(tmp_path, none):
    (tmp_path / "in.csv").write_text(f"text,y\naaa,{none}\nbb,{none}\nc,1\ndddd,0\n")
    shortest = PerplexityFilter(keep=1, perplexity=lambda texts: [len(text) for text in texts])
    prune(tmp_path / "in.csv", shortest, text="text", label="y", out=tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "in.csv")["text"].tolist() == ["bb"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, None], r"labeled\[1\] has no label in the column 'y'"),
        ([[0, 1], [1, 0]], "y must hold one class"),
    ],
)
def test_bad_labels_of_other_rows_are_refused_before_any_text_is_read(tmp_path, labels, message):
    def encode(texts):
        raise AssertionError("the encoder was asked")

    pd.DataFrame({"text": MOVIES.data[:20]}).to_parquet(tmp_path / "pool.parquet")
    labeled = pd.DataFrame({"text": ["one", "two"], "y": labels})
    with pytest.raises(ValueError, match=message):
        prune(
            tmp_path / "pool.parquet",
            AnchorFilter(encoder=encode),
            text="text",
            label="y",
            labeled=labeled,
            out=tmp_path / "out",
        )
