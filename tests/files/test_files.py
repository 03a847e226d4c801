"""Files are pruned as a pool in memory would be, whatever their kind, and every row is accounted for."""

import gzip
import json
import os
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sklearn.frozen import FrozenEstimator

from skprune import (
    ActivePruneFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    KMeansFilter,
    NGramScorer,
    PerplexityFilter,
    QuotaFilter,
    RandomFilter,
)
from skprune.exceptions import EmptyPoolError
from skprune.files import prune, read_frame, score

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "some",
    "dogs",
    "ran",
    "over",
    "green",
    "hills",
    "while",
    "birds",
    "sang",
    "in",
    "old",
    "trees",
]


def make_texts(n, seed=0):
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(n)]
    return [*texts, texts[0], " ", ""]  # short texts repeat, too


def length(texts):
    return [float(len(text)) for text in texts]


def table_of(texts, start=0):
    return pa.table(
        {"id": [f"doc-{start + i}" for i in range(len(texts))], "text": texts, "stars": range(len(texts))}
    )


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def pool(tmp_path):
    """Three Parquet files, one of them without rows, in an order that differs from that of their creation."""
    folder = tmp_path / "pool"
    folder.mkdir()
    texts = make_texts(600)
    for name, part in (("b.parquet", texts[250:]), ("a.parquet", texts[:250]), ("c.parquet", [])):
        table = table_of(part).cast(
            pa.schema([("id", pa.string()), ("text", pa.string()), ("stars", pa.int64())])
        )
        pq.write_table(table, folder / name, row_group_size=70)
    return folder, texts


def read(folder):
    """The rows of all Parquet files of a folder, in order."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


FILTERS = [
    RandomFilter(keep=0.3, random_state=0),
    PerplexityFilter(keep=0.3, random_state=0),
    PerplexityFilter(
        keep=50, perplexity=FrozenEstimator(NGramScorer(order=2).fit(make_texts(90, 1))), random_state=3
    ),
    AskLLMFilter(keep=0.3, quality=length, random_state=0),
    ActivePruneFilter(keep=0.3, quality=length, n_candidates=0.5, random_state=0),
    ActivePruneFilter(keep=0.3, quality=length, candidates="random", llm_budget=7, random_state=0),
    ActivePruneFilter(keep=0.3, quality=None, reweighting=None, random_state=0),
    EntropyIntervalFilter(keep=0.3, combine="information", random_state=0),
    EntropyIntervalFilter(combine="generative", interval=(0.2, 0.6), random_state=0),
]


@pytest.mark.parametrize("pruner", FILTERS, ids=lambda pruner: re.sub(r"\s+", " ", repr(pruner))[:60])
def test_the_same_rows_survive_as_in_memory(pool, pruner, tmp_path, monkeypatch):
    monkeypatch.setattr("skprune.files.tables.MAX_ROWS", 64)  # several batches per file
    folder, texts = pool
    summary = prune(folder, pruner, text="text", out=tmp_path / "out", removed=tmp_path / "removed")
    fitted = pruner.fit(texts)
    kept = np.sort(fitted.select(texts))
    explained = fitted.explain(texts)
    assert [row["text"] for row in read(tmp_path / "out")] == [texts[row] for row in kept]
    removed = read(tmp_path / "removed")
    rows = np.setdiff1d(np.arange(len(texts)), kept)
    assert [row["text"] for row in removed] == [texts[row] for row in rows]
    assert [row["reason"] for row in removed] == explained["reason"].iloc[rows].tolist()
    for column in explained.columns.drop(["kept", "stage", "reason"]):
        np.testing.assert_array_equal([row[column] for row in removed], explained[column].iloc[rows])
    assert (summary.rows, summary.kept, summary.removed) == (len(texts), len(kept), len(rows))
    assert summary.reasons == explained["reason"].value_counts().to_dict()


def test_a_sample_trains_the_same_model_as_in_memory(pool, tmp_path):
    folder, texts = pool
    scorer = NGramScorer(order=2, max_train_texts=100)
    pruner = PerplexityFilter(keep=0.3, perplexity=scorer, random_state=0)
    prune(folder, pruner, text="text", out=tmp_path / "out", n_train=100)
    expected = [texts[row] for row in np.sort(pruner.fit(texts).select(texts))]
    assert [row["text"] for row in read(tmp_path / "out")] == expected


def test_all_columns_travel_along_and_removed_rows_say_where_they_were(pool, tmp_path):
    folder, _ = pool
    prune(
        folder,
        RandomFilter(0.5, random_state=0),
        text="text",
        out=tmp_path / "out",
        removed=tmp_path / "gone",
    )
    before = {name: pq.read_table(folder / name) for name in ("a.parquet", "b.parquet", "c.parquet")}
    for name, table in before.items():
        assert pq.read_schema(tmp_path / "out" / name) == table.schema
    for row in read(tmp_path / "gone"):
        source = before[row["file"]].slice(row["row"], 1).to_pylist()[0]
        assert {key: row[key] for key in source} == source


KINDS = {
    "pool.parquet": pq.write_table,
    "pool.arrow": lambda table, path: write_arrow(table, path, pa.ipc.new_stream),
    "pool.feather": lambda table, path: write_arrow(table, path, pa.ipc.new_file),
    "pool.csv": pacsv.write_csv,
    "pool.tsv": lambda table, path: pacsv.write_csv(table, path, pacsv.WriteOptions(delimiter="\t")),
    "pool.jsonl": lambda table, path: write_lines(path, table.to_pylist()),
    "pool.json": lambda table, path: write_lines(path, table.to_pylist()),
    "pool.csv.gz": lambda table, path: write_compressed(table, path, "gzip"),
    "pool.csv.zst": lambda table, path: write_compressed(table, path, "zstd"),
    "größe-池.parquet": pq.write_table,
}


def write_arrow(table, path, writer):
    with writer(str(path), table.schema) as sink:
        sink.write_table(table, 40)


def write_compressed(table, path, codec):
    with pa.CompressedOutputStream(str(path), codec) as sink:
        pacsv.write_csv(table, sink)


def read_any(path):
    kind = ".csv" if ".csv" in path.suffixes else path.suffix
    if kind == ".parquet":
        return pq.read_table(path)
    if kind == ".arrow":
        return pa.ipc.open_stream(path.read_bytes()).read_all()
    if kind == ".feather":
        return pa.ipc.open_file(path.read_bytes()).read_all()
    if kind in (".jsonl", ".json"):
        return pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()])
    delimiter = "\t" if kind == ".tsv" else ","
    with pa.input_stream(str(path)) as stream:
        parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        return pacsv.read_csv(stream, parse_options=parse)


@pytest.mark.parametrize(("name", "write"), KINDS.items(), ids=KINDS)
def test_every_kind_of_file_comes_out_as_it_came_in(name, write, tmp_path):
    texts = [f'text {i}, "quoted"\nand broken' if i % 7 == 0 else f"text {i}, ünï" for i in range(100)]
    table = table_of(texts)
    path = tmp_path / "in" / name
    path.parent.mkdir()
    write(table, path)
    pruner = RandomFilter(keep=0.4, random_state=0)
    summary = prune(path, pruner, text="text", out=tmp_path / "out", removed=tmp_path / "gone")
    rows = np.sort(pruner.fit(texts).select(texts))
    kept, removed = read_any(tmp_path / "out" / name), read_any(tmp_path / "gone" / name)
    assert kept.to_pylist() == table.take(rows).to_pylist()
    assert (
        removed.select(table.column_names).to_pylist()
        == table.take(np.setdiff1d(np.arange(100), rows)).to_pylist()
    )
    assert set(removed["reason"].to_pylist()) == {"random draw too high"}
    assert (summary.files, summary.kept) == ((name,), 40)


@pytest.mark.parametrize(
    "codecs",
    [
        "none",
        "gzip",
        {"text": "zstd", "deep.list.element": "gzip"},  # and "id" is not compressed
        {"id": "snappy", "deep.list.element": "snappy"},
    ],
    ids=str,
)
def test_each_column_of_parquet_keeps_its_codec(codecs, tmp_path):
    texts = make_texts(50)
    table = pa.table({"id": range(53), "text": texts, "deep": [[text] for text in texts]})
    pq.write_table(table, tmp_path / "pool.parquet", compression=codecs)
    prune(
        tmp_path / "pool.parquet",
        RandomFilter(10),
        text="text",
        out=tmp_path / "out",
        removed=tmp_path / "gone",
    )

    def codecs_in(folder):
        group = pq.read_metadata(folder / "pool.parquet").row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        return {column.path_in_schema: column.compression for column in columns}

    before, removed = codecs_in(tmp_path), codecs_in(tmp_path / "gone")
    assert codecs_in(tmp_path / "out") == before
    assert removed == before | dict.fromkeys(set(removed) - set(before), before["text"])


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".zst"])
def test_lines_of_text_are_copied_byte_for_byte(suffix, tmp_path):
    path = tmp_path / f"pool.txt{suffix}"
    lines = [f"Zeile {i} ü" for i in range(50)]
    with pa.output_stream(str(path)) as sink:
        sink.write("\n".join(lines).encode())
    pruner = RandomFilter(keep=20, random_state=0)
    prune(path, pruner, out=tmp_path / "out", removed=tmp_path / "gone")
    with pa.input_stream(str(tmp_path / "out" / path.name)) as stream:
        assert stream.read().decode().splitlines() == pruner.fit_transform(lines)
    with pa.input_stream(str(tmp_path / "gone" / f"pool.txt.jsonl{suffix}")) as stream:
        removed = [json.loads(line) for line in stream.read().splitlines()]
    assert [row["text"] for row in removed] == [line for line in lines if line not in pruner.transform(lines)]


def test_json_lines_keep_their_bytes(tmp_path):
    path = tmp_path / "pool.jsonl"
    lines = [f'{{"text":"t{i}",  "n": 1.{i}0e3, "deep": {{"a": [{i}]}}}}' for i in range(20)]
    path.write_text("\n".join(lines) + "\n")
    prune(path, RandomFilter(keep=5, random_state=0), out=tmp_path / "out")
    kept = (tmp_path / "out" / "pool.jsonl").read_text().splitlines()
    assert len(kept) == 5
    assert set(kept) <= set(lines)


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_ends_of_lines_stay_as_they_are(suffix, tmp_path):
    lines = [json.dumps({"text": f"line {i}"}).encode() + b"\r\n" for i in range(9)]
    (tmp_path / f"pool.{suffix}").write_bytes(b"".join(lines))
    prune(tmp_path / f"pool.{suffix}", RandomFilter(5, random_state=0), out=tmp_path / "out")
    kept = (tmp_path / "out" / f"pool.{suffix}").read_bytes().splitlines(keepends=True)
    assert len(kept) == 5
    assert set(kept) <= set(lines)


def test_blank_lines_at_the_end_of_json_lines_are_no_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("skprune.files.lines.MAX_ROWS", 3)
    lines = [json.dumps({"text": f"line {i}"}) + "\n" for i in range(4)]
    (tmp_path / "pool.jsonl").write_text("".join(lines) + "\n  \n\n\n")
    summary = prune(tmp_path / "pool.jsonl", RandomFilter(4), out=tmp_path / "out")
    assert (summary.rows, (tmp_path / "out" / "pool.jsonl").read_text()) == (4, "".join(lines))
    (tmp_path / "pool.jsonl").write_text("\n\n\n\n" + "".join(lines))
    with pytest.raises(ValueError, match=r"pool.jsonl, line 1 \(row 0\): not JSON"):
        prune(tmp_path / "pool.jsonl", RandomFilter(4), text="text", out=tmp_path / "out2")


def test_removed_json_keeps_what_python_cannot_hold(tmp_path):
    lines = ['{"text": "a"}', '{"text": "bb", "n": 1e400, "m": 0.10000000000000000000001 } ']
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    pruner = PerplexityFilter(1, perplexity=length)
    prune(tmp_path / "pool.jsonl", pruner, text="text", out=tmp_path / "out", removed=tmp_path / "gone")
    gone = (tmp_path / "gone" / "pool.jsonl").read_text()
    assert gone.startswith(lines[1].rstrip(" }") + ', "rank": -1,')
    assert json.loads(gone)["row"] == 1


def test_a_hugging_face_dataset_stays_one(tmp_path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_from_disk

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    data = Dataset.from_dict({"text": make_texts(57), "label": [0, 1] * 30}, features=features)
    DatasetDict(train=data, test=data.select(range(10))).save_to_disk(tmp_path / "in")
    summary = prune(
        tmp_path / "in",
        RandomFilter(keep=20, random_state=0),
        out=tmp_path / "out",
        removed=tmp_path / "gone",
    )
    kept, removed = load_from_disk(tmp_path / "out"), load_from_disk(tmp_path / "gone")
    assert kept["train"].features == features
    assert sum(map(len, kept.values())) == summary.kept
    assert sum(map(len, removed.values())) == summary.removed
    assert "reason" in removed["test"].column_names


def test_files_may_differ_in_kind_and_in_their_other_columns(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    pq.write_table(table_of(make_texts(30)), folder / "a.parquet")
    pq.write_table(
        pa.table({"text": pa.array(make_texts(30, 1), pa.large_string()), "url": ["u"] * 33}),
        folder / "sub/a.parquet",
    )
    write_lines(folder / "b.jsonl", [{"text": text} for text in make_texts(30, 2)])
    (folder / "README.md").write_text("not data")
    (folder / "_metadata.json").write_text("{}")
    summary = prune(folder, RandomFilter(0.5, random_state=0), text="text", out=tmp_path / "out")
    assert summary.files == ("a.parquet", "b.jsonl", "sub/a.parquet")
    out = tmp_path / "out"
    n_rows = [pq.read_metadata(out / name).num_rows for name in ("a.parquet", "sub/a.parquet")]
    n_rows.append(len((out / "b.jsonl").read_text().splitlines()))
    assert (summary.rows, summary.kept) == (99, sum(n_rows))


def test_added_columns_give_way_to_those_of_the_file(tmp_path):
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"text": make_texts(20), "reason": ["mine"] * 23, "row": range(23)}), path)
    prune(
        path,
        RandomFilter(0.5, random_state=0),
        text="text",
        out=tmp_path / "out",
        removed=tmp_path / "gone",
        explain_kept=True,
    )
    names = pq.read_schema(tmp_path / "gone" / "pool.parquet").names
    assert names == [
        "text",
        "reason",
        "row",
        "rank",
        "draw",
        "threshold",
        "prune_reason",
        "file",
        "prune_row",
    ]
    kept = pq.read_table(tmp_path / "out" / "pool.parquet")
    assert kept.schema.names == names
    assert sorted(kept["rank"].to_pylist()) == list(range(len(kept)))


# ---------------------------------------------------------------------- rows without a text


@pytest.fixture(params=["parquet", "jsonl", "csv"])
def with_gaps(request, tmp_path):
    texts = [None if i in (3, 4, 11) else f"text {i}" for i in range(20)]
    path = tmp_path / f"pool.{request.param}"
    KINDS[path.name](pa.table({"id": [f"d{i}" for i in range(20)], "text": texts}), path)
    return path, texts


def test_a_row_without_text_is_named(with_gaps, tmp_path):
    path, _ = with_gaps
    place = r"line 4 \(row 3, id 'd3'\)" if path.suffix == ".jsonl" else r"row 3 \(id 'd3'\)"
    message = rf"{path.name}, {place}: 'text' is missing. on_missing='drop' removes such rows"
    with pytest.raises(ValueError, match=message):
        prune(path, PerplexityFilter(perplexity=never), text="text", id="id", out=tmp_path / "out")
    # The folder holds no results yet, so that another attempt may use it.
    assert (
        prune(path, RandomFilter(5), text="text", id="id", out=tmp_path / "out", on_missing="drop").kept == 5
    )


def never(texts):
    raise AssertionError("a text was scored before all rows were checked")


@pytest.mark.parametrize(("on_missing", "n_kept"), [("drop", 5), ("keep", 8)])
def test_rows_without_text_are_dropped_or_kept(with_gaps, on_missing, n_kept, tmp_path):
    path, texts = with_gaps
    pruner = RandomFilter(keep=5, random_state=0)
    summary = prune(
        path, pruner, text="text", out=tmp_path / "out", removed=tmp_path / "gone", on_missing=on_missing
    )
    kept = read_any(tmp_path / "out" / path.name)["text"].to_pylist()
    written = pruner.fit_transform([text for text in texts if text is not None])
    assert [text for text in kept if text] == written
    assert (summary.kept, summary.removed) == (n_kept, 20 - n_kept)
    assert summary.reasons["missing" if on_missing == "drop" else "kept: missing"] == 3
    reasons = read_any(tmp_path / "gone" / path.name)["reason"].to_pylist()
    assert reasons.count("missing") == (3 if on_missing == "drop" else 0)


# ---------------------------------------------------------------------- errors before any work


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"text": "body"},
            ValueError,
            "no column 'body', which text= names; its columns are 'id', 'text', 'stars'",
        ),
        ({"text": "stars"}, TypeError, "column 'stars' holds int64, not text"),
        ({"text": None}, ValueError, "found 'id', 'text'; name one with text="),
        ({"id": "key"}, ValueError, "no column 'key', which id= names"),
        (
            {"filter": KMeansFilter()},
            TypeError,
            "KMeansFilter needs the pool in memory: it compares the vectors",
        ),
        ({"filter": "random"}, TypeError, "filter must be a filter of skprune, got str"),
        ({"filter": RandomFilter(keep=-1)}, ValueError, "'keep' parameter of RandomFilter"),
        ({"filter": RandomFilter(keep=10_000)}, ValueError, "keep=10000 exceeds the"),
        ({"on_missing": "skip"}, ValueError, "on_missing must be"),
        ({"n_train": 0}, ValueError, "n_train must be at least 1"),
        ({"paths": "nowhere"}, FileNotFoundError, "'nowhere' does not exist"),
        ({"paths": []}, FileNotFoundError, "hold no data file; known kinds are .parquet"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused(pool, arguments, error, message, tmp_path):
    given = {"paths": pool[0], "filter": RandomFilter(), "text": "text", "out": tmp_path / "out", **arguments}
    with pytest.raises(error, match=message):
        prune(given.pop("paths"), given.pop("filter"), **given)
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "pool.docx").write_text("x")
    with pytest.raises(
        ValueError, match=r"pool.docx is of an unknown kind; its name must end in one of .parquet"
    ):
        prune(tmp_path / "pool.docx", RandomFilter(), out=tmp_path / "out")


def test_suffixes_in_upper_case_tell_the_same(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.TSV").write_text("id\ttext\n100000\ta\n1\tbbbb\n")
    (tmp_path / "in" / "b.tsv.csv").write_text("id,text\n100000,cc\n1,ddddd\n")
    (tmp_path / "in" / "c.TXT").write_text("eee\nffffff\n")
    (tmp_path / "in" / "d.txt.GZ").write_bytes(gzip.compress(b"gggggggg\nhhhhhhh\n"))
    out, removed = tmp_path / "out", tmp_path / "removed"
    prune(tmp_path / "in", PerplexityFilter(3, perplexity=length), text="text", out=out, removed=removed)
    assert (out / "a.TSV").read_text() == '"id"\t"text"\n"100000"\t"a"\n'
    assert (out / "b.tsv.csv").read_text() == '"id","text"\n"100000","cc"\n'
    assert (out / "c.TXT").read_text() == "eee\n"
    assert json.loads((removed / "c.TXT.jsonl").read_text())["text"] == "ffffff"
    assert len(gzip.decompress((removed / "d.txt.jsonl.GZ").read_bytes()).splitlines()) == 2


@pytest.mark.parametrize("name", ["pool.parquet", "pool.csv"])
def test_two_columns_of_the_name_of_text_are_refused(name, tmp_path):
    table = pa.table([pa.array(["a", "bb"]), pa.array(["cc", "d"])], ["text", "text"])
    KINDS[name](table, tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} has 2 columns 'text', which text= names"):
        prune(tmp_path / name, RandomFilter(), text="text", out=tmp_path / "out")


@pytest.mark.parametrize("name", ["pool.parquet", "pool.arrow", "pool.csv"])
def test_two_other_columns_of_one_name_travel_along(name, tmp_path):
    columns = [pa.array(["a", "bb"]), pa.array(["1", "2"]), pa.array(["3", "4"])]
    KINDS[name](pa.table(columns, ["text", "n", "n"]), tmp_path / name)
    arguments = {"filter": RandomFilter(2), "text": "text", "out": tmp_path / "out"}
    prune(tmp_path / name, **arguments)
    if name == "pool.csv":
        assert (tmp_path / "out" / name).read_text() == (tmp_path / name).read_text()
    else:
        path = tmp_path / "out" / name
        kept = pq.ParquetFile(path).read() if path.suffix == ".parquet" else read_any(path)
        assert kept.column(2).to_pylist() == ["3", "4"]
    with pytest.raises(ValueError, match=f"{name} has several columns 'n', which id= names; rename them"):
        prune(tmp_path / name, id="n", **arguments)


@pytest.mark.parametrize("name", ["pool.parquet", "pool.arrow"])
def test_views_travel_along(name, tmp_path):
    texts = ["a", "bbbb", "cc", "ddddd"]
    columns = {"text": pa.array(texts).cast("string_view"), "b": pa.array([b"1"] * 4).cast("binary_view")}
    KINDS[name](pa.table(columns), tmp_path / name)
    summary = prune(
        tmp_path / name, PerplexityFilter(2, perplexity=length), text="text", out=tmp_path / "out"
    )
    assert summary.kept == 2


def test_a_lone_surrogate_beside_the_text_stays_as_it_is(tmp_path):
    rows = [{"text": "a"}, {"text": "bb", "emoji": "\ud83d"}]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pruner = PerplexityFilter(1, perplexity=length)
    prune(tmp_path / "pool.jsonl", pruner, text="text", out=tmp_path / "out", removed=tmp_path / "removed")
    assert json.loads((tmp_path / "removed" / "pool.jsonl").read_bytes())["emoji"] == "\ud83d"


@pytest.mark.parametrize("name", ["empty.csv", "empty.tsv.gz", "empty.jsonl", "empty.txt"])
def test_an_empty_file_has_no_rows(name, tmp_path):
    (tmp_path / "in").mkdir()
    with pa.output_stream(str(tmp_path / "in" / name)):
        pass
    pacsv.write_csv(table_of(make_texts(20)), tmp_path / "in" / "full.csv")
    summary = prune(
        tmp_path / "in",
        RandomFilter(9, random_state=0),
        text="text",
        id=None if name.endswith(".txt") else "id",
        out=tmp_path / "out",
        removed=tmp_path / "gone",
        explain_kept=True,
    )
    assert summary.rows == 23
    names = {"empty.txt": "empty.txt.jsonl"}
    for folder in ("out", "gone"):
        with pa.input_stream(str(tmp_path / folder / names.get(name, name))) as stream:
            assert stream.read() == b""
    frames = [read_frame(tmp_path / folder, "text", columns=["text", "reason"]) for folder in ("out", "gone")]
    assert sum(map(len, frames)) == 23


def test_missing_numbers_are_empty_cells(tmp_path):
    (tmp_path / "pool.csv").write_text('text\na\nbb\n""\n')
    pruner = PerplexityFilter(1, perplexity=length)
    prune(tmp_path / "pool.csv", pruner, out=tmp_path / "out", removed=tmp_path / "gone")
    cells = (tmp_path / "gone" / "pool.csv").read_text().splitlines()
    assert cells[0].startswith('"text","rank","log10_perplexity","threshold"')
    assert cells[2].startswith('"",-1,,,')


def test_files_without_rows(tmp_path):
    (tmp_path / "pool.txt").write_text("")
    with pytest.raises(EmptyPoolError, match="no row with a text"):
        prune(tmp_path / "pool.txt", RandomFilter(), out=tmp_path / "out")


@pytest.mark.parametrize("name", ["pool.parquet", "pool.arrow", "pool.jsonl.gz", "pool.csv.gz"])
def test_a_truncated_file_is_named(name, tmp_path):
    path = tmp_path / name
    texts = [f"{x:.12f}" for x in np.random.default_rng(0).random(5000)]
    if ".jsonl" in name:
        path.write_bytes(gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in texts).encode()))
    else:
        KINDS[name](pa.table({"text": texts}), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=rf"{name} cannot be read; it may be truncated"):
        prune(path, PerplexityFilter(perplexity=never), text="text", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ('{"text": "b"', ValueError, r"pool.jsonl, line 3 \(row 2\): not JSON"),
        ("[1]", TypeError, r"pool.jsonl, line 3 \(row 2\): list, not a JSON object"),
        ('{"text": 3}', TypeError, r"pool.jsonl, line 3 \(row 2\): 'text' is int, not text"),
        (
            '{"text": "\\ud800"}',
            ValueError,
            r"pool.jsonl, line 3 \(row 2\): the text holds a lone surrogate at character 0",
        ),
    ],
)
def test_a_bad_line_is_named(line, error, message, tmp_path):
    (tmp_path / "pool.jsonl").write_text(f'{{"text": "a"}}\n{{"text": "b"}}\n{line}\n')
    with pytest.raises(error, match=message):
        prune(tmp_path / "pool.jsonl", PerplexityFilter(perplexity=never), out=tmp_path / "out")


def test_text_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "pool.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"pool.txt, line 2 \(row 1\): 'utf-8' codec can't decode"):
        prune(tmp_path / "pool.txt", RandomFilter(), out=tmp_path / "out")


def test_folders_that_hold_something_else_are_refused(pool, tmp_path):
    folder, _ = pool
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="is not empty; choose a new folder"):
        prune(folder, RandomFilter(), text="text", out=tmp_path / "out")
    for out in (folder, tmp_path):
        with pytest.raises(ValueError, match="holds input files; choose another folder"):
            prune(folder, RandomFilter(), text="text", out=out)
    with pytest.raises(ValueError, match="must not lie within each other"):
        prune(folder, RandomFilter(), text="text", out=tmp_path / "o", removed=tmp_path / "o" / "removed")
    assert (tmp_path / "out" / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("other", ["a.txt.jsonl", "a.txt.jsonl/b.jsonl"])
@pytest.mark.parametrize("arguments", [{"removed": "gone"}, {"explain_kept": True}], ids=str)
def test_two_files_are_never_written_to_one(other, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / other).parent.mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("".join(f"plain {i}\n" for i in range(10)))
    write_lines(tmp_path / "in" / other, [{"text": f"json {i}"} for i in range(10)])
    pruner = PerplexityFilter(perplexity=never)
    with pytest.raises(ValueError, match=rf"a.txt.* {other}.*Rename one of them, or prune them apart"):
        prune("in", pruner, out="out", **arguments)
    assert prune("in", RandomFilter(0.5), out="out").removed == 10  # nothing but rows as they were


@pytest.mark.parametrize("role", ["out", "removed"])
@pytest.mark.parametrize(
    ("paths", "out", "refused"),
    [
        ("pool", "pool/kept", True),
        ("pool", "pool/deep/kept", True),
        (["pool"], "pool/_kept", False),
        ("pool", "pool/.kept", False),
        ("pool", "pool-kept", False),
        ("pool/**/*.txt", "pool/deep/kept", True),
        ("**/*.txt", "kept", True),
        ("pool/*", "pool/kept", True),
        ("pool/*/*.txt", "pool/kept", True),
        ("pool/*/*.txt", "pool/deep/kept", False),
        ("pool/*.txt", "pool/kept", False),
        ("pool/a.txt", "pool/kept", False),
        ("p*/[a-b].txt", "pool", True),
        ("p*/[a-b].txt", "p-kept", True),
    ],
)
def test_outputs_where_inputs_are_searched_are_refused(
    paths, out, refused, role, tmp_path, tmp_path_factory, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("pool/a.txt", "pool/sub/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\nb\nc\nd\n")
    arguments = {"out": tmp_path_factory.mktemp("elsewhere"), role: out}
    if refused:
        with pytest.raises(ValueError, match=rf"{role}=.*(inputs, so that|holds input files)"):
            prune(paths, RandomFilter(2), **arguments)
    else:
        first = prune(paths, RandomFilter(2), **arguments)
        assert prune(paths, RandomFilter(2), **arguments).rows == first.rows


def test_inputs_are_never_changed(pool, tmp_path):
    folder, _ = pool
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    prune(
        folder, PerplexityFilter(random_state=0), text="text", out=tmp_path / "out", removed=tmp_path / "gone"
    )
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_paths_may_be_patterns_and_strings(pool, tmp_path, monkeypatch):
    folder, texts = pool
    monkeypatch.chdir(folder.parent)
    summary = prune("pool/[ab].parquet", RandomFilter(7), text="text", out="out")
    assert summary.files == ("a.parquet", "b.parquet")
    assert summary.rows == len(texts)
    assert set(os.listdir("out")) == {".skprune", "a.parquet", "b.parquet"}
    assert summary.out == "out"


def test_the_filter_may_name_the_column_and_is_not_changed(pool, tmp_path):
    pruner = RandomFilter(7, text="text")
    assert prune(pool[0], pruner, out=tmp_path / "out").kept >= 7
    assert not hasattr(pruner, "pool_")


def test_nothing_but_hashes_and_scores_stays_in_memory(tmp_path):
    """A pool of long texts takes far less memory than its texts."""
    import tracemalloc

    path = tmp_path / "pool.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for part in range(16):
            texts = [f"{part} {row} " + "x" * 5000 for row in range(1000)]
            writer.write_table(pa.table({"text": texts}))
    prune(path, PerplexityFilter(perplexity=length), out=tmp_path / "warm")  # imports
    tracemalloc.start()
    prune(path, PerplexityFilter(keep=0.1, perplexity=length), out=tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pd.Series(pq.read_table(tmp_path / "out" / path.name)["text"].to_pylist()).nunique() == 1600
    assert peak < 16_000 * 5000 / 2


# ---------------------------------------------------------------------- lines of JSON with other keys


UNEVEN = [
    {"text": "aaaa"},
    {"id": "x", "text": "b", "lang": "de"},
    {"text": "ccc", "reason": "mine", "n": 1},
    {"lang": "en", "text": "dd", "id": None},
]


def test_a_key_that_the_first_line_lacks_is_a_column(tmp_path):
    path = tmp_path / "pool.jsonl"
    write_lines(path, UNEVEN)
    quota = QuotaFilter(PerplexityFilter(keep=2, perplexity=length), groups="lang", min_per_group=1)
    prune(path, quota, text="text", id="id", out=tmp_path / "out", removed=tmp_path / "gone")
    assert (tmp_path / "out" / "pool.jsonl").read_text() == "".join(
        json.dumps(row) + "\n" for row in (UNEVEN[1], UNEVEN[3])
    )
    gone = [json.loads(line) for line in (tmp_path / "gone" / "pool.jsonl").read_text().splitlines()]
    assert gone[1]["reason"] == "mine"  # an added column does not replace it
    assert [row["prune_reason"] for row in gone] == ["perplexity too high"] * 2
    frame = read_frame(path, "text", columns=["lang", "n"])
    assert frame["lang"].fillna("").tolist() == ["", "de", "", "en"]
    assert frame["n"].fillna(0).tolist() == [0, 0, 1, 0]


def test_the_column_of_texts_is_not_that_of_the_first_line_alone(tmp_path):
    path = tmp_path / "pool.jsonl"
    write_lines(path, [{"id": "x", "body": None}, {"id": "y", "body": "a text"}])
    with pytest.raises(ValueError, match="found 'id', 'body'; name one with text="):
        prune(path, RandomFilter(), out=tmp_path / "out")
    write_lines(path, [{"n": 1}, {"body": "a text", "n": 2}])
    assert score(path, RandomFilter(keep=1, random_state=0), on_missing="drop")["kept"].tolist() == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda path: score(path, RandomFilter(), text="text", id="lnag"),
        lambda path: score(path, QuotaFilter(RandomFilter(), groups="lnag"), text="text"),
        lambda path: read_frame(path, "text", columns=["lnag"]),
    ],
    ids=["id", "groups", "columns"],
)
def test_a_key_of_no_line_is_refused(tmp_path, read):
    write_lines(tmp_path / "pool.jsonl", UNEVEN)
    with pytest.raises(
        ValueError, match=r"no column 'lnag'.* its columns are 'text', 'id', 'lang', 'reason'"
    ):
        read(tmp_path / "pool.jsonl")


@pytest.mark.parametrize("on_missing", ["error", "drop", "keep"])
def test_a_column_of_texts_that_no_line_has_is_refused(on_missing, tmp_path):
    write_lines(tmp_path / "a.jsonl", [{"body": f"text {i}"} for i in range(5)])
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"a.jsonl has no column 'text', which text= .* are 'body'"):
        prune(tmp_path.glob("*"), RandomFilter(), text="text", on_missing=on_missing, out=tmp_path / "out")


def test_a_key_may_first_occur_after_the_first_batch(tmp_path, monkeypatch):
    monkeypatch.setattr("skprune.files.lines.MAX_ROWS", 2)
    late = [{"n": 1}, {"n": 2}, {"n": 3}, *UNEVEN, {"text": "e", "file": "mine"}]
    write_lines(tmp_path / "pool.jsonl", late)
    quota = QuotaFilter(RandomFilter(keep=2, random_state=0), groups="lang", min_per_group=1)
    arguments = {"text": "text", "on_missing": "drop", "out": tmp_path / "out", "removed": tmp_path / "gone"}
    assert prune(tmp_path / "pool.jsonl", quota, **arguments).kept == 2
    lines = (tmp_path / "out" / "pool.jsonl").read_text().splitlines()
    assert {json.loads(line)["lang"] for line in lines} == {"de", "en"}
    gone = [json.loads(line) for line in (tmp_path / "gone" / "pool.jsonl").read_text().splitlines()]
    assert gone[-1]["file"] == "mine"  # and no other name for that of the file in the lines before
    assert {row["prune_file"] for row in gone} == {"pool.jsonl"}
    assert (
        score(tmp_path / "pool.jsonl", RandomFilter(), text="text", id="lang", on_missing="drop")["lang"]
        .notna()
        .sum()
        == 2
    )
    write_lines(tmp_path / "pool.jsonl", [*late, [1]])
    with pytest.raises(TypeError, match=r"line 9 \(row 8\): list, not a JSON object"):
        read_frame(tmp_path / "pool.jsonl", "text", columns=["lnag"])
