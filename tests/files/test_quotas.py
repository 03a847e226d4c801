"""Files are pruned with quotas as a frame in memory is."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skprune import (
    ActivePruneFilter,
    DRoPFilter,
    EntropyIntervalFilter,
    KMeansFilter,
    PerplexityFilter,
    QuotaFilter,
    RandomFilter,
)
from skprune.files import estimate, prune, score
from tests.files.test_files import length, make_texts

LANGUAGES = ["en", "en", "en", "en", "fr", "fr", None, "de"]


@pytest.fixture
def frame():
    texts = list(dict.fromkeys(make_texts(900)))  # copies of one text in two groups are tested in memory
    rng = np.random.default_rng(5)
    return pd.DataFrame({"text": texts, "language": [LANGUAGES[i] for i in rng.integers(8, size=len(texts))]})


@pytest.fixture
def pool(frame, tmp_path, monkeypatch):
    monkeypatch.setattr("skprune.files.tables.MAX_ROWS", 64)  # several batches per file
    (tmp_path / "pool").mkdir()
    for name, part in (("a", frame[:200]), ("b", frame[200:])):
        pq.write_table(
            pa.Table.from_pandas(part, preserve_index=False), tmp_path / "pool" / f"{name}.parquet"
        )
    return tmp_path / "pool"


def table_in(folder):
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


FILTERS = [
    RandomFilter(keep=0.2, random_state=0),
    PerplexityFilter(keep=80, random_state=0),
    ActivePruneFilter(keep=0.2, quality=length, random_state=0),
    EntropyIntervalFilter(keep=0.2, combine="information", random_state=0),
]


@pytest.mark.parametrize(
    "quotas", [{"min_per_group": 20}, {"balance": "equal"}, {"min_per_group": {"de": 30}}], ids=repr
)
@pytest.mark.parametrize("scoring", FILTERS, ids=lambda scoring: type(scoring).__name__)
def test_the_same_rows_survive_as_in_memory(frame, pool, tmp_path, scoring, quotas):
    quota = QuotaFilter(scoring, groups="language", **quotas)
    summary = prune(pool, quota, text="text", out=tmp_path / "out", removed=tmp_path / "gone")
    in_memory = QuotaFilter(scoring, groups="language", **quotas).set_params(filter__text="text").fit(frame)
    kept = in_memory.get_support()
    assert table_in(tmp_path / "out")["text"].tolist() == frame["text"][kept].tolist()
    explained = in_memory.explain()
    gone = table_in(tmp_path / "gone")
    for column in ("reason", "group"):
        assert gone[column].tolist() == explained[column][~kept].tolist()
    assert summary.reasons == explained["reason"].value_counts()[list(summary.reasons)].to_dict()
    sizes = frame["language"][kept].value_counts()
    if quotas.get("min_per_group") == 20:
        assert sizes.min() >= 20


def test_every_kind_of_file_has_groups(frame, tmp_path):
    quota = QuotaFilter(
        PerplexityFilter(keep=60, perplexity=length, random_state=0), groups="language", min_per_group=15
    )
    frame = frame[frame["text"].str.strip() != ""].fillna({"language": "none"})
    frame.to_csv(tmp_path / "pool.csv", index=False)
    frame.to_json(tmp_path / "pool.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "pool.parquet", index=False)
    pq_table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_file(tmp_path / "pool.arrow", pq_table.schema) as file:
        file.write_table(pq_table)
    found = [
        score(tmp_path / name, quota, text="text")["kept"].tolist()
        for name in ("pool.csv", "pool.jsonl", "pool.parquet", "pool.arrow")
    ]
    assert found[0] == found[1] == found[2] == found[3]
    assert sum(found[0]) == 60


def test_rows_without_a_text_have_no_group(frame, tmp_path):
    frame.loc[5:9, "text"] = None
    frame.to_parquet(tmp_path / "pool.parquet", index=False)
    quota = QuotaFilter(RandomFilter(keep=60, random_state=0), groups="language", min_per_group=18)
    prune(
        tmp_path / "pool.parquet",
        quota,
        text="text",
        out=tmp_path / "out",
        removed=tmp_path / "gone",
        on_missing="drop",
    )
    gone = table_in(tmp_path / "gone")
    without = gone[gone["text"].isna()]
    assert (without["reason"] == "missing").all()
    assert (without["group"] == "").all()
    written = frame.dropna(subset="text")
    in_memory = quota.set_params(filter__text="text").fit(written)
    assert table_in(tmp_path / "out")["text"].tolist() == written["text"][in_memory.get_support()].tolist()


def test_another_size_keeps_the_quotas(pool, tmp_path):
    quota = QuotaFilter(
        PerplexityFilter(keep=80, perplexity=length, random_state=0), groups="language", min_per_group=20
    )
    more = QuotaFilter(
        PerplexityFilter(keep=120, perplexity=length, random_state=0), groups="language", min_per_group=20
    )
    prune(pool, quota, text="text", out=tmp_path / "a", rethreshold=120)
    prune(pool, more, text="text", out=tmp_path / "b")
    assert table_in(tmp_path / "a").equals(table_in(tmp_path / "b"))
    with pytest.raises(ValueError, match="asks for 60 rows of"):
        prune(pool, quota, text="text", out=tmp_path / "c", rethreshold=30)


def test_an_estimate_is_that_of_the_filter_inside(pool):
    quota = QuotaFilter(
        PerplexityFilter(keep=80, perplexity=length, random_state=0), groups="language", min_per_group=20
    )
    assert estimate(pool, quota, text="text").rows > 500


@pytest.mark.parametrize(
    ("quota", "error", "message"),
    [
        (
            QuotaFilter(RandomFilter()),
            TypeError,
            "groups of a QuotaFilter must name a column of the files, got None",
        ),
        (QuotaFilter(RandomFilter(), groups=len), TypeError, "must name a column of the files"),
        (
            QuotaFilter(KMeansFilter(), groups="language"),
            TypeError,
            "QuotaFilter needs the pool in memory: its filter is a KMeansFilter, and it compares the vectors",
        ),
        (
            QuotaFilter(QuotaFilter(RandomFilter(), groups="language"), groups="language"),
            TypeError,
            "QuotaFilter needs the pool in memory: its filters select among each other's rows",
        ),
        (QuotaFilter(RandomFilter(), groups="source"), ValueError, "no column 'source', which groups= names"),
        (DRoPFilter(RandomFilter()), TypeError, "DRoPFilter needs the pool in memory"),
        (
            QuotaFilter(RandomFilter(keep=10), groups="language", min_per_group=20),
            ValueError,
            "asks for 60 rows of 3 groups, but the filter keeps 10",
        ),
    ],
)
def test_what_cannot_be_is_refused(pool, tmp_path, quota, error, message):
    with pytest.raises(error, match=message):
        prune(pool, quota, text="text", out=tmp_path / "out")
    with pytest.raises(error, match=message):
        score(pool, quota, text="text")


def test_lists_are_no_groups(tmp_path):
    rows = [{"text": f"text {i}", "tags": ["a"]} for i in range(9)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(TypeError, match="values of 'tags' cannot be groups: unhashable"):
        prune(
            tmp_path / "pool.jsonl",
            QuotaFilter(RandomFilter(), groups="tags"),
            text="text",
            out=tmp_path / "out",
        )
